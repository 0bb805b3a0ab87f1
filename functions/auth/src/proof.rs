//! Somebody signed in proves once more who they are, before what a thief with their session must not be able to do.

use crate::State;
use crate::fields::{Code, GivenPassword};
use crate::limits;
use crate::one_time::use_code;
use crate::password::Verdict;
use api::{Caller, Problem};
use axum::http::StatusCode;
use domain::Id;
use domain::account::Email;
use store::{Profile, Secret};

/// The session of the caller. An API key has none, and no scope for this area either.
///
/// # Errors
/// 403 for an API key.
pub fn session(caller: &Caller) -> Result<&Id, Problem> {
    let detail = "An API key cannot do this; sign in.";
    caller.session.as_ref().ok_or_else(|| Problem::forbidden("session_required", detail))
}

/// Profile and secret of the caller, with their revisions.
pub struct Account {
    /// Who.
    pub profile: Profile,
    /// Its revision.
    pub profile_rev: u32,
    /// What they sign in with.
    pub secret: Secret,
    /// Its revision.
    pub secret_rev: u32,
}

impl Account {
    /// The address: whoever is signed in has one.
    ///
    /// # Errors
    /// 401: they were deleted this moment.
    pub fn email(&self) -> Result<&Email, Problem> {
        self.profile.email.as_ref().ok_or_else(Problem::unauthenticated)
    }
}

/// Reads them.
///
/// # Errors
/// 401 where the user is gone; the store's.
pub async fn account(state: &State, caller: &Caller) -> Result<Account, Problem> {
    let store = &state.kit.store;
    let (profile, secret) = tokio::try_join!(store.user_get(&caller.user), store.user_secret(&caller.user))?;
    let ((profile, profile_rev), (secret, secret_rev)) = profile.zip(secret).ok_or_else(Problem::unauthenticated)?;
    Ok(Account { profile, profile_rev, secret, secret_rev })
}

/// Reads them once the password is right; `pointer` is where it stands in the body.
///
/// # Errors
/// 422 that names the field; 429; the store's.
pub async fn by_password(
    state: &State,
    caller: &Caller,
    pointer: &'static str,
    password: GivenPassword,
) -> Result<Account, Problem> {
    limits::proof(state, session(caller)?).await?;
    let account = account(state, caller).await?;
    match state.passwords.check(password.0, Some(account.secret.password.clone())).await? {
        Verdict::Right | Verdict::RightButOld => Ok(account),
        Verdict::Wrong => Err(Problem::field(pointer, "it is not your password")),
    }
}

/// As [`by_password`], and where a second factor is in force, by a code of it, which is used up. Read again after that.
///
/// # Errors
/// As [`by_password`]; 401 where a code is needed.
pub async fn by_both(
    state: &State,
    caller: &Caller,
    password: GivenPassword,
    code: Option<Code>,
) -> Result<Account, Problem> {
    let proven = by_password(state, caller, "/password", password).await?;
    if proven.secret.second_in_force().is_none() {
        return Ok(proven);
    }
    let code = code.ok_or_else(second_factor_required)?;
    if !use_code(state, &caller.user, &code.0).await? {
        return Err(Problem::field("/code", "it is not a code that counts now"));
    }
    account(state, caller).await
}

/// The password was right, and is not enough.
pub fn second_factor_required() -> Problem {
    let detail = "Send a code of your second factor, or a recovery code, as `code`.";
    Problem::new(StatusCode::UNAUTHORIZED, "second_factor_required", detail)
}
