//! Webhooks: signatures, repeats, order, retries, forgeries and lies.

use crate::support::{Shop, event, header, kinds, stripe_holds};
use sandbox::{Card, Chance, Config, Delivering, Processor, Target};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test]
async fn stripe_signs_time_and_body_with_every_secret() {
    let shop = Shop::open().await;
    shop.sandbox.set_stripe_webhook_secrets(vec!["whsec_new".to_owned(), "whsec_old".to_owned()]);
    let id = shop.intent().await;
    shop.sandbox.pay_intent(&id, Card::Visa).unwrap();
    let now_ms = shop.now_ms.load(Ordering::Relaxed);
    let [delivery]: [_; 1] = shop.mail().await.try_into().unwrap();
    assert!(delivery.genuine);
    assert!(stripe_holds(&delivery, "whsec_new", now_ms) && stripe_holds(&delivery, "whsec_old", now_ms));
    assert!(!stripe_holds(&delivery, "whsec_sandbox", now_ms));
    let event = event(&delivery);
    assert_eq!(
        (&event["object"], &event["type"], &event["id"]),
        (&"event".into(), &"payment_intent.succeeded".into(), &delivery.event_id.as_str().into())
    );
    assert_eq!(event["created"], now_ms / 1_000);
    assert_eq!(event["data"]["object"], shop.stripe_get(&format!("/v1/payment_intents/{id}")).await.body);
    assert!(delivery.body.starts_with("{\n  "), "indented, as Stripe's");
}

#[tokio::test]
async fn paypal_answers_for_its_own_signatures_only() {
    let shop = Shop::open().await;
    let (_, _) = shop.captured_order().await;
    let delivery = shop.mail().await.pop().unwrap();
    let webhook = "5SB74927XH1234567";
    assert_eq!(shop.verified(&delivery, &delivery.body, webhook).await, "SUCCESS");
    assert_eq!(shop.verified(&delivery, &delivery.body, "0AB00000XH0000000").await, "FAILURE");
    assert_eq!(shop.verified(&delivery, &delivery.body.replace("5.00", "9.00"), webhook).await, "FAILURE");
    let spaced = delivery.body.replacen(':', ": ", 1);
    assert_eq!(shop.verified(&delivery, &spaced, webhook).await, "FAILURE", "the bytes count, not what they mean");
    for (name, value) in [
        ("paypal-cert-url", "https://api.paypal.com.certs.example/cert"),
        ("paypal-cert-url", "http://api.paypal.com/cert"),
        ("paypal-transmission-time", "2026-11-11T00:00:00Z"),
        ("paypal-transmission-id", "00000000-0000-0000-0000-000000000000"),
        ("paypal-transmission-sig", "AAAA"),
        ("paypal-auth-algo", "none"),
    ] {
        let mut changed = delivery.clone();
        changed.headers.iter_mut().filter(|(each, _)| each == name).for_each(|(_, each)| *each = value.to_owned());
        assert_eq!(shop.verified(&changed, &changed.body, webhook).await, "FAILURE", "{name}");
    }
}

