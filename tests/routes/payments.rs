//! The endpoints of payments, as a browser and the processors see them.

use axum::Router;
use domain::account::Role;
use sandbox::{Card, Chance};
use serde_json::{Value, json};
use tests::{Answer, TestApp, TestShop, ask, called_from};

async fn open() -> (TestApp, TestShop) {
    let mut app = TestApp::new().await;
    // Receipts wait in their queue; the mailer has its own tests.
    app.allow_leftovers();
    let shop = app.shop().await;
    (app, shop)
}

async fn keyed(shop: &TestShop, path: &str, token: &str, key: &str, body: Value) -> Answer {
    let request = axum::http::Request::post(format!("/api/v1{path}")).header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {token}")).header("idempotency-key", key);
    tests::send(&shop.router, request.body(axum::body::Body::from(body.to_string())).unwrap()).await
}

fn text(answer: &Answer, pointer: &str) -> String {
    let value = answer.json.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("no {pointer} in {}", answer.json)).to_owned()
}

#[tokio::test]
async fn a_card_pays_and_the_answer_says_what_was_captured() {
    let (app, shop) = open().await;
    let token = app.sign_in("usr_1", Role::User).await;
    let body = json!({ "amount": "20.00", "currency": "USD" });
    let made = keyed(&shop, "/payments/intent", &token, "k", body.clone()).await;
    assert_eq!(made.status, 201, "{}", made.json);
    assert_eq!((text(&made, "/status"), text(&made, "/amount")), ("pending".into(), "20.00".into()));
    assert!(text(&made, "/client_secret").contains("_secret_"));
    let again = keyed(&shop, "/payments/intent", &token, "k", body).await;
    assert_eq!((again.status, &again.json), (201, &made.json));
    assert_eq!(again.headers.get("idempotency-replayed").map(String::as_str), Some("true"));
    let other = keyed(&shop, "/payments/intent", &token, "k", json!({ "amount": "21.00" })).await;
    assert_eq!((other.status, text(&other, "/code")), (409, "key_reused".into()));

    let id = text(&made, "/id");
    let path = format!("/payments/{id}/confirm");
    let paid = shop.post(&path, Some(&token), json!({ "payment_method": "pm_card_visa" })).await;
    assert_eq!(
        (paid.status, text(&paid, "/status"), text(&paid, "/captured_amount")),
        (200, "succeeded".into(), "20.00".into())
    );
    assert!(paid.json.get("client_secret").is_none(), "only the first answer has it");
    let shown = shop.get(&format!("/payments/{id}"), &token).await;
    assert_eq!(shown.json, paid.json);
    assert_eq!(app.balance("usr_1").await, 20_000_000);
    shop.sandbox.deliver_all().await;
    assert!(shop.sandbox.sent().iter().all(|sent| sent.status == 200));
    assert_eq!(app.balance("usr_1").await, 20_000_000);
    app.verify().await;
}

#[tokio::test]
async fn paypal_pays_by_order_and_capture() {
    let (app, shop) = open().await;
    let token = app.sign_in("usr_1", Role::User).await;
    let made = shop.post("/payments/paypal/orders", Some(&token), json!({ "amount": "5" })).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let (id, order) = (text(&made, "/id"), text(&made, "/processor_object"));
    assert!(text(&made, "/approve_url").contains(&order));
    let capture = |name: &str| format!("/payments/paypal/orders/{name}/capture");
    let early = ask(&shop.router, "POST", &format!("/api/v1{}", capture(&id)), Some(&token), None).await;
    assert_eq!((early.status, text(&early, "/code")), (409, "wrong_state".into()));
    shop.sandbox.approve_order(&order).unwrap();
    let done = ask(&shop.router, "POST", &format!("/api/v1{}", capture(&order)), Some(&token), None).await;
    assert_eq!(
        (done.status, text(&done, "/status"), text(&done, "/captured_amount")),
        (200, "succeeded".into(), "5.00".into())
    );
    shop.sandbox.deliver_all().await;
    assert_eq!(app.balance("usr_1").await, 5_000_000);
    app.verify().await;
}

