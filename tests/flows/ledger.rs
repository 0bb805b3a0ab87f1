//! The chain itself: races, keys, and what never leaves the process.

use domain::wallet::{Entry, Kind, append};
use domain::{Amount, Unit};
use futures::future::join_all;
use store::{AppendOnce, Appended, StoreError};
use tests::{TestApp, id};

fn entry(kind: Kind, steps: i64, reference: &str) -> Entry {
    Entry {
        kind,
        amount: Amount::from_steps(steps),
        actor: Some("test".to_owned()),
        reason: Some("a \"reason\"\nwith signs \u{e9}\u{1}".to_owned()),
        reference: Some(reference.to_owned()),
    }
}

#[tokio::test]
async fn of_many_who_write_the_next_page_one_wins_and_the_others_try_again() {
    let app = TestApp::new().await;
    let wallet = app.wallet("cus-1");
    let writers = (0..64).map(|n| {
        let (store, wallet, now) = (app.system.store.clone(), wallet.clone(), app.time.now());
        async move {
            loop {
                let head = store.wallet_head(&wallet, true).await.unwrap();
                let page = append(&wallet, head.as_ref(), entry(Kind::Payment, n + 1, "p"), now).unwrap();
                if store.wallet_append(&page).await.unwrap() == Appended::Written {
                    return;
                }
            }
        }
    });
    join_all(writers).await;
    let pages = app.pages("cus-1").await;
    assert_eq!(pages.len(), 64);
    assert_eq!(app.balance("cus-1").await, (1..=64).sum::<i64>());
    app.verify().await;
}

#[tokio::test]
async fn a_key_stands_for_one_page_for_ever() {
    let app = TestApp::new().await;
    let (store, now) = (&app.system.store, app.time.now());
    let page = |customer: &str, head: Option<&domain::wallet::Page>, entry: Entry| {
        append(&app.wallet(customer), head, entry, now).unwrap()
    };
    let first = page("cus-1", None, entry(Kind::Payment, 500, "pi_1"));
    assert_eq!(store.wallet_append_once(&first, "stripe:pi_1:succeeded").await.unwrap(), AppendOnce::Written);
    // The same fact again, from a stale head and from the newest one: the marker's reason is read before the page's.
    let again = page("cus-1", Some(&first), entry(Kind::Payment, 500, "pi_1"));
    for page in [&first, &again] {
        let answer = store.wallet_append_once(page, "stripe:pi_1:succeeded").await.unwrap();
        assert_eq!(answer, AppendOnce::Replayed(1));
    }
    // Another wallet, kind, amount or reference under the same key is a conflict.
    for other in [
        page("cus-2", None, entry(Kind::Payment, 500, "pi_1")),
        page("cus-1", Some(&first), entry(Kind::Admin, 500, "pi_1")),
        page("cus-1", Some(&first), entry(Kind::Payment, 501, "pi_1")),
        page("cus-1", Some(&first), entry(Kind::Payment, 500, "pi_2")),
    ] {
        let answer = store.wallet_append_once(&other, "stripe:pi_1:succeeded").await;
        assert!(matches!(answer, Err(StoreError::KeyReused(_))), "{answer:?}");
    }
    // Another key from a stale head loses the race, and leaves no marker.
    let stale = page("cus-1", None, entry(Kind::Payment, 7, "pi_3"));
    assert_eq!(store.wallet_append_once(&stale, "stripe:pi_3:succeeded").await.unwrap(), AppendOnce::Lost);
    let fresh = page("cus-1", Some(&first), entry(Kind::Payment, 7, "pi_3"));
    assert_eq!(store.wallet_append_once(&fresh, "stripe:pi_3:succeeded").await.unwrap(), AppendOnce::Written);
    assert_eq!(app.balance("cus-1").await, 507);
    app.verify().await;
}

