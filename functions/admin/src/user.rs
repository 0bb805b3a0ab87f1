//! `GET`, `PUT` and `DELETE /admin/users/{id}`: one user as an admin sees, changes and deactivates them.

use crate::acting::Acting;
use crate::users::UserRow;
use api::{Admin, Kit, Money, Name, PathId, Problem, patched_name};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::Id;
use domain::account::{Role, Status};
use garde::Validate;
use serde::{Deserialize, Serialize};
use store::audit::{USER_DEACTIVATE, USER_UPDATE};
use store::{AdminChange, AdminChanged, By, UserChange};
use utoipa::ToSchema;

/// A user in full.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserDetails {
    /// Who they are.
    #[serde(flatten)]
    user: UserRow,
    /// Sessions that are not over.
    sessions: usize,
    /// API keys that hold.
    api_keys: usize,
    /// What the ledger holds for them: USD credits, then tokens.
    balances: Vec<Money>,
}

/// What to change; what is missing stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct UserUpdate {
    /// What they are called; `null` takes it away.
    #[serde(default, deserialize_with = "patched_name")]
    name: Option<Name>,
    /// For whom they are here; `null` takes it away.
    #[serde(default, deserialize_with = "patched_name")]
    company: Option<Name>,
    /// What they may do. Not one's own.
    #[schema(value_type = Option<String>, pattern = "^(user|admin)$")]
    role: Option<Role>,
    /// Whether they may do anything. Suspension can be lifted, and sessions go on then; deactivation ends them. Not one's own.
    #[schema(value_type = Option<String>, pattern = "^(active|suspended|deactivated)$")]
    status: Option<Status>,
}

/// One user, with what the ledger holds for them.
#[utoipa::path(
    get, path = "/admin/users/{id}", tag = "admin", operation_id = "admin_user", params(("id" = String, Path)),
    responses((status = 200, body = UserDetails)), security(("bearer" = ["admin"]))
)]
pub async fn show(_: Admin, State(kit): State<Kit>, PathId(id): PathId) -> Result<Json<UserDetails>, Problem> {
    let (profile, _) = kit.store.user_get(&id).await?.ok_or_else(Problem::not_found)?;
    let access = kit.store.access_get(&id).await?;
    let balances = kit.store.wallet_balances(&id).await?;
    Ok(Json(UserDetails {
        sessions: access.as_ref().map_or(0, |access| access.sessions.len()),
        api_keys: access.as_ref().map_or(0, |access| access.keys.len()),
        balances: balances.iter().map(|balance| Money::new(balance.amount, balance.unit)).collect(),
        user: UserRow::new(profile, access.as_ref()),
    }))
}

/// Changes a user's name, company, role or status.
#[utoipa::path(
    put, path = "/admin/users/{id}", tag = "admin", operation_id = "admin_user_update", params(("id" = String, Path)),
    request_body = UserUpdate, responses((status = 200, body = UserRow)), security(("bearer" = ["admin"]))
)]
pub async fn update(
    Acting(by): Acting,
    State(kit): State<Kit>,
    PathId(id): PathId,
    api::Json(body): api::Json<UserUpdate>,
) -> Result<Json<UserRow>, Problem> {
    if body.status == Some(Status::Deleted) {
        return Err(Problem::field("/status", "only users themselves have themselves deleted"));
    }
    let text = |name: Option<Name>| name.map(|Name(text)| text);
    let profile = UserChange { name: text(body.name), company: text(body.company) };
    change(&kit, &id, &AdminChange { profile, role: body.role, status: body.status }, USER_UPDATE, &by).await
}

/// Deactivates a user: sessions and API keys end, and nobody signs in there any more. What the ledger holds stays. It can be
/// undone by setting the status.
#[utoipa::path(
    delete, path = "/admin/users/{id}", tag = "admin", operation_id = "admin_user_deactivate",
    params(("id" = String, Path)), responses((status = 200, body = UserRow)), security(("bearer" = ["admin"]))
)]
pub async fn deactivate(
    Acting(by): Acting,
    State(kit): State<Kit>,
    PathId(id): PathId,
) -> Result<Json<UserRow>, Problem> {
    let change_to = AdminChange { status: Some(Status::Deactivated), ..AdminChange::default() };
    change(&kit, &id, &change_to, USER_DEACTIVATE, &by).await
}

async fn change(kit: &Kit, user: &Id, change: &AdminChange, action: &str, by: &By) -> Result<Json<UserRow>, Problem> {
    match kit.store.user_admin_change(user, change, action, by).await? {
        AdminChanged::Done(done) => {
            let (profile, access) = *done;
            Ok(Json(UserRow::new(profile, Some(&access))))
        }
        AdminChanged::Missing => Err(Problem::not_found()),
        AdminChanged::Deleted => Err(Problem::new(
            StatusCode::CONFLICT,
            "account_deleted",
            "This account was deleted by its owner, for good.",
        )),
        AdminChanged::Own => {
            let detail = "Another admin must change your role or status: so there is always one left.";
            Err(Problem::new(StatusCode::CONFLICT, "own_account", detail))
        }
    }
}
