//! `POST /auth/change-email` and `POST /auth/confirm-email`: another address, asked for by somebody who proves who they are, and
//! taken by whoever reads its mail and knows the account's password: the mail alone would let a stranger's account have an address
//! that its owner proved with one click (as with `verify-email`). Whether the address is somebody's, the one who asks does not learn: not from the answer, its
//! time, the limits, nor from what becomes of a token mailed before.

use crate::answers::{Accepted, fail_no_sooner, no_sooner};
use crate::fields::{Address, Code, GivenPassword, Token};
use crate::password::Verdict;
use crate::proof::{self, Account};
use crate::verify_email::token_refused;
use crate::{State, limits, mails, random};
use api::{Caller, ClientIp, Json, Problem};
use axum::extract::State as With;
use axum::http::StatusCode;
use domain::account::{Email, Status};
use domain::{Id, Timestamp};
use garde::Validate;
use serde::Deserialize;
use store::{MailToken, OutboxMail, Profile, Purpose, Secret, StoreError};
use utoipa::ToSchema;

/// Items that a request writes, its mails' included; where no more mails may go out, as many decoys.
const ITEMS: u8 = 6;
/// Tries of a write while other transactions are at its items.
const MAX_TRIES: usize = 4;

/// The address that is to hold, and proof of who asks.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ChangeEmail {
    /// The new address.
    email: Address,
    /// The password.
    password: GivenPassword,
    /// A code of the second factor, where one is in force.
    code: Option<Code>,
}

/// A token out of the mail to the new address, and the password of the account it is for.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ConfirmEmail {
    /// As it stood in the mail.
    token: Token,
    /// The password.
    password: GivenPassword,
}

/// Mails a token to the new address, and word of it to the old one. The answer is the same whoever's the new one is; until it is
/// confirmed, nothing changes.
#[utoipa::path(
    post, path = "/auth/change-email", tag = "auth", operation_id = "change_email", request_body = ChangeEmail,
    responses((status = 202, body = Accepted)), security(("bearer" = []))
)]
pub async fn change(
    With(state): With<State>,
    caller: Caller,
    ip: ClientIp,
    Json(body): Json<ChangeEmail>,
) -> Result<(StatusCode, axum::Json<Accepted>), Problem> {
    limits::mail_request(&state, ip).await?;
    let account = proof::by_both(&state, &caller, body.password, body.code).await?;
    if account.email()? == &body.email.0 {
        return Err(Problem::field("/email", "it is your address already"));
    }
    no_sooner(&state, ask(&state, &account, &body.email.0, ip)).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(Accepted::MAIL)))
}

