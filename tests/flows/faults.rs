//! One fault at a time: conflicts, answers that are cut short, answers that are lost.

use super::biller::{LONG, biller, failures, messages};
use super::broken::Refusing;
use super::ledger::entry;
use domain::wallet::{Kind, append};
use serde_json::Value;
use skymeter::chaos::{Chaos, Rates, Tamper};
use skymeter::embedded::{Answer, Call};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use store::AppendOnce;
use tests::{CENT, TestApp, ended, registered};

async fn with_conflicts() -> (TestApp, Arc<Chaos>) {
    let chaos = Arc::new(Chaos::new(7, Rates { conflict: 300, ..Rates::NONE }));
    let app = TestApp::with(None, Some(Arc::clone(&chaos))).await;
    chaos.set_quiet(true);
    (app, chaos)
}

#[tokio::test]
async fn a_put_that_meets_a_transaction_has_lost_a_race_and_is_tried_again_in_the_same_batch() {
    let (app, chaos) = with_conflicts().await;
    let facts: Vec<_> = (0..40).map(|n| registered(&format!("srv-{n}"), &format!("cus-{n}"), app.at(1))).collect();
    app.tell(&facts).await;
    app.pass(1);
    let bodies = messages(&app).await;
    chaos.set_quiet(false);
    assert!(failures(&biller(&app), &bodies, LONG).await.is_empty());
    chaos.set_quiet(true);
    for n in 0..40 {
        assert_eq!(app.pages(&format!("cus-{n}")).await.len(), 1);
    }
    app.verify().await;
}

#[tokio::test]
async fn an_append_with_a_key_that_meets_a_transaction_has_lost_a_race() {
    let (app, chaos) = with_conflicts().await;
    let (store, wallet, mut lost) = (&app.system.store, app.wallet("cus-1"), 0);
    for n in 0..40 {
        loop {
            let head = store.wallet_head(&wallet, true).await.unwrap();
            let reference = format!("pi_{n}");
            let page = append(&wallet, head.as_ref(), entry(Kind::Payment, 100, &reference), app.time.now()).unwrap();
            chaos.set_quiet(false);
            let answer = store.wallet_append_once(&page, &format!("stripe:{reference}:succeeded")).await;
            chaos.set_quiet(true);
            match answer.unwrap() {
                AppendOnce::Written => break,
                AppendOnce::Lost => lost += 1,
                AppendOnce::Replayed(seq) => panic!("page {seq} was not written yet"),
            }
        }
    }
    assert!(lost > 5, "{lost}");
    assert_eq!((app.pages("cus-1").await.len(), app.balance("cus-1").await), (40, 4_000));
    app.verify().await;
}

/// DynamoDB answers one item at a time, and says where to go on.
#[derive(Debug)]
struct OneByOne(Arc<AtomicUsize>);

impl Tamper for OneByOne {
    fn request(&self, call: &mut Call) {
        if matches!(call.operation.as_str(), "Query" | "Scan") && !call.body.contains("\"Limit\"") {
            let mut body: Value = serde_json::from_str(&call.body).unwrap();
            body["Limit"] = 1.into();
            call.body = body.to_string();
        }
    }

    fn answer(&self, _: &Call, answer: &mut Answer) {
        self.0.fetch_add(answer.1.matches("\"LastEvaluatedKey\"").count(), Ordering::Relaxed);
    }
}

/// What is read in many stretches: a customer's servers, a chain that is read back, one that is compared with late facts.
async fn play(app: &TestApp) -> Vec<i64> {
    let mut facts: Vec<_> = (0..30).map(|n| registered(&format!("srv-{n}"), "cus-many", app.at(1))).collect();
    for (customer, servers) in [("cus-back", ["srv-old", "srv-live"]), ("cus-late", ["srv-gone", "srv-stays"])] {
        facts.extend(servers.map(|server| registered(server, customer, app.at(0))));
    }
    app.tell(&facts).await;
    app.tell(&[ended("srv-old", app.at(10))]).await;
    app.hours(6).await;
    app.tell(&[ended("srv-gone", app.at(125))]).await;
    app.hours(8).await;
    // Its meter was dropped, its end turns out to be later: the chain is read back to its first page.
    app.tell(&[ended("srv-old", app.at(130))]).await;
    app.hours(2).await;
    app.verify().await;
    let mut balances = Vec::new();
    for customer in ["cus-many", "cus-back", "cus-late"] {
        balances.push(app.balance(customer).await);
    }
    balances
}

