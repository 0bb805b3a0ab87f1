//! API keys, the export, and leaving.

use super::auth::{by, post};
use super::auth_login::refused;
use api::Kit;
use auth::operator::{make_admin, set_role};
use aws_sdk_dynamodb::types::AttributeValue;
use axum::body::Body;
use axum::http::Request;
use domain::account::Role;
use domain::alerts::{Alerts, TopUp};
use domain::mail::Template;
use domain::payment::{NewPayment, Payment, Processor, Purpose, Refund, RefundStatus};
use domain::wallet::{Entry, Kind};
use domain::{Amount, Unit};
use serde_json::{Value, json};
use std::collections::HashMap;
use store::audit::USER_UPDATE;
use store::{AdminChange, AuditFilter, By, UserChange};
use tests::{Account, PASSWORD, TestApp, ask, id, login, send};

const KEYS: &str = "api-keys";

/// The body that makes a key.
pub fn wanted(name: &str, scope: &str) -> Value {
    json!({ "name": name, "scopes": [scope], "password": PASSWORD })
}

/// A GET of an area that admins may see, with a key.
async fn health(app: &TestApp, key: &str) -> (u16, String) {
    let router = health::router(Kit::new(health::AREA, app.system.store.clone(), app.time.clock()));
    let answer = ask(&router, "GET", "/api/v1/health/billing-daemon", Some(key), None).await;
    (answer.status, answer.json["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_key_is_shown_once_does_what_its_scopes_say_and_ends() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    make_admin(&app.system.store, "ada@example.com", app.time.now()).await.unwrap();
    let body = json!({ "name": " monitor ", "scopes": ["health:read", "health:read"], "expires_at": "2026-11-11T00:00:00Z", "password": PASSWORD });
    let created = by(&router, &account, "POST", KEYS, Some(body)).await;
    assert_eq!(created.status, 201, "{:?}", created.json);
    let key = created.json["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("sky_"));
    let list = by(&router, &account, "GET", KEYS, None).await.json;
    let row = &list["data"][0];
    assert_eq!((row["name"].as_str(), &row["scopes"]), (Some("monitor"), &json!(["health:read"])));
    assert!(row.get("key").is_none() && !list.to_string().contains(&key));
    assert_eq!(health(&app, &key).await.0, 200);
    // Neither another secret, nor another's key, nor this area.
    assert_eq!(health(&app, &format!("{key}x")).await, (401, "unauthenticated".to_owned()));
    for (method, path) in
        [("GET", "me"), ("GET", KEYS), ("GET", "me/export"), ("POST", "logout"), ("DELETE", "sessions")]
    {
        let answer = ask(&router, method, &format!("/api/v1/auth/{path}"), Some(&key), None).await;
        assert_eq!(refused(&answer), (403, "scope_missing"), "{method} {path}");
    }
    app.pass(24);
    assert_eq!(health(&app, &key).await, (401, "key_expired".to_owned()));
}

#[tokio::test]
async fn a_key_ends_at_once_and_only_by_its_owner() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let eve = app.sign_up("eve@example.com").await;
    let router = app.auth_router().await;
    make_admin(&app.system.store, "ada@example.com", app.time.now()).await.unwrap();
    let body = wanted("monitor", "health:read");
    let created = by(&router, &account, "POST", KEYS, Some(body)).await.json;
    let (key, path) = (created["key"].as_str().unwrap(), format!("{KEYS}/{}", created["id"].as_str().unwrap()));
    assert_eq!(by(&router, &eve, "DELETE", &path, None).await.status, 404);
    assert_eq!(health(&app, key).await.0, 200);
    assert_eq!(by(&router, &account, "DELETE", &path, None).await.status, 204);
    assert_eq!(health(&app, key).await.0, 401);
    assert_eq!(by(&router, &account, "DELETE", &path, None).await.status, 404);
    assert_eq!(by(&router, &account, "GET", KEYS, None).await.json["data"], json!([]));
}

#[tokio::test]
async fn keys_that_cannot_be_are_refused_by_field_and_ten_are_enough() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    for (body, pointer) in [
        (json!({ "name": "", "scopes": ["billing:read"] }), "/name"),
        (json!({ "name": "a\nb", "scopes": ["billing:read"] }), "/name"),
        (json!({ "name": "x".repeat(61), "scopes": ["billing:read"] }), "/name"),
        (json!({ "name": "n", "scopes": [] }), "/scopes"),
        (json!({ "name": "n", "scopes": ["billing:read", "auth:write"] }), "/scopes/1"),
        (json!({ "name": "n", "scopes": ["billing:read", "admin:read"] }), "/scopes/1"),
        (json!({ "name": "n", "scopes": ["billing:read"], "expires_at": "tomorrow" }), "/expires_at"),
        (json!({ "name": "n", "scopes": ["billing:read"], "expires_at": "2026-11-10T00:00:00Z" }), "/expires_at"),
        (json!({ "name": "n", "scopes": ["billing:read"], "user": "usr_2" }), "/user"),
    ] {
        let mut body = body;
        body["password"] = json!(PASSWORD);
        let answer = by(&router, &account, "POST", KEYS, Some(body.clone())).await;
        assert_eq!((answer.status, answer.json["errors"][0]["pointer"].as_str()), (422, Some(pointer)), "{body}");
    }
    let body = wanted("n", "billing:read");
    let tries: Vec<_> = (0..8)
        .map(|_| {
            let (router, account, body) = (router.clone(), account.clone(), body.clone());
            tokio::spawn(async move { by(&router, &account, "POST", KEYS, Some(body)).await.status })
        })
        .collect();
    for status in tries {
        let status = status.await.unwrap();
        assert!(status == 201 || status == 409, "{status}");
    }
    // Ten proofs of one session are enough for a quarter of an hour, too.
    let account = Account::of(&login(&router, "ada@example.com", PASSWORD).await);
    while by(&router, &account, "POST", KEYS, Some(body.clone())).await.status == 201 {}
    assert_eq!(refused(&by(&router, &account, "POST", KEYS, Some(body)).await), (409, "too_many_api_keys"));
    let access = app.system.store.access_get(&account.user).await.unwrap().unwrap();
    assert_eq!(access.keys.len(), store::MAX_API_KEYS);
    assert_eq!(
        by(&router, &account, "GET", "api-keys?limit=100", None).await.json["data"].as_array().unwrap().len(),
        10
    );
}

#[tokio::test]
async fn the_same_request_again_makes_no_second_key() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let create = || {
        let request = Request::post("/api/v1/auth/api-keys")
            .header("authorization", format!("Bearer {}", account.access_token))
            .header("content-type", "application/json")
            .header("idempotency-key", "my first key");
        let body = wanted("n", "billing:read").to_string();
        let (router, request) = (router.clone(), request.body(Body::from(body)).unwrap());
        async move { send(&router, request).await }
    };
    assert_eq!(create().await.status, 201);
    assert_eq!(refused(&create().await), (409, "already_created"));
    assert_eq!(by(&router, &account, "GET", KEYS, None).await.json["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_needs_the_password_and_the_owner_is_told_of_it() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let none = json!({ "name": "n", "scopes": ["billing:read"] });
    let wrong = json!({ "name": "n", "scopes": ["billing:read"], "password": "not the password" });
    for body in [none, wrong.clone()] {
        let answer = by(&router, &account, "POST", KEYS, Some(body)).await;
        assert_eq!((answer.status, answer.json["errors"][0]["pointer"].as_str()), (422, Some("/password")));
    }
    assert!(app.mails_of(Template::ApiKeyCreated, "ada@example.com").await.is_empty());
    let named = wanted("Win at evil.example", "billing:read");
    let created = by(&router, &account, "POST", KEYS, Some(named)).await;
    assert_eq!(created.status, 201, "{:?}", created.json);
    let mails = app.mails_of(Template::ApiKeyCreated, "ada@example.com").await;
    assert_eq!(mails.len(), 1);
    assert_eq!(
        (mails[0].params["key"].as_str(), &mails[0].params["scopes"][..]),
        (created.json["id"].as_str().unwrap(), "billing:read")
    );
    let told = format!("{:?}", mails[0].params);
    assert!(!told.contains("evil") && !told.contains(created.json["key"].as_str().unwrap()), "{told}");
    // Guessing with a stolen session is bounded.
    let mut last = 0;
    for _ in 0..10 {
        last = by(&router, &account, "POST", KEYS, Some(wrong.clone())).await.status;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn keys_are_made_only_so_often_whoever_knows_the_password() {
    let app = TestApp::new().await;
    let mut account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    for n in 0..20 {
        if n % 8 == 7 {
            account = Account::of(&login(&router, "ada@example.com", PASSWORD).await);
        }
        let made = by(&router, &account, "POST", KEYS, Some(wanted("n", "billing:read"))).await;
        assert_eq!(made.status, 201, "{n}: {:?}", made.json);
        let path = format!("{KEYS}/{}", made.json["id"].as_str().unwrap());
        assert_eq!(by(&router, &account, "DELETE", &path, None).await.status, 204);
    }
    account = Account::of(&login(&router, "ada@example.com", PASSWORD).await);
    assert_eq!(by(&router, &account, "POST", KEYS, Some(wanted("n", "billing:read"))).await.status, 429);
}

#[tokio::test]
async fn a_reset_ends_all_keys_and_a_change_of_the_password_none() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    make_admin(&app.system.store, "ada@example.com", app.time.now()).await.unwrap();
    let made = by(&router, &account, "POST", KEYS, Some(wanted("monitor", "health:read"))).await.json;
    let key = made["key"].as_str().unwrap();
    let change = json!({ "current_password": PASSWORD, "new_password": "a new long password" });
    assert_eq!(by(&router, &account, "POST", "change-password", Some(change)).await.status, 204);
    assert_eq!(health(&app, key).await.0, 200);
    post(&router, "forgot-password", json!({ "email": "ada@example.com" })).await;
    let token = app.mailed_token(Template::Reset, "ada@example.com").await;
    let reset = json!({ "token": token, "password": PASSWORD });
    assert_eq!(post(&router, "reset-password", reset).await.status, 204);
    assert_eq!(health(&app, key).await.0, 401);
    let account = Account::of(&login(&router, "ada@example.com", PASSWORD).await);
    assert_eq!(by(&router, &account, "GET", KEYS, None).await.json["data"], json!([]));
    // There is room again, and what is made now holds.
    let made = by(&router, &account, "POST", KEYS, Some(wanted("monitor", "health:read"))).await.json;
    assert_eq!(health(&app, made["key"].as_str().unwrap()).await.0, 200);
    assert_eq!(by(&router, &account, "GET", KEYS, None).await.json["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_admin_does_not_leave_before_the_role_is_gone() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    make_admin(&app.system.store, "ada@example.com", app.time.now()).await.unwrap();
    let leave = || by(&router, &account, "DELETE", "me", Some(json!({ "password": PASSWORD })));
    assert_eq!(refused(&leave().await), (409, "admin_account"));
    // Nor where the role came after the request was looked at.
    let (profile, rev) = app.system.store.user_get(&account.user).await.unwrap().unwrap();
    let erased = app.system.store.user_erase((&profile, rev), app.time.now()).await;
    assert!(matches!(erased, Err(store::StoreError::Conflict(_))), "{erased:?}");
    assert_eq!(by(&router, &account, "GET", "me", None).await.json["role"], "admin");
    set_role(&app.system.store, "ada@example.com", Role::User, app.time.now()).await.unwrap();
    assert_eq!(leave().await.status, 200);
}

async fn pay(app: &TestApp, account: &Account, steps: i64) {
    let wallet = app.wallet(account.user.as_str());
    let entry = Entry {
        kind: Kind::Payment,
        amount: Amount::from_steps(steps),
        actor: Some("test".to_owned()),
        reason: None,
        reference: Some("pay_1".to_owned()),
    };
    app.system.store.wallet_post(&wallet, entry, "pay_1", app.time.now()).await.unwrap();
    app.system.pump_feed().await.unwrap();
}

/// A payment that was taken, and given back in part.
async fn paid(app: &TestApp, account: &Account, n: u32) {
    let (now, usd) = (app.time.now(), |dollars: i64| Amount::from_steps(dollars * 1_000_000));
    let new = NewPayment {
        id: id(&format!("pay_{n}")),
        customer: account.user.clone(),
        processor: Processor::Stripe,
        purpose: Purpose::Credits,
        amount: usd(9),
        save_method: false,
        method: None,
    };
    let refund = Refund {
        id: format!("ref_{n}"),
        amount: usd(1),
        rest: false,
        reason: Some("too much".to_owned()),
        by: Some("usr_admin".to_owned()),
        at: now,
        status: RefundStatus::Succeeded,
        object: None,
    };
    let payment = Payment { captured: usd(9), refunded: usd(1), refunds: vec![refund], ..Payment::new(new, now) };
    app.system.store.payment_create(&payment, None, now).await.unwrap();
    app.pass_secs(1);
}

#[tokio::test]
async fn an_export_has_all_of_ones_own_and_nothing_to_sign_in_with() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let eve = app.sign_up("eve@example.com").await;
    let router = app.auth_router().await;
    pay(&app, &account, 20_000_000).await;
    by(&router, &account, "POST", KEYS, Some(wanted("n", "billing:read"))).await;
    let nothing = by(&router, &account, "GET", "me/export", None).await.json;
    assert_eq!(nothing["payments"], json!({ "data": [], "truncated": false }));
    assert_eq!((&nothing["auto_top_up"]["enabled"], &nothing["alerts"]["email"]), (&json!(false), &json!(true)));
    let store = &app.system.store;
    for n in 1..=501 {
        paid(&app, &account, n).await;
        if n == 2 {
            let two = by(&router, &account, "GET", "me/export", None).await.json["payments"].clone();
            assert_eq!((two["data"].as_array().unwrap().len(), &two["truncated"]), (2, &json!(false)));
        }
    }
    let usd = |dollars: i64| Amount::from_steps(dollars * 1_000_000);
    store.alerts_put(&account.user, &Alerts::new(vec![usd(7)], false)).await.unwrap();
    let method = Some("pm_1".to_owned());
    let top_up =
        TopUp { enabled: true, threshold: usd(5), amount: usd(20), payment_method: method, daily_limit: usd(40) };
    store.top_up_put(&account.user, &top_up).await.unwrap();
    let export = by(&router, &account, "GET", "me/export", None).await;
    assert_eq!(export.status, 200);
    let json = export.json;
    assert_eq!(json["profile"]["email"], "ada@example.com");
    assert_eq!(json["sessions"][0]["id"].as_str(), Some(account.session.as_str()));
    assert_eq!(json["api_keys"][0]["name"], "n");
    assert_eq!(json["wallets"][0]["balance"], json!({ "amount": "20.00", "unit": "usd" }));
    assert_eq!(json["wallets"][0]["transactions"][0]["reference"], "pay_1");
    assert_eq!(json["wallets"][0]["truncated"], false);
    // The newest five hundred, each with what was given back of it.
    let money = |amount: &str| json!({ "amount": amount, "unit": "usd" });
    let payments = json["payments"]["data"].as_array().unwrap();
    assert_eq!((payments.len(), &json["payments"]["truncated"]), (500, &json!(true)));
    assert_eq!((&payments[0]["id"], &payments[499]["id"]), (&json!("pay_501"), &json!("pay_2")));
    assert_eq!((&payments[0]["amount"], &payments[0]["refunded"]), (&money("9.00"), &money("1.00")));
    assert_eq!(payments[0]["refunds"][0]["reason"], "too much");
    assert_eq!(json["alerts"], json!({ "thresholds": [money("7.00")], "email": false }));
    let top_up = json!({
        "enabled": true, "threshold": money("5.00"), "amount": money("20.00"), "payment_method": "pm_1",
        "daily_limit": money("40.00"),
    });
    assert_eq!(json["auto_top_up"], top_up);
    let text = json.to_string();
    for secret in ["argon2", "eve@example.com", "family", "token\"", &account.refresh_token] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let of_eve = by(&router, &eve, "GET", "me/export", None).await.json;
    assert_eq!((&of_eve["wallets"], &of_eve["payments"]["data"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn who_leaves_leaves_a_ledger_and_no_name() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    pay(&app, &account, 20_000_000).await;
    let made = wanted("secret project", "billing:read");
    let key = by(&router, &account, "POST", KEYS, Some(made)).await.json["key"].as_str().unwrap().to_owned();
    let leave = |body: Value| {
        let (router, account) = (router.clone(), account.clone());
        async move { by(&router, &account, "DELETE", "me", Some(body)).await }
    };
    // An admin writes names, too: what is written down of that stays for ever.
    let profile = UserChange { name: Some("Countess Ada".to_owned()), company: Some("Analytical Engines".to_owned()) };
    let change = AdminChange { profile, ..AdminChange::default() };
    let (now, store) = (app.time.now(), &app.system.store);
    let by_admin = By::operator(api::new_id("aud", now), now).unwrap();
    store.user_admin_change(&account.user, &change, USER_UPDATE, &by_admin).await.unwrap();
    let filter = AuditFilter { object: Some(format!("user/{}", account.user)), ..AuditFilter::default() };
    let records = store.audit_list(app.hour().month(), &filter, None, 10).await.unwrap().rows;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].after, json!({ "name": "not kept", "company": "not kept" }));
    assert_eq!(leave(json!({ "password": "not the password" })).await.status, 422);
    assert_eq!(leave(json!({})).await.status, 422);
    let answer = leave(json!({ "password": PASSWORD })).await;
    assert_eq!((answer.status, answer.json["status"].as_str()), (200, Some("deleted")));
    assert!(answer.json["warning"].as_str().unwrap().contains("20.00 usd"), "{:?}", answer.json);
    // Nothing of theirs works any more, nor can it be had back.
    assert_eq!(by(&router, &account, "GET", "me", None).await.status, 401);
    assert_eq!(post(&router, "refresh", json!({ "refresh_token": account.refresh_token })).await.status, 401);
    assert_eq!(login(&router, "ada@example.com", PASSWORD).await.status, 401);
    assert_eq!(health(&app, &key).await.0, 401);
    post(&router, "forgot-password", json!({ "email": "ada@example.com" })).await;
    assert!(app.mails_of(Template::Reset, "ada@example.com").await.is_empty());
    assert!(
        app.system.store.access_status_set(&account.user, domain::account::Status::Active).await.unwrap().is_none()
    );
    // Nothing personal is left: not with users, not in the audit log. A mail that waits loses its text when it is sent.
    for (table, personal) in [
        (&store.tables().identity, &["ada@", "Ada", "Engines", "argon2", "secret project"][..]),
        (&store.tables().main, &["Ada", "Engines", "argon2", "secret project"][..]),
    ] {
        let rows = store.client().scan().table_name(table).consistent_read(true).send().await.unwrap();
        assert!(rows.last_evaluated_key().is_none());
        let is_mail = |item: &HashMap<_, AttributeValue>| item["pk"].as_s().unwrap().starts_with("MAIL#");
        let text = format!("{:?}", rows.items().iter().filter(|item| !is_mail(item)).collect::<Vec<_>>());
        for personal in personal {
            assert!(!text.contains(personal), "{personal} in {text}");
        }
    }
    // The ledger stands, and the address is free for somebody else.
    let balance = app.system.store.wallet_balance(&account.user, Unit::Usd).await.unwrap();
    assert_eq!(balance.amount, Amount::from_steps(20_000_000));
    app.verify().await;
    app.pass(1);
    app.register(&router, "ada@example.com").await;
    let users = app.system.store.user_list(None, 10).await.unwrap();
    let owners: Vec<_> = users.iter().filter(|user| user.email.is_some()).collect();
    assert_eq!(owners.len(), 1);
    assert_ne!(owners[0].id, account.user);
}
