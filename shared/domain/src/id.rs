//! Names of customers, servers and plans.

use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;

/// Longest id that is accepted, in bytes.
pub const MAX_ID_BYTES: usize = 64;

/// An id: 1 to 64 of `[A-Za-z0-9_-]`. The alphabet keeps ids safe inside keys (`#` separates there), URLs and CSV.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(Box<str>);

/// The text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an id: 1 to 64 of A-Z a-z 0-9 _ -")]
pub struct IdError(String);

impl Id {
    /// Checks the alphabet and the length.
    ///
    /// # Errors
    /// [`IdError`] with the (shortened) text.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let ok = !text.is_empty()
            && text.len() <= MAX_ID_BYTES
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if ok { Ok(Self(text.into())) } else { Err(IdError(text.chars().take(80).collect())) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Id {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(&text)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0.into()
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_alphabet_and_the_length_pass() {
        assert!(Id::new("t-1800000-0_Az").is_ok());
        for bad in ["", "a#b", "a b", "é", "a/b", &"x".repeat(65)] {
            assert!(Id::new(bad).is_err(), "{bad}");
        }
    }
}
