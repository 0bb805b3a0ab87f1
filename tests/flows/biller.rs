//! The biller's batches: what is parked, what comes again, what is done.

use super::broken::{Broken, Refusing};
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use biller::Biller;
use domain::job::{JobMessage, Parked};
use domain::plan::Metering;
use providers::Queue;
use serde_json::{Value, json};
use skymeter::chaos::{Chaos, Rates, Tamper};
use skymeter::embedded::{Answer, Call};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tests::{CENT, TestApp, id, registered};

pub const LONG: Duration = Duration::from_secs(60);

fn event(bodies: &[String]) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = bodies
        .iter()
        .enumerate()
        .map(|(i, body)| {
            let mut message = SqsMessage::default();
            message.message_id = Some(i.to_string());
            message.body = Some(body.clone());
            message
        })
        .collect();
    event
}

pub fn biller(app: &TestApp) -> Biller {
    Biller::new(app.system.store.clone(), Arc::new(app.system.parked.clone()), app.time.clock())
}

/// The messages of a run, taken off the queue before anybody bills them.
pub async fn messages(app: &TestApp) -> Vec<String> {
    app.system.metering.open_run(app.time.now()).await.unwrap();
    app.system.pump_shards().await.unwrap();
    let mut bodies = Vec::new();
    loop {
        let received = app.system.jobs.receive(10).await.unwrap();
        if received.is_empty() {
            return bodies;
        }
        let receipts = received.iter().map(|m| m.receipt.clone()).collect();
        bodies.extend(received.into_iter().map(|m| m.body));
        app.system.jobs.delete(receipts).await.unwrap();
    }
}

pub async fn failures(biller: &Biller, bodies: &[String], time: Duration) -> Vec<String> {
    let response = biller.handle(event(bodies), time).await;
    response.batch_item_failures.into_iter().map(|f| f.item_identifier).collect()
}

pub fn parked(app: &TestApp) -> Vec<Parked> {
    app.system.parked.all().unwrap().iter().map(|body| serde_json::from_str(body).unwrap()).collect()
}

#[tokio::test]
async fn a_duplicate_a_late_and_a_reordered_job_write_no_page() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1)), registered("srv-2", "cus-1", app.at(1))]).await;
    app.pass(1);
    let first = messages(&app).await;
    app.pass(1);
    let second = messages(&app).await;
    let biller = biller(&app);
    assert!(failures(&biller, &second, LONG).await.is_empty());
    assert!(failures(&biller, &first, LONG).await.is_empty());
    assert!(failures(&biller, &[second, first].concat(), LONG).await.is_empty());
    assert_eq!(app.pages("cus-1").await.len(), 1);
    assert_eq!(app.balance("cus-1").await, -4 * CENT);
    app.verify().await;
}

#[tokio::test]
async fn a_lost_message_is_healed_by_the_next_run() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass(3);
    drop(messages(&app).await);
    app.hours(1).await;
    assert_eq!(app.balance("cus-1").await, -4 * CENT);
    app.verify().await;
}

#[tokio::test]
async fn a_bad_job_is_parked_alone_and_its_neighbours_are_billed() {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    let facts: Vec<_> = (0..5).map(|n| registered(&format!("srv-{n}"), "cus-1", app.at(1))).collect();
    app.tell(&facts).await;
    app.pass(1);
    let body = messages(&app).await.remove(0);
    let mut message: Value = serde_json::from_str(&body).unwrap();
    let jobs = &mut message["lanes"][0]["jobs"];
    jobs[1] = json!({ "server": "srv-1", "amount": "5.00" });
    jobs[2]["steps"] = json!([[0, 9]]);
    jobs[3]["states"] = json!([[500, "running"], [400, "stopped"]]);
    assert!(failures(&biller(&app), &[message.to_string()], LONG).await.is_empty());
    assert_eq!(app.balance("cus-1").await, -2 * CENT);
    let parked = parked(&app);
    assert_eq!(parked.iter().map(Parked::server_name).collect::<Vec<_>>(), ["srv-1", "srv-2", "srv-3"]);
    let run = app.system.store.run_last().await.unwrap().unwrap();
    assert_eq!(run.parked.len(), 3);
    assert!(!run.is_success());
}

