//! When a customer wants to hear that money runs out, and when to top up by itself.
//!
//! Owns: the settings with their bounds, and which thresholds a fall crosses. Does *not*: know balances, send or
//! charge.

use crate::money::Amount;
use serde::{Deserialize, Serialize};

/// Most thresholds a customer may have.
pub const MAX_THRESHOLDS: usize = 10;
/// Highest threshold, and highest balance at which a top-up may begin: 100,000 USD.
pub const MAX_THRESHOLD: Amount = Amount::from_steps(100_000_000_000);
/// Smallest sum that is bought or topped up: 1 USD.
pub const MIN_PURCHASE: Amount = Amount::from_steps(1_000_000);
/// Largest sum that is bought or topped up at once: 1,000 USD.
pub const MAX_PURCHASE: Amount = Amount::from_steps(1_000_000_000);
/// Most that may be topped up in a UTC day: 10,000 USD.
pub const MAX_DAILY: Amount = Amount::from_steps(10_000_000_000);
/// Thresholds of a customer who has set none: 10, 5 and 0 USD (the same money in tokens).
pub const DEFAULT_THRESHOLDS: [Amount; 3] =
    [Amount::from_steps(10_000_000), Amount::from_steps(5_000_000), Amount::ZERO];

/// At which balances to write to a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// Balances below which a fall is worth a mail, highest first, each once.
    pub thresholds: Vec<Amount>,
    /// Whether to send mails at all.
    pub email: bool,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { thresholds: DEFAULT_THRESHOLDS.to_vec(), email: true }
    }
}

impl Alerts {
    /// Sorts the thresholds, highest first, each once.
    #[must_use]
    pub fn new(mut thresholds: Vec<Amount>, email: bool) -> Self {
        thresholds.sort_unstable_by(|a, b| b.cmp(a));
        thresholds.dedup();
        Self { thresholds, email }
    }

    /// Whether these are what everybody has.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The thresholds a fall from `before` to `after` crosses, highest first: those the balance was not below, and now is.
/// Where `before` is not known (the customer is looked at for the first time) all that lie above `after`.
#[must_use]
pub fn crossed(thresholds: &[Amount], before: Option<Amount>, after: Amount) -> Vec<Amount> {
    let is_crossed = |limit: &&Amount| after < **limit && before.is_none_or(|before| before >= **limit);
    let mut found: Vec<Amount> = thresholds.iter().filter(is_crossed).copied().collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}

/// Automatic top-up: buy `amount` with `payment_method` whenever the balance falls below `threshold`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopUp {
    /// Whether it is done at all.
    pub enabled: bool,
    /// Balance of USD credits below which it is done.
    pub threshold: Amount,
    /// How much to buy.
    pub amount: Amount,
    /// The processor's name of a saved method.
    pub payment_method: Option<String>,
    /// Most to buy in one UTC day.
    pub daily_limit: Amount,
}

impl Default for TopUp {
    /// Off; what a form would begin with.
    fn default() -> Self {
        Self {
            enabled: false,
            threshold: Amount::from_steps(5_000_000),
            amount: Amount::from_steps(20_000_000),
            payment_method: None,
            daily_limit: Amount::from_steps(100_000_000),
        }
    }
}

/// What is wrong with a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertError {
    /// Below 0 or above [`MAX_THRESHOLD`].
    #[error("a threshold is between 0 and 100000 USD")]
    Threshold,
    /// Not between [`MIN_PURCHASE`] and [`MAX_PURCHASE`].
    #[error("the amount is between 1 and 1000 USD")]
    Amount,
    /// Below the amount, or above [`MAX_DAILY`].
    #[error("the daily limit is at least the amount, and at most 10000 USD")]
    DailyLimit,
    /// It is switched on without a method to pay with.
    #[error("name a saved payment method to switch it on")]
    PaymentMethod,
}

/// A threshold within bounds.
///
/// # Errors
/// [`AlertError::Threshold`].
pub fn check_threshold(threshold: Amount) -> Result<(), AlertError> {
    if (Amount::ZERO..=MAX_THRESHOLD).contains(&threshold) { Ok(()) } else { Err(AlertError::Threshold) }
}

impl TopUp {
    /// Checks the bounds.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self) -> Result<(), AlertError> {
        check_threshold(self.threshold)?;
        if !(MIN_PURCHASE..=MAX_PURCHASE).contains(&self.amount) {
            return Err(AlertError::Amount);
        }
        if !(self.amount..=MAX_DAILY).contains(&self.daily_limit) {
            return Err(AlertError::DailyLimit);
        }
        if self.enabled && self.payment_method.is_none() { Err(AlertError::PaymentMethod) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::usd;
    use proptest::prelude::*;

    #[test]
    fn a_fall_crosses_what_lies_between() {
        let cross = |before: &str, after: &str| crossed(&DEFAULT_THRESHOLDS, Some(usd(before)), usd(after));
        assert_eq!(cross("12", "10"), []);
        assert_eq!(cross("10", "9.999999"), [usd("10")]);
        assert_eq!(cross("10.5", "-1"), DEFAULT_THRESHOLDS);
        assert_eq!(cross("4", "0"), []);
        assert_eq!(cross("0", "-0.000001"), [usd("0")]);
        assert_eq!(cross("3", "20"), []);
        assert_eq!(crossed(&DEFAULT_THRESHOLDS, None, usd("7")), [usd("10")]);
    }

    #[test]
    fn a_top_up_is_held_within_its_bounds() {
        assert_eq!(TopUp::default().check(), Ok(()));
        let on = TopUp { enabled: true, ..TopUp::default() };
        assert_eq!(on.check(), Err(AlertError::PaymentMethod));
        assert_eq!(TopUp { amount: usd("0.999999"), ..TopUp::default() }.check(), Err(AlertError::Amount));
        assert_eq!(TopUp { daily_limit: usd("19"), ..TopUp::default() }.check(), Err(AlertError::DailyLimit));
        assert_eq!(TopUp { threshold: usd("-1"), ..TopUp::default() }.check(), Err(AlertError::Threshold));
        assert_eq!(Alerts::new(vec![usd("0"), usd("5"), usd("10"), usd("5")], true), Alerts::default());
    }

    proptest! {
        /// However a fall is cut into steps, each threshold is crossed in exactly one of them.
        #[test]
        fn a_fall_in_steps_crosses_each_threshold_once(
            thresholds in prop::collection::btree_set(-50_i64..50, 0..10),
            mut balances in prop::collection::vec(-60_i64..60, 2..10),
        ) {
            balances.sort_unstable_by(|a, b| b.cmp(a));
            let thresholds: Vec<Amount> = thresholds.into_iter().map(Amount::from_steps).collect();
            let balances: Vec<Amount> = balances.into_iter().map(Amount::from_steps).collect();
            let steps: Vec<Amount> =
                balances.windows(2).flat_map(|pair| crossed(&thresholds, Some(pair[0]), pair[1])).collect();
            let whole = crossed(&thresholds, balances.first().copied(), balances[balances.len() - 1]);
            prop_assert_eq!(steps, whole);
        }
    }
}
