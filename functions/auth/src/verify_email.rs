//! `POST /auth/verify-email` and `POST /auth/resend-verification`: whoever reads the mail of an address, and knows the password it
//! was registered with, has it. The mail alone is not enough: a stranger may have registered with somebody's address, and its
//! owner would prove it for them with one click. Who does not know the password takes `forgot-password`, which proves the
//! address and puts another password in the place of the stranger's.

use crate::answers::{Accepted, fail_no_sooner, no_sooner};
use crate::fields::{Address, GivenPassword, Token};
use crate::password::Verdict;
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

/// A token out of a mail, and the password of the registration.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct VerifyEmail {
    /// As it stood in the mail.
    token: Token,
    /// The one they registered with.
    password: GivenPassword,
}

/// Whom to send a mail.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct Recipient {
    /// The address.
    pub email: Address,
}

/// Proves the address. The token holds once, for 24 hours; a wrong password is answered as a wrong token is, and costs no token.
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
    fail_no_sooner(&state, prove(&state, body, ip)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn prove(state: &State, body: VerifyEmail, ip: ClientIp) -> Result<(), Problem> {
    let (store, now, hash) = (&state.kit.store, state.kit.clock.now(), random::hash(&body.token.0));
    limits::verification(state, &hash).await?;
    let held = registered(state, &hash).await?;
    let kept = held.as_ref().map(|(_, _, secret)| secret.password.clone());
    let verdict = state.passwords.check(body.password.0, kept).await?;
    let (Some((token, (profile, rev), _)), Verdict::Right | Verdict::RightButOld) = (held, verdict) else {
        return Err(token_refused());
    };
    let mail = profile.email_verified_at.is_none().then(|| mails::welcome(&profile, &token.email));
    match store.email_verify(&token, (&profile, rev), mail.as_ref(), now).await {
        Ok(()) => {}
        Err(StoreError::Conflict(_)) => return Err(used_or_changed(state, &token).await?),
        Err(error) => return Err(error.into()),
    }
    store.sign_in_remember(&token.user, &limits::place(&token.email, ip), now).await?;
    if let Some(mail) = mail {
        mails::tell(state, &mail).await;
    }
    Ok(())
}

/// The token of that hash, where it verifies somebody's address now, with whose it is and what they sign in with.
async fn registered(state: &State, hash: &str) -> Result<Option<(MailToken, (Profile, u32), Secret)>, Problem> {
    let store = &state.kit.store;
    let token = store.token_get(hash, Purpose::VerifyEmail, state.kit.clock.now()).await?;
    let Some(token) = token else { return Ok(None) };
    let (profile, secret) = tokio::try_join!(store.user_get(&token.user), store.user_secret(&token.user))?;
    let held = profile.zip(secret).filter(|((profile, _), _)| profile.email.as_ref() == Some(&token.email));
    Ok(held.map(|(profile, (secret, _))| (token, profile, secret)))
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
    let user: Option<(Profile, Secret, u32)> = user.filter(|(profile, _, _)| wanted(profile));
    let allowed = limits::mail_allowed(state, email, purpose, user.is_some()).await?;
    let (secret, user) = (random::secret()?, user.filter(|_| allowed));
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
