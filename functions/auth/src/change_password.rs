//! `POST /auth/change-password`: for whoever knows the old one. All other sessions end; API keys do not, and the mail says so.

use crate::fields::{GivenPassword, NewPassword};
use crate::mails::{self, Keys};
use crate::{State, password, proof};
use api::{Caller, ClientIp, Json, Problem};
use axum::extract::State as With;
use axum::http::StatusCode;
use garde::Validate;
use serde::Deserialize;
use store::{Ended, Secret};
use utoipa::ToSchema;

/// The old password and the new one.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ChangePassword {
    /// The one that holds.
    current_password: GivenPassword,
    /// The one that is to hold.
    new_password: NewPassword,
}

/// Changes the password. All other sessions end, and tokens to reset it do not hold any more.
#[utoipa::path(
    post, path = "/auth/change-password", tag = "auth", operation_id = "change_password", request_body = ChangePassword,
    responses((status = 204, description = "The new password holds.")), security(("bearer" = []))
)]
pub async fn change(
    With(state): With<State>,
    caller: Caller,
    ip: ClientIp,
    Json(body): Json<ChangePassword>,
) -> Result<StatusCode, Problem> {
    let account = proof::by_password(&state, &caller, "/current_password", body.current_password).await?;
    let email = account.email()?.clone();
    password::accept("/new_password", &body.new_password.0, Some(&email))?;
    let hashed = state.passwords.hash(body.new_password.0).await?;
    let secret = Secret { password: hashed, generation: account.secret.generation + 1, ..account.secret };
    let now = state.kit.clock.now();
    let mail = mails::password_changed(&account.profile, &email, (secret.generation, Keys::Hold), ip, now);
    let (ended, secret) = (Ended::AllBut(proof::session(&caller)?), (&secret, account.secret_rev));
    state.kit.store.password_change(&caller.user, secret, ended, None, &mail, now).await?;
    mails::tell(&state, &mail).await;
    Ok(StatusCode::NO_CONTENT)
}
