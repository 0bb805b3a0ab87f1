//! The pages a payment led to, as its record remembers them: by key, and by amount, so that what is undone is what was done.

use crate::money::Amount;
use serde::{Deserialize, Serialize};

/// A page this payment led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct PostedPage {
    /// Its idempotency key.
    pub key: String,
    /// Its amount; records of old do not say.
    pub amount: Option<Amount>,
}

/// How records have it: with the amount, or, in those of old, the key alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Key(String),
    Page { key: String, amount: Option<Amount> },
}

impl From<Written> for PostedPage {
    fn from(written: Written) -> Self {
        match written {
            Written::Key(key) => Self { key, amount: None },
            Written::Page { key, amount } => Self { key, amount },
        }
    }
}

impl PostedPage {
    /// The processor's object it stands for.
    #[must_use]
    pub fn object(&self) -> &str {
        object_of(&self.key)
    }
}

/// The processor's object a key stands for.
pub(super) fn object_of(key: &str) -> &str {
    key.split(':').nth(1).unwrap_or_default()
}
