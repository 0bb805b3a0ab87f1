//! The other half of the story: customers, operators and payment processors. Every operation of the API is asked with success,
//! each by its own function; the mailer, the webhooks and lifecycle do all they can.

use super::routes::areas;
use super::shop_play::{Play, TIME_LEFT, request, text};
use super::story::{Recorder, Seen, run};
use domain::Id;
use providers::Queue;
use sandbox::{Card, Chance, Delivery, Outcome, Processor, Target};
use serde_json::{Value, json};
use tests::{PASSWORD, ask, registered, send};
use totp_rs::{Builder, Secret as TotpSecret};

/// Another password than everybody's.
const NEW_PASSWORD: &str = "another horse, another battery";
const ADA: &str = "ada@example.com";
const ROOT: &str = "root@example.com";

/// An account from its first day to its last.
async fn account(play: &Play) {
    const EMAIL: &str = "bob@example.com";
    const NEW_EMAIL: &str = "robert@example.com";
    let body = json!({ "email": EMAIL, "password": PASSWORD });
    play.call("POST", "/auth/register", &[], None, Some(body.clone())).await;
    play.call("POST", "/auth/resend-verification", &[], None, Some(json!({ "email": EMAIL }))).await;
    let token = json!({ "token": play.mailed_token(EMAIL).await, "password": PASSWORD });
    play.call("POST", "/auth/verify-email", &[], None, Some(token)).await;
    // The address is taken: its owner is told, by a mail.
    play.call("POST", "/auth/register", &[], None, Some(body)).await;
    assert_eq!(
        play.ask("POST", "/auth/login", &[], None, Some(json!({ "email": EMAIL, "password": "wrong wrong wrong" })))
            .await
            .status,
        401
    );
    play.call("POST", "/auth/forgot-password", &[], None, Some(json!({ "email": EMAIL }))).await;
    play.call("POST", "/auth/forgot-password", &[], None, Some(json!({ "email": "nobody@example.com" }))).await;
    let reset = json!({ "token": play.mailed_token(EMAIL).await, "password": NEW_PASSWORD });
    play.call("POST", "/auth/reset-password", &[], None, Some(reset)).await;

    let session = play.sign_in(EMAIL, NEW_PASSWORD).await;
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    let pair = play.call("POST", "/auth/refresh", &[], None, Some(refresh.clone())).await;
    let other = play.sign_in(EMAIL, NEW_PASSWORD).await;
    play.app.pass_secs(60);
    // Long after its use: the session ends.
    assert_eq!(play.ask("POST", "/auth/refresh", &[], None, Some(refresh)).await.status, 401);
    assert_eq!(play.ask("GET", "/auth/me", &[], Some(&text(&pair, "access_token")), None).await.status, 401);
    let ended = play.sign_in(EMAIL, NEW_PASSWORD).await;
    let mut token = text(&other, "access_token");
    play.get("/auth/sessions", &[], &token).await;
    play.call("DELETE", "/auth/sessions/{id}", &[&text(&ended, "session_id")], Some(&token), None).await;
    play.call("DELETE", "/auth/sessions", &[], Some(&token), None).await;
    let change = json!({ "current_password": NEW_PASSWORD, "new_password": PASSWORD });
    play.post("/auth/change-password", &[], &token, change).await;

    play.get("/auth/me", &[], &token).await;
    play.call("PATCH", "/auth/me", &[], Some(&token), Some(json!({ "company": "Analytical Engines" }))).await;
    let wanted = json!({ "name": "mine", "scopes": ["billing:read"], "password": PASSWORD });
    let key = play.post("/auth/api-keys", &[], &token, wanted).await;
    play.get("/billing/balance", &[], &text(&key, "key")).await;
    play.get("/auth/api-keys", &[], &token).await;
    play.call("DELETE", "/auth/api-keys/{id}", &[&text(&key, "id")], Some(&token), None).await;

    let setup = play.post("/auth/2fa/setup", &[], &token, json!({ "password": PASSWORD })).await;
    let code = |steps: i64| {
        let secret = TotpSecret::try_from_base32(text(&setup, "secret")).unwrap();
        let at = u64::try_from(play.app.time.now().secs() + steps * 30).unwrap();
        Builder::new().with_secret(secret).build().unwrap().generate(at).to_string()
    };
    let codes = play.post("/auth/2fa/confirm", &[], &token, json!({ "code": code(0) })).await;
    play.app.pass_secs(60);
    for code in [json!(code(0)), codes["recovery_codes"][0].clone()] {
        let body = json!({ "email": EMAIL, "password": PASSWORD, "code": code });
        token = text(&play.call("POST", "/auth/login", &[], None, Some(body)).await, "access_token");
    }
    let disable = json!({ "password": PASSWORD, "code": codes["recovery_codes"][1] });
    play.post("/auth/2fa/disable", &[], &token, disable).await;
    play.get("/auth/me/export", &[], &token).await;
    play.call("GET", "/.well-known/jwks.json", &[], None, None).await;
    let change = json!({ "email": NEW_EMAIL, "password": PASSWORD });
    play.post("/auth/change-email", &[], &token, change).await;
    let confirm = json!({ "token": play.mailed_token(NEW_EMAIL).await, "password": PASSWORD });
    play.call("POST", "/auth/confirm-email", &[], None, Some(confirm)).await;
    play.post("/auth/logout", &[], &token, Value::Null).await;
    token = text(&play.sign_in(NEW_EMAIL, PASSWORD).await, "access_token");
    play.call("DELETE", "/auth/me", &[], Some(&token), Some(json!({ "password": PASSWORD }))).await;
    play.mail().await;
}

