//! What every HTTP area has in common, in one place: where its paths stand, bounds on body and time, request ids, one log line
//! a request, errors as problem+json with the request's id, and headers that keep browsers from guessing.

use crate::Problem;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use std::time::{Duration, Instant};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use uuid::Uuid;

/// Largest body of a request, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longest time for an answer: below the 29 s of the function and the 30 s of API Gateway.
pub const MAX_TIME: Duration = Duration::from_secs(28);
/// Longest request id that is taken over from the caller.
const MAX_REQUEST_ID: usize = 64;
/// The header that carries it, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers of every answer. An API needs no scripts, frames or caches; who wants to be cached says so itself.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// An area's routes as they are served: `area` under `/api/v1` and `/api`, `root` as it stands.
pub fn serve(area: Router, root: Router) -> Router {
    let routes = root.nest("/api/v1", area.clone()).nest("/api", area);
    let routes = routes.fallback(|| async { Problem::not_found() });
    let routes = routes
        .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, MAX_TIME))
        .layer(CatchPanicLayer::custom(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response()))
        .layer(from_fn(boundary));
    HEADERS.into_iter().fold(routes, |routes, (name, value)| {
        routes.layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)))
    })
}

/// Names the request, answers errors in one form, and logs once.
async fn boundary(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let status = response.status();
    let mut response = if status.is_client_error() || status.is_server_error() {
        let (mut parts, _) = response.into_parts();
        // What did not come from us (a method that is not allowed, a body that is too long) gets the same form.
        let problem = parts.extensions.remove::<Problem>().unwrap_or_else(|| Problem::of(status));
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
            parts.headers.remove(name);
        }
        let (form, body) = problem.render(&id).into_parts();
        parts.headers.extend(form.headers);
        Response::from_parts(parts, body)
    } else {
        response
    };
    let millis = began.elapsed().as_millis();
    tracing::info!(request_id = %id, %method, path, status = status.as_u16(), millis, "answered");
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The caller's own id where it is one, so that both logs tell the same story; else a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let is_id = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    given.filter(is_id).map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}
