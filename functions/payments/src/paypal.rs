//! `POST /payments/paypal/orders[/{id}/capture]`: buys credits by PayPal.

use crate::State;
use crate::intent::purchase;
use crate::view::PaymentView;
use api::{AmountText, Caller, ClientIp, IdempotencyKey, Json, PathId, Problem};
use axum::extract::State as With;
use axum::http::StatusCode;
use cashier::{Purchase, limits};
use domain::payment::Processor;
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

/// Credits that are wanted.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct OrderRequest {
    /// How much: 1.00 to 1000.00, at most two decimals.
    #[schema(value_type = String, pattern = r"^[0-9]{1,4}(\.[0-9]{1,2})?$", example = "5.00")]
    amount: AmountText,
    /// `USD`, which is also what a missing one means.
    #[schema(pattern = "^(USD|usd)$")]
    currency: Option<String>,
}

/// Begins to buy credits by PayPal. Send the customer to `approve_url`, then capture.
#[utoipa::path(
    post, path = "/payments/paypal/orders", tag = "payments", operation_id = "paypal_order", request_body = OrderRequest,
    responses((status = 201, body = PaymentView)), security(("bearer" = []))
)]
pub async fn create(
    With(state): With<State>,
    caller: Caller,
    ip: ClientIp,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<OrderRequest>,
) -> Result<(StatusCode, axum::Json<PaymentView>), Problem> {
    let amount = purchase(&body.amount, body.currency.as_deref())?;
    limits::pay(&state.kit, &caller, ip).await?;
    let (customer, processor) = (caller.user, Processor::Paypal);
    let key = key.map(|key| format!("order:{key}"));
    let started = state.cashier.buy(Purchase { customer, processor, amount, save_method: false, key }).await?;
    Ok((StatusCode::CREATED, axum::Json(started.payment.into())))
}

/// Captures an order the customer has approved, and credits what was captured. `id` is the payment's or PayPal's.
#[utoipa::path(
    post, path = "/payments/paypal/orders/{id}/capture", tag = "payments", operation_id = "paypal_capture",
    params(("id" = String, Path, description = "The payment, or PayPal's order.")),
    responses((status = 200, body = PaymentView)), security(("bearer" = []))
)]
pub async fn capture(
    With(state): With<State>,
    caller: Caller,
    ip: ClientIp,
    PathId(id): PathId,
) -> Result<axum::Json<PaymentView>, Problem> {
    limits::pay(&state.kit, &caller, ip).await?;
    Ok(axum::Json(state.cashier.capture(&caller.user, &id).await?.into()))
}
