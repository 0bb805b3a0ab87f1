//! Sessions: how one begins, and the two tokens it lives by.
//!
//! The refresh token is `<user>.<session>.<generation>.<random>`. The random part is 128 bits that all tokens of the session
//! share, then 256 that are the token's own. Both are kept hashed. So an old token is told from an invented one: the first
//! ends the session, for somebody has a copy; the second does nothing to anybody.

use crate::State;
use crate::random::{self, hash};
use api::access::ACCESS_TOKEN_SECS;
use api::{ClientIp, Problem};
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Id, Timestamp};
use serde::Serialize;
use store::{Session, StoreError};
use utoipa::ToSchema;

/// A session that is not used ends after this: 14 days.
pub const IDLE_SECS: i64 = 14 * 86_400;
/// Any session ends after this: 30 days.
pub const ABSOLUTE_SECS: i64 = 30 * 86_400;
/// Bytes of the random part that all tokens of a session share, and of all of it.
const FAMILY_BYTES: usize = 16;
const RANDOM_BYTES: usize = FAMILY_BYTES + 32;
/// Longest description of a device that is kept, in characters.
const MAX_DEVICE_CHARS: usize = 160;

/// What somebody has who is signed in.
#[derive(Clone, Serialize, ToSchema)]
pub struct Tokens {
    /// For `Authorization: Bearer`: a JWT (ES256).
    access_token: String,
    /// Always `Bearer`.
    #[schema(pattern = "^Bearer$")]
    token_type: &'static str,
    /// Seconds until the access token expires.
    #[schema(minimum = 1)]
    expires_in: i64,
    /// Gets the next pair, once. Used twice it ends the session.
    refresh_token: String,
    /// When the session ends, whatever happens.
    #[schema(format = DateTime)]
    session_expires_at: String,
    /// The session.
    #[schema(value_type = String, example = "ses_0190f3a2c1d27e55a6c0f7e1d2b3c4a5")]
    session_id: Id,
}

impl Tokens {
    /// The session they are of.
    pub fn session_id(&self) -> &Id {
        &self.session_id
    }
}

/// A refresh token, taken apart.
pub struct Presented {
    /// Whose.
    pub user: Id,
    /// Of which session.
    pub session: Id,
    /// Its place in the row.
    pub generation: u32,
    /// Hash of what all of the session's have in common.
    pub family: String,
    /// Hash of all of it.
    pub token: String,
}

impl Presented {
    /// Takes a refresh token apart; nothing where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (user, session) = (Id::new(parts.next()?).ok()?, Id::new(parts.next()?).ok()?);
        let (generation, random) = (parts.next()?.parse().ok()?, URL_SAFE_NO_PAD.decode(parts.next()?).ok()?);
        let whole = parts.next().is_none() && random.len() == RANDOM_BYTES;
        let family = random.get(..FAMILY_BYTES).filter(|_| whole)?;
        Some(Self { user, session, generation, family: hash(family), token: hash(text) })
    }
}

/// The next refresh token of a session; `family` is the random part they share.
fn refresh_token(user: &Id, session: &Id, generation: u32, family: &[u8]) -> Result<String, Problem> {
    let own = random::bytes::<{ RANDOM_BYTES - FAMILY_BYTES }>()?;
    let random = URL_SAFE_NO_PAD.encode([family, &own].concat());
    Ok(format!("{user}.{session}.{generation}.{random}"))
}

/// The next refresh token after one that was presented.
///
/// # Errors
/// 500 where the system has no randomness.
pub fn next_refresh_token(presented: &str, of: &Presented) -> Result<String, Problem> {
    let random =
        presented.rsplit('.').next().and_then(|random| URL_SAFE_NO_PAD.decode(random).ok()).unwrap_or_default();
    refresh_token(
        &of.user,
        &of.session,
        of.generation.saturating_add(1),
        random.get(..FAMILY_BYTES).unwrap_or_default(),
    )
}

/// Whether tokens that are signed here hold: the key may have been withdrawn since this instance read it.
///
/// # Errors
/// 503 where it was; the store's.
pub async fn may_sign(state: &State) -> Result<(), Problem> {
    if state.kit.keys.holds(&state.signer.public().kid).await? {
        return Ok(());
    }
    tracing::error!("the key of access tokens was withdrawn; this function needs another, and new instances");
    Err(Problem::of(StatusCode::SERVICE_UNAVAILABLE))
}

