//! `/api/admin/...`: who may ask, and what all its tests share.

mod audit;
mod bulk;
mod credits;
mod cron;
mod parked;
mod schedule;
mod settings;
mod users;

use admin::State;
use api::api_key;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use domain::Id;
use domain::account::{Email, Role, Scope};
use domain::mail::Template;
use providers::{FollowsSetting, Queue, Scheduler};
use serde_json::{Value, json};
use skymeter::chaos::{Chaos, Rates, Tamper};
use skymeter::embedded::Call;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{ApiKey, ApiKeyCreated, AuditFilter, AuditRecord, NewUser, OutboxMail, Profile, Secret};
use tests::{Answer, TestApp, ask, id, send};

/// A system with its admin signed in.
struct Desk {
    app: TestApp,
    router: Router,
    /// Who the admin is, and in which session.
    admin: (String, Id),
}

/// The admin's id.
const ADMIN: &str = "usr_admin";

impl Desk {
    async fn new() -> Self {
        Self::with(TestApp::new().await, Arc::new(FollowsSetting)).await
    }

    async fn with(app: TestApp, scheduler: Arc<dyn Scheduler>) -> Self {
        let metering: Arc<dyn Queue> = Arc::new(app.system.shards.clone());
        let router = admin::router(State { kit: app.kit(admin::AREA), scheduler, metering });
        Self { app, router, admin: (String::new(), id("none")) }.by(ADMIN).await
    }

    /// The same one, with somebody else at it.
    async fn by(self, admin: &str) -> Self {
        let session = api::new_id("ses", self.app.time.now());
        self.app.put_access(admin, "active", Role::Admin, &session).await;
        Self { admin: (admin.to_owned(), session), ..self }
    }

    /// A token that holds now.
    async fn token(&self) -> String {
        self.app.token_of(&self.admin.0, &self.admin.1).await
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        ask(&self.router, method, &format!("/api/admin/{path}"), Some(&self.token().await), body).await
    }

    /// One whose calls of `operation` with `word` in them are refused while the flag is up.
    async fn refusing(operation: &'static str, word: &'static str) -> (Self, Arc<AtomicBool>) {
        let flag = Arc::new(AtomicBool::new(false));
        let chaos = Chaos::tampered(1, Rates::NONE, Box::new(Refusing(operation, word, Arc::clone(&flag))));
        let app = TestApp::with(None, Some(Arc::new(chaos))).await;
        (Self::with(app, Arc::new(FollowsSetting)).await, flag)
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, Some(body)).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask("PUT", path, Some(body)).await
    }

    async fn delete(&self, path: &str, body: Option<Value>) -> Answer {
        self.ask("DELETE", path, body).await
    }

    /// With an idempotency key.
    async fn keyed(&self, method: &str, path: &str, key: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(format!("/api/admin/{path}"));
        let request =
            request.header("authorization", format!("Bearer {}", self.token().await)).header("idempotency-key", key);
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string()));
        send(&self.router, request.unwrap()).await
    }

    /// Somebody who has registered, and is signed in nowhere.
    async fn user(&self, user: &str, email: &str, name: &str, company: &str) {
        register(&self.app, user, email, name, company).await;
    }

    /// This month's records of an action, newest first.
    async fn audit(&self, action: &str) -> Vec<AuditRecord> {
        let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
        let month = self.app.hour().month();
        self.app.system.store.audit_list(month, &filter, None, 1_000).await.unwrap().rows
    }
}