#[tokio::test]
async fn usage_goes_on_after_a_payment_with_its_meters_unchanged() {
    let app = TestApp::new().await;
    app.tell(&[tests::registered("srv-1", "cus-1", app.at(1))]).await;
    app.hours(1).await;
    let head = app.pages("cus-1").await.pop();
    let payment =
        append(&app.wallet("cus-1"), head.as_ref(), entry(Kind::Payment, 1_000_000, "pi_1"), app.time.now()).unwrap();
    assert_eq!(payment.meters, head.unwrap().meters);
    assert_eq!(app.system.store.wallet_append_once(&payment, "k").await.unwrap(), AppendOnce::Written);
    app.hours(1).await;
    assert_eq!(app.balance("cus-1").await, 1_000_000 - 2 * tests::CENT);
    app.verify().await;
}

/// The SDK interceptor lets nothing out that could change a page, whoever asks.
#[tokio::test]
async fn a_write_to_the_ledger_without_the_condition_never_leaves_the_process() {
    use aws_sdk_dynamodb::types::AttributeValue::{N, S};
    let app = TestApp::new().await;
    let (client, ledger) = (app.system.store.client(), app.system.store.tables().ledger.clone());
    let put = client.put_item().table_name(&ledger).item("pk", S("WALLET#c#usd#0".into())).item("sk", N("1".into()));
    assert!(put.clone().send().await.is_err());
    assert!(put.clone().condition_expression("attribute_exists(pk)").send().await.is_err());
    let key = ("pk", S("WALLET#c#usd#0".into()));
    let update = client.update_item().table_name(&ledger).key(key.0, key.1.clone()).key("sk", N("1".into()));
    assert!(
        update.update_expression("SET p = :p").expression_attribute_values(":p", S("x".into())).send().await.is_err()
    );
    assert!(client.delete_item().table_name(&ledger).key(key.0, key.1).key("sk", N("1".into())).send().await.is_err());
    assert!(client.delete_table().table_name(&ledger).send().await.is_err());
    assert!(client.execute_statement().statement("DELETE FROM x").send().await.is_err());
    // The reason is ours, not DynamoDB's; and with the condition it is let through.
    let refused = put.clone().send().await.unwrap_err();
    assert!(format!("{refused:?}").contains("refused: a write to the ledger"), "{refused:?}");
    assert!(put.condition_expression("attribute_not_exists(pk)").send().await.is_ok());
}

#[tokio::test]
async fn what_dynamodb_charges_is_what_our_size_arithmetic_says() {
    let app = TestApp::new().await;
    let facts: Vec<_> =
        (0..120).map(|n| tests::registered(&format!("a-rather-long-server-name-{n}"), "cus-1", app.at(1))).collect();
    app.tell(&facts).await;
    let before = app.system.store.capacity().units(store::Area::Ledger).write_tenths;
    app.hours(1).await;
    let charged = app.system.store.capacity().units(store::Area::Ledger).write_tenths - before;
    let page = app.pages("cus-1").await.pop().unwrap();
    let expected = store::item_write_units(&store::encode_page(&page).unwrap());
    assert_eq!(charged, expected * 10);
    assert!(expected > 3, "{expected}");
}

#[tokio::test]
async fn tokens_are_a_wallet_of_their_own() {
    let app = TestApp::new().await;
    let mut fact = tests::registered("srv-1", "cus-1", app.at(1));
    if let store::Fact::Registered { unit, .. } = &mut fact {
        *unit = Unit::Token;
    }
    app.tell(&[fact]).await;
    app.hours(2).await;
    let wallet = domain::tenure::WalletId { customer: id("cus-1"), unit: Unit::Token, lane: 0 };
    let page = app.system.store.wallet_head(&wallet, true).await.unwrap().unwrap();
    let export = serde_json::to_value(domain::wallet::ExportPage::new(&page)).unwrap();
    assert_eq!((export["after"].as_str(), export["unit"].as_str()), (Some("-2.0000"), Some("token")));
    assert_eq!(export["lines"][0]["price"].as_str(), Some("730.00"));
    app.verify().await;
}
