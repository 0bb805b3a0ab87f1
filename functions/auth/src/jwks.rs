//! `GET /.well-known/jwks.json`: the public keys of access tokens (RFC 7517), for whoever wants to check one.

use crate::State;
use api::Problem;
use axum::extract::State as With;
use axum::http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use store::AccessKey;
use utoipa::ToSchema;

/// How long a copy may be used. Whoever meets a key's name that is not in it asks again.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct Jwks {
    /// Newest first.
    keys: Vec<Jwk>,
}

/// One key.
#[derive(Debug, Serialize, ToSchema)]
pub struct Jwk {
    /// Always `EC`.
    #[schema(pattern = "^EC$")]
    kty: &'static str,
    /// Always `P-256`.
    #[schema(pattern = "^P-256$")]
    crv: &'static str,
    /// Always `ES256`.
    #[schema(pattern = "^ES256$")]
    alg: &'static str,
    /// Always `sig`.
    #[schema(pattern = "^sig$")]
    r#use: &'static str,
    /// Its name in tokens.
    kid: String,
    /// The curve's point.
    x: String,
    /// The curve's point.
    y: String,
}

impl From<AccessKey> for Jwk {
    fn from(key: AccessKey) -> Self {
        let AccessKey { kid, x, y, .. } = key;
        Self { kty: "EC", crv: "P-256", alg: "ES256", r#use: "sig", kid, x, y }
    }
}

/// The public keys of access tokens.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "auth", operation_id = "jwks", responses((status = 200, body = Jwks))
)]
pub async fn show(With(state): With<State>) -> Result<([(HeaderName, HeaderValue); 1], axum::Json<Jwks>), Problem> {
    let keys = state.kit.store.access_keys().await?.into_iter().map(Jwk::from).collect();
    Ok(([(header::CACHE_CONTROL, CACHE)], axum::Json(Jwks { keys })))
}
