//! The lifecycle function: low balances are told once, topped up once, whatever happens in between.

mod departed;
mod faults;
mod top_up;

use super::broken::Broken;
use super::mail::{MailApp, TIME_LEFT};
use aws_sdk_dynamodb::types::AttributeValue;
use cashier::{Cashier, CashierConfig};
use domain::alerts::Alerts;
use domain::mail::Template;
use domain::wallet::{Entry, Kind, append};
use domain::{Amount, Unit};
use lifecycle::{Lifecycle, MAILS_PER_RUN, Mails};
use providers::Queue;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use store::{AppendOnce, MailRecord, MailStatus};
use tests::{TestApp, id, registered};

/// Steps of one dollar.
pub const USD: i64 = 1_000_000;

/// A lifecycle function without a payment processor.
pub fn lifecycle(app: &TestApp, mails: Arc<dyn Queue>) -> Lifecycle {
    let (store, clock) = (app.system.store.clone(), app.time.clock());
    let cashier = CashierConfig {
        store: store.clone(),
        clock: clock.clone(),
        stripe: None,
        paypal: None,
        mails: Some(Arc::clone(&mails)),
        return_url: "https://panel.example.com/paid".to_owned(),
    };
    Lifecycle { store, cashier: Cashier::new(cashier).unwrap(), mails, clock }
}

/// With the app's own mail queue.
pub fn plain(app: &TestApp) -> Lifecycle {
    lifecycle(app, Arc::new(app.system.mails.clone()))
}

/// Somebody who may sign in, without the ways of `auth`.
pub async fn account(app: &TestApp, user: &str, status: &str) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = app.system.store.client().put_item().table_name(&app.system.store.tables().main);
    let put = put.item("pk", text(&format!("ACCESS#{user}"))).item("sk", text("ACCESS"));
    let put =
        put.item("keys", AttributeValue::M(HashMap::new())).item("status", text(status)).item("role", text("user"));
    put.send().await.unwrap();
}

/// Money comes in, or goes.
pub async fn posts(app: &TestApp, customer: &str, steps: i64, key: &str) {
    let wallet = app.wallet(customer);
    let head = app.system.store.wallet_head(&wallet, true).await.unwrap();
    let (amount, actor) = (Amount::from_steps(steps), Some("tests".to_owned()));
    let kind = if steps < 0 { Kind::Purchase } else { Kind::Payment };
    let entry = Entry { kind, amount, actor, reason: Some("a test".to_owned()), reference: Some(key.to_owned()) };
    let page = append(&wallet, head.as_ref(), entry, app.time.now()).unwrap();
    assert_eq!(app.system.store.wallet_append_once(&page, key).await.unwrap(), AppendOnce::Written);
    app.system.pump_feed().await.unwrap();
}

/// Everything in the outbox that is about a low balance, by id.
pub async fn told(app: &TestApp) -> Vec<MailRecord> {
    let late = app.time.now().plus_secs(30 * 86_400);
    let mut mails = app.system.store.mail_waiting(late, 1_000).await.unwrap();
    mails.retain(|record| record.mail.template == Template::LowBalance);
    mails.sort_by(|a, b| a.mail.id.cmp(&b.mail.id));
    mails
}

/// The events nobody has dealt with.
pub async fn events(app: &TestApp) -> usize {
    app.system.store.low_balance_list(app.at(-100_000), None).await.unwrap().0.len()
}

