//! What happens to every call before and after its handler: who calls, faults, and answers remembered under the caller's key.
//!
//! The two processors differ in what they remember. Stripe keeps the answer of every call that was begun, 500s too, and refuses
//! the key with other parameters. PayPal keeps what succeeded and answers it again, whatever the parameters.

use crate::config::Processor;
use crate::knobs::Faults;
use crate::serve::Line;
use crate::world::{Shared, World};
use crate::{paypal, stripe};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// Largest body of a call, in bytes.
const MOST_BODY_BYTES: usize = 256 * 1024;
/// How long a key of Stripe is remembered.
const STRIPE_KEY_MS: i64 = 24 * 3_600_000;
/// How long a key of an order or capture is remembered.
const PAYPAL_KEY_MS: i64 = 6 * 3_600_000;
/// How long a key of a refund at PayPal is remembered.
const PAYPAL_REFUND_KEY_MS: i64 = 45 * 24 * 3_600_000;
/// Longest key.
const MOST_KEY: usize = 255;

/// An answer that is not remembered: the call was never begun.
#[derive(Clone)]
pub(crate) struct NotBegun;

/// What is remembered of a call with a key.
pub(crate) struct Replay {
    fingerprint: String,
    expires_ms: i64,
    answer: Option<(StatusCode, Bytes)>,
}

/// A call, as far as the gate looks.
struct Call {
    processor: Processor,
    name: String,
    key: Option<String>,
    fingerprint: String,
    key_ms: i64,
}

/// The layer of Stripe's routes.
pub(crate) async fn stripe(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    gate(Processor::Stripe, &shared, request, next).await
}

/// The layer of PayPal's routes.
pub(crate) async fn paypal(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    gate(Processor::PayPal, &shared, request, next).await
}

async fn gate(processor: Processor, shared: &Shared, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MOST_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let line = parts.extensions.get::<ConnectInfo<Line>>().map(|ConnectInfo(line)| line.clone());
    let call = call(processor, &parts, &body);
    let begun = begin(&mut shared.world(), &call, &parts, &body);
    let faults = match begun {
        Ok(faults) => faults,
        Err(response) => return *response,
    };
    let answer = if faults.fail_before {
        broken(processor)
    } else {
        next.run(Request::from_parts(parts, Body::from(body))).await
    };
    let answer = end(shared, &call, &faults, answer).await;
    if let Some(ms) = faults.slow_ms {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    match line {
        Some(line) if faults.close_after => line.cut(),
        _ if faults.close_after => return broken(processor),
        _ => {}
    }
    answer
}

fn call(processor: Processor, parts: &Parts, body: &Bytes) -> Call {
    let path = parts.uri.path();
    let name = format!("{} {path}", parts.method);
    let text = String::from_utf8_lossy(body);
    let (header, key_ms, content, scope) = match processor {
        Processor::Stripe => {
            ("idempotency-key", STRIPE_KEY_MS, crate::form::Form::parse(&text).canonical(), String::new())
        }
        Processor::PayPal if path.ends_with("/refund") => {
            ("paypal-request-id", PAYPAL_REFUND_KEY_MS, text.into_owned(), name.clone())
        }
        Processor::PayPal => ("paypal-request-id", PAYPAL_KEY_MS, text.into_owned(), name.clone()),
    };
    let key = parts.headers.get(header).and_then(|key| key.to_str().ok()).filter(|_| parts.method == Method::POST);
    let key = key.map(|key| format!("{processor:?} {scope} {key}"));
    let fingerprint = hex::encode(Sha256::digest(format!("{name}\n{content}")));
    Call { processor, name, key, fingerprint, key_ms }
}

/// Whether the call may begin: who calls, faults before, an answer that is remembered.
fn begin(world: &mut World, call: &Call, parts: &Parts, body: &Bytes) -> Result<Faults, Box<Response>> {
    let processor = call.processor;
    match processor {
        Processor::Stripe => stripe::admit(world, parts, body).map_err(|error| Box::new(error.into_response()))?,
        Processor::PayPal => paypal::admit(world, parts, body).map_err(|error| Box::new(error.into_response()))?,
    }
    if call.key.as_ref().is_some_and(|key| key.len() > MOST_KEY + call.name.len()) {
        return Err(Box::new(StatusCode::BAD_REQUEST.into_response()));
    }
    let counts = call.name != paypal::TOKEN_CALL;
    let faults = if counts { world.befalls(&call.name) } else { Faults::default() };
    if let Some(secs) = faults.rate_limited {
        return Err(Box::new(rate_limited(processor, secs)));
    }
    let Some(key) = &call.key else { return Ok(faults) };
    let now_ms = world.now_ms();
    match world.replays.get(key).filter(|replay| replay.expires_ms > now_ms) {
        None => {
            let replay = Replay {
                fingerprint: call.fingerprint.clone(),
                expires_ms: now_ms.saturating_add(call.key_ms),
                answer: None,
            };
            world.replays.insert(key, replay);
            Ok(faults)
        }
        Some(replay) if processor == Processor::Stripe && replay.fingerprint != call.fingerprint => {
            Err(Box::new(stripe::StripeError::key_reused().into_response()))
        }
        Some(Replay { answer: None, .. }) => Err(Box::new(match processor {
            Processor::Stripe => stripe::StripeError::key_in_use().into_response(),
            Processor::PayPal => paypal::PayPalError::in_progress().into_response(),
        })),
        Some(Replay { answer: Some((status, body)), .. }) => Err(Box::new(replayed(processor, *status, body.clone()))),
    }
}

fn replayed(processor: Processor, status: StatusCode, body: Bytes) -> Response {
    let status = if processor == Processor::PayPal { StatusCode::OK } else { status };
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    if processor == Processor::Stripe {
        let name = HeaderName::from_static("idempotent-replayed");
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    response
}

/// Remembers the answer, and makes it a 500 where that is the fault.
async fn end(shared: &Shared, call: &Call, faults: &Faults, answer: Response) -> Response {
    let not_begun = answer.extensions().get::<NotBegun>().is_some();
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let (done, status) = (body.clone(), parts.status);
    let answer = if faults.fail_after {
        let (parts, body) = broken(call.processor).into_parts();
        Response::from_parts(parts, Body::from(to_bytes(body, MOST_BODY_BYTES).await.unwrap_or_default()))
    } else {
        Response::from_parts(parts, Body::from(body))
    };
    let Some(key) = &call.key else { return answer };
    let remembered = match call.processor {
        Processor::Stripe if not_begun => None,
        Processor::Stripe if faults.fail_after => {
            Some((StatusCode::INTERNAL_SERVER_ERROR, stripe::StripeError::body_500()))
        }
        Processor::Stripe => Some((status, done)),
        Processor::PayPal => status.is_success().then_some((status, done)),
    };
    let mut world = shared.world();
    if let Some(replay) = world.replays.get_mut(key) {
        match remembered {
            Some(answer) => replay.answer = Some(answer),
            // As if it had never been sent.
            None => replay.expires_ms = i64::MIN,
        }
    }
    answer
}

fn broken(processor: Processor) -> Response {
    match processor {
        Processor::Stripe => stripe::StripeError::broken().into_response(),
        Processor::PayPal => paypal::PayPalError::broken().into_response(),
    }
}

fn rate_limited(processor: Processor, secs: u32) -> Response {
    let mut response = match processor {
        Processor::Stripe => stripe::StripeError::rate_limited().into_response(),
        Processor::PayPal => paypal::PayPalError::rate_limited().into_response(),
    };
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
    response
}