/// Mails the token. Where the address is taken all is the same, but that the token goes to nobody and the owner is told, as of a
/// registration. The old address hears of it either way, and now: whoever asked may have found the password out.
async fn ask(state: &State, account: &Account, email: &Email, ip: ClientIp) -> Result<(), Problem> {
    let (store, now, secret) = (&state.kit.store, state.kit.clock.now(), random::secret()?);
    // Counted as one that goes out, whoever's the address is: beyond the limit a token mailed before goes on, and that shows.
    if !limits::change_allowed(state, &account.profile.id, email).await? {
        return Ok(store.decoy_write(&secret, ITEMS, None, now).await?);
    }
    let whose = (&account.profile.id, email, account.secret.generation);
    let (token, confirmation) = mails::token(&secret, Purpose::ChangeEmail, whose, now);
    let told = mails::email_change_asked(&account.profile, account.email()?, &token, ip, now);
    for _ in 0..MAX_TRIES {
        let mail = match store.user_by_email(email).await? {
            Some(owner) => mails::registered_already(&owner, email, now),
            None => confirmation.clone(),
        };
        // An owner who was told today is not told again.
        let mail = store.mail_get(&mail.id).await?.is_none().then_some(mail);
        match store.email_change_ask(&token, &told, mail.as_ref(), now).await {
            Ok(()) => {
                mails::tell(state, &told).await;
                if let Some(mail) = mail {
                    mails::tell(state, &mail).await;
                }
                return Ok(());
            }
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // As with a registration: an answer of its own could tell. Without a mail they try again.
    tracing::error!(user = %account.profile.id, "a change of address met others every time and was not written");
    Ok(())
}

/// Gives the account its new address. The token holds once, for an hour, not after another password, and not after another change
/// was asked for, a second factor was confirmed or the other sessions were ended; a wrong password is answered as a wrong token is,
/// and costs no token. Sessions go on; tokens mailed to the old address do not hold any more.
#[utoipa::path(
    post, path = "/auth/confirm-email", tag = "auth", operation_id = "confirm_email", request_body = ConfirmEmail,
    responses((status = 204, description = "The new address holds."))
)]
pub async fn confirm(
    With(state): With<State>,
    ip: ClientIp,
    Json(body): Json<ConfirmEmail>,
) -> Result<StatusCode, Problem> {
    limits::token(&state, ip).await?;
    fail_no_sooner(&state, take(&state, body, ip)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn take(state: &State, body: ConfirmEmail, ip: ClientIp) -> Result<(), Problem> {
    let (store, hash) = (&state.kit.store, random::hash(&body.token.0));
    limits::verification(state, &hash).await?;
    let asked = Asked::read(state, &hash).await?;
    let kept = asked.as_ref().map(|asked| asked.secret.0.password.clone());
    let verdict = state.passwords.check(body.password.0, kept).await?;
    let mut asked = asked.filter(|_| matches!(verdict, Verdict::Right | Verdict::RightButOld));
    for _ in 0..MAX_TRIES {
        let change = asked.take().ok_or_else(token_refused)?;
        // The token goes on: whoever has it reads the mail of that address, and may well be who took it.
        if store.user_by_email(&change.token.email).await?.is_some() {
            let detail = "Another account has this address by now.";
            return Err(Problem::new(StatusCode::CONFLICT, "email_taken", detail));
        }
        match change.carry_out(state, ip, state.kit.clock.now()).await {
            Ok(mail) => {
                let (user, place) = (&change.token.user, limits::place(&change.token.email, ip));
                tracing::info!(user = %user, "a user has another address");
                mails::tell(state, &mail).await;
                // Whoever reads the mail of the new address is the owner, as with one that is proven by other tokens. The
                // change is made: that this is not kept must not be answered as if it were not.
                if let Err(error) = store.sign_in_remember(user, &place, state.kit.clock.now()).await {
                    tracing::warn!(error = %error, user = %user, "the place of a change of address was not remembered");
                }
                return Ok(());
            }
            // What changed meanwhile, the next round sees. Another password makes a token that does not hold.
            Err(StoreError::Conflict(_)) => asked = Asked::read(state, &hash).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict("confirm_email").into())
}

/// A change that may be carried out: its token, and whose it is, with revisions.
struct Asked {
    token: MailToken,
    profile: (Profile, u32),
    secret: (Secret, u32),
}

impl Asked {
    /// Nothing where the token does not hold, or whoever asked has another password since, or may do nothing now.
    async fn read(state: &State, hash: &str) -> Result<Option<Self>, Problem> {
        let store = &state.kit.store;
        let Some(token) = store.email_change_get(hash, state.kit.clock.now()).await? else { return Ok(None) };
        let user: &Id = &token.user;
        let (profile, secret, access) =
            tokio::try_join!(store.user_get(user), store.user_secret(user), store.access_get(user))?;
        let Some((profile, secret)) = profile.zip(secret) else { return Ok(None) };
        let is_active = access.is_some_and(|access| access.status == Status::Active);
        let holds = is_active && profile.0.email.is_some() && secret.0.generation == token.generation;
        Ok(holds.then_some(Self { token, profile, secret }))
    }

    /// Changes the address. Returns the mail that says so at the old one.
    async fn carry_out(&self, state: &State, ip: ClientIp, now: Timestamp) -> Result<OutboxMail, StoreError> {
        let ((profile, profile_rev), (secret, secret_rev)) = (&self.profile, &self.secret);
        let old = profile.email.as_ref().ok_or(StoreError::Conflict("confirm_email"))?;
        let secret = Secret { generation: secret.generation + 1, ..secret.clone() };
        let mail = mails::email_changed(profile, old, secret.generation, ip, now);
        let store = &state.kit.store;
        store.email_change(&self.token, (profile, *profile_rev), (&secret, *secret_rev), &mail, now).await?;
        Ok(mail)
    }
}
