//! `POST /auth/logout`: the session ends, with its access token.

use crate::{State, proof};
use api::{Caller, Problem};
use axum::extract::State as With;
use axum::http::StatusCode;

/// Ends the session that asks.
#[utoipa::path(
    post, path = "/auth/logout", tag = "auth", operation_id = "logout",
    responses((status = 204, description = "The session is over.")), security(("bearer" = []))
)]
pub async fn logout(With(state): With<State>, caller: Caller) -> Result<StatusCode, Problem> {
    state.kit.store.session_end(&caller.user, proof::session(&caller)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