#[tokio::test]
async fn amounts_and_bodies_that_cannot_be_are_named_and_nothing_happens() {
    let (app, shop) = open().await;
    let token = app.sign_in("usr_1", Role::User).await;
    for path in ["/payments/intent", "/payments/paypal/orders"] {
        for amount in [
            json!("0.99"),
            json!("1000.01"),
            json!("0"),
            json!("-5"),
            json!("NaN"),
            json!("1e3"),
            json!("5.001"),
            json!("5.000"),
            json!(""),
            json!(" 5"),
            json!("9999999999999999999999999999"),
            json!(5.001),
            json!(-1),
            json!("\u{665}"),
        ] {
            let answer = shop.post(path, Some(&token), json!({ "amount": amount })).await;
            assert_eq!(answer.status, 422, "{path} {amount}: {}", answer.json);
            assert_eq!(text(&answer, "/errors/0/pointer"), "/amount");
        }
        for (body, pointer) in [
            (json!({ "amount": "5", "currency": "EUR" }), "/currency"),
            (json!({ "amount": "5", "customer": "usr_2" }), "/customer"),
            (json!({ "amount": true }), "/amount"),
            (json!({}), "/amount"),
            (json!([]), ""),
        ] {
            let answer = shop.post(path, Some(&token), body.clone()).await;
            assert_eq!((answer.status, text(&answer, "/errors/0/pointer")), (422, pointer.into()), "{path} {body}");
        }
        assert_eq!(
            ask(&shop.router, "POST", &format!("/api/v1{path}"), None, Some(json!({ "amount": "5" }))).await.status,
            401
        );
    }
    let wrong = shop.post("/payments/pay_1/confirm", Some(&token), json!({ "payment_method": "../pm" })).await;
    assert_eq!((wrong.status, text(&wrong, "/errors/0/pointer")), (422, "/payment_method".into()));
    let listed = shop.get("/payments", &token).await;
    assert_eq!(listed.json, json!({ "data": [], "next_cursor": null }));
    assert_eq!(app.balance("usr_1").await, 0);
}