/// A session begins.
///
/// # Errors
/// 503 where nothing can be signed; 409 where the account stopped being active this moment; the store's.
pub async fn begin(state: &State, user: &Id, ip: ClientIp, device: Option<String>) -> Result<Tokens, Problem> {
    may_sign(state).await?;
    let (now, id) = (state.kit.clock.now(), state.kit.id("ses"));
    let family = random::bytes::<FAMILY_BYTES>()?;
    let token = refresh_token(user, &id, 1, &family)?;
    let session = Session {
        id: id.clone(),
        user: user.clone(),
        family: hash(family),
        token: hash(&token),
        created_at: now,
        last_used_at: now,
        idle_at: now.plus_secs(IDLE_SECS),
        expires_at: now.plus_secs(ABSOLUTE_SECS),
        address: Some(ip.0.to_string()),
        device,
    };
    // First what a refresh needs, then what makes it live.
    state.kit.store.session_create(&session).await?;
    for oldest in state.kit.store.access_session_add(user, &id).await? {
        // It is over already; its record would expire by itself.
        state.kit.store.session_forget(user, &oldest).await.unwrap_or_else(|error| warn(&error));
    }
    tokens(state, &session, token, now)
}

/// The answer to whoever has a live session.
///
/// # Errors
/// 500 where the key does not sign.
pub fn tokens(state: &State, session: &Session, refresh_token: String, now: Timestamp) -> Result<Tokens, Problem> {
    let access_token = state.signer.sign(&session.user, &session.id, now).map_err(|error| {
        tracing::error!(error = %error, "an access token cannot be signed");
        Problem::of(StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    Ok(Tokens {
        access_token,
        token_type: "Bearer",
        expires_in: ACCESS_TOKEN_SECS,
        refresh_token,
        session_expires_at: session.expires_at.to_string(),
        session_id: session.id.clone(),
    })
}

/// What the client says it is, in visible ASCII: it is shown to the owner and stands in a mail.
pub fn device(headers: &HeaderMap) -> Option<String> {
    let agent = headers.get(header::USER_AGENT)?.to_str().ok()?;
    let device: String = agent.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(MAX_DEVICE_CHARS).collect();
    Some(device.trim().to_owned()).filter(|device| !device.is_empty())
}

fn warn(error: &StoreError) {
    tracing::warn!(error = %error, "the record of an ended session was not taken away");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_its_next_are_of_one_family_and_an_invented_one_is_not() {
        let (user, session) = (Id::new("usr_1").unwrap(), Id::new("ses_1").unwrap());
        let text = refresh_token(&user, &session, 1, &[7; FAMILY_BYTES]).unwrap();
        let first = Presented::parse(&text).unwrap();
        assert_eq!((&first.user, &first.session, first.generation), (&user, &session, 1));
        let next = next_refresh_token(&text, &first).unwrap();
        let second = Presented::parse(&next).unwrap();
        assert_eq!((second.generation, &second.family), (2, &first.family));
        assert_ne!(second.token, first.token);
        let invented = refresh_token(&user, &session, 1, &[8; FAMILY_BYTES]).unwrap();
        assert_ne!(Presented::parse(&invented).unwrap().family, first.family);
    }

    #[test]
    fn what_is_no_refresh_token_is_none() {
        let random = URL_SAFE_NO_PAD.encode([1; RANDOM_BYTES]);
        for bad in [
            String::new(),
            "....".to_owned(),
            "a.b.c.d".to_owned(),
            format!("usr_1.ses_1.1.{random}.x"),
            format!("usr_1.ses_1.-1.{random}"),
            format!("usr_1.ses_1.1.{random}="),
            format!("usr 1.ses_1.1.{random}"),
            format!("usr_1.ses_1.99999999999.{random}"),
            format!("usr_1.ses_1.1.{}", URL_SAFE_NO_PAD.encode([1; 47])),
        ] {
            assert!(Presented::parse(&bad).is_none(), "{bad}");
        }
        assert!(Presented::parse(&format!("usr_1.ses_1.1.{random}")).is_some());
    }
}
