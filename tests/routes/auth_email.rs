//! Another address: who may ask for one, what a token out of the mail is good for, and what nobody learns by asking.

use super::auth::{by, post, verify};
use super::auth_api_keys::wanted;
use super::auth_login::{from, refused};
use super::auth_second_factor::with_second_factor;
use crate::flows::broken::Refusing;
use axum::Router;
use domain::account::{Email, Status};
use domain::mail::Template;
use futures::future::join_all;
use serde_json::{Value, json};
use skymeter::chaos::{Chaos, Rates};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tests::{Account, Answer, PASSWORD, TestApp, ask, login};

const OLD: &str = "ada@example.com";
const NEW: &str = "lovelace@example.com";

/// Asks for another address.
async fn change(router: &Router, account: &Account, email: &str) -> Answer {
    by(router, account, "POST", "change-email", Some(json!({ "email": email, "password": PASSWORD }))).await
}

/// Presents a token out of the mail to one, with the password.
async fn confirm(router: &Router, token: &str) -> Answer {
    confirm_with(router, token, PASSWORD).await
}

async fn confirm_with(router: &Router, token: &str, password: &str) -> Answer {
    post(router, "confirm-email", json!({ "token": token, "password": password })).await
}

fn confirmation(token: &str) -> Value {
    json!({ "token": token, "password": PASSWORD })
}

/// Asks, and reads the mail: tokens of all of them, oldest first.
async fn tokens(app: &TestApp, router: &Router, account: &Account, email: &str) -> Vec<String> {
    assert_eq!(change(router, account, email).await.status, 202);
    let mails = app.mails_of(Template::ConfirmEmail, email).await;
    mails.iter().map(|mail| mail.params["token"].clone()).collect()
}

/// The token of the first mail to an address.
async fn token(app: &TestApp, router: &Router, account: &Account, email: &str) -> String {
    tokens(app, router, account, email).await.remove(0)
}

/// Whose an address is.
async fn owner(app: &TestApp, email: &str) -> Option<domain::Id> {
    app.system.store.user_by_email(&Email::parse(email).unwrap()).await.unwrap()
}

/// The pointer of the first error.
fn pointer(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.json["errors"][0]["pointer"].as_str())
}

#[tokio::test]
async fn who_confirms_a_new_address_signs_in_with_it_and_the_old_one_hears_of_it_and_is_free() {
    let app = TestApp::new().await;
    let account = app.sign_up(OLD).await;
    let router = app.auth_router().await;
    let answer = change(&router, &account, " Lovelace@Example.com ").await;
    assert_eq!((answer.status, answer.json["status"].as_str()), (202, Some("accepted")));
    // Nothing has changed yet.
    assert_eq!(by(&router, &account, "GET", "me", None).await.json["email"], OLD);
    assert_eq!(refused(&login(&router, NEW, PASSWORD).await), (401, "invalid_credentials"));
    // The mail has a token, and no word of whoever typed the address in.
    let mail = app.mails_of(Template::ConfirmEmail, NEW).await.remove(0);
    assert_eq!(mail.params.keys().collect::<Vec<_>>(), ["token", "valid_for"]);
    assert!(app.mails_of(Template::EmailChanged, OLD).await.is_empty());
    app.pass_secs(60);
    assert_eq!(confirm(&router, &mail.params["token"]).await.status, 204);
    // The session goes on.
    let me = by(&router, &account, "GET", "me", None).await.json;
    assert_eq!((me["email"].as_str(), me["email_verified"].as_bool()), (Some(NEW), Some(true)));
    assert_eq!(me["updated_at"], "2026-11-10T00:01:00Z");
    assert_eq!(Account::of(&login(&router, NEW, PASSWORD).await).user, account.user);
    assert_eq!(refused(&login(&router, OLD, PASSWORD).await), (401, "invalid_credentials"));
    // The owner of the old one is told, not what the new one is.
    let told = app.mails_of(Template::EmailChanged, OLD).await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].params["name"].as_str(), told[0].params["at"].as_str()),
        ("Ada Lovelace", "2026-11-10T00:01:00Z")
    );
    assert!(!format!("{:?}", told[0].params).contains("lovelace@"), "{:?}", told[0].params);
    // An admin finds them by the new one, in the list and by the whole of it.
    let store = &app.system.store;
    let listed = store.user_list(None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|user| user.email.as_ref().unwrap().as_str()).collect::<Vec<_>>(), [NEW]);
    assert!(store.user_search(OLD, None, 10).await.unwrap().rows.is_empty());
    // Somebody else takes the old one, or the same one again.
    app.register(&router, OLD).await;
    let mut good = 0;
    for mail in app.mails_of(Template::Verify, OLD).await {
        good += usize::from(verify(&router, &mail.params["token"], PASSWORD).await.status == 204);
    }
    let other = Account::of(&login(&router, OLD, PASSWORD).await);
    assert!(good == 1 && other.user != account.user);
    let taken = change(&router, &account, OLD).await;
    assert_eq!(taken.status, 202);
    assert!(app.mails_of(Template::ConfirmEmail, OLD).await.is_empty());
    assert_eq!((owner(&app, OLD).await, owner(&app, NEW).await), (Some(other.user), Some(account.user)));
}

