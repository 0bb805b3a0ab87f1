//! Every operation of the API, asked by everybody who may not: generated from OpenAPI, so that a route without a rule fails.

use axum::Router;
use domain::account::{KeyArea, Role};
use sandbox::Card;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tests::{Account, Answer, PASSWORD, TestApp, TestShop, ask, login, registered};

/// Operations anybody may call. Everything else needs somebody signed in.
const PUBLIC: [&str; 13] = [
    "confirm_email",
    "forgot_password",
    "health",
    "jwks",
    "login",
    "paypal_webhook",
    "plans",
    "refresh",
    "register",
    "resend_verification",
    "reset_password",
    "stripe_webhook",
    "verify_email",
];

/// One operation, as OpenAPI describes it.
#[derive(Clone, Debug)]
struct Operation {
    id: String,
    method: String,
    path: String,
    secured: bool,
    admins_only: bool,
}

fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(skymeter::gateway::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
            let security = operation["security"].as_array();
            found.push(Operation {
                id: operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}: no id")).to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                secured: security.is_some_and(|rules| !rules.is_empty()),
                admins_only: security.is_some_and(|rules| rules.iter().any(|rule| rule["bearer"] == json!(["admin"]))),
            });
        }
    }
    assert!(found.len() > 40, "{} operations", found.len());
    found
}

/// Asks with an id in each place for one, and an empty object where a body is taken.
async fn call(router: &Router, operation: &Operation, token: Option<&str>) -> Answer {
    let filled = operation.path.split('/').map(|part| if part.starts_with('{') { "x_1" } else { part });
    let path = format!("/api/v1{}", filled.collect::<Vec<_>>().join("/"));
    let body: Option<Value> = (operation.method != "GET").then(|| json!({}));
    ask(router, &operation.method, &path, token, body).await
}

fn refused(answer: &Answer, status: u16, code: &str, who: &str, operation: &Operation) {
    let found = (answer.status, answer.json["code"].as_str());
    assert_eq!(found, (status, Some(code)), "{who}: {} {}", operation.method, operation.path);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
}

#[test]
fn what_is_public_is_written_down() {
    let public: BTreeSet<String> = operations().into_iter().filter(|o| !o.secured).map(|o| o.id).collect();
    assert_eq!(public, PUBLIC.map(str::to_owned).into());
}

#[test]
fn what_stands_under_admin_is_for_admins() {
    for operation in operations() {
        if operation.path.starts_with("/admin/") {
            assert!(operation.admins_only, "{} {}", operation.method, operation.path);
        }
    }
}

#[tokio::test]
async fn nobody_gets_past_the_door_who_may_not() {
    let app = TestApp::new().await;
    let shop = app.shop().await;
    let router = shop.router.clone();
    let live = app.sign_in("usr_live", Role::User).await;
    let ended = app.token_of("usr_live", &api::new_id("ses", app.time.now())).await;
    let stranger = app.token_of("usr_nobody", &api::new_id("ses", app.time.now())).await;
    let mut closed = Vec::new();
    for (status, code) in [("suspended", "account_suspended"), ("deactivated", "account_deactivated")] {
        let (user, session) = (format!("usr_{status}"), api::new_id("ses", app.time.now()));
        app.put_access(&user, status, Role::Admin, &session).await;
        closed.push((app.token_of(&user, &session).await, code));
    }
    let expired = app.sign_in("usr_expired", Role::Admin).await;
    let secured: Vec<Operation> = operations().into_iter().filter(|operation| operation.secured).collect();
    app.pass_secs(880);
    let live_again = app.sign_in("usr_live", Role::User).await;
    for operation in &secured {
        refused(&call(&router, operation, None).await, 401, "unauthenticated", "anonymous", operation);
        for forged in ["x", "a.b.c", "sky_a_b_c", &format!("{live}x"), &"e".repeat(4_000)] {
            refused(&call(&router, operation, Some(forged)).await, 401, "unauthenticated", "forged", operation);
        }
        refused(&call(&router, operation, Some(&ended)).await, 401, "session_ended", "ended session", operation);
        refused(&call(&router, operation, Some(&stranger)).await, 401, "unauthenticated", "no such user", operation);
        for (token, code) in &closed {
            refused(&call(&router, operation, Some(token)).await, 403, code, "closed account", operation);
        }
        if operation.admins_only {
            refused(&call(&router, operation, Some(&live_again)).await, 403, "admins_only", "a user", operation);
        }
    }
    app.pass_secs(60);
    for operation in &secured {
        refused(&call(&router, operation, Some(&expired)).await, 401, "token_expired", "expired", operation);
    }
}

/// The area of an operation: what an API key's scope speaks of.
fn area(operation: &Operation) -> &str {
    operation.path.split('/').nth(1).unwrap()
}

/// The scopes that allow everything but what stands in one area.
fn scopes_without(area: &str) -> Vec<String> {
    let others = KeyArea::ALL.into_iter().map(KeyArea::as_str).filter(|other| *other != area);
    others.map(|other| format!("{other}:write")).collect()
}