#[tokio::test]
async fn a_customer_whose_balance_falls_is_told_once_at_the_address_they_have() {
    let app = TestApp::new().await;
    let user = app.sign_up("ada@example.com").await.user;
    posts(&app, user.as_str(), 10 * USD + 15_000, "in-1").await;
    app.tell(&[registered("srv-1", user.as_str(), app.at(0))]).await;
    app.hours(1).await;
    let lifecycle = plain(&app);
    let figures = lifecycle.run().await;
    assert!(figures.is_complete());
    assert_eq!((figures.events.unwrap().done, told(&app).await.len()), (0, 0));
    app.hours(2).await;
    assert_eq!(events(&app).await, 1);
    for (mails, done) in [(1, 1), (0, 0)] {
        let figures = lifecycle.run().await.events.unwrap();
        assert_eq!((figures.mails, figures.done, figures.failed), (mails, done, 0));
    }
    let [record] = told(&app).await.try_into().unwrap();
    assert_eq!(record.mail.id, format!("low-balance:{user}#usd#0:10000000:3"));
    assert_eq!(record.mail.params["balance"], "9.985 USD");
    assert_eq!(record.mail.params["threshold"], "10.00 USD");
    // It goes where the user is, by the message that is in the queue, and greets them.
    let mails = MailApp::on(app);
    let event = json!({ "Records": [{ "messageId": "m", "body": record.mail.id, "eventSource": "aws:sqs" }] });
    assert!(mails.app.system.mails.all().unwrap().contains(&record.mail.id));
    mails.mailing.handle(event, TIME_LEFT).await.unwrap();
    assert_eq!(mails.status(&record.mail.id).await, MailStatus::Sent);
    let raw = mails.post.taken.lock().unwrap().pop().unwrap();
    assert_eq!(raw.to, "ada@example.com");
    assert!(String::from_utf8(raw.bytes).unwrap().contains("Hello Ada Lovelace,"));
}

#[tokio::test]
async fn one_fall_through_several_thresholds_is_one_mail_about_the_lowest() {
    let app = TestApp::new().await;
    account(&app, "usr_1", "active").await;
    posts(&app, "usr_1", 20 * USD, "in-1").await;
    posts(&app, "usr_1", -17 * USD, "out-1").await;
    assert_eq!(events(&app).await, 2);
    let figures = plain(&app).run().await.events.unwrap();
    assert_eq!((figures.done, figures.mails), (2, 1));
    let [record] = told(&app).await.try_into().unwrap();
    assert_eq!(
        (record.mail.params["balance"].as_str(), record.mail.params["threshold"].as_str()),
        ("3.00 USD", "5.00 USD")
    );
    assert_eq!(events(&app).await, 0);
    // Another fall is another mail.
    posts(&app, "usr_1", 9 * USD, "in-2").await;
    posts(&app, "usr_1", -3 * USD, "out-2").await;
    plain(&app).run().await;
    assert_eq!(told(&app).await.len(), 2);
}

#[tokio::test]
async fn nobody_is_told_what_is_over_or_old_or_not_theirs() {
    let app = TestApp::new().await;
    for (user, status) in
        [("usr_over", "active"), ("usr_gone", "deleted"), ("usr_off", "deactivated"), ("usr_old", "active")]
    {
        account(&app, user, status).await;
    }
    for user in ["usr_over", "usr_gone", "usr_off", "usr_nobody"] {
        posts(&app, user, 11 * USD, &format!("{user}-in")).await;
        posts(&app, user, -2 * USD, &format!("{user}-out")).await;
    }
    // Paid in again before anybody looked.
    posts(&app, "usr_over", 5 * USD, "again").await;
    let figures = plain(&app).run().await.events.unwrap();
    assert_eq!((figures.done, figures.mails, figures.failed), (4, 0, 0));
    // What comes out of roll-ups that were rebuilt a week later tells nothing new.
    posts(&app, "usr_old", 11 * USD, "old-in").await;
    posts(&app, "usr_old", -2 * USD, "old-out").await;
    app.pass_secs(8 * 86_400);
    assert_eq!(plain(&app).run().await.events.unwrap().done, 1);
    assert_eq!((told(&app).await.len(), events(&app).await), (0, 0));
}

#[tokio::test]
async fn a_rebuild_tells_nobody_again() {
    let app = TestApp::new().await;
    account(&app, "usr_1", "active").await;
    posts(&app, "usr_1", 11 * USD, "in").await;
    posts(&app, "usr_1", -2 * USD, "out").await;
    plain(&app).run().await;
    let rollups = skymeter::check::roll_up(&app.system.store).await.unwrap();
    app.system.store.rollup_rebuild(&rollups).await.unwrap();
    assert_eq!(events(&app).await, 1);
    plain(&app).run().await;
    assert_eq!((told(&app).await.len(), events(&app).await), (1, 0));
}

