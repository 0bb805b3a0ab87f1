//! Texts that several bodies have, each with its one rule.

use api::line;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 500;
/// Longest note, in characters.
const MAX_NOTE_CHARS: usize = 500;

/// Why money is given or taken. It stands on the ledger, where the customer reads it, for ever.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(
    value_type = String, min_length = 1, max_length = 500, example = "Goodwill for the outage of 2 November",
    pattern = r"^[^\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+$"
)]
pub struct Reason(pub String);

/// What an operator did about something.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(
    value_type = String, min_length = 1, max_length = 500, example = "Refunded at the processor: paid twice",
    pattern = r"^[^\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+$"
)]
pub struct Note(pub String);

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        line(deserializer, 1..=MAX_REASON_CHARS).map(Self)
    }
}

impl<'de> Deserialize<'de> for Note {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        line(deserializer, 1..=MAX_NOTE_CHARS).map(Self)
    }
}
