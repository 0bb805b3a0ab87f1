//! Fields that several bodies have, each with its one rule: what OpenAPI says of it is what is checked.

use crate::password::{MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS};
use domain::account::{Email, MAX_EMAIL_BYTES};
use serde::{Deserialize, Deserializer};
use std::fmt;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Longest password that is looked at, where an old one is given: what it may be was decided when it was chosen.
const MAX_GIVEN_CHARS: usize = 128;

/// What [`Email::parse`] takes, as patterns that hold together: no single one says how long the part before the `@` may be, and
/// that the last label is no number, in what all readers of OpenAPI understand. Spaces around an address are dropped and stand
/// in none of them.
const ADDRESS: [&str; 3] = [
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
    r"^[^@]{1,64}@",
    r"[A-Za-z-][A-Za-z0-9-]*$",
];

/// An e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Address(pub Email);

impl PartialSchema for Address {
    fn schema() -> RefOr<Schema> {
        let text = |pattern: &str| ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
        let all = AllOfBuilder::new().description(Some("An e-mail address."));
        let all = all.examples([serde_json::json!("ada@example.com")]);
        ADDRESS.into_iter().fold(all, |all, pattern| all.item(text(pattern).max_length(Some(MAX_EMAIL_BYTES)))).into()
    }
}

impl ToSchema for Address {}

/// A password that is chosen now.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = Password, min_length = 10, max_length = 128, example = "correct horse battery staple")]
pub struct NewPassword(pub String);

/// A password that was chosen before, or is said to have been.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = Password, min_length = 1, max_length = 128)]
pub struct GivenPassword(pub String);

/// A secret that was handed out: a token, or a code.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 512)]
pub struct Token(pub String);

/// A code of the second factor: six digits, or a recovery code.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 6, max_length = 32, example = "123456")]
pub struct Code(pub String);

macro_rules! hidden {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }
    )*};
}
hidden!(NewPassword, GivenPassword, Token, Code);

/// Reads a text whose length is within bounds; the error does not repeat it.
fn bounded<'de, D: Deserializer<'de>>(deserializer: D, min: usize, max: usize) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let chars = text.chars().take(max + 1).count();
    if (min..=max).contains(&chars) {
        Ok(text)
    } else {
        Err(serde::de::Error::custom(format!("it must have {min} to {max} characters")))
    }
}

impl<'de> Deserialize<'de> for NewPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, MIN_PASSWORD_CHARS, MAX_PASSWORD_CHARS).map(Self)
    }
}

impl<'de> Deserialize<'de> for GivenPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, MAX_GIVEN_CHARS).map(Self)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, 512).map(Self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 6, 32).map(Self)
    }
}
