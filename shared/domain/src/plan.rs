//! What a server costs: prices, plan versions and the steps at which they change.

use crate::money::{self, MoneyError, STEPS_PER_USD, Unit, round_half_even};
use crate::time::Hour;
use crate::timeline::State;
use crate::{Amount, Id};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Decimals a price may have on its way in.
pub const MAX_PRICE_DECIMALS: u32 = 6;
/// Decimals a discount percentage may have.
pub const MAX_DISCOUNT_DECIMALS: u32 = 2;
/// Dearest monthly price, in USD. Bounds the products in [`Price::charge`] far below `i128`.
pub const MAX_PRICE_USD: i64 = 10_000_000;

/// A monthly price, exact: it may have more decimals than a step, since a discount is never rounded. Kept in USD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Price(Decimal);

/// A price or discount that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Not a plain decimal.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Negative, above [`MAX_PRICE_USD`] or with too many decimals.
    #[error("price '{0}' is not between 0 and 10000000 USD with at most {1} decimals")]
    Price(String, u32),
    /// Not between 0 and 100, or too many decimals.
    #[error("discount '{0}' is not between 0 and 100 percent with at most 2 decimals")]
    Discount(String),
}

impl Price {
    /// Reads a monthly price in USD with at most six decimals.
    ///
    /// # Errors
    /// See [`PriceError`].
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        Self::bounded(text, MAX_PRICE_DECIMALS)
    }

    fn bounded(text: &str, decimals: u32) -> Result<Self, PriceError> {
        let price = money::parse_plain_decimal(text)?;
        if price < Decimal::ZERO || price > Decimal::from(MAX_PRICE_USD) || price.scale() > decimals {
            return Err(PriceError::Price(text.chars().take(40).collect(), decimals));
        }
        Ok(Self(price.normalize()))
    }

    /// The price less `percent` of it, exact.
    ///
    /// # Errors
    /// The percentage is not between 0 and 100 with at most two decimals.
    pub fn discounted(self, percent: &str) -> Result<Self, PriceError> {
        let wrong = || PriceError::Discount(percent.chars().take(40).collect());
        let percent = money::parse_plain_decimal(percent)?;
        if percent < Decimal::ZERO || percent > Decimal::ONE_HUNDRED || percent.scale() > MAX_DISCOUNT_DECIMALS {
            return Err(wrong());
        }
        let kept = (Decimal::ONE_HUNDRED - percent) * Decimal::new(1, 2);
        Ok(Self((self.0 * kept).normalize()))
    }

    /// What has been charged in a month once `secs` seconds are billed, at `per` hours a month: `R(p * min(n, H) / H)`.
    ///
    /// The unit does not matter: 5.00 USD a month is 500.00 tokens a month, and the steps are the same money.
    #[must_use]
    pub fn accrued(self, secs: u32, per: u16) -> Amount {
        let per_secs = i128::from(per) * 3_600;
        let counted = i128::from(secs).min(per_secs);
        let num = self.0.mantissa() * counted * STEPS_PER_USD;
        let den = 10_i128.pow(self.0.scale()) * per_secs;
        // At most MAX_PRICE_USD in steps, which fits.
        Amount::from_steps(i64::try_from(round_half_even(num, den)).unwrap_or(i64::MAX))
    }

    /// The charge for moving the month's billed seconds from `before` to `after`.
    #[must_use]
    pub fn charge(self, before: u32, after: u32, per: u16) -> Amount {
        self.accrued(after, per) - self.accrued(before, per)
    }

    /// Digits without the point, and how many of them stand after it.
    #[must_use]
    pub fn parts(self) -> (i128, u32) {
        (self.0.mantissa(), self.0.scale())
    }

    /// From [`Price::parts`].
    #[must_use]
    pub fn from_parts(mantissa: i128, scale: u32) -> Option<Self> {
        let price = Decimal::try_from_i128_with_scale(mantissa, scale).ok()?;
        (price >= Decimal::ZERO && price <= Decimal::from(MAX_PRICE_USD)).then(|| Self(price.normalize()))
    }

    /// The shortest decimal with at least two places, in the wallet's unit. The export form.
    #[must_use]
    pub fn display(self, unit: Unit) -> String {
        let value = match unit {
            Unit::Usd => self.0,
            Unit::Token => self.0 * Decimal::ONE_HUNDRED,
        }
        .normalize();
        let mut value = value;
        if value.scale() < 2 {
            value.rescale(2);
        }
        value.to_string()
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display(Unit::Usd))
    }
}

