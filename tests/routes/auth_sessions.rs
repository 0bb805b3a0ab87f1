//! Sessions: rotation of refresh tokens and what a second use does, ends of all kinds, the list, the public keys.

use super::auth::{by, post};
use super::auth_login::refused;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::{Account, Answer, PASSWORD, TestApp, ask, login};

async fn refresh(router: &axum::Router, token: &str) -> Answer {
    post(router, "refresh", json!({ "refresh_token": token })).await
}

/// The field that is named first.
fn pointer(answer: &Answer) -> Option<&str> {
    answer.json["errors"][0]["pointer"].as_str()
}

#[tokio::test]
async fn a_refresh_token_gets_the_next_pair_once() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    app.pass_secs(1_000);
    assert_eq!(refused(&by(&router, &account, "GET", "me", None).await), (401, "token_expired"));
    let next = Account::of(&refresh(&router, &account.refresh_token).await);
    assert_eq!((&next.user, &next.session), (&account.user, &account.session));
    assert_eq!(by(&router, &next, "GET", "me", None).await.status, 200);
    let third = Account::of(&refresh(&router, &next.refresh_token).await);
    assert_ne!(third.refresh_token, next.refresh_token);
    // The second use of an old one ends the session for everybody who has a token of it.
    let reused = refresh(&router, &account.refresh_token).await;
    assert_eq!((refused(&reused), pointer(&reused)), ((401, "refresh_token_reused"), Some("/refresh_token")));
    assert_eq!(refresh(&router, &third.refresh_token).await.status, 401);
    assert_eq!(refused(&by(&router, &third, "GET", "me", None).await), (401, "session_ended"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_replays_at_once_one_wins_at_most_and_the_family_is_over() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let other = Account::of(&login(&router, "ada@example.com", PASSWORD).await);
    let replays: Vec<_> = (0..1_000)
        .map(|_| {
            let (router, token) = (router.clone(), account.refresh_token.clone());
            tokio::spawn(async move { refresh(&router, &token).await })
        })
        .collect();
    let mut winners = Vec::new();
    for answer in replays {
        let answer = answer.await.unwrap();
        match answer.status {
            200 => winners.push(Account::of(&answer)),
            status => assert_eq!(status, 401, "{:?}", answer.json),
        }
    }
    assert!(winners.len() <= 1, "{} winners", winners.len());
    for winner in winners {
        assert_eq!(refused(&by(&router, &winner, "GET", "me", None).await), (401, "session_ended"));
        assert_eq!(refresh(&router, &winner.refresh_token).await.status, 401);
    }
    assert_eq!(by(&router, &account, "GET", "me", None).await.status, 401);
    // Another session of the same user is none of that family.
    assert_eq!(by(&router, &other, "GET", "me", None).await.status, 200);
    assert_eq!(refresh(&router, &other.refresh_token).await.status, 200);
}

#[tokio::test]
async fn an_invented_token_ends_nobodys_session() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let random = URL_SAFE_NO_PAD.encode([7; 48]);
    let parts: Vec<&str> = account.refresh_token.split('.').collect();
    let (user, session, real) = (parts[0], parts[1], parts[3]);
    for invented in [
        format!("{user}.{session}.1.{random}"),
        format!("{user}.{session}.7.{random}"),
        format!("usr_other.{session}.1.{real}"),
        format!("{user}.ses_other.1.{real}"),
        account.access_token.clone(),
        "x".repeat(512),
        String::from("...."),
    ] {
        let answer = refresh(&router, &invented).await;
        let found = (refused(&answer), pointer(&answer));
        assert_eq!(found, ((401, "invalid_refresh_token"), Some("/refresh_token")), "{invented}");
    }
    assert_eq!(refresh(&router, &"x".repeat(513)).await.status, 422);
    assert_eq!(by(&router, &account, "GET", "me", None).await.status, 200);
    assert_eq!(refresh(&router, &account.refresh_token).await.status, 200);
}

