//! `POST /billing/custom-credits/add`: the customer says a payment was made; the processor says what of it is true.

use crate::State;
use api::{Caller, ClientIp, Json as Body, Money, Problem};
use axum::Json;
use axum::extract::State as With;
use cashier::{is_object_id, limits};
use domain::{Id, Unit};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which payment. There is no amount: what was captured is what counts.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreditBody {
    /// Our id of a payment of `/payments/intent` or `/payments/paypal/orders`, or the processor's.
    #[garde(custom(object_id))]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    payment_id: String,
}

fn object_id(text: &str, (): &()) -> garde::Result {
    let is_id = is_object_id(text) && Id::new(text).is_ok();
    if is_id { Ok(()) } else { Err(garde::Error::new("it is not the id of a payment")) }
}

/// A payment, verified.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CreditView {
    /// The payment.
    payment_id: String,
    /// How far it is, as `/payments/{id}` has it.
    #[schema(pattern = "^[a-z_]+$", example = "succeeded")]
    status: &'static str,
    /// What the processor captured, and the wallet was credited: once, whoever asked for it first.
    credited: Money,
    /// The balance of USD credits after it.
    balance: Money,
}

/// Verifies a payment with its processor and credits what was captured, once.
#[utoipa::path(
    post, path = "/billing/custom-credits/add", tag = "billing", operation_id = "add_custom_credits",
    request_body = CreditBody, responses((status = 200, body = CreditView)), security(("bearer" = []))
)]
pub async fn add(
    With(state): With<State>,
    caller: Caller,
    ip: ClientIp,
    Body(body): Body<CreditBody>,
) -> Result<Json<CreditView>, Problem> {
    limits::pay(&state.kit, &caller, ip).await?;
    let name = Id::new(&body.payment_id).map_err(|_| Problem::not_found())?;
    let payment = state.cashier.verify(&caller.user, &name).await?;
    let balance = state.kit.store.wallet_balance(&caller.user, Unit::Usd).await?;
    Ok(Json(CreditView {
        payment_id: payment.id.to_string(),
        status: payment.status.as_str(),
        credited: Money::new(payment.captured, Unit::Usd),
        balance: Money::new(balance.amount, Unit::Usd),
    }))
}
