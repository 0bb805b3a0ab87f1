//! `GET|DELETE /auth/sessions[/{id}]`: where somebody is signed in, and ending it.

use crate::{State, proof};
use api::{Caller, PageParams, Paged, PathId, Problem, Query, read_cursor, write_cursor};
use axum::extract::State as With;
use axum::http::StatusCode;
use domain::{Id, Timestamp};
use serde::Serialize;
use store::Session;
use utoipa::ToSchema;

/// A session, as its owner sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Its id.
    #[schema(value_type = String)]
    id: Id,
    /// Whether it is the one that asks.
    current: bool,
    /// When it began.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was refreshed last.
    #[schema(format = DateTime)]
    last_used_at: String,
    /// When it ends if it is not used.
    #[schema(format = DateTime)]
    expires_at: String,
    /// From where it began.
    address: Option<String>,
    /// With what, as the client says.
    device: Option<String>,
}

/// The live sessions of somebody, newest first.
///
/// # Errors
/// The store's.
pub async fn live(state: &State, caller: &Caller) -> Result<Vec<SessionView>, Problem> {
    let (store, now) = (&state.kit.store, state.kit.clock.now());
    let (sessions, access) = tokio::try_join!(store.session_list(&caller.user), store.access_get(&caller.user))?;
    let live = access.map(|access| access.sessions).unwrap_or_default();
    let is_live = |session: &Session| live.contains(&session.id) && session.is_live(now);
    Ok(sessions.into_iter().filter(is_live).map(|session| SessionView::of(session, caller)).collect())
}

/// One page of what fits into memory: newest first by id, after the cursor.
///
/// # Errors
/// 400 for a cursor that is none.
pub fn page<T: Clone>(all: Vec<T>, id: impl Fn(&T) -> &Id, params: &PageParams) -> Result<Paged<T>, Problem> {
    let after: Option<Id> = read_cursor(params.cursor.as_deref())?;
    let mut rest = all.into_iter().filter(|row| after.as_ref().is_none_or(|after| id(row) < after));
    let data: Vec<T> = rest.by_ref().take(params.rows()).collect();
    let last = data.last().filter(|_| rest.next().is_some());
    let next_cursor = last.map(|row| write_cursor(id(row))).transpose()?;
    Ok(Paged { data, next_cursor })
}

/// Where the account is signed in.
#[utoipa::path(
    get, path = "/auth/sessions", tag = "auth", operation_id = "sessions", params(PageParams),
    responses((status = 200, body = Paged<SessionView>)), security(("bearer" = []))
)]
pub async fn list(
    With(state): With<State>,
    caller: Caller,
    Query(params): Query<PageParams>,
) -> Result<axum::Json<Paged<SessionView>>, Problem> {
    page(live(&state, &caller).await?, |session| &session.id, &params).map(axum::Json)
}

/// Ends all sessions but the one that asks, and a change of address that waits to be confirmed: one of the others may have asked.
#[utoipa::path(
    delete, path = "/auth/sessions", tag = "auth", operation_id = "end_other_sessions",
    responses((status = 204, description = "They are over.")), security(("bearer" = []))
)]
pub async fn end_others(With(state): With<State>, caller: Caller) -> Result<StatusCode, Problem> {
    state.kit.store.access_sessions_end(&caller.user, Some(proof::session(&caller)?)).await?;
    // After them: before, one of them could ask again.
    state.kit.store.email_change_drop(&caller.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a session.
#[utoipa::path(
    delete, path = "/auth/sessions/{id}", tag = "auth", operation_id = "end_session",
    params(("id" = String, Path, description = "The session", max_length = 64, pattern = "^[A-Za-z0-9_-]+$")),
    responses((status = 204, description = "It is over.")), security(("bearer" = []))
)]
pub async fn end(With(state): With<State>, caller: Caller, PathId(id): PathId) -> Result<StatusCode, Problem> {
    proof::session(&caller)?;
    let access = state.kit.store.access_get(&caller.user).await?;
    if !access.is_some_and(|access| access.sessions.contains(&id)) {
        return Err(Problem::not_found());
    }
    state.kit.store.session_end(&caller.user, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl SessionView {
    fn of(session: Session, caller: &Caller) -> Self {
        let ends: Timestamp = session.idle_at.min(session.expires_at);
        Self {
            current: caller.session.as_ref() == Some(&session.id),
            id: session.id,
            created_at: session.created_at.to_string(),
            last_used_at: session.last_used_at.to_string(),
            expires_at: ends.to_string(),
            address: session.address,
            device: session.device,
        }
    }
}
