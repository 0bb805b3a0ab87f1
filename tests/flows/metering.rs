//! Runs: what is due, how it is packed, and that running twice does no harm.

use domain::job::{JobMessage, MAX_MESSAGE_BYTES};
use domain::time::HOUR_SECS;
use metering::MeteringError;
use serde_json::json;
use std::collections::BTreeMap;
use tests::{CENT, TestApp, registered};

#[tokio::test]
async fn a_run_sends_one_message_per_shard_to_itself_and_is_dispatched_when_all_are_listed() {
    let app = TestApp::new().await;
    app.pass(1);
    let through = app.system.metering.open_run(app.time.now()).await.unwrap();
    assert_eq!(app.system.shards.all().unwrap().len(), 64);
    assert!(!app.system.store.run_get(through).await.unwrap().unwrap().is_dispatched());
    app.system.pump_shards().await.unwrap();
    let run = app.system.store.run_last().await.unwrap().unwrap();
    assert!(run.is_dispatched() && run.is_success());
    assert_eq!((run.through, run.jobs), (through, 0));
}

#[tokio::test]
async fn a_customers_servers_travel_together_in_messages_within_the_bound() {
    let app = TestApp::new().await;
    // The order of the servers is not that of their customers.
    let facts: Vec<_> =
        (0..3_000).map(|n| registered(&format!("srv-{n:05}"), &format!("cus-{}", n % 60), app.at(1))).collect();
    app.tell(&facts).await;
    app.pass(1);
    app.system.metering.open_run(app.time.now()).await.unwrap();
    app.system.pump_shards().await.unwrap();
    let bodies = app.system.jobs.all().unwrap();
    assert!(bodies.iter().all(|body| body.len() <= MAX_MESSAGE_BYTES));
    let mut messages_of: BTreeMap<String, usize> = BTreeMap::new();
    let mut jobs = 0;
    for body in &bodies {
        let message: JobMessage = serde_json::from_str(body).unwrap();
        for lane in message.lanes {
            jobs += lane.jobs.len();
            *messages_of.entry(lane.customer.to_string()).or_default() += 1;
        }
    }
    assert_eq!((jobs, messages_of.len()), (3_000, 60));
    assert!(messages_of.values().all(|count| *count == 1), "{messages_of:?}");
    app.system.pump(&|_| {}).await.unwrap();
    app.verify().await;
}

#[tokio::test]
async fn a_full_lane_of_five_hundred_fits_one_message() {
    let app = TestApp::new().await;
    let facts: Vec<_> = (0..500).map(|n| registered(&format!("srv-{n:05}"), "cus-1", app.at(1))).collect();
    app.tell(&facts).await;
    app.pass(1);
    app.system.metering.open_run(app.time.now()).await.unwrap();
    app.system.pump_shards().await.unwrap();
    assert_eq!(app.system.jobs.all().unwrap().len(), 1);
    app.system.pump(&|_| {}).await.unwrap();
    app.verify().await;
}

#[tokio::test]
async fn only_servers_that_are_due_get_a_job() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    // A run in the hour the server was registered in: nothing of it has ended yet.
    app.pass_secs(1_800);
    app.bill().await;
    assert_eq!(app.system.store.run_last().await.unwrap().unwrap().jobs, 0);
    app.tell(&[registered("srv-2", "cus-1", app.at(70))]).await;
    app.hours(1).await;
    assert_eq!(app.system.store.run_last().await.unwrap().unwrap().jobs, 1);
    app.verify().await;
}

#[tokio::test]
async fn two_schedulers_and_a_trigger_by_hand_bill_nothing_twice() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass(1);
    for _ in 0..3 {
        app.system.metering.open_run(app.time.now()).await.unwrap();
    }
    app.system.pump(&|_| {}).await.unwrap();
    assert_eq!((app.pages("cus-1").await.len(), app.balance("cus-1").await), (1, -CENT));
    app.verify().await;
}

#[tokio::test]
async fn a_missed_schedule_is_back_filled_on_one_page() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.hours(1).await;
    app.pass(30);
    app.bill().await;
    let pages = app.pages("cus-1").await;
    assert_eq!((pages.len(), pages[1].lines[0].hours()), (2, 30));
    app.verify().await;
}

#[tokio::test]
async fn the_hour_comes_from_the_scheduled_time_and_one_that_lies_ahead_is_refused() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass(3);
    let late = json!({ "time": app.hour().minus(1).start().to_string(), "detail": "{}" });
    app.system.metering.handle(late).await.unwrap();
    app.system.pump(&|_| {}).await.unwrap();
    assert_eq!(app.balance("cus-1").await, -2 * CENT);
    let ahead = json!({ "time": app.time.now().plus_secs(HOUR_SECS).to_string() });
    assert!(matches!(app.system.metering.handle(ahead).await, Err(MeteringError::TooEarly { .. })));
    assert!(app.system.shards.all().unwrap().is_empty());
}

#[tokio::test]
async fn hours_while_billing_was_off_are_never_billed() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.hours(2).await;
    app.pass_secs(600);
    // Switched within an hour: the hour that has begun is billed.
    app.system.store.billing_switch(false, app.time.now()).await.unwrap();
    app.hours(4).await;
    app.system.store.billing_switch(true, app.time.now()).await.unwrap();
    app.hours(2).await;
    assert_eq!(app.balance("cus-1").await, -(3 + 1) * CENT);
    app.verify().await;
}

#[tokio::test]
async fn billing_is_off_until_somebody_switches_it_on() {
    let time = skymeter::commands::replay::SimulatedClock::new(tests::time(tests::BEGIN));
    let system = skymeter::system::System::open(None, time.clock(), None).await.unwrap();
    system.store.plan_put(&tests::plan(tests::PLAN, "7.30", domain::plan::Metering::Hourly)).await.unwrap();
    system.store.fleet_apply(&[registered("srv-1", "cus-1", time.now())], time.now()).await.unwrap();
    time.set(time.now().plus_secs(2 * HOUR_SECS));
    system.bill(time.now(), &|_| {}).await.unwrap();
    let (proof, totals) = skymeter::check::prove(&system.store).await.unwrap();
    assert!(proof.holds() && proof.pages == 0 && totals.is_empty());
}

#[tokio::test]
async fn a_shard_message_that_does_not_parse_fails_alone() {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    app.pass(1);
    let event = json!({ "Records": [
        { "messageId": "bad", "body": "?", "awsRegion": "x" },
        { "messageId": "good", "body": format!("{{\"through\":{},\"shard\":3}}", app.hour().number()), "awsRegion": "x" },
    ] });
    let answer = app.system.metering.handle(event).await.unwrap();
    assert_eq!(answer["batchItemFailures"], json!([{ "itemIdentifier": "bad" }]));
}

#[tokio::test]
async fn what_failed_in_an_earlier_try_is_no_failure_of_the_run() {
    let app = TestApp::new().await;
    app.pass(1);
    let store = &app.system.store;
    let through = app.system.metering.open_run(app.time.now()).await.unwrap();
    store.run_failed(through, 3, "DynamoDB was away", app.time.now()).await.unwrap();
    let body = app.billing_daemon().await.json;
    assert_eq!((body["status"].as_str(), body["errorMessage"].as_str()), (Some("failed"), Some("DynamoDB was away")));
    app.system.pump_shards().await.unwrap();
    let body = app.billing_daemon().await.json;
    assert_eq!((body["status"].as_str(), body["errorMessage"].as_str()), (Some("ok"), None));
}
