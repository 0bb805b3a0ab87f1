//! Errors as a caller sees them: RFC 9457. What an operator needs goes to the log, and has no way into an answer.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

/// Bad fields that are named in one answer.
const MAX_FIELDS: usize = 20;

/// An error answer. [`crate::serve`] writes it, with the request's id.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(skip)]
    retry_after_secs: Option<i64>,
}

/// One bad field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where in the body, as a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Or which parameter of the query or header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong with it.
    pub detail: String,
}

impl FieldError {
    /// A field of the body.
    pub fn body(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), parameter: None, detail: detail.into() }
    }

    /// A parameter of the query, or a header.
    pub fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: None, parameter: Some(name.into()), detail: detail.into() }
    }
}

/// As it is sent.
#[derive(Serialize)]
struct Rendered<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    request_id: &'a str,
}

/// The form of every error (RFC 9457), for OpenAPI.
#[derive(Debug, ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "it is the schema of what `Rendered` writes")]
pub struct ProblemSchema {
    /// Always `about:blank`: `code` says which problem it is.
    r#type: String,
    /// The status in words.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Stable, in snake_case: for programs.
    #[schema(pattern = "^[a-z0-9_]+$")]
    code: String,
    /// What is wrong, for people.
    detail: String,
    /// The bad fields, where there are some.
    errors: Option<Vec<FieldError>>,
    /// Names the request in our log.
    request_id: String,
}

impl Problem {
    /// An error with a stable `code`; `detail` is for the caller.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        let (kind, status, detail) = ("about:blank", status.as_u16(), detail.into());
        Self { kind, title, status, code, detail, errors: Vec::new(), retry_after_secs: None }
    }

    /// The body is readable, and not acceptable: which fields, and why.
    #[must_use]
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let detail = "Some fields cannot be accepted; see errors.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", detail).with_errors(errors)
    }

    /// One bad field of the body.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::body(pointer, detail)])
    }

    /// A parameter of the query, or a header, that cannot be read.
    pub fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        let problem =
            Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", "A parameter cannot be read; see errors.");
        problem.with_errors(vec![FieldError::parameter(name, detail)])
    }

    /// Names the bad fields.
    #[must_use]
    pub fn with_errors(mut self, mut errors: Vec<FieldError>) -> Self {
        errors.truncate(MAX_FIELDS);
        self.errors = errors;
        self
    }

    /// Too much in too short a time: when to come again.
    #[must_use]
    pub fn too_many(retry_after_secs: i64) -> Self {
        let problem =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests; wait a little.");
        problem.retry_after(retry_after_secs)
    }

    /// Says when to come again.
    #[must_use]
    pub fn retry_after(mut self, secs: i64) -> Self {
        self.retry_after_secs = Some(secs.max(1));
        self
    }

    /// What the caller is may not do this.
    #[must_use]
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// The status it is sent with.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
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
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
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