#[tokio::test]
async fn an_address_goes_back_and_forth() {
    let app = TestApp::new().await;
    let account = app.sign_up(OLD).await;
    let router = app.auth_router().await;
    for (n, (from, to)) in [(OLD, NEW), (NEW, OLD), (OLD, NEW)].into_iter().enumerate() {
        let newest = tokens(&app, &router, &account, to).await;
        let mut good = 0;
        for token in newest {
            good += usize::from(confirm(&router, &token).await.status == 204);
        }
        assert_eq!(good, 1, "{n}");
        assert_eq!((owner(&app, from).await, owner(&app, to).await), (None, Some(account.user.clone())));
    }
    assert_eq!(app.mails_of(Template::EmailChanged, OLD).await.len(), 2);
}

#[tokio::test]
async fn a_token_holds_once_for_an_hour_for_its_purpose_and_the_newest_alone() {
    let app = TestApp::new().await;
    let account = app.sign_up(OLD).await;
    let router = app.auth_router().await;
    let first = token(&app, &router, &account, "first@example.com").await;
    for wrong in ["x", &first[1..], &format!("{first}x"), &"a".repeat(43)] {
        assert_eq!(refused(&confirm(&router, wrong).await), (422, "invalid_token"), "{wrong}");
    }
    // It is for nothing else, nor is another for this.
    assert_eq!(refused(&verify(&router, &first, PASSWORD).await), (422, "invalid_token"));
    let reset = json!({ "token": first, "password": "a new long password" });
    assert_eq!(refused(&post(&router, "reset-password", reset).await), (422, "invalid_token"));
    post(&router, "forgot-password", json!({ "email": OLD })).await;
    let reset = app.mailed_token(Template::Reset, OLD).await;
    assert_eq!(refused(&confirm(&router, &reset).await), (422, "invalid_token"));
    // Of two changes the newer one counts.
    let second = token(&app, &router, &account, "second@example.com").await;
    assert_eq!(refused(&confirm(&router, &first).await), (422, "invalid_token"));
    app.pass_secs(3_599);
    let expired = token(&app, &router, &app.sign_up("bob@example.com").await, "robert@example.com").await;
    assert_eq!(confirm(&router, &second).await.status, 204);
    assert_eq!(refused(&confirm(&router, &second).await), (422, "invalid_token"));
    assert_eq!(refused(&confirm(&router, &first).await), (422, "invalid_token"));
    app.pass_secs(3_600);
    assert_eq!(refused(&confirm(&router, &expired).await), (422, "invalid_token"));
    assert_eq!(owner(&app, "robert@example.com").await, None);
}

