//! `/api/admin/cron/...` and `/api/admin/runs`.

use super::{ADMIN, Desk, code};
use domain::job::RunMessage;
use providers::{FollowsSetting, Queue, QueueError};
use serde_json::json;
use skymeter::chaos::{Chaos, Rates};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tests::{CENT, TestApp, ended, id, registered};

const TRIGGER: &str = "cron/trigger-hourly-billing";

async fn desk() -> Desk {
    let desk = Desk::new().await;
    let facts: Vec<_> =
        (0..5).map(|n| registered(&format!("srv-{n}"), &format!("usr_{}", n % 2), desk.app.at(1))).collect();
    desk.app.tell(&facts).await;
    desk
}

#[tokio::test]
async fn a_run_by_hand_is_the_run_of_the_schedule_and_twice_is_as_once() {
    let (by_hand, on_schedule) = (desk().await, desk().await);
    for desk in [&by_hand, &on_schedule] {
        desk.app.pass(3);
    }
    on_schedule.app.bill().await;
    for _ in 0..3 {
        let answer = by_hand.post(TRIGGER, json!({})).await;
        assert_eq!(
            (answer.status, &answer.json),
            (202, &json!({ "status": "accepted", "hour": "2026-11-10T03:00:00Z" }))
        );
    }
    by_hand.app.system.pump(&|_| {}).await.unwrap();
    for customer in ["usr_0", "usr_1"] {
        assert_eq!(by_hand.app.pages(customer).await, on_schedule.app.pages(customer).await);
    }
    assert_eq!(by_hand.app.balance("usr_0").await, -9 * CENT);
    by_hand.app.bill().await;
    assert_eq!(by_hand.app.balance("usr_0").await, -9 * CENT);
    by_hand.app.verify().await;
    let records = by_hand.audit("billing.trigger").await;
    assert_eq!((records.len(), records[0].object.as_str()), (3, "run/2026-11-10T03:00:00Z"));
    assert_eq!(records[0].actor.as_str(), ADMIN);
}

#[tokio::test]
async fn a_message_that_nobody_answered_for_is_redriven_like_any_other() {
    let mut desk = desk().await;
    desk.app.allow_leftovers();
    desk.app.pass(2);
    let letter = serde_json::to_string(&RunMessage { run_at: desk.app.at(61) }).unwrap();
    let [shards_dead, jobs_dead] = &desk.app.system.dead;
    shards_dead.send(vec![letter]).await.unwrap();
    let done = desk.app.system.metering.redrive(&[shards_dead, jobs_dead]).await.unwrap();
    assert_eq!((done.replaced, done.unreadable), (1, 0));
    desk.app.system.pump(&|_| {}).await.unwrap();
    assert_eq!(desk.app.balance("usr_0").await, -6 * CENT);
}

#[tokio::test]
async fn where_the_queue_takes_nothing_the_caller_is_told_and_may_ask_again() {
    let app = TestApp::new().await;
    let desk = Desk::with(app, Arc::new(FollowsSetting)).await;
    let router = admin::router(admin::State {
        kit: desk.app.kit(admin::AREA),
        scheduler: Arc::new(FollowsSetting),
        metering: Arc::new(Closed),
    });
    let broken = Desk { router, ..desk };
    let answer = broken.keyed("POST", TRIGGER, "k", json!({})).await;
    assert_eq!(code(&answer), (503, "unavailable"));
    let metering: Arc<dyn Queue> = Arc::new(broken.app.system.shards.clone());
    let state = admin::State { kit: broken.app.kit(admin::AREA), scheduler: Arc::new(FollowsSetting), metering };
    let desk = Desk { router: admin::router(state), ..broken };
    assert_eq!(desk.keyed("POST", TRIGGER, "k", json!({})).await.status, 202);
    let again = desk.keyed("POST", TRIGGER, "k", json!({})).await;
    assert_eq!(again.headers.get("idempotency-replayed").map(String::as_str), Some("true"));
    assert_eq!(desk.app.system.shards.all().unwrap().len(), 1);
    desk.app.system.pump(&|_| {}).await.unwrap();
}

/// A queue that takes nothing.
#[derive(Debug)]
struct Closed;

#[async_trait::async_trait]
impl Queue for Closed {
    async fn send(&self, _: Vec<String>) -> Result<(), QueueError> {
        Err(QueueError::new("send", "broken on purpose"))
    }

    async fn receive(&self, _: usize) -> Result<Vec<providers::Received>, QueueError> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: Vec<String>) -> Result<(), QueueError> {
        Ok(())
    }

    async fn depth(&self) -> Result<providers::Depth, QueueError> {
        Ok(providers::Depth::default())
    }
}

