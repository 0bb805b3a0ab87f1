//! Access tokens, as every area checks them: ES256, a quarter of an hour, signed by `auth` alone.
//!
//! A token says who somebody is; whether the session still lives and what the account may do is read with every request.

use crate::clock::Clock;
use domain::Id;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use store::{AccessKey, Store, StoreError};

/// Who issues access tokens.
pub const ISSUER: &str = "skymeter";
/// For whom.
pub const AUDIENCE: &str = "skymeter-api";
/// How long one holds, in seconds.
pub const ACCESS_TOKEN_SECS: i64 = 900;
/// How far two clocks of ours may differ, in seconds.
const LEEWAY_SECS: i64 = 5;
/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 2_048;
/// Shortest time between two looks for keys, in seconds: tokens with made-up key names cost no reads.
const RELOAD_SECS: i64 = 10;
/// How long keys are believed without another look, in seconds: so long one that was withdrawn may go on holding somewhere.
pub const KNOWN_SECS: i64 = 60;

/// Tokens whose signatures are remembered; when there are more, all are forgotten.
const MAX_SEEN: usize = 1_000;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer, [`ISSUER`].
    pub iss: String,
    /// Audience, [`AUDIENCE`].
    pub aud: String,
    /// The user.
    pub sub: Id,
    /// The session.
    pub sid: Id,
    /// Issued at, seconds since the epoch.
    pub iat: i64,
    /// Expires at, seconds since the epoch.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
}

/// Why a token does not hold.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Forged, malformed, for somebody else, or signed with a key nobody knows.
    #[error("the token does not hold")]
    Invalid,
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// The keys cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The public keys, kept in memory; read again when they are old, and when a token names one that is not known.
#[derive(Clone)]
pub struct AccessKeys {
    store: Store,
    clock: Clock,
    known: Arc<RwLock<Known>>,
    /// What tokens say whose signatures were checked here, by the hash of the whole token: a client shows the same one for a quarter
    /// of an hour, and nothing else in a request takes as long as its signature.
    seen: Arc<RwLock<HashMap<[u8; 32], Claims>>>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, DecodingKey>,
    /// When they were read.
    read_at: Option<i64>,
    /// When somebody last began to read them because they were old.
    renewed_at: Option<i64>,
    /// And because a token named another.
    asked_at: Option<i64>,
}

impl Known {
    fn is_fresh(&self, now: i64) -> bool {
        self.read_at.is_some_and(|at| (0..KNOWN_SECS).contains(&(now - at)))
    }

    /// Whether it is this caller's to read them. Whoever comes while another does, or just did, takes what there is.
    fn begin_read(&mut self, now: i64) -> bool {
        let began_at = if self.is_fresh(now) { &mut self.asked_at } else { &mut self.renewed_at };
        let lately = began_at.is_some_and(|at| (0..RELOAD_SECS).contains(&(now - at)));
        if lately && !self.keys.is_empty() {
            return false;
        }
        *began_at = Some(now);
        true
    }
}

impl std::fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessKeys")
    }
}

impl AccessKeys {
    /// None known yet: they are read with the first token.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, known: Arc::default(), seen: Arc::default() }
    }

    /// Checks a token.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let header = decode_header(token).map_err(|_| TokenError::Invalid)?;
        let kid = header.kid.filter(|_| header.alg == Algorithm::ES256).ok_or(TokenError::Invalid)?;
        // Before what is remembered: the key may have been withdrawn since.
        let key = self.key(&kid).await?.ok_or(TokenError::Invalid)?;
        in_time(self.signed(token, &key)?, self.clock.now().secs())
    }

    /// What a token says whose signature is good.
    fn signed(&self, token: &str, key: &DecodingKey) -> Result<Claims, TokenError> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let seen = self.seen.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(&hash).cloned();
        if let Some(claims) = seen {
            return Ok(claims);
        }
        let claims = signed(token, key)?;
        let mut seen = self.seen.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.len() >= MAX_SEEN {
            seen.clear();
        }
        seen.insert(hash, claims.clone());
        Ok(claims)
    }

    /// Whether tokens hold that a key of this name signed.
    ///
    /// # Errors
    /// The store's.
    pub async fn holds(&self, kid: &str) -> Result<bool, StoreError> {
        Ok(self.key(kid).await?.is_some())
    }

    async fn key(&self, kid: &str) -> Result<Option<DecodingKey>, StoreError> {
        let now = self.clock.now().secs();
        if let Some(key) = self.known(kid, now) {
            return Ok(Some(key));
        }
        {
            let mut known = self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            if !known.begin_read(now) {
                return Ok(known.keys.get(kid).cloned());
            }
        }
        let keys = self.store.access_keys().await?;
        let keys = keys.iter().filter_map(|key| Some((key.kid.clone(), decoding_key(key)?)));
        let keys: HashMap<String, DecodingKey> = keys.collect();
        let found = keys.get(kid).cloned();
        let mut known = self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Two may read at once, one for each reason: the later one's stands.
        if !known.read_at.is_some_and(|at| (1..KNOWN_SECS).contains(&(at - now))) {
            (known.keys, known.read_at) = (keys, Some(now));
        }
        Ok(found)
    }

    fn known(&self, kid: &str, now: i64) -> Option<DecodingKey> {
        let known = self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.keys.get(kid).filter(|_| known.is_fresh(now)).cloned()
    }
}

fn decoding_key(key: &AccessKey) -> Option<DecodingKey> {
    let decoded = DecodingKey::from_ec_components(&key.x, &key.y);
    if decoded.is_err() {
        tracing::error!(kid = key.kid, "a public key cannot be read");
    }
    decoded.ok()
}

/// Checks signature, issuer, audience and time. Pure: for the fuzzer, too.
///
/// # Errors
/// [`TokenError::Invalid`] or [`TokenError::Expired`].
pub fn check(token: &str, key: &DecodingKey, now_secs: i64) -> Result<Claims, TokenError> {
    in_time(signed(token, key)?, now_secs)
}

fn signed(token: &str, key: &DecodingKey) -> Result<Claims, TokenError> {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // By our clock, see `in_time`: the library's is the system's.
    validation.validate_exp = false;
    Ok(decode::<Claims>(token, key, &validation).map_err(|_| TokenError::Invalid)?.claims)
}

fn in_time(claims: Claims, now_secs: i64) -> Result<Claims, TokenError> {
    if claims.iat > now_secs.saturating_add(LEEWAY_SECS) {
        return Err(TokenError::Invalid);
    }
    if claims.exp.saturating_add(LEEWAY_SECS) <= now_secs { Err(TokenError::Expired) } else { Ok(claims) }
}
