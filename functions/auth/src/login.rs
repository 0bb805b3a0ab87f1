//! `POST /auth/login`. Whether an address has an account, only the right password tells: until then every answer is the same, and
//! so is the work behind it. Nor does the right password tell while the address is not proven: else whoever registers with an
//! address and signs in at once would learn whether it had been free.

use crate::answers::fail_no_sooner;
use crate::fields::{Address, Code, GivenPassword};
use crate::one_time::use_code;
use crate::password::Verdict;
use crate::session::{self, Tokens};
use crate::verify_email::stand_in;
use crate::{State, limits, mails, proof};
use api::{ClientIp, FieldError, Json, Problem};
use axum::extract::State as With;
use axum::http::{HeaderMap, StatusCode};
use domain::Id;
use domain::account::{Email, Status};
use garde::Validate;
use serde::Deserialize;
use store::{Profile, Secret, StoreError};
use utoipa::ToSchema;

/// Who signs in.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct Login {
    /// The address they registered with.
    email: Address,
    /// Their password.
    password: GivenPassword,
    /// A code of the second factor, or a recovery code, where one is in force.
    code: Option<Code>,
}

/// Signs in. A second factor that is in force is asked for once the password was right.
#[utoipa::path(
    post, path = "/auth/login", tag = "auth", operation_id = "login", request_body = Login,
    responses((status = 200, body = Tokens))
)]
pub async fn login(
    With(state): With<State>,
    ip: ClientIp,
    headers: HeaderMap,
    Json(body): Json<Login>,
) -> Result<axum::Json<Tokens>, Problem> {
    limits::sign_in(&state, &body.email.0, ip).await?;
    let device = session::device(&headers);
    fail_no_sooner(&state, sign_in(&state, body, ip, device)).await.map(axum::Json)
}

async fn sign_in(state: &State, body: Login, ip: ClientIp, device: Option<String>) -> Result<Tokens, Problem> {
    let Address(email) = body.email;
    let (store, now, place) = (&state.kit.store, state.kit.clock.now(), limits::place(&email, ip));
    let known = store.sign_in_read(&email, &place, &stand_in(&email), now).await?;
    if !known.is_known_address {
        limits::sign_in_elsewhere(state, &email).await?;
    }
    let kept = known.user.as_ref().map(|(_, secret, _)| secret.password.clone());
    let verdict = state.passwords.check(body.password.0.clone(), kept).await?;
    let (Some((profile, secret, rev)), Verdict::Right | Verdict::RightButOld) = (known.user, verdict) else {
        return Err(refused());
    };
    may_sign_in(state, &profile).await?;
    if verdict == Verdict::RightButOld {
        replace_hash(state, &profile.id, body.password, (&secret, rev)).await?;
    }
    if secret.second_in_force().is_some() {
        let code = body.code.ok_or_else(proof::second_factor_required)?;
        limits::code(state, &profile.id, known.is_known_address.then_some(place.as_str())).await?;
        if !use_code(state, &profile.id, &code.0).await? {
            let detail = "The code is wrong, or was used before.";
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "invalid_code", detail);
            return Err(problem.with_errors(vec![FieldError::body("/code", "it is wrong, or was used before")]));
        }
    }
    let tokens = session::begin(state, &profile.id, ip, device.clone()).await?;
    still_holds(state, &profile.id, &secret, tokens.session_id()).await?;
    store.sign_in_remember(&profile.id, &place, now).await?;
    if !known.is_known_address {
        tell_owner(state, &profile, &email, tokens.session_id(), (ip, device.as_deref())).await;
    }
    Ok(tokens)
}

/// Wrong, whatever was wrong.
fn refused() -> Problem {
    let detail = "The address or the password is wrong, or the address is not confirmed yet.";
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_credentials", detail)
}

/// What was checked before the session began is what holds after it. Another password ends the sessions there are; one that
/// began a moment later, with the old password, ends here.
async fn still_holds(state: &State, user: &Id, checked: &Secret, session: &Id) -> Result<(), Problem> {
    let store = &state.kit.store;
    if store.user_secret(user).await?.is_some_and(|(now, _)| is_same(checked, &now)) {
        return Ok(());
    }
    store.session_end(user, session).await?;
    Err(refused())
}

/// Whether two readings of a secret ask for the same password and the same second factor. A code that was used up, and another
/// hash of the same password, are no difference.
fn is_same(one: &Secret, other: &Secret) -> bool {
    let second = |secret: &Secret| secret.second_in_force().map(|second| second.secret.clone());
    one.generation == other.generation && second(one) == second(other)
}

/// What keeps somebody out who has the right password.
async fn may_sign_in(state: &State, profile: &Profile) -> Result<(), Problem> {
    if profile.email_verified_at.is_none() {
        return Err(refused());
    }
    match state.kit.store.access_get(&profile.id).await?.map(|access| access.status) {
        Some(Status::Active) => Ok(()),
        Some(Status::Suspended) => Err(Problem::forbidden("account_suspended", "This account is suspended.")),
        Some(Status::Deactivated) => Err(Problem::forbidden("account_deactivated", "This account is closed.")),
        Some(Status::Deleted) | None => Err(refused()),
    }
}

/// Keeps the password as one is kept today.
async fn replace_hash(
    state: &State,
    user: &Id,
    password: GivenPassword,
    (secret, rev): (&Secret, u32),
) -> Result<(), Problem> {
    let secret = Secret { password: state.passwords.hash(password.0).await?, ..secret.clone() };
    match state.kit.store.user_secret_put(user, &secret, rev).await {
        // Somebody changed it, or signed in, at the same time: the next sign-in tries again.
        Ok(()) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The owner hears of a sign-in from a new place. That it cannot be told does not undo the sign-in.
async fn tell_owner(state: &State, profile: &Profile, email: &Email, session: &Id, from: (ClientIp, Option<&str>)) {
    let now = state.kit.clock.now();
    let mail = mails::new_sign_in(profile, email, session, from, now);
    match state.kit.store.mail_enqueue(&mail, now).await {
        Ok(_) => mails::tell(state, &mail).await,
        Err(error) => tracing::error!(error = %error, "the owner was not told of a sign-in"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Second;

    fn secret(generation: u32, second: Option<(&str, bool, u64)>) -> Secret {
        let second = second.map(|(secret, confirmed, last_step)| Second {
            secret: secret.to_owned(),
            confirmed,
            last_step,
            recovery: Vec::new(),
        });
        Secret { password: generation.to_string(), generation, second }
    }

    #[test]
    fn a_sign_in_holds_only_for_the_password_and_the_second_factor_that_were_checked() {
        let (plain, with) = (secret(1, None), secret(1, Some(("a", true, 1))));
        assert!(is_same(&plain, &plain) && is_same(&with, &secret(1, Some(("a", true, 2)))));
        assert!(is_same(&plain, &Secret { password: "another hash".to_owned(), ..plain.clone() }));
        assert!(is_same(&plain, &secret(1, Some(("a", false, 0)))), "it is not in force yet");
        for other in [secret(2, None), with.clone()] {
            assert!(!is_same(&plain, &other), "{other:?}");
        }
        for other in [plain, secret(2, Some(("a", true, 1))), secret(1, Some(("b", true, 1)))] {
            assert!(!is_same(&with, &other), "{other:?}");
        }
    }
}