#[tokio::test]
async fn tokens_of_the_old_address_die_with_it_and_those_for_a_new_one_with_another_password() {
    let app = TestApp::new().await;
    let account = app.sign_up(OLD).await;
    let router = app.auth_router().await;
    post(&router, "forgot-password", json!({ "email": OLD })).await;
    let mailed = app.mailed_token(Template::Reset, OLD).await;
    let to_new = token(&app, &router, &account, NEW).await;
    assert_eq!(confirm(&router, &to_new).await.status, 204);
    let reset = |token: &str| {
        let body = json!({ "token": token, "password": "a new long password" });
        let router = router.clone();
        async move { post(&router, "reset-password", body).await }
    };
    assert_eq!(refused(&reset(&mailed).await), (422, "invalid_token"));
    // Also where the address comes back.
    let back = token(&app, &router, &account, OLD).await;
    assert_eq!(confirm(&router, &back).await.status, 204);
    assert_eq!(refused(&reset(&mailed).await), (422, "invalid_token"));
    // Whoever asked with a password that was found out gets nothing once there is another.
    let third = token(&app, &router, &account, "third@example.com").await;
    let other = json!({ "current_password": PASSWORD, "new_password": "a new long password" });
    assert_eq!(by(&router, &account, "POST", "change-password", Some(other)).await.status, 204);
    for password in [PASSWORD, "a new long password"] {
        assert_eq!(refused(&confirm_with(&router, &third, password).await), (422, "invalid_token"));
    }
    assert_eq!(owner(&app, "third@example.com").await, None);
}

