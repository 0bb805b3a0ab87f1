//! PayPal's API.

use crate::support::{Shop, basic, event, kinds, order};
use sandbox::{Chance, Outcome, Wallet};
use serde_json::{Value, json};

#[tokio::test]
async fn tokens_are_for_the_app_and_end() {
    let shop = Shop::open().await;
    let ask = |authorization: String, grant: &'static str| {
        let request = shop.http.post(shop.url("/v1/oauth2/token")).header("authorization", authorization);
        shop.send(request.form(&[("grant_type", grant)]))
    };
    let granted = ask(basic("sandbox-client", "sandbox-client-secret"), "client_credentials").await;
    assert_eq!((granted.text("/token_type"), granted.number("/expires_in")), ("Bearer", 32_400));
    let stranger = ask(basic("sandbox-client", "guess"), "client_credentials").await;
    assert_eq!((stranger.status, stranger.text("/error")), (401, "invalid_client"));
    assert_eq!(ask(basic("sandbox-client", "sandbox-client-secret"), "password").await.status, 400);

    let show = || shop.http.get(shop.url("/v2/checkout/orders/NONE")).bearer_auth(granted.text("/access_token"));
    let missing = shop.send(show()).await;
    assert_eq!(
        (missing.status, missing.text("/name"), missing.text("/details/0/issue")),
        (404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")
    );
    shop.pass_ms(32_400_000);
    let ended = shop.send(show()).await;
    assert_eq!((ended.status, ended.text("/error")), (401, "invalid_token"));
}

#[tokio::test]
async fn an_order_is_approved_captured_and_shown() {
    let shop = Shop::open().await;
    let made = shop.paypal("/v2/checkout/orders", &order("5.00")).await;
    let id = made.text("/id").to_owned();
    assert_eq!((made.status, made.text("/status")), (201, "CREATED"));
    assert_eq!(made.body.get("purchase_units"), None, "minimal without Prefer");
    let links = made.body["links"].as_array().unwrap();
    let approve = links.iter().find(|link| link["rel"] == "approve").unwrap();
    assert!(approve["href"].as_str().unwrap().ends_with(&format!("/checkoutnow?token={id}")));
    let shown = shop.paypal_get(&format!("/v2/checkout/orders/{id}")).await;
    assert_eq!(shown.body["purchase_units"][0]["amount"], json!({ "currency_code": "USD", "value": "5.00" }));
    assert_eq!((shown.text("/purchase_units/0/custom_id"), shown.text("/intent")), ("usr_1", "CAPTURE"));

    let path = format!("/v2/checkout/orders/{id}/capture");
    let early = shop.paypal(&path, &Value::Null).await;
    assert_eq!(
        (early.status, early.text("/name"), early.text("/details/0/issue")),
        (422, "UNPROCESSABLE_ENTITY", "ORDER_NOT_APPROVED")
    );
    assert!(!early.text("/debug_id").is_empty());
    shop.sandbox.approve_order(&id).unwrap();
    assert_eq!(shop.paypal_get(&format!("/v2/checkout/orders/{id}")).await.text("/status"), "APPROVED");
    let captured = shop.paypal(&path, &Value::Null).await;
    assert_eq!((captured.status, captured.text("/status")), (201, "COMPLETED"));
    let again = shop.paypal(&path, &Value::Null).await;
    assert_eq!((again.status, again.text("/details/0/issue")), (422, "ORDER_ALREADY_CAPTURED"));

    let shown = shop.paypal_get(&format!("/v2/checkout/orders/{id}")).await;
    let in_order = &shown.body["purchase_units"][0]["payments"]["captures"][0];
    let capture = in_order["id"].as_str().unwrap();
    let shown = shop.paypal_get(&format!("/v2/payments/captures/{capture}")).await;
    assert_eq!(&shown.body, in_order);
    assert_eq!(
        (shown.text("/status"), shown.text("/amount/value"), shown.text("/custom_id")),
        ("COMPLETED", "5.00", "usr_1")
    );
    assert_eq!(shown.text("/supplementary_data/related_ids/order_id"), id);

    let events = shop.mail().await;
    assert_eq!(kinds(&events), ["CHECKOUT.ORDER.APPROVED", "PAYMENT.CAPTURE.COMPLETED"]);
    assert_eq!(event(&events[1])["resource"], shown.body);
    let truth = shop.sandbox.captured();
    assert_eq!((truth.kept("USD"), truth.with("custom_id", "usr_1").count()), (500, 1));
}

