//! Accounts while DynamoDB throttles, conflicts and loses answers: whoever tries again gets through, and nothing holds twice.

use axum::Router;
use domain::mail::Template;
use futures::future::join_all;
use serde_json::{Value, json};
use skymeter::chaos::{Chaos, Rates};
use std::sync::Arc;
use tests::{Account, Answer, PASSWORD, TestApp, ask, called_from};

/// Tries of one request, as a patient client makes them.
const TRIES: usize = 12;

/// Asks until the answer is not "try again".
async fn patiently(router: &Router, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
    let path = format!("/api/v1/auth/{path}");
    for _ in 0..TRIES {
        let answer = ask(router, method, &path, token, body.clone()).await;
        match answer.status {
            409 | 503 => {
                assert!(answer.json["detail"].as_str().is_some_and(|text| !text.contains("Dynamo")), "{answer:?}")
            }
            status => {
                assert!(status < 500, "{answer:?}");
                return answer;
            }
        }
    }
    panic!("{method} {path} never got through");
}

async fn live(app: &TestApp, router: &Router, n: usize) {
    let router = called_from(router, &format!("10.0.0.{}", n + 1));
    let email = format!("user{n}@example.com");
    let body = json!({ "email": email, "password": PASSWORD });
    assert_eq!(patiently(&router, "POST", "register", None, Some(body.clone())).await.status, 202);
    let token = loop {
        // Where the answer was lost, the account is there all the same.
        if let Some(mail) = app.mails_of(Template::Verify, &email).await.first() {
            break mail.params["token"].clone();
        }
    };
    // The second try of a token that was used up by the first is refused, and the address is proven.
    let proof = json!({ "token": token, "password": PASSWORD });
    let status = patiently(&router, "POST", "verify-email", None, Some(proof)).await.status;
    assert!(status == 204 || status == 422, "{status}");
    let mut account = Account::of(&patiently(&router, "POST", "login", None, Some(body.clone())).await);
    for _ in 0..6 {
        app.pass_secs(1);
        let answer =
            patiently(&router, "POST", "refresh", None, Some(json!({ "refresh_token": account.refresh_token }))).await;
        // An answer that was lost costs an honest client its session, never more.
        account = match answer.status {
            200 => Account::of(&answer),
            401 => Account::of(&patiently(&router, "POST", "login", None, Some(body.clone())).await),
            status => panic!("{status}"),
        };
        let me = patiently(&router, "GET", "me", Some(&account.access_token), None).await;
        assert_eq!((me.status, me.json["email"].as_str()), (200, Some(email.as_str())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accounts_live_through_throttling_conflicts_and_lost_answers() {
    let rates = Rates { unanswered: 30, throttled: 60, conflict: 40, ..Rates::NONE };
    let chaos = Arc::new(Chaos::new(7, rates));
    let app = TestApp::with(None, Some(Arc::clone(&chaos))).await;
    chaos.set_quiet(true);
    let router = app.auth_router().await;
    chaos.set_quiet(false);
    join_all((0..8).map(|n| live(&app, &router, n))).await;
    chaos.set_quiet(true);
    // Every address has one owner, and every owner the sessions that live.
    let users = app.system.store.user_list(None, 100).await.unwrap();
    assert_eq!(users.len(), 8);
    for user in users {
        assert!(user.email_verified_at.is_some());
        assert_eq!(app.mails_of(Template::Verify, user.email.as_ref().unwrap().as_str()).await.len(), 1);
        let access = app.system.store.access_get(&user.id).await.unwrap().unwrap();
        assert!((1..=store::MAX_SESSIONS).contains(&access.sessions.len()));
    }
}

#[tokio::test]
async fn a_registration_that_meets_other_transactions_is_answered_like_any_other() {
    let chaos = Arc::new(Chaos::new(7, Rates { conflict: 500, ..Rates::NONE }));
    let app = TestApp::with(None, Some(Arc::clone(&chaos))).await;
    chaos.set_quiet(true);
    let router = app.auth_router().await;
    chaos.set_quiet(false);
    let mut answers = Vec::new();
    for n in 0..24 {
        let body = json!({ "email": format!("user{n}@example.com"), "password": PASSWORD });
        answers.push(ask(&router, "POST", "/api/v1/auth/register", None, Some(body)).await);
    }
    chaos.set_quiet(true);
    assert!(answers.iter().all(|answer| (answer.status, &answer.json) == (202, &answers[0].json)), "{answers:?}");
    // Nearly all are there: without another try it would be half of them.
    assert!(app.system.store.user_list(None, 100).await.unwrap().len() >= 18);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_sign_in_with_the_old_password_outlives_a_reset_nor_does_a_key_made_by_one() {
    let app = TestApp::new().await;
    let owner = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let forgot = json!({ "email": "ada@example.com" });
    ask(&router, "POST", "/api/v1/auth/forgot-password", None, Some(forgot)).await;
    let token = app.mailed_token(Template::Reset, "ada@example.com").await;
    let old = |n: usize| {
        let router = called_from(&router, &format!("10.0.0.{}", n + 1));
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        tokio::spawn(async move { ask(&router, "POST", "/api/v1/auth/login", None, Some(body)).await })
    };
    let key = || {
        let (router, token) = (router.clone(), owner.access_token.clone());
        let body = json!({ "name": "n", "scopes": ["billing:read"], "password": PASSWORD });
        tokio::spawn(async move { ask(&router, "POST", "/api/v1/auth/api-keys", Some(&token), Some(body)).await })
    };
    // All have read what holds before the reset, and few are through.
    let (logins, keys): (Vec<_>, Vec<_>) = ((0..16).map(old).collect(), (0..6).map(|_| key()).collect());
    let reset = json!({ "token": token, "password": "a new long password" });
    let reset = patiently(&router, "POST", "reset-password", None, Some(reset)).await;
    assert_eq!(reset.status, 204, "{:?}", reset.json);
    for login in join_all(logins).await {
        let login = login.unwrap();
        match login.status {
            200 => {
                let account = Account::of(&login);
                let me = ask(&router, "GET", "/api/v1/auth/me", Some(&account.access_token), None).await;
                assert_eq!(me.json["code"], "session_ended");
            }
            status => assert_eq!(status, 401, "{:?}", login.json),
        }
    }
    for key in join_all(keys).await {
        let status = key.unwrap().status;
        assert!(matches!(status, 201 | 401 | 409 | 422), "{status}");
    }
    let access = app.system.store.access_get(&owner.user).await.unwrap().unwrap();
    assert!(access.sessions.is_empty() && access.keys.is_empty(), "{access:?}");
    assert!(app.system.store.api_key_list(&owner.user).await.unwrap().is_empty());
}