#[tokio::test]
async fn an_owner_who_clicks_proves_no_address_for_a_strangers_account() {
    let app = TestApp::new().await;
    let eve = app.sign_up("eve@example.com").await;
    let router = app.auth_router().await;
    let token = token(&app, &router, &eve, NEW).await;
    // The owner of the address has the token, and not the stranger's password.
    for password in ["the owner's own password", "a guess of a password"] {
        assert_eq!(refused(&confirm_with(&router, &token, password).await), (422, "invalid_token"));
    }
    assert_eq!(owner(&app, NEW).await, None);
    let missing = post(&router, "confirm-email", json!({ "token": token })).await;
    assert_eq!(pointer(&missing), (422, Some("/password")));
    // Wrong passwords cost no token; guessing is bounded for each, from however many places.
    assert_eq!(confirm(&router, &token).await.status, 204);
    let again = tokens(&app, &router, &eve, "third@example.com").await.remove(0);
    let mut last = 422;
    for n in 0..12 {
        last = confirm_with(&from(&router, n), &again, "a guess of a password").await.status;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn a_token_of_somebody_who_is_gone_is_refused() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    let store = &app.system.store;
    for (n, status) in [Status::Suspended, Status::Deactivated].into_iter().enumerate() {
        let (email, to) = (format!("old{n}@example.com"), format!("new{n}@example.com"));
        let account = app.sign_up(&email).await;
        let token = token(&app, &router, &account, &to).await;
        store.access_status_set(&account.user, status).await.unwrap();
        assert_eq!(refused(&confirm(&router, &token).await), (422, "invalid_token"), "{status:?}");
        assert_eq!(owner(&app, &to).await, None);
        // What is lifted again lets them go on.
        store.access_status_set(&account.user, Status::Active).await.unwrap();
        assert_eq!(confirm(&router, &token).await.status, 204, "{status:?}");
    }
    let account = app.sign_up(OLD).await;
    let token = token(&app, &router, &account, NEW).await;
    let body = Some(json!({ "password": PASSWORD }));
    assert_eq!(by(&router, &account, "DELETE", "me", body).await.status, 200);
    assert_eq!(refused(&confirm(&router, &token).await), (422, "invalid_token"));
    assert_eq!((owner(&app, OLD).await, owner(&app, NEW).await), (None, None));
}

#[tokio::test]
async fn only_a_session_with_the_password_may_ask_and_not_for_ones_own_address() {
    let app = TestApp::new().await;
    let account = app.sign_up(OLD).await;
    let router = app.auth_router().await;
    let key = by(&router, &account, "POST", "api-keys", Some(wanted("n", "billing:write"))).await.json;
    let body = json!({ "email": NEW, "password": PASSWORD });
    let path = "/api/v1/auth/change-email";
    let by_key = ask(&router, "POST", path, key["key"].as_str(), Some(body.clone())).await;
    assert_eq!(refused(&by_key), (403, "scope_missing"));
    assert_eq!(refused(&ask(&router, "POST", path, None, Some(body)).await), (401, "unauthenticated"));
    let own = change(&router, &account, "ADA@example.com").await;
    assert_eq!(pointer(&own), (422, Some("/email")));
    let with = |body: Value| {
        let (router, account) = (router.clone(), account.clone());
        async move { by(&router, &account, "POST", "change-email", Some(body)).await }
    };
    for (body, field) in [
        (json!({ "email": NEW, "password": "not my password" }), "/password"),
        (json!({ "email": NEW }), "/password"),
        (json!({ "password": PASSWORD }), "/email"),
        (json!({ "email": NEW, "password": PASSWORD, "user": "usr_2" }), "/user"),
    ] {
        assert_eq!(pointer(&with(body.clone()).await), (422, Some(field)), "{body}");
    }
    assert!(app.mails_to(NEW).await.is_empty());
    // Guessing with a stolen session is bounded.
    let mut last = 0;
    for _ in 0..12 {
        last = with(json!({ "email": NEW, "password": "not my password" })).await.status;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn hostile_addresses_are_refused_by_field_and_change_nothing() {
    let app = TestApp::new().await;
    let account = app.sign_up(OLD).await;
    let router = app.auth_router().await;
    for bad in [
        "",
        "lovelace",
        "lovelace@example.com\r\nBcc: eve@example.com",
        "ad\u{430}@example.com",
        "lovelace\u{200b}@example.com",
        "lovelace@ex\u{e4}mple.com",
        "lovelace\u{ff20}example.com",
        "a\u{308}da@example.com",
        "\u{202e}ada@example.com",
        "<lovelace@example.com>",
        "lovelace@example.com,eve@example.com",
    ] {
        let answer = change(&router, &account, bad).await;
        assert_eq!(pointer(&answer), (422, Some("/email")), "{bad:?}");
        assert!(bad.is_empty() || !answer.json["errors"].to_string().contains(bad), "the answer repeats {bad:?}");
    }
    assert_eq!(by(&router, &account, "GET", "me", None).await.json["email"], OLD);
}

#[tokio::test]
async fn a_taken_address_gets_the_same_answer_for_the_same_work_and_its_owner_a_mail_a_day() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    let account = app.sign_up(OLD).await;
    app.register_and_verify(&router, "bob@example.com").await;
    let units = || {
        let all = store::Area::ALL.map(|area| app.system.store.capacity().units(area));
        (all.iter().map(|units| units.reads).sum::<u64>(), all.iter().map(|units| units.writes).sum::<u64>())
    };
    let mut seen = Vec::new();
    // The first request of all reads the keys of access tokens.
    by(&router, &account, "GET", "me", None).await;
    // Twice: the second time the owner is not told, and nothing of that shows.
    for email in ["bob@example.com", NEW, "bob@example.com", NEW] {
        let before = units();
        let answer = change(&router, &account, email).await;
        let after = units();
        seen.push((answer.status, answer.json, after.0 - before.0, after.1 - before.1));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    assert_eq!(app.mails_of(Template::RegisteredAlready, "bob@example.com").await.len(), 1);
    assert!(app.mails_of(Template::ConfirmEmail, "bob@example.com").await.is_empty());
    assert_eq!(app.mails_of(Template::ConfirmEmail, NEW).await.len(), 2);
    // Who asked is told alike.
    let told = app.mails_of(Template::EmailChangeAsked, OLD).await;
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|mail| mail.params == told[0].params), "{told:?}");
}

#[tokio::test]
async fn the_old_address_hears_of_it_when_it_is_asked_for_and_a_reset_from_there_ends_it() {
    let app = TestApp::new().await;
    let account = app.sign_up(OLD).await;
    let router = app.auth_router().await;
    let token = token(&app, &router, &account, "thief@example.com").await;
    let told = app.mails_of(Template::EmailChangeAsked, OLD).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].params.keys().collect::<Vec<_>>(), ["address", "at", "name"]);
    assert!(!format!("{:?}", told[0].params).contains("thief"), "{:?}", told[0].params);
    post(&router, "forgot-password", json!({ "email": OLD })).await;
    let reset = app.mailed_token(Template::Reset, OLD).await;
    let body = json!({ "token": reset, "password": "a new long password" });
    assert_eq!(post(&router, "reset-password", body).await.status, 204);
    assert_eq!(refused(&confirm(&router, &token).await), (422, "invalid_token"));
    assert_eq!(owner(&app, OLD).await, Some(account.user));
}