#[tokio::test]
async fn what_is_read_in_many_stretches_is_read_to_its_end() {
    let cut = Arc::new(AtomicUsize::new(0));
    let chaos = Chaos::tampered(1, Rates::NONE, Box::new(OneByOne(Arc::clone(&cut))));
    let slow = TestApp::with(None, Some(Arc::new(chaos))).await;
    let balances = play(&slow).await;
    assert_eq!(balances, [-30 * 16 * CENT, -(16 + 3) * CENT, -(16 + 3) * CENT]);
    assert_eq!(balances, play(&TestApp::new().await).await);
    assert!(cut.load(Ordering::Relaxed) > 1_000, "answers were not cut short");
}

/// A transaction that posts an adjustment: its operation, and what its text holds.
const ADJUSTS: (&str, &str) = ("TransactWriteItems", "KEY#adjust");

/// So many of their answers are lost; they are carried out.
#[derive(Debug)]
struct Unanswered(Arc<AtomicUsize>);

impl Tamper for Unanswered {
    fn answer(&self, call: &Call, answer: &mut Answer) {
        let lose = |left: usize| left.checked_sub(1);
        let is_one = call.operation == ADJUSTS.0 && call.body.contains(ADJUSTS.1);
        if is_one && self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lose).is_ok() {
            let kind = "com.amazonaws.dynamodb.v20120810#InternalServerError";
            *answer = (500, format!("{{\"__type\":\"{kind}\",\"message\":\"lost on purpose\"}}"));
        }
    }
}

/// Six hours are billed, and then three of them turn out to be none.
async fn with_a_late_deletion(tamper: Box<dyn Tamper>) -> TestApp {
    let app = TestApp::with(None, Some(Arc::new(Chaos::tampered(1, Rates::NONE, tamper)))).await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.hours(6).await;
    app.tell(&[ended("srv-1", app.at(125))]).await;
    app.hours(1).await;
    app
}

async fn adjustments(app: &TestApp) -> Vec<i64> {
    let pages = app.pages("cus-1").await;
    pages.iter().filter(|page| page.kind == Kind::Adjustment).map(|page| page.amount.steps()).collect()
}

/// The deliveries after a failed one, and hours of runs after them: all that could adjust once more.
async fn settled(app: &TestApp) -> Vec<i64> {
    app.pass_secs(31);
    app.system.pump(&|_| {}).await.unwrap();
    assert!(app.system.jobs.all().unwrap().is_empty());
    assert_eq!(adjustments(app).await.len(), 1);
    app.hours(9).await;
    app.verify().await;
    adjustments(app).await
}

#[tokio::test]
async fn where_adjusting_fails_the_message_comes_again_and_adjusts_once() {
    let refused = Arc::new(AtomicBool::new(true));
    let app = with_a_late_deletion(Box::new(Refusing(ADJUSTS.0, ADJUSTS.1, Arc::clone(&refused)))).await;
    assert_eq!((adjustments(&app).await.len(), app.system.jobs.all().unwrap().len()), (0, 1));
    refused.store(false, Ordering::Relaxed);
    assert_eq!(settled(&app).await, [3 * CENT]);
}

#[tokio::test]
async fn an_adjustment_whose_answer_was_lost_is_not_posted_again() {
    // Once: the SDK's own retry finds the marker. For all its tries: the next delivery finds the page.
    for lost in [1, 4] {
        let left = Arc::new(AtomicUsize::new(lost));
        let app = with_a_late_deletion(Box::new(Unanswered(Arc::clone(&left)))).await;
        assert_eq!((adjustments(&app).await, left.load(Ordering::Relaxed)), (vec![3 * CENT], 0));
        assert_eq!(settled(&app).await, [3 * CENT]);
    }
}
