//! Whoever had themselves deleted leaves nothing at the processor: cards go, with the settings that would charge them.

use super::top_up::{lifecycle, save, usd};
use super::{USD, posts};
use crate::flows::mail_faults::cut;
use crate::flows::payments::{Counter, cashier_config};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::alerts::{Alerts, TopUp};
use domain::payment::Processor;
use domain::{Id, Unit};
use lifecycle::Departed;
use providers::Stripe;
use sandbox::{Card, Chance};
use serde_json::json;
use tests::{PASSWORD, ask, id};

/// Waits after which the longest run here is done.
const MAX_WAITS: usize = 40;

struct Left {
    user: Id,
    at_stripe: String,
}

/// A customer with two saved cards, thresholds and a top-up of their own, who has just had themselves deleted.
async fn departed(counter: &Counter) -> Left {
    let account = counter.app.sign_up("ada@example.com").await;
    let (user, store) = (&account.user, &counter.app.system.store);
    let method = save(counter, user, Card::Visa, "first").await;
    save(counter, user, Card::Visa, "second").await;
    let top_up = TopUp { enabled: true, threshold: usd(1), payment_method: Some(method), ..TopUp::default() };
    store.top_up_put(user, &top_up).await.unwrap();
    store.alerts_put(user, &Alerts { thresholds: vec![usd(3)], ..Alerts::default() }).await.unwrap();
    let at_stripe = store.processor_customer(Processor::Stripe, user).await.unwrap().unwrap();
    leave(counter, &account.access_token).await;
    Left { user: account.user, at_stripe }
}

/// How many cards Stripe still keeps.
async fn cards(counter: &Counter, left: &Left) -> usize {
    let config = cashier_config(&counter.app, counter.sandbox.url()).stripe.unwrap().api;
    Stripe::new(&config).unwrap().methods(&left.at_stripe).await.unwrap().len()
}

async fn leave(counter: &Counter, token: &str) {
    let router = counter.app.auth_router().await;
    let body = json!({ "password": PASSWORD });
    let answer = ask(&router, "DELETE", "/api/v1/auth/me", Some(token), Some(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
}

async fn nothing_is_left(counter: &Counter, user: &Id) {
    let store = &counter.app.system.store;
    assert_eq!(store.top_up(user).await.unwrap(), TopUp::default());
    assert_eq!(store.alerts(user).await.unwrap(), Alerts::default());
    assert_eq!(store.watch_get(user, Unit::Usd).await.unwrap(), None);
    assert_eq!(store.processor_customer(Processor::Stripe, user).await.unwrap(), None);
    assert!(store.departed_list(None).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn cards_and_settings_go_and_the_ledger_stays() {
    let counter = Counter::new().await;
    let left = departed(&counter).await;
    let user = &left.user;
    assert_eq!(cards(&counter, &left).await, 2);
    let lifecycle = lifecycle(&counter);
    // As long as the processor does not answer, nothing is forgotten.
    counter.sandbox.tune(|knobs| knobs.fail_before = Chance::ALWAYS);
    let figures = lifecycle.run().await.departed.unwrap();
    assert_eq!(figures, Departed { failed: 1, ..Departed::default() });
    assert_eq!(counter.app.system.store.departed_list(None).await.unwrap().0, std::slice::from_ref(user));
    counter.sandbox.tune(|knobs| knobs.fail_before = Chance::Off);
    for done in [1, 0] {
        let figures = lifecycle.run().await.departed.unwrap();
        assert_eq!(figures, Departed { done, ..Departed::default() });
    }
    assert_eq!(cards(&counter, &left).await, 0);
    nothing_is_left(&counter, user).await;
    counter.holds(user.as_str(), 200).await;
    // A balance that falls now charges nobody.
    posts(&counter.app, user.as_str(), -2 * USD, "out").await;
    lifecycle.run().await;
    counter.holds(user.as_str(), 0).await;
}

#[tokio::test]
async fn a_payment_that_may_still_save_a_card_is_waited_for() {
    let counter = Counter::new().await;
    let account = counter.app.sign_up("ada@example.com").await;
    let user = account.user.as_str();
    let payment = counter.buy(user, Processor::Stripe, 500, "late").await;
    leave(&counter, &account.access_token).await;
    let lifecycle = lifecycle(&counter);
    let figures = lifecycle.run().await.departed.unwrap();
    assert_eq!(figures, Departed { waiting: 1, ..Departed::default() });
    counter.pay(&payment);
    counter.cashier.settle(&payment.id).await.unwrap();
    let figures = lifecycle.run().await.departed.unwrap();
    assert_eq!(figures, Departed { done: 1, ..Departed::default() });
    nothing_is_left(&counter, &account.user).await;
    counter.holds(user, 500).await;
}

#[tokio::test]
async fn a_payment_that_is_parked_is_not_waited_for() {
    let counter = Counter::new().await;
    let account = counter.app.sign_up("ada@example.com").await;
    counter.sandbox.tune(|knobs| knobs.api_wrong_currency = Chance::Next(1));
    let payment = counter.buy(account.user.as_str(), Processor::Stripe, 500, "foreign").await;
    counter.pay(&payment);
    counter.cashier.settle(&payment.id).await.unwrap();
    assert_eq!(counter.parked().await.len(), 1);
    leave(&counter, &account.access_token).await;
    let figures = lifecycle(&counter).run().await.departed.unwrap();
    assert_eq!(figures, Departed { done: 1, ..Departed::default() });
    nothing_is_left(&counter, &account.user).await;
}

#[tokio::test]
async fn without_the_processor_its_name_for_them_is_kept_and_nobody_stands_in_anothers_way() {
    let counter = Counter::new().await;
    let left = departed(&counter).await;
    let without = super::plain(&counter.app);
    let waiting = |waiting| Departed { waiting, ..Departed::default() };
    assert_eq!(without.departed().await.unwrap(), waiting(1));
    assert_eq!(cards(&counter, &left).await, 2);
    // More than one run takes: the next goes on where it stopped, and then from the beginning.
    let store = &counter.app.system.store;
    for n in 0..203 {
        let user = id(&format!("usr_{n:03}"));
        store.processor_customer_put(Processor::Stripe, &user, &format!("cus_{n}")).await.unwrap();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = store.client().put_item().table_name(&store.tables().main);
        put.item("pk", text("DEPARTED")).item("sk", text(user.as_str())).send().await.unwrap();
    }
    for waited in [200, 4, 200, 4] {
        assert_eq!(without.departed().await.unwrap(), waiting(waited));
    }
    let lifecycle = lifecycle(&counter);
    assert_eq!(lifecycle.departed().await.unwrap().done, 200);
    assert_eq!(lifecycle.departed().await.unwrap().done, 4);
    assert_eq!(cards(&counter, &left).await, 0);
    nothing_is_left(&counter, &left.user).await;
}

#[tokio::test]
async fn gone_between_any_two_calls_the_next_run_does_the_rest() {
    let mut done = 0;
    for times in 0..MAX_WAITS {
        let counter = Counter::new().await;
        let left = departed(&counter).await;
        let lifecycle = lifecycle(&counter);
        done += usize::from(cut(async { _ = lifecycle.departed().await }, times).await);
        lifecycle.departed().await.unwrap();
        assert_eq!(cards(&counter, &left).await, 0, "cut after {times}");
        nothing_is_left(&counter, &left.user).await;
    }
    assert!((1..MAX_WAITS).contains(&done), "it got through {done} times");
}
