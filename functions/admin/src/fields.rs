//! Texts that several bodies have, each with its one rule.

use serde::{Deserialize, Deserializer};
use std::ops::RangeInclusive;
use utoipa::ToSchema;

/// Longest name of a person or company, in characters.
const MAX_NAME_CHARS: usize = 100;
/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 500;
/// Characters that make a text look like another one: zero widths, joiners, marks of direction, byte order.
const INVISIBLE: [RangeInclusive<char>; 5] = [
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{2069}',
    '\u{feff}'..='\u{feff}',
    '\u{ad}'..='\u{ad}',
];

/// The name of a person or company.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(
    value_type = String, max_length = 100, example = "Ada Lovelace",
    pattern = r"^[^\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]*$"
)]
pub struct PlainName(pub String);

/// Why money is given or taken. It stands on the ledger, where the customer reads it, for ever.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(
    value_type = String, min_length = 1, max_length = 500, example = "Goodwill for the outage of 2 November",
    pattern = r"^[^\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+$"
)]
pub struct Reason(pub String);

/// One line of text within bounds. The error does not repeat it.
fn line<'de, D: Deserializer<'de>>(deserializer: D, min: usize, max: usize) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_hidden = |c: char| c.is_control() || INVISIBLE.iter().any(|range| range.contains(&c));
    if text.chars().any(is_hidden) {
        return Err(serde::de::Error::custom("it must have no control or invisible characters"));
    }
    let text = text.trim();
    if !(min..=max).contains(&text.chars().count()) {
        return Err(serde::de::Error::custom(format!("it must have {min} to {max} characters")));
    }
    Ok(text.to_owned())
}

impl<'de> Deserialize<'de> for PlainName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        line(deserializer, 0, MAX_NAME_CHARS).map(Self)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        line(deserializer, 1, MAX_REASON_CHARS).map(Self)
    }
}

/// For a field that may be missing (`None`), be `null` (`Some("")`: take it away), or have a value.
pub fn patched<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PlainName>, D::Error> {
    let name = Option::<PlainName>::deserialize(deserializer)?;
    Ok(Some(name.unwrap_or(PlainName(String::new()))))
}
