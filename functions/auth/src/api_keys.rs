//! `GET|POST /auth/api-keys`, `DELETE /auth/api-keys/{id}`: keys for programs, each with what it may do. A key is shown once.
//!
//! The answer with the key is never stored, not even for a replay. With an `Idempotency-Key`, the id of the API key is derived
//! from it: the same request again makes no second one, and is told so.

use crate::fields::{Code, GivenPassword};
use crate::random::{self, hash};
use crate::sessions::page;
use crate::{State, limits, mails, proof};
use api::{Caller, ClientIp, FieldError, IdempotencyKey, Json, PageParams, Paged, PathId, Problem, Query, api_key};
use axum::extract::State as With;
use axum::http::StatusCode;
use domain::account::{KeyArea, Role, Scope};
use domain::{Id, Timestamp};
use garde::Validate;
use serde::{Deserialize, Serialize};
use store::{ApiKey, ApiKeyCreated, MAX_API_KEYS};
use utoipa::ToSchema;

/// A key that is wanted, by somebody who proves who they are: it outlives the session that makes it.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// What the owner calls it.
    #[garde(length(chars, min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "monitoring")]
    name: String,
    /// What it may do: `<area>:read` or `<area>:write` (which includes reading).
    #[garde(length(min = 1, max = 8))]
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 8, example = json!(["billing:read"]))]
    scopes: Vec<Scope>,
    /// Until when it holds, RFC 3339; for ever where it is missing.
    #[garde(skip)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The password.
    #[garde(skip)]
    password: GivenPassword,
    /// A code of the second factor, where one is in force.
    #[garde(skip)]
    code: Option<Code>,
}

/// A key, as its owner sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ApiKeyView {
    /// Its id, part of the key.
    #[schema(value_type = String)]
    id: Id,
    /// What the owner calls it.
    name: String,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Until when it holds.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A new key with its secret.
#[derive(Serialize, ToSchema)]
pub struct CreatedApiKey {
    /// The key itself, for `Authorization: Bearer`. It is shown now and never again.
    #[schema(pattern = "^sky_[A-Za-z0-9]+_[A-Za-z0-9]+_[A-Za-z0-9_-]+$")]
    key: String,
    /// What is known of it later, too.
    #[serde(flatten)]
    view: ApiKeyView,
}

impl From<ApiKey> for ApiKeyView {
    fn from(key: ApiKey) -> Self {
        let (created_at, expires_at) = (key.created_at.to_string(), key.expires_at.map(|at| at.to_string()));
        Self { id: key.id, name: key.name, scopes: key.scopes, created_at, expires_at }
    }
}

/// The keys of somebody, newest first.
///
/// # Errors
/// The store's.
pub async fn of(state: &State, user: &Id) -> Result<Vec<ApiKeyView>, Problem> {
    let mut keys: Vec<ApiKeyView> =
        state.kit.store.api_key_list(user).await?.into_iter().map(ApiKeyView::from).collect();
    keys.sort_by(|a, b| b.id.cmp(&a.id));
    Ok(keys)
}

/// The account's API keys, without their secrets.
#[utoipa::path(
    get, path = "/auth/api-keys", tag = "auth", operation_id = "api_keys", params(PageParams),
    responses((status = 200, body = Paged<ApiKeyView>)), security(("bearer" = []))
)]
pub async fn list(
    With(state): With<State>,
    caller: Caller,
    Query(params): Query<PageParams>,
) -> Result<axum::Json<Paged<ApiKeyView>>, Problem> {
    page(of(&state, &caller.user).await?, |key| &key.id, &params).map(axum::Json)
}