async fn register(app: &TestApp, user: &str, email: &str, name: &str, company: &str) {
    let now = app.time.now();
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let profile = Profile {
        id: id(user),
        email: Some(Email::parse(email).unwrap()),
        name: text(name),
        company: text(company),
        email_verified_at: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let secret = Secret { password: String::new(), generation: 1, second: None };
    let new = NewUser { profile, role: Role::User, secret };
    app.system.store.user_create(&new, None, now).await.unwrap();
}

/// While the flag is up, no call of that operation whose text holds that word gets through, and the caller is told so.
#[derive(Debug)]
struct Refusing(&'static str, &'static str, Arc<AtomicBool>);

impl Tamper for Refusing {
    fn request(&self, call: &mut Call) {
        let Self(operation, word, flag) = self;
        if flag.load(Ordering::Relaxed) && call.operation == *operation && call.body.contains(word) {
            "Refused".clone_into(&mut call.operation);
        }
    }
}

/// The pointers (or parameters) of a problem.
fn wrong(answer: &Answer) -> Vec<String> {
    let name = |error: &Value| error["pointer"].as_str().or(error["parameter"].as_str()).map(str::to_owned);
    answer.json["errors"].as_array().unwrap_or(&Vec::new()).iter().filter_map(name).collect()
}

fn code(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.json["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn nobody_but_an_active_admin_gets_in_anywhere() {
    let desk = Desk::new().await;
    let user = desk.app.sign_in("usr_1", Role::User).await;
    let session = api::new_id("ses", desk.app.time.now());
    desk.app.put_access("usr_2", "suspended", Role::Admin, &session).await;
    let suspended = desk.app.token_of("usr_2", &session).await;
    let (_, document) = admin::routes().split_for_parts();
    let document = serde_json::to_value(&document).unwrap();
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert_eq!(operation["security"], json!([{ "bearer": ["admin"] }]), "{method} {path}");
            let path = format!("/api/v1{}", path.replace("{id}", "usr_1").replace("{key}", "x").replace("{hour}", "y"));
            for (token, refusal) in [
                (None, (401, "unauthenticated")),
                (Some(&user), (403, "admins_only")),
                (Some(&suspended), (403, "account_suspended")),
            ] {
                let method = method.to_uppercase();
                let answer = ask(&desk.router, &method, &path, token.map(String::as_str), Some(json!({}))).await;
                assert_eq!(code(&answer), refusal, "{method} {path}");
            }
            operations += 1;
        }
    }
    assert_eq!(operations, 17);
    assert!(desk.app.pages("usr_1").await.is_empty());
    assert!(desk.app.system.shards.all().unwrap().is_empty());
}

#[tokio::test]
async fn an_api_key_does_what_its_scope_says_for_an_admin_only() {
    let desk = Desk::new().await;
    desk.app.sign_in("usr_1", Role::User).await;
    let key = async |user: &str, name: &str, scope: &str| {
        let key = ApiKey {
            id: id(name),
            name: "a key".to_owned(),
            scopes: vec![Scope::parse(scope).unwrap()],
            created_at: desk.app.time.now(),
            expires_at: None,
        };
        let (store, user, now) = (&desk.app.system.store, id(user), desk.app.time.now());
        let session = store.access_get(&user).await.unwrap().unwrap().sessions.pop_first().unwrap();
        let mail = OutboxMail::to_address(format!("made:{name}"), "boss@example.com", Template::ApiKeyCreated);
        let mail = mail.with("key", name).with("scopes", scope).with("at", now.to_string());
        let created = store.api_key_create((&user, &session), &key, api_key::hash("secret"), &mail, now).await.unwrap();
        assert_eq!(created, ApiKeyCreated::New);
        api_key::write(&user, &key.id, "secret")
    };
    let read = key(ADMIN, "key_1", "admin:read").await;
    let write = key(ADMIN, "key_2", "admin:write").await;
    let billing = key(ADMIN, "key_3", "billing:write").await;
    let users = key("usr_1", "key_4", "admin:write").await;
    let path = "/api/admin/settings/server_hours_per_month";
    for (key, got, put) in [
        (&read, (200, ""), (403, "scope_missing")),
        (&write, (200, ""), (200, "")),
        (&billing, (403, "scope_missing"), (403, "scope_missing")),
        (&users, (403, "admins_only"), (403, "admins_only")),
    ] {
        let answer = ask(&desk.router, "GET", "/api/admin/settings", Some(key), None).await;
        assert_eq!(code(&answer), got);
        let answer = ask(&desk.router, "PUT", path, Some(key), Some(json!({ "value": 700 }))).await;
        assert_eq!(code(&answer), put);
    }
    assert_eq!(desk.audit("setting.set").await.len(), 1);
}
