//! `POST /auth/register`: an account, and a mail to prove the address. With an address that is taken, the owner is told, and the
//! caller learns nothing.

use crate::answers::{Accepted, no_sooner};
use crate::fields::{Address, NewPassword};
use crate::{State, limits, mails, password, random};
use api::{ClientIp, Json, Name, Problem};
use axum::extract::State as With;
use axum::http::StatusCode;
use domain::Id;
use domain::account::{Email, Role};
use garde::Validate;
use serde::Deserialize;
use store::{NewUser, Profile, Purpose, Secret, StoreError};
use utoipa::ToSchema;

/// Items that a registration writes beside the two of its mail; where the address is taken, as many decoys.
const ITEMS: u8 = 6;
/// Tries to write a registration while other transactions are at its items.
const MAX_TRIES: usize = 4;

/// Who registers.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct Register {
    /// Where to reach them, and what they sign in with.
    email: Address,
    /// What they sign in with.
    password: NewPassword,
    /// What they are called.
    name: Option<Name>,
    /// For whom they are here.
    company: Option<Name>,
}

/// Registers; the address is proven by the mail that goes to it.
#[utoipa::path(
    post, path = "/auth/register", tag = "auth", operation_id = "register", request_body = Register,
    responses((status = 202, body = Accepted))
)]
pub async fn register(
    With(state): With<State>,
    ip: ClientIp,
    Json(body): Json<Register>,
) -> Result<(StatusCode, axum::Json<Accepted>), Problem> {
    password::accept("/password", &body.password.0, Some(&body.email.0))?;
    limits::registration(&state, ip).await?;
    no_sooner(&state, take(&state, body)).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(Accepted::MAIL)))
}

async fn take(state: &State, body: Register) -> Result<(), Problem> {
    let Address(email) = body.email;
    let hashed = state.passwords.hash(body.password.0).await?;
    if let Some(user) = state.kit.store.user_by_email(&email).await? {
        return taken(state, &user, &email).await;
    }
    let now = state.kit.clock.now();
    let text = |name: Option<Name>| name.map(|name| name.0).filter(|name| !name.is_empty());
    let profile = Profile {
        id: state.kit.id("usr"),
        email: Some(email.clone()),
        name: text(body.name),
        company: text(body.company),
        email_verified_at: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let secret = Secret { password: hashed, generation: 1, second: None };
    let (token, mail) = mails::token(&random::secret()?, Purpose::VerifyEmail, (&profile.id, &email, 1), now);
    let new = NewUser { profile, role: Role::User, secret };
    for _ in 0..MAX_TRIES {
        match state.kit.store.user_create(&new, Some((&token, &mail)), now).await {
            Ok(()) => {
                mails::tell(state, &mail).await;
                return Ok(());
            }
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
        // Somebody registered with it this moment; or nobody did, and two who tried were in each other's way.
        if let Some(user) = state.kit.store.user_by_email(&email).await? {
            return taken(state, &user, &email).await;
        }
    }
    // An answer of its own would tell that the address was free. Without a mail they try again.
    tracing::error!(user = %new.profile.id, "a registration met others every time and was not written");
    Ok(())
}

/// The owner learns that somebody tried; the caller does not.
async fn taken(state: &State, user: &Id, email: &Email) -> Result<(), Problem> {
    let now = state.kit.clock.now();
    let mail = mails::registered_already(user, email, now);
    match state.kit.store.decoy_write(&random::secret()?, ITEMS, Some(&mail), now).await {
        Ok(()) => mails::tell(state, &mail).await,
        // The owner was told today.
        Err(StoreError::Conflict(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