/// Payments of all kinds, and what processors tell of them.
async fn payments(play: &Play, token: &str, admin: &str) -> String {
    let intent = play.post("/payments/intent", &[], token, json!({ "amount": "20.00", "save_method": true })).await;
    let (card, object) = (text(&intent, "id"), text(&intent, "processor_object"));
    play.sandbox.pay_intent(&object, Card::Visa).unwrap();
    play.post("/payments/{id}/confirm", &[&card], token, json!({})).await;
    play.deliver().await;
    let methods = play.get("/payments/methods", &[], token).await;
    let method = text(&methods["data"][0], "id");
    // Whoever comes first credits: the webhook, with nobody there, or the customer by another way.
    for webhook_first in [true, false] {
        let intent = play.post("/payments/intent", &[], token, json!({ "amount": "5.00" })).await;
        play.sandbox.pay_intent(&text(&intent, "processor_object"), Card::Visa).unwrap();
        if webhook_first {
            play.deliver().await;
        }
        play.post("/billing/custom-credits/add", &[], token, json!({ "payment_id": text(&intent, "id") })).await;
        play.deliver().await;
    }
    play.refused("/payments/intent", &[], token, json!({ "amount": "0.001" })).await;
    play.refused("/billing/custom-credits/add", &[], token, json!({ "payment_id": "pay_nobodys" })).await;
    let declined = play.post("/payments/intent", &[], token, json!({ "amount": "3.00" })).await;
    play.sandbox.pay_intent(&text(&declined, "processor_object"), Card::Declined).unwrap();
    play.deliver().await;
    play.ask("POST", "/payments/{id}/confirm", &[&text(&declined, "id")], Some(token), Some(json!({}))).await;
    let order = play.post("/payments/paypal/orders", &[], token, json!({ "amount": "10.00" })).await;
    let order_id = text(&order, "processor_object");
    play.sandbox.approve_order(&order_id).unwrap();
    play.post("/payments/paypal/orders/{id}/capture", &[&text(&order, "id")], token, Value::Null).await;
    play.deliver().await;
    // PayPal's webhook first, once more.
    let second = play.post("/payments/paypal/orders", &[], token, json!({ "amount": "2.00" })).await;
    play.sandbox.approve_order(&text(&second, "processor_object")).unwrap();
    play.deliver().await;
    let refund = json!({ "amount": "1.00", "reason": "a part" });
    for payment in [&card, &text(&order, "id")] {
        play.post("/payments/{id}/refund", &[payment], admin, refund.clone()).await;
    }
    play.sandbox.refund_from_dashboard(&object, Some(100)).unwrap();
    let dispute = play.sandbox.dispute(&order_id).unwrap();
    play.deliver().await;
    play.sandbox.close_dispute(&dispute, Outcome::Won).unwrap();
    play.deliver().await;
    // Rightly signed, and about nothing of ours: parked. Then with wrong amounts, in truth.
    play.sandbox.tune(|knobs| (knobs.unknown_object, knobs.api_wrong_amount) = (Chance::ALWAYS, Chance::ALWAYS));
    let wrong = play.post("/payments/intent", &[], token, json!({ "amount": "4.00" })).await;
    play.sandbox.pay_intent(&text(&wrong, "processor_object"), Card::Visa).unwrap();
    play.deliver().await;
    play.sandbox.tune(|knobs| (knobs.unknown_object, knobs.api_wrong_amount) = (Chance::Off, Chance::Off));
    api_webhooks(play, token).await;
    play.get("/payments", &[], token).await;
    play.get("/payments/{id}", &[&card], token).await;
    play.get("/payments/stats/summary", &[], admin).await;
    method
}

