//! Lists: at most a hundred at once, newest first, and an opaque cursor for the rest.

use crate::problem::Problem;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use garde::Validate;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Rows of a list where the caller says nothing.
pub const DEFAULT_LIMIT: u32 = 20;
/// Most rows of a list.
pub const MAX_LIMIT: u32 = 100;
/// Longest cursor that is looked at, in bytes.
const MAX_CURSOR_BYTES: usize = 2_048;

/// How many, and from where. Lists with filters take it beside their own parameters, see [`crate::Queries`].
#[derive(Clone, Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// Rows, 1 to 100; 20 where it is missing.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: u32,
    /// `next_cursor` of the page before.
    #[garde(length(max = MAX_CURSOR_BYTES))]
    pub cursor: Option<String>,
}

impl PageParams {
    /// `limit` as a length.
    #[must_use]
    pub fn rows(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(1)
    }
}

/// What `limit` is where it is missing, for `#[serde(default)]`.
#[must_use]
pub const fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Paged<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Pass it back for the next page; `null` on the last.
    pub next_cursor: Option<String>,
}

/// A position as text that says nothing to a caller. It is no secret and no proof: a position is only ever looked for among
/// what the caller may see.
///
/// # Errors
/// Never for plain structs; serde's words otherwise.
pub fn write_cursor<T: Serialize>(position: &T) -> Result<String, Problem> {
    let json = serde_json::to_vec(position).map_err(|error| {
        tracing::error!(error = %error, "a cursor cannot be written");
        Problem::of(axum::http::StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// Undoes [`write_cursor`].
///
/// # Errors
/// 400 that names `cursor`.
pub fn read_cursor<T: DeserializeOwned>(text: Option<&str>) -> Result<Option<T>, Problem> {
    let wrong = || Problem::parameter("cursor", "it is none that this list gave out");
    let Some(text) = text else { return Ok(None) };
    if text.len() > MAX_CURSOR_BYTES {
        return Err(wrong());
    }
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
    serde_json::from_slice(&json).map(Some).map_err(|_| wrong())
}