#[tokio::test]
async fn what_a_thief_asked_for_ends_with_a_second_factor_and_with_the_other_sessions() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    for defence in ["sessions", "second factor"] {
        let email = format!("{}@example.com", defence.replace(' ', "."));
        let owned = app.sign_up(&email).await;
        let thief = Account::of(&login(&from(&router, 1), &email, PASSWORD).await);
        let to = format!("thief.{email}");
        let token = token(&app, &router, &thief, &to).await;
        if defence == "sessions" {
            assert_eq!(by(&router, &owned, "DELETE", "sessions", None).await.status, 204);
        } else {
            with_second_factor(&app, &router, &owned).await;
        }
        assert_eq!(refused(&confirm(&router, &token).await), (422, "invalid_token"), "{defence}");
        assert_eq!((owner(&app, &email).await, owner(&app, &to).await), (Some(owned.user.clone()), None));
        // The owner asks again, with all that is needed now.
        if defence == "sessions" {
            let mine = tokens(&app, &router, &owned, "mine@example.com").await.remove(0);
            assert_eq!(confirm(&router, &mine).await.status, 204);
        } else {
            assert_eq!(refused(&change(&router, &thief, &to).await), (401, "second_factor_required"));
        }
    }
}

#[tokio::test]
async fn a_change_that_is_made_is_answered_so_whatever_breaks_after_it() {
    let flag = Arc::new(AtomicBool::new(false));
    let tamper = Refusing("PutItem", "ADDRESS#", Arc::clone(&flag));
    let chaos = Arc::new(Chaos::tampered(1, Rates::NONE, Box::new(tamper)));
    let app = TestApp::with(None, Some(chaos)).await;
    let account = app.sign_up(OLD).await;
    let router = app.auth_router().await;
    let token = token(&app, &router, &account, NEW).await;
    flag.store(true, Ordering::Relaxed);
    assert_eq!(confirm(&router, &token).await.status, 204);
    flag.store(false, Ordering::Relaxed);
    assert_eq!(owner(&app, NEW).await, Some(account.user));
    assert_eq!(app.mails_of(Template::EmailChanged, OLD).await.len(), 1);
    // What broke: the place is not a usual one.
    assert_eq!(login(&router, NEW, PASSWORD).await.status, 200);
    assert_eq!(app.mails_of(Template::NewSignIn, NEW).await.len(), 1);
}

#[tokio::test]
async fn what_becomes_of_an_earlier_token_does_not_tell_whose_an_address_is() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    app.register_and_verify(&router, "bob@example.com").await;
    for (n, probed) in ["bob@example.com", "nobody@example.com"].into_iter().enumerate() {
        let router = from(&router, u16::try_from(n).unwrap());
        let account = app.sign_up(&format!("eve{n}@example.com")).await;
        let mine = format!("mine{n}@example.com");
        let earlier = token(&app, &router, &account, &mine).await;
        change(&router, &account, probed).await;
        assert_eq!(refused(&confirm(&router, &earlier).await), (422, "invalid_token"), "{probed}");
        // Beyond the limit nothing changes, whoever's it is: the token before goes on.
        for _ in 0..5 {
            change(&router, &account, probed).await;
        }
        app.pass_secs(900);
        let account = Account::of(&login(&router, &format!("eve{n}@example.com"), PASSWORD).await);
        let later = tokens(&app, &router, &account, &mine).await;
        let later = later.iter().find(|token| **token != earlier).unwrap();
        assert_eq!(change(&router, &account, probed).await.status, 202);
        assert_eq!(confirm(&router, later).await.status, 204, "{probed}");
    }
    assert!(app.mails_of(Template::ConfirmEmail, "nobody@example.com").await.len() <= 5);
}

