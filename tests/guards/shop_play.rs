//! The stage of the shop's story: every area by its own router, the mailer, lifecycle, stand-ins of the processors; and whose turn
//! it is, noted at each call.

use super::story::Recorder;
use api::Kit;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use cashier::{Cashier, CashierConfig};
use lifecycle::Lifecycle;
use mailer::{MailConfig, Mailing};
use providers::{Endpoint, FollowsSetting, Queue};
use sandbox::{Config, Delivery, Processor, Sandbox, Target};
use serde_json::{Value, json};
use skymeter::chaos::{Chaos, Rates};
use skymeter::mailbox::Mailbox;
use skymeter::shop::stand_ins;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tests::{Answer, PASSWORD, TestApp, send};

/// Time one call of the mailer has.
pub const TIME_LEFT: Duration = Duration::from_secs(60);

/// The parts, and what was asked of them.
pub struct Play {
    pub app: TestApp,
    pub recorder: Recorder,
    pub sandbox: Sandbox,
    pub areas: Vec<(&'static str, Router)>,
    pub mailing: Mailing,
    pub mailbox: Mailbox,
    pub lifecycle: Lifecycle,
    /// Operations that were answered with success: method and path.
    pub done: Mutex<BTreeSet<String>>,
}

impl Play {
    pub async fn open(recorder: &Recorder) -> Self {
        let chaos = Chaos::tampered(1, Rates::NONE, Box::new(recorder.clone()));
        let mut app = TestApp::with(None, Some(Arc::new(chaos))).await;
        app.allow_leftovers();
        let clock = app.time.clock();
        let ms = move || clock.now().secs() * 1_000;
        let sandbox = Sandbox::start(Config { clock: sandbox::Clock::from_fn(ms), ..Config::default() }).await.unwrap();
        let mails: Arc<dyn Queue> = recorder.queue(&app.system.mails, "mails");
        let cashier = Cashier::new(cashier_config(&app, sandbox.url(), &mails)).unwrap();
        let kit = |area| Kit::new(area, app.system.store.clone(), app.time.clock());
        let signer = app.signer();
        // What each function does when it starts.
        recorder.turn("auth");
        app.system.store.access_key_add(signer.public()).await.unwrap();
        for function in ["mailer", "lifecycle"] {
            recorder.turn(function);
            app.system.store.schema_check().await.unwrap();
        }
        recorder.turn("");
        let auth =
            auth::State { floor: Duration::ZERO, ..auth::State::new(kit(auth::AREA), signer, Arc::clone(&mails)) };
        let admin = admin::State {
            kit: kit(admin::AREA),
            scheduler: Arc::new(FollowsSetting),
            metering: recorder.queue(&app.system.shards, "metering"),
        };
        let webhooks = webhooks::router(kit(webhooks::AREA), cashier.clone());
        let areas = vec![
            ("health", health::router(kit(health::AREA))),
            ("auth", auth::router(auth)),
            ("billing", billing::router(billing::State { kit: kit(billing::AREA), cashier: cashier.clone() })),
            ("payments", payments::router(payments::State { kit: kit(payments::AREA), cashier: cashier.clone() })),
            ("admin", admin::router(admin)),
            ("webhooks", webhooks.clone()),
        ];
        for (processor, path) in [(Processor::Stripe, "/stripe"), (Processor::PayPal, "/paypal")] {
            let (recorder, urls) = (recorder.clone(), webhooks.clone());
            let call = move |delivery| {
                recorder.turn("webhooks");
                let urls = urls.clone();
                async move { send(&urls, request(path, &delivery)).await.status }
            };
            sandbox.send_webhooks_to(processor, Target::call(call));
        }
        let mailbox = Mailbox::open(None).unwrap();
        let (store, clock) = (app.system.store.clone(), app.time.clock());
        let mailing = Mailing::new(store.clone(), Arc::new(mailbox.clone()), mail_config(), clock.clone()).unwrap();
        let lifecycle = Lifecycle { store, cashier, mails, clock };
        let recorder = recorder.clone();
        Self { app, recorder, sandbox, areas, mailing, mailbox, lifecycle, done: Mutex::default() }
    }

    /// Asks a function, and takes any answer. In `path` each `{}` is filled with the next of `ids`.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        ids: &[&str],
        token: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let key = api::new_id("key", self.app.time.now());
        self.ask_named(key.as_str(), method, path, ids, token, body).await
    }

    /// The same under an idempotency key of one's own.
    async fn ask_named(
        &self,
        key: &str,
        method: &str,
        path: &str,
        ids: &[&str],
        token: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let area = path.split('/').nth(1).unwrap();
        let area = if area.starts_with('.') { "auth" } else { area };
        let (function, router) = self.areas.iter().find(|(name, _)| *name == area).unwrap();
        let mut ids = ids.iter();
        let filled = path.split('/').map(|part| if part.starts_with('{') { *ids.next().unwrap() } else { part });
        let filled = format!("/api/v1{}", filled.collect::<Vec<_>>().join("/"));
        let request = Request::builder().method(method).uri(filled).header("content-type", "application/json");
        let request = request.header("idempotency-key", key);
        let request = token.into_iter().fold(request, |r, token| r.header("authorization", format!("Bearer {token}")));
        let request = request.body(body.map_or_else(Body::empty, |body| Body::from(body.to_string()))).unwrap();
        self.turn(function, send(router, request)).await
    }

