//! What is not the processor's is refused, and changes nothing.

use super::{Counter, FORGERS, PROCESSOR, post_from, post_raw};
use domain::payment::{Processor, Status};
use futures::future::join_all;
use sandbox::Chance;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use tests::Answer;

#[tokio::test]
async fn forged_events_are_refused_and_change_nothing() {
    let counter = Counter::new().await;
    counter.sandbox.tune(|knobs| {
        (knobs.forged_signature, knobs.forged_time, knobs.forged_host) =
            (Chance::ALWAYS, Chance::ALWAYS, Chance::ALWAYS);
    });
    for processor in Processor::ALL {
        counter.buy("usr_1", processor, 2_000, processor.as_str()).await;
    }
    // Nobody paid; yet somebody says so, six times.
    counter.sandbox.deliver_all().await;
    let sent = counter.sandbox.sent();
    assert_eq!(sent.len(), 6);
    assert!(sent.iter().all(|sent| !sent.genuine && sent.status == 400), "{sent:?}");
    counter.holds("usr_1", 0).await;
    assert_eq!((counter.parked().await, counter.mails().await), (Vec::new(), Vec::<String>::new()));
}

#[tokio::test]
async fn what_is_signed_is_the_body_as_it_came() {
    let counter = Counter::new().await;
    let event = json!({ "id": "evt_1", "type": "x.y", "data": { "object": { "object": "balance" } } }).to_string();
    for (processor, path, header) in [
        (sandbox::Processor::Stripe, "/stripe", "Stripe-Signature"),
        (sandbox::Processor::PayPal, "/paypal", "PayPal-Transmission-Sig"),
    ] {
        let event = if path == "/paypal" { event.replace("\"type\"", "\"event_type\"") } else { event.clone() };
        let headers = counter.sandbox.signed(processor, &event);
        let ask = |headers: Vec<(String, String)>, body: String| {
            let urls = counter.urls.clone();
            async move { post_raw(&urls, path, &headers, &body).await }
        };
        let good = ask(headers.clone(), event.clone()).await;
        assert_eq!((good.status, &good.json), (200, &json!({ "received": true })), "an unknown type is taken");
        assert_eq!(ask(headers.clone(), event.clone()).await.status, 200, "twice, too");
        let spaced = event.replace("\":", "\" : ");
        for wrong in [String::new(), spaced, format!("{event} {event}"), "nonsense".to_owned()] {
            let answer = ask(headers.clone(), wrong.clone()).await;
            assert_eq!(
                (answer.status, answer.json["code"].as_str()),
                (400, Some("invalid_signature")),
                "{path} {wrong}"
            );
            assert_eq!(answer.json["errors"][0]["parameter"], header, "{path} {wrong}");
        }
        for missing in
            headers.iter().map(|(name, _)| name).filter(|name| name.contains("stripe-") || name.contains("sig"))
        {
            let headers = headers.iter().filter(|(name, _)| name != missing).cloned().collect();
            assert_eq!(ask(headers, event.clone()).await.status, 400, "{missing}");
            let twice = counter.sandbox.signed(processor, &event);
            let twice = [twice.clone(), twice.into_iter().filter(|(name, _)| name == missing).collect()].concat();
            assert_eq!(ask(twice, event.clone()).await.status, 400, "{missing} twice");
        }
        // Signed, and no event all the same.
        for body in ["[]", "7", "{}", r#"{"id":"evt 1","type":"x","event_type":"x"}"#, r#"{"id":"evt_1"}"#] {
            let answer = ask(counter.sandbox.signed(processor, body), body.to_owned()).await;
            assert_eq!((answer.status, answer.json["code"].as_str()), (400, Some("malformed_event")), "{path} {body}");
        }
        let long = format!("{{\"id\":\"{}\"}}", "x".repeat(70_000));
        assert_eq!(ask(counter.sandbox.signed(processor, &long), long).await.status, 413);
    }
}

#[tokio::test]
async fn a_secret_that_is_being_rotated_holds_and_an_old_event_does_not() {
    let counter = Counter::new().await;
    let payment = counter.buy("usr_1", Processor::Stripe, 2_000, "k").await;
    counter.pay(&payment);
    counter.sandbox.set_stripe_webhook_secrets(vec!["whsec_next".to_owned(), "whsec_sandbox".to_owned()]);
    counter.sandbox.deliver_all().await;
    assert_eq!(counter.payment(&payment.id).await.status, Status::Succeeded);
    let body = r#"{"id":"evt_1","type":"x"}"#;
    let headers = counter.sandbox.signed(sandbox::Processor::Stripe, body);
    counter.app.pass_secs(301);
    let late = post_raw(&counter.urls, "/stripe", &headers, body).await;
    assert_eq!(late.status, 400);
    counter.holds("usr_1", 2_000).await;
    counter.mails().await;
}

