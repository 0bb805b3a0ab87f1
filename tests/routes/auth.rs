//! `auth`: registration, verification, recovery, the account. What a stranger sees is the same whoever's an address is.

use super::auth_login::{from, refused};
use axum::Router;
use domain::mail::Template;
use serde_json::{Value, json};
use tests::{Account, Answer, PASSWORD, TestApp, ask, login};

const REGISTER: &str = "/api/v1/auth/register";

/// A POST without a token.
pub async fn post(router: &Router, path: &str, body: Value) -> Answer {
    ask(router, "POST", &format!("/api/v1/auth/{path}"), None, Some(body)).await
}

/// Presents a token that proves an address, with a password.
pub async fn verify(router: &Router, token: &str, password: &str) -> Answer {
    post(router, "verify-email", json!({ "token": token, "password": password })).await
}

/// With somebody's token.
pub async fn by(router: &Router, account: &Account, method: &str, path: &str, body: Option<Value>) -> Answer {
    ask(router, method, &format!("/api/v1/auth/{path}"), Some(&account.access_token), body).await
}

#[tokio::test]
async fn somebody_registers_proves_the_address_signs_in_and_is_who_they_said() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    let body = json!({ "email": " Ada@Example.com ", "password": PASSWORD, "name": " Ada ", "company": "Engines" });
    let answer = post(&router, "register", body).await;
    assert_eq!((answer.status, answer.json["status"].as_str()), (202, Some("accepted")));
    assert_eq!(refused(&login(&router, "ada@example.com", PASSWORD).await), (401, "invalid_credentials"));
    // The mail has a token, and no word of whoever typed the address in.
    let mail = app.mails_of(Template::Verify, "ada@example.com").await.remove(0);
    assert_eq!(mail.params.keys().collect::<Vec<_>>(), ["token", "valid_for"]);
    assert_eq!(verify(&router, &mail.params["token"], PASSWORD).await.status, 204);
    assert_eq!(app.mails_of(Template::Welcome, "ada@example.com").await[0].params["name"], "Ada");
    let account = Account::of(&login(&router, "ADA@example.COM", PASSWORD).await);
    let me = by(&router, &account, "GET", "me", None).await.json;
    assert_eq!(
        me,
        json!({
            "id": account.user.as_str(), "email": "ada@example.com", "email_verified": true, "name": "Ada",
            "company": "Engines", "role": "user", "two_factor_enabled": false,
            "created_at": "2026-11-10T00:00:00Z", "updated_at": "2026-11-10T00:00:00Z",
        })
    );
    // Under the other prefix, too.
    assert_eq!(ask(&router, "GET", "/api/auth/me", Some(&account.access_token), None).await.json, me);
}

