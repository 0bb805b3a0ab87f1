//! Sign-in: what it tells, what it costs, whom it locks out, and whose hash it replaces.

use super::auth::{by, post};
use api::Kit;
use auth::operator::{Import, OperatorError, import_user, make_admin};
use axum::Router;
use domain::account::Status;
use domain::mail::Template;
use serde_json::json;
use std::time::{Duration, Instant};
use tests::{Account, Answer, PASSWORD, TestApp, called_from, login, time};

/// Status and code of a problem.
pub fn refused(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.json["code"].as_str().unwrap_or("no problem"))
}

/// Callers from the nth of many addresses.
pub fn from(router: &Router, n: u16) -> Router {
    called_from(router, &format!("10.1.{}.{}", n / 250, n % 250 + 1))
}

#[tokio::test]
async fn who_is_nobody_and_who_has_another_password_are_told_the_same() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    app.register_and_verify(&router, "ada@example.com").await;
    app.register(&router, "unproven@example.com").await;
    let answers = [
        ("ada@example.com", "not the password"),
        ("unproven@example.com", "not the password"),
        // Else whoever registers with an address would learn whether it had been free.
        ("unproven@example.com", PASSWORD),
        ("nobody@example.com", "not the password"),
    ];
    let answers = answers.map(|(email, password)| login(&router, email, password));
    let mut answers = futures::future::join_all(answers).await;
    for answer in &mut answers {
        assert_eq!(refused(answer), (401, "invalid_credentials"));
        answer.json["request_id"] = json!("");
        answer.headers.remove("x-request-id");
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn the_work_behind_an_answer_is_the_same_whoevers_the_address_is() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    app.register_and_verify(&router, "ada@example.com").await;
    app.register(&router, "unproven@example.com").await;
    let units = || {
        let all = store::Area::ALL.map(|area| app.system.store.capacity().units(area));
        (all.iter().map(|units| units.reads).sum::<u64>(), all.iter().map(|units| units.writes).sum::<u64>())
    };
    for (path, extra) in [
        ("login", json!({ "password": "not the password" })),
        ("login", json!({ "password": PASSWORD })),
        ("forgot-password", json!({})),
        ("resend-verification", json!({})),
        ("register", json!({ "password": "quite another password" })),
    ] {
        // Whom the answer would tell of: of the one whose password is right, the address that is not proven.
        let one = match (path, extra["password"].as_str()) {
            ("login", Some(PASSWORD)) | ("resend-verification", _) => "unproven@example.com",
            _ => "ada@example.com",
        };
        let mut cost = Vec::new();
        for (n, email) in [(1, one), (2, "nobody@example.com")] {
            let mut body = extra.clone();
            body["email"] = json!(email);
            let before = units();
            post(&from(&router, n), path, body).await;
            let after = units();
            cost.push((after.0 - before.0, after.1 - before.1));
        }
        assert_eq!(cost[0], cost[1], "{path}: reads and writes for one who is and one who is not");
    }
}

