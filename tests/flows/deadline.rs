//! The biller's time: what it does not reach is reported, and done the next time.

use super::biller::{LONG, biller, failures, messages};
use super::broken::Broken;
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use biller::{ANSWER_RESERVE, Biller, DEADLINE_RESERVE};
use skymeter::embedded::Call;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Area, Store, StoreConfig};
use tests::{CENT, TestApp, ended, registered};

/// A DynamoDB that never answers calls whose text holds one of these words. They are carried out.
#[derive(Clone, Debug)]
struct Hanging {
    inner: SharedHttpClient,
    words: &'static [(&'static str, &'static str)],
}

impl HttpClient for Hanging {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(HangingConnector { inner, words: self.words })
    }
}

#[derive(Debug)]
struct HangingConnector {
    inner: SharedHttpConnector,
    words: &'static [(&'static str, &'static str)],
}

impl HttpConnector for HangingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = Call::read(&request).unwrap();
        let hangs = self.words.iter().any(|(operation, word)| call.operation == *operation && call.body.contains(word));
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            if hangs {
                std::future::pending::<()>().await;
            }
            answer
        })
    }
}

fn hanging(app: &TestApp, words: &'static [(&'static str, &'static str)]) -> Biller {
    let sdk = &app.system.sdk;
    let inner = sdk.http_client().unwrap();
    let sdk = sdk.to_builder().http_client(Hanging { inner, words }).build();
    let store = Store::new(StoreConfig { sdk, tables: app.system.store.tables().clone() });
    Biller::new(store, Arc::new(app.system.parked.clone()), app.time.clock())
}

/// Ten customers of a server each, their messages, and which of these hold a customer's job.
async fn ten_customers(app: &TestApp) -> Vec<String> {
    let facts: Vec<_> = (0..10).map(|n| registered(&format!("srv-{n}"), &format!("cus-{n}"), app.at(1))).collect();
    app.tell(&facts).await;
    app.pass(1);
    messages(app).await
}

fn with(bodies: &[String], customers: &[&str]) -> Vec<String> {
    let holds = |body: &String| customers.iter().any(|customer| body.contains(&format!("\"{customer}\"")));
    let indexes = bodies.iter().enumerate().filter(|(_, body)| holds(body));
    indexes.map(|(index, _)| index.to_string()).collect()
}

#[tokio::test]
async fn without_time_for_the_lanes_every_message_comes_again_and_nothing_is_read() {
    let app = TestApp::new().await;
    let bodies = ten_customers(&app).await;
    let (biller, reads) = (biller(&app), app.system.store.capacity().units(Area::Ledger).reads);
    for time in [Duration::ZERO, DEADLINE_RESERVE] {
        assert_eq!(failures(&biller, &bodies, time).await.len(), bodies.len());
    }
    assert_eq!(app.system.store.capacity().units(Area::Ledger).reads, reads);
    assert!(app.pages("cus-1").await.is_empty());
    assert!(failures(&biller, &bodies, LONG).await.is_empty());
    app.verify().await;
}

#[tokio::test]
async fn a_lane_that_hangs_is_given_up_and_its_messages_come_again() {
    let app = TestApp::new().await;
    let bodies = ten_customers(&app).await;
    // One page is written and nobody learns of it; another newest page is not even read.
    let slow = hanging(&app, &[("PutItem", "WALLET#cus-3#"), ("Query", "WALLET#cus-5#")]);
    let (began, time) = (Instant::now(), DEADLINE_RESERVE + Duration::from_millis(500));
    let failed = failures(&slow, &bodies, time).await;
    assert!(began.elapsed() < time - ANSWER_RESERVE, "{:?}", began.elapsed());
    assert_eq!(failed, with(&bodies, &["cus-3", "cus-5"]));
    assert_eq!(app.proof().await.due.len(), 1);
    assert_eq!((app.balance("cus-3").await, app.balance("cus-5").await), (-CENT, 0));
    // Another delivery finds what was done, and does what was not.
    assert!(failures(&biller(&app), &bodies, LONG).await.is_empty());
    for n in 0..10 {
        assert_eq!(app.pages(&format!("cus-{n}")).await.len(), 1);
    }
    app.verify().await;
}

#[tokio::test]
async fn parking_that_hangs_is_given_up_and_its_messages_come_again() {
    let app = TestApp::new().await;
    let biller = Biller::new(app.system.store.clone(), Arc::new(Broken::Hangs), app.time.clock());
    let time = ANSWER_RESERVE + Duration::from_millis(300);
    let began = Instant::now();
    assert_eq!(failures(&biller, &["not json".to_owned()], time).await, ["0"]);
    assert!(began.elapsed() < time, "{:?}", began.elapsed());
}

/// It waits for as long as the reserve lets it: seconds.
#[tokio::test]
async fn closing_that_hangs_is_given_up_and_done_with_the_next_delivery() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1)), registered("srv-2", "cus-2", app.at(1))]).await;
    app.tell(&[ended("srv-1", app.at(5))]).await;
    app.pass(1);
    let bodies = messages(&app).await;
    let slow = hanging(&app, &[("BatchGetItem", "srv-1")]);
    let (began, time) = (Instant::now(), DEADLINE_RESERVE + Duration::from_millis(500));
    assert_eq!(failures(&slow, &bodies, time).await, with(&bodies, &["cus-1"]));
    assert!(began.elapsed() < time, "{:?}", began.elapsed());
    let (shard, open) = (domain::run::shard_of(&tests::id("cus-1")), &app.system.store);
    assert_eq!(open.fleet_page(shard, None).await.unwrap().tenures.len(), 1);
    assert!(failures(&biller(&app), &bodies, LONG).await.is_empty());
    assert!(open.fleet_page(shard, None).await.unwrap().tenures.is_empty());
    assert_eq!(app.pages("cus-1").await.len(), 1);
    app.verify().await;
}