#[tokio::test]
async fn a_taken_address_gets_the_same_answer_and_its_owner_a_mail_a_day() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    app.register_and_verify(&router, "ada@example.com").await;
    let body = |email: &str| json!({ "email": email, "password": "quite another password" });
    let new = post(&router, "register", body("new@example.com")).await;
    for _ in 0..3 {
        let taken = post(&router, "register", body("ADA@example.com")).await;
        assert_eq!((taken.status, &taken.json), (new.status, &new.json));
    }
    assert_eq!(app.mails_of(Template::RegisteredAlready, "ada@example.com").await.len(), 1);
    assert_eq!(app.mails_of(Template::Verify, "ada@example.com").await.len(), 1);
    app.pass(24);
    post(&router, "register", body("ada@example.com")).await;
    assert_eq!(app.mails_of(Template::RegisteredAlready, "ada@example.com").await.len(), 2);
    // The account is who registered first, with their password.
    assert_eq!(refused(&login(&router, "ada@example.com", "quite another password").await).0, 401);
    assert_eq!(login(&router, "ada@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn of_many_registrations_at_once_with_one_address_one_wins_and_all_are_answered_alike() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    let one = |n: usize| {
        let router = router.clone();
        let body = json!({ "email": "ada@example.com", "password": format!("password number {n}") });
        tokio::spawn(async move { post(&router, "register", body).await })
    };
    let tries: Vec<_> = (0..8).map(one).collect();
    for answer in tries {
        assert_eq!(answer.await.unwrap().status, 202);
    }
    let token = app.mailed_token(Template::Verify, "ada@example.com").await;
    let mut winners = 0;
    for n in 0..8 {
        winners += usize::from(verify(&router, &token, &format!("password number {n}")).await.status == 204);
    }
    assert_eq!(winners, 1);
    winners = 0;
    for n in 0..8 {
        winners += usize::from(login(&router, "ada@example.com", &format!("password number {n}")).await.status == 200);
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn a_token_out_of_a_mail_holds_once_for_its_purpose_and_its_time() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    app.register(&router, "ada@example.com").await;
    let token = app.mailed_token(Template::Verify, "ada@example.com").await;
    let verify = |token: String| {
        let router = router.clone();
        async move { verify(&router, &token, PASSWORD).await }
    };
    for wrong in ["x", "", &token[1..], &format!("{token}x"), &"a".repeat(43)] {
        assert_eq!(verify(wrong.to_owned()).await.status, 422, "{wrong}");
    }
    let as_reset = json!({ "token": token, "password": "a new long password" });
    assert_eq!(refused(&post(&router, "reset-password", as_reset).await), (422, "invalid_token"));
    app.pass(24);
    assert_eq!(refused(&verify(token.clone()).await), (422, "invalid_token"));
    post(&router, "resend-verification", json!({ "email": "ada@example.com" })).await;
    let mails = app.mails_of(Template::Verify, "ada@example.com").await;
    let newest = mails.iter().map(|mail| mail.params["token"].clone()).find(|other| *other != token).unwrap();
    // Of many at once, one gets through.
    let tries: Vec<_> = (0..6)
        .map(|_| {
            let (router, token) = (router.clone(), newest.clone());
            tokio::spawn(async move { super::auth::verify(&router, &token, PASSWORD).await.status })
        })
        .collect();
    let mut good = 0;
    for status in tries {
        let status = status.await.unwrap();
        assert!(status == 204 || status == 422 || status == 409, "{status}");
        good += usize::from(status == 204);
    }
    assert_eq!(good, 1);
    assert_eq!(refused(&verify(newest).await), (422, "invalid_token"));
}

#[tokio::test]
async fn asking_for_a_mail_tells_nothing_and_sends_at_most_five_an_hour() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    app.register_and_verify(&router, "ada@example.com").await;
    app.register(&router, "new@example.com").await;
    for path in ["forgot-password", "resend-verification"] {
        let answers = ["ada@example.com", "new@example.com", "nobody@example.com"]
            .map(|email| post(&router, path, json!({ "email": email })));
        let answers = futures::future::join_all(answers).await;
        assert!(answers.iter().all(|answer| (answer.status, &answer.json) == (202, &answers[0].json)), "{answers:?}");
    }
    assert_eq!(app.mails_of(Template::Reset, "ada@example.com").await.len(), 1);
    // Somebody whose address is proven gets no second mail for that.
    assert_eq!(app.mails_of(Template::Verify, "ada@example.com").await.len(), 1);
    assert_eq!(app.mails_of(Template::Verify, "new@example.com").await.len(), 2);
    assert!(app.mails_to("nobody@example.com").await.is_empty());
    for n in 0..20 {
        let router = from(&router, n);
        assert_eq!(post(&router, "forgot-password", json!({ "email": "ada@example.com" })).await.status, 202);
    }
    assert!(app.mails_of(Template::Reset, "ada@example.com").await.len() <= 5);
    app.pass(1);
    post(&router, "forgot-password", json!({ "email": "ada@example.com" })).await;
    assert!(app.mails_of(Template::Reset, "ada@example.com").await.len() <= 6);
    // From one address, only so often.
    let mut last = 202;
    for n in 0..40 {
        last = post(&router, "forgot-password", json!({ "email": format!("n{n}@example.com") })).await.status;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn a_reset_ends_every_session_holds_once_and_not_after_another_password() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let forgot = || post(&router, "forgot-password", json!({ "email": "ada@example.com" }));
    forgot().await;
    let first = app.mailed_token(Template::Reset, "ada@example.com").await;
    forgot().await;
    let mails = app.mails_of(Template::Reset, "ada@example.com").await;
    let second = mails.iter().map(|mail| mail.params["token"].clone()).find(|token| *token != first).unwrap();
    let reset =
        |token: &str, password: &str| post(&router, "reset-password", json!({ "token": token, "password": password }));
    // A password that is refused costs no token.
    let weak = reset(&first, "password123").await;
    assert_eq!((weak.status, weak.json["errors"][0]["pointer"].as_str()), (422, Some("/password")));
    assert_eq!(reset(&first, "a new long password").await.status, 204);
    assert_eq!(refused(&reset(&first, "a third long password").await), (422, "invalid_token"));
    assert_eq!(refused(&reset(&second, "a third long password").await), (422, "invalid_token"));
    assert_eq!(refused(&by(&router, &account, "GET", "me", None).await), (401, "session_ended"));
    assert_eq!(post(&router, "refresh", json!({ "refresh_token": account.refresh_token })).await.status, 401);
    assert_eq!(refused(&login(&router, "ada@example.com", PASSWORD).await).0, 401);
    assert_eq!(login(&router, "ada@example.com", "a new long password").await.status, 200);
    let told = app.mails_of(Template::PasswordChanged, "ada@example.com").await;
    assert_eq!((told.len(), told[0].params["api_keys"].as_str()), (1, "All API keys have ended, too."));
    // And it expires.
    forgot().await;
    let mails = app.mails_of(Template::Reset, "ada@example.com").await;
    let third = mails.iter().map(|mail| mail.params["token"].clone()).find(|t| *t != first && *t != second).unwrap();
    app.pass(1);
    assert_eq!(refused(&reset(&third, "a third long password").await), (422, "invalid_token"));
}

#[tokio::test]
async fn who_resets_the_password_of_an_address_has_proven_it() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    // A stranger registered with it.
    app.register(&router, "ada@example.com").await;
    post(&router, "forgot-password", json!({ "email": "ada@example.com" })).await;
    let token = app.mailed_token(Template::Reset, "ada@example.com").await;
    let body = json!({ "token": token, "password": "the owner's password" });
    assert_eq!(post(&router, "reset-password", body).await.status, 204);
    assert_eq!(login(&router, "ada@example.com", "the owner's password").await.status, 200);
    assert_eq!(login(&router, "ada@example.com", PASSWORD).await.status, 401);
    // The token that was mailed to prove it does not bring the stranger back.
    let token = app.mailed_token(Template::Verify, "ada@example.com").await;
    assert_eq!(refused(&verify(&router, &token, PASSWORD).await), (422, "invalid_token"));
    assert_eq!(login(&router, "ada@example.com", PASSWORD).await.status, 401);
}

