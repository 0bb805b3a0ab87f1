//! `POST /auth/refresh`: the next pair of tokens, once. A refresh token that comes a second time was copied: the session ends, for
//! the thief and for the owner. An honest client that sends one twice, because an answer was lost, has to sign in again.

use crate::State;
use crate::fields::Token;
use crate::random::same;
use crate::session::{self, IDLE_SECS, Presented, Tokens};
use api::{FieldError, Json, Problem};
use axum::extract::State as With;
use axum::http::StatusCode;
use domain::account::Status;
use garde::Validate;
use serde::Deserialize;
use store::{Access, Session, StoreError};
use utoipa::ToSchema;

/// Tries to write the next token while other transactions are at the record.
const MAX_TRIES: usize = 4;

/// The newest refresh token of a session.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct Refresh {
    /// As it was handed out.
    refresh_token: Token,
}

/// The next access token and refresh token. Each refresh token holds once; the second use ends the session.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "auth", operation_id = "refresh", request_body = Refresh,
    responses((status = 200, body = Tokens))
)]
pub async fn refresh(With(state): With<State>, Json(body): Json<Refresh>) -> Result<axum::Json<Tokens>, Problem> {
    let Token(text) = body.refresh_token;
    let presented = Presented::parse(&text).ok_or_else(invalid)?;
    let (store, now) = (&state.kit.store, state.kit.clock.now());
    let (user, id) = (&presented.user, &presented.session);
    let (held, access) = tokio::try_join!(store.session_get(user, id), store.access_get(user))?;
    let ((session, generation), access) = held.zip(access).ok_or_else(invalid)?;
    if !same(&session.family, &presented.family) {
        // Invented by somebody who knows two ids: nobody's session ends for that.
        return Err(invalid());
    }
    may_go_on(&access, &session)?;
    if !session.is_live(now) {
        store.session_end(user, id).await?;
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "session_expired",
            "This session has expired; sign in again.",
        ));
    }
    if generation != presented.generation || !same(&session.token, &presented.token) {
        return Err(reused(&state, &session).await?);
    }
    // Before this token is used up.
    session::may_sign(&state).await?;
    let next = session::next_refresh_token(&text, &presented)?;
    let token = crate::random::hash(&next);
    let session = Session { token, last_used_at: now, idle_at: now.plus_secs(IDLE_SECS), ..session };
    match rotate(&state, &session, generation, &presented.token).await? {
        Rotated::Ours => session::tokens(&state, &session, next, now).map(axum::Json),
        Rotated::Others => Err(reused(&state, &session).await?),
    }
}

/// Whose token is the newest now.
enum Rotated {
    /// The one that is handed out here.
    Ours,
    /// Somebody else's, got with the same token: there are two who have it.
    Others,
}

/// Puts the next token in the place of the one that was presented.
async fn rotate(state: &State, session: &Session, generation: u32, presented: &str) -> Result<Rotated, Problem> {
    let store = &state.kit.store;
    for _ in 0..MAX_TRIES {
        match store.session_rotate(session, generation).await {
            Ok(()) => return Ok(Rotated::Ours),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
        match store.session_get(&session.user, &session.id).await? {
            // Our own write was made and its answer lost on the way; nobody else can have written this very token.
            Some((held, _)) if same(&held.token, &session.token) => return Ok(Rotated::Ours),
            // Nobody has written anything: another transaction was at the record.
            Some((held, _)) if same(&held.token, presented) => {}
            Some(_) | None => return Ok(Rotated::Others),
        }
    }
    Err(StoreError::Conflict("session_rotate").into())
}

/// Whether the session still lives, and its user may do anything.
fn may_go_on(access: &Access, session: &Session) -> Result<(), Problem> {
    match access.status {
        Status::Active => {}
        Status::Suspended => return Err(Problem::forbidden("account_suspended", "This account is suspended.")),
        Status::Deactivated => return Err(Problem::forbidden("account_deactivated", "This account is closed.")),
        Status::Deleted => return Err(invalid()),
    }
    if access.sessions.contains(&session.id) { Ok(()) } else { Err(invalid()) }
}

/// Ends the session with all its tokens.
async fn reused(state: &State, session: &Session) -> Result<Problem, Problem> {
    tracing::warn!(user = %session.user, session = %session.id, "a refresh token came twice: its session ends");
    state.kit.store.session_end(&session.user, &session.id).await?;
    let detail = "This refresh token was used before. Its session is over, in case somebody copied it; sign in again.";
    Ok(refused("refresh_token_reused", detail, "it was used before"))
}

fn invalid() -> Problem {
    let detail = "This refresh token does not hold; sign in again.";
    refused("invalid_refresh_token", detail, "it does not hold")
}

/// A refusal that names the field.
fn refused(code: &'static str, detail: &str, why: &str) -> Problem {
    let problem = Problem::new(StatusCode::UNAUTHORIZED, code, detail);
    problem.with_errors(vec![FieldError::body("/refresh_token", why)])
}