#[tokio::test]
async fn the_status_tells_how_the_last_run_went_and_when_one_is_late() {
    let desk = desk().await;
    let status = desk.get("cron/status").await;
    assert_eq!(
        (status.status, &status.json),
        (
            200,
            &json!({
                "enabled": true, "schedule": "0 * * * *", "timezone": "UTC", "hours_per_month": 730,
                "next_run": "2026-11-10T01:00:00Z", "last_run": null, "status": "never_run", "in_sync": true,
                "deployed_schedule": null, "deployed_enabled": null, "logs": [],
            })
        )
    );
    desk.app.hours(1).await;
    let told = async || {
        let status = desk.get("cron/status").await.json;
        status["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(told().await, "ok");
    // Due at two, late at half past.
    desk.app.pass_secs(90 * 60 - 5);
    assert_eq!(told().await, "ok");
    desk.app.pass_secs(1);
    assert_eq!(told().await, "late");
    // With a schedule of its own, a day without a run is none too many.
    desk.put("settings/server_hourly_billing_cron_schedule", json!({ "value": "0 1 * * *" })).await;
    desk.app.pass(22);
    assert_eq!(told().await, "ok");
    desk.app.pass(2);
    assert_eq!(told().await, "late");
    desk.app.system.metering.open_run(desk.app.time.now()).await.unwrap();
    assert_eq!(told().await, "running");
    desk.app.system.pump(&|_| {}).await.unwrap();
    assert_eq!(told().await, "ok");
    assert_eq!(desk.get("cron/status").await.json["logs"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn runs_are_listed_with_what_their_hour_was_billed() {
    let desk = desk().await;
    desk.app.hours(26).await;
    let all = desk.get("runs?limit=100").await;
    let rows = all.json["data"].as_array().unwrap();
    assert_eq!((rows.len(), &all.json["next_cursor"]), (26, &json!(null)));
    let mut hours = Vec::new();
    let mut path = "runs?limit=10".to_owned();
    loop {
        let page = desk.get(&path).await;
        hours.extend(page.json["data"].as_array().unwrap().iter().map(|row| row["hour"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.json["next_cursor"].as_str() else { break };
        path = format!("runs?limit=10&cursor={cursor}");
    }
    assert_eq!(hours, rows.iter().map(|row| row["hour"].as_str().unwrap()).collect::<Vec<_>>());
    assert!(hours.is_sorted_by(|a, b| a > b));
    let one = desk.get("runs/2026-11-10T03:00:00Z").await;
    assert_eq!(
        (one.status, &one.json),
        (
            200,
            &json!({
                "hour": "2026-11-10T03:00:00Z", "status": "ok", "opened_at": "2026-11-10T03:00:05Z",
                "heartbeat_at": "2026-11-10T03:00:05Z", "shards_done": 64, "jobs": 5, "jobs_expired": 0, "parked": [],
                "error": null, "server_hours": 5,
                "amounts": [{ "amount": "0.05", "unit": "usd" }, { "amount": "0.00", "unit": "token" }],
            })
        )
    );
    assert_eq!(rows[23], one.json);
    for path in ["runs/2026-11-11T03:00:00Z", "runs/2026-11-10T03:00:01Z", "runs/yesterday", "runs/412345"] {
        assert_eq!(code(&desk.get(path).await), (404, "not_found"), "{path}");
    }
    for query in ["limit=0", "cursor=AAAA", "from=2026-11-10"] {
        assert_eq!(desk.get(&format!("runs?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn a_run_that_failed_says_why() {
    let flag = Arc::new(AtomicBool::new(false));
    let tamper = super::Refusing("Query", "FLEET#", Arc::clone(&flag));
    let app = TestApp::with(None, Some(Arc::new(Chaos::tampered(1, Rates::NONE, Box::new(tamper))))).await;
    let desk = Desk::with(app, Arc::new(FollowsSetting)).await;
    desk.app.tell(&[registered("srv-1", "usr_1", desk.app.at(1))]).await;
    desk.app.pass(1);
    flag.store(true, Ordering::Relaxed);
    desk.app.bill().await;
    let run = desk.get("runs/2026-11-10T01:00:00Z").await.json;
    assert_eq!((&run["status"], &run["shards_done"]), (&json!("failed"), &json!(0)));
    assert!(run["error"].as_str().unwrap().contains("Query"), "{run}");
    assert_eq!(desk.get("cron/status").await.json["status"], json!("failed"));
    flag.store(false, Ordering::Relaxed);
    desk.app.tell(&[ended("srv-1", desk.app.at(55))]).await;
    desk.app.pass_secs(31);
    desk.app.system.pump(&|_| {}).await.unwrap();
    let run = desk.get("runs/2026-11-10T01:00:00Z").await.json;
    assert_eq!((&run["status"], &run["server_hours"]), (&json!("ok"), &json!(1)));
    assert_eq!(id("usr_1").as_str(), "usr_1");
}
