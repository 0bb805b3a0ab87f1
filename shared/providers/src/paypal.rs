//! PayPal: orders, captures, refunds, disputes, and ([`transmission`]) whether a webhook is its.
//!
//! Owns the wire format, the access token and its renewal. Answers are read leniently and checked strictly; amounts stay the
//! text they came as. Does *not* decide what an order's state means for anybody's money.

mod answer;
pub mod transmission;

use crate::http::{Call, CallError, ClientError, Endpoint, FORM, Http, JSON, Service, object_id, text};
use crate::secret::Secret;
use answer::{read_capture, read_dispute, read_order, read_refund};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use transmission::Transmission;

pub use answer::{
    PayPalCapture, PayPalCaptureStatus, PayPalDispute, PayPalMoney, PayPalOrder, PayPalOrderStatus, PayPalOutcome,
    PayPalRefund, PayPalRefundStatus,
};

/// Where PayPal is.
pub const PAYPAL_URL: &str = "https://api-m.paypal.com";
/// Hosts a webhook's certificate may come from.
pub const PAYPAL_CERT_HOSTS: [&str; 2] = ["api.paypal.com", "api.sandbox.paypal.com"];
/// A token is renewed so long before it ends.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);
/// Longest life of a token that is believed.
const TOKEN_MOST: Duration = Duration::from_secs(9 * 3_600);
/// Disputes of a capture that are read, PayPal's bound for one page.
const MAX_DISPUTES: usize = 50;
const SERVICE: Service = Service { name: "PayPal", no_object: "RESOURCE_NOT_FOUND", wording };

/// How to reach an app.
#[derive(Clone, Debug)]
pub struct PayPalConfig {
    /// [`PAYPAL_URL`], or a stand-in.
    pub endpoint: Endpoint,
    /// The app's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// The webhook's id, a part of what is signed.
    pub webhook_id: String,
    /// Hosts of certificates, usually [`PAYPAL_CERT_HOSTS`].
    pub cert_hosts: Vec<String>,
}

/// An order to be made.
#[derive(Clone, Debug)]
pub struct NewOrder<'a> {
    /// Our payment, also the request id.
    pub payment: &'a str,
    /// What is written on the order: whose it is.
    pub custom_id: &'a str,
    /// Two decimals.
    pub usd: &'a str,
    /// Where the payer goes after agreeing.
    pub return_url: &'a str,
    /// And after not agreeing.
    pub cancel_url: &'a str,
}

/// What [`PayPal::is_ours`] asks: a webhook that costs a call to be told from a forged one.
#[derive(Debug)]
pub struct Question {
    body: Vec<u8>,
}

struct Token {
    authorization: HeaderValue,
    until: Instant,
}

/// A client of one app.
pub struct PayPal {
    http: Http,
    basic: HeaderValue,
    webhook_id: String,
    cert_hosts: Vec<String>,
    token: Mutex<Option<Token>>,
}

impl fmt::Debug for PayPal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PayPal({:?})", self.http)
    }
}

impl PayPal {
    /// Makes a client; calls nothing.
    ///
    /// # Errors
    /// The base URL is none, or the credentials cannot stand in a header.
    pub fn new(config: &PayPalConfig) -> Result<Self, ClientError> {
        let credentials = format!("{}:{}", config.client_id, config.client_secret.expose());
        let basic = SERVICE.authorization("Basic", &Secret::new(STANDARD.encode(credentials)))?;
        Ok(Self {
            http: Http::new(SERVICE, &config.endpoint)?,
            basic,
            webhook_id: config.webhook_id.clone(),
            cert_hosts: config.cert_hosts.clone(),
            token: Mutex::new(None),
        })
    }