    /// What is called meanwhile, this function calls.
    async fn turn<T>(&self, function: &'static str, work: impl Future<Output = T>) -> T {
        self.recorder.turn(function);
        let done = work.await;
        self.recorder.turn("");
        done
    }

    /// The same; it must succeed.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        ids: &[&str],
        token: Option<&str>,
        body: Option<Value>,
    ) -> Value {
        let answer = self.ask(method, path, ids, token, body).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.json);
        let plain = path.split('?').next().unwrap();
        self.done.lock().unwrap().insert(format!("{method} {plain}"));
        answer.json
    }

    /// The same; it must be refused.
    pub async fn refused(&self, path: &str, ids: &[&str], token: &str, body: Value) {
        let answer = self.ask("POST", path, ids, Some(token), Some(body)).await;
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.json);
    }

    /// Sent once, and again when its answer is no longer kept: done once all the same.
    pub async fn repeat(&self, path: &str, ids: &[&str], email: &str, body: Value) {
        for _ in 0..2 {
            let token = self.token(email).await;
            let answer = self.ask_named("repeated", "POST", path, ids, Some(&token), Some(body.clone())).await;
            assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.json);
            assert!(!answer.headers.contains_key("idempotency-replayed"), "{path}");
            self.app.pass(30);
        }
    }

    pub async fn get(&self, path: &str, ids: &[&str], token: &str) -> Value {
        self.call("GET", path, ids, Some(token), None).await
    }

    pub async fn post(&self, path: &str, ids: &[&str], token: &str, body: Value) -> Value {
        self.call("POST", path, ids, Some(token), Some(body)).await
    }

    /// The mailer takes what waits.
    pub async fn mail(&self) {
        loop {
            let messages = self.app.system.mails.receive(10).await.unwrap();
            if messages.is_empty() {
                return;
            }
            let event = skymeter::system::event(&messages);
            let response = self.turn("mailer", self.mailing.handle_mails(event, TIME_LEFT)).await;
            assert!(response.batch_item_failures.is_empty());
            self.app.system.mails.delete(messages.into_iter().map(|message| message.receipt).collect()).await.unwrap();
        }
    }

    pub async fn mailed_token(&self, email: &str) -> String {
        self.mail().await;
        // Mails of one batch go out in any order.
        let mails = self.mailbox.all().into_iter().rev().filter(|mail| mail.to == email);
        let token = |mail: skymeter::mailbox::Mail| {
            mail.links().into_iter().find_map(|link| link.split_once("token=")).map(|(_, token)| token.to_owned())
        };
        mails.into_iter().find_map(token).unwrap()
    }

    /// The processors' webhooks come to the function URLs.
    pub async fn deliver(&self) {
        self.sandbox.deliver_all().await;
        self.recorder.turn("");
    }

    pub async fn look(&self) {
        let figures = self.turn("lifecycle", self.lifecycle.run()).await;
        assert!(figures.is_complete(), "{figures:?}");
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Value {
        self.submit("/auth/login", json!({ "email": email, "password": password })).await
    }

    /// What somebody sends who is not signed in.
    async fn submit(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, &[], None, Some(body)).await
    }

    /// A token that holds: time passes in this story.
    pub async fn token(&self, email: &str) -> String {
        text(&self.sign_in(email, PASSWORD).await, "access_token")
    }

    pub async fn sign_up(&self, email: &str) -> String {
        let body = json!({ "email": email, "password": PASSWORD, "name": "Ada Lovelace" });
        self.submit("/auth/register", body).await;
        let body = json!({ "token": self.mailed_token(email).await, "password": PASSWORD });
        self.submit("/auth/verify-email", body).await;
        self.token(email).await
    }
}

pub fn text(json: &Value, name: &str) -> String {
    json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned()
}

pub fn request(path: &str, delivery: &Delivery) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/json");
    let request = delivery.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    request.body(Body::from(delivery.body.clone())).unwrap()
}

fn mail_config() -> MailConfig {
    MailConfig {
        from: "billing@skymeter.example".to_owned(),
        product: "Skymeter".to_owned(),
        frontend_url: "https://panel.skymeter.example".to_owned(),
        support: "help@skymeter.example".to_owned(),
    }
}

fn cashier_config(app: &TestApp, url: &str, mails: &Arc<dyn Queue>) -> CashierConfig {
    let (stripe, paypal) = stand_ins(&Endpoint::new(url));
    CashierConfig {
        store: app.system.store.clone(),
        clock: app.time.clock(),
        stripe: Some(stripe),
        paypal: Some(paypal),
        mails: Some(Arc::clone(mails)),
        return_url: "https://panel.skymeter.example".to_owned(),
    }
}
