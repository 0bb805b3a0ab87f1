//! Stripe: payment intents, refunds, disputes, customers and their saved cards, and ([`signature`]) whether a webhook is its.
//!
//! Owns the wire format: forms in, JSON out, the version that is pinned. Answers are read leniently (only the fields that are
//! needed) and those are checked strictly. Does *not* decide what a payment's state means for anybody's money.

mod answer;
pub mod signature;

use crate::http::{Call, CallError, ClientError, Endpoint, FORM, Http, Service, object_id, text};
use crate::secret::Secret;
use answer::{read_dispute, read_intent, read_method, read_refund};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

pub use answer::{StripeDispute, StripeIntent, StripeIntentStatus, StripeMethod, StripeRefund, StripeRefundStatus};

/// Where Stripe is.
pub const STRIPE_URL: &str = "https://api.stripe.com";
/// The version whose fields are read here.
pub const STRIPE_VERSION: &str = "2025-09-30.clover";
/// The key of an intent's metadata that holds our payment.
pub const META_PAYMENT: &str = "payment";
/// The key that holds our customer.
pub const META_CUSTOMER: &str = "customer";
/// The key of a refund's metadata that holds our refund.
pub const META_REFUND: &str = "refund";
/// Rows of a list at once, the API's bound, and how many times.
const PAGE_ROWS: usize = 100;
const MAX_PAGES: usize = 5;
/// Saved methods of a customer that are shown.
const MAX_METHODS: usize = 20;
const SERVICE: Service = Service { name: "Stripe", no_object: "resource_missing", wording };

/// How to reach an account.
#[derive(Clone, Debug)]
pub struct StripeConfig {
    /// [`STRIPE_URL`], or a stand-in.
    pub endpoint: Endpoint,
    /// The secret key.
    pub key: Secret,
}

/// An intent to be made.
#[derive(Clone, Debug)]
pub struct NewIntent<'a> {
    /// Our payment, also the idempotency key.
    pub payment: &'a str,
    /// Our customer.
    pub customer: &'a str,
    /// Stripe's name for the customer.
    pub stripe_customer: &'a str,
    /// Cents.
    pub cents: i64,
    /// Save the method for later.
    pub save_method: bool,
    /// Charge this saved method now, the customer being away.
    pub off_session: Option<&'a str>,
}

/// A client of one account.
#[derive(Debug)]
pub struct Stripe {
    http: Http,
    authorization: HeaderValue,
}

impl Stripe {
    /// Makes a client; calls nothing.
    ///
    /// # Errors
    /// The base URL is none, or the key cannot stand in a header.
    pub fn new(config: &StripeConfig) -> Result<Self, ClientError> {
        let authorization = SERVICE.authorization("Bearer", &config.key)?;
        Ok(Self { http: Http::new(SERVICE, &config.endpoint)?, authorization })
    }

    async fn get(&self, call: Call) -> Result<Value, CallError> {
        let headers = self.headers(None);
        self.http.call(&Call { headers, ..call }).await
    }

    /// Posts a form. With a key, sending it twice does it once.
    async fn post(&self, path: String, form: &[(&str, &str)], key: Option<&str>) -> Result<Value, CallError> {
        let body = form_urlencoded(form);
        let call = Call {
            headers: self.headers(key),
            body: Some((FORM, body)),
            repeatable: key.is_some(),
            ..Call::post(path)
        };
        self.http.call(&call).await
    }

    fn headers(&self, key: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(HeaderName::from_static("stripe-version"), HeaderValue::from_static(STRIPE_VERSION));
        if let Some(key) = key.and_then(|key| HeaderValue::from_str(key).ok()) {
            headers.insert(HeaderName::from_static("idempotency-key"), key);
        }
        headers
    }

