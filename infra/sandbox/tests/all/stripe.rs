//! Stripe's API.

use crate::support::{Shop, event, kinds};
use sandbox::{Card, Outcome};
use serde_json::json;

#[tokio::test]
async fn an_intent_is_made_paid_and_shown() {
    // given an intent with metadata
    let shop = Shop::open().await;
    let customer = shop.stripe("/v1/customers", &[("email", "a@b.example"), ("metadata[user]", "usr_1")]).await;
    let customer = customer.text("/id").to_owned();
    let form = [
        ("amount", "2000"),
        ("currency", "usd"),
        ("customer", &customer),
        ("metadata[payment]", "pay_1"),
        ("metadata[user]", "usr_1"),
        ("automatic_payment_methods[enabled]", "true"),
    ];
    let made = shop.stripe("/v1/payment_intents", &form).await;
    let id = made.text("/id").to_owned();
    assert_eq!((made.text("/object"), made.text("/status")), ("payment_intent", "requires_payment_method"));
    assert_eq!((made.number("/amount"), made.number("/amount_received"), made.text("/currency")), (2_000, 0, "usd"));
    assert_eq!(made.body["metadata"], json!({ "payment": "pay_1", "user": "usr_1" }));
    assert!(made.text("/client_secret").starts_with(&format!("{id}_secret_")));
    assert_eq!(made.body["latest_charge"], json!(null));

    // when the customer pays
    shop.sandbox.pay_intent(&id, Card::Visa).unwrap();

    // then it shows its charge, in full when asked to
    let shown = shop.stripe_get(&format!("/v1/payment_intents/{id}")).await;
    assert_eq!((shown.text("/status"), shown.number("/amount_received")), ("succeeded", 2_000));
    let charge = shown.text("/latest_charge").to_owned();
    let shown = shop.stripe_get(&format!("/v1/payment_intents/{id}?expand[]=latest_charge")).await;
    assert_eq!(shown.text("/latest_charge/id"), charge);
    assert_eq!(shown.body["latest_charge"]["refunds"], json!(null), "not without asking, since 2022-11-15");
    let shown = shop.stripe_get(&format!("/v1/payment_intents/{id}?expand[]=latest_charge.refunds")).await;
    assert_eq!(shown.body["latest_charge"]["refunds"]["data"], json!([]));
    let shown = shop.stripe_get(&format!("/v1/charges/{charge}")).await;
    assert_eq!((shown.text("/status"), shown.text("/payment_intent")), ("succeeded", id.as_str()));
    assert_eq!(shown.body["metadata"]["payment"], "pay_1");

    // and it can neither be paid, confirmed nor cancelled again
    assert!(shop.sandbox.pay_intent(&id, Card::Visa).is_err());
    for verb in ["confirm", "cancel"] {
        let refused = shop.stripe(&format!("/v1/payment_intents/{id}/{verb}"), &[]).await;
        assert_eq!((refused.status, refused.text("/error/code")), (400, "payment_intent_unexpected_state"));
        assert_eq!(refused.text("/error/payment_intent/status"), "succeeded");
    }
    let truth = shop.sandbox.captured();
    assert_eq!(truth.with("payment", "pay_1").count(), 1);
    assert_eq!((truth.kept("USD"), truth.forgotten), (2_000, 0));
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_with_its_parameter() {
    let shop = Shop::open().await;
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: [Case<'_>; 8] = [
        (&[("currency", "usd")], "parameter_missing", "amount"),
        (&[("amount", "2000")], "parameter_missing", "currency"),
        (&[("amount", "20.00"), ("currency", "usd")], "parameter_invalid_integer", "amount"),
        (&[("amount", "-1"), ("currency", "usd")], "parameter_invalid_integer", "amount"),
        (&[("amount", "49"), ("currency", "usd")], "amount_too_small", "amount"),
        (&[("amount", "100000000"), ("currency", "usd")], "amount_too_large", "amount"),
        (&[("amount", "2000"), ("currency", "usd"), ("tip", "1")], "parameter_unknown", "tip"),
        (&[("amount", "2000"), ("currency", "usd"), ("customer", "cus_x")], "resource_missing", "customer"),
    ];
    for (form, code, param) in cases {
        let refused = shop.stripe("/v1/payment_intents", form).await;
        assert!([400, 404].contains(&refused.status));
        assert_eq!((refused.text("/error/code"), refused.text("/error/param")), (code, param), "{form:?}");
        assert_eq!(refused.text("/error/type"), "invalid_request_error");
        assert!(!refused.text("/error/message").is_empty());
    }
    let json =
        shop.http.post(shop.url("/v1/payment_intents")).bearer_auth("sk_test_sandbox").json(&json!({ "amount": 1 }));
    assert_eq!(shop.send(json).await.status, 400);
    let missing = shop.stripe_get("/v1/payment_intents/pi_none").await;
    assert_eq!((missing.status, missing.text("/error/code")), (404, "resource_missing"));
    let stranger = shop.send(shop.http.get(shop.url("/v1/payment_intents/pi_none")).bearer_auth("sk_test_other")).await;
    assert_eq!((stranger.status, stranger.text("/error/type")), (401, "invalid_request_error"));
    assert!(!stranger.body.to_string().contains("sk_test_other"), "keys are not repeated");
}

#[tokio::test]
async fn keys_replay_the_same_and_refuse_the_other() {
    let shop = Shop::open().await;
    let form = [("amount", "2000"), ("currency", "usd")];
    let first = shop.send(shop.stripe_post("/v1/payment_intents", &form, "k1")).await;
    assert_eq!(first.headers.get("idempotent-replayed"), None);

    // the same parameters, in another order
    let again = shop.send(shop.stripe_post("/v1/payment_intents", &[form[1], form[0]], "k1")).await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.headers.get("idempotent-replayed").unwrap(), "true");

    // other parameters, and the same parameters elsewhere
    let other = [("amount", "2100"), ("currency", "usd")];
    for (path, form) in [("/v1/payment_intents", other), ("/v1/refunds", form)] {
        let refused = shop.send(shop.stripe_post(path, &form, "k1")).await;
        assert_eq!((refused.status, refused.text("/error/type")), (400, "idempotency_error"));
    }

    // what was never begun is not remembered
    let refused = shop.send(shop.stripe_post("/v1/payment_intents", &[("amount", "1")], "k2")).await;
    assert_eq!(refused.status, 400);
    assert_eq!(shop.send(shop.stripe_post("/v1/payment_intents", &form, "k2")).await.status, 200);

    // and after a day it is forgotten
    shop.pass_ms(24 * 3_600_000 + 1);
    let later = shop.send(shop.stripe_post("/v1/payment_intents", &form, "k1")).await;
    assert_ne!(later.body["id"], first.body["id"]);
    assert_eq!(shop.stripe_get("/v1/payment_intents").await.body["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn cards_are_declined_and_ask() {
    let shop = Shop::open().await;
    let id = shop.intent().await;

    // declined at the page: the customer may try again
    shop.sandbox.pay_intent(&id, Card::Declined).unwrap();
    let shown = shop.stripe_get(&format!("/v1/payment_intents/{id}?expand[]=latest_charge")).await;
    assert_eq!(shown.text("/status"), "requires_payment_method");
    assert_eq!(shown.text("/last_payment_error/decline_code"), "generic_decline");
    assert_eq!((shown.text("/latest_charge/status"), shown.number("/latest_charge/amount_captured")), ("failed", 0));

    // the bank asks: refused once, passed the second time
    shop.sandbox.pay_intent(&id, Card::AuthenticationRequired).unwrap();
    let shown = shop.stripe_get(&format!("/v1/payment_intents/{id}")).await;
    assert_eq!((shown.text("/status"), shown.text("/next_action/type")), ("requires_action", "redirect_to_url"));
    shop.sandbox.authenticate_intent(&id, false).unwrap();
    assert!(shop.sandbox.authenticate_intent(&id, true).is_err());
    shop.sandbox.pay_intent(&id, Card::AuthenticationRequired).unwrap();
    shop.sandbox.authenticate_intent(&id, true).unwrap();
    assert_eq!(shop.stripe_get(&format!("/v1/payment_intents/{id}")).await.text("/status"), "succeeded");

    // confirmed by the caller: an error with the intent in it
    let form =
        [("amount", "2000"), ("currency", "usd"), ("confirm", "true"), ("payment_method", "pm_card_chargeDeclined")];
    let refused = shop.send(shop.stripe_post("/v1/payment_intents", &form, "declined")).await;
    assert_eq!(
        (refused.status, refused.text("/error/type"), refused.text("/error/code")),
        (402, "card_error", "card_declined")
    );
    assert_eq!(refused.text("/error/payment_intent/status"), "requires_payment_method");
    let replayed = shop.send(shop.stripe_post("/v1/payment_intents", &form, "declined")).await;
    assert_eq!((replayed.status, &replayed.body), (402, &refused.body));

    let events = shop.mail().await;
    let expected = [
        "payment_intent.payment_failed",
        "payment_intent.requires_action",
        "payment_intent.payment_failed",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
    ];
    assert_eq!(kinds(&events), expected);
    assert_eq!(shop.sandbox.captured().kept("USD"), 2_000);
}

#[tokio::test]
async fn saved_cards_are_charged_while_the_customer_is_absent() {
    let shop = Shop::open().await;
    let customer = shop.stripe("/v1/customers", &[]).await.text("/id").to_owned();
    let mut methods = Vec::new();
    for card in [Card::Visa, Card::AuthenticationRequired, Card::DeclinedLater] {
        let form =
            [("amount", "500"), ("currency", "usd"), ("customer", &customer), ("setup_future_usage", "off_session")];
        let intent = shop.stripe("/v1/payment_intents", &form).await.text("/id").to_owned();
        shop.sandbox.pay_intent(&intent, card).unwrap();
        let _asked_or_not = shop.sandbox.authenticate_intent(&intent, true);
        let listed = shop.stripe_get(&format!("/v1/payment_methods?customer={customer}&type=card")).await;
        methods.push(listed.text("/data/0/id").to_owned());
    }
    let listed = shop.stripe_get(&format!("/v1/customers/{customer}/payment_methods")).await;
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 3);
    assert_eq!(listed.text("/data/2/card/last4"), "4242");

    let charge = async |method: &str, customer: &str| {
        let form = [
            ("amount", "700"),
            ("currency", "usd"),
            ("customer", customer),
            ("payment_method", method),
            ("off_session", "true"),
            ("confirm", "true"),
        ];
        shop.stripe("/v1/payment_intents", &form).await
    };
    assert_eq!(charge(&methods[0], &customer).await.text("/status"), "succeeded");
    let asked = charge(&methods[1], &customer).await;
    assert_eq!((asked.status, asked.text("/error/code")), (402, "authentication_required"));
    assert_eq!(asked.text("/error/payment_intent/last_payment_error/code"), "authentication_required");
    assert_eq!(charge(&methods[2], &customer).await.text("/error/decline_code"), "generic_decline");

    // not by another customer, and not once it is taken away
    let other = shop.stripe("/v1/customers", &[]).await.text("/id").to_owned();
    assert_eq!(charge(&methods[0], &other).await.status, 400);
    let detached = shop.stripe(&format!("/v1/payment_methods/{}/detach", methods[0]), &[]).await;
    assert_eq!((detached.status, &detached.body["customer"]), (200, &json!(null)));
    assert_eq!(charge(&methods[0], &customer).await.status, 400);
    assert_eq!(shop.stripe(&format!("/v1/payment_methods/{}/detach", methods[0]), &[]).await.status, 400);
    assert_eq!(shop.sandbox.captured().kept("USD"), 3 * 500 + 700);
}

#[tokio::test]
async fn refunds_take_parts_and_no_more_than_there_is() {
    let shop = Shop::open().await;
    let id = shop.intent().await;
    let unpaid = shop.stripe("/v1/refunds", &[("payment_intent", &id)]).await;
    assert_eq!(unpaid.status, 400);
    shop.sandbox.pay_intent(&id, Card::Visa).unwrap();
    let part = [("payment_intent", id.as_str()), ("amount", "500"), ("metadata[refund]", "rfd_1")];
    let made = shop.send(shop.stripe_post("/v1/refunds", &part, "r1")).await;
    assert_eq!((made.text("/object"), made.text("/status"), made.number("/amount")), ("refund", "succeeded", 500));
    let replayed = shop.send(shop.stripe_post("/v1/refunds", &part, "r1")).await;
    assert_eq!(replayed.body["id"], made.body["id"]);
    let too_much = shop.stripe("/v1/refunds", &[("payment_intent", &id), ("amount", "1501")]).await;
    assert_eq!((too_much.status, too_much.text("/error/param")), (400, "amount"));

    // one at the dashboard takes the rest
    let dashboard = shop.sandbox.refund_from_dashboard(&id, None).unwrap();
    let again = shop.stripe("/v1/refunds", &[("payment_intent", &id)]).await;
    assert_eq!((again.status, again.text("/error/code")), (400, "charge_already_refunded"));
    let listed = shop.stripe_get(&format!("/v1/refunds?payment_intent={id}")).await;
    assert_eq!((listed.text("/data/0/id"), listed.number("/data/0/amount")), (dashboard.as_str(), 1_500));
    assert_eq!(listed.body["data"][1]["metadata"], json!({ "refund": "rfd_1" }));
    let first = shop.stripe_get(&format!("/v1/refunds?payment_intent={id}&limit=1")).await;
    assert_eq!((first.body["data"].as_array().unwrap().len(), &first.body["has_more"]), (1, &json!(true)));
    let shown = shop.stripe_get(&format!("/v1/payment_intents/{id}?expand[]=latest_charge.refunds")).await;
    assert_eq!(shown.body["latest_charge"]["refunds"]["data"], listed.body["data"]);
    assert_eq!(shown.body["latest_charge"]["refunded"], json!(true));

    let events = shop.mail().await;
    assert_eq!(kinds(&events)[1..], ["refund.created", "charge.refunded", "refund.created", "charge.refunded"]);
    let partly = event(&events[2]);
    assert_eq!(partly["data"]["object"]["amount_refunded"], 500);
    assert_eq!(partly["data"]["previous_attributes"]["amount_refunded"], 0);
    assert_eq!(shop.sandbox.captured().kept("USD"), 0);
}

#[tokio::test]
async fn disputes_take_the_money_and_may_give_it_back() {
    let shop = Shop::open().await;
    let (won, lost) = (shop.intent().await, shop.intent().await);
    for id in [&won, &lost] {
        shop.sandbox.pay_intent(id, Card::Visa).unwrap();
    }
    shop.mail().await;
    let dispute = shop.sandbox.dispute(&won).unwrap();
    assert!(shop.sandbox.dispute(&won).is_err());
    shop.sandbox.dispute(&lost).unwrap();
    assert_eq!(shop.sandbox.captured().kept("USD"), 0);
    let refused = shop.stripe("/v1/refunds", &[("payment_intent", &won)]).await;
    assert_eq!((refused.status, refused.text("/error/code")), (400, "charge_disputed"));
    let listed = shop.stripe_get(&format!("/v1/disputes?payment_intent={won}")).await;
    assert_eq!((listed.text("/data/0/id"), listed.text("/data/0/status")), (dispute.as_str(), "needs_response"));
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 1);

    shop.sandbox.close_dispute(&dispute, Outcome::Won).unwrap();
    shop.sandbox.close_dispute(&lost, Outcome::Lost).unwrap();
    assert!(shop.sandbox.close_dispute(&lost, Outcome::Lost).is_err());
    let events = shop.mail().await;
    let closed = "charge.dispute.closed";
    assert_eq!(kinds(&events), ["charge.dispute.created", "charge.dispute.created", closed, closed]);
    let statuses: Vec<_> = events.iter().map(|delivery| event(delivery)["data"]["object"]["status"].clone()).collect();
    assert_eq!(statuses, ["needs_response", "needs_response", "won", "lost"]);
    assert_eq!(event(&events[0])["data"]["object"]["payment_intent"], won.as_str());
    assert_eq!(shop.sandbox.captured().kept("USD"), 2_000);
}

#[tokio::test]
async fn a_cancelled_intent_is_never_paid() {
    let shop = Shop::open().await;
    let id = shop.intent().await;
    let form = [("cancellation_reason", "abandoned")];
    let cancelled = shop.stripe(&format!("/v1/payment_intents/{id}/cancel"), &form).await;
    assert_eq!((cancelled.text("/status"), cancelled.text("/cancellation_reason")), ("canceled", "abandoned"));
    assert!(shop.sandbox.pay_intent(&id, Card::Visa).is_err());
    assert_eq!(kinds(&shop.mail().await), ["payment_intent.canceled"]);
    assert!(shop.sandbox.captured().payments.is_empty());
}