#[tokio::test]
async fn a_message_that_does_not_parse_is_parked_whole_and_the_next_one_billed() {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass(1);
    let mut bodies = messages(&app).await;
    let mut newer: Value = serde_json::from_str(&bodies[0]).unwrap();
    newer["v"] = json!(2);
    bodies.extend(["not json".to_owned(), "{}".to_owned(), newer.to_string()]);
    assert!(failures(&biller(&app), &bodies, LONG).await.is_empty());
    assert_eq!((parked(&app).len(), app.balance("cus-1").await), (3, -CENT));
}

#[tokio::test]
async fn a_server_of_an_unknown_plan_is_parked_and_back_filled_once_the_plan_is_there() {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    let mut fact = registered("srv-1", "cus-1", app.at(1));
    if let store::Fact::Registered { plan, .. } = &mut fact {
        *plan = id("gone");
    }
    app.tell(&[fact, registered("srv-2", "cus-1", app.at(1))]).await;
    app.hours(2).await;
    assert_eq!(app.balance("cus-1").await, -2 * CENT);
    assert_eq!(parked(&app)[0].reason, "plan 'gone' is unknown");
    app.system.store.plan_put(&tests::plan("gone", "7.30", Metering::Hourly)).await.unwrap();
    app.hours(1).await;
    assert_eq!(app.balance("cus-1").await, -6 * CENT);
    app.verify().await;
}

#[tokio::test]
async fn a_job_below_the_known_spans_is_refused_never_guessed() {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass(3);
    let mut message: Value = serde_json::from_str(&messages(&app).await[0]).unwrap();
    let job = &mut message["lanes"][0]["jobs"][0];
    job["known_from"] = json!(job["since"].as_u64().unwrap() + 1);
    assert!(failures(&biller(&app), &[message.to_string()], LONG).await.is_empty());
    assert!(app.pages("cus-1").await.is_empty());
    assert!(parked(&app)[0].reason.starts_with("the spans are known from"));
}

#[tokio::test]
async fn expired_jobs_are_done_without_billing_and_counted_on_their_run() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1)), registered("srv-2", "cus-1", app.at(1))]).await;
    app.pass(1);
    let (through, bodies) = (app.hour(), messages(&app).await);
    app.pass_secs(6 * 3_600 + 1);
    assert!(failures(&biller(&app), &bodies, LONG).await.is_empty());
    assert!(app.pages("cus-1").await.is_empty());
    // Two jobs, in one message. The run itself has not failed: the next one bills their hours.
    let run = app.system.store.run_get(through).await.unwrap().unwrap();
    assert_eq!((bodies.len(), run.expired, run.is_success()), (1, 2, true));
    // Counting makes no record of a run there never was.
    app.system.store.run_expired(through.minus(1), 1).await.unwrap();
    assert_eq!(app.system.store.run_get(through.minus(1)).await.unwrap(), None);
    app.bill().await;
    let health = app.billing_daemon().await.json;
    assert_eq!((health["jobsExpired"].as_u64(), health["status"].as_str()), (Some(2), Some("ok")));
    app.verify().await;
}

/// Nothing is written to a run's record.
#[derive(Debug)]
struct RunsFail;

impl Tamper for RunsFail {
    fn request(&self, call: &mut Call) {
        if call.operation == "UpdateItem" && call.body.contains("expired") {
            "Refused".clone_into(&mut call.operation);
        }
    }
}

#[tokio::test]
async fn an_expired_job_that_cannot_be_counted_is_done_all_the_same() {
    let chaos = Chaos::tampered(1, Rates::NONE, Box::new(RunsFail));
    let app = TestApp::with(None, Some(Arc::new(chaos))).await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass(1);
    let (through, bodies) = (app.hour(), messages(&app).await);
    app.pass_secs(6 * 3_600 + 1);
    assert!(failures(&biller(&app), &bodies, LONG).await.is_empty());
    assert_eq!(app.system.store.run_get(through).await.unwrap().unwrap().expired, 0);
}

#[tokio::test]
async fn an_hour_that_has_not_ended_by_the_billers_clock_is_refused() {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass(1);
    let bodies = messages(&app).await;
    // The biller's clock is half a minute behind metering's: the message comes again.
    app.pass_secs(-30);
    assert_eq!(failures(&biller(&app), &bodies, LONG).await, ["0"]);
    // A job that says it was issued before its hour had ended cannot know all facts of it.
    app.pass_secs(60);
    let mut early: JobMessage = serde_json::from_str(&bodies[0]).unwrap();
    early.issued_at = early.through.start().plus_secs(-1);
    assert!(failures(&biller(&app), &[serde_json::to_string(&early).unwrap()], LONG).await.is_empty());
    assert!(parked(&app)[0].reason.starts_with("the job was issued at"));
    assert!(app.pages("cus-1").await.is_empty());
}

