//! The second factor: when it is asked for, that a code counts once, and the way back.

use super::auth::by;
use super::auth_login::{from, refused};
use axum::Router;
use domain::mail::Template;
use serde_json::{Value, json};
use tests::{Account, PASSWORD, TestApp, login, login_with};
use totp_rs::{Builder, Secret};

/// The code of a secret at the app's time and some steps on.
fn code(app: &TestApp, secret: &str, steps: i64) -> String {
    let totp = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap()).build().unwrap();
    totp.generate(u64::try_from(app.time.now().secs() + steps * 30).unwrap()).to_string()
}

/// Somebody with a second factor: the secret and the recovery codes.
pub async fn with_second_factor(app: &TestApp, router: &Router, account: &Account) -> (String, Vec<String>) {
    let setup = by(router, account, "POST", "2fa/setup", Some(json!({ "password": PASSWORD }))).await;
    assert_eq!(setup.status, 200, "{:?}", setup.json);
    let secret = setup.json["secret"].as_str().unwrap().to_owned();
    assert!(setup.json["otpauth_url"].as_str().unwrap().starts_with("otpauth://totp/Skymeter:"));
    let confirmed = by(router, account, "POST", "2fa/confirm", Some(json!({ "code": code(app, &secret, 0) }))).await;
    assert_eq!(confirmed.status, 200, "{:?}", confirmed.json);
    let codes = confirmed.json["recovery_codes"].as_array().unwrap();
    (secret, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

fn body(code: Option<&str>) -> Value {
    let mut body = json!({ "email": "ada@example.com", "password": PASSWORD });
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    body
}

#[tokio::test]
async fn a_second_factor_is_asked_for_after_the_right_password_and_its_codes_count_once() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let (secret, _) = with_second_factor(&app, &router, &account).await;
    assert_eq!(by(&router, &account, "GET", "me", None).await.json["two_factor_enabled"], true);
    assert_eq!(refused(&login_with(&router, body(None)).await), (401, "second_factor_required"));
    assert_eq!(refused(&login(&router, "ada@example.com", "not the password").await), (401, "invalid_credentials"));
    // The code that confirmed it is used up.
    let used = login_with(&router, body(Some(&code(&app, &secret, 0)))).await;
    assert_eq!((refused(&used), &used.json["errors"][0]["pointer"]), ((401, "invalid_code"), &json!("/code")));
    app.pass_secs(30);
    let now = code(&app, &secret, 0);
    assert_eq!(login_with(&router, body(Some(&now))).await.status, 200);
    assert_eq!(refused(&login_with(&router, body(Some(&now))).await), (401, "invalid_code"));
    // A step on is within the tolerance, two are not, and none before the last counts.
    assert_eq!(refused(&login_with(&router, body(Some(&code(&app, &secret, 2)))).await), (401, "invalid_code"));
    assert_eq!(login_with(&router, body(Some(&code(&app, &secret, 1)))).await.status, 200);
    app.pass_secs(60);
    assert_eq!(refused(&login_with(&router, body(Some(&code(&app, &secret, -1)))).await), (401, "invalid_code"));
}

#[tokio::test]
async fn of_many_sign_ins_at_once_with_one_code_one_gets_through() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let (secret, recovery) = with_second_factor(&app, &router, &account).await;
    app.pass_secs(30);
    for code in [code(&app, &secret, 0), recovery[0].clone()] {
        let tries: Vec<_> = (0..6)
            .map(|n| {
                let (router, body) = (from(&router, n), body(Some(&code)));
                tokio::spawn(async move { login_with(&router, body).await.status })
            })
            .collect();
        let mut good = 0;
        for status in tries {
            good += usize::from(status.await.unwrap() == 200);
        }
        assert_eq!(good, 1, "{code}");
    }
}

#[tokio::test]
async fn recovery_codes_hold_once_each() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let (_, recovery) = with_second_factor(&app, &router, &account).await;
    assert_eq!(recovery.len(), 10);
    let typed = recovery[4].to_lowercase().replace('-', "");
    assert_eq!(login_with(&router, body(Some(&typed))).await.status, 200);
    assert_eq!(refused(&login_with(&router, body(Some(&recovery[4]))).await), (401, "invalid_code"));
    assert_eq!(login_with(&router, body(Some(&recovery[5]))).await.status, 200);
    let kept = app.system.store.user_secret(&account.user).await.unwrap().unwrap().0;
    let kept = kept.second.unwrap().recovery;
    assert_eq!(kept.len(), 8);
    assert!(recovery.iter().all(|code| !kept.contains(code)), "kept in clear");
}

