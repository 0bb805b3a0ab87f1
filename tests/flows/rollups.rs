//! Totals: a batch counts once, and the ledger gives the same figures.

use super::ledger::entry;
use aws_lambda_events::dynamodb::Event;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::Unit;
use domain::wallet::{Kind, append};
use projector::Projector;
use skymeter::check::roll_up;
use std::collections::{BTreeMap, HashMap};
use store::{AppendOnce, Rollups};
use tests::{CENT, TestApp, registered};

type Item = HashMap<String, AttributeValue>;

/// The items of a partition of `main`.
async fn items(app: &TestApp, pk: &str) -> Vec<Item> {
    let query = app.system.store.client().query().table_name(&app.system.store.tables().main);
    let query = query.key_condition_expression("pk = :pk").consistent_read(true);
    query.expression_attribute_values(":pk", AttributeValue::S(pk.to_owned())).send().await.unwrap().items.unwrap()
}

async fn low_balances(app: &TestApp) -> Vec<String> {
    let events = app.system.store.low_balance_list(tests::time(tests::BEGIN), None).await.unwrap().0;
    events.iter().map(|event| format!("{}#{}#{}", event.wallet, event.threshold.steps(), event.seq)).collect()
}

/// Money comes in; the page is put on the stream like any other.
async fn pays(app: &TestApp, customer: &str, steps: i64, reference: &str) {
    let (store, wallet) = (&app.system.store, app.wallet(customer));
    let head = store.wallet_head(&wallet, true).await.unwrap();
    let page = append(&wallet, head.as_ref(), entry(Kind::Payment, steps, reference), app.time.now()).unwrap();
    assert_eq!(store.wallet_append_once(&page, reference).await.unwrap(), AppendOnce::Written);
}

#[tokio::test]
async fn a_stream_batch_that_comes_twice_counts_once() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.hours(1).await;
    let page = app.pages("cus-1").await.remove(0);
    let mut rollups = Rollups::default();
    rollups.add(&page);
    let hour = tests::time(tests::BEGIN).hour();
    for _ in 0..3 {
        app.system.store.rollup_apply(("000", "001"), &rollups, app.time.now()).await.unwrap();
    }
    // Once by the feed, once by the batch that came three times.
    let total = app.system.store.hour_total(Unit::Usd, hour).await.unwrap();
    assert_eq!((total.server_hours, total.amount_steps), (2, 2 * CENT));
    // And rebuild puts it right.
    let ledger = roll_up(&app.system.store).await.unwrap();
    assert_eq!(app.system.store.rollup_rebuild(&ledger).await.unwrap(), 2);
    assert_eq!(app.system.store.hour_total(Unit::Usd, hour).await.unwrap().server_hours, 1);
    assert_eq!(app.system.store.rollup_rebuild(&ledger).await.unwrap(), 0);
}

#[tokio::test]
async fn the_projectors_totals_agree_with_the_ledger() {
    let app = TestApp::new().await;
    let facts: Vec<_> =
        (0..30).map(|n| registered(&format!("srv-{n}"), &format!("cus-{}", n % 7), app.at(n))).collect();
    app.tell(&facts).await;
    app.hours(5).await;
    // Beyond what fits one transaction: 150 days of hours on single pages.
    app.pass(150 * 24);
    app.bill().await;
    let ledger = roll_up(&app.system.store).await.unwrap();
    assert_eq!(app.system.store.rollup_rebuild(&ledger).await.unwrap(), 0);
    assert_eq!(ledger.hours.values().map(|total| total.server_hours).sum::<u64>(), app.verify().await.server_hours);
}

#[tokio::test]
async fn a_balance_that_falls_below_a_threshold_is_an_event_once() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.hours(3).await;
    assert_eq!(low_balances(&app).await, ["cus-1#usd#0#0#1"]);
}

#[tokio::test]
async fn every_threshold_that_is_crossed_is_an_event_and_one_that_is_gone_is_made_again() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    // A hundred hours cost a dollar: 10.50 falls below ten dollars with the first page and below five with the second.
    pays(&app, "cus-1", 10_500_000, "pi_1").await;
    for hours in [100, 500, 1] {
        app.pass(hours);
        app.bill().await;
    }
    let expected = ["cus-1#usd#0#10000000#2", "cus-1#usd#0#5000000#3"];
    assert_eq!(low_balances(&app).await, expected);
    let before = items(&app, "EVENT#LOW_BALANCE").await;
    let delete = app.system.store.client().delete_item().table_name(&app.system.store.tables().main);
    let delete = delete.key("pk", AttributeValue::S("EVENT#LOW_BALANCE".to_owned()));
    delete.key("sk", before[0]["sk"].clone()).send().await.unwrap();
    assert_eq!(low_balances(&app).await, expected[1..]);
    let ledger = roll_up(&app.system.store).await.unwrap();
    app.system.store.rollup_rebuild(&ledger).await.unwrap();
    assert_eq!(items(&app, "EVENT#LOW_BALANCE").await, before);
}

