//! A server's month as it runs: what it has cost so far, what it will have cost at the month's end if everything stays
//! as it is, and how long the money lasts.
//!
//! Owns: reading that off the newest page's meter and the registry's facts, without the month's pages, wherever that is
//! exact; [`MonthCosts`] for the rest. Does *not*: know the servers that have ended and are closed (the statement
//! does), read anything.
//!
//! The meter counts what was billed. If one price held in the month so far, and as much was billed as the facts call
//! for, then the numbers 1 to `n` were charged, each once, and cost `R(p*min(n,H)/H)`, in whatever order they came.

use crate::Id;
use crate::money::{Amount, STEPS_PER_USD, round_half_even};
use crate::plan::{Metering, Price, PriceStep};
use crate::rating::{Counter, Facts, rate};
use crate::time::{Hour, Month, Timestamp};
use crate::timeline::State;
use crate::wallet::{Kind, Meter, Page, parse_adjust_reference};
use std::collections::{BTreeMap, HashMap};

/// Seconds of an hour, as counters count them.
const HOUR: u32 = 3_600;
/// Digits after the point that prices are brought to before they are added: more than any has.
const SUM_SCALE: u32 = 12;

/// What is known of a server that is not closed.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// States, prices, switch, hours per month; the prices up to the month's end.
    pub facts: Facts<'a>,
    /// First hour of the tenure.
    pub since: Hour,
    /// The states are complete from here on.
    pub known_from: Hour,
    /// Its meter on the newest page.
    pub meter: Option<&'a Meter>,
    /// Whether a late fact may still have to be posted.
    pub rechecking: bool,
}

/// A server's month at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The first hour that is not billed.
    pub through: Hour,
    /// Seconds billed in the month.
    pub secs: u32,
    /// What they cost; `None` where only the month's pages tell.
    pub cost: Option<Amount>,
    /// What the facts say they cost: the same, but for corrections.
    pub rated: Amount,
    /// What hours cost that have ended and are not on a page yet.
    pub pending: Amount,
    /// What the rest of the month will cost, pending hours included, if the server stays as it is.
    pub rest: Amount,
    /// Its present price, if it has one.
    pub step: Option<PriceStep>,
    /// Whether the present hour is billed.
    pub burns: bool,
    /// Its state; `None` before it is there.
    pub state: Option<State>,
    /// Whether it has ended.
    pub ended: bool,
}

/// A server's month at `now`.
#[must_use]
pub fn live(known: Known<'_>, now: Timestamp) -> Live {
    let (facts, month) = (known.facts, now.hour().month());
    let counter = known.meter.map_or(Counter::new(known.since), |meter| meter.counter);
    let is_over = known.meter.is_some_and(|meter| meter.ended_at.is_some());
    let secs = in_month(counter, month);
    let (rated, rated_secs) = accrue(facts, Counter::new(known.since.max(known.known_from)), month, counter.through);
    let state = facts.timeline.states().iter().rev().find(|(at, _)| *at <= now).map(|(_, state)| state.clone());
    let ended = facts.timeline.end().is_some_and(|end| end <= now);
    let step = facts.steps.iter().rev().find(|step| step.from <= now.hour()).cloned();
    let burns = !ended
        && known.since <= now.hour()
        && facts.switch.is_on(now.hour())
        && state.as_ref().is_some_and(|state| step.as_ref().is_some_and(|step| step.terms.bills(state)));
    let (pending, rest) = if is_over {
        (Amount::ZERO, Amount::ZERO)
    } else {
        (accrue(facts, counter, month, now.hour()).0, accrue(facts, counter, month, month.end()).0)
    };
    let exact = !known.rechecking
        && secs == rated_secs
        && known.known_from <= known.since.max(month.start())
        && one_price(facts, known.since.max(month.start()), counter.through)
        && (!is_over || facts.timeline.end_hour() == Some(counter.through));
    Live {
        through: counter.through,
        secs,
        cost: exact.then_some(rated),
        rated,
        pending,
        rest,
        step,
        burns,
        state,
        ended,
    }
}

/// The counter's seconds, if they are this month's.
fn in_month(counter: Counter, month: Month) -> u32 {
    if counter.through.minus(1).month() == month { counter.secs } else { 0 }
}

/// Whether one price holds in all of `[from, to)`.
fn one_price(facts: Facts<'_>, from: Hour, to: Hour) -> bool {
    let Some(first) = facts.steps.iter().rev().find(|step| step.from <= from) else { return from >= to };
    let between = facts.steps.iter().filter(|step| step.from > from && step.from < to);
    between.map(|step| step.terms.price).all(|price| price == first.terms.price)
}

