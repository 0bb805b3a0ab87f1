//! Every sample in `events/` goes through the handler it is for.

use aws_lambda_events::sqs::SqsEvent;
use axum::Router;
use axum::body::Body;
use biller::Biller;
use domain::account::Role;
use lambda_http::request::LambdaRequest;
use projector::Projector;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tests::{Answer, TestApp, send, time};

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
        "admin-users.json",
        "auth-login.json",
        "biller-jobs.json",
        "billing-balance.json",
        "health-billing-daemon.json",
        "health-get.json",
        // These three in `flows/mail.rs`.
        "lifecycle-schedule.json",
        "mailer-bounce.json",
        "mailer-mails.json",
        "metering-schedule.json",
        "metering-shard.json",
        "payments-list.json",
        "projector-stream.json",
        "webhooks-stripe.json",
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

/// A sample as Lambda hands it over, for whoever has that token. It must come from a route of the template.
async fn answered(router: Router, name: &str, token: &str) -> Answer {
    let mut event = sample(name);
    if event["headers"]["authorization"].is_string() {
        event["headers"]["authorization"] = format!("Bearer {token}").into();
    }
    if event["routeKey"] != "$default" {
        let template = fs::read_to_string(tests::root().join("template.yaml")).unwrap();
        let route = event["routeKey"].as_str().unwrap();
        assert!(template.contains(&format!("RouteKey: {route}\n")), "{name}: {route}");
    }
    let request: LambdaRequest = serde_json::from_value(event).unwrap();
    let request = lambda_http::Request::from(request).map(|body| Body::from(body.to_vec()));
    send(&router, request).await
}

#[tokio::test]
async fn health_answers_its_requests() {
    let app = app().await;
    let admin = app.sign_in("usr_admin", Role::Admin).await;
    for (name, status) in [("health-get.json", "ok"), ("health-billing-daemon.json", "never_run")] {
        let answer = answered(health::router(app.kit(health::AREA)), name, &admin).await;
        assert_eq!(answer.json["status"], status, "{name}");
    }
}

#[tokio::test]
async fn the_areas_answer_their_requests() {
    let app = app().await;
    let shop = app.shop().await.shop;
    // Who signs in with the sample, and who asks with the others.
    app.register_and_verify(&auth::router(shop.auth.clone()), "ada@example.com").await;
    let (user, admin) = (app.sign_in("usr_1", Role::User).await, app.sign_in("usr_2", Role::Admin).await);
    let signed_in = answered(auth::router(shop.auth), "auth-login.json", "").await;
    assert!(signed_in.status == 200 && signed_in.json["access_token"].is_string(), "{}", signed_in.json);
    let balance = answered(billing::router(shop.billing), "billing-balance.json", &user).await;
    assert_eq!(balance.json["custom_credits"]["amount"], "0.00", "{}", balance.json);
    let payments = answered(payments::router(shop.payments), "payments-list.json", &user).await;
    assert_eq!(payments.json, json!({ "data": [], "next_cursor": null }));
    let users = answered(admin::router(shop.admin), "admin-users.json", &admin).await;
    assert_eq!(users.json["data"][0]["email"], "ada@example.com", "{}", users.json);
}

#[tokio::test]
async fn webhooks_take_an_event_that_is_signed_and_park_what_is_nobodys() {
    let app = app().await;
    let shop = app.shop().await;
    let router = || webhooks::router(app.kit(webhooks::AREA), shop.shop.cashier.clone());
    assert_eq!(answered(router(), "webhooks-stripe.json", "").await.json, json!({ "received": true }));
    let parked = app.system.store.unmatched_list(None, None, 10).await.unwrap().data;
    assert_eq!(parked.iter().map(|(one, _)| one.told.object.as_str()).collect::<Vec<_>>(), ["pi_3Q1sample"]);
    // Its signature holds for five minutes.
    app.pass_secs(600);
    assert_eq!(answered(router(), "webhooks-stripe.json", "").await.status, 400);
}
