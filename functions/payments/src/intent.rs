//! `POST /payments/intent`: begins to buy credits by card.

use crate::State;
use crate::view::PaymentView;
use api::{AmountText, Caller, ClientIp, IdempotencyKey, Json, Problem};
use axum::extract::State as With;
use axum::http::StatusCode;
use cashier::{Purchase, limits};
use domain::payment::{Processor, parse_purchase};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Credits that are wanted.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct IntentRequest {
    /// How much: 1.00 to 1000.00, at most two decimals.
    #[schema(value_type = String, pattern = r"^[0-9]{1,4}(\.[0-9]{1,2})?$", example = "20.00")]
    amount: AmountText,
    /// `USD`, which is also what a missing one means.
    #[schema(pattern = "^(USD|usd)$")]
    currency: Option<String>,
    /// Save the method, for the next time and for automatic top-up.
    #[serde(default)]
    save_method: bool,
}

/// A payment that waits for the customer's card.
#[derive(Serialize, ToSchema)]
pub struct Intent {
    /// Give it to Stripe.js, which pays with it. Shown to nobody else.
    client_secret: Option<String>,
    /// The payment.
    #[serde(flatten)]
    payment: PaymentView,
}

/// What is asked for, checked: the amount, and that it is in dollars.
///
/// # Errors
/// 422 that names the field.
pub fn purchase(amount: &AmountText, currency: Option<&str>) -> Result<domain::Amount, Problem> {
    if currency.is_some_and(|currency| !currency.eq_ignore_ascii_case("usd")) {
        return Err(Problem::field("/currency", "credits are sold for USD"));
    }
    parse_purchase(&amount.0).map_err(|error| Problem::field("/amount", error.to_string()))
}

/// Begins to buy credits by card. Pay with `client_secret`, then confirm; the wallet is credited by what Stripe captured.
#[utoipa::path(
    post, path = "/payments/intent", tag = "payments", operation_id = "payment_intent", request_body = IntentRequest,
    responses((status = 201, body = Intent)), security(("bearer" = []))
)]
pub async fn create(
    With(state): With<State>,
    caller: Caller,
    ip: ClientIp,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<IntentRequest>,
) -> Result<(StatusCode, axum::Json<Intent>), Problem> {
    let amount = purchase(&body.amount, body.currency.as_deref())?;
    limits::pay(&state.kit, &caller, ip).await?;
    let (customer, processor, save_method) = (caller.user, Processor::Stripe, body.save_method);
    let key = key.map(|key| format!("intent:{key}"));
    let started = state.cashier.buy(Purchase { customer, processor, amount, save_method, key }).await?;
    let client_secret = started.client_secret.map(|secret| secret.expose().to_owned());
    Ok((StatusCode::CREATED, axum::Json(Intent { client_secret, payment: started.payment.into() })))
}
