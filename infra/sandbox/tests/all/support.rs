//! A shop with accounts at both processors and an inbox for their webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::HeaderMap;
use sandbox::{Clock, Config, Delivery, Processor, Sandbox, Target};
use serde_json::Value;
use sha2::Sha256;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

/// When tests begin: 2026-11-10T00:00:00Z.
pub const BEGIN_MS: i64 = 1_794_268_800_000;

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {}", self.body))
    }

    pub fn number(&self, pointer: &str) -> i64 {
        self.body.pointer(pointer).and_then(Value::as_i64).unwrap_or_else(|| panic!("no {pointer} in {}", self.body))
    }
}

pub struct Shop {
    pub sandbox: Sandbox,
    pub http: reqwest::Client,
    pub now_ms: Arc<AtomicI64>,
    pub inbox: Arc<Mutex<Vec<Delivery>>>,
    /// What webhooks are answered.
    pub answer: Arc<AtomicU16>,
}

impl Shop {
    pub async fn open() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        let now_ms = Arc::new(AtomicI64::new(BEGIN_MS));
        let clock = Arc::clone(&now_ms);
        let clock = Clock::from_fn(move || clock.load(Ordering::Relaxed));
        let sandbox = Sandbox::start(Config { clock, ..config }).await.unwrap();
        let (inbox, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU16::new(200)));
        for processor in [Processor::Stripe, Processor::PayPal] {
            let (inbox, answer) = (Arc::clone(&inbox), Arc::clone(&answer));
            let target = Target::call(move |delivery| {
                inbox.lock().unwrap().push(delivery);
                let status = answer.load(Ordering::Relaxed);
                async move { status }
            });
            sandbox.send_webhooks_to(processor, target);
        }
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { sandbox, http, now_ms, inbox, answer }
    }

    pub fn pass_ms(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.url())
    }

    pub async fn try_send(&self, request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
        Ok(Answer { status, headers, body })
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap()
    }

    pub fn stripe_post(&self, path: &str, form: &[(&str, &str)], key: &str) -> reqwest::RequestBuilder {
        let request = self.http.post(self.url(path)).bearer_auth("sk_test_sandbox").form(form);
        if key.is_empty() { request } else { request.header("Idempotency-Key", key) }
    }

    pub async fn stripe(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.stripe_post(path, form, "")).await
    }

    pub async fn stripe_get(&self, path: &str) -> Answer {
        self.send(self.http.get(self.url(path)).bearer_auth("sk_test_sandbox")).await
    }

    /// A new intent of 20.00 USD.
    pub async fn intent(&self) -> String {
        let form = [("amount", "2000"), ("currency", "usd"), ("metadata[payment]", "pay_1")];
        let answer = self.stripe("/v1/payment_intents", &form).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.text("/id").to_owned()
    }

    pub async fn token(&self) -> String {
        let request =
            self.http.post(self.url("/v1/oauth2/token")).basic_auth("sandbox-client", Some("sandbox-client-secret"));
        let answer = self.send(request.form(&[("grant_type", "client_credentials")])).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.text("/access_token").to_owned()
    }

    pub async fn paypal_post(&self, path: &str, body: &Value, key: &str) -> reqwest::RequestBuilder {
        let token = self.token().await;
        let request = self.http.post(self.url(path)).bearer_auth(token).json(body);
        if key.is_empty() { request } else { request.header("PayPal-Request-Id", key) }
    }

    pub async fn paypal(&self, path: &str, body: &Value) -> Answer {
        let request = self.paypal_post(path, body, "").await;
        self.send(request).await
    }

    pub async fn paypal_get(&self, path: &str) -> Answer {
        let token = self.token().await;
        self.send(self.http.get(self.url(path)).bearer_auth(token)).await
    }

    /// A new order of 5.00 USD.
    pub async fn order(&self) -> String {
        let answer = self.paypal("/v2/checkout/orders", &order("5.00")).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("/id").to_owned()
    }

    /// An order that is captured: its id and the capture's.
    pub async fn captured_order(&self) -> (String, String) {
        let order = self.order().await;
        self.sandbox.approve_order(&order).unwrap();
        let answer = self.paypal(&format!("/v2/checkout/orders/{order}/capture"), &Value::Null).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        (order, answer.text("/purchase_units/0/payments/captures/0/id").to_owned())
    }

    /// Delivers all, and hands over what came.
    pub async fn mail(&self) -> Vec<Delivery> {
        self.sandbox.deliver_all().await;
        std::mem::take(&mut *self.inbox.lock().unwrap())
    }

    /// PayPal's word on a delivery: `SUCCESS` or `FAILURE`.
    pub async fn verified(&self, delivery: &Delivery, body: &str, webhook: &str) -> String {
        let text = |name: &str| serde_json::to_string(header(delivery, name)).unwrap();
        // Built as text: the event must stand in the body as it came.
        let check = format!(
            r#"{{"auth_algo":{},"cert_url":{},"transmission_id":{},"transmission_sig":{},"transmission_time":{},"webhook_id":"{webhook}","webhook_event":{body}}}"#,
            text("paypal-auth-algo"),
            text("paypal-cert-url"),
            text("paypal-transmission-id"),
            text("paypal-transmission-sig"),
            text("paypal-transmission-time"),
        );
        let request = self.http.post(self.url("/v1/notifications/verify-webhook-signature"));
        let request = request.bearer_auth(self.token().await).header("content-type", "application/json").body(check);
        self.send(request).await.text("/verification_status").to_owned()
    }
}

pub fn order(value: &str) -> Value {
    serde_json::json!({
        "intent": "CAPTURE",
        "purchase_units": [{
            "reference_id": "pay_2",
            "custom_id": "usr_1",
            "amount": { "currency_code": "USD", "value": value },
        }],
        "application_context": { "return_url": "http://shop.example/back?x=1", "cancel_url": "http://shop.example/no" },
    })
}

pub fn header<'a>(delivery: &'a Delivery, name: &str) -> &'a str {
    let found = delivery.headers.iter().find(|(each, _)| each == name);
    found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no {name}"))
}

pub fn kinds(mail: &[Delivery]) -> Vec<&str> {
    mail.iter().map(|delivery| delivery.event_type.as_str()).collect()
}

pub fn event(delivery: &Delivery) -> Value {
    serde_json::from_str(&delivery.body).unwrap()
}

/// Whether a delivery of Stripe is signed with a secret and no older than five minutes.
pub fn stripe_holds(delivery: &Delivery, secret: &str, now_ms: i64) -> bool {
    let header = header(delivery, "stripe-signature");
    let parts = |name: &str| -> Vec<String> {
        header
            .split(',')
            .filter_map(|part| part.split_once('=').filter(|(each, _)| *each == name))
            .map(|(_, value)| value.to_owned())
            .collect()
    };
    let at: i64 = parts("t").first().unwrap().parse().unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}.{}", delivery.body).as_bytes());
    let expected = hex::encode(mac.finalize().into_bytes());
    parts("v1").contains(&expected) && (now_ms / 1_000 - at).abs() <= 300
}

pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
