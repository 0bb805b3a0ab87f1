//! `DELETE /auth/me`: somebody leaves. All that is personal goes; the ledger stays, under an id that says nothing any more.

use crate::fields::{Code, GivenPassword};
use crate::{State, proof};
use api::{Caller, Json, Problem, show};
use axum::extract::State as With;
use axum::http::StatusCode;
use domain::account::Role;
use domain::{Amount, Id};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whoever leaves proves who they are.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct DeleteMe {
    /// The password.
    password: GivenPassword,
    /// A code of the second factor, where one is in force.
    code: Option<Code>,
}

/// That it is done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deleted {
    /// Always `deleted`.
    #[schema(pattern = "^deleted$")]
    status: &'static str,
    /// What is left behind, where that is something.
    warning: Option<String>,
}

/// Deletes the account that asks, for good. Its address is free for others; what was charged stays in the ledger. An admin's is
/// refused: so there is always one left.
#[utoipa::path(
    delete, path = "/auth/me", tag = "auth", operation_id = "delete_me", request_body = DeleteMe,
    responses((status = 200, body = Deleted)), security(("bearer" = []))
)]
pub async fn delete(
    With(state): With<State>,
    caller: Caller,
    Json(body): Json<DeleteMe>,
) -> Result<axum::Json<Deleted>, Problem> {
    if caller.role == Role::Admin {
        let detail = "An admin cannot delete their own account. Give the role away first; another admin takes it.";
        return Err(Problem::new(StatusCode::CONFLICT, "admin_account", detail));
    }
    let account = proof::by_both(&state, &caller, body.password, body.code).await?;
    let warning = left_behind(&state, &caller.user).await?;
    state.kit.store.user_erase((&account.profile, account.profile_rev), state.kit.clock.now()).await?;
    tracing::info!(user = %caller.user, "a user had themselves deleted");
    Ok(axum::Json(Deleted { status: "deleted", warning }))
}

/// What stands on the wallets, where that is not nothing.
async fn left_behind(state: &State, user: &Id) -> Result<Option<String>, Problem> {
    let balances = state.kit.store.wallet_balances(user).await?;
    let left = balances.iter().filter(|balance| balance.amount != Amount::ZERO);
    let left: Vec<String> =
        left.map(|left| format!("{} {}", show(left.amount, left.unit), left.unit.as_str())).collect();
    let sentence = |left: String| format!("The wallet was not empty: {left}. Ask the support about it, naming {user}.");
    Ok(Some(left.join(", ")).filter(|left| !left.is_empty()).map(sentence))
}
