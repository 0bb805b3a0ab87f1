//! Who asks, and whether they may: extractors, so that a handler that does not name one is public, and says so in OpenAPI.

use crate::access::TokenError;
use crate::api_key::{self, PresentedKey};
use crate::kit::Kit;
use crate::problem::Problem;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use domain::Id;
use domain::account::{Role, Status};
use store::Access;

/// The area whose scopes make an admin's API key an admin.
const ADMIN_AREA: &str = "admin";
/// Where an admin's key needs none of them: a monitor may see how billing is doing, and nothing else.
const MONITORED_AREA: &str = "health";

/// Somebody signed in, with a live session or an API key, whose account is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub user: Id,
    /// What they may do.
    pub role: Role,
    /// The session; nothing for an API key.
    pub session: Option<Id>,
}

/// Somebody signed in who is an admin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin(pub Caller);

impl Kit {
    /// The kit [`crate::serve`] gave to this request.
    ///
    /// # Errors
    /// 500 where a route stands outside of it.
    pub fn of_request(parts: &Parts) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!("a route that needs the kit is served without it");
            Problem::of(StatusCode::INTERNAL_SERVER_ERROR)
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let kit = Kit::of_request(parts)?;
        let token = bearer(parts).ok_or_else(Problem::unauthenticated)?;
        let caller = match api_key::parse(token) {
            Some(key) => by_key(&kit, &key, &parts.method).await?,
            None => by_token(&kit, token).await?,
        };
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

/// `None` where nobody says who they are; a token that does not hold is refused all the same.
impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        <Self as FromRequestParts<S>>::from_request_parts(parts, state).await.map(Some)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        match caller.role {
            Role::Admin => Ok(Self(caller)),
            Role::User => Err(Problem::forbidden("admins_only", "Only an admin may do this.")),
        }
    }
}

/// The token of `Bearer <token>`; the scheme in any case (RFC 9110, 11.1).
fn bearer(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

async fn by_token(kit: &Kit, token: &str) -> Result<Caller, Problem> {
    let claims = kit.keys.verify(token).await.map_err(|error| match error {
        TokenError::Invalid => Problem::unauthenticated(),
        TokenError::Expired => Problem::new(StatusCode::UNAUTHORIZED, "token_expired", "Refresh the access token."),
        TokenError::Store(error) => error.into(),
    })?;
    let access = access_of(kit, &claims.sub).await?;
    if !access.sessions.contains(&claims.sid) {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "session_ended", "This session is over; sign in again."));
    }
    Ok(Caller { user: claims.sub, role: access.role, session: Some(claims.sid) })
}

async fn by_key(kit: &Kit, key: &PresentedKey<'_>, method: &Method) -> Result<Caller, Problem> {
    let access = access_of(kit, &key.user).await?;
    let grant = access.keys.get(&key.id).filter(|grant| api_key::holds(key.secret, &grant.hash));
    let grant = grant.ok_or_else(Problem::unauthenticated)?;
    if grant.expires_at.is_some_and(|at| at <= kit.clock.now()) {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "key_expired", "This API key has expired."));
    }
    let write = !method.is_safe();
    if !grant.scopes.iter().any(|scope| scope.allows(kit.area, write)) {
        let verb = if write { "write" } else { "read" };
        return Err(Problem::forbidden("scope_missing", format!("This API key lacks the scope {}:{verb}.", kit.area)));
    }
    // A key is no more than its scopes: only one with a scope of `admin` is an admin's, whatever its owner has become.
    let has_admins_scope = grant.scopes.iter().any(|scope| scope.allows(ADMIN_AREA, write));
    let is_admins = has_admins_scope || kit.area == MONITORED_AREA;
    let role = if is_admins { access.role } else { Role::User };
    Ok(Caller { user: key.user.clone(), role, session: None })
}

/// What the account may do now: sessions end, and accounts are suspended, while tokens still hold.
async fn access_of(kit: &Kit, user: &Id) -> Result<Access, Problem> {
    let access = kit.store.access_get(user).await?.ok_or_else(Problem::unauthenticated)?;
    match access.status {
        Status::Active => Ok(access),
        Status::Suspended => Err(Problem::forbidden("account_suspended", "This account is suspended.")),
        Status::Deactivated => Err(Problem::forbidden("account_deactivated", "This account is closed.")),
        Status::Deleted => Err(Problem::unauthenticated()),
    }
}
