//! A signing key is withdrawn: nothing it signed holds, nobody is signed out for it, and it does not come back.

use api::Clock;
use api::access::KNOWN_SECS;
use auth::{Signer, State};
use axum::Router;
use serde_json::{Value, json};
use skymeter::commands::keys::{lines, retire, withdraw};
use skymeter::data_dir::DataDir;
use skymeter::installation::Target;
use skymeter::shop::{Addresses, Shop};
use skymeter::system::System;
use std::path::Path;
use tests::{Account, Answer, PASSWORD, TestApp, ask, login};

const EMAIL: &str = "ada@example.com";

async fn me(router: &Router, account: &Account) -> Answer {
    ask(router, "GET", "/api/v1/auth/me", Some(&account.access_token), None).await
}

async fn refresh(router: &Router, account: &Account) -> Answer {
    let body = json!({ "refresh_token": account.refresh_token });
    ask(router, "POST", "/api/v1/auth/refresh", None, Some(body)).await
}

async fn listed(router: &Router) -> Vec<Value> {
    let jwks = ask(router, "GET", "/.well-known/jwks.json", None, None).await;
    jwks.json["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
}

#[tokio::test]
async fn what_a_withdrawn_key_signed_is_refused_and_another_key_goes_on() {
    let app = TestApp::new().await;
    let (account, router, store) = (app.sign_up(EMAIL).await, app.auth_router().await, &app.system.store);
    let (kid, now) = (app.signer().public().kid.clone(), app.time.now());
    assert_eq!(me(&router, &account).await.status, 200);
    let mistaken = withdraw(store, &kid, false, now).await.unwrap_err().to_string();
    assert!(mistaken.contains("auth signs with this key"), "{mistaken}");
    assert!(withdraw(store, "nobody's", true, now).await.is_err());
    assert_eq!(listed(&router).await, [json!(kid)]);

    assert_eq!(withdraw(store, &kid, true, now).await.unwrap(), now);
    assert_eq!(listed(&router).await, Vec::<Value>::new());
    app.pass_secs(KNOWN_SECS);
    assert_eq!(withdraw(store, &kid, false, app.time.now()).await.unwrap(), now, "twice is once");
    assert_eq!(me(&router, &account).await.status, 401);
    // What still has its private half signs nothing, uses up no refresh token, and does not bring it back.
    assert_eq!(login(&router, EMAIL, PASSWORD).await.status, 503);
    assert_eq!(refresh(&router, &account).await.status, 503);
    assert!(!store.access_key_add(app.signer().public()).await.unwrap());

    let signer = Signer::from_pem(&Signer::generate_pem().unwrap(), app.time.now()).unwrap();
    assert!(store.access_key_add(signer.public()).await.unwrap());
    let new = signer.public().kid.clone();
    let router = auth::router(State { signer, ..app.auth_state().await });
    assert_eq!(listed(&router).await, [json!(new)]);
    let account = Account::of(&refresh(&router, &account).await);
    assert_eq!(me(&router, &account).await.status, 200);
    let said = lines(&store.access_keys_ever().await.unwrap());
    assert!(said[0].starts_with(&new) && said[0].ends_with("in use"), "{said:?}");
    assert!(said[1].starts_with(&kid) && said[1].ends_with(&format!("retired {now}")), "{said:?}");
}

#[tokio::test]
async fn a_key_that_was_put_back_is_the_one_in_use() {
    let app = TestApp::new().await;
    let store = &app.system.store;
    let signer = || Signer::from_pem(&Signer::generate_pem().unwrap(), app.time.now()).unwrap();
    let old = signer();
    assert!(store.access_key_add(old.public()).await.unwrap());
    app.pass_secs(60);
    let new = signer();
    assert!(store.access_key_add(new.public()).await.unwrap());
    app.pass_secs(60);
    // The instances that start now have the old one again.
    let back = store::AccessKey { since: app.time.now(), ..old.public().clone() };
    for _ in 0..2 {
        assert!(store.access_key_add(&back).await.unwrap());
    }
    let said = lines(&store.access_keys().await.unwrap());
    assert!(said[0].starts_with(&old.public().kid) && said[0].ends_with("in use"), "{said:?}");
    let (kid, now) = (&old.public().kid, app.time.now());
    assert!(withdraw(store, kid, false, now).await.unwrap_err().to_string().contains("auth signs with this key"));
    assert_eq!(withdraw(store, &new.public().kid, false, now).await.unwrap(), now);
}

#[tokio::test]
async fn instances_that_know_a_key_ask_again_once_a_minute_and_not_more_often() {
    let app = TestApp::new().await;
    let (account, router) = (app.sign_up(EMAIL).await, app.auth_router().await);
    assert_eq!(me(&router, &account).await.status, 200);
    let store = &app.system.store;
    withdraw(store, &app.signer().public().kid, true, app.time.now()).await.unwrap();
    app.pass_secs(KNOWN_SECS - 1);
    assert_eq!(me(&router, &account).await.status, 200, "so long what was read is believed");
    app.pass_secs(1);
    assert_eq!(me(&router, &account).await.status, 401);
}

/// Starts a laptop's shop on a data directory; the name of the key it signs with.
async fn started(path: &Path) -> String {
    let data = DataDir::open(path, true).unwrap();
    let system = System::open(Some(&data), Clock::system(), None).await.unwrap();
    let nowhere = "http://127.0.0.1:9".to_owned();
    let shop = Shop::open(&system, Some(&data), &Addresses { own: nowhere.clone(), sandbox: nowhere }).await.unwrap();
    shop.auth.signer.public().kid.clone()
}

#[tokio::test]
async fn a_laptop_makes_another_key_at_its_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let first = started(&path).await;
    assert_eq!(started(&path).await, first);
    retire(&Target::Directory(path.clone()), &first, false).await.unwrap();
    let second = started(&path).await;
    assert_ne!(second, first);
    assert_eq!(started(&path).await, second);
}
