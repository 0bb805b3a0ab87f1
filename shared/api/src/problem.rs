//! Errors as a caller sees them: RFC 9457. What an operator needs goes to the log, and has no way into an answer.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::StoreError;

/// An error answer. [`crate::serve`] writes it, with the request's id.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
}

/// As it is sent.
#[derive(Serialize)]
struct Rendered<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    request_id: &'a str,
}

impl Problem {
    /// An error with a stable `code`; `detail` is for the caller.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { kind: "about:blank", title, status: status.as_u16(), code, detail: detail.into() }
    }

    /// Who asks is not known.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Present a bearer token.")
    }

    /// Nothing stands at this path.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here.")
    }

    /// What a status means that came without a problem of its own.
    #[must_use]
    pub fn of(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "This path does not take that method."),
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "The body is too long."),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_media_type", "Send application/json."),
            StatusCode::SERVICE_UNAVAILABLE => ("unavailable", "Try again in a moment."),
            _ if status.is_client_error() => ("bad_request", "The request cannot be understood."),
            _ => ("internal", "Something went wrong here; it has been noted."),
        };
        Self::new(status, code, detail)
    }

    /// As it is sent: with the id under which the log has the rest.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let mut response = Json(Rendered { problem: self, request_id }).into_response();
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        if self.status == StatusCode::UNAUTHORIZED.as_u16() {
            // RFC 9110, 15.5.2: a 401 says how to authenticate.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Invalid(detail) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unacceptable", detail),
            StoreError::Conflict(_) => {
                Self::new(StatusCode::CONFLICT, "conflict", "Somebody else changed this; read it again.")
            }
            StoreError::KeyReused(_) => {
                Self::new(StatusCode::CONFLICT, "key_reused", "This idempotency key stands for something else.")
            }
            StoreError::Unavailable { .. }
            | StoreError::Corrupt(..)
            | StoreError::Newer { .. }
            | StoreError::NoTable(_) => {
                tracing::error!(error = %error, "the store failed");
                Self::of(StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