#[tokio::test]
async fn refused_events_come_again_with_a_fresh_signature_and_end() {
    let shop = Shop::open().await;
    let id = shop.intent().await;
    shop.sandbox.pay_intent(&id, Card::Visa).unwrap();
    shop.answer.store(500, Ordering::Relaxed);
    // by the clock: not before its time
    assert_eq!(shop.sandbox.deliver_due().await.refused, 1);
    assert_eq!(shop.sandbox.deliver_due().await.waiting, 1);
    shop.pass_ms(10_000);
    assert_eq!(shop.sandbox.deliver_due().await.refused, 1);
    let tally = shop.sandbox.deliver_all().await;
    assert_eq!((tally.refused, tally.abandoned, tally.waiting), (6, 1, 0));
    let mail = shop.mail().await;
    assert_eq!(mail.iter().map(|delivery| delivery.attempt).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert_eq!(mail.iter().map(|delivery| &delivery.event_id).collect::<HashSet<_>>().len(), 1);
    assert_ne!(header(&mail[0], "stripe-signature"), header(&mail[1], "stripe-signature"));
    assert_eq!(shop.sandbox.sent().iter().map(|sent| sent.status).collect::<Vec<_>>(), [500; 8]);
}

#[tokio::test]
async fn events_repeat_come_late_and_get_lost() {
    let shop = Shop::open().await;
    let pay = async || {
        let id = shop.intent().await;
        shop.sandbox.pay_intent(&id, Card::Visa).unwrap();
        id
    };
    // twice, 70 ms apart
    shop.sandbox.tune(|knobs| knobs.duplicate = Chance::Next(1));
    pay().await;
    assert_eq!(shop.sandbox.deliver_due().await.accepted, 1);
    shop.pass_ms(70);
    assert_eq!(shop.sandbox.deliver_due().await.accepted, 1);
    let mail = shop.mail().await;
    assert_eq!((mail.len(), &mail[0].event_id, &mail[0].body), (2, &mail[1].event_id, &mail[1].body));

    // late, so that the refund comes before the payment
    shop.sandbox.tune(|knobs| knobs.delayed = Chance::Next(1));
    let id = pay().await;
    shop.sandbox.refund_from_dashboard(&id, Some(100)).unwrap();
    assert_eq!(kinds(&shop.mail().await), ["refund.created", "charge.refunded", "payment_intent.succeeded"]);

    // in any order
    shop.sandbox.tune(|knobs| knobs.out_of_order = Chance::ALWAYS);
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(pay().await);
    }
    let mail = shop.mail().await;
    let order: Vec<_> =
        mail.iter().map(|each| event(each)["data"]["object"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(order.len(), 20);
    assert_ne!(order, ids);
    shop.sandbox.tune(|knobs| knobs.out_of_order = Chance::Off);

    // never
    shop.sandbox.tune(|knobs| knobs.lost = Chance::Next(1));
    pay().await;
    assert!(shop.mail().await.is_empty());
    assert_eq!(shop.sandbox.lost(), 1);
    pay().await;
    assert_eq!(shop.mail().await.len(), 1);
}

#[tokio::test]
async fn forgeries_come_beside_the_event_and_do_not_hold() {
    let shop = Shop::open().await;
    let id = shop.intent().await;
    shop.sandbox.tune(|knobs| {
        knobs.forged_signature = Chance::Next(1);
        knobs.forged_time = Chance::Next(1);
        knobs.forged_host = Chance::Next(1);
    });
    shop.sandbox.pay_intent(&id, Card::Visa).unwrap();
    let now_ms = shop.now_ms.load(Ordering::Relaxed);
    let mail = shop.mail().await;
    assert_eq!(mail.iter().filter(|delivery| delivery.genuine).count(), 1);
    assert_eq!(mail.len(), 4);
    for delivery in &mail {
        assert_eq!(stripe_holds(delivery, "whsec_sandbox", now_ms), delivery.genuine);
        let amount = event(delivery)["data"]["object"]["amount"].as_i64().unwrap();
        assert_eq!(amount, if delivery.genuine { 2_000 } else { 20_000 });
    }

    // an intent that nobody paid
    shop.sandbox.tune(|knobs| knobs.forged_signature = Chance::Next(1));
    let unpaid = shop.intent().await;
    let [forged]: [_; 1] = shop.mail().await.try_into().unwrap();
    assert_eq!((forged.genuine, forged.event_type.as_str()), (false, "payment_intent.succeeded"));
    assert_eq!(event(&forged)["data"]["object"]["id"], unpaid.as_str());
    assert!(!stripe_holds(&forged, "whsec_sandbox", now_ms));

    // at PayPal
    let order = shop.order().await;
    shop.sandbox.tune(|knobs| {
        knobs.forged_signature = Chance::Next(1);
        knobs.forged_time = Chance::Next(1);
        knobs.forged_host = Chance::Next(1);
    });
    shop.sandbox.approve_order(&order).unwrap();
    let mail = shop.mail().await;
    assert_eq!(mail.len(), 4);
    for delivery in &mail {
        let word = shop.verified(delivery, &delivery.body, "5SB74927XH1234567").await;
        assert_eq!(word, if delivery.genuine { "SUCCESS" } else { "FAILURE" });
    }
    assert!(
        mail.iter().any(|delivery| !header(delivery, "paypal-cert-url").starts_with("https://api.sandbox.paypal.com/"))
    );
}

#[tokio::test]
async fn signed_events_lie_and_the_api_does_not() {
    let shop = Shop::open().await;
    let now_ms = shop.now_ms.load(Ordering::Relaxed);
    shop.sandbox.tune(|knobs| knobs.event_wrong_amount = Chance::Next(1));
    let id = shop.intent().await;
    shop.sandbox.pay_intent(&id, Card::Visa).unwrap();
    let [delivery]: [_; 1] = shop.mail().await.try_into().unwrap();
    assert!(stripe_holds(&delivery, "whsec_sandbox", now_ms));
    assert_eq!(event(&delivery)["data"]["object"]["amount_received"], 20_000);
    assert_eq!(shop.stripe_get(&format!("/v1/payment_intents/{id}")).await.number("/amount_received"), 2_000);

    shop.sandbox.tune(|knobs| knobs.event_wrong_currency = Chance::Next(2));
    let (order, _) = shop.captured_order().await;
    let delivery = shop.mail().await.pop().unwrap();
    assert_eq!(shop.verified(&delivery, &delivery.body, "5SB74927XH1234567").await, "SUCCESS");
    assert_eq!(event(&delivery)["resource"]["amount"], serde_json::json!({ "currency_code": "EUR", "value": "5.00" }));
    let shown = shop.paypal_get(&format!("/v2/checkout/orders/{order}")).await;
    assert_eq!(shown.text("/purchase_units/0/payments/captures/0/amount/currency_code"), "USD");

    // about an object that is not there, beside the true one
    shop.sandbox.tune(|knobs| knobs.unknown_object = Chance::Next(1));
    let id = shop.intent().await;
    shop.sandbox.pay_intent(&id, Card::Visa).unwrap();
    let mail = shop.mail().await;
    let other = event(&mail[0])["data"]["object"]["id"].as_str().unwrap().to_owned();
    assert!(mail.len() == 2 && other.starts_with("pi_") && other != id);
    assert!(stripe_holds(&mail[0], "whsec_sandbox", now_ms));
    assert_eq!(shop.stripe_get(&format!("/v1/payment_intents/{other}")).await.status, 404);
}

#[tokio::test]
async fn the_api_itself_may_be_in_another_currency_or_amount() {
    let shop = Shop::open().await;
    shop.sandbox.tune(|knobs| {
        knobs.api_wrong_currency = Chance::Next(2);
        knobs.api_wrong_amount = Chance::Next(2);
    });
    let id = shop.intent().await;
    shop.sandbox.pay_intent(&id, Card::Visa).unwrap();
    let shown = shop.stripe_get(&format!("/v1/payment_intents/{id}")).await;
    assert_eq!((shown.number("/amount_received"), shown.text("/currency")), (2_100, "eur"));
    let (_, capture) = shop.captured_order().await;
    let shown = shop.paypal_get(&format!("/v2/payments/captures/{capture}")).await;
    assert_eq!((shown.text("/amount/value"), shown.text("/amount/currency_code")), ("6.00", "EUR"));
    let truth = shop.sandbox.captured();
    assert_eq!((truth.kept("USD"), truth.kept("EUR")), (0, 2_700));
}

#[tokio::test]
async fn in_the_background_events_are_posted_as_they_fall_due() {
    // given a server that notes what it gets
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let app = axum::Router::new().route(
        "/hook",
        axum::routing::post(move |headers: axum::http::HeaderMap, body: String| async move {
            sender.send((headers, body)).unwrap();
            axum::http::StatusCode::NO_CONTENT
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let shop = Shop::with(Config { delivering: Delivering::Background, ..Config::default() }).await;
    shop.sandbox.send_webhooks_to(Processor::Stripe, Target::Url(url));

    // when an intent is paid
    let id = shop.intent().await;
    shop.sandbox.pay_intent(&id, Card::Visa).unwrap();

    // then its event arrives by itself, byte for byte
    let arrived = tokio::time::timeout(Duration::from_secs(5), receiver.recv()).await.unwrap();
    let (headers, body) = arrived.unwrap();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let delivery = sandbox::Delivery {
        processor: Processor::Stripe,
        event_id: String::new(),
        event_type: String::new(),
        attempt: 1,
        genuine: true,
        headers,
        body,
    };
    assert!(stripe_holds(&delivery, "whsec_sandbox", shop.now_ms.load(Ordering::Relaxed)));
}

#[tokio::test]
async fn the_same_seed_is_the_same_story() {
    let story = async || {
        let shop = Shop::open().await;
        shop.sandbox.tune(|knobs| {
            knobs.duplicate = Chance::Permille(300);
            knobs.lost = Chance::Permille(200);
            knobs.out_of_order = Chance::Permille(500);
            knobs.forged_signature = Chance::Permille(200);
        });
        for _ in 0..20 {
            let id = shop.intent().await;
            shop.sandbox.pay_intent(&id, Card::Visa).unwrap();
        }
        shop.mail().await.into_iter().map(|delivery| (delivery.event_id, delivery.body)).collect::<Vec<_>>()
    };
    let (first, second) = (story().await, story().await);
    assert!(first.len() > 20);
    assert_eq!(first, second);
}