#[tokio::test]
async fn what_cannot_be_dealt_with_now_comes_again() {
    let counter = Counter::new().await;
    for processor in Processor::ALL {
        let customer = format!("usr_{processor}");
        let payment = counter.buy(&customer, processor, 2_000, "k").await;
        counter.pay(&payment);
        // Three tries of a call, twice: the first deliveries find the processor down.
        counter.sandbox.tune(|knobs| knobs.fail_before = Chance::Next(6));
        counter.sandbox.deliver_all().await;
        assert_eq!(counter.payment(&payment.id).await.status, Status::Succeeded);
        counter.holds(&customer, 2_000).await;
    }
    assert!(counter.sandbox.sent().iter().any(|sent| sent.status == 503));
    counter.mails().await;
}

/// A webhook that looks like PayPal's, until PayPal is asked.
async fn forge(counter: &Counter, from: IpAddr) -> Answer {
    let headers = counter.sandbox.signed(sandbox::Processor::PayPal, r#"{"id":"WH-1","event_type":"X"}"#);
    post_from(from, &counter.urls, "/paypal", &headers, r#"{"id":"WH-2","event_type":"X"}"#).await
}

#[tokio::test]
async fn who_forges_often_is_not_asked_about_any_more_and_paypals_own_come_through() {
    let counter = Counter::new().await;
    let payment = counter.buy("usr_1", Processor::Paypal, 2_000, "k").await;
    counter.pay(&payment);
    let forger: IpAddr = "2001:db8:0:1::7".parse().unwrap();
    for _ in 0..20 {
        assert_eq!(forge(&counter, forger).await.status, 400);
    }
    // PayPal would not answer, were it asked.
    counter.sandbox.tune(|knobs| knobs.fail_before = Chance::ALWAYS);
    for same_network in ["2001:db8:0:1::7", "2001:db8:0:1:2::8"] {
        let refused = forge(&counter, same_network.parse().unwrap()).await;
        assert_eq!((refused.status, refused.json["code"].as_str()), (429, Some("too_many_requests")));
        assert!(refused.headers.contains_key("retry-after"));
    }
    assert_eq!(forge(&counter, PROCESSOR).await.status, 503, "others are asked about");
    counter.sandbox.tune(|knobs| knobs.fail_before = Chance::Off);
    counter.sandbox.deliver_all().await;
    assert!(counter.sandbox.sent().iter().all(|sent| sent.status == 200));
    counter.holds("usr_1", 2_000).await;
    counter.app.pass_secs(300);
    assert_eq!(forge(&counter, forger).await.status, 400);
    counter.mails().await;
}

#[tokio::test]
async fn one_address_takes_not_all_places_however_many_it_sends_at_once_and_whatever_paypal_answers() {
    let counter = Counter::new().await;
    let payment = counter.buy("usr_1", Processor::Paypal, 2_000, "k").await;
    counter.pay(&payment);
    // Nothing of this is known to be forged: PayPal answers none of it.
    counter.sandbox.tune(|knobs| knobs.fail_before = Chance::ALWAYS);
    let flooder: IpAddr = "198.51.100.7".parse().unwrap();
    let statuses = join_all((0..620).map(|_| forge(&counter, flooder))).await;
    let of = |status: u16| statuses.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(503), of(429)), (300, 320), "answered nothing, and not asked");
    counter.sandbox.tune(|knobs| knobs.fail_before = Chance::Off);
    counter.sandbox.deliver_due().await;
    let sent = counter.sandbox.sent();
    assert!(!sent.is_empty() && sent.iter().all(|sent| sent.genuine && sent.status == 200), "{sent:?}");
    counter.holds("usr_1", 2_000).await;
    assert_eq!(forge(&counter, flooder).await.status, 429);
    counter.app.pass_secs(60);
    assert_eq!(forge(&counter, flooder).await.status, 400, "a minute later it is asked about again");
    counter.mails().await;
}

#[tokio::test]
async fn what_many_forgers_put_off_comes_again_and_is_credited() {
    let counter = Counter::new().await;
    let payment = counter.buy("usr_1", Processor::Paypal, 2_000, "k").await;
    counter.pay(&payment);
    for some in (0..600).collect::<Vec<u32>>().chunks(20) {
        let forgers = some.iter().map(|n| forge(&counter, Ipv4Addr::from_bits(FORGERS + n).into()));
        assert!(join_all(forgers).await.iter().all(|answer| answer.status == 400));
    }
    counter.sandbox.deliver_due().await;
    let put_off = counter.sandbox.sent();
    assert!(!put_off.is_empty() && put_off.iter().all(|sent| sent.genuine && sent.status == 429), "{put_off:?}");
    counter.holds("usr_1", 0).await;
    counter.app.pass_secs(60);
    counter.sandbox.deliver_all().await;
    counter.holds("usr_1", 2_000).await;
    counter.mails().await;
}
