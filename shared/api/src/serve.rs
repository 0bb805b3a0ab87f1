//! What every HTTP area has in common, in one place: where its paths stand, bounds on body and time, request ids, one log line
//! a request, errors as problem+json with the request's id, who may call from a browser, and headers that keep it from guessing.

use crate::idempotency::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED};
use crate::kit::Kit;
use crate::problem::Problem;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// Largest body of a request, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longest time for an answer: below the 29 s of the function and the 30 s of API Gateway.
pub const MAX_TIME: Duration = Duration::from_secs(28);
/// Longest request id that is taken over from the caller.
const MAX_REQUEST_ID: usize = 64;
/// The header that carries it, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request's id, as its answer and its line in the log carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self(String::new())))
    }
}

/// Headers of every answer. An API needs no scripts, frames or caches; who wants to be cached says so itself.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// How long a browser may remember what a preflight said.
const PREFLIGHT_AGE: Duration = Duration::from_secs(3_600);

/// An area's operations with its state, and their description. Extractors and layers find the kit in the request.
pub fn area<S: Clone + Send + Sync + 'static>(kit: Kit, routes: OpenApiRouter<S>, state: S) -> (Router, OpenApi) {
    let (router, document) = routes.with_state(state).split_for_parts();
    (router.layer(Extension(kit)), document)
}

/// Routes as they are served: `area` under `/api/v1` and `/api`, `root` as it stands. Pages of `origins` may call.
pub fn serve(origins: &[String], area: Router, root: Router) -> Router {
    let routes = root.nest("/api/v1", area.clone()).nest("/api", area);
    let routes = routes.fallback(|| async { Problem::not_found() });
    let routes = routes
        .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, MAX_TIME))
        .layer(CatchPanicLayer::custom(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response()))
        .layer(from_fn(boundary))
        .layer(cors(origins));
    HEADERS.into_iter().fold(routes, |routes, (name, value)| {
        routes.layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)))
    })
}

/// One area, as its function serves it.
pub fn serve_area<S: Clone + Send + Sync + 'static>(
    kit: Kit,
    routes: OpenApiRouter<S>,
    state: S,
    root: Router,
) -> Router {
    let origins = kit.origins.clone();
    serve(&origins, area(kit, routes, state).0, root)
}

/// Pages of these origins may call. No cookies are used, so none are allowed: a page must have the token.
fn cors(origins: &[String]) -> CorsLayer {
    let origin = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, IDEMPOTENCY_KEY, REQUEST_ID])
        .expose_headers([REQUEST_ID, IDEMPOTENCY_REPLAYED, header::RETRY_AFTER])
        .max_age(PREFLIGHT_AGE)
}

/// Names the request, answers errors in one form, and logs once.
async fn boundary(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(&request);
    request.extensions_mut().insert(RequestId(id.clone()));
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