impl TryFrom<String> for Price {
    type Error = PriceError;
    fn try_from(text: String) -> Result<Self, PriceError> {
        Self::bounded(&text, MAX_PRICE_DECIMALS + MAX_DISCOUNT_DECIMALS + 2)
    }
}

impl From<Price> for String {
    fn from(price: Price) -> Self {
        price.to_string()
    }
}

/// How the time of a server is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metering {
    /// Each hour that a billable span touches counts in full.
    #[default]
    Hourly,
    /// Exact seconds.
    PerSecond,
}

/// The terms a server-hour is rated with: one version of a plan, after the customer's own rate and discount.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Name of the plan version (or of the own rate) the price comes from, for *explain*.
    pub version: Id,
    /// Effective monthly price.
    pub price: Price,
    /// Hours or seconds.
    #[serde(default, skip_serializing_if = "is_hourly")]
    pub metering: Metering,
    /// States that are billed; `None` is the default, every state but `provisioning` and `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billable_states: Option<BTreeSet<State>>,
}

fn is_hourly(metering: &Metering) -> bool {
    *metering == Metering::Hourly
}

impl Terms {
    /// Whether a server in `state` is billed under these terms.
    #[must_use]
    pub fn bills(&self, state: &State) -> bool {
        match &self.billable_states {
            Some(states) => states.contains(state),
            None => !state.is_unbilled_by_default(),
        }
    }
}

/// One version of a plan: its price from an hour on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanVersion {
    /// First hour it is in force.
    pub from: Hour,
    /// The terms before own rates and discounts.
    pub terms: Terms,
}

/// A plan: its versions, oldest first. The last version whose `from` has come is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its id.
    pub id: Id,
    /// Versions, by `from`, strictly ascending, never empty.
    pub versions: Vec<PlanVersion>,
}

/// A monthly price of a server's or customer's own, from an hour on. `None` gives the plan's price back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateStep {
    /// First hour it is in force.
    pub from: Hour,
    /// The price, or `None` for "no own rate from here".
    pub price: Option<Price>,
}

/// A customer's discount percentage from an hour on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscountStep {
    /// First hour it is in force.
    pub from: Hour,
    /// Percent, `"0"` to `"100"`.
    pub percent: String,
}

/// What a customer pays apart from the plans: rates per plan and a discount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerRates {
    /// Own rates per plan, steps by `from`.
    #[serde(default)]
    pub plans: std::collections::BTreeMap<Id, Vec<RateStep>>,
    /// Discount steps by `from`.
    #[serde(default)]
    pub discounts: Vec<DiscountStep>,
}

/// From which hour on which [`Terms`] hold for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceStep {
    /// First hour.
    pub from: Hour,
    /// The terms from there.
    pub terms: Terms,
}

/// The price steps of one server over `[from, to)`: the server's own rate, else the customer's rate for the plan, else the
/// plan version in force; then the customer's discount.
///
/// # Errors
/// A stored discount that is none, or no plan version in force at `from`.
pub fn price_steps(
    plan: &Plan,
    own: &[RateStep],
    customer: Option<&CustomerRates>,
    from: Hour,
    to: Hour,
) -> Result<Vec<PriceStep>, StepError> {
    let empty = Vec::new();
    let rates = customer.and_then(|c| c.plans.get(plan.id.as_str())).unwrap_or(&empty);
    let discounts = customer.map_or(&[][..], |c| &c.discounts);
    let mut hours: BTreeSet<Hour> = BTreeSet::from([from]);
    hours.extend(plan.versions.iter().map(|v| v.from));
    hours.extend(own.iter().chain(rates).map(|step| step.from));
    hours.extend(discounts.iter().map(|step| step.from));
    let mut steps: Vec<PriceStep> = Vec::new();
    for hour in hours.into_iter().filter(|h| *h == from || (*h > from && *h < to)) {
        let version = plan.versions.iter().rev().find(|v| v.from <= hour).ok_or(StepError::NoVersion(hour))?;
        let mut terms = version.terms.clone();
        let own_price = in_force(own, hour).or_else(|| in_force(rates, hour));
        if let Some(price) = own_price {
            terms.price = price;
        }
        if let Some(discount) = discounts.iter().rev().find(|d| d.from <= hour) {
            terms.price = terms.price.discounted(&discount.percent)?;
        }
        if steps.last().is_none_or(|last| last.terms != terms) {
            steps.push(PriceStep { from: hour, terms });
        }
    }
    Ok(steps)
}

