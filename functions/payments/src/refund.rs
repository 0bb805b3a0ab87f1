//! `POST /payments/{id}/refund`.

use crate::State;
use crate::view::{PaymentView, RefundView};
use api::{Admin, AmountText, ClientIp, IdempotencyKey, Json, PathId, Problem, RequestId, line};
use axum::extract::State as With;
use axum::http::StatusCode;
use cashier::CashierError;
use domain::Amount;
use domain::payment::{RefundError, RefundStatus, parse_cents};
use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize};
use store::By;
use utoipa::ToSchema;

/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 300;

/// Why a payment is given back. Its customer reads it.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(
    value_type = String, min_length = 1, max_length = 300, example = "the customer changed their mind",
    pattern = r"^[^\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+$"
)]
pub struct RefundReason(String);

impl<'de> Deserialize<'de> for RefundReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        line(deserializer, 1..=MAX_REASON_CHARS).map(Self)
    }
}

/// What is to be given back.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct RefundRequest {
    /// How much, at most two decimals; all that is left where it is missing.
    #[schema(value_type = Option<String>, pattern = r"^[0-9]{1,4}(\.[0-9]{1,2})?$", example = "5.00")]
    amount: Option<AmountText>,
    /// Why, in words.
    reason: RefundReason,
}

/// A refund, and the payment after it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefundAnswer {
    /// The refund.
    refund: RefundView,
    /// The payment.
    payment: PaymentView,
}

/// The amount that is asked for, checked before the processor hears of anything.
fn wanted(amount: &AmountText) -> Result<Amount, Problem> {
    let wrong = |detail: String| Problem::field("/amount", detail);
    let amount = parse_cents(&amount.0).map_err(|error| wrong(error.to_string()))?;
    if amount > Amount::ZERO { Ok(amount) } else { Err(wrong(RefundError::NotAnAmount.to_string())) }
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
    let amount = body.amount.as_ref().map(wanted).transpose()?;
    let (at, record) = (state.kit.clock.now(), state.kit.id("aud"));
    let by = By { actor: caller.user, at, record, address: address.to_string(), request_id };
    let done = state.cashier.refund(&id, amount, Some(body.reason.0), &by, key.as_deref()).await;
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
