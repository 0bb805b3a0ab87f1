//! Passwords: which are taken, how they are kept, how one is checked.
//!
//! Argon2id with the parameters OWASP names; an imported user's bcrypt hash is checked until the first sign-in, which replaces
//! it. Both take long and much memory by design, so only so many are at work at once, off the threads that answer requests.

use api::{FieldError, Problem};
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use axum::http::StatusCode;
use domain::account::Email;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Shortest password, in characters. Length is what makes one strong; nothing is asked of its composition (NIST SP 800-63B).
pub const MIN_PASSWORD_CHARS: usize = 10;
/// Longest, in characters.
pub const MAX_PASSWORD_CHARS: usize = 128;
/// Memory of Argon2id in KiB, its passes and lanes: OWASP's first choice.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes computed at once, each with [`MEMORY_KIB`].
const AT_ONCE: usize = 4;
/// Longest wait for a turn.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// What bcrypt looks at of a password, in bytes. A longer one is not taken: its tail would not count.
const BCRYPT_BYTES: usize = 72;
/// Greatest cost of an imported bcrypt hash: checking it must not take longer than the floor of an answer.
pub const MAX_BCRYPT_COST: u32 = 12;
/// Length of a bcrypt hash, in bytes.
const BCRYPT_HASH_BYTES: usize = 60;
/// Checked where there is no password, so that it takes as long. It is of no password anybody knows.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2t5bWV0ZXItbm9ib2R5cw$wqK1dGWJm5V3o0B1mE2qv0aQ7o0uKqj5n3xkq2mC5hY";

/// Passwords of at least ten characters that everybody tries first.
const COMMON: [&str; 28] = [
    "1234567890",
    "0123456789",
    "0987654321",
    "9876543210",
    "1234512345",
    "12345678910",
    "123456789a",
    "1111111111",
    "0000000000",
    "1q2w3e4r5t",
    "1qaz2wsx3edc",
    "qwertyuiop",
    "qwerty1234",
    "qwerty12345",
    "qwerty123456",
    "asdfghjkl;",
    "password12",
    "password123",
    "password1234",
    "password12345",
    "passw0rd123",
    "p@ssw0rd123",
    "iloveyou12",
    "welcome123",
    "letmein123",
    "admin12345",
    "adminadmin",
    "changeme123",
];

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not the password.
    Wrong,
    /// It is.
    Right,
    /// It is, and its hash is to be replaced by one of today's kind.
    RightButOld,
}

/// Hashes and checks passwords, a few at once.
#[derive(Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passwords({} turns free)", self.turns.available_permits())
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Passwords {
    /// With all turns free.
    #[must_use]
    pub fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The hash to keep of a password.
    ///
    /// # Errors
    /// 503 where too many others wait.
    pub async fn hash(&self, password: String) -> Result<String, Problem> {
        let _turn = self.turn().await?;
        let hashed = tokio::task::spawn_blocking(move || hash(&password)).await;
        hashed.ok().flatten().ok_or_else(|| {
            tracing::error!("a password cannot be hashed");
            Problem::of(StatusCode::INTERNAL_SERVER_ERROR)
        })
    }

    /// Checks a password against the hash that is kept, or, where there is none, does the same work for nothing.
    ///
    /// # Errors
    /// As [`Passwords::hash`].
    pub async fn check(&self, password: String, kept: Option<String>) -> Result<Verdict, Problem> {
        let _turn = self.turn().await?;
        let checked = tokio::task::spawn_blocking(move || match kept {
            Some(kept) => check(&password, &kept),
            None => {
                check(&password, NOBODYS);
                Verdict::Wrong
            }
        });
        checked.await.map_err(|error| {
            tracing::error!(error = %error, "a password cannot be checked");
            Problem::of(StatusCode::INTERNAL_SERVER_ERROR)
        })
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        match tokio::time::timeout(MAX_WAIT, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Problem::of(StatusCode::SERVICE_UNAVAILABLE)),
        }
    }
}

fn argon2() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Option<String> {
    argon2()?.hash_password(password.as_bytes()).ok().map(|hash: PasswordHash| hash.to_string())
}

fn check(password: &str, kept: &str) -> Verdict {
    if is_bcrypt(kept) {
        let right = bcrypt::verify(password, kept).unwrap_or(false) && password.len() <= BCRYPT_BYTES;
        return if right { Verdict::RightButOld } else { Verdict::Wrong };
    }
    let Some((argon2, kept)) = argon2().zip(PasswordHash::new(kept).ok()) else { return Verdict::Wrong };
    if argon2.verify_password(password.as_bytes(), &kept).is_err() {
        return Verdict::Wrong;
    }
    let is_todays = Params::try_from(&kept)
        .is_ok_and(|params| (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES));
    if is_todays { Verdict::Right } else { Verdict::RightButOld }
}

