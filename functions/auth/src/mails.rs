//! The mails of this area, and telling the mailer that one waits. A mail to an address that is not proven yet carries no word
//! of whoever typed the address in: else anybody could send their words to anybody.

use crate::State;
use crate::random::hash;
use api::ClientIp;
use domain::account::Email;
use domain::mail::Template;
use domain::{Id, Timestamp};
use store::{ApiKey, MailToken, OutboxMail, Profile, Purpose};

/// How long a token holds that verifies an address: a day.
pub const VERIFY_SECS: i64 = 86_400;
/// How long one holds that resets a password: an hour.
pub const RESET_SECS: i64 = 3_600;
/// How long one holds that gives an account another address: an hour.
pub const CHANGE_SECS: i64 = 3_600;

/// The token itself, as it goes into the mail, and as it is kept.
pub fn token(
    secret: &str,
    purpose: Purpose,
    (user, email, generation): (&Id, &Email, u32),
    now: Timestamp,
) -> (MailToken, OutboxMail) {
    let (secs, kind, template, valid_for) = match purpose {
        Purpose::VerifyEmail => (VERIFY_SECS, "verify", Template::Verify, "24 hours"),
        Purpose::ResetPassword => (RESET_SECS, "reset", Template::Reset, "1 hour"),
        Purpose::ChangeEmail => (CHANGE_SECS, "change-email", Template::ConfirmEmail, "1 hour"),
    };
    let hash = hash(secret);
    let id = format!("{kind}:{user}:{}", hash.get(..16).unwrap_or_default());
    let mail = to(id, user, email, template).with("token", secret).with("valid_for", valid_for);
    let (user, email) = (user.clone(), email.clone());
    (MailToken { hash, purpose, user, email, generation, expires_at: now.plus_secs(secs) }, mail)
}

/// Somebody tried to register with an address that has an account: at most one mail a day.
pub fn registered_already(user: &Id, email: &Email, now: Timestamp) -> OutboxMail {
    let day = now.hour().day();
    to(format!("registered-already:{user}:{day}"), user, email, Template::RegisteredAlready)
}

/// The address is proven.
pub fn welcome(profile: &Profile, email: &Email) -> OutboxMail {
    named(profile, to(format!("welcome:{}", profile.id), &profile.id, email, Template::Welcome))
}

/// Somebody asked for another address; said to the one there is, in time to do something about it. It tells nothing of the other
/// one: it is the same whoever's that is, and goes out with the `token` for it.
pub fn email_change_asked(
    profile: &Profile,
    old: &Email,
    token: &MailToken,
    ip: ClientIp,
    now: Timestamp,
) -> OutboxMail {
    let id = format!("email-change-asked:{}:{}", profile.id, token.hash.get(..16).unwrap_or_default());
    let mail = named(profile, to(id, &profile.id, old, Template::EmailChangeAsked));
    mail.with("at", now.to_string()).with("address", ip.0.to_string())
}

/// There is another address; said to the one before, and without the new one, which whoever changed it has chosen.
pub fn email_changed(profile: &Profile, old: &Email, generation: u32, ip: ClientIp, now: Timestamp) -> OutboxMail {
    let id = format!("email-changed:{}:{generation}", profile.id);
    let mail = named(profile, to(id, &profile.id, old, Template::EmailChanged));
    mail.with("at", now.to_string()).with("address", ip.0.to_string())
}

/// What another password does to API keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It was reset: whoever could sign in before may have made keys, too.
    End,
    /// It was changed by somebody who knew the old one.
    Hold,
}

/// There is another password.
pub fn password_changed(
    profile: &Profile,
    email: &Email,
    (generation, keys): (u32, Keys),
    ip: ClientIp,
    now: Timestamp,
) -> OutboxMail {
    let mail =
        to(format!("password-changed:{}:{generation}", profile.id), &profile.id, email, Template::PasswordChanged);
    let keys = match keys {
        Keys::End => "All API keys have ended, too.",
        Keys::Hold => "Your API keys still hold: delete those you do not know.",
    };
    named(profile, mail).with("at", now.to_string()).with("address", ip.0.to_string()).with("api_keys", keys)
}

/// There is another API key. Its name is not told: whoever makes it chooses that, and it may read like words of ours.
pub fn api_key_created(
    profile: &Profile,
    email: &Email,
    (key, hash): (&ApiKey, &str),
    ip: ClientIp,
    now: Timestamp,
) -> OutboxMail {
    let id = format!("api-key-created:{}:{}", key.id, hash.get(..16).unwrap_or_default());
    let scopes: Vec<String> = key.scopes.iter().map(ToString::to_string).collect();
    let mail = named(profile, to(id, &profile.id, email, Template::ApiKeyCreated)).with("key", key.id.as_str());
    mail.with("scopes", scopes.join(", ")).with("at", now.to_string()).with("address", ip.0.to_string())
}

/// Somebody signed in from a place that is not usual.
pub fn new_sign_in(
    profile: &Profile,
    email: &Email,
    session: &Id,
    (ip, device): (ClientIp, Option<&str>),
    now: Timestamp,
) -> OutboxMail {
    let mail = to(format!("new-sign-in:{session}"), &profile.id, email, Template::NewSignIn);
    let mail = named(profile, mail).with("at", now.to_string()).with("address", ip.0.to_string());
    match device {
        Some(device) => mail.with("device", device),
        None => mail,
    }
}

/// To the address as it is known now: one that is changed or freed meanwhile must not get a stranger's token.
fn to(id: String, user: &Id, email: &Email, template: Template) -> OutboxMail {
    OutboxMail { user: Some(user.clone()), ..OutboxMail::to_address(id, email.as_str(), template) }
}

fn named(profile: &Profile, mail: OutboxMail) -> OutboxMail {
    match &profile.name {
        Some(name) => mail.with(domain::mail::NAME, name),
        None => mail,
    }
}

/// Tells the mailer. Should that fail, the mail is found in the outbox.
pub async fn tell(state: &State, mail: &OutboxMail) {
    if let Err(error) = state.mails.send(vec![mail.id.clone()]).await {
        tracing::warn!(error = %error, mail = mail.id, "the mailer was not told; the outbox has it");
    }
}