pub(crate) fn in_force(steps: &[RateStep], hour: Hour) -> Option<Price> {
    steps.iter().rev().find(|step| step.from <= hour).and_then(|step| step.price)
}

/// Why a server's price steps cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The plan has no version that early.
    #[error("no plan version is in force at {0}")]
    NoVersion(Hour),
    /// A stored discount is out of range.
    #[error(transparent)]
    Price(#[from] PriceError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(n: u32) -> Hour {
        Hour::try_from(n).unwrap()
    }

    fn plan(versions: &[(u32, &str)]) -> Plan {
        let versions = versions
            .iter()
            .map(|(from, price)| PlanVersion {
                from: hour(*from),
                terms: Terms {
                    version: Id::new(&format!("v{from}")).unwrap(),
                    price: Price::parse(price).unwrap(),
                    metering: Metering::Hourly,
                    billable_states: None,
                },
            })
            .collect();
        Plan { id: Id::new("small").unwrap(), versions }
    }

    #[test]
    fn a_month_of_hours_costs_exactly_the_price() {
        let price = Price::parse("5.00").unwrap();
        assert_eq!(price.charge(0, 730 * 3600, 730).steps(), 5_000_000);
        assert_eq!(price.charge(730 * 3600, 744 * 3600, 730).steps(), 0);
        assert_eq!(price.charge(0, 3600, 730).steps(), 6_849);
        assert_eq!(price.charge(3600, 7200, 730).steps(), 6_850);
    }

    #[test]
    fn the_first_rate_that_exists_wins_then_the_discount() {
        let plan = plan(&[(0, "10.00"), (50, "20.00")]);
        let own = [
            RateStep { from: hour(20), price: Some(Price::parse("7").unwrap()) },
            RateStep { from: hour(30), price: None },
        ];
        let mut customer = CustomerRates::default();
        customer
            .plans
            .insert(plan.id.clone(), vec![RateStep { from: hour(10), price: Some(Price::parse("9").unwrap()) }]);
        customer.discounts.push(DiscountStep { from: hour(40), percent: "33.33".into() });
        let steps = price_steps(&plan, &own, Some(&customer), hour(0), hour(100)).unwrap();
        let seen: Vec<_> = steps.iter().map(|s| (s.from.number(), s.terms.price.to_string())).collect();
        let want = [(0, "10.00"), (10, "9.00"), (20, "7.00"), (30, "9.00"), (40, "6.0003"), (50, "6.0003")];
        assert_eq!(seen, want.map(|(h, p)| (h, p.to_owned())));
    }

    #[test]
    fn prices_out_of_range_are_refused() {
        for bad in ["-1", "10000000.01", "1.0000001", "free", ""] {
            assert!(Price::parse(bad).is_err(), "{bad}");
        }
        for bad in ["-1", "100.01", "1.001", "x"] {
            assert!(Price::parse("5").unwrap().discounted(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_price_shows_in_the_wallets_unit() {
        let price = Price::parse("5").unwrap();
        assert_eq!(price.display(Unit::Usd), "5.00");
        assert_eq!(price.display(Unit::Token), "500.00");
        assert_eq!(price.discounted("33.33").unwrap().display(Unit::Usd), "3.3335");
    }
}