#[tokio::test]
async fn a_job_is_not_refused_on_a_stale_page() {
    // Whoever does not ask for the newest page sees the one before it.
    let chaos = Arc::new(Chaos::new(1, Rates { stale: 1_000, ..Rates::NONE }));
    let app = TestApp::with(None, Some(Arc::clone(&chaos))).await;
    chaos.set_quiet(true);
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.hours(2).await;
    app.pass(1);
    let mut message: Value = serde_json::from_str(&messages(&app).await[0]).unwrap();
    let job = &mut message["lanes"][0]["jobs"][0];
    job["known_from"] = json!(job["since"].as_u64().unwrap() + 2);
    chaos.set_quiet(false);
    assert!(failures(&biller(&app), &[message.to_string()], LONG).await.is_empty());
    chaos.set_quiet(true);
    assert!(parked(&app).is_empty(), "{:?}", parked(&app));
    assert_eq!(app.pages("cus-1").await.len(), 3);
    app.verify().await;
}

#[tokio::test]
async fn jobs_of_one_wallet_in_two_messages_of_a_batch_make_one_page() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1)), registered("srv-2", "cus-1", app.at(1))]).await;
    app.pass(1);
    let message: Value = serde_json::from_str(&messages(&app).await[0]).unwrap();
    let halves = [0, 1].map(|keep: usize| {
        let mut half = message.clone();
        half["lanes"][0]["jobs"] = json!([message["lanes"][0]["jobs"][keep]]);
        half.to_string()
    });
    assert!(failures(&biller(&app), &halves, LONG).await.is_empty());
    let pages = app.pages("cus-1").await;
    assert_eq!((pages.len(), pages[0].lines.len()), (1, 2));
    app.verify().await;
}

#[tokio::test]
async fn what_does_not_fit_one_page_goes_on_in_the_next_of_the_same_batch() {
    let app = TestApp::new().await;
    // Under such a plan every hour is a line of its own.
    app.system.store.plan_put(&tests::plan("by-second", "7.30", Metering::PerSecond)).await.unwrap();
    let mut fact = registered("srv-1", "cus-1", app.at(1));
    if let store::Fact::Registered { plan, .. } = &mut fact {
        *plan = id("by-second");
    }
    app.tell(&[fact]).await;
    app.pass(9_000);
    app.bill().await;
    let pages = app.pages("cus-1").await;
    assert!(pages.len() >= 2, "{} pages", pages.len());
    assert_eq!(pages.iter().map(|page| page.lines.len()).sum::<usize>(), 9_000);
    for page in &pages {
        let item = store::encode_page(page).unwrap();
        let bytes = item[store::PAGE_ATTRIBUTE].as_b().unwrap().as_ref().len();
        assert!(bytes <= 200_000 && page.lines.iter().all(|line| line.hours() == 1), "{bytes}");
    }
    app.verify().await;
}

/// Counts the calls to the ledger that are being answered.
#[derive(Clone, Debug, Default)]
struct AtOnce {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Tamper for AtOnce {
    fn request(&self, call: &mut Call) {
        if call.body.contains("-ledger\"") {
            self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        }
    }

