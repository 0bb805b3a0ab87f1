//! Automatic top-up, from a balance that falls to the credit: once for each fall, and not for ever.

use super::{USD, account, posts, told};
use crate::flows::payments::Counter;
use cashier::{Purchase, TopUpRequest};
use domain::alerts::TopUp;
use domain::payment::Processor;
use domain::{Amount, Id, Unit};
use lifecycle::Lifecycle;
use sandbox::{Card, Chance};
use std::sync::Arc;
use tests::id;

pub fn usd(amount: i64) -> Amount {
    Amount::from_steps(amount * USD)
}

/// The lifecycle function with the counter's cashier.
pub fn lifecycle(counter: &Counter) -> Lifecycle {
    Lifecycle {
        store: counter.app.system.store.clone(),
        cashier: counter.cashier.clone(),
        mails: Arc::new(counter.app.system.mails.clone()),
        clock: counter.app.time.clock(),
    }
}

/// A customer who has an account and 10 USD, of which 1 came with the card that was saved. Below 5 USD, 20 are bought.
pub async fn customer(counter: &Counter, card: Card) -> (Id, TopUp) {
    let user = id("usr_1");
    account(&counter.app, "usr_1", "active").await;
    let method = save(counter, &user, card, "save").await;
    posts(&counter.app, "usr_1", 9 * USD, "in").await;
    let settings =
        TopUp { enabled: true, threshold: usd(5), amount: usd(20), payment_method: Some(method), daily_limit: usd(50) };
    counter.app.system.store.top_up_put(&user, &settings).await.unwrap();
    (user, settings)
}

/// Saves a card with a payment of 1 USD.
pub async fn save(counter: &Counter, user: &Id, card: Card, key: &str) -> String {
    let purchase = Purchase {
        customer: user.clone(),
        processor: Processor::Stripe,
        amount: usd(1),
        save_method: true,
        key: Some(key.to_owned()),
    };
    let before = counter.cashier.methods(user).await.unwrap();
    let payment = counter.cashier.buy(purchase).await.unwrap().payment;
    counter.sandbox.pay_intent(payment.object.as_deref().unwrap(), card).unwrap();
    counter.cashier.settle(&payment.id).await.unwrap();
    let methods = counter.cashier.methods(user).await.unwrap();
    let new = methods.iter().find(|method| !before.iter().any(|known| known.id == method.id));
    new.expect("the card was saved").id.clone()
}

/// Runs, and what came of top-ups: begun, failed.
async fn run(lifecycle: &Lifecycle) -> (usize, usize) {
    let balances = lifecycle.run().await.balances.unwrap();
    (balances.top_ups, balances.failed)
}

#[tokio::test]
async fn each_fall_below_the_threshold_buys_once_and_the_day_has_a_limit() {
    let counter = Counter::new().await;
    let (_, settings) = customer(&counter, Card::Visa).await;
    let lifecycle = lifecycle(&counter);
    assert_eq!(run(&lifecycle).await, (0, 0));
    counter.holds("usr_1", 1_000).await;
    for n in 1..=2 {
        let down = counter.app.balance("usr_1").await - 4 * USD;
        posts(&counter.app, "usr_1", -down, &format!("out-{n}")).await;
        assert_eq!((run(&lifecycle).await, run(&lifecycle).await, run(&lifecycle).await), ((1, 0), (0, 0), (0, 0)));
        counter.holds("usr_1", 2_400).await;
    }
    // The third of the day is beyond the limit, and is bought on the next.
    posts(&counter.app, "usr_1", -20 * USD, "out-3").await;
    run(&lifecycle).await;
    run(&lifecycle).await;
    counter.holds("usr_1", 400).await;
    counter.app.pass(24);
    assert_eq!((run(&lifecycle).await, run(&lifecycle).await), ((1, 0), (0, 0)));
    counter.holds("usr_1", 2_400).await;
    // One that is too small is followed by another.
    counter.app.pass(24);
    counter.app.system.store.top_up_put(&id("usr_1"), &TopUp { threshold: usd(50), ..settings }).await.unwrap();
    assert_eq!((run(&lifecycle).await, run(&lifecycle).await, run(&lifecycle).await), ((1, 0), (1, 0), (0, 0)));
    counter.holds("usr_1", 6_400).await;
    counter.mails().await;
}

