//! DynamoDB throttles, or is not there at all: every handler tries within bounds, then says so, and nothing is doubled.

use super::biller::{LONG, biller, failures, messages};
use aws_lambda_events::dynamodb::Event;
use domain::Unit;
use domain::account::Role;
use skymeter::chaos::{Chaos, Rates, Tamper};
use skymeter::embedded::Call;
use skymeter::system::event;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tests::{Answer, CENT, TestApp, ask, registered};

/// Counts the calls that arrive.
#[derive(Clone, Debug, Default)]
struct Arrived(Arc<AtomicUsize>);

impl Tamper for Arrived {
    fn request(&self, _: &mut Call) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A fault that happens to every call while the chaos is not quiet; a server that is due, and the calls that arrived.
async fn with(rates: Rates) -> (TestApp, Arc<Chaos>, Arrived) {
    let arrived = Arrived::default();
    let chaos = Arc::new(Chaos::tampered(1, rates, Box::new(arrived.clone())));
    let mut app = TestApp::with(None, Some(Arc::clone(&chaos))).await;
    app.allow_leftovers();
    chaos.set_quiet(true);
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass(1);
    (app, chaos, arrived)
}

#[tokio::test]
async fn where_every_call_is_throttled_each_handler_says_so_and_does_its_work_later_once() {
    let (app, chaos, _) = with(Rates { throttled: 1_000, ..Rates::NONE }).await;
    let system = &app.system;

    chaos.set_quiet(false);
    let refused = system.metering.open_run(app.time.now()).await.unwrap_err().to_string();
    assert!(refused.contains("UpdateItem") && refused.contains("ProvisionedThroughputExceeded"), "{refused}");
    assert!(system.shards.all().unwrap().is_empty());
    chaos.set_quiet(true);
    system.metering.open_run(app.time.now()).await.unwrap();
    let shards = providers::Queue::receive(&system.shards, 10).await.unwrap();
    chaos.set_quiet(false);
    let answer = system.metering.handle_shards(event(&shards)).await;
    assert_eq!(answer.batch_item_failures.len(), shards.len());
    assert!(system.jobs.all().unwrap().is_empty());
    chaos.set_quiet(true);
    app.pass_secs(721);
    let bodies = messages(&app).await;

    let biller = biller(&app);
    let (health, admin) = (health::router(app.kit(health::AREA)), app.sign_in("usr_admin", Role::Admin).await);
    chaos.set_quiet(false);
    assert_eq!(failures(&biller, &bodies, LONG).await.len(), bodies.len());
    let Answer { status, json: problem, .. } =
        ask(&health, "GET", "/api/health/billing-daemon", Some(&admin), None).await;
    assert_eq!((status, problem["code"].as_str()), (503, Some("unavailable")));
    assert!(!problem.to_string().contains("Throughput"), "{problem}");
    assert_eq!(app.get("/health").await.unwrap().0, 200);
    chaos.set_quiet(true);
    assert!(app.pages("cus-1").await.is_empty());
    assert!(failures(&biller, &bodies, LONG).await.is_empty());
    assert_eq!((app.pages("cus-1").await.len(), app.balance("cus-1").await), (1, -CENT));

    let sample = std::fs::read_to_string(tests::root().join("events/projector-stream.json")).unwrap();
    let stream: Event = serde_json::from_str(&sample).unwrap();
    let projector = projector::Projector { store: system.store.clone(), clock: app.time.clock() };
    chaos.set_quiet(false);
    assert!(projector.handle(stream.clone()).await.is_err());
    chaos.set_quiet(true);
    for _ in 0..2 {
        projector.handle(stream.clone()).await.unwrap();
    }
    let hour = tests::time("2026-11-01T00:00:00Z").hour();
    assert_eq!(system.store.hour_total(Unit::Usd, hour).await.unwrap().server_hours, 1);
    app.verify().await;
}

#[tokio::test]
async fn a_call_whose_answer_is_always_lost_is_tried_four_times_and_not_more() {
    let (app, chaos, arrived) = with(Rates { unanswered: 1_000, ..Rates::NONE }).await;
    let bodies = messages(&app).await;
    assert_eq!(bodies.len(), 1);
    let before = arrived.0.load(Ordering::Relaxed);
    chaos.set_quiet(false);
    assert_eq!(failures(&biller(&app), &bodies, LONG).await.len(), bodies.len());
    chaos.set_quiet(true);
    // All of them were for the newest page: nothing is written before the chain could be read.
    assert_eq!(arrived.0.load(Ordering::Relaxed) - before, 4);
    assert!(app.pages("cus-1").await.is_empty());
    assert!(failures(&biller(&app), &bodies, LONG).await.is_empty());
    assert_eq!(app.balance("cus-1").await, -CENT);
    app.verify().await;
}
