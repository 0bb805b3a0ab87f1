//! Every sample in `events/` goes through the handler it is for.

use aws_lambda_events::sqs::SqsEvent;
use biller::Biller;
use lambda_http::request::LambdaRequest;
use projector::Projector;
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tests::{TestApp, time};
use tower::ServiceExt;

fn sample(name: &str) -> serde_json::Value {
    let text = fs::read_to_string(tests::root().join("events").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn each_sample_has_its_test_here() {
    let files: BTreeSet<String> = fs::read_dir(tests::root().join("events"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let tested = [
        "biller-jobs.json",
        "health-billing-daemon.json",
        "health-get.json",
        "metering-schedule.json",
        "metering-shard.json",
        "projector-stream.json",
    ];
    assert_eq!(files, tested.map(str::to_owned).into());
}

async fn app() -> TestApp {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    // The samples are about this hour.
    app.time.set(time("2026-11-01T01:00:10Z"));
    app
}

#[tokio::test]
async fn metering_takes_its_schedule_and_its_shard() {
    let app = app().await;
    app.system.metering.handle(sample("metering-schedule.json")).await.unwrap();
    assert_eq!(app.system.shards.all().unwrap().len(), 64);
    let answer = app.system.metering.handle(sample("metering-shard.json")).await.unwrap();
    assert_eq!(answer["batchItemFailures"].as_array().map(Vec::len), Some(0));
    let run = app.system.store.run_last().await.unwrap().unwrap();
    assert_eq!((run.through.to_string().as_str(), run.shards_done.count_ones()), ("2026-11-01T01:00:00Z", 1));
}

#[tokio::test]
async fn the_biller_bills_the_worked_example() {
    let app = app().await;
    let biller = Biller::new(app.system.store.clone(), Arc::new(app.system.parked.clone()), app.time.clock());
    let event: SqsEvent = serde_json::from_value(sample("biller-jobs.json")).unwrap();
    let response = biller.handle(event, Duration::from_secs(60)).await;
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(app.balance("cus_1").await, -20_548);
    // The projector's sample is this page.
    let item = store::encode_page(&app.pages("cus_1").await[0]).unwrap();
    let page = item[store::PAGE_ATTRIBUTE].as_b().map(aws_smithy_types::base64::encode).unwrap();
    let stream = sample("projector-stream.json");
    assert_eq!(stream["Records"][0]["dynamodb"]["NewImage"]["p"]["B"], page.as_str());
}

#[tokio::test]
async fn the_projector_adds_the_page_the_biller_wrote() {
    let app = app().await;
    let projector = Projector { store: app.system.store.clone(), clock: app.time.clock() };
    projector.handle(serde_json::from_value(sample("projector-stream.json")).unwrap()).await.unwrap();
    let total = app.system.store.hour_total(domain::Unit::Usd, time("2026-11-01T00:00:00Z").hour()).await.unwrap();
    assert_eq!((total.server_hours, total.amount_steps), (1, 6_849));
}

#[tokio::test]
async fn health_answers_its_requests() {
    let app = app().await;
    for (name, status) in [("health-get.json", "ok"), ("health-billing-daemon.json", "never_run")] {
        let request: LambdaRequest = serde_json::from_value(sample(name)).unwrap();
        let router =
            health::router(health::Health { store: app.system.store.clone(), clock: app.time.clock(), monitors: None });
        let request = lambda_http::Request::from(request).map(|body| axum::body::Body::from(body.to_vec()));
        let response = router.oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["status"], status, "{name}");
    }
}
