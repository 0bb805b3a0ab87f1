//! `GET|PATCH /auth/me`: who somebody is, to themselves.

use crate::{State, proof};
use api::{Caller, Json, Name, Problem, patched_name};
use axum::extract::State as With;
use domain::Id;
use domain::account::Role;
use garde::Validate;
use serde::{Deserialize, Serialize};
use store::{Profile, UserChange};
use utoipa::ToSchema;

/// An account, as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// Also the customer of wallets and servers.
    #[schema(value_type = String, example = "usr_0190f3a2c1d27e55a6c0f7e1d2b3c4a5")]
    id: Id,
    /// The address to sign in with.
    email: Option<String>,
    /// Whether it is proven.
    email_verified: bool,
    /// What they are called.
    name: Option<String>,
    /// For whom they are here.
    company: Option<String>,
    /// `user` or `admin`.
    #[schema(value_type = String, pattern = "^(user|admin)$")]
    role: Role,
    /// Whether a second factor is asked for.
    two_factor_enabled: bool,
    /// When they came.
    #[schema(format = DateTime)]
    created_at: String,
    /// When this was changed last.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// What to change; what is missing stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct UpdateMe {
    /// What they are called; `null` takes it away.
    #[serde(default, deserialize_with = "patched_name")]
    name: Option<Name>,
    /// For whom they are here; `null` takes it away.
    #[serde(default, deserialize_with = "patched_name")]
    company: Option<Name>,
}

/// The account that asks.
#[utoipa::path(
    get, path = "/auth/me", tag = "auth", operation_id = "me",
    responses((status = 200, body = Me)), security(("bearer" = []))
)]
pub async fn show(With(state): With<State>, caller: Caller) -> Result<axum::Json<Me>, Problem> {
    let account = proof::account(&state, &caller).await?;
    Ok(axum::Json(Me::of(account.profile, caller.role, account.secret.second_in_force().is_some())))
}

/// Changes name and company.
#[utoipa::path(
    patch, path = "/auth/me", tag = "auth", operation_id = "update_me", request_body = UpdateMe,
    responses((status = 200, body = Me)), security(("bearer" = []))
)]
pub async fn update(
    With(state): With<State>,
    caller: Caller,
    Json(body): Json<UpdateMe>,
) -> Result<axum::Json<Me>, Problem> {
    let change = UserChange { name: body.name.map(|name| name.0), company: body.company.map(|name| name.0) };
    let changed = state.kit.store.user_change(&caller.user, &change, state.kit.clock.now()).await?;
    changed.ok_or_else(Problem::unauthenticated)?;
    show(With(state), caller).await
}

impl Me {
    /// Of a profile.
    pub fn of(profile: Profile, role: Role, two_factor_enabled: bool) -> Self {
        Self {
            id: profile.id,
            email: profile.email.map(String::from),
            email_verified: profile.email_verified_at.is_some(),
            name: profile.name,
            company: profile.company,
            role,
            two_factor_enabled,
            created_at: profile.created_at.to_string(),
            updated_at: profile.updated_at.to_string(),
        }
    }
}