#[tokio::test]
async fn a_token_of_the_family_with_another_number_ends_it() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let parts: Vec<&str> = account.refresh_token.split('.').collect();
    let later = format!("{}.{}.2.{}", parts[0], parts[1], parts[3]);
    assert_eq!(refused(&refresh(&router, &later).await), (401, "refresh_token_reused"));
    assert_eq!(refresh(&router, &account.refresh_token).await.status, 401);
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_for_fourteen_days_and_after_thirty_anyway() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    let idle = app.sign_up("ada@example.com").await;
    let mut used = Account::of(&login(&router, "ada@example.com", PASSWORD).await);
    let mut days = 0;
    loop {
        app.pass(5 * 24);
        days += 5;
        let answer = refresh(&router, &used.refresh_token).await;
        if answer.status != 200 {
            assert_eq!(refused(&answer), (401, "session_expired"));
            break;
        }
        used = Account::of(&answer);
        if days == 15 {
            assert_eq!(refused(&refresh(&router, &idle.refresh_token).await), (401, "session_expired"));
        }
    }
    assert_eq!(days, 30);
    assert_eq!(refused(&refresh(&router, &used.refresh_token).await), (401, "invalid_refresh_token"));
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_or_all_others() {
    let app = TestApp::new().await;
    let first = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let mut others = Vec::new();
    for _ in 0..3 {
        app.pass_secs(2);
        others.push(Account::of(&login(&router, "ada@example.com", PASSWORD).await));
    }
    let list = by(&router, &first, "GET", "sessions?limit=3", None).await.json;
    let ids = |list: &Value| -> Vec<String> {
        list["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let expected: Vec<String> = others.iter().rev().map(|other| other.session.to_string()).collect();
    assert_eq!(ids(&list), expected);
    let rest = format!("sessions?limit=3&cursor={}", list["next_cursor"].as_str().unwrap());
    let rest = by(&router, &first, "GET", &rest, None).await.json;
    assert_eq!((ids(&rest), &rest["next_cursor"]), (vec![first.session.to_string()], &Value::Null));
    assert_eq!(rest["data"][0]["current"], true);
    assert_eq!(list["data"][0]["current"], false);
    assert_eq!(by(&router, &first, "GET", "sessions?cursor=nonsense", None).await.status, 400);
    assert_eq!(by(&router, &first, "GET", "sessions?limit=0", None).await.status, 400);
    // One by one.
    let path = format!("sessions/{}", others[0].session);
    assert_eq!(by(&router, &first, "DELETE", &path, None).await.status, 204);
    assert_eq!(by(&router, &first, "DELETE", &path, None).await.status, 404);
    assert_eq!(refused(&by(&router, &others[0], "GET", "me", None).await), (401, "session_ended"));
    assert_eq!(refresh(&router, &others[0].refresh_token).await.status, 401);
    // Another user's sessions are not there.
    let eve = app.sign_up("eve@example.com").await;
    assert_eq!(by(&router, &eve, "DELETE", &format!("sessions/{}", others[1].session), None).await.status, 404);
    assert_eq!(by(&router, &others[1], "GET", "me", None).await.status, 200);
    // All others.
    assert_eq!(by(&router, &first, "DELETE", "sessions", None).await.status, 204);
    assert_eq!(ids(&by(&router, &first, "GET", "sessions", None).await.json), [first.session.to_string()]);
    assert_eq!(by(&router, &others[2], "GET", "me", None).await.status, 401);
    // And itself.
    assert_eq!(by(&router, &first, "POST", "logout", None).await.status, 204);
    assert_eq!(refused(&by(&router, &first, "GET", "me", None).await), (401, "session_ended"));
    assert_eq!(refresh(&router, &first.refresh_token).await.status, 401);
    assert_eq!(by(&router, &eve, "GET", "me", None).await.status, 200);
}

#[tokio::test]
async fn of_more_than_twenty_sessions_the_oldest_make_room() {
    let app = TestApp::new().await;
    let first = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let mut newest = first.clone();
    for n in 0..20 {
        app.pass_secs(1_000);
        newest = Account::of(&login(&super::auth_login::from(&router, n), "ada@example.com", PASSWORD).await);
    }
    let access = app.system.store.access_get(&first.user).await.unwrap().unwrap();
    assert_eq!(access.sessions.len(), store::MAX_SESSIONS);
    assert!(!access.sessions.contains(&first.session) && access.sessions.contains(&newest.session));
    assert_eq!(refused(&refresh(&router, &first.refresh_token).await), (401, "invalid_refresh_token"));
    assert_eq!(
        by(&router, &newest, "GET", "sessions?limit=100", None).await.json["data"].as_array().unwrap().len(),
        20
    );
}

#[tokio::test]
async fn the_public_keys_are_where_everybody_looks_and_have_nothing_private() {
    let app = TestApp::new().await;
    let account = app.sign_up("ada@example.com").await;
    let router = app.auth_router().await;
    let header = account.access_token.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!(header["alg"], "ES256");
    for path in ["/.well-known/jwks.json", "/api/v1/.well-known/jwks.json", "/api/.well-known/jwks.json"] {
        let answer = ask(&router, "GET", path, None, None).await;
        assert_eq!((answer.status, answer.headers["cache-control"].as_str()), (200, "public, max-age=300"), "{path}");
        let keys = answer.json["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap();
        let fields: BTreeSet<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["kty", "crv", "alg", "use", "kid", "x", "y"].into());
    }
}