#[tokio::test]
async fn revenue_stands_by_the_month_of_the_page_and_by_its_kind() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1)), registered("srv-2", "cus-2", app.at(1))]).await;
    pays(&app, "cus-1", 7_000_000, "pi_1").await;
    app.hours(3).await;
    // 21 days to December, and two hours of it: billed then, so revenue of December.
    app.pass(21 * 24 - 3 + 2);
    pays(&app, "cus-1", 2_000_000, "pi_2").await;
    pays(&app, "cus-2", 500_000, "pi_3").await;
    app.bill().await;
    let revenue: BTreeMap<String, BTreeMap<String, i64>> = app
        .system
        .store
        .rollup_list()
        .await
        .unwrap()
        .into_iter()
        .filter_map(|((pk, month), sums)| (pk == "REVENUE#usd").then_some((month, sums)))
        .collect();
    let named = |usage: i64, payment: i64| BTreeMap::from([("usage", usage), ("payment", payment)]);
    let named = |usage, payment| named(usage, payment).into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let december = -2 * (21 * 24 - 3 + 2) * CENT;
    let expected: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::from([
        ("2026-11".to_owned(), named(-6 * CENT, 7_000_000)),
        ("2026-12".to_owned(), named(december, 2_500_000)),
    ]);
    assert_eq!(revenue, expected);
    app.verify().await;
}

#[tokio::test]
async fn a_stream_batch_is_named_by_its_first_and_its_last_record_for_three_days() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.hours(1).await;
    let item = store::encode_page(&app.pages("cus-1").await[0]).unwrap();
    let bytes = item[store::PAGE_ATTRIBUTE].as_b().map(aws_smithy_types::base64::encode).unwrap();
    let record = |number: &str| {
        let keys = serde_json::json!({ "pk": { "S": item["pk"].as_s().unwrap() }, "sk": { "N": "1" } });
        let mut image = keys.clone();
        image["p"] = serde_json::json!({ "B": bytes });
        serde_json::json!({
            "awsRegion": "eu-1", "eventID": number, "eventName": "INSERT",
            "dynamodb": { "ApproximateCreationDateTime": 1, "SizeBytes": 1, "SequenceNumber": number, "Keys": keys,
                "NewImage": image },
        })
    };
    let projector = Projector { store: app.system.store.clone(), clock: app.time.clock() };
    // The first two are one batch that came twice; of the others each is another one.
    for numbers in [["7", "8", "9"], ["7", "8", "9"], ["7", "8", "10"], ["6", "8", "9"]] {
        let event: Event = serde_json::from_value(serde_json::json!({ "Records": numbers.map(record) })).unwrap();
        projector.handle(event).await.unwrap();
    }
    let total = app.system.store.hour_total(Unit::Usd, tests::time(tests::BEGIN).hour()).await.unwrap();
    assert_eq!(total.server_hours, 1 + 3 * 3);
    let expires = (app.time.now().secs() + 3 * 86_400).to_string();
    for name in ["STREAM#7-9", "STREAM#7-10", "STREAM#6-9"] {
        let markers = items(&app, name).await;
        assert_eq!(markers.len(), 1, "{name}");
        assert_eq!((markers[0]["sk"].as_s().unwrap().as_str(), markers[0]["ttl"].as_n()), ("0000", Ok(&expires)));
    }
}

#[tokio::test]
async fn a_record_without_a_number_or_a_page_that_cannot_be_read_fails_the_batch() {
    let app = TestApp::new().await;
    let projector = Projector { store: app.system.store.clone(), clock: app.time.clock() };
    let event = |number: &str, page: &str| -> Event {
        serde_json::from_value(serde_json::json!({ "Records": [{
            "awsRegion": "eu-1", "eventID": "1", "eventName": "INSERT",
            "dynamodb": { "ApproximateCreationDateTime": 1, "SizeBytes": 1, "SequenceNumber": number,
                "Keys": { "pk": { "S": "WALLET#c#usd#0" }, "sk": { "N": "1" } },
                "NewImage": { "pk": { "S": "WALLET#c#usd#0" }, "sk": { "N": "1" }, "p": { "B": page } } },
        }] }))
        .unwrap()
    };
    assert!(projector.handle(event("1", "AAAA")).await.is_err());
    let mut unnumbered = event("1", "AAAA");
    unnumbered.records[0].change.sequence_number = None;
    assert!(projector.handle(unnumbered).await.is_err());
    assert!(projector.handle(Event::default()).await.is_ok());
}
