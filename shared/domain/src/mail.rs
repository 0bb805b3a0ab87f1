//! Mails: which there are, what each must be told, and how an address is named where it must not be readable.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Longest address, in bytes (RFC 5321, 4.5.3.1.3, less the angle brackets).
pub const MAX_ADDRESS_BYTES: usize = 254;
/// Every mail may greet by this name.
pub const NAME: &str = "name";

/// Every kind of mail there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// The address is confirmed.
    Welcome,
    /// Confirm the address: `token`, `valid_for` ("24 hours").
    Verify,
    /// Choose a new password: `token`, `valid_for`.
    Reset,
    /// Somebody registered with an address that has an account.
    RegisteredAlready,
    /// Confirm the address that is to take the place of another: `token`, `valid_for`.
    ConfirmEmail,
    /// Somebody asked for another address, said to the one the account has: `at`; perhaps `address` (from where).
    EmailChangeAsked,
    /// The account has another address, said to the one it had: `at`; perhaps `address` (from where).
    EmailChanged,
    /// The password was changed: `at`; perhaps `address` (from where), `api_keys` (a sentence on what became of them).
    PasswordChanged,
    /// A sign-in from a device that was not seen before: `at`; perhaps `address`, `device`.
    NewSignIn,
    /// An API key was made: `key` (its id), `scopes`, `at`; perhaps `address`.
    ApiKeyCreated,
    /// Money came in: `payment`, `amount` ("20.00 USD"), `at`; perhaps `balance`, `method`.
    Receipt,
    /// The balance fell below a threshold: `balance`, `threshold`; perhaps `runway` ("about 31 hours").
    LowBalance,
    /// An automatic top-up did not go through, or needs the customer: `payment`, `amount`; perhaps `reason`.
    TopUpFailed,
}

/// What a template is told, beside [`NAME`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Must be there.
    pub required: &'static [&'static str],
    /// May be there.
    pub optional: &'static [&'static str],
}

impl Template {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Welcome,
        Self::Verify,
        Self::Reset,
        Self::RegisteredAlready,
        Self::ConfirmEmail,
        Self::EmailChangeAsked,
        Self::EmailChanged,
        Self::PasswordChanged,
        Self::NewSignIn,
        Self::ApiKeyCreated,
        Self::Receipt,
        Self::LowBalance,
        Self::TopUpFailed,
    ];

    /// Its name, also that of its files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::RegisteredAlready => "registered_already",
            Self::ConfirmEmail => "confirm_email",
            Self::EmailChangeAsked => "email_change_asked",
            Self::EmailChanged => "email_changed",
            Self::PasswordChanged => "password_changed",
            Self::NewSignIn => "new_sign_in",
            Self::ApiKeyCreated => "api_key_created",
            Self::Receipt => "receipt",
            Self::LowBalance => "low_balance",
            Self::TopUpFailed => "top_up_failed",
        }
    }

    /// What it must and may be told.
    #[must_use]
    pub fn params(self) -> Params {
        let (required, optional): (&[&str], &[&str]) = match self {
            Self::Welcome | Self::RegisteredAlready => (&[], &[]),
            Self::Verify | Self::Reset | Self::ConfirmEmail => (&["token", "valid_for"], &[]),
            Self::EmailChangeAsked | Self::EmailChanged => (&["at"], &["address"]),
            Self::PasswordChanged => (&["at"], &["address", "api_keys"]),
            Self::NewSignIn => (&["at"], &["address", "device"]),
            Self::ApiKeyCreated => (&["key", "scopes", "at"], &["address"]),
            Self::Receipt => (&["payment", "amount", "at"], &["balance", "method"]),
            Self::LowBalance => (&["balance", "threshold"], &["runway"]),
            Self::TopUpFailed => (&["payment", "amount"], &["reason"]),
        };
        Params { required, optional }
    }

    /// What is wrong with these names of parameters, if anything.
    #[must_use]
    pub fn wrong_params<'a>(self, given: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
        let Params { required, optional } = self.params();
        let missing = required.iter().find(|name| !given.clone().any(|given| given == **name));
        let known = |name: &str| name == NAME || required.contains(&name) || optional.contains(&name);
        let unknown = given.clone().find(|name| !known(name));
        match (missing, unknown) {
            (Some(name), _) => Some(format!("the mail '{self}' needs '{name}'")),
            (None, Some(name)) => Some(format!("the mail '{self}' does not know '{name}'")),
            (None, None) => None,
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names an address in the list of those that get no mail: SHA-256 of it, trimmed and in lower case.
#[must_use]
pub fn address_hash(address: &str) -> String {
    hex::encode(Sha256::digest(address.trim().to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mail_is_told_is_neither_too_little_nor_too_much() {
        let wrong = |names: &[&'static str]| Template::Receipt.wrong_params(names.iter().copied());
        assert_eq!(wrong(&["payment", "amount", "at"]), None);
        assert_eq!(wrong(&["payment", "amount", "at", "name", "balance"]), None);
        assert_eq!(wrong(&["payment", "at"]).unwrap(), "the mail 'receipt' needs 'amount'");
        assert_eq!(wrong(&["payment", "amount", "at", "html"]).unwrap(), "the mail 'receipt' does not know 'html'");
    }

    #[test]
    fn a_template_is_stored_by_its_name() {
        for template in Template::ALL {
            assert_eq!(serde_json::to_value(template).unwrap(), template.as_str());
        }
    }

    #[test]
    fn an_address_is_named_alike_however_it_is_written() {
        assert_eq!(address_hash(" Ann@Example.com"), address_hash("ann@example.com"));
        assert_ne!(address_hash("ann@example.com"), address_hash("ann@example.org"));
        assert_eq!(address_hash("ann@example.com").len(), 64);
    }
}