/// The same events through the HTTP API, where another function takes them.
async fn api_webhooks(play: &Play, token: &str) {
    let pairs = [(Processor::Stripe, "/payments/webhook"), (Processor::PayPal, "/payments/webhook/paypal")];
    let (_, router) = play.areas.iter().find(|(name, _)| *name == "payments").unwrap();
    for (processor, path) in pairs {
        let (recorder, router, full) = (play.recorder.clone(), router.clone(), format!("/api/v1{path}"));
        let call = move |delivery: Delivery| {
            recorder.turn("payments");
            let (router, full) = (router.clone(), full.clone());
            async move { send(&router, request(&full, &delivery)).await.status }
        };
        play.sandbox.send_webhooks_to(processor, Target::call(call));
        play.done.lock().unwrap().insert(format!("POST {path}"));
    }
    play.sandbox.tune(|knobs| knobs.unknown_object = Chance::ALWAYS);
    let intent = play.post("/payments/intent", &[], token, json!({ "amount": "7.00" })).await;
    play.sandbox.pay_intent(&text(&intent, "processor_object"), Card::Visa).unwrap();
    let order = play.post("/payments/paypal/orders", &[], token, json!({ "amount": "8.00" })).await;
    play.sandbox.approve_order(&text(&order, "processor_object")).unwrap();
    play.deliver().await;
    play.sandbox.dispute(&text(&intent, "processor_object")).unwrap();
    play.deliver().await;
    play.sandbox.tune(|knobs| knobs.unknown_object = Chance::Off);
}

/// What a customer asks of a wallet, with servers that are billed.
async fn wallet(play: &Play, user: &Id, method: &str) {
    let app = &play.app;
    for server in ["srv-1", "srv-2"] {
        app.tell(&[registered(server, user.as_str(), app.time.now())]).await;
    }
    app.pass(30);
    run(app, &play.recorder).await;
    let token = &play.token(ADA).await;
    let month = app.hour().month().to_string();
    for path in ["/billing/balance", "/billing/custom-credits/transactions", "/billing/usage/current", "/billing/usage"]
    {
        play.get(path, &[], token).await;
    }
    let all = play.get("/billing/transactions", &[], token).await;
    let usage = all["data"].as_array().unwrap().iter().find(|row| row["type"] == "usage").unwrap();
    play.get("/billing/transactions/{id}", &[&text(usage, "id")], token).await;
    explain(play, &month, token).await;
    play.get("/billing/statements/{month}", &[&month], token).await;
    play.get("/billing/proof", &[], token).await;
    play.call("GET", "/billing/plans", &[], None, None).await;
    play.get("/billing/alerts", &[], token).await;
    let alerts = json!({ "thresholds": ["30.00", "100.00"], "email": true });
    play.call("PUT", "/billing/alerts", &[], Some(token), Some(alerts)).await;
    play.get("/billing/auto-top-up", &[], token).await;
    let top_up = json!({ "enabled": true, "threshold": "90.00", "amount": "20.00", "payment_method": method, "daily_limit": "50.00" });
    play.call("PUT", "/billing/auto-top-up", &[], Some(token), Some(top_up)).await;
    // With payments, too.
    play.get("/auth/me/export", &[], token).await;
    play.post("/billing/tokens/add", &[], token, json!({ "amount": "2.00" })).await;
    play.repeat("/billing/tokens/add", &[], ADA, json!({ "amount": "3.00" })).await;
}