#[tokio::test]
async fn an_address_is_proven_only_with_the_password_it_was_registered_with() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    // A stranger registered with it; its owner opens the link.
    app.register(&router, "ada@example.com").await;
    let token = app.mailed_token(Template::Verify, "ada@example.com").await;
    let mut wrong = verify(&router, &token, "what the owner would choose").await;
    let mut none = verify(&router, "no token at all", PASSWORD).await;
    for answer in [&mut wrong, &mut none] {
        assert_eq!(refused(answer), (422, "invalid_token"));
        answer.json["request_id"] = json!("");
        answer.headers.remove("x-request-id");
    }
    assert_eq!(wrong, none, "a wrong password reads like a wrong token");
    assert_eq!(post(&router, "verify-email", json!({ "token": token })).await.status, 422);
    assert!(app.system.store.user_list(None, 1).await.unwrap()[0].email_verified_at.is_none());
    assert_eq!(login(&router, "ada@example.com", PASSWORD).await.status, 401);
    // It cost no token: who registered may still prove it.
    assert_eq!(verify(&router, &token, PASSWORD).await.status, 204);
    assert_eq!(login(&router, "ada@example.com", PASSWORD).await.status, 200);
    // Whoever has somebody's mail does not guess for long, from however many addresses.
    app.register(&router, "bob@example.com").await;
    let token = app.mailed_token(Template::Verify, "bob@example.com").await;
    for n in 0..10 {
        assert_eq!(verify(&from(&router, n), &token, "a guess of mine").await.status, 422);
    }
    assert_eq!(refused(&verify(&from(&router, 11), &token, PASSWORD).await), (429, "too_many_requests"));
    for n in 0..10 {
        assert_eq!(verify(&from(&router, n), "no token at all, again", "a guess of mine").await.status, 422);
    }
    assert_eq!(verify(&from(&router, 11), "no token at all, again", "a guess of mine").await.status, 429);
    // Another mail has another token.
    post(&router, "resend-verification", json!({ "email": "bob@example.com" })).await;
    let mails = app.mails_of(Template::Verify, "bob@example.com").await;
    let newest = mails.iter().map(|mail| &mail.params["token"]).find(|other| **other != token).unwrap();
    assert_eq!(verify(&router, newest, PASSWORD).await.status, 204);
}

