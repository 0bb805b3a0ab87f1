//! Money as the API writes and reads it: decimal text with its unit beside it, never a float, never rounded.

use domain::money::MoneyError;
use domain::{Amount, Unit};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Longest text of an amount that is looked at.
const MAX_AMOUNT_BYTES: usize = 40;

/// An amount with its unit, in answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Money {
    /// Decimal, at least two places, as many as it needs.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$", example = "20.00")]
    pub amount: String,
    /// `usd`, or `token` (100 of them are 1 USD).
    #[schema(pattern = "^(usd|token)$", example = "usd")]
    pub unit: &'static str,
}

impl Money {
    /// From steps.
    #[must_use]
    pub fn new(amount: Amount, unit: Unit) -> Self {
        Self { amount: show(amount, unit), unit: unit.as_str() }
    }
}

/// Decimal text with at least two places and no more than it needs.
#[must_use]
pub fn show(amount: Amount, unit: Unit) -> String {
    let text = amount.display(unit).to_string();
    let Some((whole, fraction)) = text.split_once('.') else { return text };
    let needed = fraction.trim_end_matches('0').len().max(2);
    format!("{whole}.{}", fraction.get(..needed).unwrap_or(fraction))
}

/// An amount as it was written in a body: a JSON string, or a number, whose own digits are kept. Not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = r"^[0-9]+(\.[0-9]{1,6})?$", example = "20.00")]
pub struct AmountText(pub String);

impl<'de> Deserialize<'de> for AmountText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        let number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then(|| text.to_owned());
        let text = number.or_else(|| serde_json::from_str::<String>(text).ok());
        let text = text.filter(|text| text.len() <= MAX_AMOUNT_BYTES);
        text.map(Self).ok_or_else(|| serde::de::Error::custom("an amount is a decimal in quotes, like \"20.00\""))
    }
}

impl AmountText {
    /// The amount in USD.
    ///
    /// # Errors
    /// Not plain decimal, more than six decimals, or beyond a billion.
    pub fn usd(&self) -> Result<Amount, MoneyError> {
        Amount::parse(&self.0, Unit::Usd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Body {
        amount: AmountText,
    }

    #[test]
    fn amounts_keep_their_digits_and_floats_never_touch_them() {
        for (json, text) in [(r#""20.00""#, "20.00"), ("0.1", "0.1"), ("1e3", "1e3"), ("-0.0000001", "-0.0000001")] {
            let body: Body = serde_json::from_str(&format!(r#"{{"amount":{json}}}"#)).unwrap();
            assert_eq!(body.amount.0, text);
        }
        for wrong in ["true", "null", "[1]", "{}", &format!("\"{}\"", "9".repeat(41))] {
            assert!(serde_json::from_str::<Body>(&format!(r#"{{"amount":{wrong}}}"#)).is_err(), "{wrong}");
        }
        for wrong in ["NaN", "1e3", "0.0000001", "99999999999", "", " 1", "+1x", "\u{661}"] {
            assert!(AmountText(wrong.to_owned()).usd().is_err(), "{wrong}");
        }
        assert_eq!(AmountText("0.1".to_owned()).usd(), Ok(Amount::from_steps(100_000)));
    }

    #[test]
    fn shown_with_two_places_and_no_more_than_needed() {
        let usd = |steps| show(Amount::from_steps(steps), Unit::Usd);
        assert_eq!([usd(20_000_000), usd(-20_548), usd(100), usd(0)], ["20.00", "-0.020548", "0.0001", "0.00"]);
        assert_eq!(show(Amount::from_steps(12_345), Unit::Token), "1.2345");
    }
}
