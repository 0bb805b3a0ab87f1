//! `GET /admin/users`: everybody, or those whose address, name or company has some words in it.

use api::{Admin, Kit, Paged, Problem, Query, default_limit, read_cursor, write_cursor};
use axum::Json;
use axum::extract::State;
use domain::Id;
use domain::account::{Role, Status};
use garde::Validate;
use serde::{Deserialize, Serialize};
use store::{Access, Found, Profile};
use utoipa::ToSchema;

/// Which users.
#[derive(Debug, Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserFilter {
    /// In the mail address, the name or the company, in upper or lower case. A whole address finds its user at once; of
    /// anything else at most 1,000 users are looked through for one page, which may therefore be short, or empty.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    search: Option<String>,
    /// Rows, 1 to 100; 20 where it is missing.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = api::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// `next_cursor` of the page before.
    #[garde(length(max = 2048))]
    cursor: Option<String>,
}

/// A user, as a row of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserRow {
    /// Their id.
    pub id: String,
    /// Their mail address; none of somebody who was deleted.
    pub email: Option<String>,
    /// What they are called.
    pub name: Option<String>,
    /// For whom they are here.
    pub company: Option<String>,
    /// `user` or `admin`.
    #[schema(pattern = "^(user|admin)$")]
    pub role: &'static str,
    /// `active`, `suspended`, `deactivated` or `deleted`.
    #[schema(pattern = "^(active|suspended|deactivated|deleted)$")]
    pub status: &'static str,
    /// Whether they proved that the address is theirs.
    pub email_verified: bool,
    /// When they came, RFC 3339.
    pub created_at: String,
    /// When the profile was changed last, RFC 3339.
    pub updated_at: String,
}

impl UserRow {
    /// From what is stored. Who has no access at all can do nothing, whatever the profile says.
    pub fn new(profile: Profile, access: Option<&Access>) -> Self {
        Self {
            id: profile.id.into(),
            email: profile.email.map(String::from),
            name: profile.name,
            company: profile.company,
            role: access.map_or(Role::User, |access| access.role).as_str(),
            status: access.map_or(Status::Deleted, |access| access.status).as_str(),
            email_verified: profile.email_verified_at.is_some(),
            created_at: profile.created_at.to_string(),
            updated_at: profile.updated_at.to_string(),
        }
    }
}

/// All users, newest first, or those who have some words in their address, name or company.
#[utoipa::path(
    get, path = "/admin/users", tag = "admin", operation_id = "admin_users", params(UserFilter),
    responses((status = 200, body = Paged<UserRow>)), security(("bearer" = ["admin"]))
)]
pub async fn list(
    _: Admin,
    State(kit): State<Kit>,
    Query(filter): Query<UserFilter>,
) -> Result<Json<Paged<UserRow>>, Problem> {
    let after: Option<Id> = read_cursor(filter.cursor.as_deref())?;
    let limit = usize::try_from(filter.limit).unwrap_or(1);
    let found = match &filter.search {
        Some(words) => kit.store.user_search(words, after, limit).await?,
        None => everybody(&kit, after, limit).await?,
    };
    let ids: Vec<Id> = found.rows.iter().map(|profile| profile.id.clone()).collect();
    let access = kit.store.access_list(&ids).await?;
    let row = |profile: Profile| {
        let access = access.get(&profile.id);
        UserRow::new(profile, access)
    };
    let next_cursor = found.next.as_ref().map(write_cursor).transpose()?;
    Ok(Json(Paged { data: found.rows.into_iter().map(row).collect(), next_cursor }))
}

async fn everybody(kit: &Kit, after: Option<Id>, limit: usize) -> Result<Found<Profile>, Problem> {
    // One more than asked for tells whether there are more.
    let mut rows = kit.store.user_list(after.as_ref(), u16::try_from(limit + 1).unwrap_or(u16::MAX)).await?;
    let is_last = rows.len() <= limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| !is_last).map(|profile| profile.id.to_string());
    Ok(Found { rows, next })
}
