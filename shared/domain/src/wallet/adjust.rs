//! Later facts about closed hours. Hours up to `billed_through` are never billed again as usage; what turns out different
//! becomes an adjustment page, worked out from the chain itself and the registry's present facts.
//!
//! A credited hour stays billed and keeps its numbers. An hour (or second) charged late takes the month's next numbers, so
//! that the month still never costs more than its price: that is why a charge moves the meter's count.
//!
//! A page's reference says how many seconds each of its hours counts from now on, so the chain alone tells how an hour
//! stands, whatever the registry says by then. Reading a page and working one out are the same step, [`BilledHours::set`]:
//! what was posted is never found again.

use super::page::{Entry, Kind, Line, Page};
use crate::Id;
use crate::money::{Amount, MoneyError};
use crate::plan::{Metering, Price};
use crate::rating::{Facts, quantity_at};
use crate::time::{HOUR_SECS, Hour, Month, Timestamp};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

/// How one hour of a tenure stands on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HourRecord {
    /// Its numbers: runs of seconds billed in the month, `(before, after)`. A second run where seconds were added late.
    numbers: Vec<(u32, u32)>,
    /// The price it was rated with.
    price: Price,
    /// Hours per month it was rated with.
    per: u16,
    /// Seconds the customer pays now: 0 after a credit.
    secs: u32,
}

impl HourRecord {
    /// What its first `secs` seconds cost.
    fn cost(&self, secs: u32) -> Amount {
        let mut left = secs;
        let runs = self.numbers.iter().map(|(before, after)| {
            let taken = left.min(after - before);
            left -= taken;
            self.price.charge(*before, before + taken, self.per)
        });
        runs.sum()
    }
}

/// The hours of one tenure as its chain tells them, lines and adjustments together.
#[derive(Clone, Debug, Default)]
pub struct BilledHours {
    hours: BTreeMap<Hour, HourRecord>,
    month_secs: BTreeMap<Month, u32>,
}

impl BilledHours {
    /// Takes in the next page of the chain, oldest first.
    pub fn read(&mut self, page: &Page, server: &Id, since: Hour, until: Hour, facts: Facts<'_>) {
        let own = |line: &&Line| line.server == *server && line.from >= since && line.from < until;
        for line in page.lines.iter().filter(own) {
            self.read_line(line);
        }
        if page.kind == Kind::Adjustment
            && let Some((named, from, to, secs)) = page.reference.as_deref().and_then(parse_adjust_reference)
            && named == *server
            && from >= since
            && from < until
        {
            for hour in hours(from, to) {
                self.set(hour, secs, facts);
            }
        }
    }

    fn read_line(&mut self, line: &Line) {
        let mut after = match line.metering {
            Metering::Hourly => line.secs_after.saturating_sub((line.hours().saturating_sub(1)) * 3_600),
            Metering::PerSecond => line.secs_after,
        };
        for hour in hours(line.from, line.to) {
            let before = match line.metering {
                Metering::Hourly => after.saturating_sub(3_600),
                Metering::PerSecond => self.month_secs.get(&hour.month()).copied().unwrap_or(0),
            };
            let numbers = vec![(before, after)];
            let secs = after.saturating_sub(before);
            self.hours.insert(hour, HourRecord { numbers, price: line.price, per: line.per, secs });
            self.month_secs.insert(hour.month(), after);
            after += 3_600;
        }
    }

    /// Makes one hour count `secs` seconds. Returns the change of the balance: positive is a credit.
    fn set(&mut self, hour: Hour, secs: u32, facts: Facts<'_>) -> Amount {
        let tail = self.month_secs.entry(hour.month()).or_insert(0);
        let record = match self.hours.entry(hour) {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => {
                let Some(step) = facts.steps.iter().rev().find(|step| step.from <= hour) else {
                    // Read from the chain, and older than what is known: it counts, and is not looked at again.
                    *tail += secs;
                    return Amount::ZERO;
                };
                let (price, per) = (step.terms.price, facts.per.at(hour));
                slot.insert(HourRecord { numbers: Vec::new(), price, per, secs: 0 })
            }
        };
        let paid = record.cost(record.secs);
        let numbered: u32 = record.numbers.iter().map(|(before, after)| after - before).sum();
        if secs > numbered {
            let next = *tail + (secs - numbered);
            record.numbers.push((*tail, next));
            *tail = next;
        }
        record.secs = secs;
        paid - record.cost(secs)
    }
}

