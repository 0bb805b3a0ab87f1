//! Accounts while DynamoDB throttles, conflicts and loses answers: whoever tries again gets through, and nothing holds twice.

use axum::Router;
use domain::mail::Template;
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
    let status = patiently(&router, "POST", "verify-email", None, Some(json!({ "token": token }))).await.status;
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
    futures::future::join_all((0..8).map(|n| live(&app, &router, n))).await;
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
