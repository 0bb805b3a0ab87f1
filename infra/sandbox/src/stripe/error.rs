//! Stripe's errors: `{"error": {type, code, decline_code, message, param, ...}}`.

use super::cards::Decline;
use crate::gate::NotBegun;
use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// An error as it is answered.
#[derive(Clone, Debug)]
pub(crate) struct StripeError {
    status: StatusCode,
    fields: Map<String, Value>,
    /// Whether the call was begun, so that its answer stands for its key.
    begun: bool,
}

impl StripeError {
    fn new(status: StatusCode, kind: &str, message: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert("message".to_owned(), Value::String(message.into()));
        fields.insert("type".to_owned(), kind.into());
        Self { status, fields, begun: false }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    fn code(self, code: &str) -> Self {
        self.with("code", code)
            .with("doc_url", format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")))
    }

    /// What the caller sent cannot be understood.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    pub fn param(param: &str, code: &str, message: impl Into<String>) -> Self {
        Self::invalid(message).code(code).with("param", param)
    }

    pub fn required(param: &str) -> Self {
        Self::param(param, "parameter_missing", format!("Missing required param: {param}."))
    }

    pub fn integer(param: &str, given: &str) -> Self {
        Self::param(param, "parameter_invalid_integer", format!("Invalid integer: {given}"))
    }

    pub fn unknown(param: &str) -> Self {
        Self::param(param, "parameter_unknown", format!("Received unknown parameter: {param}"))
    }

    pub fn missing(object: &str, id: &str, param: &str) -> Self {
        let mut error = Self::param(param, "resource_missing", format!("No such {object}: '{id}'"));
        error.status = StatusCode::NOT_FOUND;
        error
    }

    /// It is understood and the state of things forbids it. Stands for its key.
    pub fn state(code: &str, message: impl Into<String>) -> Self {
        Self { begun: true, ..Self::invalid(message).code(code) }
    }

    /// A card that was declined while the customer was absent or the shop waited.
    pub fn card(decline: Decline, charge: Option<&str>, intent: Value, method: Value) -> Self {
        let error = Self::new(StatusCode::PAYMENT_REQUIRED, "card_error", decline.message).code(decline.code);
        let error = decline.decline_code.into_iter().fold(error, |error, code| error.with("decline_code", code));
        let error = charge.into_iter().fold(error, |error, charge| error.with("charge", charge));
        Self { begun: true, ..error.with("payment_intent", intent).with("payment_method", method) }
    }

    pub fn with_intent(self, intent: Value) -> Self {
        self.with("payment_intent", intent)
    }

    pub fn unauthorised(absent: bool) -> Self {
        let message = if absent {
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth \
             (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        } else {
            "Invalid API Key provided: ********"
        };
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", message)
    }

    pub fn key_reused() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "idempotency_error",
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a \
             key other than the one given if you meant to execute a different request.",
        )
    }

    pub fn key_in_use() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "idempotency_error",
            "There is currently another in-progress request using this Stripe Idempotent Key (that probably means you \
             submitted twice, and the other request is still going through).",
        )
        .code("idempotency_key_in_use")
    }

    pub fn rate_limited() -> Self {
        let message =
            "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "invalid_request_error", message).code("rate_limit")
    }

    pub fn broken() -> Self {
        let message = "Sorry! There was an error while talking to one of our backends. Support has been notified.";
        Self { begun: true, ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", message) }
    }

    /// The body of [`Self::broken`].
    pub fn body_500() -> Bytes {
        Bytes::from(json!({ "error": Self::broken().fields }).to_string())
    }

    pub fn message(&self) -> String {
        self.fields.get("message").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

impl IntoResponse for StripeError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.fields }))).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"Stripe\""));
        }
        if !self.begun {
            response.extensions_mut().insert(NotBegun);
        }
        response
    }
}
