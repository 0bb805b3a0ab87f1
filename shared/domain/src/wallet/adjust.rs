//! Later facts about closed hours. Hours up to `billed_through` are never billed again as usage; what turns out different
//! becomes an adjustment page, worked out from the chain itself and the registry's present facts.
//!
//! A credited hour stays billed and keeps its number. An hour charged late takes the month's next number, so that the
//! month still never costs more than its price: that is why a charge moves the meter's count.

use super::page::{Entry, Kind, Line, Page};
use crate::Id;
use crate::money::{Amount, MoneyError};
use crate::plan::{Metering, Price};
use crate::rating::{Facts, quantity_at};
use crate::time::{Hour, Month, Timestamp};
use std::collections::BTreeMap;

/// How one hour of a tenure stands on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourRecord {
    /// Seconds billed in the month before it.
    pub before: u32,
    /// And after it.
    pub after: u32,
    /// The price it was rated with.
    pub price: Price,
    /// Hours per month it was rated with.
    pub per: u16,
    /// Whether the customer pays it now: false after a credit.
    pub charged: bool,
    /// Whether an adjustment has touched it.
    pub adjusted: bool,
}

impl HourRecord {
    fn amount(&self) -> Amount {
        self.price.charge(self.before, self.after, self.per)
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
            && let Some((named, from, to)) = page.reference.as_deref().and_then(parse_adjust_key)
            && named == *server
            && from >= since
            && from < until
        {
            let credit = page.amount > Amount::ZERO;
            for hour in hours(from, to) {
                self.read_adjusted(hour, credit, facts);
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
            let record = HourRecord { before, after, price: line.price, per: line.per, charged: true, adjusted: false };
            self.hours.insert(hour, record);
            self.month_secs.insert(hour.month(), after);
            after += 3_600;
        }
    }

    fn read_adjusted(&mut self, hour: Hour, credit: bool, facts: Facts<'_>) {
        if let Some(record) = self.hours.get_mut(&hour) {
            record.charged = !credit;
            record.adjusted = true;
        } else if let Some((price, _, secs)) = quantity_at(facts, hour) {
            self.charge_late(hour, price, secs, facts.per.at(hour));
        }
    }

    /// Gives a late hour the month's next number.
    fn charge_late(&mut self, hour: Hour, price: Price, secs: u32, per: u16) -> Amount {
        let tail = self.month_secs.entry(hour.month()).or_insert(0);
        let record = HourRecord { before: *tail, after: *tail + secs, price, per, charged: true, adjusted: true };
        *tail += secs;
        self.hours.insert(hour, record);
        record.amount()
    }

    /// Brings one hour in line with the facts. Returns the change of the balance: positive is a credit.
    fn settle(&mut self, hour: Hour, facts: Facts<'_>) -> Amount {
        let wanted = quantity_at(facts, hour);
        let per = facts.per.at(hour);
        match (self.hours.get_mut(&hour), wanted) {
            (None, None) => Amount::ZERO,
            (None, Some((price, _, secs))) => -self.charge_late(hour, price, secs, per),
            (Some(record), None) if record.charged => {
                record.charged = false;
                record.adjusted = true;
                record.amount()
            }
            (Some(record), Some(_)) if !record.charged => {
                record.charged = true;
                record.adjusted = true;
                -record.amount()
            }
            // Seconds of a per-second hour that turned out different; once, so that it is not corrected every hour.
            (Some(record), Some((_, Metering::PerSecond, secs)))
                if !record.adjusted && secs != record.after - record.before =>
            {
                let paid = record.amount();
                record.adjusted = true;
                paid - record.price.charge(record.before, record.before + secs, record.per)
            }
            (Some(_), _) => Amount::ZERO,
        }
    }
}

/// One adjustment that has to be posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// First hour.
    pub from: Hour,
    /// The hour after the last.
    pub to: Hour,
    /// Change of the balance: positive is a credit.
    pub amount: Amount,
}

/// Compares the closed hours `[from, to)` with the facts, and says what must be posted: one adjustment per run of hours in
/// the same direction, oldest first.
pub fn reconcile(billed: &mut BilledHours, facts: Facts<'_>, from: Hour, to: Hour) -> Vec<Adjustment> {
    let mut found: Vec<Adjustment> = Vec::new();
    for hour in hours(from, to) {
        let amount = billed.settle(hour, facts);
        if amount == Amount::ZERO {
            continue;
        }
        match found.last_mut() {
            Some(last) if last.to == hour && (last.amount > Amount::ZERO) == (amount > Amount::ZERO) => {
                last.to = hour.plus(1);
                last.amount = last.amount + amount;
            }
            _ => found.push(Adjustment { from: hour, to: hour.plus(1), amount }),
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
            reference: Some(adjust_key(server, self.from, self.to)),
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

/// The idempotency key and reference of an adjustment.
#[must_use]
pub fn adjust_key(server: &Id, from: Hour, to: Hour) -> String {
    format!("adjust:{server}:{}:{}", from.number(), to.number())
}

/// Undoes [`adjust_key`].
#[must_use]
pub fn parse_adjust_key(text: &str) -> Option<(Id, Hour, Hour)> {
    let mut parts = text.strip_prefix("adjust:")?.split(':');
    let (server, from, to) = (parts.next()?, parts.next()?, parts.next()?);
    let hour = |text: &str| text.parse::<u32>().ok().and_then(|n| Hour::try_from(n).ok());
    Some((Id::new(server).ok()?, hour(from)?, hour(to)?))
}

fn hours(from: Hour, to: Hour) -> impl Iterator<Item = Hour> {
    (from.number()..to.number()).filter_map(|n| Hour::try_from(n).ok())
}