/// What the hours `[counter.through, to)` of the month cost after `counter`, and the seconds counted at their end.
fn accrue(facts: Facts<'_>, counter: Counter, month: Month, to: Hour) -> (Amount, u32) {
    let to = to.min(month.end());
    // Hours of an earlier month count by themselves.
    let from = counter.through.max(month.start());
    let before = counter.secs_before(from);
    if from >= to {
        return (Amount::ZERO, in_month(counter, month));
    }
    if let Some((price, hours)) = steady(facts, from, to) {
        let after = before + hours * HOUR;
        return (price.charge(before, after, facts.per.at(from)), after);
    }
    let (lines, end) = rate(facts, Counter { through: from, secs: before }, to, usize::MAX);
    (lines.iter().map(|line| line.amount).sum(), end.secs)
}

/// The price and the number of billed hours where nothing changes in `[from, to)`: most servers, most of the time. What
/// [`rate`] finds hour by hour, in one step.
fn steady(facts: Facts<'_>, from: Hour, to: Hour) -> Option<(Price, u32)> {
    let within = |hour: Hour| hour > from && hour < to;
    let step = facts.steps.iter().rev().find(|step| step.from <= from)?;
    let (at, state) = facts.timeline.states().last()?;
    let bills = step.terms.bills(state);
    // A state that begins within the hour bills it in full, where hours are what is counted.
    let begun = *at <= from.start() || (bills && step.terms.metering == Metering::Hourly && *at < from.end());
    let changes = facts.timeline.end().is_some()
        || facts.steps.iter().any(|step| within(step.from))
        || facts.switch.entries().iter().any(|(hour, _)| within(*hour));
    if changes || !begun {
        return None;
    }
    let hours = if bills && facts.switch.is_on(from) { to.since(from) } else { 0 };
    Some((step.terms.price, hours))
}

/// What servers burn in an hour: the sum of `p / H`, exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burn {
    /// Sum of the monthly prices, in 1e-12 USD.
    monthly: i128,
}

impl Burn {
    /// One more server. The month's cap is left aside: a server that has reached it burns again next month.
    pub fn add(&mut self, price: Price) {
        let (mantissa, scale) = price.parts();
        self.monthly += mantissa * 10_i128.pow(SUM_SCALE.saturating_sub(scale));
    }

    /// Per hour, rounded once to the unit's step: to be shown, not to be charged.
    #[must_use]
    pub fn per_hour(self, per: u16) -> Amount {
        let steps = round_half_even(self.monthly * STEPS_PER_USD, 10_i128.pow(SUM_SCALE) * i128::from(per.max(1)));
        Amount::from_steps(i64::try_from(steps).unwrap_or(i64::MAX))
    }

    /// Full hours a balance lasts: `None` where nothing burns, 0 where there is nothing left.
    #[must_use]
    pub fn runway_hours(self, balance: Amount, per: u16) -> Option<u64> {
        if self.monthly <= 0 {
            return None;
        }
        // Both in 1e-12 USD: steps are 1e-6.
        let balance = i128::from(balance.steps()) * 10_i128.pow(SUM_SCALE - 6) * i128::from(per);
        Some(u64::try_from(balance / self.monthly).unwrap_or(0))
    }
}

/// What a month has cost by the ledger's own lines and adjustments, for the tenures that are asked for.
#[derive(Debug)]
pub struct MonthCosts {
    month: Month,
    wanted: HashMap<Id, BTreeMap<Hour, Amount>>,
}

impl MonthCosts {
    /// Nothing read yet.
    pub fn new(month: Month, tenures: impl IntoIterator<Item = (Id, Hour)>) -> Self {
        let mut wanted: HashMap<Id, BTreeMap<Hour, Amount>> = HashMap::new();
        for (server, since) in tenures {
            wanted.entry(server).or_default().insert(since, Amount::ZERO);
        }
        Self { month, wanted }
    }

    /// Takes in a page, in any order.
    pub fn read(&mut self, page: &Page) {
        let month = self.month;
        for line in page.lines.iter().filter(|line| line.from.month() == month) {
            self.add(&line.server, line.from, line.amount);
        }
        let adjusted = page.reference.as_deref().filter(|_| page.kind == Kind::Adjustment);
        if let Some((server, from, ..)) = adjusted.and_then(parse_adjust_reference)
            && from.month() == self.month
        {
            self.add(&server, from, -page.amount);
        }
    }

    fn add(&mut self, server: &Id, hour: Hour, amount: Amount) {
        let tenures = self.wanted.get_mut(server);
        if let Some((_, cost)) = tenures.and_then(|tenures| tenures.range_mut(..=hour).next_back()) {
            *cost = *cost + amount;
        }
    }

    /// What the tenure's month has cost.
    #[must_use]
    pub fn cost(&self, server: &Id, since: Hour) -> Amount {
        self.wanted.get(server).and_then(|tenures| tenures.get(&since)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