    /// The token, a new one where there is none or it ends soon. Callers wait for one renewal together.
    async fn authorization(&self, refused: Option<&HeaderValue>) -> Result<HeaderValue, CallError> {
        let mut held = self.token.lock().await;
        if let Some(token) = held.as_ref().filter(|token| token.until > Instant::now())
            && refused != Some(&token.authorization)
        {
            return Ok(token.authorization.clone());
        }
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.basic.clone());
        let path = "/v1/oauth2/token";
        let body = Some((FORM, b"grant_type=client_credentials".to_vec()));
        let answer = self.http.call(&Call { headers, body, repeatable: true, ..Call::post(path) }).await?;
        let wrong = || self.http.malformed(path, "access_token");
        let token = text(&answer, "/access_token").ok_or_else(wrong)?;
        let secs = answer.get("expires_in").and_then(Value::as_u64).ok_or_else(wrong)?;
        let authorization = SERVICE.authorization("Bearer", &Secret::new(token)).map_err(|_| wrong())?;
        let life = Duration::from_secs(secs).min(TOKEN_MOST).saturating_sub(TOKEN_MARGIN);
        *held = Some(Token { authorization: authorization.clone(), until: Instant::now() + life });
        Ok(authorization)
    }

    /// Calls with the token; once more with a new one where it is refused.
    async fn call(&self, call: Call) -> Result<Value, CallError> {
        let authorization = self.authorization(None).await?;
        let signed = |authorization: &HeaderValue| {
            let mut call = call.clone();
            call.headers.insert(AUTHORIZATION, authorization.clone());
            call
        };
        match self.http.call(&signed(&authorization)).await {
            Err(error) if error.refusal().is_some_and(|refusal| refusal.status == 401) => {
                let authorization = self.authorization(Some(&authorization)).await?;
                self.http.call(&signed(&authorization)).await
            }
            answer => answer,
        }
    }

    /// Posts JSON. With a key, sending it twice does it once.
    async fn post(&self, path: String, body: Vec<u8>, key: Option<&str>) -> Result<Value, CallError> {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("prefer"), HeaderValue::from_static("return=representation"));
        if let Some(key) = key.and_then(|key| HeaderValue::from_str(key).ok()) {
            headers.insert(HeaderName::from_static("paypal-request-id"), key);
        }
        self.call(Call { headers, body: Some((JSON, body)), repeatable: key.is_some(), ..Call::post(path) }).await
    }

    /// Makes an order; the same one for the same payment within six hours.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn create_order(&self, new: &NewOrder<'_>) -> Result<PayPalOrder, CallError> {
        let path = "/v2/checkout/orders";
        let body = json!({
            "intent": "CAPTURE",
            "purchase_units": [{
                "reference_id": new.payment,
                "custom_id": new.custom_id,
                "description": "Credits",
                "amount": { "currency_code": "USD", "value": new.usd },
            }],
            "payment_source": { "paypal": { "experience_context": {
                "user_action": "PAY_NOW",
                "shipping_preference": "NO_SHIPPING",
                "return_url": new.return_url,
                "cancel_url": new.cancel_url,
            } } },
        });
        let answer = self.post(path.to_owned(), body.to_string().into_bytes(), Some(new.payment)).await?;
        self.http.read(path, read_order(&answer))
    }

    /// An order, with its captures and refunds.
    ///
    /// # Errors
    /// [`CallError`]; a refusal with status 404 where there is none, or no more.
    pub async fn order(&self, id: &str) -> Result<PayPalOrder, CallError> {
        let path = self.http.path("/v2/checkout/orders", id, "")?;
        let answer = self.call(Call::get(path.clone())).await?;
        self.http.read(&path, read_order(&answer))
    }

    /// Captures an approved order, once. Read the order afterwards: it says what became of it.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn capture_order(&self, id: &str, key: &str) -> Result<(), CallError> {
        let path = self.http.path("/v2/checkout/orders", id, "/capture")?;
        self.post(path, b"{}".to_vec(), Some(key)).await.map(drop)
    }

    /// A capture, which names its order.
    ///
    /// # Errors
    /// [`CallError`]; a refusal with status 404 where there is none.
    pub async fn capture(&self, id: &str) -> Result<PayPalCapture, CallError> {
        let path = self.http.path("/v2/payments/captures", id, "")?;
        let answer = self.call(Call::get(path.clone())).await?;
        self.http.read(&path, read_capture(&answer))
    }

    /// Refunds a part of a capture. `refund` is our refund, also the request id.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn create_refund(&self, refund: &str, capture: &str, usd: &str) -> Result<PayPalRefund, CallError> {
        let path = self.http.path("/v2/payments/captures", capture, "/refund")?;
        let body = json!({ "amount": { "currency_code": "USD", "value": usd }, "custom_id": refund });
        let answer = self.post(path.clone(), body.to_string().into_bytes(), Some(refund)).await?;
        self.http.read(&path, read_refund(&answer))
    }

    /// Disputes of a capture, with how they ended.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn disputes(&self, capture: &str) -> Result<Vec<PayPalDispute>, CallError> {
        let path = "/v1/customer/disputes";
        let call = Call::get(path).query("disputed_transaction_id", capture);
        let answer = self.call(call.query("page_size", MAX_DISPUTES.to_string())).await?;
        let rows = self.http.read(path, answer.get("items").and_then(Value::as_array))?;
        let mut disputes = Vec::with_capacity(rows.len().min(MAX_DISPUTES));
        for row in rows.iter().take(MAX_DISPUTES) {
            // How it ended is only in the dispute itself.
            let dispute = match text(row, "/status") {
                Some("RESOLVED") => {
                    let id = self.http.read(path, object_id(row, "/dispute_id"))?;
                    self.call(Call::get(format!("{path}/{id}"))).await?
                }
                _ => row.clone(),
            };
            disputes.push(self.http.read(path, read_dispute(&dispute))?);
        }
        Ok(disputes)
    }

    /// The capture a refund gave back.
    ///
    /// # Errors
    /// [`CallError`]; a refusal with status 404 where there is none.
    pub async fn refunded_capture(&self, refund: &str) -> Result<Option<String>, CallError> {
        let path = self.http.path("/v2/payments/refunds", refund, "")?;
        let answer = self.call(Call::get(path)).await?;
        Ok(answer::up(&answer))
    }

    /// The question whether a webhook is PayPal's, with the event as it came, byte for byte. `None` where it need not be asked:
    /// the certificate is from another host, or the event is no JSON.
    #[must_use]
    pub fn question(&self, transmission: &Transmission, event: &[u8]) -> Option<Question> {
        let is_from = transmission.is_from(&self.cert_hosts);
        let body = is_from.then(|| transmission.check(&self.webhook_id, event)).flatten();
        body.map(|body| Question { body })
    }

    /// Asks PayPal whether a webhook is its own.
    ///
    /// # Errors
    /// [`CallError`] where PayPal does not answer.
    pub async fn is_ours(&self, question: Question) -> Result<bool, CallError> {
        let path = "/v1/notifications/verify-webhook-signature";
        // It only asks: asking twice does no harm.
        let call = Call { body: Some((JSON, question.body)), repeatable: true, ..Call::post(path) };
        match self.call(call).await {
            Ok(answer) => Ok(text(&answer, "/verification_status") == Some("SUCCESS")),
            // PayPal cannot even read what it is said to have sent. Anything about us or our speed is no answer.
            Err(CallError::Refused { path: refused, refusal, .. })
                if refused == path && !matches!(refusal.status, 401 | 403 | 408 | 425 | 429) =>
            {
                tracing::warn!(
                    status = refusal.status,
                    code = refusal.code,
                    "PayPal does not read a webhook as its own"
                );
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

fn wording(body: &Value) -> (String, String) {
    let code = text(body, "/details/0/issue").or(text(body, "/name")).or(text(body, "/error"));
    let detail = text(body, "/details/0/description").or(text(body, "/message")).or(text(body, "/error_description"));
    (code.unwrap_or_default().to_owned(), detail.unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HttpBounds;
    use crate::http::tests::service;

    /// What PayPal's answer to the question whose a webhook is comes to.
    async fn is_ours(answers: &'static [&'static str]) -> Result<bool, CallError> {
        let config = PayPalConfig {
            endpoint: Endpoint {
                base_url: service(answers).await,
                bounds: HttpBounds { tries: 1, ..HttpBounds::default() },
            },
            client_id: "id".to_owned(),
            client_secret: Secret::new("secret"),
            webhook_id: "wh".to_owned(),
            cert_hosts: PAYPAL_CERT_HOSTS.map(str::to_owned).to_vec(),
        };
        let header = |name: &str| match name {
            "paypal-cert-url" => Some("https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1"),
            "paypal-auth-algo" => Some("SHA256withRSA"),
            "paypal-transmission-time" => Some("2026-11-10T00:00:00Z"),
            _ => Some("b1"),
        };
        let transmission = Transmission::read(header).unwrap();
        let paypal = PayPal::new(&config).unwrap();
        let question = paypal.question(&transmission, b"{}").unwrap();
        paypal.is_ours(question).await
    }

    const TOKEN: &str = r#"200 {"access_token":"t","expires_in":3600}"#;

    #[tokio::test]
    async fn a_webhook_that_paypal_does_not_read_is_not_its_own() {
        assert!(is_ours(&[TOKEN, r#"200 {"verification_status":"SUCCESS"}"#]).await.unwrap());
        assert!(!is_ours(&[TOKEN, r#"200 {"verification_status":"FAILURE"}"#]).await.unwrap());
        assert!(!is_ours(&[TOKEN, r#"400 {"name":"VALIDATION_ERROR"}"#]).await.unwrap());
        for ours in [&[TOKEN, "403 {}"][..], &[TOKEN, "429 {}"], &[TOKEN, "500 {}"], &["400 {}"]] {
            assert!(is_ours(ours).await.is_err(), "{ours:?}");
        }
    }
}
