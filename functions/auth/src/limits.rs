//! How often something may be tried, and by whom it is counted.
//!
//! Whoever guesses must not get far, and must not be able to lock out whose password they guess. So tries are counted for an
//! account *from one address*. The wider limit, for an account from everywhere, is only asked where nobody ever signed in to
//! that account from that address: it stops a guesser with many addresses and never the owner at a usual place. A token out of
//! the owner's mail makes a place usual, too.
//!
//! Every try counts, also one that succeeds, and before it is looked at: tries at the same time do not slip through.

use crate::State;
use crate::random::hash;
use api::{ClientIp, Limit, Problem, address_bucket};
use domain::Id;
use domain::account::Email;
use store::Purpose;

/// A quarter of an hour, an hour, and a day.
const QUARTER_SECS: i64 = 900;
const HOUR_SECS: i64 = 3_600;
const DAY_SECS: i64 = 86_400;
/// Sign-ins from one address in a quarter of an hour, whoever's.
const SIGN_INS_PER_ADDRESS: u32 = 100;
/// Sign-ins to one account from one address in a quarter of an hour.
const SIGN_INS_PER_PAIR: u32 = 10;
/// Sign-ins to one account in an hour from all addresses nobody signed in to it from.
const SIGN_INS_ELSEWHERE: u32 = 50;
/// Codes of a second factor in a quarter of an hour, from one usual address, or from all others together.
const CODES: u32 = 10;
/// Registrations from one address in an hour.
const REGISTRATIONS_PER_ADDRESS: u32 = 60;
/// Requests for a mail from one address in an hour.
const MAILS_PER_ADDRESS: u32 = 30;
/// Mails of one kind to one address in an hour that strangers can ask for. Beyond, the answer is the same and no mail goes out:
/// the tokens in those before still hold.
const MAILS_PER_RECIPIENT: u32 = 5;
/// Mails in an hour by which one account asks for one other address.
const CHANGES_PER_PAIR: u32 = 5;
/// The same in a day: well below what the recipient takes, so that no account alone keeps others from an address.
const CHANGES_PER_PAIR_DAILY: u32 = 10;
/// Changes of address that one account asks for in an hour: each is a mail to its owner, too.
const CHANGES_PER_ACCOUNT: u32 = 10;
/// Mails in a day by which accounts ask for one address.
const CHANGES_PER_RECIPIENT: u32 = 20;
/// Tokens presented from one address in a quarter of an hour.
const TOKENS_PER_ADDRESS: u32 = 60;
/// Passwords tried with one token that verifies an address, in a day. Beyond, another mail can be asked for.
const PASSWORDS_PER_TOKEN: u32 = 10;
/// API keys made by one user in an hour: each is a mail to the owner.
const API_KEYS: u32 = 20;
/// Passwords and codes asked again of one session in a quarter of an hour.
const PROOFS_PER_SESSION: u32 = 10;
/// Exports of one user in an hour.
const EXPORTS: u32 = 6;

/// An address as it is counted and remembered: hashed, with whom it is about.
#[must_use]
pub fn place(email: &Email, ip: ClientIp) -> String {
    let mut hashed = hash(format!("{email}|{}", address_bucket(ip.0)));
    hashed.truncate(32);
    hashed
}

fn limit(bucket: String, most: u32, per_secs: i64) -> Limit {
    Limit { bucket, most, per_secs }
}

/// A sign-in, before anything is known of the account.
pub async fn sign_in(state: &State, email: &Email, ip: ClientIp) -> Result<(), Problem> {
    let limits = [
        limit(format!("sign-in:from:{}", address_bucket(ip.0)), SIGN_INS_PER_ADDRESS, QUARTER_SECS),
        limit(format!("sign-in:pair:{}", place(email, ip)), SIGN_INS_PER_PAIR, QUARTER_SECS),
    ];
    state.kit.limit(&limits).await
}

/// A sign-in from where nobody signed in to that account before.
pub async fn sign_in_elsewhere(state: &State, email: &Email) -> Result<(), Problem> {
    let bucket = format!("sign-in:elsewhere:{}", hash(email.as_str()));
    state.kit.limit(&[limit(bucket, SIGN_INS_ELSEWHERE, HOUR_SECS)]).await
}