/// Whether a hash is bcrypt's, of a cost that is taken.
#[must_use]
pub fn is_bcrypt(hash: &str) -> bool {
    let cost = hash.get(4..6).and_then(|cost| cost.parse::<u32>().ok());
    let is_prefixed = ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix));
    is_prefixed && hash.len() == BCRYPT_HASH_BYTES && cost.is_some_and(|cost| (4..=MAX_BCRYPT_COST).contains(&cost))
}

/// Whether a hash is one of Argon2id that can be checked.
#[must_use]
pub fn is_argon2(hash: &str) -> bool {
    hash.starts_with("$argon2id$") && PasswordHash::new(hash).is_ok_and(|hash| Params::try_from(&hash).is_ok())
}

/// What is wrong with a new password for that account, if anything; its length was checked before.
pub fn wrong_with(password: &str, email: Option<&Email>) -> Option<&'static str> {
    let lower = password.to_lowercase();
    let first = lower.chars().next();
    let email = email.map(Email::as_str);
    if password.chars().any(char::is_control) {
        return Some("it must have no control characters");
    }
    if COMMON.contains(&lower.as_str()) || lower.chars().all(|c| Some(c) == first) {
        return Some("it is one of those everybody tries first");
    }
    if email == Some(&lower) || email.and_then(|email| email.split('@').next()) == Some(&lower) {
        return Some("it must not be your e-mail address");
    }
    None
}

/// Refuses a new password that would be guessed at once.
///
/// # Errors
/// 422 that names the field.
pub fn accept(pointer: &str, password: &str, email: Option<&Email>) -> Result<(), Problem> {
    match wrong_with(password, email) {
        None => Ok(()),
        Some(detail) => Err(Problem::fields(vec![FieldError::body(pointer, detail)])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "correct horse battery";

    #[test]
    fn a_password_is_kept_as_argon2id_with_owasps_parameters() {
        let kept = hash(RIGHT).unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(hash(RIGHT).unwrap(), kept, "every hash has its own salt");
        assert_eq!((check(RIGHT, &kept), check("Correct horse battery", &kept)), (Verdict::Right, Verdict::Wrong));
    }

    #[test]
    fn nobodys_hash_costs_what_a_real_one_costs_and_is_of_no_password() {
        let nobodys = PasswordHash::new(NOBODYS).unwrap();
        let params = Params::try_from(&nobodys).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY_KIB, PASSES, LANES));
        assert_eq!(nobodys.hash.unwrap().len(), PasswordHash::new(&hash(RIGHT).unwrap()).unwrap().hash.unwrap().len());
        assert_eq!(check(RIGHT, NOBODYS), Verdict::Wrong);
    }

    #[test]
    fn weaker_parameters_and_bcrypt_are_right_but_old() {
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let weak: PasswordHash = weak.hash_password(RIGHT.as_bytes()).unwrap();
        assert_eq!(check(RIGHT, &weak.to_string()), Verdict::RightButOld);
        let imported = bcrypt::hash(RIGHT, 4).unwrap();
        assert_eq!((check(RIGHT, &imported), check("wrong horse", &imported)), (Verdict::RightButOld, Verdict::Wrong));
    }

    #[test]
    fn bcrypt_does_not_take_a_password_whose_tail_would_not_count() {
        let (full, over) = ("x".repeat(72), "x".repeat(73));
        let imported = bcrypt::hash(&full, 4).unwrap();
        assert_eq!((check(&full, &imported), check(&over, &imported)), (Verdict::RightButOld, Verdict::Wrong));
    }

    #[test]
    fn what_is_no_hash_is_of_no_password() {
        for hash in ["", "$2b$", "plain", "$2b$31$", "$argon2id$v=19$m=1,t=1,p=1$x$y", "$2b$é"] {
            assert_eq!(check("", hash), Verdict::Wrong, "{hash}");
        }
        let dear = bcrypt::hash(RIGHT, 4).unwrap().replacen("$04$", "$13$", 1);
        assert!(!is_bcrypt(&dear) && !is_argon2(&dear));
    }

    #[test]
    fn what_everybody_tries_first_is_refused() {
        let email = Email::parse("ada.lovelace@example.com").unwrap();
        for bad in
            ["Password123", "1234567890", "aaaaaaaaaaaa", "Ada.Lovelace", "ADA.lovelace@example.com", "tab\tinside it"]
        {
            assert!(wrong_with(bad, Some(&email)).is_some(), "{bad}");
        }
        for good in ["correct horse", "ååååååååål", "my ada.lovelace"] {
            assert_eq!(wrong_with(good, Some(&email)), None, "{good}");
        }
        assert!(COMMON.iter().all(|common| common.chars().count() >= MIN_PASSWORD_CHARS));
    }
}