#[tokio::test]
async fn codes_cannot_be_guessed_from_many_addresses_and_the_owner_is_not_kept_out() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let (secret, _) = with_second_factor(&app, &router, &account).await;
    app.pass_secs(30);
    let mut last = 0;
    for n in 0..12 {
        last = login_with(&from(&router, n), body(Some("000000"))).await.status;
    }
    assert_eq!(last, 429);
    // At the usual place.
    assert_eq!(login_with(&router, body(Some(&code(&app, &secret, 0)))).await.status, 200);
}

#[tokio::test]
async fn it_is_in_force_only_after_a_code_was_shown_and_given_up_only_with_both() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let by = |account: &Account, path: &'static str, body: Value| {
        let (router, account) = (router.clone(), account.clone());
        async move { by(&router, &account, "POST", path, Some(body)).await }
    };
    let not_set_up = by(&account, "2fa/confirm", json!({ "code": "123456" })).await;
    assert_eq!(refused(&not_set_up), (409, "second_factor_not_set_up"));
    let wrong = by(&account, "2fa/setup", json!({ "password": "not the password" })).await;
    assert_eq!((wrong.status, wrong.json["errors"][0]["pointer"].as_str()), (422, Some("/password")));
    by(&account, "2fa/setup", json!({ "password": PASSWORD })).await;
    // Never confirmed, never asked for.
    let other = Account::of(&login_with(&router, body(None)).await);
    let post = |path: &'static str, body: Value| by(&other, path, body);
    let wrong = post("2fa/confirm", json!({ "code": "000000" })).await;
    assert_eq!((wrong.status, wrong.json["errors"][0]["pointer"].as_str()), (422, Some("/code")));
    let (secret, recovery) = with_second_factor(&app, &router, &account).await;
    assert_eq!(refused(&post("2fa/setup", json!({ "password": PASSWORD })).await), (409, "second_factor_enabled"));
    assert_eq!(refused(&post("2fa/confirm", json!({ "code": "000000" })).await), (409, "second_factor_enabled"));
    app.pass_secs(30);
    assert_eq!(post("2fa/disable", json!({ "password": PASSWORD, "code": "000000" })).await.status, 422);
    let right = code(&app, &secret, 0);
    assert_eq!(post("2fa/disable", json!({ "password": "not the password", "code": right })).await.status, 422);
    assert_eq!(post("2fa/disable", json!({ "password": PASSWORD, "code": recovery[0] })).await.status, 204);
    assert_eq!(login_with(&router, body(None)).await.status, 200);
    let me = super::auth::by(&router, &account, "GET", "me", None).await;
    assert_eq!(me.json["two_factor_enabled"], false);
}

#[tokio::test]
async fn an_api_key_needs_a_code_where_a_second_factor_is_in_force() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let (secret, _) = with_second_factor(&app, &router, &account).await;
    app.pass_secs(60);
    let make = |code: Option<String>| {
        let mut body = json!({ "name": "n", "scopes": ["billing:read"], "password": PASSWORD });
        if let Some(code) = code {
            body["code"] = json!(code);
        }
        let (router, account) = (router.clone(), account.clone());
        async move { by(&router, &account, "POST", "api-keys", Some(body)).await }
    };
    assert_eq!(refused(&make(None).await), (401, "second_factor_required"));
    let wrong = make(Some("000000".to_owned())).await;
    assert_eq!((wrong.status, wrong.json["errors"][0]["pointer"].as_str()), (422, Some("/code")));
    let now = code(&app, &secret, 0);
    assert_eq!(make(Some(now.clone())).await.status, 201);
    assert_eq!(make(Some(now)).await.status, 422);
}

#[tokio::test]
async fn another_address_needs_a_code_where_a_second_factor_is_in_force() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let (secret, _) = with_second_factor(&app, &router, &account).await;
    app.pass_secs(60);
    let change = |code: Option<String>| {
        let mut body = json!({ "email": "lovelace@example.com", "password": PASSWORD });
        if let Some(code) = code {
            body["code"] = json!(code);
        }
        let (router, account) = (router.clone(), account.clone());
        async move { by(&router, &account, "POST", "change-email", Some(body)).await }
    };
    assert_eq!(refused(&change(None).await), (401, "second_factor_required"));
    let wrong = change(Some("000000".to_owned())).await;
    assert_eq!((wrong.status, wrong.json["errors"][0]["pointer"].as_str()), (422, Some("/code")));
    assert!(app.mails_to("lovelace@example.com").await.is_empty());
    let now = code(&app, &secret, 0);
    assert_eq!(change(Some(now.clone())).await.status, 202);
    assert_eq!(change(Some(now)).await.status, 422);
    let token = app.mailed_token(Template::ConfirmEmail, "lovelace@example.com").await;
    let confirm = json!({ "token": token, "password": PASSWORD });
    assert_eq!(super::auth::post(&router, "confirm-email", confirm).await.status, 204);
    // It stays in force.
    let body = json!({ "email": "lovelace@example.com", "password": PASSWORD });
    assert_eq!(refused(&login_with(&router, body).await), (401, "second_factor_required"));
}