#[tokio::test]
async fn what_must_not_tell_anything_takes_its_time() {
    let app = TestApp::new().await;
    let mut state = app.auth_state().await;
    state.floor = Duration::from_millis(400);
    let floor = state.floor;
    let router = auth::router(state);
    let quick = app.auth_router().await;
    app.register_and_verify(&quick, "ada@example.com").await;
    for (path, body) in [
        ("login", json!({ "email": "ada@example.com", "password": "not the password" })),
        ("login", json!({ "email": "nobody@example.com", "password": "not the password" })),
        ("register", json!({ "email": "ada@example.com", "password": "quite another password" })),
        ("register", json!({ "email": "new@example.com", "password": "quite another password" })),
        ("forgot-password", json!({ "email": "ada@example.com" })),
        ("resend-verification", json!({ "email": "nobody@example.com" })),
    ] {
        let began = Instant::now();
        post(&router, path, body.clone()).await;
        assert!(began.elapsed() >= floor, "{path} {body} took {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_guesser_is_stopped_and_the_owner_is_not() {
    let app = TestApp::new().await;
    let (home, router) = ("192.0.2.7", app.auth_router().await);
    let owner = called_from(&router, home);
    app.register_and_verify(&owner, "ada@example.com").await;
    assert_eq!(login(&owner, "ada@example.com", PASSWORD).await.status, 200);
    // From one address: ten tries, then none, right or wrong.
    let guesser = from(&router, 1);
    for _ in 0..10 {
        assert_eq!(login(&guesser, "ada@example.com", "a guess of mine").await.status, 401);
    }
    let stopped = login(&guesser, "ada@example.com", PASSWORD).await;
    assert_eq!(refused(&stopped), (429, "too_many_requests"));
    assert!(stopped.headers["retry-after"].parse::<i64>().unwrap() > 0);
    // From many: fifty in all.
    let mut last = 0;
    for n in 2..60 {
        last = login(&from(&router, n), "ada@example.com", "a guess of mine").await.status;
    }
    assert_eq!(last, 429);
    // The owner, at home, does not notice.
    assert_eq!(login(&owner, "ada@example.com", PASSWORD).await.status, 200);
    // Nor does somebody else.
    app.register_and_verify(&from(&router, 90), "bob@example.com").await;
    assert_eq!(login(&from(&router, 90), "bob@example.com", PASSWORD).await.status, 200);
    // The owner on a journey waits an hour, or reads their mail.
    let abroad = called_from(&router, "203.0.113.9");
    assert_eq!(refused(&login(&abroad, "ada@example.com", PASSWORD).await), (429, "too_many_requests"));
    post(&abroad, "forgot-password", json!({ "email": "ada@example.com" })).await;
    let token = app.mailed_token(Template::Reset, "ada@example.com").await;
    post(&abroad, "reset-password", json!({ "token": token, "password": "a new long password" })).await;
    assert_eq!(login(&abroad, "ada@example.com", "a new long password").await.status, 200);
    app.pass(1);
    assert_eq!(login(&guesser, "ada@example.com", "a guess of mine").await.status, 401);
}

#[tokio::test]
async fn from_one_address_a_hundred_sign_ins_in_a_quarter_of_an_hour_and_none_more_whoevers() {
    let app = TestApp::new().await;
    let (guesser, elsewhere) = (app.auth_router().await, app.auth_router().await);
    let (guesser, elsewhere) = (from(&guesser, 1), from(&elsewhere, 2));
    app.register_and_verify(&elsewhere, "ada@example.com").await;
    for n in 0..100 {
        let answer = login(&guesser, &format!("somebody{n}@example.com"), "a guess of mine").await;
        assert_eq!(refused(&answer), (401, "invalid_credentials"), "{n}");
        assert!(answer.json.get("errors").is_none(), "a field would tell which of the two was wrong");
    }
    let stopped = login(&guesser, "ada@example.com", PASSWORD).await;
    assert_eq!(refused(&stopped), (429, "too_many_requests"));
    let wait: i64 = stopped.headers["retry-after"].parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    assert_eq!(login(&elsewhere, "ada@example.com", PASSWORD).await.status, 200);
    app.pass_secs(wait);
    assert_eq!(login(&guesser, "ada@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn addresses_of_one_ipv6_network_are_one_guesser() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    let mut last = 0;
    for n in 0..11 {
        last = login(&called_from(&router, &format!("2001:db8:1:2::{n:x}")), "ada@example.com", "a guess of mine")
            .await
            .status;
    }
    assert_eq!(last, 429);
    let elsewhere = called_from(&router, "2001:db8:1:3::1");
    assert_eq!(login(&elsewhere, "ada@example.com", "a guess of mine").await.status, 401);
}

#[tokio::test]
async fn the_owner_hears_of_a_sign_in_from_a_new_place_once() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    app.register_and_verify(&router, "ada@example.com").await;
    login(&router, "ada@example.com", PASSWORD).await;
    assert!(app.mails_of(Template::NewSignIn, "ada@example.com").await.is_empty());
    let abroad = called_from(&router, "203.0.113.9");
    for _ in 0..2 {
        assert_eq!(login(&abroad, "ada@example.com", PASSWORD).await.status, 200);
    }
    let mails = app.mails_of(Template::NewSignIn, "ada@example.com").await;
    assert_eq!((mails.len(), mails[0].params["address"].as_str()), (1, "203.0.113.9"));
    // Ninety days later the place is new again.
    app.pass(91 * 24);
    login(&abroad, "ada@example.com", PASSWORD).await;
    assert_eq!(app.mails_of(Template::NewSignIn, "ada@example.com").await.len(), 2);
}

#[tokio::test]
async fn who_may_not_sign_in_is_told_so_only_with_the_right_password() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let store = &app.system.store;
    for (status, code) in [(Status::Suspended, "account_suspended"), (Status::Deactivated, "account_deactivated")] {
        store.access_status_set(&account.user, status).await.unwrap();
        assert_eq!(refused(&login(&router, "ada@example.com", PASSWORD).await), (403, code));
        assert_eq!(refused(&login(&router, "ada@example.com", "not the password").await).0, 401);
        assert_eq!(refused(&by(&router, &account, "GET", "me", None).await), (403, code));
        assert_eq!(
            refused(&post(&router, "refresh", json!({ "refresh_token": account.refresh_token })).await),
            (403, code)
        );
    }
    // Deactivation ended the session for good; suspension would not have.
    store.access_status_set(&account.user, Status::Active).await.unwrap();
    assert_eq!(refused(&by(&router, &account, "GET", "me", None).await), (401, "session_ended"));
    assert_eq!(login(&router, "ada@example.com", PASSWORD).await.status, 200);
}

const OLD_PASSWORD: &str = "an old password of mine";
/// Of [`OLD_PASSWORD`], by libxcrypt.
const BCRYPT: &str = "$2y$06$abcdefghijklmnopqrstuu6oPe3QMAunEzjag2.EdTLDDwkYcHurC";

#[tokio::test]
async fn an_imported_users_bcrypt_hash_is_checked_until_the_first_sign_in_replaces_it() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    let kit = Kit::new(auth::AREA, app.system.store.clone(), app.time.clock());
    let import = |email: &'static str, password_hash: &'static str| Import {
        email,
        password_hash,
        name: Some("Ada".to_owned()),
        company: None,
        created_at: time("2020-01-01T00:00:00Z"),
    };
    let user = import_user(&kit, import("Ada@example.com", BCRYPT)).await.unwrap();
    assert!(matches!(import_user(&kit, import("ada@example.com", BCRYPT)).await, Err(OperatorError::Taken)));
    for bad in [
        "",
        "plain text",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$2y$31$abcdefghijklmnopqrstuu6oPe3QMAunEzjag2.EdTLDDwkYcHurC",
    ] {
        assert!(matches!(import_user(&kit, import("bob@example.com", bad)).await, Err(OperatorError::Hash)), "{bad}");
    }
    let kept = || async { app.system.store.user_secret(&user).await.unwrap().unwrap().0.password };
    assert_eq!(login(&router, "ada@example.com", "not the password").await.status, 401);
    assert_eq!(kept().await, BCRYPT);
    let account = Account::of(&login(&router, "ada@example.com", OLD_PASSWORD).await);
    assert_eq!(account.user, user);
    assert!(kept().await.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_eq!(login(&router, "ada@example.com", OLD_PASSWORD).await.status, 200);
    assert_eq!(by(&router, &account, "GET", "me", None).await.json["created_at"], "2020-01-01T00:00:00Z");
}

#[tokio::test]
async fn the_first_admin_is_made_by_the_operator_and_by_nobody_else() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    assert!(matches!(
        make_admin(&app.system.store, "nobody@example.com", app.time.now()).await,
        Err(OperatorError::Nobody)
    ));
    assert!(matches!(make_admin(&app.system.store, "nobody", app.time.now()).await, Err(OperatorError::Email(_))));
    assert_eq!(make_admin(&app.system.store, "Ada@example.com", app.time.now()).await.unwrap(), account.user);
    // At once, with the token at hand.
    assert_eq!(by(&router, &account, "GET", "me", None).await.json["role"], "admin");
}