#[tokio::test]
async fn a_payment_source_makes_the_link_payer_action() {
    let shop = Shop::open().await;
    let mut body = order("5.00");
    body["payment_source"] =
        json!({ "paypal": { "experience_context": { "return_url": "http://shop.example/back" } } });
    let made = shop.paypal("/v2/checkout/orders", &body).await;
    assert_eq!(
        (made.status, made.text("/status"), made.text("/links/1/rel")),
        (200, "PAYER_ACTION_REQUIRED", "payer-action")
    );
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused() {
    let shop = Shop::open().await;
    let with = |pointer: &str, value: Value| {
        let mut body = order("5.00");
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let amount = "/purchase_units/0/amount/value";
    let cases = [
        (with("/intent", json!("AUTHORIZE")), 400, "INVALID_PARAMETER_VALUE"),
        (with("/purchase_units", json!([])), 400, "MISSING_REQUIRED_PARAMETER"),
        (with(amount, json!("5.001")), 400, "INVALID_PARAMETER_SYNTAX"),
        (with(amount, json!("-5.00")), 400, "INVALID_PARAMETER_SYNTAX"),
        (with(amount, json!("1e3")), 400, "INVALID_PARAMETER_SYNTAX"),
        (with(amount, json!("0.00")), 422, "CANNOT_BE_ZERO_OR_NEGATIVE"),
        (with(amount, json!(5)), 400, "MALFORMED_REQUEST_JSON"),
        (with("/purchase_units/0/amount/currency_code", json!("XXX")), 422, "CURRENCY_NOT_SUPPORTED"),
    ];
    for (body, status, issue) in cases {
        let refused = shop.paypal("/v2/checkout/orders", &body).await;
        assert_eq!((refused.status, refused.text("/details/0/issue")), (status, issue), "{body}");
    }
    let token = shop.token().await;
    let form = shop.http.post(shop.url("/v2/checkout/orders")).bearer_auth(token).form(&[("intent", "CAPTURE")]);
    assert_eq!(shop.send(form).await.status, 415);
}

#[tokio::test]
async fn request_ids_answer_what_succeeded_and_nothing_else() {
    let shop = Shop::open().await;
    let first = shop.send(shop.paypal_post("/v2/checkout/orders", &order("5.00"), "k1").await).await;
    let again = shop.send(shop.paypal_post("/v2/checkout/orders", &order("7.00"), "k1").await).await;
    assert_eq!((again.status, &again.body), (200, &first.body), "whatever the parameters");

    // a failure is not remembered: the same id works once the order is approved
    let id = first.text("/id");
    let path = format!("/v2/checkout/orders/{id}/capture");
    assert_eq!(shop.send(shop.paypal_post(&path, &Value::Null, "k2").await).await.status, 422);
    shop.sandbox.approve_order(id).unwrap();
    let captured = shop.send(shop.paypal_post(&path, &Value::Null, "k2").await).await;
    assert_eq!(captured.status, 201);
    let replayed = shop.send(shop.paypal_post(&path, &Value::Null, "k2").await).await;
    assert_eq!((replayed.status, &replayed.body), (200, &captured.body));

    shop.pass_ms(6 * 3_600_000 + 1);
    let later = shop.send(shop.paypal_post("/v2/checkout/orders", &order("7.00"), "k1").await).await;
    assert_ne!(later.body["id"], first.body["id"]);
    assert_eq!(shop.sandbox.captured().kept("USD"), 500);
}

#[tokio::test]
async fn an_order_that_is_not_captured_runs_out() {
    let shop = Shop::open().await;
    let (captured, _) = shop.captured_order().await;
    let open = shop.order().await;
    shop.sandbox.approve_order(&open).unwrap();
    shop.pass_ms(6 * 3_600_000);
    assert_eq!(shop.paypal_get(&format!("/v2/checkout/orders/{captured}")).await.status, 200);
    assert_eq!(shop.paypal_get(&format!("/v2/checkout/orders/{open}")).await.status, 404);
    assert_eq!(shop.paypal(&format!("/v2/checkout/orders/{open}/capture"), &Value::Null).await.status, 404);
    assert!(shop.sandbox.approve_order(&open).is_err());
}

#[tokio::test]
async fn wallets_decline_and_wait() {
    let shop = Shop::open().await;
    let declined = shop.order().await;
    let path = format!("/v2/checkout/orders/{declined}/capture");
    shop.sandbox.approve_order_with(&declined, Wallet::Declined).unwrap();
    assert_eq!(shop.paypal(&path, &Value::Null).await.text("/details/0/issue"), "INSTRUMENT_DECLINED");
    // the payer takes another card
    shop.sandbox.approve_order(&declined).unwrap();
    assert_eq!(shop.paypal(&path, &Value::Null).await.status, 201);
    assert_eq!(shop.sandbox.captured().kept("USD"), 500);
    shop.mail().await;

    for (completed, status, kind) in
        [(true, "COMPLETED", "PAYMENT.CAPTURE.COMPLETED"), (false, "DECLINED", "PAYMENT.CAPTURE.DENIED")]
    {
        let order = shop.order().await;
        shop.sandbox.approve_order_with(&order, Wallet::Pending).unwrap();
        let answer = shop.paypal(&format!("/v2/checkout/orders/{order}/capture"), &Value::Null).await;
        assert_eq!(answer.text("/purchase_units/0/payments/captures/0/status"), "PENDING");
        let capture = answer.text("/purchase_units/0/payments/captures/0/id").to_owned();
        assert_eq!(shop.paypal(&format!("/v2/payments/captures/{capture}/refund"), &json!({})).await.status, 422);
        shop.sandbox.settle_capture(&order, completed).unwrap();
        assert!(shop.sandbox.settle_capture(&capture, completed).is_err());
        assert_eq!(shop.paypal_get(&format!("/v2/payments/captures/{capture}")).await.text("/status"), status);
        assert_eq!(kinds(&shop.mail().await)[1..], ["PAYMENT.CAPTURE.PENDING", kind]);
    }
    assert_eq!(shop.sandbox.captured().kept("USD"), 1_000);
}

#[tokio::test]
async fn refunds_take_parts_and_no_more_than_there_is() {
    let shop = Shop::open().await;
    let (order, capture) = shop.captured_order().await;
    let path = format!("/v2/payments/captures/{capture}/refund");
    let part = |value: &str, currency: &str| json!({ "amount": { "value": value, "currency_code": currency }, "note_to_payer": "sorry" });
    assert_eq!(
        shop.paypal(&path, &part("1.00", "EUR")).await.text("/details/0/issue"),
        "REFUND_CAPTURE_CURRENCY_MISMATCH"
    );
    assert_eq!(shop.paypal(&path, &part("5.01", "USD")).await.text("/details/0/issue"), "REFUND_AMOUNT_EXCEEDED");
    let made = shop.paypal(&path, &part("1.50", "USD")).await;
    assert_eq!((made.status, made.text("/status"), made.body.get("amount")), (201, "COMPLETED", None));
    let shown = shop.paypal_get(&format!("/v2/payments/refunds/{}", made.text("/id"))).await;
    assert_eq!((shown.text("/amount/value"), shown.text("/links/1/rel")), ("1.50", "up"));
    assert!(shown.text("/links/1/href").ends_with(&format!("/v2/payments/captures/{capture}")));
    assert_eq!(
        shop.paypal_get(&format!("/v2/payments/captures/{capture}")).await.text("/status"),
        "PARTIALLY_REFUNDED"
    );

    // the rest, with an empty body and all fields asked for
    let request =
        shop.http.post(shop.url(&path)).bearer_auth(shop.token().await).header("content-type", "application/json");
    let rest = shop.send(request.header("prefer", "return=representation")).await;
    assert_eq!(
        (rest.text("/amount/value"), rest.text("/seller_payable_breakdown/total_refunded_amount/value")),
        ("3.50", "5.00")
    );
    assert_eq!(shop.paypal(&path, &json!({})).await.text("/details/0/issue"), "CAPTURE_FULLY_REFUNDED");
    let shown = shop.paypal_get(&format!("/v2/checkout/orders/{order}")).await;
    assert_eq!(shown.text("/purchase_units/0/payments/captures/0/status"), "REFUNDED");
    assert_eq!(shown.body["purchase_units"][0]["payments"]["refunds"].as_array().unwrap().len(), 2);
    let events = shop.mail().await;
    assert_eq!(kinds(&events)[2..], ["PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REFUNDED"]);
    assert_eq!(
        (&event(&events[2])["resource_type"], &event(&events[2])["resource"]["amount"]["value"]),
        (&json!("refund"), &json!("1.50"))
    );
    assert_eq!(shop.sandbox.captured().kept("USD"), 0);
}

#[tokio::test]
async fn disputes_and_reversals() {
    let shop = Shop::open().await;
    let (won, _) = shop.captured_order().await;
    let (lost, capture) = shop.captured_order().await;
    let (reversed, _) = shop.captured_order().await;
    shop.mail().await;
    shop.sandbox.dispute(&won).unwrap();
    let dispute = shop.sandbox.dispute(&capture).unwrap();
    assert_eq!(shop.sandbox.captured().kept("USD"), 500);
    let listed = shop.paypal_get(&format!("/v1/customer/disputes?disputed_transaction_id={capture}")).await;
    assert_eq!(
        (listed.text("/items/0/dispute_id"), listed.body["items"].as_array().unwrap().len()),
        (dispute.as_str(), 1)
    );
    assert_eq!(listed.body["items"][0].get("disputed_transactions"), None, "the list is short");
    let shown = shop.paypal_get(&format!("/v1/customer/disputes/{dispute}")).await;
    assert_eq!(shown.text("/disputed_transactions/0/seller_transaction_id"), capture);

    shop.sandbox.close_dispute(&won, Outcome::Won).unwrap();
    // the loss also shows as a reversal: it is the same money
    shop.sandbox.tune(|knobs| knobs.reversed_too = Chance::Next(1));
    shop.sandbox.close_dispute(&dispute, Outcome::Lost).unwrap();
    shop.sandbox.act(sandbox::Action::Reverse { id: reversed, amount: Some(200) }).unwrap();
    let events = shop.mail().await;
    let expected = [
        "CUSTOMER.DISPUTE.CREATED",
        "CUSTOMER.DISPUTE.CREATED",
        "CUSTOMER.DISPUTE.RESOLVED",
        "CUSTOMER.DISPUTE.RESOLVED",
        "PAYMENT.CAPTURE.REVERSED",
        "PAYMENT.CAPTURE.REVERSED",
    ];
    assert_eq!(kinds(&events), expected);
    let outcomes: Vec<_> =
        [2, 3].map(|at| event(&events[at])["resource"]["dispute_outcome"]["outcome_code"].clone()).into();
    assert_eq!(outcomes, ["RESOLVED_SELLER_FAVOUR", "RESOLVED_BUYER_FAVOUR"]);
    let truth = shop.sandbox.captured();
    assert_eq!(truth.kept("USD"), 500 + 300);
    let lost = truth.payments.iter().find(|payment| payment.id == lost).unwrap();
    assert_eq!((lost.refunded, lost.lost, lost.kept()), (500, 0, 0), "once, not twice");
}