    /// Makes an intent; with `off_session` it is charged at once. A card that is declined then is no error: the intent says so.
    ///
    /// # Errors
    /// [`CallError`]. Where the outcome is unknown, [`Stripe::find_intent`] tells.
    pub async fn create_intent(&self, new: &NewIntent<'_>) -> Result<StripeIntent, CallError> {
        let path = "/v1/payment_intents";
        let cents = new.cents.to_string();
        let mut form = vec![
            ("amount", cents.as_str()),
            ("currency", "usd"),
            ("customer", new.stripe_customer),
            ("description", "Credits"),
            ("metadata[payment]", new.payment),
            ("metadata[customer]", new.customer),
            ("automatic_payment_methods[enabled]", "true"),
        ];
        if new.save_method {
            form.push(("setup_future_usage", "off_session"));
        }
        if let Some(method) = new.off_session {
            form.extend([("automatic_payment_methods[allow_redirects]", "never")]);
            form.extend([("payment_method", method), ("off_session", "true"), ("confirm", "true")]);
        }
        let answer = self.post(path.to_owned(), &form, Some(new.payment)).await;
        self.intent_of(path, answer)
    }

    /// An intent, with how much of its charge was given back and whether it was disputed.
    ///
    /// # Errors
    /// [`CallError`]; a refusal with status 404 where there is none.
    pub async fn intent(&self, id: &str) -> Result<StripeIntent, CallError> {
        let call = Call::get(self.http.path("/v1/payment_intents", id, "")?).query("expand[]", "latest_charge");
        let path = call.path.clone();
        let answer = self.get(call).await?;
        self.http.read(&path, read_intent(&answer))
    }

