//! A lifecycle function that is gone between any two calls, or meets every fault: no low balance that lasts is lost, nobody is
//! told twice of one, and one fall buys once.

use super::top_up::{customer, lifecycle, usd};
use super::{USD, account, events, plain, posts, told};
use crate::flows::mail_faults::cut;
use crate::flows::payments::Counter;
use domain::alerts::TopUp;
use sandbox::Card;
use skymeter::chaos::{Chaos, Rates};
use std::sync::Arc;
use tests::TestApp;

/// Waits after which the longest run here is done.
const MAX_WAITS: usize = 60;

#[tokio::test]
async fn gone_between_any_two_calls_it_tells_a_fall_once() {
    let mut done = 0;
    // How often it waits depends on how fast it is answered: each place is tried several times.
    for times in (0..16).cycle().take(64) {
        let app = TestApp::new().await;
        account(&app, "usr_1", "active").await;
        posts(&app, "usr_1", 20 * USD, "in").await;
        posts(&app, "usr_1", -18 * USD, "out").await;
        done += usize::from(cut(async { _ = plain(&app).run().await }, times).await);
        plain(&app).run().await;
        assert_eq!((told(&app).await.len(), events(&app).await), (1, 0), "cut after {times}");
    }
    assert!((1..64).contains(&done), "it got through {done} times");
}

#[tokio::test]
async fn gone_between_any_two_calls_it_buys_once_and_tells_once() {
    let mut done = 0;
    for times in 0..MAX_WAITS {
        let counter = Counter::new().await;
        let (user, settings) = customer(&counter, Card::Visa).await;
        // A payment that was written down and never sent counts for its day, too.
        let settings = TopUp { daily_limit: usd(500), ..settings };
        counter.app.system.store.top_up_put(&user, &settings).await.unwrap();
        let lifecycle = lifecycle(&counter);
        lifecycle.run().await;
        posts(&counter.app, "usr_1", -7 * USD, "out").await;
        done += usize::from(cut(async { _ = lifecycle.run().await }, times).await);
        // Minutes or an hour pass, in which usage goes on.
        counter.app.pass_secs(if times % 2 == 0 { 301 } else { 3_700 });
        posts(&counter.app, "usr_1", -10_000, "usage").await;
        for _ in 0..3 {
            lifecycle.run().await;
        }
        counter.holds("usr_1", 2_299).await;
        // Told once; or not at all, where the money had come before anybody could tell.
        assert!(told(&counter.app).await.len() <= 1, "cut after {times}");
        // The next fall is another one, however the first was cut.
        posts(&counter.app, "usr_1", -20 * USD, "out-2").await;
        for _ in 0..3 {
            lifecycle.run().await;
        }
        counter.holds("usr_1", 2_299).await;
        counter.mails().await;
    }
    assert!((1..MAX_WAITS).contains(&done), "it got through {done} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_tell_and_buy_once() {
    let counter = Counter::new().await;
    customer(&counter, Card::Visa).await;
    let lifecycle = lifecycle(&counter);
    lifecycle.run().await;
    account(&counter.app, "usr_2", "active").await;
    posts(&counter.app, "usr_2", 20 * USD, "in-2").await;
    for round in 0..5_i64 {
        posts(&counter.app, "usr_2", -(18 * USD), &format!("out-2-{round}")).await;
        if round == 0 {
            posts(&counter.app, "usr_1", -7 * USD, "out").await;
        }
        tokio::join!(lifecycle.run(), lifecycle.run(), lifecycle.run());
        posts(&counter.app, "usr_2", 18 * USD, &format!("in-2-{round}")).await;
    }
    counter.holds("usr_1", 2_300).await;
    // Five for the second; for the first one, or none where another run saw the money that had come before it was told.
    assert!((5..=6).contains(&told(&counter.app).await.len()));
    counter.mails().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_faults_at_once_it_buys_once_and_tells_once() {
    for seed in 0..6 {
        let rates = Rates { unanswered: 60, throttled: 120, conflict: 60, ..Rates::default() };
        let chaos = Arc::new(Chaos::new(seed, rates));
        let counter = Counter::with(Some(chaos.clone())).await;
        chaos.set_quiet(true);
        customer(&counter, Card::Visa).await;
        let lifecycle = lifecycle(&counter);
        lifecycle.run().await;
        account(&counter.app, "usr_2", "active").await;
        posts(&counter.app, "usr_2", 20 * USD, "in-2").await;
        posts(&counter.app, "usr_2", -18 * USD, "out-2").await;
        posts(&counter.app, "usr_1", -7 * USD, "out").await;
        chaos.set_quiet(false);
        for _ in 0..12 {
            lifecycle.run().await;
            counter.app.pass_secs(301);
        }
        chaos.set_quiet(true);
        lifecycle.run().await;
        counter.holds("usr_1", 2_300).await;
        assert_eq!((told(&counter.app).await.len(), events(&counter.app).await), (2, 0), "seed {seed}");
    }
}
