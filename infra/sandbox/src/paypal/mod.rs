//! PayPal: access tokens, orders, captures, refunds, disputes, the check of webhook signatures, and the events about them.
//!
//! Owns the wire format and the rules that a caller can run into. One purchase unit an order; no authorisations, no vault.

mod books;
mod captures;
mod disputes;
mod error;
mod events;
mod objects;
mod orders;
mod tokens;

pub use books::Wallet;
pub(crate) use books::{Books, CaptureStatus, DisputeOutcome, Order, OrderStatus};
pub(crate) use captures::{refund, reverse, settle};
pub(crate) use disputes::{close, open};
pub(crate) use error::PayPalError;
pub(crate) use events::{signed, written};
pub(crate) use orders::approve;
pub(crate) use tokens::admit;

use crate::form::Form;
use crate::world::Shared;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;

/// The call that needs no token and that faults leave alone, because callers make it when they like.
pub(crate) const TOKEN_CALL: &str = "POST /v1/oauth2/token";

type Answer = Result<Json<Value>, PayPalError>;

/// Every path of the API that is spoken here.
pub(crate) fn routes(shared: &Shared) -> Router<Shared> {
    Router::new()
        .route("/v1/oauth2/token", post(token))
        .route("/v2/checkout/orders", post(order_create))
        .route("/v2/checkout/orders/{id}", get(order_show))
        .route("/v2/checkout/orders/{id}/capture", post(order_capture))
        .route("/v2/payments/captures/{id}", get(capture_show))
        .route("/v2/payments/captures/{id}/refund", post(capture_refund))
        .route("/v2/payments/refunds/{id}", get(refund_show))
        .route("/v1/customer/disputes", get(dispute_list))
        .route("/v1/customer/disputes/{id}", get(dispute_show))
        .route("/v1/notifications/verify-webhook-signature", post(verify))
        .route_layer(from_fn_with_state(shared.clone(), crate::gate::paypal))
}

/// `Prefer: return=representation` asks for the whole object; without it only id, status and links are answered.
fn whole(headers: &HeaderMap) -> bool {
    headers
        .get("prefer")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.contains("return=representation"))
}

async fn token(State(shared): State<Shared>, headers: HeaderMap, body: String) -> Response {
    tokens::grant(&mut shared.world(), &headers, &Form::parse(&body))
}

async fn order_create(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Response, PayPalError> {
    let (made, payer_action) = orders::create(&mut shared.world(), &body, whole(&headers))?;
    // As PayPal does: an order with a payment source is answered 200, one without 201.
    Ok((if payer_action { StatusCode::OK } else { StatusCode::CREATED }, Json(made)).into_response())
}

async fn order_show(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let world = shared.world();
    Ok(Json(objects::order(&world, orders::live(&world, &id)?)))
}

async fn order_capture(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, PayPalError> {
    let captured = orders::capture(&mut shared.world(), &id)?;
    Ok((StatusCode::CREATED, Json(captured)).into_response())
}

async fn capture_show(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let world = shared.world();
    Ok(Json(objects::capture(&world, world.paypal.capture(&id)?)))
}

async fn capture_refund(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, PayPalError> {
    let made = captures::create_refund(&mut shared.world(), &id, &body, whole(&headers))?;
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

async fn refund_show(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let world = shared.world();
    let refund = world.paypal.refunds.get(&id).ok_or_else(PayPalError::missing)?;
    Ok(Json(objects::refund(&world, refund)))
}

async fn dispute_list(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    Ok(Json(disputes::list(&shared.world(), &Form::parse(&query.unwrap_or_default()))))
}

async fn dispute_show(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let world = shared.world();
    let dispute = world.paypal.disputes.get(&id).ok_or_else(PayPalError::missing)?;
    Ok(Json(objects::dispute(&world, dispute)))
}

async fn verify(State(shared): State<Shared>, body: Bytes) -> Answer {
    events::verify(&shared.world(), &body).map(Json)
}
