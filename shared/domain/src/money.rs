//! Amounts are integers of the unit's smallest step: 1e-6 USD, 1e-4 token. 100 tokens are 1 USD, so both steps are the
//! same money. `rust_decimal` stands at the edges only; nothing here is a float.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};

/// Steps in one USD.
pub const STEPS_PER_USD: i128 = 1_000_000;
/// Largest amount that is accepted from outside: one billion USD, far inside `i64` steps.
pub const MAX_USD: i64 = 1_000_000_000;

/// What a wallet counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Custom credits in US dollars; a step is 1e-6 USD.
    Usd,
    /// VirtFusion tokens, 100 to the dollar; a step is 1e-4 token.
    Token,
}

impl Unit {
    /// Its name in keys and in the export.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Token => "token",
        }
    }

    /// Digits after the point that a step has.
    #[must_use]
    pub fn decimals(self) -> u32 {
        match self {
            Self::Usd => 6,
            Self::Token => 4,
        }
    }

    /// From its name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "usd" => Some(Self::Usd),
            "token" => Some(Self::Token),
            _ => None,
        }
    }
}

/// Money in steps of its unit. Negative is money the customer owes or paid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Amount(i64);

/// A text or number that is no amount of the unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not plain decimal digits with an optional sign and point.
    #[error("'{0}' is not a plain decimal amount")]
    NotDecimal(String),
    /// More digits after the point than a step has.
    #[error("'{text}' has more than {decimals} decimals")]
    TooPrecise {
        /// What was given.
        text: String,
        /// What is allowed.
        decimals: u32,
    },
    /// Beyond one billion USD.
    #[error("'{0}' is beyond one billion USD")]
    TooLarge(String),
    /// A sum left the range of the ledger.
    #[error("the sum is out of range")]
    Overflow,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From whole steps.
    #[must_use]
    pub const fn from_steps(steps: i64) -> Self {
        Self(steps)
    }

    /// In whole steps.
    #[must_use]
    pub const fn steps(self) -> i64 {
        self.0
    }

    /// Parses a plain decimal like `12.34`; never rounds.
    ///
    /// # Errors
    /// Not plain decimal (no exponent, no spaces), more decimals than a step has, or beyond [`MAX_USD`].
    pub fn parse(text: &str, unit: Unit) -> Result<Self, MoneyError> {
        let shown = || text.chars().take(40).collect::<String>();
        let decimal = parse_plain_decimal(text)?;
        if decimal.scale() > unit.decimals() {
            return Err(MoneyError::TooPrecise { text: shown(), decimals: unit.decimals() });
        }
        let factor = 10_i128.pow(unit.decimals() - decimal.scale());
        let steps = decimal.mantissa().checked_mul(factor).ok_or_else(|| MoneyError::TooLarge(shown()))?;
        let limit = i128::from(MAX_USD) * STEPS_PER_USD;
        if steps.abs() > limit {
            return Err(MoneyError::TooLarge(shown()));
        }
        i64::try_from(steps).map(Self).map_err(|_| MoneyError::TooLarge(shown()))
    }

    /// Exactly the unit's decimals: `-1.500000` USD, `12.0000` tokens. The export form.
    #[must_use]
    pub fn display(self, unit: Unit) -> DisplayAmount {
        DisplayAmount { amount: self, decimals: unit.decimals() }
    }

    /// The sum, if it stays in range.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_add(other.0).map(Self).ok_or(MoneyError::Overflow)
    }
}

// Balances move by at most a few billion USD and i64 holds nine million times that; an overflow here is a corrupt page
// and must stop the process rather than wrap (overflow checks stay on in release, see the workspace profile).
impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Amount {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// An [`Amount`] with its decimals, for printing.
#[derive(Clone, Copy, Debug)]
pub struct DisplayAmount {
    amount: Amount,
    decimals: u32,
}

impl fmt::Display for DisplayAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.amount.0.unsigned_abs();
        let factor = 10_u64.pow(self.decimals);
        let sign = if self.amount.0 < 0 { "-" } else { "" };
        let width = usize::try_from(self.decimals).unwrap_or(6);
        write!(f, "{sign}{}.{:0width$}", steps / factor, steps % factor)
    }
}

/// Reads digits with an optional leading `-` and one point. `1e3`, `+1`, `.5`, `1.`, `NaN` and spaces are refused.
///
/// # Errors
/// [`MoneyError::NotDecimal`], or [`MoneyError::TooLarge`] past 28 digits.
pub fn parse_plain_decimal(text: &str) -> Result<Decimal, MoneyError> {
    let shown = || text.chars().take(40).collect::<String>();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return Err(MoneyError::NotDecimal(shown()));
    }
    Decimal::from_str_exact(text).map_err(|_| MoneyError::TooLarge(shown()))
}

/// `num / den`, rounded to the nearest integer, a half to the even one. **The only rounding in Skymeter** (`R` in the
/// rating rules). `den` must be positive.
#[must_use]
pub fn round_half_even(num: i128, den: i128) -> i128 {
    debug_assert!(den > 0, "a denominator is positive");
    let floor = num.div_euclid(den);
    let twice = 2 * num.rem_euclid(den);
    let up = twice > den || (twice == den && floor % 2 != 0);
    floor + i128::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_half_goes_to_the_even_side() {
        for (num, want) in [(1, 0), (3, 2), (5, 2), (7, 4), (-1, 0), (-3, -2), (-5, -2), (4, 2), (-4, -2)] {
            assert_eq!(round_half_even(num, 2), want, "{num}/2");
        }
        assert_eq!(round_half_even(2, 3), 1);
        assert_eq!(round_half_even(1, 3), 0);
    }

    #[test]
    fn amounts_print_and_parse_exactly() {
        assert_eq!(Amount::parse("5", Unit::Usd).unwrap(), Amount::from_steps(5_000_000));
        assert_eq!(Amount::parse("-0.000001", Unit::Usd).unwrap().display(Unit::Usd).to_string(), "-0.000001");
        assert_eq!(Amount::from_steps(123).display(Unit::Token).to_string(), "0.0123");
    }

    #[test]
    fn what_is_not_plain_decimal_is_refused() {
        for bad in ["", "-", "1e3", "NaN", "inf", " 1", "1 ", "+1", ".5", "1.", "1.0000001", "1_000", "0x1", "٣", "1,5"]
        {
            assert!(Amount::parse(bad, Unit::Usd).is_err(), "{bad}");
        }
        assert!(matches!(Amount::parse("1000000000.000001", Unit::Usd), Err(MoneyError::TooLarge(_))));
        assert!(matches!(Amount::parse(&"9".repeat(40), Unit::Usd), Err(MoneyError::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn parse_undoes_display(steps in -1_000_000_000_000_000_i64..=1_000_000_000_000_000) {
            for unit in [Unit::Usd, Unit::Token] {
                let amount = Amount::from_steps(steps);
                prop_assert_eq!(Amount::parse(&amount.display(unit).to_string(), unit).unwrap(), amount);
            }
        }

        #[test]
        fn rounding_is_never_off_by_more_than_half(num in -1_000_000_i128..1_000_000, den in 1_i128..10_000) {
            prop_assert!((2 * (round_half_even(num, den) * den - num)).abs() <= den);
        }
    }
}