#[tokio::test]
async fn payments_are_listed_newest_first_by_page_and_filter_and_only_to_their_owner() {
    let (app, shop) = open().await;
    let (token, other) = (app.sign_in("usr_1", Role::User).await, app.sign_in("usr_2", Role::User).await);
    let admin = app.sign_in("usr_admin", Role::Admin).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let path = if n % 2 == 0 { "/payments/intent" } else { "/payments/paypal/orders" };
        let made = shop.post(path, Some(&token), json!({ "amount": format!("{}.00", n + 1) })).await;
        ids.insert(0, text(&made, "/id"));
        app.pass_secs(10);
    }
    let of = |answer: &Answer| -> Vec<String> {
        answer.json["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = shop.get("/payments", &token).await;
    assert_eq!((of(&all), &all.json["next_cursor"]), (ids.clone(), &Value::Null));
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..3 {
        let page = shop.get(&format!("/payments?limit=2{cursor}"), &token).await;
        assert_eq!(page.status, 200, "{}", page.json);
        seen.extend(of(&page));
        cursor = page.json["next_cursor"].as_str().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    }
    assert_eq!((seen, cursor), (ids.clone(), String::new()));
    let paypal = shop.get("/payments?processor=paypal&status=pending", &token).await;
    assert_eq!(of(&paypal), [ids[1].clone(), ids[3].clone()]);
    let from = shop.get("/payments?from=2026-11-10T00:00:20Z&to=2026-11-10T00:00:40Z", &token).await;
    assert_eq!(of(&from), [ids[1].clone(), ids[2].clone()]);
    // Dates, as in the lists of the ledger: a day is whole.
    for (query, found) in [("from=2026-11-10&to=2026-11-10", 5), ("from=2026-11-11", 0), ("to=2026-11-09", 0)] {
        assert_eq!(of(&shop.get(&format!("/payments?{query}"), &token).await).len(), found, "{query}");
    }
    let last = shop.get("/payments?limit=1", &token).await.json["next_cursor"].as_str().unwrap().to_owned();
    for (query, parameter) in [
        ("from=2026-11-10T00:00:40Z&to=2026-11-10T00:00:20Z".to_owned(), "to"),
        (format!("to=2026-11-10T00:00:20Z&cursor={last}"), "cursor"),
        (format!("from=2026-11-11T00:00:00Z&cursor={last}"), "cursor"),
        (format!("cursor={}", api::write_cursor(&String::new()).unwrap()), "cursor"),
        (format!("cursor={}", api::write_cursor(&"~~".to_owned()).unwrap()), "cursor"),
    ] {
        let answer = shop.get(&format!("/payments?{query}"), &token).await;
        assert_eq!((answer.status, text(&answer, "/errors/0/parameter")), (400, parameter.to_owned()), "{query}");
    }
    for wrong in ["?limit=0", "?limit=101", "?cursor=x", "?status=paid", "?from=yesterday", "?more=1"] {
        let answer = shop.get(&format!("/payments{wrong}"), &token).await;
        assert_eq!(answer.status, 400, "{wrong} {}", answer.json);
    }
    assert_eq!(of(&shop.get("/payments", &other).await), Vec::<String>::new());
    let path = format!("/payments/{}", ids[0]);
    assert_eq!(shop.get(&path, &other).await.status, 404);
    assert_eq!(shop.get(&path, &admin).await.status, 200);
    assert_eq!(shop.post(&format!("{path}/confirm"), Some(&other), json!({})).await.status, 404);
    assert_eq!(shop.get("/payments/pay_none", &token).await.status, 404);
}

#[tokio::test]
async fn refunds_and_statistics_are_for_admins() {
    let (app, shop) = open().await;
    let (token, admin) = (app.sign_in("usr_1", Role::User).await, app.sign_in("usr_admin", Role::Admin).await);
    let made = shop.post("/payments/intent", Some(&token), json!({ "amount": "20.00" })).await;
    let id = text(&made, "/id");
    let refund = format!("/payments/{id}/refund");
    let body = json!({ "amount": "5.00", "reason": "asked nicely" });
    let early = shop.post(&refund, Some(&admin), body.clone()).await;
    assert_eq!((early.status, text(&early, "/code")), (422, "not_refundable".into()));
    shop.sandbox.pay_intent(&text(&made, "/processor_object"), Card::Visa).unwrap();
    assert_eq!(shop.post(&refund, Some(&token), body.clone()).await.status, 403);
    let done = keyed(&shop, &refund, &admin, "r", body.clone()).await;
    assert_eq!(done.status, 201, "{}", done.json);
    assert_eq!(text(&done, "/refund/status"), "succeeded");
    assert_eq!(
        (text(&done, "/payment/status"), text(&done, "/payment/refunded_amount")),
        ("partially_refunded".into(), "5.00".into())
    );
    assert_eq!(keyed(&shop, &refund, &admin, "r", body).await.json, done.json);
    assert_eq!(app.balance("usr_1").await, 15_000_000);
    let month = app.hour().month();
    let records = app.system.store.audit_list(month, &store::AuditFilter::default(), None, 10).await.unwrap().rows;
    let record = &records[0];
    assert_eq!((records.len(), record.action.as_str(), record.actor.as_str()), (1, "payment.refund", "usr_admin"));
    assert_eq!((record.object.clone(), record.reason.as_deref()), (format!("payment/{id}"), Some("asked nicely")));
    app.system.pump(&|_| {}).await.unwrap();
    assert_eq!(shop.get("/payments/stats/summary", &token).await.status, 403);
    let stats = shop.get("/payments/stats/summary", &admin).await;
    let november =
        json!({ "month": "2026-11", "captured": "20.00", "refunded": "5.00", "disputed": "0.00", "net": "15.00" });
    assert_eq!(stats.json["months"], json!([november]), "{}", stats.json);
    assert_eq!(text(&stats, "/total/net"), "15.00");
    let before = shop.get("/payments/stats/summary?from=2026-01&to=2026-10", &admin).await;
    assert_eq!((before.status, &before.json["months"]), (200, &json!([])));
    assert_eq!(shop.get("/payments/stats/summary?from=november", &admin).await.status, 400);
    app.verify().await;
}

#[tokio::test]
async fn a_refund_that_cannot_be_is_refused_by_field_before_the_processor_hears_of_it() {
    let (app, shop) = open().await;
    let (token, admin) = (app.sign_in("usr_1", Role::User).await, app.sign_in("usr_admin", Role::Admin).await);
    let made = shop.post("/payments/intent", Some(&token), json!({ "amount": "20.00" })).await;
    shop.sandbox.pay_intent(&text(&made, "/processor_object"), Card::Visa).unwrap();
    shop.sandbox.deliver_all().await;
    let refund = format!("/payments/{}/refund", text(&made, "/id"));
    // Were it asked anything, it would not answer.
    shop.sandbox.tune(|knobs| knobs.fail_before = Chance::ALWAYS);
    let of = |amount: Value| json!({ "amount": amount, "reason": "asked nicely" });
    let because = |reason: &str| json!({ "amount": "5.00", "reason": reason });
    for (body, pointer) in [
        (of(json!("0")), "/amount"),
        (of(json!("0.00")), "/amount"),
        (of(json!("-5")), "/amount"),
        (of(json!(-5)), "/amount"),
        (of(json!("NaN")), "/amount"),
        (of(json!("1e3")), "/amount"),
        (of(json!("1.001")), "/amount"),
        (of(json!("99999999999999999999")), "/amount"),
        (of(json!(true)), "/amount"),
        (json!({ "amount": "5.00" }), "/reason"),
        (json!({ "amount": "5.00", "reason": "x", "to": "usr_2" }), "/to"),
        (because(""), "/reason"),
        (because("  "), "/reason"),
        (because("two\nlines"), "/reason"),
        (because("\u{202e}desrever"), "/reason"),
        (because(&"a".repeat(301)), "/reason"),
    ] {
        let answer = shop.post(&refund, Some(&admin), body.clone()).await;
        let shown = format!("{body}: {}", answer.json);
        assert_eq!((answer.status, text(&answer, "/code")), (422, "invalid_fields".into()), "{shown}");
        assert_eq!(text(&answer, "/errors/0/pointer"), pointer, "{shown}");
    }
    // Of too much, the processor knows.
    shop.sandbox.tune(|knobs| knobs.fail_before = Chance::Off);
    for amount in ["20.01", "1000000"] {
        let much = shop.post(&refund, Some(&admin), of(json!(amount))).await;
        assert_eq!((much.status, text(&much, "/code")), (422, "not_refundable".into()), "{amount}");
        assert_eq!(text(&much, "/errors/0/pointer"), "/amount", "{amount}");
    }
    let truth = shop.sandbox.captured();
    assert!(truth.payments.iter().all(|payment| payment.refunded == 0), "{truth:?}");
    assert_eq!(app.balance("usr_1").await, 20_000_000);
    app.verify().await;
}

#[tokio::test]
async fn saved_methods_are_listed_and_forgotten_by_their_owner() {
    let (app, shop) = open().await;
    let (token, other) = (app.sign_in("usr_1", Role::User).await, app.sign_in("usr_2", Role::User).await);
    assert_eq!(shop.get("/payments/methods", &token).await.json, json!({ "data": [], "next_cursor": null }));
    let made = shop.post("/payments/intent", Some(&token), json!({ "amount": "5", "save_method": true })).await;
    shop.sandbox.pay_intent(&text(&made, "/processor_object"), Card::Visa).unwrap();
    shop.sandbox.deliver_all().await;
    let methods = shop.get("/payments/methods", &token).await;
    assert_eq!((text(&methods, "/data/0/brand"), text(&methods, "/data/0/last4")), ("visa".into(), "4242".into()));
    let path = format!("/api/v1/payments/methods/{}", text(&methods, "/data/0/id"));
    assert_eq!(ask(&shop.router, "DELETE", &path, Some(&other), None).await.status, 404);
    assert_eq!(ask(&shop.router, "DELETE", &path, Some(&token), None).await.status, 204);
    assert_eq!(ask(&shop.router, "DELETE", &path, Some(&token), None).await.status, 404);
    assert_eq!(app.balance("usr_1").await, 5_000_000);
}

#[tokio::test]
async fn a_processor_that_is_down_is_said_to_be_and_the_same_request_goes_on_later() {
    let (app, shop) = open().await;
    let token = app.sign_in("usr_1", Role::User).await;
    shop.sandbox.tune(|knobs| (knobs.rate_limited, knobs.retry_after_secs) = (Chance::ALWAYS, 60));
    let body = json!({ "amount": "20.00" });
    let down = keyed(&shop, "/payments/intent", &token, "k", body.clone()).await;
    assert_eq!((down.status, text(&down, "/code")), (503, "processor_unavailable".into()));
    assert!(down.headers.contains_key("retry-after") && !down.json.to_string().contains("Stripe"), "{}", down.json);
    let listed = shop.get("/payments", &token).await;
    assert_eq!((listed.json["data"].as_array().unwrap().len(), text(&listed, "/data/0/status")), (1, "created".into()));
    shop.sandbox.tune(|knobs| knobs.rate_limited = Chance::Off);
    // Nobody knows how far it came, so only the same request goes on with it.
    let other = keyed(&shop, "/payments/intent", &token, "k", json!({ "amount": "30.00" })).await;
    assert_eq!((other.status, text(&other, "/code")), (409, "key_reused".into()));
    let made = keyed(&shop, "/payments/intent", &token, "k", body).await;
    assert_eq!((made.status, text(&made, "/id")), (201, text(&listed, "/data/0/id")));
    assert_eq!(app.balance("usr_1").await, 0);
}

#[tokio::test]
async fn who_asks_too_often_waits() {
    let (app, shop) = open().await;
    let token = app.sign_in("usr_1", Role::User).await;
    for _ in 0..20 {
        assert_eq!(shop.post("/payments/pay_none/confirm", Some(&token), json!({})).await.status, 404);
    }
    let many = shop.post("/payments/intent", Some(&token), json!({ "amount": "5" })).await;
    assert_eq!(many.status, 429);
    assert!(many.headers.contains_key("retry-after"));
    app.pass_secs(60);
    assert_eq!(shop.post("/payments/intent", Some(&token), json!({ "amount": "5" })).await.status, 201);
}

#[tokio::test]
async fn whatever_asks_a_processor_counts_and_so_does_the_address() {
    let (app, shop) = open().await;
    let asks = [
        ("DELETE", "/payments/methods/pm_none", None),
        ("POST", "/billing/custom-credits/add", Some(json!({ "payment_id": "pay_none" }))),
        (
            "PUT",
            "/billing/auto-top-up",
            Some(json!({
                "enabled": true, "threshold": "5", "amount": "20", "daily_limit": "100", "payment_method": "pm_none"
            })),
        ),
    ];
    // Each is refused to an account that has asked often, wherever it calls from.
    let busy = app.sign_in("usr_busy", Role::User).await;
    let home = called_from(&shop.router, "192.0.2.1");
    let ask_of = async |router: &Router, token: &str, n: usize| {
        let (method, path, body) = &asks[n % asks.len()];
        ask(router, method, &format!("/api/v1{path}"), Some(token), body.clone()).await
    };
    for n in 0..20 {
        assert_eq!(ask_of(&home, &busy, n).await.status, [404, 404, 422][n % 3], "{n}");
    }
    let elsewhere = called_from(&shop.router, "192.0.2.2");
    for n in 0..asks.len() {
        waits(&ask_of(&elsewhere, &busy, n).await);
    }
    // And to every account from an address from which many have.
    for user in ["usr_2", "usr_3"] {
        let token = app.sign_in(user, Role::User).await;
        for n in 0..20 {
            assert_ne!(ask_of(&home, &token, n).await.status, 429, "{user} {n}");
        }
    }
    let late = app.sign_in("usr_4", Role::User).await;
    for n in 0..asks.len() {
        waits(&ask_of(&home, &late, n).await);
    }
    waits(&ask(&home, "POST", "/api/v1/payments/intent", Some(&late), Some(json!({ "amount": "5" }))).await);
    assert_eq!(ask_of(&elsewhere, &late, 0).await.status, 404);
    // To switch it off asks nobody.
    let off = json!({ "enabled": false, "threshold": "5", "amount": "20", "daily_limit": "100" });
    assert_eq!(ask(&home, "PUT", "/api/v1/billing/auto-top-up", Some(&late), Some(off)).await.status, 200);
    app.pass_secs(60);
    assert_eq!(ask_of(&home, &late, 0).await.status, 404);
}

#[tokio::test]
async fn who_only_looks_is_counted_apart_and_keeps_nobody_from_paying() {
    let (app, shop) = open().await;
    let home = called_from(&shop.router, "192.0.2.1");
    let look = async |token: &str| ask(&home, "GET", "/api/v1/payments/methods", Some(token), None).await;
    let pay = async |token: &str| {
        let body = Some(json!({ "payment_id": "pay_none" }));
        ask(&home, "POST", "/api/v1/billing/custom-credits/add", Some(token), body).await.status
    };
    // An account that looks often, and an address from which three do.
    for user in ["usr_1", "usr_2", "usr_3"] {
        let token = app.sign_in(user, Role::User).await;
        for n in 0..60 {
            assert_eq!(look(&token).await.status, 200, "{user} {n}");
        }
        waits(&look(&token).await);
        assert_eq!(pay(&token).await, 404, "{user}");
    }
    let late = app.sign_in("usr_4", Role::User).await;
    waits(&look(&late).await);
    // Nor is paying kept from looking.
    for _ in 0..17 {
        assert_eq!(pay(&late).await, 404);
    }
    app.pass_secs(60);
    for _ in 0..20 {
        assert_eq!(pay(&late).await, 404);
    }
    assert_eq!((pay(&late).await, look(&late).await.status), (429, 200));
}

/// Too many requests, and when to come again.
fn waits(answer: &Answer) {
    assert_eq!((answer.status, text(answer, "/code")), (429, "too_many_requests".into()));
    let wait: i64 = answer.headers["retry-after"].parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

#[tokio::test]
async fn webhooks_need_no_caller_and_believe_no_body() {
    let (app, shop) = open().await;
    for (path, header) in
        [("/payments/webhook", "Stripe-Signature"), ("/payments/webhook/paypal", "PayPal-Transmission-Sig")]
    {
        let answer = shop.post(path, None, json!({ "id": "evt_1", "type": "payment_intent.succeeded" })).await;
        assert_eq!((answer.status, text(&answer, "/code")), (400, "invalid_signature".into()), "{path}");
        assert_eq!(text(&answer, "/errors/0/parameter"), header);
    }
    app.verify().await;
}

#[tokio::test]
async fn a_customer_reads_a_plain_reason_and_an_operator_the_processors_code() {
    let (app, shop) = open().await;
    let (token, admin) = (app.sign_in("usr_1", Role::User).await, app.sign_in("usr_admin", Role::Admin).await);
    let made = shop.post("/payments/intent", Some(&token), json!({ "amount": "20.00" })).await;
    let path = format!("/payments/{}", text(&made, "/id"));
    let body = json!({ "payment_method": "pm_card_chargeDeclined" });
    let refused = shop.post(&format!("{path}/confirm"), Some(&token), body).await;
    assert_eq!((refused.status, text(&refused, "/failure")), (200, "declined".into()));
    assert!(!refused.json.to_string().contains("generic_decline"), "{}", refused.json);
    shop.sandbox.deliver_all().await;
    assert_eq!(text(&shop.get(&path, &token).await, "/failure"), "declined");
    assert_eq!(text(&shop.get("/payments", &token).await, "/data/0/failure"), "declined");
    assert_eq!(text(&shop.get(&path, &admin).await, "/failure"), "generic_decline");
}
