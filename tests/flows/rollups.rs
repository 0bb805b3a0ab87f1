//! Totals: a batch counts once, and the ledger gives the same figures.

use aws_lambda_events::dynamodb::Event;
use domain::Unit;
use projector::Projector;
use skymeter::check::roll_up;
use store::Rollups;
use tests::{CENT, TestApp, registered};

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
    let client = app.system.store.client();
    let query = client
        .query()
        .table_name(&app.system.store.tables().main)
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", aws_sdk_dynamodb::types::AttributeValue::S("EVENT#LOW_BALANCE".into()));
    let items = query.send().await.unwrap().items.unwrap();
    let keys: Vec<_> = items.iter().map(|item| item["sk"].as_s().unwrap().clone()).collect();
    assert_eq!(keys, ["cus-1#usd#0#0#1"]);
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
