//! Access tokens: granted for the app's id and secret, asked for by every other call.

use super::error::TokenError;
use super::{PayPalError, TOKEN_CALL};
use crate::form::Form;
use crate::world::World;
use axum::Json;
use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// Why a call is not let in.
pub(crate) enum Refused {
    Token(TokenError),
    Call(PayPalError),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Token(error) => error.into_response(),
            Self::Call(error) => error.into_response(),
        }
    }
}

fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix(scheme)
}

/// Whether the caller has a token that lives, and speaks JSON.
pub(crate) fn admit(world: &World, parts: &Parts, _body: &Bytes) -> Result<(), Refused> {
    if format!("{} {}", parts.method, parts.uri.path()) == TOKEN_CALL {
        return Ok(());
    }
    let ends = authorization(&parts.headers, "Bearer ").and_then(|token| world.paypal.tokens.get(token));
    if ends.is_none_or(|ends| *ends <= world.now()) {
        return Err(Refused::Token(TokenError {
            status: StatusCode::UNAUTHORIZED,
            error: "invalid_token",
            description: "Token signature verification failed",
        }));
    }
    let content = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if parts.method == Method::POST && !content.starts_with("application/json") {
        return Err(Refused::Call(PayPalError::media_type()));
    }
    Ok(())
}

/// Grants a token for the app's credentials.
pub(super) fn grant(world: &mut World, headers: &HeaderMap, form: &Form) -> Response {
    let app = &world.config.paypal;
    let expected = STANDARD.encode(format!("{}:{}", app.client_id, app.client_secret));
    if authorization(headers, "Basic ") != Some(expected.as_str()) {
        let (status, error) = (StatusCode::UNAUTHORIZED, "invalid_client");
        return TokenError { status, error, description: "Client Authentication failed" }.into_response();
    }
    if form.get("grant_type") != Some("client_credentials") {
        let (status, error) = (StatusCode::BAD_REQUEST, "unsupported_grant_type");
        return TokenError { status, error, description: "Grant Type is NULL" }.into_response();
    }
    let (secs, app_id) = (app.token_secs, app.client_id.clone());
    let token = world.id("A21AA", 60);
    let ends = world.now().saturating_add(secs);
    world.paypal.tokens.insert(&token, ends);
    let body = json!({
        "scope": "https://uri.paypal.com/services/payments/payment https://uri.paypal.com/services/disputes/read-seller",
        "access_token": token,
        "token_type": "Bearer",
        "app_id": app_id,
        "expires_in": secs,
        "nonce": format!("{}{}", crate::world::rfc3339(world.now_ms()), world.id("", 16)),
    });
    Json(body).into_response()
}
