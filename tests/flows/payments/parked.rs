//! What cannot be matched is parked: never dropped, never credited.

use super::Counter;
use domain::payment::{Processor, Status};
use sandbox::Chance;
use std::collections::HashMap;

#[tokio::test]
async fn another_currency_is_parked_and_another_amount_is_credited_as_captured() {
    let counter = Counter::new().await;
    for processor in Processor::ALL {
        let customer = format!("usr_{processor}");
        counter.sandbox.tune(|knobs| knobs.api_wrong_currency = Chance::Next(1));
        let foreign = counter.buy(&customer, processor, 2_000, "foreign").await;
        counter.pay(&foreign);
        for _ in 0..2 {
            counter.sandbox.deliver_all().await;
            counter.cashier.settle(&foreign.id).await.unwrap();
        }
        let record = counter.payment(&foreign.id).await;
        assert_eq!((record.captured.steps(), record.due), (0, None));
        assert!(record.note.unwrap().contains("not USD"));
        counter.holds(&customer, 0).await;
        counter.sandbox.tune(|knobs| knobs.api_wrong_amount = Chance::Next(1));
        let more = counter.buy(&customer, processor, 2_000, "more").await;
        counter.pay(&more);
        counter.sandbox.deliver_all().await;
        let record = counter.payment(&more.id).await;
        assert_eq!((record.status, record.captured.steps()), (Status::Succeeded, 21_000_000));
        assert!(record.note.is_some());
        counter.holds(&customer, 2_100).await;
    }
    let parked: HashMap<Processor, usize> =
        counter.parked().await.into_iter().map(|entry| (entry.processor, entry.reasons.len())).collect();
    assert_eq!(parked, HashMap::from([(Processor::Stripe, 1), (Processor::Paypal, 1)]));
    counter.mails().await;
}

#[tokio::test]
async fn events_about_objects_that_are_nobodys_are_parked_and_disturb_nothing() {
    let counter = Counter::new().await;
    counter.sandbox.tune(|knobs| knobs.unknown_object = Chance::ALWAYS);
    for processor in Processor::ALL {
        let customer = format!("usr_{processor}");
        let payment = counter.buy(&customer, processor, 2_000, "k").await;
        counter.pay(&payment);
        counter.sandbox.deliver_all().await;
        counter.cashier.settle(&payment.id).await.unwrap();
        counter.sandbox.deliver_all().await;
        assert_eq!(counter.payment(&payment.id).await.status, Status::Succeeded);
        counter.holds(&customer, 2_000).await;
    }
    let parked = counter.parked().await;
    assert!(parked.iter().any(|entry| entry.processor == Processor::Stripe), "{parked:?}");
    assert!(parked.iter().any(|entry| entry.processor == Processor::Paypal), "{parked:?}");
    assert!(parked.iter().all(|entry| entry.event.is_some() && !entry.reasons.is_empty()), "{parked:?}");
    assert!(counter.sandbox.sent().iter().all(|sent| sent.status == 200), "they were taken");
    counter.mails().await;
}

#[tokio::test]
async fn an_intent_that_names_somebody_elses_payment_is_parked() {
    let counter = Counter::new().await;
    let payment = counter.buy("usr_1", Processor::Stripe, 2_000, "k").await;
    // Made with our key by somebody who knows ids: the payment's, and their own as the customer.
    let forged = |customer: &'static str, payment: String| {
        let url = format!("{}/v1/payment_intents", counter.sandbox.url());
        let form = format!(
            "amount=2000&currency=usd&metadata[payment]={payment}&metadata[customer]={customer}&confirm=true&payment_method=pm_card_visa"
        );
        async move { curl(&url, &form).await }
    };
    let before = counter.payment(&payment.id).await;
    forged("usr_2", payment.id.to_string()).await;
    forged("usr_1", payment.id.to_string()).await;
    forged("usr_1", "pay_nobody".to_owned()).await;
    counter.sandbox.deliver_all().await;
    assert_eq!(counter.payment(&payment.id).await, before);
    assert_eq!(counter.parked().await.len(), 3);
    counter.holds("usr_1", 0).await;
    counter.holds("usr_2", 0).await;
}

/// A call of Stripe's API that is not ours.
async fn curl(url: &str, form: &str) {
    let client = reqwest::Client::new();
    let request = client.post(url).bearer_auth("sk_test_sandbox");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
    assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn a_captured_order_that_paypal_has_forgotten_is_parked() {
    let counter = Counter::new().await;
    let payment = counter.bought("usr_1", Processor::Paypal, 2_000, "k").await;
    let (held, rev) = counter.app.system.store.payment(&payment.id).await.unwrap().unwrap();
    let gone = domain::payment::Payment { object: Some("5O1GONE".to_owned()), ..held.clone() };
    counter.app.system.store.payment_update(&(held, rev), &gone, &[], counter.app.time.now()).await.unwrap();
    for _ in 0..2 {
        let settled = counter.cashier.settle(&payment.id).await.unwrap();
        assert_eq!((settled.captured, settled.due), (payment.captured, None));
        assert!(settled.note.unwrap().contains("no longer knows"));
    }
    let parked = counter.parked().await;
    assert_eq!((parked.len(), parked[0].object.as_str()), (1, "5O1GONE"));
    counter.holds("usr_1", 2_000).await;
    counter.mails().await;
}

#[tokio::test]
async fn an_event_about_money_that_names_nothing_usable_is_parked_by_its_own_name() {
    let counter = Counter::new().await;
    let stripe = r#"{"id":"evt_9","type":"charge.refunded","data":{"object":{"object":"charge","id":"../x"}}}"#;
    let paypal = r#"{"id":"WH-9","event_type":"PAYMENT.CAPTURE.REFUNDED","resource":{}}"#;
    for (processor, path, body) in
        [(sandbox::Processor::Stripe, "/stripe", stripe), (sandbox::Processor::PayPal, "/paypal", paypal)]
    {
        let answer = super::post_raw(&counter.urls, path, &counter.sandbox.signed(processor, body), body).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let mut parked: Vec<String> = counter.parked().await.into_iter().map(|entry| entry.object).collect();
    parked.sort();
    assert_eq!(parked, ["WH-9", "evt_9"]);
}
