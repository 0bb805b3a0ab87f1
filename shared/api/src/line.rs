//! One line of text that people read: names, reasons.

use serde::{Deserialize, Deserializer};
use std::ops::RangeInclusive;
use utoipa::ToSchema;

/// Longest name of a person or company, in characters.
const MAX_NAME_CHARS: usize = 100;
/// Characters that make a text look like another one: zero widths, joiners, marks of direction, byte order.
const INVISIBLE: [RangeInclusive<char>; 5] = [
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{2069}',
    '\u{feff}'..='\u{feff}',
    '\u{ad}'..='\u{ad}',
];

/// Reads one line within bounds, in characters, without the white space around it. The error does not repeat it.
///
/// # Errors
/// It is too short or too long as it came, or has characters that cannot be seen.
pub fn line<'de, D: Deserializer<'de>>(deserializer: D, bounds: RangeInclusive<usize>) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_hidden = |c: char| c.is_control() || INVISIBLE.iter().any(|range| range.contains(&c));
    if text.chars().any(is_hidden) {
        return Err(serde::de::Error::custom("it must have no control or invisible characters"));
    }
    let (plain, (min, max)) = (text.trim(), (bounds.start(), bounds.end()));
    if plain.chars().count() < *min || text.chars().count() > *max {
        return Err(serde::de::Error::custom(format!("it must have {min} to {max} characters")));
    }
    Ok(plain.to_owned())
}

/// The name of a person or company, as it may stand in a mail.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(
    value_type = String, max_length = 100, example = "Ada Lovelace",
    pattern = r"^[^\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]*$"
)]
pub struct Name(pub String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        line(deserializer, 0..=MAX_NAME_CHARS).map(Self)
    }
}

/// For a name that may be missing (`None`), be `null` (`Some("")`: take it away), or have a value.
///
/// # Errors
/// As [`line`].
pub fn patched_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Name>, D::Error> {
    let name = Option::<Name>::deserialize(deserializer)?;
    Ok(Some(name.unwrap_or(Name(String::new()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_line_that_can_be_seen() {
        let read = |text: &str| serde_json::from_value::<Name>(text.into()).ok().map(|Name(text)| text);
        assert_eq!(read(" Ada Lovelace "), Some("Ada Lovelace".to_owned()));
        assert_eq!((read(""), read("é".repeat(100).as_str())), (Some(String::new()), Some("é".repeat(100))));
        for wrong in ["Ada\nLovelace", "Ada\u{202e}", "\u{feff}Ada", &"a".repeat(101), &" ".repeat(101)] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
