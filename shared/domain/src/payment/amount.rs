//! What may be bought, and how processors write it: in whole cents or with two decimals.

use crate::money::{Amount, MoneyError, Unit};

/// The least that is sold at once: 1 USD.
pub const MIN_PURCHASE: Amount = Amount::from_steps(1_000_000);
/// The most: 1000 USD.
pub const MAX_PURCHASE: Amount = Amount::from_steps(1_000_000_000);
/// Steps in a cent, the smallest amount processors move.
pub const STEPS_PER_CENT: i64 = 10_000;
/// Decimals a bought amount may be written with.
const CENT_DECIMALS: usize = 2;

/// An amount that is not sold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PurchaseError {
    /// Not a plain decimal.
    #[error("{0}")]
    NotAnAmount(#[from] MoneyError),
    /// Parts of a cent.
    #[error("it has at most two decimals")]
    TooPrecise,
    /// Too little or too much.
    #[error("it is from 1.00 to 1000.00 USD")]
    OutOfRange,
}

/// Reads an amount to buy: 1.00 to 1000.00 USD, at most two decimals.
///
/// # Errors
/// [`PurchaseError`], in words for the customer.
pub fn parse_purchase(text: &str) -> Result<Amount, PurchaseError> {
    let amount = parse_cents(text)?;
    check_purchase(amount)?;
    Ok(amount)
}

/// Whether an amount is sold.
///
/// # Errors
/// [`PurchaseError`].
pub fn check_purchase(amount: Amount) -> Result<(), PurchaseError> {
    if amount.steps() % STEPS_PER_CENT != 0 {
        return Err(PurchaseError::TooPrecise);
    }
    if (MIN_PURCHASE..=MAX_PURCHASE).contains(&amount) { Ok(()) } else { Err(PurchaseError::OutOfRange) }
}

/// Reads USD with at most two decimals.
///
/// # Errors
/// Not plain decimal, or too precise.
pub fn parse_cents(text: &str) -> Result<Amount, PurchaseError> {
    let amount = Amount::parse(text, Unit::Usd)?;
    match text.split_once('.') {
        Some((_, fraction)) if fraction.len() > CENT_DECIMALS => Err(PurchaseError::TooPrecise),
        _ => Ok(amount),
    }
}

/// Whole cents, as Stripe counts; nothing where there is a part of one.
#[must_use]
pub fn to_cents(amount: Amount) -> Option<i64> {
    (amount.steps() % STEPS_PER_CENT == 0).then_some(amount.steps() / STEPS_PER_CENT)
}

/// From whole cents.
///
/// # Errors
/// Out of the ledger's range.
pub fn from_cents(cents: i64) -> Result<Amount, MoneyError> {
    cents.checked_mul(STEPS_PER_CENT).map(Amount::from_steps).ok_or(MoneyError::Overflow)
}

/// Exactly two decimals, as PayPal writes; nothing where there is a part of a cent.
#[must_use]
pub fn to_decimal(amount: Amount) -> Option<String> {
    let cents = to_cents(amount)?;
    let sign = if cents < 0 { "-" } else { "" };
    Some(format!("{sign}{}.{:02}", cents.unsigned_abs() / 100, cents.unsigned_abs() % 100))
}