/// One adjustment that has to be posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// First hour.
    pub from: Hour,
    /// The hour after the last.
    pub to: Hour,
    /// Seconds that each of the hours counts from now on: 0 where they are credited, 3600 where they are charged in full.
    pub secs: u32,
    /// Change of the balance: positive is a credit. Zero past the month's cap.
    pub amount: Amount,
}

/// Compares the closed hours `[from, to)` with the facts, and says what must be posted: one adjustment per run of hours of a
/// month in the same direction, oldest first; an hour that changes to other seconds than its neighbour stands alone.
pub fn reconcile(billed: &mut BilledHours, facts: Facts<'_>, from: Hour, to: Hour) -> Vec<Adjustment> {
    let mut found: Vec<Adjustment> = Vec::new();
    for hour in hours(from, to) {
        let secs = quantity_at(facts, hour).map_or(0, |(_, _, secs)| secs);
        if billed.hours.get(&hour).map_or(0, |record| record.secs) == secs {
            continue;
        }
        let amount = billed.set(hour, secs, facts);
        let joins = |last: &&mut Adjustment| {
            let against = last.amount.steps().signum() * amount.steps().signum() < 0;
            // In one month, as a line is: then a month's sum needs no page to be split.
            last.to == hour && last.secs == secs && !against && last.from.month() == hour.month()
        };
        match found.last_mut().filter(joins) {
            Some(last) => (last.to, last.amount) = (hour.plus(1), last.amount + amount),
            None => found.push(Adjustment { from: hour, to: hour.plus(1), secs, amount }),
        }
    }
    found
}

impl Adjustment {
    /// Its page: meters unchanged, but for the count of the month where hours were charged late.
    ///
    /// # Errors
    /// The balance would leave the range of the ledger.
    pub fn page(
        &self,
        head: &Page,
        billed: &BilledHours,
        server: &Id,
        since: Hour,
        at: Timestamp,
    ) -> Result<Page, MoneyError> {
        let entry = Entry {
            kind: Kind::Adjustment,
            amount: self.amount,
            actor: Some("biller".to_owned()),
            reason: Some("a later fact about closed hours".to_owned()),
            reference: Some(adjust_reference(server, self.from, self.to, self.secs)),
        };
        let mut page = super::append(&head.wallet, Some(head), entry, at)?;
        for meter in page.meters.iter_mut().filter(|m| m.server == *server && m.since == since) {
            let month = meter.counter.through.minus(1).month();
            let counted = billed.month_secs.get(&month).copied().unwrap_or(0);
            meter.counter.secs = meter.counter.secs.max(counted);
        }
        Ok(page.sealed())
    }
}

/// The idempotency key of an adjustment of these hours. The same hours may be adjusted again, the other way: the page's
/// reference, which begins with this, says what they count after it.
#[must_use]
pub fn adjust_key(server: &Id, from: Hour, to: Hour) -> String {
    format!("adjust:{server}:{}:{}", from.number(), to.number())
}

/// The reference of an adjustment page: each hour of `[from, to)` counts `secs` seconds from now on.
#[must_use]
pub fn adjust_reference(server: &Id, from: Hour, to: Hour, secs: u32) -> String {
    format!("{}:{secs}", adjust_key(server, from, to))
}

/// Undoes [`adjust_reference`]; `None` for anything else.
#[must_use]
pub fn parse_adjust_reference(text: &str) -> Option<(Id, Hour, Hour, u32)> {
    let mut parts = text.strip_prefix("adjust:")?.split(':');
    let (server, from, to, secs) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hour = |text: &str| text.parse::<u32>().ok().and_then(|n| Hour::try_from(n).ok());
    let (from, to, secs) = (hour(from)?, hour(to)?, secs.parse::<u32>().ok()?);
    let fits = parts.next().is_none() && from < to && i64::from(secs) <= HOUR_SECS;
    fits.then_some((Id::new(server).ok()?, from, to, secs))
}

fn hours(from: Hour, to: Hour) -> impl Iterator<Item = Hour> {
    (from.number()..to.number()).filter_map(|n| Hour::try_from(n).ok())
}
