//! Users: who they are, what they sign in with, their sessions, API keys and the tokens mailed to them.
//!
//! Owns: the table `identity`, the only place with hashes of passwords; of all functions only `auth` and `admin` may touch
//! it, and `mailer` may read an address in it. What every request needs to know of a user is elsewhere ([`crate::Access`]); whoever changes both does so in one
//! transaction.
//!
//! Does *not*: see a password or a token in clear. What comes in here is hashed already.

mod admin;
mod api_keys;
mod email_change;
mod erase;
mod sessions;
mod sign_in;
mod table;
mod tokens;
mod users;

pub use admin::{AdminChange, AdminChanged};
pub use api_keys::{ApiKey, ApiKeyCreated};
pub use sessions::Session;
pub use sign_in::SignIn;
pub use tokens::{MailToken, Purpose};
pub use users::{NewUser, UserChange};

use domain::account::Email;
use domain::{Id, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who somebody is. Of somebody who was deleted, only the id and the times are left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Also the customer of the ledger.
    pub id: Id,
    /// The address to sign in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// What they are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For whom they are here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// When they proved that the address is theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified_at: Option<Timestamp>,
    /// When they came.
    pub created_at: Timestamp,
    /// When this was changed last.
    pub updated_at: Timestamp,
    /// When they had themselves deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// What somebody signs in with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Hash of the password: Argon2id in PHC form, or bcrypt until the first sign-in of an imported user.
    pub password: String,
    /// How many passwords and addresses there have been: a token that was mailed before a change of either does not hold after it.
    pub generation: u32,
    /// The second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<Second>,
}

/// A second factor: a shared secret for codes by time (RFC 6238), and codes for when the device is lost.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// Base32. It cannot be hashed: codes are computed from it.
    pub secret: String,
    /// Whether the user has shown a code of it; before, it is not asked for.
    pub confirmed: bool,
    /// Newest step whose code was used: none up to it is taken again.
    pub last_step: u64,
    /// SHA-256 of each recovery code that was not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<String>,
}

impl Secret {
    /// The second factor, where it is in force.
    #[must_use]
    pub fn second_in_force(&self) -> Option<&Second> {
        self.second.as_ref().filter(|second| second.confirmed)
    }
}

impl fmt::Debug for Secret {
    /// Nothing of what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(generation {}, {:?})", self.generation, self.second)
    }
}

impl fmt::Debug for Second {
    /// Nothing of what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Second(confirmed {}, {} recovery codes)", self.confirmed, self.recovery.len())
    }
}

/// Which sessions a change of the password ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<'a> {
    /// All of them, and all API keys.
    All,
    /// All but the one that asks.
    AllBut(&'a Id),
}
