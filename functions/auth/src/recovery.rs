//! `POST /auth/forgot-password` and `POST /auth/reset-password`: another password for whoever reads the mail of the address. All
//! sessions and API keys end; a second factor stays in force.

use crate::answers::{Accepted, no_sooner};
use crate::fields::{NewPassword, Token};
use crate::mails::{self, Keys};
use crate::verify_email::{Recipient, send, token_refused, used_or_changed};
use crate::{State, limits, password, random};
use api::{ClientIp, Json, Problem};
use axum::extract::State as With;
use axum::http::StatusCode;
use garde::Validate;
use serde::Deserialize;
use store::{Ended, Purpose, Secret, StoreError};
use utoipa::ToSchema;

/// A token out of a mail, and the password it is for.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ResetPassword {
    /// As it stood in the mail.
    token: Token,
    /// The new password.
    password: NewPassword,
}

/// Mails a token to choose a new password with. The answer is the same whoever's the address is.
#[utoipa::path(
    post, path = "/auth/forgot-password", tag = "auth", operation_id = "forgot_password", request_body = Recipient,
    responses((status = 202, body = Accepted))
)]
pub async fn forgot(
    With(state): With<State>,
    ip: ClientIp,
    Json(body): Json<Recipient>,
) -> Result<(StatusCode, axum::Json<Accepted>), Problem> {
    limits::mail_request(&state, ip).await?;
    no_sooner(&state, send(&state, &body.email.0, Purpose::ResetPassword, |_| true)).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(Accepted::MAIL)))
}

/// Chooses a new password. The token holds once, for an hour, and not after another password; all sessions and API keys end.
#[utoipa::path(
    post, path = "/auth/reset-password", tag = "auth", operation_id = "reset_password", request_body = ResetPassword,
    responses((status = 204, description = "The new password holds."))
)]
pub async fn reset(
    With(state): With<State>,
    ip: ClientIp,
    Json(body): Json<ResetPassword>,
) -> Result<StatusCode, Problem> {
    limits::token(&state, ip).await?;
    let (store, now) = (&state.kit.store, state.kit.clock.now());
    let token = store.token_get(&random::hash(&body.token.0), Purpose::ResetPassword, now).await?;
    let token = token.ok_or_else(token_refused)?;
    let (profile, secret) = tokio::try_join!(store.user_get(&token.user), store.user_secret(&token.user))?;
    let ((profile, profile_rev), (secret, rev)) = profile.zip(secret).ok_or_else(token_refused)?;
    if profile.email.as_ref() != Some(&token.email) || secret.generation != token.generation {
        return Err(token_refused());
    }
    password::accept("/password", &body.password.0, profile.email.as_ref())?;
    let hashed = state.passwords.hash(body.password.0).await?;
    let secret = Secret { password: hashed, generation: secret.generation + 1, ..secret };
    let mail = mails::password_changed(&profile, &token.email, (secret.generation, Keys::End), ip, now);
    let by = Some((&token, &profile, profile_rev));
    match store.password_change(&token.user, (&secret, rev), Ended::All, by, &mail, now).await {
        Ok(()) => {}
        Err(StoreError::Conflict(_)) => return Err(used_or_changed(&state, &token).await?),
        Err(error) => return Err(error.into()),
    }
    // Whoever reads the owner's mail is the owner: from there, a guesser's tries elsewhere do not keep them out.
    store.sign_in_remember(&token.user, &limits::place(&token.email, ip), now).await?;
    mails::tell(&state, &mail).await;
    Ok(StatusCode::NO_CONTENT)
}