    fn answer(&self, call: &Call, _: &mut Answer) {
        if call.body.contains("-ledger\"") {
            self.now.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn many_wallets_are_billed_at_once_and_never_more_than_the_limit() {
    let at_once = AtOnce::default();
    let chaos = Chaos::tampered(1, Rates::NONE, Box::new(at_once.clone()));
    let app = TestApp::with(None, Some(Arc::new(chaos))).await;
    let facts: Vec<_> = (0..100).map(|n| registered(&format!("srv-{n}"), &format!("cus-{n}"), app.at(1))).collect();
    app.tell(&facts).await;
    app.pass(1);
    let bodies = messages(&app).await;
    assert!(failures(&biller(&app), &bodies, LONG).await.is_empty());
    let most = at_once.most.load(Ordering::SeqCst);
    assert!((2..=biller::LANES_AT_ONCE).contains(&most), "{most} at once");
    app.verify().await;
}

#[tokio::test]
async fn two_billers_on_one_wallet_bill_every_hour_once() {
    let app = TestApp::new().await;
    let facts: Vec<_> = (0..40).map(|n| registered(&format!("srv-{n}"), "cus-1", app.at(1))).collect();
    app.tell(&facts).await;
    app.pass(3);
    let bodies = messages(&app).await;
    let billers: Vec<Biller> = (0..8).map(|_| biller(&app)).collect();
    let all = futures::future::join_all(billers.iter().map(|b| failures(b, &bodies, LONG))).await;
    assert!(all.iter().all(Vec::is_empty));
    assert_eq!(app.balance("cus-1").await, -3 * 40 * CENT);
    assert_eq!(app.pages("cus-1").await.len(), 1);
    app.verify().await;
}

#[tokio::test]
async fn the_newest_page_is_not_read_again_by_the_biller_that_wrote_it() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.hours(1).await;
    let before = app.system.store.capacity().units(store::Area::Ledger).reads;
    app.hours(5).await;
    assert_eq!(app.system.store.capacity().units(store::Area::Ledger).reads, before);
    app.verify().await;
}

#[tokio::test]
async fn a_page_whose_put_failed_is_not_kept_as_the_newest() {
    let failing = Arc::new(AtomicBool::new(true));
    let chaos = Chaos::tampered(1, Rates::NONE, Box::new(Refusing("PutItem", "-ledger\"", Arc::clone(&failing))));
    let app = TestApp::with(None, Some(Arc::new(chaos))).await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass(1);
    let bodies = messages(&app).await;
    let biller = biller(&app);
    assert_eq!(failures(&biller, &bodies, LONG).await, ["0"]);
    assert!(app.pages("cus-1").await.is_empty());
    failing.store(false, Ordering::Relaxed);
    // Had it kept that page, the hour would look billed, and the message would be done without a page.
    assert!(failures(&biller, &bodies, LONG).await.is_empty());
    assert_eq!(app.balance("cus-1").await, -CENT);
    app.verify().await;
}

#[tokio::test]
async fn a_page_that_lost_its_race_is_not_kept_as_the_newest() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass(1);
    let (slow, fast) = (biller(&app), biller(&app));
    assert!(failures(&slow, &messages(&app).await, LONG).await.is_empty());
    app.pass(1);
    let old = messages(&app).await;
    app.tell(&[registered("srv-2", "cus-1", app.time.now().plus_secs(-3_000))]).await;
    // Another biller writes the next page. The slow one, which remembers the first, tries to write that number, too.
    assert!(failures(&fast, &messages(&app).await, LONG).await.is_empty());
    assert!(failures(&slow, &old, LONG).await.is_empty());
    assert_eq!(app.pages("cus-1").await.len(), 2);
    // Had it kept its own page 2, its page 3 would go on from a page that is not on the chain.
    app.pass(1);
    assert!(failures(&slow, &messages(&app).await, LONG).await.is_empty());
    assert_eq!(app.pages("cus-1").await.len(), 3);
    app.verify().await;
}

#[tokio::test]
async fn where_parking_fails_only_the_messages_with_refused_jobs_come_again() {
    let app = TestApp::new().await;
    let facts: Vec<_> =
        (0..600).map(|n| registered(&format!("srv-{n}"), &format!("cus-{}", n % 60), app.at(1))).collect();
    app.tell(&facts).await;
    app.pass(1);
    let bodies = messages(&app).await;
    assert!(bodies.len() > 20, "{} messages", bodies.len());
    // Every third message has a job that cannot be billed.
    let spoil = |(i, body): (usize, &String)| {
        let mut message: Value = serde_json::from_str(body).unwrap();
        if i % 3 == 0 {
            message["lanes"][0]["jobs"][0]["steps"] = json!([[0, 99]]);
        }
        message.to_string()
    };
    let spoiled: Vec<String> = bodies.iter().enumerate().map(spoil).collect();
    let broken = Biller::new(app.system.store.clone(), Arc::new(Broken::Refuses), app.time.clock());
    // Several batches at once, as the event source hands them out.
    let batches: Vec<&[String]> = spoiled.chunks(9).collect();
    let failed = futures::future::join_all(batches.iter().map(|batch| failures(&broken, batch, LONG))).await;
    for (batch, failed) in batches.iter().zip(&failed) {
        let expected: Vec<String> = (0..batch.len()).filter(|i| i % 3 == 0).map(|i| i.to_string()).collect();
        assert_eq!(*failed, expected);
    }
    // All that could be billed was, the neighbours in the failed messages too.
    assert_eq!(app.proof().await.due.len(), bodies.len().div_ceil(3));
    // Healed, the same messages are done, and nothing is billed twice.
    assert!(failures(&biller(&app), &bodies, LONG).await.is_empty());
    app.verify().await;
}
