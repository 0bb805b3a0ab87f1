//! Secrets that are handed out, and the hashes that are kept of them. They are random, so a fast hash is enough.

use api::Problem;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Bytes of a secret: 256 bits.
const SECRET_BYTES: usize = 32;

/// Random bytes.
///
/// # Errors
/// 500 where the system has none.
pub fn bytes<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| {
        tracing::error!("the system has no randomness");
        Problem::of(StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    Ok(bytes)
}

/// A secret of 256 random bits, as text for URLs.
///
/// # Errors
/// As [`bytes`].
pub fn secret() -> Result<String, Problem> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<SECRET_BYTES>()?))
}

/// SHA-256, in hex.
#[must_use]
pub fn hash(secret: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(secret))
}

/// Whether two hashes are the same; the time does not tell how much of them.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}