/// The one path here with a query.
async fn explain(play: &Play, month: &str, token: &str) {
    let (function, router) = play.areas.iter().find(|(name, _)| *name == "billing").unwrap();
    play.recorder.turn(function);
    let path = format!("/api/v1/billing/servers/srv-1/explain?month={month}");
    let answer = ask(router, "GET", &path, Some(token), None).await;
    play.recorder.turn("");
    assert_eq!(answer.status, 200, "{}", answer.json);
    play.done.lock().unwrap().insert("GET /billing/servers/{id}/explain".to_owned());
}

/// What lifecycle finds, and what SES tells of.
async fn afterwards(play: &Play, user: &Id) {
    let app = &play.app;
    // A card that is charged while nobody is there, and mails of which nobody told the mailer.
    play.look().await;
    for message in app.system.mails.receive(10).await.unwrap() {
        app.system.mails.delete(vec![message.receipt]).await.unwrap();
    }
    app.pass_secs(120);
    play.look().await;
    play.mail().await;
    // Payments nobody tells of: paid, given up, refunded without an answer, parked.
    play.sandbox.tune(|knobs| knobs.lost = Chance::ALWAYS);
    let token = &play.token(ADA).await;
    let paid = play.post("/payments/intent", &[], token, json!({ "amount": "9.00" })).await;
    play.sandbox.pay_intent(&text(&paid, "processor_object"), Card::Visa).unwrap();
    play.post("/payments/intent", &[], token, json!({ "amount": "11.00" })).await;
    let order = play.post("/payments/paypal/orders", &[], token, json!({ "amount": "12.00" })).await;
    play.sandbox.approve_order(&text(&order, "processor_object")).unwrap();
    play.sandbox.tune(|knobs| knobs.api_wrong_amount = Chance::ALWAYS);
    let wrong = play.post("/payments/intent", &[], token, json!({ "amount": "13.00" })).await;
    play.sandbox.pay_intent(&text(&wrong, "processor_object"), Card::Visa).unwrap();
    play.sandbox.tune(|knobs| knobs.api_wrong_amount = Chance::Off);
    for hours in [1, 25] {
        app.pass(hours);
        play.look().await;
    }
    play.sandbox.tune(|knobs| knobs.lost = Chance::Off);
    // A balance that falls below the thresholds everybody has, page by page: the projector writes that down.
    let poor = Id::new("usr_poor").unwrap();
    let session = api::new_id("ses", app.time.now());
    app.put_access(poor.as_str(), "active", domain::account::Role::User, &session).await;
    app.tell(&[registered("srv-poor", poor.as_str(), app.time.now())]).await;
    app.pass(2);
    run(app, &play.recorder).await;
    app.pass_secs(300);
    play.look().await;
    // A mail whose sender is gone, and an address that bounces.
    let store = &app.system.store;
    let welcome = store::OutboxMail::to_user("welcome:again", user, domain::mail::Template::Welcome);
    store.mail_enqueue(&welcome, app.time.now()).await.unwrap();
    store.mail_claim("welcome:again", "somebody", app.time.now()).await.unwrap();
    app.pass(1);
    play.look().await;
    play.recorder.turn("mailer");
    let notification = json!({ "notificationType": "Bounce", "bounce": {
        "bounceType": "Permanent", "bouncedRecipients": [{ "emailAddress": ADA }] } });
    let event = json!({ "Records": [{ "EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": "arn",
        "Sns": sns(&notification.to_string()) }] });
    play.mailing.handle(event, TIME_LEFT).await.unwrap();
    play.recorder.turn("");
    let late = store::OutboxMail::to_address("late:1", ADA, domain::mail::Template::Welcome);
    store.mail_enqueue(&late, app.time.now()).await.unwrap();
    app.system.mails.send(vec!["late:1".to_owned()]).await.unwrap();
    play.mail().await;
}

/// A message of SNS as Lambda gets it.
fn sns(message: &str) -> Value {
    json!({ "Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Subject": "s", "Message": message,
        "Timestamp": "2026-11-10T00:00:00.000Z", "SignatureVersion": "1", "Signature": "s",
        "SigningCertUrl": "https://sns", "UnsubscribeUrl": "https://sns", "MessageAttributes": {} })
}

