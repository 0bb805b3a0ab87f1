//! `POST /payments/{id}/refund`.

use crate::State;
use crate::view::{PaymentView, RefundView};
use api::{Admin, AmountText, ClientIp, IdempotencyKey, Json, PathId, Problem, RequestId};
use axum::extract::State as With;
use axum::http::StatusCode;
use cashier::CashierError;
use domain::payment::{RefundStatus, parse_cents};
use garde::Validate;
use serde::{Deserialize, Serialize};
use store::By;
use utoipa::ToSchema;

/// What is to be given back.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundRequest {
    /// How much, at most two decimals; all that is left where it is missing.
    #[garde(skip)]
    #[schema(value_type = Option<String>, pattern = r"^[0-9]{1,4}(\.[0-9]{1,2})?$", example = "5.00")]
    amount: Option<AmountText>,
    /// Why, in words.
    #[garde(length(chars, min = 1, max = 300))]
    #[schema(min_length = 1, max_length = 300, example = "the customer changed their mind")]
    reason: String,
}

/// A refund, and the payment after it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefundAnswer {
    /// The refund.
    refund: RefundView,
    /// The payment.
    payment: PaymentView,
}

/// Gives a payment back, in whole or in part. 202 where the processor did not answer: then it is looked after, and not asked
/// again blindly.
#[utoipa::path(
    post, path = "/payments/{id}/refund", tag = "payments", operation_id = "payment_refund", request_body = RefundRequest,
    params(("id" = String, Path, description = "The payment.")),
    responses((status = 201, body = RefundAnswer), (status = 202, body = RefundAnswer)), security(("bearer" = ["admin"]))
)]
pub async fn refund(
    With(state): With<State>,
    Admin(caller): Admin,
    ClientIp(address): ClientIp,
    RequestId(request_id): RequestId,
    IdempotencyKey(key): IdempotencyKey,
    PathId(id): PathId,
    Json(body): Json<RefundRequest>,
) -> Result<(StatusCode, axum::Json<RefundAnswer>), Problem> {
    let amount = body.amount.map(|amount| parse_cents(&amount.0)).transpose();
    let amount = amount.map_err(|error| Problem::field("/amount", error.to_string()))?;
    let (at, record) = (state.kit.clock.now(), state.kit.id("aud"));
    let by = By { actor: caller.user, at, record, address: address.to_string(), request_id };
    let done = state.cashier.refund(&id, amount, Some(body.reason), &by, key.as_deref()).await;
    let done = done.map_err(CashierError::for_operator)?;
    let status = match done.refund.status {
        RefundStatus::Requested | RefundStatus::Unknown => StatusCode::ACCEPTED,
        RefundStatus::Pending | RefundStatus::Succeeded | RefundStatus::Failed => StatusCode::CREATED,
    };
    Ok((
        status,
        axum::Json(RefundAnswer { refund: (&done.refund).into(), payment: PaymentView::for_operator(done.payment) }),
    ))
}
