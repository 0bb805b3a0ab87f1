//! `POST /payments/{id}/confirm`: the customer has paid, or pays now with a method.

use crate::State;
use crate::view::PaymentView;
use api::{Caller, ClientIp, IdempotencyKey, Json, PathId, Problem};
use axum::extract::State as With;
use cashier::{is_object_id, limits};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

/// How it is confirmed.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRequest {
    /// Stripe's id of a method to charge now (`pm_...`). Leave it out where Stripe.js has charged one, and for PayPal.
    #[garde(inner(custom(object_id)))]
    #[schema(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9_-]+$", example = "pm_card_visa")]
    payment_method: Option<String>,
}

fn object_id(text: &str, (): &()) -> garde::Result {
    let detail = "it is not the id of a payment method";
    if is_object_id(text) { Ok(()) } else { Err(garde::Error::new(detail)) }
}

/// Asks the processor whether it is paid, and credits what was captured.
#[utoipa::path(
    post, path = "/payments/{id}/confirm", tag = "payments", operation_id = "payment_confirm", request_body = ConfirmRequest,
    params(("id" = String, Path, description = "The payment.")),
    responses((status = 200, body = PaymentView)), security(("bearer" = []))
)]
pub async fn confirm(
    With(state): With<State>,
    caller: Caller,
    ip: ClientIp,
    IdempotencyKey(key): IdempotencyKey,
    PathId(id): PathId,
    Json(body): Json<ConfirmRequest>,
) -> Result<axum::Json<PaymentView>, Problem> {
    limits::pay(&state.kit, &caller, ip).await?;
    let payment = state.cashier.confirm(&caller.user, &id, body.payment_method.as_deref(), key.as_deref()).await?;
    Ok(axum::Json(payment.into()))
}
