//! `GET /billing/balance`: both units. The names are those of the system this replaces.

use api::{Caller, Kit, Money, Problem};
use axum::Json;
use axum::extract::State as With;
use domain::Unit;
use serde::Serialize;
use utoipa::ToSchema;

/// What a customer has, the sum of each wallet's lanes. Negative where more was used than paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BalanceView {
    /// USD credits.
    pub custom_credits: Money,
    /// VirtFusion tokens.
    pub virtfusion_tokens: Money,
    /// The tokens as money: 100 are 1 USD.
    pub virtfusion_credits: Money,
}

/// The balance in both units.
#[utoipa::path(
    get, path = "/billing/balance", tag = "billing", operation_id = "balance",
    responses((status = 200, body = BalanceView)), security(("bearer" = []))
)]
pub async fn show(With(kit): With<Kit>, caller: Caller) -> Result<Json<BalanceView>, Problem> {
    let [usd, token] = kit.store.wallet_balances(&caller.user).await?;
    Ok(Json(BalanceView {
        custom_credits: Money::new(usd.amount, Unit::Usd),
        virtfusion_tokens: Money::new(token.amount, Unit::Token),
        // A step of either unit is the same money.
        virtfusion_credits: Money::new(token.amount, Unit::Usd),
    }))
}
