//! `POST /auth/verify-email` and `POST /auth/resend-verification`: whoever reads the mail of an address has it.

use crate::answers::{Accepted, no_sooner};
use crate::fields::{Address, Token};
use crate::{State, limits, mails, random};
use api::{ClientIp, FieldError, Json, Problem};
use axum::extract::State as With;
use axum::http::StatusCode;
use domain::Id;
use domain::account::Email;
use garde::Validate;
use serde::Deserialize;
use store::{MailToken, Profile, Purpose, Secret, SignIn, StoreError};
use utoipa::ToSchema;

/// Items that a token and its mail are; where nothing is sent, as many decoys.
const ITEMS: u8 = 3;

/// A token out of a mail.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct VerifyEmail {
    /// As it stood in the mail.
    token: Token,
}

/// Whom to send a mail.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct Recipient {
    /// The address.
    pub email: Address,
}

/// Proves the address. The token holds once, for 24 hours.
#[utoipa::path(
    post, path = "/auth/verify-email", tag = "auth", operation_id = "verify_email", request_body = VerifyEmail,
    responses((status = 204, description = "The address is proven."))
)]
pub async fn verify(
    With(state): With<State>,
    ip: ClientIp,
    Json(body): Json<VerifyEmail>,
) -> Result<StatusCode, Problem> {
    limits::token(&state, ip).await?;
    let (store, now) = (&state.kit.store, state.kit.clock.now());
    let token = store.token_get(&random::hash(&body.token.0), Purpose::VerifyEmail, now).await?;
    let token = token.ok_or_else(token_refused)?;
    let (profile, rev) = store.user_get(&token.user).await?.ok_or_else(token_refused)?;
    if profile.email.as_ref() != Some(&token.email) {
        return Err(token_refused());
    }
    let mail = profile.email_verified_at.is_none().then(|| mails::welcome(&profile, &token.email));
    match store.email_verify(&token, (&profile, rev), mail.as_ref(), now).await {
        Ok(()) => {}
        Err(StoreError::Conflict(_)) => return Err(used_or_changed(&state, &token).await?),
        Err(error) => return Err(error.into()),
    }
    store.sign_in_remember(&token.user, &limits::place(&token.email, ip), now).await?;
    if let Some(mail) = mail {
        mails::tell(&state, &mail).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Sends the mail of a registration again. The answer is the same whoever's the address is.
#[utoipa::path(
    post, path = "/auth/resend-verification", tag = "auth", operation_id = "resend_verification", request_body = Recipient,
    responses((status = 202, body = Accepted))
)]
pub async fn resend(
    With(state): With<State>,
    ip: ClientIp,
    Json(body): Json<Recipient>,
) -> Result<(StatusCode, axum::Json<Accepted>), Problem> {
    limits::mail_request(&state, ip).await?;
    let wanted = |profile: &Profile| profile.email_verified_at.is_none();
    no_sooner(&state, send(&state, &body.email.0, Purpose::VerifyEmail, wanted)).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(Accepted::MAIL)))
}

/// Mails a token to the owner of an address, where there is one and it is `wanted`; else does as much for nothing.
pub async fn send(
    state: &State,
    email: &Email,
    purpose: Purpose,
    wanted: impl Fn(&Profile) -> bool,
) -> Result<(), Problem> {
    let (store, now) = (&state.kit.store, state.kit.clock.now());
    let SignIn { user, .. } = store.sign_in_read(email, "", &stand_in(email), now).await?;
    let allowed = limits::mail_allowed(state, email).await?;
    let secret = random::secret()?;
    let user: Option<(Profile, Secret, u32)> = user.filter(|(profile, _, _)| allowed && wanted(profile));
    let Some((profile, kept, _)) = user else {
        return Ok(store.decoy_write(&secret, ITEMS, None, now).await?);
    };
    let (token, mail) = mails::token(&secret, purpose, (&profile.id, email, kept.generation), now);
    store.token_create(&token, &mail, now).await?;
    mails::tell(state, &mail).await;
    Ok(())
}

/// Who is looked for where an address is nobody's, so that as much is read: somebody who cannot be.
pub fn stand_in(email: &Email) -> Id {
    let mut text = format!("nobody_{}", random::hash(email.as_str()));
    text.truncate(40);
    Id::new(&text).unwrap_or_else(|_| unreachable!("hex is part of the alphabet"))
}

/// A token that does not hold: never did, was used, or has expired. All the same to whoever presents it.
pub fn token_refused() -> Problem {
    let detail = "This token does not hold: it was used, or has expired. Ask for another mail.";
    let field = FieldError::body("/token", "it does not hold");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_token", detail).with_errors(vec![field])
}

/// After a lost race: the token was used by somebody else, or it holds and something beside it changed.
pub async fn used_or_changed(state: &State, token: &MailToken) -> Result<Problem, Problem> {
    let held = state.kit.store.token_get(&token.hash, token.purpose, state.kit.clock.now()).await?;
    Ok(held.map_or_else(token_refused, |_| StoreError::Conflict("token").into()))
}