#[tokio::test]
async fn the_answer_takes_its_time() {
    let app = TestApp::new().await;
    let mut state = app.auth_state().await;
    state.floor = Duration::from_millis(400);
    let (floor, quick) = (state.floor, app.auth_router().await);
    let router = auth::router(state);
    let account = app.sign_up(OLD).await;
    app.register_and_verify(&quick, "bob@example.com").await;
    for email in ["bob@example.com", NEW] {
        let began = Instant::now();
        assert_eq!(change(&router, &account, email).await.status, 202);
        assert!(began.elapsed() >= floor, "{email} took {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn mails_are_bounded_for_an_address_and_from_one() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    // Five an hour of one account to one address, and ten in all.
    let eve = app.sign_up("eve@example.com").await;
    for n in 0..7 {
        assert_eq!(change(&from(&router, n), &eve, NEW).await.status, 202);
    }
    assert_eq!(app.mails_of(Template::ConfirmEmail, NEW).await.len(), 5);
    app.pass_secs(900);
    let eve = Account::of(&login(&router, "eve@example.com", PASSWORD).await);
    for n in 0..7 {
        assert_eq!(change(&from(&router, n), &eve, &format!("other{n}@example.com")).await.status, 202);
    }
    assert_eq!(app.mails_of(Template::ConfirmEmail, "other4@example.com").await.len(), 1);
    assert!(app.mails_of(Template::ConfirmEmail, "other5@example.com").await.is_empty());
    // The owner hears of those that went out, and of no more.
    assert_eq!(app.mails_of(Template::EmailChangeAsked, "eve@example.com").await.len(), 10);
    // Nobody else is kept from that address by it, not for a whole day of it; only by many.
    for _ in 0..3 {
        app.pass_secs(3_600);
        let eve = Account::of(&login(&router, "eve@example.com", PASSWORD).await);
        for n in 0..6 {
            assert_eq!(change(&from(&router, n), &eve, NEW).await.status, 202);
        }
    }
    assert_eq!(app.mails_of(Template::ConfirmEmail, NEW).await.len(), 10);
    for n in 0..3 {
        let account = app.sign_up(&format!("user{n}@example.com")).await;
        for _ in 0..4 {
            assert_eq!(change(&from(&router, n), &account, NEW).await.status, 202);
        }
        let sent = app.mails_of(Template::EmailChangeAsked, &format!("user{n}@example.com")).await.len();
        assert_eq!(sent, [4, 4, 2][usize::from(n)]);
    }
    assert_eq!(app.mails_of(Template::ConfirmEmail, NEW).await.len(), 20);
    let mut last = 202;
    for n in 0..4 {
        let account = app.sign_up(&format!("more{n}@example.com")).await;
        for m in 0..9 {
            last = change(&from(&router, 9), &account, &format!("new{n}x{m}@example.com")).await.status;
        }
    }
    assert_eq!(last, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_confirm_one_address_at_once_one_has_it_and_the_others_their_own() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    let mut asked = Vec::new();
    for n in 0..4 {
        let account = app.sign_up(&format!("user{n}@example.com")).await;
        asked.push((account.clone(), tokens(&app, &router, &account, NEW).await));
    }
    // Each mail list grew by one: whose token is new, is this one's.
    let mut known: Vec<String> = Vec::new();
    let mut tries = Vec::new();
    for (account, tokens) in asked {
        let own = tokens.into_iter().find(|token| !known.contains(token)).unwrap();
        known.push(own.clone());
        for n in 0..2 {
            let (router, own) = (from(&router, n), own.clone());
            tries.push((account.clone(), tokio::spawn(async move { confirm(&router, &own).await })));
        }
    }
    let mut winners = Vec::new();
    for (account, answer) in tries {
        let answer = answer.await.unwrap();
        match answer.status {
            204 => winners.push(account.user),
            409 => assert!(matches!(refused(&answer).1, "email_taken" | "conflict"), "{answer:?}"),
            status => assert_eq!((status, refused(&answer).1), (422, "invalid_token")),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(owner(&app, NEW).await, winners.pop());
    // Whoever comes later is told why.
    let mut answers = Vec::new();
    for token in &known {
        answers.push(refused(&confirm(&router, token).await).1.to_owned());
    }
    answers.sort();
    assert_eq!(answers, ["email_taken", "email_taken", "email_taken", "invalid_token"]);
    let users = app.system.store.user_list(None, 10).await.unwrap();
    for user in &users {
        assert_eq!(owner(&app, user.email.as_ref().unwrap().as_str()).await.as_ref(), Some(&user.id));
    }
    let left = join_all((0..4).map(|n| format!("user{n}@example.com")).map(|email| {
        let app = &app;
        async move { owner(app, &email).await.is_some() }
    }));
    assert_eq!(left.await.into_iter().filter(|is_there| *is_there).count(), 3);
}

/// Asks until the answer is not "try again".
async fn patiently(router: &Router, path: &str, token: Option<&str>, body: &Value) -> u16 {
    for _ in 0..12 {
        let status = ask(router, "POST", &format!("/api/v1/auth/{path}"), token, Some(body.clone())).await.status;
        if status != 409 && status != 503 {
            return status;
        }
    }
    panic!("{path} never got through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_address_has_one_owner_and_every_owner_one_address_whatever_breaks_on_the_way() {
    let rates = Rates { unanswered: 30, throttled: 60, conflict: 60, ..Rates::NONE };
    let chaos = Arc::new(Chaos::new(11, rates));
    let app = TestApp::with(None, Some(Arc::clone(&chaos))).await;
    chaos.set_quiet(true);
    let router = app.auth_router().await;
    for n in 0..8 {
        let (old, new) = (format!("old{n}@example.com"), format!("new{n}@example.com"));
        let account = app.sign_up(&old).await;
        chaos.set_quiet(false);
        let body = json!({ "email": new, "password": PASSWORD });
        assert_eq!(patiently(&router, "change-email", Some(&account.access_token), &body).await, 202);
        chaos.set_quiet(true);
        // Of two, where an answer was lost, the newest holds.
        let mails = app.mails_of(Template::ConfirmEmail, &new).await;
        chaos.set_quiet(false);
        for mail in mails {
            let status = patiently(&router, "confirm-email", None, &confirmation(&mail.params["token"])).await;
            assert!(matches!(status, 204 | 422), "{status}");
        }
        chaos.set_quiet(true);
        let (profile, _) = app.system.store.user_get(&account.user).await.unwrap().unwrap();
        let has = profile.email.unwrap();
        let other = if has.as_str() == new { &old } else { &new };
        assert_eq!((owner(&app, has.as_str()).await, owner(&app, other).await), (Some(account.user), None));
        assert_eq!(login(&router, has.as_str(), PASSWORD).await.status, 200);
        assert_eq!(login(&router, other, PASSWORD).await.status, 401);
        let told = app.mails_of(Template::EmailChanged, &old).await.len();
        assert_eq!(told, usize::from(has.as_str() == new), "told if and only if it is so");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_reset_at_the_old_address_and_a_change_to_a_new_one_at_once_one_holds() {
    let app = TestApp::new().await;
    let router = app.auth_router().await;
    for n in 0..6 {
        let (router, old, new) = (from(&router, n), format!("old{n}@example.com"), format!("new{n}@example.com"));
        let account = app.sign_up(&old).await;
        let change = confirmation(&token(&app, &router, &account, &new).await);
        post(&router, "forgot-password", json!({ "email": old })).await;
        let reset = app.mailed_token(Template::Reset, &old).await;
        let reset = json!({ "token": reset, "password": "a new long password" });
        let asked = [("confirm-email", change), ("reset-password", reset)].map(|(path, body)| {
            let router = router.clone();
            tokio::spawn(async move { patiently(&router, path, None, &body).await })
        });
        let mut statuses: Vec<u16> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
        let (has, password) = if statuses[0] == 204 { (&new, PASSWORD) } else { (&old, "a new long password") };
        assert_eq!(login(&router, has, password).await.status, 200, "{statuses:?}");
        statuses.sort();
        assert_eq!(statuses, [204, 422]);
    }
}