#[tokio::test]
async fn own_thresholds_count_for_the_whole_balance_and_mails_can_be_switched_off() {
    let app = TestApp::new().await;
    for user in ["usr_1", "usr_2"] {
        account(&app, user, "active").await;
        posts(&app, user, 100 * USD, &format!("{user}-in")).await;
    }
    let store = &app.system.store;
    let thresholds = vec![Amount::from_steps(50 * USD), Amount::from_steps(20 * USD)];
    store.alerts_put(&id("usr_1"), &Alerts::new(thresholds.clone(), true)).await.unwrap();
    store.alerts_put(&id("usr_2"), &Alerts::new(thresholds, false)).await.unwrap();
    let lifecycle = plain(&app);
    assert_eq!(lifecycle.run().await.balances.unwrap().mails, 0);
    for (n, (change, mails)) in [(-51, 1), (-1, 0), (-39, 1), (50, 0), (-55, 1)].into_iter().enumerate() {
        for user in ["usr_1", "usr_2"] {
            posts(&app, user, change * USD, &format!("{user}-{n}")).await;
        }
        for mails in [mails, 0] {
            let balances = lifecycle.run().await.balances.unwrap();
            assert_eq!((balances.mails, balances.failed), (mails, 0), "change {n}");
        }
        // The thresholds that everybody has are not theirs.
        assert_eq!(events(&app).await, 0);
    }
    let told: Vec<_> = told(&app).await.into_iter().map(|record| record.mail.params["threshold"].clone()).collect();
    assert_eq!(told, ["20.00 USD", "20.00 USD", "50.00 USD"]);
}

#[tokio::test]
async fn the_sum_of_several_lanes_is_what_counts() {
    let app = TestApp::new().await;
    account(&app, "usr_1", "active").await;
    posts(&app, "usr_1", 20 * USD, "in").await;
    let servers: Vec<_> = (0..501).map(|n| registered(&format!("srv-{n}"), "usr_1", app.at(0))).collect();
    app.tell(&servers).await;
    app.hours(1).await;
    let lifecycle = plain(&app);
    lifecycle.run().await;
    // 20.00 less 5.01: lane 1 alone is below nothing, the sum is at 14.99.
    assert_eq!((told(&app).await.len(), events(&app).await), (0, 0));
    app.hours(1).await;
    lifecycle.run().await;
    let [record] = told(&app).await.try_into().unwrap();
    assert_eq!(
        (record.mail.params["balance"].as_str(), record.mail.params["threshold"].as_str()),
        ("9.98 USD", "10.00 USD")
    );
}

#[tokio::test]
async fn many_balances_are_looked_at_in_turns() {
    let app = TestApp::new().await;
    for n in 0..1_300 {
        let user = format!("usr_{n:04}");
        let thresholds = vec![Amount::from_steps(50 * USD)];
        app.system.store.alerts_put(&id(&user), &Alerts::new(thresholds, true)).await.unwrap();
    }
    posts(&app, "usr_1299", 60 * USD, "in").await;
    let lifecycle = plain(&app);
    // Each has two balances.
    let looked = |figures: lifecycle::Figures| figures.balances.unwrap().looked;
    let runs = [looked(lifecycle.run().await), looked(lifecycle.run().await), looked(lifecycle.run().await)];
    assert_eq!(runs, [1_000, 1_000, 600]);
    assert_eq!(looked(lifecycle.run().await), 1_000);
    let last = app.system.store.watch_get(&id("usr_1299"), Unit::Usd).await.unwrap().unwrap();
    assert_eq!((last.seen, last.looks), (Some(Amount::from_steps(60 * USD)), 1));
}

#[tokio::test]
async fn mails_that_wait_are_handed_on_within_a_bound_and_a_step_that_fails_stops_no_other() {
    let app = TestApp::new().await;
    for n in 0..MAILS_PER_RUN + 5 {
        app.system.store.mail_enqueue(&super::mail::mail(&format!("verify:{n}")), app.time.now()).await.unwrap();
    }
    account(&app, "usr_1", "active").await;
    posts(&app, "usr_1", 11 * USD, "in").await;
    posts(&app, "usr_1", -2 * USD, "out").await;
    app.pass_secs(61);
    let broken = lifecycle(&app, Arc::new(Broken::Refuses));
    let figures = broken.run().await;
    assert_eq!((figures.mails, figures.events.map(|events| events.mails)), (None, Some(1)));
    assert!(!figures.is_complete() && broken.handle(json!({})).await.is_err());
    let whole = plain(&app);
    assert_eq!(whole.run().await.mails, Some(Mails { again: usize::from(MAILS_PER_RUN), unknown: 0 }));
    assert_eq!(app.system.mails.all().unwrap().len(), usize::from(MAILS_PER_RUN));
}
