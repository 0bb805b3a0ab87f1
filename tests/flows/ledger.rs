//! The chain itself: races, keys, and what never leaves the process.

use aws_sdk_dynamodb::types::AttributeValue::{N, S};
use aws_sdk_dynamodb::types::{
    BatchStatementRequest, Delete, ParameterizedStatement, Put, PutRequest, TimeToLiveSpecification, TransactWriteItem,
    Update, WriteRequest,
};
use domain::wallet::{Entry, Kind, append};
use domain::{Amount, Unit};
use futures::future::join_all;
use std::collections::HashMap;
use std::fmt::Debug;
use store::{AppendOnce, Appended, StoreError};
use tests::{TestApp, id};

pub fn entry(kind: Kind, steps: i64, reference: &str) -> Entry {
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

fn said<T: Debug, E: Debug>(answer: Result<T, E>) -> String {
    format!("{answer:?}")
}

fn new_item(table: &str, condition: Option<&str>) -> TransactWriteItem {
    let put = Put::builder().table_name(table).item("pk", S("WALLET#c#usd#0".into())).item("sk", N("1".into()));
    TransactWriteItem::builder()
        .put(put.set_condition_expression(condition.map(str::to_owned)).build().unwrap())
        .build()
}

/// The SDK interceptor lets nothing out that could change a page, whoever asks. The reason is ours, not DynamoDB's.
#[tokio::test]
async fn nothing_but_a_put_of_a_new_item_leaves_the_process_for_the_ledger() {
    let app = TestApp::new().await;
    let (client, tables) = (app.system.store.client(), app.system.store.tables());
    let (ledger, main) = (tables.ledger.as_str(), tables.main.as_str());
    let (pk, sk) = (S("WALLET#c#usd#0".into()), N("1".into()));
    let put = |table: &str| client.put_item().table_name(table).item("pk", pk.clone()).item("sk", sk.clone());
    let update = client.update_item().table_name(ledger).key("pk", pk.clone()).key("sk", sk.clone());
    let delete = client.delete_item().table_name(ledger).key("pk", pk.clone()).key("sk", sk.clone());
    let request = PutRequest::builder().item("pk", pk.clone()).item("sk", sk.clone()).build().unwrap();
    let request = WriteRequest::builder().put_request(request).build();
    let batched = BatchStatementRequest::builder().statement("DELETE FROM x").build().unwrap();
    let statement = ParameterizedStatement::builder().statement("DELETE FROM x").build().unwrap();
    let expiry = TimeToLiveSpecification::builder().attribute_name("at").enabled(true).build().unwrap();
    let action = TransactWriteItem::builder;
    let key = HashMap::from([("pk".to_owned(), pk.clone()), ("sk".to_owned(), sk.clone())]);
    let in_update = Update::builder().table_name(ledger).set_key(Some(key.clone())).update_expression("SET p = sk");
    let in_delete = Delete::builder().table_name(ledger).set_key(Some(key));
    // Beside a good put to another table, so that each action is looked at.
    let good = Put::builder().table_name(main).item("pk", pk.clone()).item("sk", S("1".into())).build().unwrap();
    let beside = |other: TransactWriteItem| {
        let actions = vec![action().put(good.clone()).build(), other];
        client.transact_write_items().set_transact_items(Some(actions)).send()
    };
    let arn = format!("arn:aws:dynamodb:eu-central-1:123456789012:table/{ledger}");
    let exists = Some("attribute_exists(pk)");
    for (what, said) in [
        ("a put", said(put(ledger).send().await)),
        ("another condition", said(put(ledger).condition_expression("attribute_exists(pk)").send().await)),
        ("a put by ARN", said(put(&arn).send().await)),
        ("an update", said(update.update_expression("SET p = sk").send().await)),
        ("a delete", said(delete.send().await)),
        ("the table's end", said(client.delete_table().table_name(ledger).send().await)),
        (
            "an expiry",
            said(client.update_time_to_live().table_name(ledger).time_to_live_specification(expiry).send().await),
        ),
        ("a batch", said(client.batch_write_item().request_items(ledger, vec![request]).send().await)),
        ("PartiQL", said(client.execute_statement().statement("DELETE FROM x").send().await)),
        ("PartiQL in a batch", said(client.batch_execute_statement().statements(batched).send().await)),
        ("PartiQL in a transaction", said(client.execute_transaction().transact_statements(statement).send().await)),
        ("a put beside", said(beside(new_item(ledger, None)).await)),
        ("another condition beside", said(beside(new_item(ledger, exists)).await)),
        ("a put by ARN beside", said(beside(new_item(&arn, None)).await)),
        ("an update beside", said(beside(action().update(in_update.build().unwrap()).build()).await)),
        ("a delete beside", said(beside(action().delete(in_delete.build().unwrap()).build()).await)),
    ] {
        assert!(said.contains("refused: a write to the ledger"), "{what}: {said}");
    }
    // A put of a new item is let through, alone and in a transaction.
    assert!(beside(new_item(ledger, Some("attribute_not_exists(pk)"))).await.is_ok());
    let next = put(ledger).item("sk", N("2".into())).condition_expression("attribute_not_exists(pk)");
    assert!(next.send().await.is_ok());
}

#[tokio::test]
async fn a_page_that_was_copied_into_another_wallet_is_found_and_reported() {
    let app = TestApp::new().await;
    app.tell(&[tests::registered("srv-1", "cus-1", app.at(1))]).await;
    app.hours(1).await;
    skymeter::commands::verify::report(&app.verify().await).unwrap();
    // Sealed anew, it is a good chain by itself.
    let page = app.pages("cus-1").await.remove(0);
    let forged = domain::wallet::Page { wallet: app.wallet("cus-2"), ..page }.sealed();
    assert_eq!(app.system.store.wallet_append(&forged).await.unwrap(), Appended::Written);
    let proof = app.proof().await;
    let faults: Vec<String> = proof.faults.iter().map(ToString::to_string).collect();
    let hour = tests::time(tests::BEGIN).hour();
    for what in [
        format!("server srv-1: hour {hour} is billed twice"),
        format!("server srv-1: hour {hour} is billed to cus-2#usd#0 which has no such tenure"),
    ] {
        assert!(faults.contains(&what), "{faults:?}");
    }
    assert!(!proof.holds());
    let error = skymeter::commands::verify::report(&proof).unwrap_err().to_string();
    assert!(error.starts_with("the ledger does not hold: 2 faults"), "{error}");
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
