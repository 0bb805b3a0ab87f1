//! What an operator does from the command line, with rights on the tables: nothing here is an endpoint.

use crate::password::{is_argon2, is_bcrypt};
use api::{Kit, new_id};
use domain::account::{Email, EmailError, Role};
use domain::{Id, Timestamp};
use store::{By, NewUser, Profile, Secret, Store, StoreError};

/// Why an operator's command did nothing. A sentence for the terminal.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The address is none.
    #[error(transparent)]
    Email(#[from] EmailError),
    /// Nobody has it.
    #[error("nobody is registered with this address")]
    Nobody,
    /// Somebody has it.
    #[error("somebody is registered with this address already")]
    Taken,
    /// The hash cannot be checked.
    #[error("the hash of the password is neither bcrypt ($2a$, $2b$, $2y$, cost 4 to 12) nor Argon2id in PHC form")]
    Hash,
    /// DynamoDB's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Somebody from a system that is replaced.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// The address, proven there.
    pub email: &'a str,
    /// Their password as it was kept there: bcrypt, or Argon2id. The first sign-in replaces it.
    pub password_hash: &'a str,
    /// What they are called.
    pub name: Option<String>,
    /// For whom they are here.
    pub company: Option<String>,
    /// When they came.
    pub created_at: Timestamp,
}

/// Makes the owner of an address an admin. Returns who that is.
///
/// # Errors
/// [`OperatorError`].
pub async fn make_admin(store: &Store, email: &str, now: Timestamp) -> Result<Id, OperatorError> {
    set_role(store, email, Role::Admin, now).await
}

/// Gives the owner of an address a role, and writes it into the audit log. Returns who that is.
///
/// # Errors
/// [`OperatorError`].
pub async fn set_role(store: &Store, email: &str, role: Role, now: Timestamp) -> Result<Id, OperatorError> {
    let by = By::operator(new_id("aud", now), now)?;
    store.user_role_set(&Email::parse(email)?, role, &by).await?.ok_or(OperatorError::Nobody)
}

/// Takes somebody over, with their password. Returns their id.
///
/// # Errors
/// [`OperatorError`].
pub async fn import_user(kit: &Kit, import: Import<'_>) -> Result<Id, OperatorError> {
    if !is_bcrypt(import.password_hash) && !is_argon2(import.password_hash) {
        return Err(OperatorError::Hash);
    }
    let now = kit.clock.now();
    let profile = Profile {
        id: new_id("usr", import.created_at),
        email: Some(Email::parse(import.email)?),
        name: import.name,
        company: import.company,
        email_verified_at: Some(import.created_at),
        created_at: import.created_at,
        updated_at: now,
        deleted_at: None,
    };
    let secret = Secret { password: import.password_hash.to_owned(), generation: 1, second: None };
    let (id, new) = (profile.id.clone(), NewUser { profile, role: Role::User, secret });
    match kit.store.user_create(&new, None, now).await {
        Ok(()) => Ok(id),
        Err(StoreError::Conflict(_)) => Err(OperatorError::Taken),
        Err(error) => Err(error.into()),
    }
}