#[tokio::test]
async fn a_card_that_is_declined_is_charged_once_until_something_changes() {
    let counter = Counter::new().await;
    let (user, settings) = customer(&counter, Card::DeclinedLater).await;
    let lifecycle = lifecycle(&counter);
    run(&lifecycle).await;
    posts(&counter.app, "usr_1", -7 * USD, "out").await;
    assert_eq!(run(&lifecycle).await, (1, 0));
    for hour in 0..5 {
        counter.app.pass(1);
        posts(&counter.app, "usr_1", -10_000, &format!("hour-{hour}")).await;
        assert_eq!(run(&lifecycle).await, (0, 0), "hour {hour}");
    }
    counter.holds("usr_1", 295).await;
    // A gift that leaves it low is none of the card's.
    posts(&counter.app, "usr_1", USD, "gift").await;
    assert_eq!((run(&lifecycle).await, run(&lifecycle).await), ((0, 0), (0, 0)));
    counter.holds("usr_1", 395).await;
    // Another card is a reason. What was declined counts for its day.
    counter.app.pass(24);
    let method = save(&counter, &user, Card::Visa, "save-2").await;
    run(&lifecycle).await;
    let settings = TopUp { payment_method: Some(method), ..settings };
    counter.app.system.store.top_up_put(&user, &settings).await.unwrap();
    run(&lifecycle).await;
    run(&lifecycle).await;
    counter.holds("usr_1", 2_495).await;
    counter.mails().await;
}

#[tokio::test]
async fn switched_on_while_the_balance_is_low_it_buys_and_a_customer_who_is_stopped_is_not_charged() {
    let counter = Counter::new().await;
    let (user, settings) = customer(&counter, Card::Visa).await;
    let lifecycle = lifecycle(&counter);
    let store = &counter.app.system.store;
    store.top_up_put(&user, &TopUp { enabled: false, ..settings.clone() }).await.unwrap();
    posts(&counter.app, "usr_1", -7 * USD, "out").await;
    assert_eq!(run(&lifecycle).await, (0, 0));
    store.top_up_put(&user, &settings).await.unwrap();
    account(&counter.app, "usr_1", "suspended").await;
    assert_eq!(run(&lifecycle).await, (0, 0));
    counter.holds("usr_1", 300).await;
    account(&counter.app, "usr_1", "active").await;
    assert_eq!((run(&lifecycle).await, run(&lifecycle).await), ((1, 0), (0, 0)));
    counter.holds("usr_1", 2_300).await;
    counter.mails().await;
}

#[tokio::test]
async fn while_the_processor_is_away_the_customer_is_told_and_the_top_up_is_made_once_it_is_back() {
    let counter = Counter::new().await;
    customer(&counter, Card::Visa).await;
    let lifecycle = lifecycle(&counter);
    run(&lifecycle).await;
    posts(&counter.app, "usr_1", -7 * USD, "out").await;
    counter.sandbox.tune(|knobs| knobs.fail_before = Chance::ALWAYS);
    assert_eq!(run(&lifecycle).await, (0, 1));
    assert_eq!(told(&counter.app).await.len(), 1);
    assert_eq!(run(&lifecycle).await, (0, 1));
    assert_eq!(told(&counter.app).await.len(), 1);
    counter.sandbox.tune(|knobs| knobs.fail_before = Chance::Off);
    assert_eq!((run(&lifecycle).await, run(&lifecycle).await), ((1, 0), (0, 0)));
    counter.holds("usr_1", 2_300).await;
    counter.mails().await;
}

#[tokio::test]
async fn a_top_up_that_was_declined_when_nobody_could_note_it_is_not_made_again() {
    let counter = Counter::new().await;
    let (user, settings) = customer(&counter, Card::DeclinedLater).await;
    let lifecycle = lifecycle(&counter);
    run(&lifecycle).await;
    posts(&counter.app, "usr_1", -7 * USD, "out").await;
    // What a run does first, and then is gone.
    let request = TopUpRequest {
        customer: user.clone(),
        event: "usr_1#usd:top-up-0".to_owned(),
        amount: settings.amount,
        method: settings.payment_method.unwrap(),
        daily_limit: settings.daily_limit,
    };
    counter.cashier.top_up(&request).await.unwrap();
    assert_eq!((run(&lifecycle).await, run(&lifecycle).await), ((0, 0), (0, 0)));
    let watched = counter.app.system.store.watch_get(&user, Unit::Usd).await.unwrap().unwrap();
    assert_eq!((watched.top_ups, told(&counter.app).await.len()), (1, 1));
    counter.holds("usr_1", 300).await;
    counter.mails().await;
}
