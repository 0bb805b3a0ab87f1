//! `Idempotency-Key`: the same request twice is done once, and answered twice.
//!
//! A route that takes the header is wrapped in [`idempotent`]. The first request claims the key, works, and its answer is kept
//! for a day if it was a success; a replay gets that answer with `Idempotency-Replayed: true`. The same key with another
//! body is a conflict; a replay that comes while the first is at work is told to wait. What is refused is forgotten, so that
//! the request can be mended and sent again under the same key. What broke may be done in part: only the same body goes on
//! with it.
//!
//! It does *not* protect money: what is posted has a key of its own on the ledger, derived from this one.

use crate::caller::Caller;
use crate::kit::Kit;
use crate::problem::{FieldError, Problem};
use crate::serve::MAX_BODY_BYTES;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use store::{Claimed, MAX_ANSWER_BYTES, RequestKey};
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa_axum::router::{UtoipaMethodRouter, UtoipaMethodRouterExt};

/// The header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Set on a replayed answer.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key that is taken, in bytes.
pub const MAX_KEY_BYTES: usize = 255;
/// Seconds after which a replay of a request at work may come again.
const IN_FLIGHT_SECS: i64 = 2;

/// The client's key, where it gave one: what is posted on the ledger derives its own from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        client_key(&parts.headers).map(Self)
    }
}

fn client_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
    let detail = format!("it has 1 to {MAX_KEY_BYTES} visible ASCII characters");
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Problem::parameter("Idempotency-Key", detail))
}

/// Makes routes take the header, and says so in OpenAPI.
pub fn idempotent<S: Clone + Send + Sync + 'static>(routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    let (schemas, mut paths, router) = routes.layer(from_fn(once));
    for operation in paths.paths.values_mut().filter_map(|item| item.post.as_mut()) {
        let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MAX_KEY_BYTES));
        let parameter = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .description(Some("Names the request: sent again with the same key, it is done once and answered twice."))
            .schema(Some(text));
        operation.parameters.get_or_insert_default().push(parameter.build().into());
    }
    (schemas, paths, router)
}

async fn once(request: Request, next: Next) -> Response {
    match answer(request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn answer(request: Request, next: Next) -> Result<Response, Problem> {
    let Some(client_key) = client_key(request.headers())? else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    let kit = Kit::of_request(&parts)?;
    let caller = if parts.headers.contains_key(header::AUTHORIZATION) {
        Caller::from_request_parts(&mut parts, &()).await?.user.to_string()
    } else {
        "public".to_owned()
    };
    let too_long = |_| Problem::of(StatusCode::PAYLOAD_TOO_LARGE);
    let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(too_long)?;
    // One hash of all three: a path may be longer than a key of the table.
    let request = format!("{}\n{}\n{client_key}", parts.method, parts.uri.path());
    let key = RequestKey { caller, request: hex::encode(Sha256::digest(request)) };
    match kit.store.answer_claim(&key, &hex::encode(Sha256::digest(&body)), kit.clock.now()).await? {
        Claimed::New => {}
        Claimed::Answered { status, answer } => return Ok(replay(status, answer)),
        Claimed::InFlight => {
            let detail = "The first request with this key is still at work.";
            return Err(Problem::new(StatusCode::CONFLICT, "in_flight", detail).retry_after(IN_FLIGHT_SECS));
        }
        Claimed::OtherBody => {
            let detail = "This idempotency key was used with another body.";
            let field = FieldError::parameter("Idempotency-Key", "it stands for another request");
            return Err(Problem::new(StatusCode::CONFLICT, "key_reused", detail).with_errors(vec![field]));
        }
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    keep(&kit, &key, response).await
}

/// A success is kept; a refusal gives the claim back; where nobody knows how far it came, the claim ends and the body stays. Where
/// none of it can be written, the claim runs out by itself.
async fn keep(kit: &Kit, key: &RequestKey, response: Response) -> Result<Response, Problem> {
    if response.status().is_server_error() {
        if let Err(error) = kit.store.answer_let_go(key).await {
            tracing::warn!(error = %error, "a claim was not ended");
        }
        return Ok(response);
    }
    if !response.status().is_success() {
        if let Err(error) = kit.store.answer_release(key).await {
            tracing::warn!(error = %error, "a claim was not given back");
        }
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_ANSWER_BYTES).await.map_err(|error| {
        tracing::error!(error = %error, "an answer is too long to be kept");
        Problem::of(StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    if let Ok(text) = std::str::from_utf8(&bytes)
        && let Err(error) = kit.store.answer_keep(key, parts.status.as_u16(), text).await
    {
        tracing::warn!(error = %error, "an answer was not kept");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn replay(status: u16, answer: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let json = (!answer.is_empty()).then_some((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
    let mut response = (status, answer).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    response.headers_mut().extend(json);
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    response
}