/// Makes an API key. It is shown once, and the owner is told by mail.
#[utoipa::path(
    post, path = "/auth/api-keys", tag = "auth", operation_id = "create_api_key", request_body = NewApiKey,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        description = "The same one again makes no second key: 409, for the first was shown once.")),
    responses((status = 201, body = CreatedApiKey)), security(("bearer" = []))
)]
pub async fn create(
    With(state): With<State>,
    caller: Caller,
    ip: ClientIp,
    IdempotencyKey(client): IdempotencyKey,
    Json(body): Json<NewApiKey>,
) -> Result<(StatusCode, axum::Json<CreatedApiKey>), Problem> {
    let session = proof::session(&caller)?;
    let now = state.kit.clock.now();
    let (password, code) = (body.password.clone(), body.code.clone());
    let key = wanted(body, &caller, new_id(&state, &caller, client.as_deref()), now)?;
    let account = proof::by_both(&state, &caller, password, code).await?;
    limits::api_key(&state, &caller.user).await?;
    let secret = random::secret()?;
    let hashed = api_key::hash(&secret);
    let mail = mails::api_key_created(&account.profile, account.email()?, (&key, &hashed), ip, now);
    match state.kit.store.api_key_create((&caller.user, session), &key, hashed, &mail, now).await? {
        ApiKeyCreated::New => {
            mails::tell(&state, &mail).await;
            let text = api_key::write(&caller.user, &key.id, &secret);
            Ok((StatusCode::CREATED, axum::Json(CreatedApiKey { key: text, view: key.into() })))
        }
        ApiKeyCreated::Already => {
            let detail = "This request has made an API key before, which was shown once. Delete it and make another.";
            Err(Problem::new(StatusCode::CONFLICT, "already_created", detail))
        }
        ApiKeyCreated::TooMany => {
            let detail = format!("There are {MAX_API_KEYS} API keys already; delete one first.");
            Err(Problem::new(StatusCode::CONFLICT, "too_many_api_keys", detail))
        }
        ApiKeyCreated::SessionEnded => Err(Problem::unauthenticated()),
    }
}

/// Ends an API key.
#[utoipa::path(
    delete, path = "/auth/api-keys/{id}", tag = "auth", operation_id = "delete_api_key",
    params(("id" = String, Path, description = "The key's id", max_length = 64, pattern = "^[A-Za-z0-9_-]+$")),
    responses((status = 204, description = "It holds no more.")), security(("bearer" = []))
)]
pub async fn delete(With(state): With<State>, caller: Caller, PathId(id): PathId) -> Result<StatusCode, Problem> {
    proof::session(&caller)?;
    let was = state.kit.store.api_key_delete(&caller.user, &id).await?;
    if was { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}

fn new_id(state: &State, caller: &Caller, client: Option<&str>) -> Id {
    let Some(client) = client else { return state.kit.id("key") };
    let hashed = hash(format!("{}|{client}", caller.user));
    let text = format!("key_{}", hashed.get(..32).unwrap_or_default());
    Id::new(&text).unwrap_or_else(|_| unreachable!("hex is part of the alphabet"))
}

/// The key that is wanted, where it can be had.
fn wanted(body: NewApiKey, caller: &Caller, id: Id, now: Timestamp) -> Result<ApiKey, Problem> {
    let mut errors = Vec::new();
    if body.name.chars().any(char::is_control) || body.name.trim().is_empty() {
        errors.push(FieldError::body("/name", "it must have something to read and no control characters"));
    }
    let is_admins = |scope: &Scope| scope.allows(KeyArea::Admin.as_str(), false);
    if let Some(at) = body.scopes.iter().position(is_admins).filter(|_| caller.role != Role::Admin) {
        errors.push(FieldError::body(format!("/scopes/{at}"), "only an admin's key can have it"));
    }
    let expires_at = body.expires_at.map(|text| Timestamp::parse(&text)).transpose();
    match expires_at {
        Err(_) => errors.push(FieldError::body("/expires_at", "it is not a time in RFC 3339")),
        Ok(Some(at)) if at <= now => errors.push(FieldError::body("/expires_at", "it is past")),
        Ok(_) => {}
    }
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    let mut scopes = body.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    Ok(ApiKey { id, name: body.name.trim().to_owned(), scopes, created_at: now, expires_at: expires_at.ok().flatten() })
}
