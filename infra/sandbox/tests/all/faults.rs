//! What befalls calls.

use crate::support::{Shop, order};
use sandbox::{Chance, Knobs};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, Instant};

const FORM: [(&str, &str); 2] = [("amount", "2000"), ("currency", "usd")];

async fn intents(shop: &Shop) -> usize {
    shop.stripe_get("/v1/payment_intents").await.body["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn too_many_calls_are_told_when_to_come_again() {
    let shop = Shop::open().await;
    shop.sandbox.tune(|knobs| (knobs.rate_limited, knobs.retry_after_secs) = (Chance::Next(1), 7));
    let refused = shop.send(shop.stripe_post("/v1/payment_intents", &FORM, "k")).await;
    assert_eq!((refused.status, refused.text("/error/code")), (429, "rate_limit"));
    assert_eq!(refused.headers.get("retry-after").unwrap(), "7");
    assert_eq!(shop.send(shop.stripe_post("/v1/payment_intents", &FORM, "k")).await.status, 200, "not remembered");

    shop.sandbox.tune(|knobs| knobs.rate_limited = Chance::Next(1));
    let refused = shop.paypal("/v2/checkout/orders", &order("5.00")).await;
    assert_eq!((refused.status, refused.text("/name")), (429, "RATE_LIMIT_REACHED"));
    assert_eq!(shop.paypal("/v2/checkout/orders", &order("5.00")).await.status, 201);
}

#[tokio::test]
async fn a_500_at_stripe_stands_for_its_key_done_or_not() {
    let shop = Shop::open().await;
    shop.sandbox.tune(|knobs| knobs.fail_before = Chance::Next(1));
    for _ in 0..2 {
        let broken = shop.send(shop.stripe_post("/v1/payment_intents", &FORM, "before")).await;
        assert_eq!((broken.status, broken.text("/error/type")), (500, "api_error"));
    }
    assert_eq!(intents(&shop).await, 0);

    shop.sandbox.tune(|knobs| knobs.fail_after = Chance::Next(1));
    for replayed in [false, true] {
        let broken = shop.send(shop.stripe_post("/v1/payment_intents", &FORM, "after")).await;
        assert_eq!((broken.status, broken.headers.contains_key("idempotent-replayed")), (500, replayed));
    }
    assert_eq!(intents(&shop).await, 1, "done, once");
}

#[tokio::test]
async fn a_500_at_paypal_is_answered_rightly_the_second_time() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.sandbox.approve_order(&order).unwrap();
    let path = format!("/v2/checkout/orders/{order}/capture");
    for (fault, after) in [(Chance::Next(1), false), (Chance::Next(1), true)] {
        shop.sandbox.tune(|knobs| if after { knobs.fail_after = fault } else { knobs.fail_before = fault });
        let broken = shop.send(shop.paypal_post(&path, &Value::Null, "k").await).await;
        assert_eq!((broken.status, broken.text("/name")), (500, "INTERNAL_SERVER_ERROR"));
        assert_eq!(shop.sandbox.captured().payments.len(), usize::from(after));
    }
    let answered = shop.send(shop.paypal_post(&path, &Value::Null, "k").await).await;
    assert_eq!((answered.status, answered.text("/status")), (200, "COMPLETED"));
}

#[tokio::test]
async fn a_lost_answer_is_a_closed_connection_and_a_replay() {
    let shop = Shop::open().await;
    let only = "POST /v1/payment_intents".to_owned();
    shop.sandbox.tune(|knobs| (knobs.close_after, knobs.only) = (Chance::Next(1), only));
    assert_eq!(intents(&shop).await, 0, "other calls are left alone");
    let lost = shop.try_send(shop.stripe_post("/v1/payment_intents", &FORM, "k")).await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(intents(&shop).await, 1);
    let replayed = shop.send(shop.stripe_post("/v1/payment_intents", &FORM, "k")).await;
    assert_eq!((replayed.status, replayed.headers.contains_key("idempotent-replayed")), (200, true));
    assert_eq!(intents(&shop).await, 1);
}

#[tokio::test]
async fn a_slow_answer_is_done_before_it_comes() {
    let shop = Shop::open().await;
    shop.sandbox.tune(|knobs| (knobs.slow, knobs.slow_ms) = (Chance::Next(2), 300));
    let impatient = shop.stripe_post("/v1/payment_intents", &FORM, "k").timeout(Duration::from_millis(50));
    assert!(shop.try_send(impatient).await.unwrap_err().is_timeout());
    let began = Instant::now();
    let replayed = shop.send(shop.stripe_post("/v1/payment_intents", &FORM, "k")).await;
    assert_eq!(replayed.status, 200);
    // The replay was answered at once: only calls that are done are slow.
    assert!(began.elapsed() < Duration::from_millis(250));
    assert_eq!(intents(&shop).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_in_parallel_does_one_thing() {
    let shop = Shop::open().await;
    let calls = (0..64).map(|_| shop.send(shop.stripe_post("/v1/payment_intents", &FORM, "k")));
    let answers = futures::future::join_all(calls).await;
    let made: HashSet<_> =
        answers.iter().filter(|answer| answer.status == 200).map(|answer| answer.text("/id")).collect();
    assert_eq!(made.len(), 1);
    let rest: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(rest.iter().all(|answer| (answer.status, answer.text("/error/code")) == (409, "idempotency_key_in_use")));
    assert_eq!(intents(&shop).await, 1);
}

#[tokio::test]
async fn knobs_are_set_over_http() {
    let shop = Shop::open().await;
    let put = |body: Value| shop.http.put(shop.url("/sandbox/knobs")).json(&body);
    let set = shop.send(put(json!({ "duplicate": { "permille": 250 }, "lost": { "next": 2 }, "slow": "off" }))).await;
    assert_eq!((set.status, &set.body["duplicate"]), (200, &json!({ "permille": 250 })));
    let expected = Knobs { duplicate: Chance::Permille(250), lost: Chance::Next(2), ..Knobs::default() };
    assert_eq!(shop.sandbox.knobs(), expected);
    let shown = shop.send(shop.http.get(shop.url("/sandbox/knobs"))).await;
    assert_eq!(serde_json::from_value::<Knobs>(shown.body).unwrap(), expected);
    assert_eq!(shop.send(put(json!({ "duplicates": "off" }))).await.status, 422);
    assert_eq!(shop.sandbox.knobs(), expected);
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let shop = Shop::with(sandbox::Config { most_objects: 10, ..sandbox::Config::default() }).await;
    let first = shop.intent().await;
    for _ in 0..10 {
        shop.intent().await;
    }
    assert_eq!(shop.stripe_get(&format!("/v1/payment_intents/{first}")).await.status, 404);
    assert_eq!(shop.sandbox.captured().forgotten, 1);
}
