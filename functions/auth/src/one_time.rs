//! One-time codes: by time (RFC 6238, six digits, 30 seconds, one step either way) and for when the device is lost.
//!
//! A code counts once. Which step was used last, and which recovery codes are left, is written over the revision that was read:
//! of two callers with one code, one gets through.

use crate::State;
use crate::random::{self, hash, same};
use api::Problem;
use axum::http::StatusCode;
use domain::account::Email;
use domain::{Id, Timestamp};
use store::{Second, Secret, StoreError};
use totp_rs::{Builder, Secret as Shared, Totp};

/// Who issues the codes, as an authenticator shows it.
const ISSUER: &str = "Skymeter";
/// Bytes of the shared secret: 160 bits, as RFC 4226 recommends.
const SHARED_BYTES: usize = 20;
/// Recovery codes of one user.
const RECOVERY_CODES: usize = 10;
/// Bytes of one: 80 bits, 16 letters and digits.
const RECOVERY_BYTES: usize = 10;
/// Tries to write down that a code was used, while others write to the same record.
const MAX_TRIES: usize = 4;

/// What an authenticator is told.
pub struct Setup {
    /// The shared secret, base32.
    pub secret: String,
    /// The same as a URL, for a QR code.
    pub url: String,
}

/// A new shared secret.
///
/// # Errors
/// 500 where the system has no randomness.
pub fn setup(email: &Email) -> Result<Setup, Problem> {
    let shared = Shared::from(random::bytes::<SHARED_BYTES>()?.to_vec());
    let secret = shared.to_base32();
    let builder = Builder::new().with_secret(shared).with_issuer(Some(ISSUER)).with_account_name(email.as_str());
    let url = builder.build().ok().and_then(|totp| totp.to_url().ok()).ok_or_else(broken)?;
    Ok(Setup { secret, url })
}

/// The step a code is of, where it is one that counts now: right, and of none that was used or passed over.
pub fn step(second: &Second, code: &str, now: Timestamp) -> Result<Option<u64>, Problem> {
    let now = u64::try_from(now.secs()).map_err(|_| broken())?;
    let step = totp(second)?.check(code, now);
    Ok(step.filter(|step| *step > second.last_step))
}

fn totp(second: &Second) -> Result<Totp, Problem> {
    let shared = Shared::try_from_base32(&second.secret).map_err(|_| broken())?;
    Builder::new().with_secret(shared).build().map_err(|_| broken())
}

fn broken() -> Problem {
    tracing::error!("a second factor cannot be computed");
    Problem::of(StatusCode::INTERNAL_SERVER_ERROR)
}

/// New recovery codes: as they are shown once, and as they are kept.
///
/// # Errors
/// As [`setup`].
pub fn recovery_codes() -> Result<(Vec<String>, Vec<String>), Problem> {
    let mut shown = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let code = Shared::from(random::bytes::<RECOVERY_BYTES>()?.to_vec()).to_base32();
        let groups: Vec<&str> = (0..code.len()).step_by(4).filter_map(|at| code.get(at..at + 4)).collect();
        shown.push(groups.join("-"));
    }
    let kept = shown.iter().map(|code| hash(plain(code))).collect();
    Ok((shown, kept))
}

/// A recovery code without what people add or leave out.
fn plain(code: &str) -> String {
    code.chars().filter(|c| *c != '-' && *c != ' ').collect::<String>().to_ascii_uppercase()
}

/// The second factor after `code` was used; nothing where it does not count.
fn used(second: &Second, code: &str, now: Timestamp) -> Result<Option<Second>, Problem> {
    if let Some(step) = step(second, code, now)? {
        return Ok(Some(Second { last_step: step, ..second.clone() }));
    }
    let hashed = hash(plain(code));
    let left: Vec<String> = second.recovery.iter().filter(|kept| !same(kept, &hashed)).cloned().collect();
    Ok((left.len() < second.recovery.len()).then(|| Second { recovery: left, ..second.clone() }))
}

/// Uses a code up. Whether it counted; where no second factor is in force, none does.
///
/// # Errors
/// 409 where others wrote to the same record every time; the store's.
pub async fn use_code(state: &State, user: &Id, code: &str) -> Result<bool, Problem> {
    let now = state.kit.clock.now();
    for _ in 0..MAX_TRIES {
        let Some((secret, rev)) = state.kit.store.user_secret(user).await? else { return Ok(false) };
        let Some(second) = secret.second_in_force() else { return Ok(false) };
        let Some(second) = used(second, code, now)? else { return Ok(false) };
        let secret = Secret { second: Some(second), ..secret };
        match state.kit.store.user_secret_put(user, &secret, rev).await {
            Ok(()) => return Ok(true),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict("use_code").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs).unwrap()
    }

    /// The secret of RFC 6238's appendix B, `12345678901234567890`.
    fn second() -> Second {
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned();
        Second { secret, confirmed: true, last_step: 0, recovery: Vec::new() }
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // The last six of the eight digits there.
        for (secs, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (2_000_000_000, "279037")]
        {
            assert_eq!(step(&second(), code, at(secs)).unwrap(), Some(u64::try_from(secs).unwrap() / 30), "{secs}");
            assert_eq!(step(&second(), code, at(secs + 90)).unwrap(), None, "{secs}");
        }
        for wrong in ["", "28708", "2870820", " 287082", "+87082", "287083", "٢٨٧٠٨٢"] {
            assert_eq!(step(&second(), wrong, at(59)).unwrap(), None, "{wrong}");
        }
    }

    #[test]
    fn a_code_counts_once_and_none_before_it_counts_after_it() {
        let after = used(&second(), "287082", at(59)).unwrap().unwrap();
        assert_eq!(after.last_step, 1);
        assert!(used(&after, "287082", at(59)).unwrap().is_none());
        // The step before, which would be within the tolerance.
        assert!(used(&after, "755224", at(59)).unwrap().is_none());
        assert!(
            used(&second(), "755224", at(31)).unwrap().is_none(),
            "step 0 never counts: it is where a record begins"
        );
    }

    #[test]
    fn recovery_codes_count_once_however_they_are_typed() {
        let (shown, kept) = recovery_codes().unwrap();
        assert_eq!((shown.len(), kept.len()), (RECOVERY_CODES, RECOVERY_CODES));
        assert!(shown.iter().all(|code| code.len() == 19 && !kept.contains(code)));
        let begun = Second { recovery: kept, ..second() };
        let typed = shown[3].to_lowercase().replace('-', " ");
        let after = used(&begun, &typed, at(59)).unwrap().unwrap();
        assert_eq!(after.recovery.len(), RECOVERY_CODES - 1);
        assert!(used(&after, &typed, at(59)).unwrap().is_none());
    }

    #[test]
    fn a_setup_is_what_authenticators_read() {
        let setup = setup(&Email::parse("ada@example.com").unwrap()).unwrap();
        assert_eq!(setup.secret.len(), 32);
        assert!(setup.url.starts_with("otpauth://totp/Skymeter:ada"), "{}", setup.url);
        assert!(setup.url.contains(&setup.secret));
    }
}
