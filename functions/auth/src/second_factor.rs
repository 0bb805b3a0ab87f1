//! `POST /auth/2fa/{setup,confirm,disable}`: a second factor. It is in force once a code of it was shown, so nobody is locked out by a
//! secret that never reached their device.

use crate::fields::{Code, GivenPassword};
use crate::one_time::{self, step};
use crate::{State, limits, proof};
use api::{Caller, Json, Problem};
use axum::extract::State as With;
use axum::http::StatusCode;
use garde::Validate;
use serde::{Deserialize, Serialize};
use store::{Second, Secret};
use utoipa::ToSchema;

/// Whoever sets one up proves who they are.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct SetUp {
    /// The password.
    password: GivenPassword,
}

/// What the authenticator is to be told.
#[derive(Serialize, ToSchema)]
pub struct Setup {
    /// The shared secret, base32; for typing.
    secret: String,
    /// The same as a URL, for a QR code.
    otpauth_url: String,
}

/// A code of the authenticator.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct Confirm {
    /// Six digits.
    code: Code,
}

/// Codes for when the device is lost.
#[derive(Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each holds once. They are shown now and never again.
    recovery_codes: Vec<String>,
}

/// Whoever gives it up proves who they are.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct Disable {
    /// The password.
    password: GivenPassword,
    /// A code, or a recovery code.
    code: Code,
}

/// Makes a new shared secret. Nothing is asked for until it is confirmed.
#[utoipa::path(
    post, path = "/auth/2fa/setup", tag = "auth", operation_id = "two_factor_setup", request_body = SetUp,
    responses((status = 200, body = Setup)), security(("bearer" = []))
)]
pub async fn setup(
    With(state): With<State>,
    caller: Caller,
    Json(body): Json<SetUp>,
) -> Result<axum::Json<Setup>, Problem> {
    let account = proof::by_password(&state, &caller, "/password", body.password).await?;
    if account.secret.second_in_force().is_some() {
        return Err(already());
    }
    let setup = one_time::setup(account.email()?)?;
    let second = Second { secret: setup.secret.clone(), confirmed: false, last_step: 0, recovery: Vec::new() };
    let secret = Secret { second: Some(second), ..account.secret };
    state.kit.store.user_secret_put(&caller.user, &secret, account.secret_rev).await?;
    Ok(axum::Json(Setup { secret: setup.secret, otpauth_url: setup.url }))
}

/// Shows a code of the new secret: from now on one is asked for. A change of address that waits to be confirmed is over, for it
/// was asked for without one.
#[utoipa::path(
    post, path = "/auth/2fa/confirm", tag = "auth", operation_id = "two_factor_confirm", request_body = Confirm,
    responses((status = 200, body = RecoveryCodes)), security(("bearer" = []))
)]
pub async fn confirm(
    With(state): With<State>,
    caller: Caller,
    Json(body): Json<Confirm>,
) -> Result<axum::Json<RecoveryCodes>, Problem> {
    limits::proof(&state, proof::session(&caller)?).await?;
    let account = proof::account(&state, &caller).await?;
    let second = match account.secret.second.clone() {
        Some(second) if second.confirmed => return Err(already()),
        Some(second) => second,
        None => return Err(Problem::new(StatusCode::CONFLICT, "second_factor_not_set_up", "Set one up first.")),
    };
    let step = step(&second, &body.code.0, state.kit.clock.now())?;
    let step = step.ok_or_else(|| Problem::field("/code", "it is not the code of this secret now"))?;
    let (recovery_codes, recovery) = one_time::recovery_codes()?;
    let second = Second { confirmed: true, last_step: step, recovery, ..second };
    let secret = Secret { second: Some(second), ..account.secret };
    state.kit.store.user_secret_strengthen(&caller.user, &secret, account.secret_rev).await?;
    Ok(axum::Json(RecoveryCodes { recovery_codes }))
}

/// Gives the second factor up.
#[utoipa::path(
    post, path = "/auth/2fa/disable", tag = "auth", operation_id = "two_factor_disable", request_body = Disable,
    responses((status = 204, description = "None is asked for any more.")), security(("bearer" = []))
)]
pub async fn disable(
    With(state): With<State>,
    caller: Caller,
    Json(body): Json<Disable>,
) -> Result<StatusCode, Problem> {
    let account = proof::by_both(&state, &caller, body.password, Some(body.code)).await?;
    if account.secret.second_in_force().is_none() {
        return Err(Problem::new(StatusCode::CONFLICT, "second_factor_not_set_up", "There is none in force."));
    }
    let secret = Secret { second: None, ..account.secret };
    state.kit.store.user_secret_put(&caller.user, &secret, account.secret_rev).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn already() -> Problem {
    Problem::new(StatusCode::CONFLICT, "second_factor_enabled", "There is one in force; disable it first.")
}