/// A code of a second factor at a sign-in: few enough for six digits.
pub async fn code(state: &State, user: &Id, usual_place: Option<&str>) -> Result<(), Problem> {
    let bucket = format!("code:{user}:{}", usual_place.unwrap_or("elsewhere"));
    state.kit.limit(&[limit(bucket, CODES, QUARTER_SECS)]).await
}

/// A registration.
pub async fn registration(state: &State, ip: ClientIp) -> Result<(), Problem> {
    let bucket = format!("register:{}", address_bucket(ip.0));
    state.kit.limit(&[limit(bucket, REGISTRATIONS_PER_ADDRESS, HOUR_SECS)]).await
}

/// A request for a mail.
pub async fn mail_request(state: &State, ip: ClientIp) -> Result<(), Problem> {
    let bucket = format!("mail:from:{}", address_bucket(ip.0));
    state.kit.limit(&[limit(bucket, MAILS_PER_ADDRESS, HOUR_SECS)]).await
}

/// Whether another mail may go to an address that strangers can ask for. Each kind is counted for itself, and only where one
/// would go out: nobody uses up the mails that somebody needs by asking for those they do not. Where none would, a stand-in is
/// counted, so that as much is written. Changes of address have limits of their own, see [`change_allowed`].
pub async fn mail_allowed(state: &State, email: &Email, purpose: Purpose, would_go: bool) -> Result<bool, Problem> {
    let kind = match (would_go, purpose) {
        (false, _) => "none",
        (true, Purpose::VerifyEmail) => "verify",
        (true, Purpose::ResetPassword) => "reset",
        (true, Purpose::ChangeEmail) => "change",
    };
    let limit = limit(format!("mail:{kind}:to:{}", hash(email.as_str())), MAILS_PER_RECIPIENT, HOUR_SECS);
    Ok(state.kit.store.limit_take(&limit, state.kit.clock.now()).await?.is_none())
}

/// Whether an account may ask for that address now. Counted alike whoever's it is; the recipient's last, so that an account
/// beyond its own limits uses up nothing of what is for all.
pub async fn change_allowed(state: &State, user: &Id, email: &Email) -> Result<bool, Problem> {
    let recipient = hash(email.as_str());
    let pair = hash(format!("{user}|{email}"));
    let limits = [
        limit(format!("mail:change:pair:{pair}"), CHANGES_PER_PAIR, HOUR_SECS),
        limit(format!("mail:change:pair:{pair}"), CHANGES_PER_PAIR_DAILY, DAY_SECS),
        limit(format!("mail:change:of:{user}"), CHANGES_PER_ACCOUNT, HOUR_SECS),
        limit(format!("mail:change:to:{recipient}"), CHANGES_PER_RECIPIENT, DAY_SECS),
    ];
    let now = state.kit.clock.now();
    for limit in &limits {
        if state.kit.store.limit_take(limit, now).await?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A token out of a mail is presented.
pub async fn token(state: &State, ip: ClientIp) -> Result<(), Problem> {
    let bucket = format!("token:{}", address_bucket(ip.0));
    state.kit.limit(&[limit(bucket, TOKENS_PER_ADDRESS, QUARTER_SECS)]).await
}

/// A password comes with a token that proves an address. Counted whether there is such a token or not.
pub async fn verification(state: &State, token_hash: &str) -> Result<(), Problem> {
    state.kit.limit(&[limit(format!("verify:{token_hash}"), PASSWORDS_PER_TOKEN, DAY_SECS)]).await
}

/// An API key is made, by somebody who proved who they are.
pub async fn api_key(state: &State, user: &Id) -> Result<(), Problem> {
    state.kit.limit(&[limit(format!("api-key:{user}"), API_KEYS, HOUR_SECS)]).await
}

/// Somebody signed in proves once more who they are. Counted by session: a stolen one cannot lock out the others.
pub async fn proof(state: &State, session: &Id) -> Result<(), Problem> {
    state.kit.limit(&[limit(format!("proof:{session}"), PROOFS_PER_SESSION, QUARTER_SECS)]).await
}

/// An export.
pub async fn export(state: &State, user: &Id) -> Result<(), Problem> {
    state.kit.limit(&[limit(format!("export:{user}"), EXPORTS, HOUR_SECS)]).await
}
