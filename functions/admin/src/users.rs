//! `GET /admin/users`: everybody, or those whose address, name or company has some words in it.

use api::{
    Admin, Kit, NumberParams, Numbered, PageParams, Paged, Pagination, Problem, Queries, read_cursor, write_cursor,
};
use axum::Json;
use axum::extract::State;
use domain::Id;
use domain::account::{Role, Status};
use garde::Validate;
use serde::{Deserialize, Serialize};
use store::{Access, Found, Profile};
use utoipa::ToSchema;

/// Users that are counted, and counted out, for pages with numbers: about 3 MB of profiles.
const MAX_COUNTED: usize = 10_000;

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

/// Users, by pages with numbers or by cursor.
#[derive(Debug, Serialize, ToSchema)]
pub struct Users {
    /// The rows, and where the list goes on.
    #[serde(flatten)]
    rows: Paged<UserRow>,
    /// `null` where no page was named: counting reads everybody. It has no `total` in a search, nor where there are more than
    /// 10,000 users.
    pagination: Option<Pagination>,
}

/// All users, newest first, or those who have some words in their address, name or company.
#[utoipa::path(
    get, path = "/admin/users", tag = "admin", operation_id = "admin_users",
    params(UserFilter, NumberParams, PageParams), responses((status = 200, body = Users)), security(("bearer" = ["admin"]))
)]
pub async fn list(
    _: Admin,
    State(kit): State<Kit>,
    Queries((filter, number, page)): Queries<(UserFilter, NumberParams, PageParams)>,
) -> Result<Json<Users>, Problem> {
    let after: Option<Id> = read_cursor(page.cursor.as_deref())?;
    let numbered = number.named(&page)?;
    let (skip, limit) = (numbered.map_or(0, Numbered::skip), page.rows());
    let (found, total) = match (&filter.search, numbered) {
        (Some(words), _) => (found(&kit, words, after, (skip, limit)).await?, None),
        (None, None) => (everybody(&kit, after, limit).await?, None),
        (None, Some(_)) => counted(&kit, (skip, limit)).await?,
    };
    let pagination = numbered.map(|numbered| numbered.pagination(total));
    let ids: Vec<Id> = found.rows.iter().map(|profile| profile.id.clone()).collect();
    let access = kit.store.access_list(&ids).await?;
    let row = |profile: Profile| {
        let access = access.get(&profile.id);
        UserRow::new(profile, access)
    };
    let next_cursor = found.next.as_ref().map(write_cursor).transpose()?;
    Ok(Json(Users { rows: Paged { data: found.rows.into_iter().map(row).collect(), next_cursor }, pagination }))
}

/// Those who have the words, without the first `skip` of them. What is skipped is searched in the same request.
async fn found(
    kit: &Kit,
    words: &str,
    after: Option<Id>,
    (skip, limit): (usize, usize),
) -> Result<Found<Profile>, Problem> {
    let found = kit.store.user_search(words, after, skip.saturating_add(limit)).await?;
    if found.rows.len() < skip && found.next.is_some() {
        return Err(Numbered::too_far());
    }
    Ok(Found { rows: found.rows.into_iter().skip(skip).collect(), next: found.next })
}

/// All of them without the first `skip`, and how many there are, where they can be counted.
async fn counted(kit: &Kit, (skip, limit): (usize, usize)) -> Result<(Found<Profile>, Option<u64>), Problem> {
    let ids = kit.store.user_ids(MAX_COUNTED + 1).await?;
    let total = u64::try_from(ids.len()).ok().filter(|_| ids.len() <= MAX_COUNTED);
    let after = match skip.checked_sub(1) {
        None => None,
        Some(last) if last < ids.len() => ids.into_iter().nth(last),
        Some(_) if total.is_some() => return Ok((Found { rows: Vec::new(), next: None }, total)),
        Some(_) => return Err(Numbered::too_far()),
    };
    Ok((everybody(kit, after, limit).await?, total))
}

async fn everybody(kit: &Kit, after: Option<Id>, limit: usize) -> Result<Found<Profile>, Problem> {
    // One more than asked for tells whether there are more.
    let mut rows = kit.store.user_list(after.as_ref(), u16::try_from(limit + 1).unwrap_or(u16::MAX)).await?;
    let is_last = rows.len() <= limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| !is_last).map(|profile| profile.id.to_string());
    Ok(Found { rows, next })
}