#[tokio::test]
async fn an_api_key_is_no_more_than_its_scopes() {
    let app = TestApp::new().await;
    let shop = app.shop().await;
    let email = "boss@example.com";
    app.sign_up(email).await;
    auth::operator::make_admin(&app.system.store, email, app.time.now()).await.unwrap();
    let boss = Account::of(&login(&shop.router, email, PASSWORD).await).access_token;
    let key = async |name: &str, scopes: &[String]| {
        let body = json!({ "name": name, "scopes": scopes, "password": PASSWORD });
        let answer = shop.post("/auth/api-keys", Some(&boss), body).await;
        answer.json["key"].as_str().unwrap_or_else(|| panic!("{}", answer.json)).to_owned()
    };
    let reads: Vec<String> = KeyArea::ALL.map(|area| format!("{}:read", area.as_str())).into();
    let reads = key("reads", &reads).await;
    let no_admins = key("no admin's", &scopes_without("admin")).await;
    let mut without = BTreeMap::new();
    let secured: Vec<Operation> = operations().into_iter().filter(|operation| operation.secured).collect();
    for operation in &secured {
        let area = area(operation);
        if !without.contains_key(area) {
            without.insert(area, key(area, &scopes_without(area)).await);
        }
        let answer = call(&shop.router, operation, Some(&without[area])).await;
        refused(&answer, 403, "scope_missing", "a key for other areas", operation);
        if operation.method != "GET" || area == "auth" {
            let answer = call(&shop.router, operation, Some(&reads)).await;
            refused(&answer, 403, "scope_missing", "a key that reads", operation);
        }
        // Monitors show an admin's key that may do nothing but see how billing is doing.
        if operation.admins_only && !["admin", "health"].contains(&area) {
            let answer = call(&shop.router, operation, Some(&no_admins)).await;
            refused(&answer, 403, "admins_only", "an admin's key for other things", operation);
        }
    }
    let areas: BTreeSet<&str> = without.keys().copied().collect();
    assert_eq!(areas, ["admin", "auth", "billing", "health", "payments"].into());
}

/// Things of one customer, by the operation that has a place for them: its path and body.
async fn things_of(app: &TestApp, shop: &TestShop, owner: &Account) -> BTreeMap<&'static str, (String, Option<Value>)> {
    app.tell(&[registered("srv_owned", owner.user.as_str(), app.at(1))]).await;
    app.hours(1).await;
    let token = &login(&shop.router, "one@example.com", PASSWORD).await.json["access_token"];
    let token = token.as_str().unwrap();
    let key = json!({ "name": "one", "scopes": ["billing:read"], "password": PASSWORD });
    let key = shop.post("/auth/api-keys", Some(token), key).await.json["id"].as_str().unwrap().to_owned();
    let intent =
        shop.post("/payments/intent", Some(token), json!({ "amount": "20.00", "save_method": true })).await.json;
    let order = shop.post("/payments/paypal/orders", Some(token), json!({ "amount": "5.00" })).await.json;
    let (intent, order, card) = (&intent["id"], &order["id"], intent["processor_object"].as_str().unwrap());
    shop.sandbox.pay_intent(card, Card::Visa).unwrap();
    shop.sandbox.deliver_all().await;
    let methods = shop.get("/payments/methods", token).await.json;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    BTreeMap::from([
        ("end_session", (format!("/auth/sessions/{}", owner.session), None)),
        ("delete_api_key", (format!("/auth/api-keys/{key}"), None)),
        ("transaction", ("/billing/transactions/txn_usd_0_1".to_owned(), None)),
        ("explain", ("/billing/servers/srv_owned/explain".to_owned(), None)),
        ("statement", ("/billing/statements/2026-11".to_owned(), None)),
        ("payment", (format!("/payments/{}", text(intent)), None)),
        ("payment_confirm", (format!("/payments/{}/confirm", text(intent)), Some(json!({})))),
        ("paypal_capture", (format!("/payments/paypal/orders/{}/capture", text(order)), Some(json!({})))),
        ("payment_method_delete", (format!("/payments/methods/{}", text(&methods["data"][0]["id"])), None)),
    ])
}

#[tokio::test]
async fn another_customers_things_are_not_there() {
    let app = TestApp::new().await;
    let shop = app.shop().await;
    let (owner, _) = (app.sign_up("one@example.com").await, app.sign_up("two@example.com").await);
    let things = things_of(&app, &shop, &owner).await;
    let owner = Account::of(&login(&shop.router, "one@example.com", PASSWORD).await);
    let other =
        login(&shop.router, "two@example.com", PASSWORD).await.json["access_token"].as_str().unwrap().to_owned();
    for operation in operations().into_iter().filter(|o| o.secured && !o.admins_only && o.path.contains("/{")) {
        let thing = things.get(operation.id.as_str());
        let (path, body) = thing.unwrap_or_else(|| panic!("{}: add one of the owner's to things_of", operation.id));
        let path = format!("/api/v1{path}");
        let answer = ask(&shop.router, &operation.method, &path, Some(&other), body.clone()).await;
        refused(&answer, 404, "not_found", "another customer", &operation);
        // It is there for its owner, else the answer above says nothing.
        let answer = ask(&shop.router, &operation.method, &path, Some(&owner.access_token), body.clone()).await;
        assert!(matches!(answer.status, 200 | 204 | 409), "{}: {}", operation.id, answer.json);
    }
}
