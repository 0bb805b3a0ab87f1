//! API keys, the export, and leaving.

use super::auth::{by, post};
use super::auth_login::refused;
use api::Kit;
use auth::operator::make_admin;
use axum::body::Body;
use axum::http::Request;
use domain::wallet::{Entry, Kind};
use domain::{Amount, Unit};
use serde_json::{Value, json};
use tests::{PASSWORD, TestApp, ask, login, send};

const KEYS: &str = "api-keys";

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
    make_admin(&app.system.store, "ada@example.com").await.unwrap();
    let wanted =
        json!({ "name": " monitor ", "scopes": ["health:read", "health:read"], "expires_at": "2026-11-11T00:00:00Z" });
    let created = by(&router, &account, "POST", KEYS, Some(wanted)).await;
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
    make_admin(&app.system.store, "ada@example.com").await.unwrap();
    let wanted = json!({ "name": "monitor", "scopes": ["health:read"] });
    let created = by(&router, &account, "POST", KEYS, Some(wanted)).await.json;
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
        let answer = by(&router, &account, "POST", KEYS, Some(body.clone())).await;
        assert_eq!((answer.status, answer.json["errors"][0]["pointer"].as_str()), (422, Some(pointer)), "{body}");
    }
    let wanted = json!({ "name": "n", "scopes": ["billing:read"] });
    let tries: Vec<_> = (0..14)
        .map(|_| {
            let (router, account, wanted) = (router.clone(), account.clone(), wanted.clone());
            tokio::spawn(async move { by(&router, &account, "POST", KEYS, Some(wanted)).await.status })
        })
        .collect();
    for status in tries {
        let status = status.await.unwrap();
        assert!(status == 201 || status == 409, "{status}");
    }
    while by(&router, &account, "POST", KEYS, Some(wanted.clone())).await.status == 201 {}
    assert_eq!(refused(&by(&router, &account, "POST", KEYS, Some(wanted)).await), (409, "too_many_api_keys"));
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
        let body = json!({ "name": "n", "scopes": ["billing:read"] }).to_string();
        let (router, request) = (router.clone(), request.body(Body::from(body)).unwrap());
        async move { send(&router, request).await }
    };
    assert_eq!(create().await.status, 201);
    assert_eq!(refused(&create().await), (409, "already_created"));
    assert_eq!(by(&router, &account, "GET", KEYS, None).await.json["data"].as_array().unwrap().len(), 1);
}

async fn pay(app: &TestApp, account: &tests::Account, steps: i64) {
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

#[tokio::test]
async fn an_export_has_all_of_ones_own_and_nothing_to_sign_in_with() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let eve = app.sign_up("eve@example.com").await;
    let router = app.auth_router().await;
    pay(&app, &account, 20_000_000).await;
    by(&router, &account, "POST", KEYS, Some(json!({ "name": "n", "scopes": ["billing:read"] }))).await;
    let export = by(&router, &account, "GET", "me/export", None).await;
    assert_eq!(export.status, 200);
    let json = export.json;
    assert_eq!(json["profile"]["email"], "ada@example.com");
    assert_eq!(json["sessions"][0]["id"].as_str(), Some(account.session.as_str()));
    assert_eq!(json["api_keys"][0]["name"], "n");
    assert_eq!(json["wallets"][0]["balance"], json!({ "amount": "20.00", "unit": "usd" }));
    assert_eq!(json["wallets"][0]["transactions"][0]["reference"], "pay_1");
    assert_eq!(json["wallets"][0]["truncated"], false);
    let text = json.to_string();
    for secret in ["argon2", "eve@example.com", "family", "token\"", &account.refresh_token] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(by(&router, &eve, "GET", "me/export", None).await.json["wallets"], json!([]));
}

#[tokio::test]
async fn who_leaves_leaves_a_ledger_and_no_name() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    pay(&app, &account, 20_000_000).await;
    let made = json!({ "name": "secret project", "scopes": ["billing:read"] });
    let key = by(&router, &account, "POST", KEYS, Some(made)).await.json["key"].as_str().unwrap().to_owned();
    let leave = |body: Value| {
        let (router, account) = (router.clone(), account.clone());
        async move { by(&router, &account, "DELETE", "me", Some(body)).await }
    };
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
    assert!(app.mails_of(domain::mail::Template::Reset, "ada@example.com").await.is_empty());
    assert!(
        app.system.store.access_status_set(&account.user, domain::account::Status::Active).await.unwrap().is_none()
    );
    // Nothing personal is left in the tables of users.
    let store = &app.system.store;
    let rows = store.client().scan().table_name(&store.tables().identity).consistent_read(true).send().await.unwrap();
    let text = format!("{:?}", rows.items());
    for personal in ["ada@", "Ada", "argon2", "secret project"] {
        assert!(!text.contains(personal), "{personal} in {text}");
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