#[tokio::test]
async fn nobody_uses_up_the_mails_that_somebody_needs_by_asking_for_others() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    app.register_and_verify(&router, "ada@example.com").await;
    app.register(&router, "new@example.com").await;
    for n in 0..12 {
        post(&from(&router, n), "resend-verification", json!({ "email": "ada@example.com" })).await;
        post(&from(&router, n), "forgot-password", json!({ "email": "new@example.com" })).await;
    }
    post(&router, "forgot-password", json!({ "email": "ada@example.com" })).await;
    post(&router, "resend-verification", json!({ "email": "new@example.com" })).await;
    assert_eq!(app.mails_of(Template::Reset, "ada@example.com").await.len(), 1);
    assert_eq!(app.mails_of(Template::Verify, "new@example.com").await.len(), 2);
    // Nor by asking for the same ones: all that went out hold.
    let sent = app.mails_of(Template::Reset, "new@example.com").await;
    assert_eq!(sent.len(), 5);
    let body = json!({ "token": sent[0].params["token"], "password": "the owner's password" });
    assert_eq!(post(&router, "reset-password", body).await.status, 204);
    assert_eq!(login(&router, "new@example.com", "the owner's password").await.status, 200);
}

#[tokio::test]
async fn changing_the_password_needs_the_old_one_and_ends_the_other_sessions() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let other = Account::of(&login(&router, "ada@example.com", PASSWORD).await);
    let change = |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        let (router, account) = (router.clone(), account.clone());
        async move { by(&router, &account, "POST", "change-password", Some(body)).await }
    };
    let wrong = change("not my password", "a new long password").await;
    assert_eq!((wrong.status, wrong.json["errors"][0]["pointer"].as_str()), (422, Some("/current_password")));
    let weak = change(PASSWORD, "ada@example.com").await;
    assert_eq!((weak.status, weak.json["errors"][0]["pointer"].as_str()), (422, Some("/new_password")));
    assert_eq!(change(PASSWORD, "a new long password").await.status, 204);
    assert_eq!(by(&router, &account, "GET", "me", None).await.status, 200);
    assert_eq!(refused(&by(&router, &other, "GET", "me", None).await), (401, "session_ended"));
    assert_eq!(login(&router, "ada@example.com", PASSWORD).await.status, 401);
    assert_eq!(login(&router, "ada@example.com", "a new long password").await.status, 200);
    let told = app.mails_of(Template::PasswordChanged, "ada@example.com").await;
    assert!(told.len() == 1 && told[0].params["api_keys"].contains("still hold"), "{told:?}");
    // Guessing with a stolen session is bounded.
    let mut last = 0;
    for _ in 0..12 {
        last = change("not my password", "a new long password").await.status;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn a_profile_is_changed_in_part_and_taken_away_by_null() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let patch = |body: Value| {
        let (router, account) = (router.clone(), account.clone());
        async move { by(&router, &account, "PATCH", "me", Some(body)).await }
    };
    app.pass_secs(60);
    let answer = patch(json!({ "company": " Difference Engines " })).await;
    assert_eq!(answer.json["company"], "Difference Engines");
    assert_eq!(
        (answer.json["name"].as_str(), answer.json["updated_at"].as_str()),
        (Some("Ada Lovelace"), Some("2026-11-10T00:01:00Z"))
    );
    let answer = patch(json!({ "name": null })).await;
    assert_eq!((&answer.json["name"], answer.json["company"].as_str()), (&Value::Null, Some("Difference Engines")));
    assert_eq!(patch(json!({})).await.status, 200);
    for (body, pointer) in [
        (json!({ "role": "admin" }), "/role"),
        (json!({ "email": "other@example.com" }), "/email"),
        (json!({ "name": "x".repeat(101) }), "/name"),
        (json!({ "name": "a\r\nBcc: b" }), "/name"),
        (json!({ "company": "in\u{202e}visible" }), "/company"),
        (json!({ "name": 5 }), "/name"),
    ] {
        let answer = patch(body.clone()).await;
        assert_eq!((answer.status, answer.json["errors"][0]["pointer"].as_str()), (422, Some(pointer)), "{body}");
    }
    assert_eq!(by(&router, &account, "GET", "me", None).await.json["role"], "user");
}

