//! PayPal's errors: `{name, message, debug_id, details: [{issue, description, field}], links}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// What a caller cannot read anything from, but support can.
const DEBUG_ID: &str = "5a2db0c1f4e7d";

/// An error as it is answered.
#[derive(Clone, Debug)]
pub(crate) struct PayPalError {
    status: StatusCode,
    name: &'static str,
    message: &'static str,
    issue: Option<(&'static str, &'static str)>,
    field: Option<&'static str>,
}

impl PayPalError {
    fn new(status: StatusCode, name: &'static str, message: &'static str) -> Self {
        Self { status, name, message, issue: None, field: None }
    }

    fn issue(self, issue: &'static str, description: &'static str) -> Self {
        Self { issue: Some((issue, description)), ..self }
    }

    pub fn missing() -> Self {
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_NOT_FOUND", "The specified resource does not exist.").issue(
            "INVALID_RESOURCE_ID",
            "Specified resource ID does not exist. Please check the resource ID and try again.",
        )
    }

    /// What was sent cannot be understood.
    pub fn invalid(field: &'static str, issue: &'static str, description: &'static str) -> Self {
        let message = "Request is not well-formed, syntactically incorrect, or violates schema.";
        let error = Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message).issue(issue, description);
        Self { field: Some(field), ..error }
    }

    pub fn required(field: &'static str) -> Self {
        Self::invalid(field, "MISSING_REQUIRED_PARAMETER", "A required field is missing.")
    }

    pub fn malformed() -> Self {
        Self::invalid("/", "MALFORMED_REQUEST_JSON", "The request JSON is not well formed.")
    }

    pub fn media_type() -> Self {
        let message = "The server does not support the request payload's media type.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message)
    }

    /// It is understood and the state of things forbids it.
    pub fn state(issue: &'static str, description: &'static str) -> Self {
        let message =
            "The requested action could not be performed, semantically incorrect, or failed business validation.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "UNPROCESSABLE_ENTITY", message).issue(issue, description)
    }

    pub fn in_progress() -> Self {
        let message = "The server has detected a conflict while processing this request.";
        Self::new(StatusCode::CONFLICT, "RESOURCE_CONFLICT", message).issue(
            "PREVIOUS_REQUEST_IN_PROGRESS",
            "A previous request on this resource is currently in progress. Please wait for sometime and try again.",
        )
    }

    pub fn rate_limited() -> Self {
        let message = "Too many requests. Blocked due to rate limiting.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_REACHED", message)
    }

    pub fn broken() -> Self {
        let message = "An internal server error has occurred.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", message)
    }

    pub fn text(&self) -> &'static str {
        self.issue.map_or(self.message, |(_, description)| description)
    }
}

impl IntoResponse for PayPalError {
    fn into_response(self) -> Response {
        let mut body = json!({ "name": self.name, "message": self.message, "debug_id": DEBUG_ID });
        if let Some((fields, (issue, description))) = body.as_object_mut().zip(self.issue) {
            let mut detail = json!({ "issue": issue, "description": description });
            if let Some((detail, field)) = detail.as_object_mut().zip(self.field) {
                detail.insert("field".to_owned(), field.into());
                detail.insert("location".to_owned(), "body".into());
            }
            fields.insert("details".to_owned(), json!([detail]));
            let href = format!("https://developer.paypal.com/docs/api/orders/v2/#error-{issue}");
            fields.insert("links".to_owned(), json!([{ "href": href, "rel": "information_link", "method": "GET" }]));
        }
        (self.status, [("paypal-debug-id", DEBUG_ID)], Json(body)).into_response()
    }
}

/// Errors about tokens have OAuth's form instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenError {
    pub status: StatusCode,
    pub error: &'static str,
    pub description: &'static str,
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        (self.status, [("paypal-debug-id", DEBUG_ID)], Json(body)).into_response()
    }
}