    /// The intent that was made for a payment, if there is one: the customer's newest intents are looked through.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn find_intent(&self, stripe_customer: &str, payment: &str) -> Result<Option<StripeIntent>, CallError> {
        let call = Call::get("/v1/payment_intents").query("customer", stripe_customer);
        let rows = self.list(call, &|row| text(row, "/metadata/payment") == Some(payment)).await?;
        let found = rows.iter().find(|row| text(row, "/metadata/payment") == Some(payment));
        found.map(|row| self.http.read("/v1/payment_intents", read_intent(row))).transpose()
    }

    /// Confirms an intent with a payment method, the customer being there. A card that is declined is no error.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn confirm_intent(
        &self,
        id: &str,
        method: &str,
        return_url: &str,
        key: Option<&str>,
    ) -> Result<StripeIntent, CallError> {
        let path = self.http.path("/v1/payment_intents", id, "/confirm")?;
        let answer = self.post(path.clone(), &[("payment_method", method), ("return_url", return_url)], key).await;
        self.intent_of(&path, answer)
    }

    /// Cancels an intent, so that it can never be captured. One that is over already is answered as it is.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn cancel_intent(&self, id: &str) -> Result<StripeIntent, CallError> {
        let path = self.http.path("/v1/payment_intents", id, "/cancel")?;
        // Cancelling twice is refused the second time, with the intent as it is.
        let answer = self.post(path.clone(), &[("cancellation_reason", "abandoned")], None).await;
        self.intent_of(&path, answer)
    }

    /// Refunds of an intent, newest first, all of them.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn refunds(&self, intent: &str) -> Result<Vec<StripeRefund>, CallError> {
        let rows = self.list(Call::get("/v1/refunds").query("payment_intent", intent), &|_| false).await?;
        rows.iter().map(|row| self.http.read("/v1/refunds", read_refund(row))).collect()
    }

    /// Disputes of an intent, newest first, all of them.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn disputes(&self, intent: &str) -> Result<Vec<StripeDispute>, CallError> {
        let rows = self.list(Call::get("/v1/disputes").query("payment_intent", intent), &|_| false).await?;
        rows.iter().map(|row| self.http.read("/v1/disputes", read_dispute(row))).collect()
    }

    /// Refunds a part of an intent. `refund` is our refund, also the idempotency key.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn create_refund(&self, refund: &str, intent: &str, cents: i64) -> Result<StripeRefund, CallError> {
        let path = "/v1/refunds";
        let cents = cents.to_string();
        let form = [("payment_intent", intent), ("amount", cents.as_str()), ("metadata[refund]", refund)];
        let answer = self.post(path.to_owned(), &form, Some(refund)).await?;
        self.http.read(path, read_refund(&answer))
    }

    /// Makes a customer; the same one for the same `customer` within the life of a key.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn create_customer(&self, customer: &str) -> Result<String, CallError> {
        let path = "/v1/customers";
        let key = format!("customer-{customer}");
        let answer = self.post(path.to_owned(), &[("metadata[customer]", customer)], Some(&key)).await?;
        self.http.read(path, object_id(&answer, "/id"))
    }

    /// A customer's saved cards, newest first.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn methods(&self, stripe_customer: &str) -> Result<Vec<StripeMethod>, CallError> {
        let path = self.http.path("/v1/customers", stripe_customer, "/payment_methods")?;
        let call = Call::get(path.clone()).query("type", "card").query("limit", MAX_METHODS.to_string());
        let answer = self.get(call).await?;
        let rows = self.http.read(&path, answer.get("data").and_then(Value::as_array))?;
        rows.iter().map(|row| self.http.read(&path, read_method(row))).collect()
    }

    /// A saved card.
    ///
    /// # Errors
    /// [`CallError`]; a refusal with status 404 where there is none.
    pub async fn method(&self, id: &str) -> Result<StripeMethod, CallError> {
        let path = self.http.path("/v1/payment_methods", id, "")?;
        let answer = self.get(Call::get(path.clone())).await?;
        self.http.read(&path, read_method(&answer))
    }

    /// Takes a card from its customer, for ever.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn detach_method(&self, id: &str) -> Result<(), CallError> {
        let path = self.http.path("/v1/payment_methods", id, "/detach")?;
        self.post(path, &[], None).await.map(drop)
    }

    /// An intent answered, or shown in the refusal of what was asked of it.
    fn intent_of(&self, path: &str, answer: Result<Value, CallError>) -> Result<StripeIntent, CallError> {
        match answer {
            Ok(answer) => self.http.read(path, read_intent(&answer)),
            Err(error) => {
                let shown = error.refusal().and_then(|refusal| refusal.body.pointer("/error/payment_intent"));
                shown.and_then(read_intent).ok_or(error)
            }
        }
    }

    /// Every row of a list, up to where `enough` says so.
    async fn list(&self, call: Call, enough: &(dyn Fn(&Value) -> bool + Sync)) -> Result<Vec<Value>, CallError> {
        let mut rows: Vec<Value> = Vec::new();
        for _ in 0..MAX_PAGES {
            let mut call = call.clone().query("limit", PAGE_ROWS.to_string());
            if let Some(last) = rows.last().and_then(|row| text(row, "/id")) {
                call = call.query("starting_after", last);
            }
            let path = call.path.clone();
            let answer = self.get(call).await?;
            let data = self.http.read(&path, answer.get("data").and_then(Value::as_array))?;
            rows.extend(data.iter().cloned());
            let more = answer.get("has_more").and_then(Value::as_bool).unwrap_or(false);
            if !more || data.is_empty() || data.iter().any(enough) {
                return Ok(rows);
            }
        }
        Err(self.http.malformed(&call.path, "end within the pages that are read"))
    }
}

fn form_urlencoded(form: &[(&str, &str)]) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into_bytes()
}

fn wording(body: &Value) -> (String, String) {
    // That a key was another call's is said by the type alone.
    let of_key = text(body, "/error/type").filter(|kind| *kind == "idempotency_error");
    let code = of_key.or(text(body, "/error/decline_code")).or(text(body, "/error/code")).or(text(body, "/error/type"));
    (code.unwrap_or_default().to_owned(), text(body, "/error/message").unwrap_or_default().to_owned())
}
