//! Fields that several bodies have, each with its one rule: what OpenAPI says of it is what is checked.

use crate::password::{MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS};
use domain::account::Email;
use serde::{Deserialize, Deserializer};
use std::fmt;
use utoipa::ToSchema;

/// Longest password that is looked at, where an old one is given: what it may be was decided when it was chosen.
const MAX_GIVEN_CHARS: usize = 128;
/// Longest name of a person or company, in characters.
pub const MAX_NAME_CHARS: usize = 100;
/// Characters that make a text look like another one: zero widths, joiners, marks of direction, byte order.
const INVISIBLE: [std::ops::RangeInclusive<char>; 5] = [
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{2069}',
    '\u{feff}'..='\u{feff}',
    '\u{ad}'..='\u{ad}',
];

/// An e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String, max_length = 254, example = "ada@example.com",
    pattern = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,32}(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,15}){0,2}@([A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?\.){1,4}[A-Za-z]{2,20}$"
)]
pub struct Address(pub Email);

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

/// The name of a person or company, as it may stand in a mail.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]*$", example = "Ada Lovelace")]
pub struct Name(pub String);

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

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = bounded(deserializer, 0, MAX_NAME_CHARS)?;
        if text.chars().any(|c| c.is_control() || INVISIBLE.iter().any(|range| range.contains(&c))) {
            return Err(serde::de::Error::custom("it must have no control or invisible characters"));
        }
        Ok(Self(text.trim().to_owned()))
    }
}

/// For a field that may be missing (`None`), be `null` (`Some("")`: take it away), or have a value.
pub fn patched<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Name>, D::Error> {
    let name = Option::<Name>::deserialize(deserializer)?;
    Ok(Some(name.unwrap_or(Name(String::new()))))
}