#[tokio::test]
async fn hostile_addresses_are_refused_by_field_everywhere_and_change_nothing() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    let long = format!("{}@example.com", "a".repeat(250));
    for bad in [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada@@example.com",
        "a@b@example.com",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada\n@example.com",
        "ada@example.com\u{0}",
        "\"ada lovelace\"@example.com",
        "ada@[127.0.0.1]",
        "ada@127.0.0.1",
        "ada@exa_mple.com",
        "ad\u{430}@example.com",
        "ada\u{200b}@example.com",
        "ada@ex\u{e4}mple.com",
        "ada\u{ff20}example.com",
        "a\u{308}da@example.com",
        "<ada@example.com>",
        "ada@example.com,eve@example.com",
        "ada(comment)@example.com",
        "ada @example.com",
        ".ada@example.com",
        &long,
    ] {
        for path in ["register", "login", "forgot-password", "resend-verification"] {
            let mut body = json!({ "email": bad });
            if path == "register" || path == "login" {
                body["password"] = json!(PASSWORD);
            }
            let answer = post(&router, path, body).await;
            assert_eq!(
                (answer.status, answer.json["errors"][0]["pointer"].as_str()),
                (422, Some("/email")),
                "{path} {bad:?}"
            );
            let text = answer.json["errors"].to_string();
            assert!("name@example.com".contains(bad) || !text.contains(bad), "the answer repeats {bad:?}: {text}");
        }
    }
    let users = app.system.store.user_list(None, 10).await.unwrap();
    assert!(users.is_empty(), "{users:?}");
}

#[tokio::test]
async fn bodies_that_are_wrong_are_named_by_field() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    let good = json!({ "email": "ada@example.com", "password": PASSWORD });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, pointer) in [
        (with("role", json!("admin")), "/role"),
        (with("password", json!("short")), "/password"),
        (with("password", json!("x".repeat(129))), "/password"),
        (with("password", json!("password123")), "/password"),
        (with("password", json!("ada@example.com")), "/password"),
        (with("password", json!("tab\tin the middle")), "/password"),
        (with("password", json!(1_234_567_890)), "/password"),
        (with("password", Value::Null), "/password"),
        (with("name", json!(["a"])), "/name"),
        (json!({ "password": PASSWORD }), "/email"),
        (json!({ "email": "ada@example.com" }), "/password"),
    ] {
        let answer = ask(&router, "POST", REGISTER, None, Some(body.clone())).await;
        assert_eq!((answer.status, answer.json["errors"][0]["pointer"].as_str()), (422, Some(pointer)), "{body}");
        assert!(!answer.json.to_string().contains("password123"), "{:?}", answer.json);
    }
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("null", 422),
        ("[]", 422),
        ("{\"email\":}", 400),
        (deep.as_str(), 400),
        ("\u{feff}{}", 400),
    ] {
        let request = axum::http::Request::post(REGISTER).header("content-type", "application/json");
        let answer = tests::send(&router, request.body(axum::body::Body::from(body.to_owned())).unwrap()).await;
        assert!(answer.status == status || answer.status == 422, "{status} {answer:?}");
    }
    let long = json!({ "email": "ada@example.com", "password": "x".repeat(70_000) });
    assert_eq!(ask(&router, "POST", REGISTER, None, Some(long)).await.status, 413);
    let request = axum::http::Request::post(REGISTER).body(axum::body::Body::from(good.to_string())).unwrap();
    assert_eq!(tests::send(&router, request).await.status, 415);
    assert!(app.system.store.user_list(None, 10).await.unwrap().is_empty());
}