/// What operators do.
async fn operators(play: &Play, user: &Id) {
    let user = user.as_str();
    let credit = json!({ "amount": "5.00", "reason": "goodwill" });
    play.repeat("/admin/users/{id}/custom-credits", &[user], ROOT, credit.clone()).await;
    let rows = json!({ "rows": [{ "user_id": user, "amount": "1.00", "reason": "all" }] });
    play.repeat("/admin/custom-credits/bulk", &[], ROOT, rows.clone()).await;
    let token = &play.token(ROOT).await;
    for path in
        ["/health", "/health/billing-daemon", "/admin/users", "/admin/settings", "/admin/cron/status", "/admin/runs"]
    {
        play.get(path, &[], token).await;
    }
    let search = play.ask("GET", "/admin/users?search=ada", &[], Some(token), None).await;
    assert_eq!(search.status, 200, "{}", search.json);
    play.get("/admin/users/{id}", &[user], token).await;
    let update = json!({ "name": "Ada", "company": "Engines" });
    play.call("PUT", "/admin/users/{id}", &[user], Some(token), Some(update)).await;
    for change in [json!({ "status": "suspended" }), json!({ "status": "active" }), json!({ "role": "user" })] {
        play.call("PUT", "/admin/users/{id}", &[user], Some(token), Some(change)).await;
    }
    play.post("/admin/users/{id}/custom-credits", &[user], token, credit.clone()).await;
    play.call("DELETE", "/admin/users/{id}/custom-credits", &[user], Some(token), Some(credit)).await;
    play.get("/admin/users/{id}/custom-credits", &[user], token).await;
    play.refused(
        "/admin/users/{id}/custom-credits",
        &["usr_nobody"],
        token,
        json!({ "amount": "5.00", "reason": "x" }),
    )
    .await;
    play.post("/admin/custom-credits/bulk", &[], token, rows).await;
    let parked = play.get("/admin/payments/parked", &[], token).await;
    let object = text(&parked["data"][0], "id");
    let dealt = json!({ "status": "dealt_with", "note": "nobody's" });
    play.call("PUT", "/admin/payments/parked/{id}", &[&object], Some(token), Some(dealt)).await;
    let hour = play.app.hour().start().to_string();
    run(&play.app, &play.recorder).await;
    play.get("/admin/runs/{hour}", &[&hour], token).await;
    play.post("/admin/cron/trigger-hourly-billing", &[], token, json!({})).await;
    for (key, value) in [
        ("server_hourly_billing_enabled", json!(false)),
        ("server_hours_per_month", json!(720)),
        ("server_hourly_billing_cron_schedule", json!("30 * * * *")),
    ] {
        play.call("PUT", "/admin/settings/{key}", &[key], Some(token), Some(json!({ "value": value }))).await;
    }
    play.get("/admin/audit", &[], token).await;
    play.call("DELETE", "/admin/users/{id}", &[user], Some(token), None).await;
}

/// Plays it; what was asked of tables and queues.
pub async fn customers() -> Vec<Seen> {
    let recorder = Recorder::default();
    let play = Play::open(&recorder).await;
    account(&play).await;
    let (ada, root) = (play.sign_up(ADA).await, play.sign_up(ROOT).await);
    auth::operator::make_admin(&play.app.system.store, ROOT, play.app.time.now()).await.unwrap();
    let user = Id::new(play.get("/auth/me", &[], &ada).await["id"].as_str().unwrap()).unwrap();
    let method = payments(&play, &ada, &root).await;
    wallet(&play, &user, &method).await;
    afterwards(&play, &user).await;
    let ada = play.token(ADA).await;
    play.call("DELETE", "/payments/methods/{id}", &[&method], Some(&ada), None).await;
    operators(&play, &user).await;

    let all = areas().into_iter().flat_map(|(_, area)| area.paths.paths);
    let all = all.flat_map(|(path, item)| {
        let item = serde_json::to_value(item).unwrap();
        let methods: Vec<String> = item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        methods.into_iter().map(move |method| format!("{method} {path}"))
    });
    let done = play.done.lock().unwrap().clone();
    let missing: Vec<String> = all.filter(|operation| !done.contains(operation)).collect();
    assert!(missing.is_empty(), "nobody asks {missing:?}");
    let proof = play.app.proof().await;
    assert_eq!(proof.faults, Vec::<_>::new());
    recorder.take()
}
