//! Why a server cost what it did in a month: every line and every adjustment of the ledger, with the numbers its
//! formula was worked out with, and the page it stands on.
//!
//! Owns: which lines, adjustments and reversals concern a server's month, what was counted before each, and the sum.
//! The sum is that of the ledger by construction: nothing is rated again. Does *not*: find the pages, know today's
//! prices (a version is named only where its price is the one on the line).

use crate::Id;
use crate::money::{Amount, Unit};
use crate::plan::{CustomerRates, Metering, Plan, Price, RateStep, in_force};
use crate::rating::Counter;
use crate::statement::Mark;
use crate::tenure::WalletId;
use crate::time::{Hour, Month};
use crate::wallet::{Kind, Line, Page, parse_adjust_reference};
use std::collections::BTreeMap;

/// Seconds of an hour, as counters count them.
const HOUR: u32 = 3_600;
/// The rule, in words.
pub const RULE: &str = "Every hour that a billable state touches counts in full (a per-second plan counts seconds / 3600). \
With n0 counted in the month before and n after, the charge is R(p*min(n,H)/H) - R(p*min(n0,H)/H): p is the monthly price, H \
the hours per month, R rounds to the unit's step, half to even. So a month never costs more than p.";

/// Where a page stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The chain.
    pub wallet: WalletId,
    /// Number, time and hash.
    pub mark: Mark,
}

impl Place {
    fn of(page: &Page) -> Self {
        Self { wallet: page.wallet.clone(), mark: Mark::of(page) }
    }
}

/// A line of the ledger, and what was counted before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedLine {
    /// As it stands on the page.
    pub line: Line,
    /// Seconds counted in the month before it; `None` where only a page further back would tell.
    pub secs_before: Option<u32>,
    /// The page.
    pub place: Place,
}

/// One hour of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourCost {
    /// The hour.
    pub hour: Hour,
    /// Seconds counted in the month before it.
    pub secs_before: u32,
    /// And after it.
    pub secs_after: u32,
    /// Its part of the line's amount.
    pub amount: Amount,
}

impl ExplainedLine {
    /// Whether the month's price is reached with it: what follows in the month costs nothing.
    #[must_use]
    pub fn cap_reached(&self) -> bool {
        self.line.secs_after >= u32::from(self.line.per) * HOUR
    }

    /// Its amount, hour by hour: they sum to it. A per-second line is one hour.
    #[must_use]
    pub fn hours(&self) -> Vec<HourCost> {
        let line = &self.line;
        let Some(mut before) = self.secs_before else { return Vec::new() };
        let secs = match line.metering {
            Metering::Hourly => HOUR,
            Metering::PerSecond => line.secs_after.saturating_sub(before),
        };
        let hour = |n: u32| {
            let (hour, after) = (line.from.plus(n), before + secs);
            let cost = HourCost {
                hour,
                secs_before: before,
                secs_after: after,
                amount: line.price.charge(before, after, line.per),
            };
            before = after;
            cost
        };
        (0..line.hours()).map(hour).collect()
    }

    /// The formula with its numbers: `R(5.00*min(51,730)/730) - R(5.00*min(50,730)/730)`; in seconds where seconds
    /// count.
    #[must_use]
    pub fn formula(&self, unit: Unit) -> String {
        let (line, price) = (&self.line, self.line.price.display(unit));
        let per_secs = u32::from(line.per) * HOUR;
        let whole = |secs: u32| secs.is_multiple_of(HOUR);
        let in_hours =
            whole(line.secs_after) && self.secs_before.is_none_or(whole) && line.metering == Metering::Hourly;
        let term = |secs: u32| {
            let (n, most) = if in_hours { (secs / HOUR, u32::from(line.per)) } else { (secs, per_secs) };
            format!("R({price}*min({n},{most})/{most})")
        };
        match self.secs_before {
            Some(before) => format!("{} - {}", term(line.secs_after), term(before)),
            None => format!("{} less what was charged before", term(line.secs_after)),
        }
    }
}

/// What a later page changed about hours that were billed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// An adjustment or a reversal.
    pub kind: Kind,
    /// First hour; of a reversal the first of what it undoes.
    pub from: Hour,
    /// The hour after the last.
    pub to: Hour,
    /// Seconds each of the hours counts from then on; `None` for a reversal.
    pub secs: Option<u32>,
    /// Change of the balance on this server's account; positive is a credit.
    pub amount: Amount,
    /// The page.
    pub place: Place,
    /// Numbers of the pages of this chain it corrects: lines and corrections of the same hours.
    pub corrects: Vec<u64>,
}

/// What an explanation comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Sum of the lines.
    pub charged: Amount,
    /// Sum of adjustments and reversals; positive is a credit.
    pub corrected: Amount,
}

impl Total {
    /// What the server's month costs.
    #[must_use]
    pub fn cost(self) -> Amount {
        self.charged - self.corrected
    }
}

/// What was counted before each line, from page to page of a chain.
#[derive(Clone, Debug, Default)]
pub struct Counts(BTreeMap<(Id, Hour), Counter>);

impl Counts {
    /// What a page leaves behind.
    #[must_use]
    pub fn after(page: &Page) -> Self {
        let mut counts = Self::default();
        counts.leave(page);
        counts
    }

    /// Takes over a page's meters.
    pub fn leave(&mut self, page: &Page) {
        self.0.extend(page.meters.iter().map(|meter| ((meter.server.clone(), meter.since), meter.counter)));
    }

    /// Seconds counted in the month before a line of a page; lines come in their order. Where hours count it follows
    /// from the line itself; `None` where only a page further back would tell.
    pub fn before(&mut self, page: &Page, line: &Line) -> Option<u32> {
        // A line belongs to the latest tenure of its server that had begun.
        let own = page.meters.iter().filter(|meter| meter.server == line.server && meter.since <= line.from);
        let tenure = own.map(|meter| meter.since).max().map(|since| (line.server.clone(), since));
        let counter = tenure.and_then(|key| self.0.insert(key, Counter { through: line.to, secs: line.secs_after }));
        match (line.metering, counter) {
            (Metering::Hourly, _) => line.secs_after.checked_sub(line.hours() * HOUR),
            (Metering::PerSecond, Some(counter)) => Some(counter.secs_before(line.from)),
            // No page before it counted this tenure: it begins with the line, or its meter was dropped meanwhile.
            (Metering::PerSecond, None) => {
                (line.price.charge(0, line.secs_after, line.per) == line.amount).then_some(0)
            }
        }
    }
}

/// A server's month, as far as pages were read.
#[derive(Debug)]
pub struct Explanation {
    server: Id,
    month: Month,
    /// What was counted so far in the chain that is being read.
    counts: Counts,
    /// Lines, by page.
    pub lines: Vec<ExplainedLine>,
    /// Adjustments and reversals, by page.
    pub corrections: Vec<Correction>,
    /// Reversals whose page is to be looked at: where they stand, and what they name.
    reversals: Vec<(Place, Amount, u64)>,
}

impl Explanation {
    /// Nothing read yet.
    #[must_use]
    pub fn new(server: Id, month: Month) -> Self {
        let (counts, lines, corrections) = (Counts::default(), Vec::new(), Vec::new());
        Self { server, month, counts, lines, corrections, reversals: Vec::new() }
    }

    /// Begins another chain, or a stretch of one; `before` is the page before it, which tells what was counted.
    pub fn begin(&mut self, before: Option<&Page>) {
        self.counts = before.map(Counts::after).unwrap_or_default();
    }

    /// Takes in the next page, oldest first.
    pub fn read(&mut self, page: &Page) {
        let server = self.server.clone();
        for line in page.lines.iter().filter(|line| line.server == server) {
            let secs_before = self.counts.before(page, line);
            if line.from.month() == self.month {
                self.lines.push(ExplainedLine { line: line.clone(), secs_before, place: Place::of(page) });
            }
        }
        self.counts.leave(page);
        let reference = page.reference.as_deref().unwrap_or_default();
        match page.kind {
            Kind::Adjustment => self.read_adjustment(page, reference),
            Kind::Reversal => {
                if let Some(seq) = parse_reverse_reference(reference, &page.wallet) {
                    self.reversals.push((Place::of(page), page.amount, seq));
                }
            }
            Kind::Usage | Kind::Payment | Kind::Refund | Kind::Admin | Kind::Purchase | Kind::Transfer => {}
        }
    }

    fn read_adjustment(&mut self, page: &Page, reference: &str) {
        let Some((server, from, to, secs)) = parse_adjust_reference(reference) else { return };
        if server != self.server || from.month() != self.month {
            return;
        }
        let correction = Correction {
            kind: Kind::Adjustment,
            from,
            to,
            secs: Some(secs),
            amount: page.amount,
            corrects: self.standing_on(&page.wallet, from, to),
            place: Place::of(page),
        };
        self.corrections.push(correction);
    }

    /// The pages read so far that say something about these hours.
    fn standing_on(&self, wallet: &WalletId, from: Hour, to: Hour) -> Vec<u64> {
        let overlaps = |a: Hour, b: Hour, place: &Place| a < to && from < b && place.wallet == *wallet;
        let lines = self.lines.iter().filter(|l| overlaps(l.line.from, l.line.to, &l.place)).map(|l| l.place.mark.seq);
        let corrections =
            self.corrections.iter().filter(|c| overlaps(c.from, c.to, &c.place)).map(|c| c.place.mark.seq);
        lines.chain(corrections).collect()
    }

    /// Numbers of pages that reversals name: whoever reads the chain hands them to [`Explanation::reversed`].
    #[must_use]
    pub fn reversed_pages(&self) -> Vec<(WalletId, u64)> {
        self.reversals.iter().map(|(place, _, seq)| (place.wallet.clone(), *seq)).collect()
    }

    /// Takes in a page that a reversal names. What it said of this server's month is undone; a reversal of another sum
    /// than the page's own is nobody's in particular, and stands in the statement alone.
    pub fn reversed(&mut self, page: &Page) {
        let named = |(place, amount, seq): &(Place, Amount, u64)| {
            *seq == page.seq && place.wallet == page.wallet && *amount == -page.amount
        };
        let Some(index) = self.reversals.iter().position(named) else { return };
        let (place, ..) = self.reversals.remove(index);
        let own = page.lines.iter().filter(|line| line.server == self.server && line.from.month() == self.month);
        let hours: Vec<&Line> = own.collect();
        let adjusted =
            page.reference.as_deref().filter(|_| page.kind == Kind::Adjustment).and_then(parse_adjust_reference);
        let adjusted = adjusted.filter(|(server, from, ..)| *server == self.server && from.month() == self.month);
        let share = match (&adjusted, hours.first(), hours.last()) {
            (Some((_, from, to, _)), ..) => Some((*from, *to, -page.amount)),
            (None, Some(first), Some(last)) => Some((first.from, last.to, hours.iter().map(|line| line.amount).sum())),
            (None, ..) => None,
        };
        if let Some((from, to, amount)) = share {
            let (kind, corrects) = (Kind::Reversal, vec![page.seq]);
            self.corrections.push(Correction { kind, from, to, secs: None, amount, place, corrects });
        }
    }

    /// The sums of what was read, by unit.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<Unit, Total> {
        let mut totals: BTreeMap<Unit, Total> = BTreeMap::new();
        for line in &self.lines {
            let total = totals.entry(line.place.wallet.unit).or_default();
            total.charged = total.charged + line.line.amount;
        }
        for correction in &self.corrections {
            let total = totals.entry(correction.place.wallet.unit).or_default();
            total.corrected = total.corrected + correction.amount;
        }
        totals
    }
}

/// The page of this chain that a reversal names: `reverse:<chain>:<seq>`.
fn parse_reverse_reference(text: &str, wallet: &WalletId) -> Option<u64> {
    let (chain, seq) = text.strip_prefix("reverse:")?.rsplit_once(':')?;
    (chain == wallet.to_string()).then(|| seq.parse().ok())?
}

/// Whose price an hour was rated with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The server's own rate.
    Server,
    /// The customer's rate for the plan.
    Customer,
    /// The plan's version.
    Plan,
}

/// Where a price comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The plan version in force.
    pub version: Id,
    /// Whose price it is.
    pub source: Source,
    /// The price before the discount.
    pub list: Price,
    /// The customer's discount, in percent.
    pub discount: Option<String>,
}

/// Where the price of an hour comes from, as prices are known today; `None` where that gives another price than
/// `price`.
#[must_use]
pub fn origin(
    plan: &Plan,
    own: &[RateStep],
    customer: Option<&CustomerRates>,
    hour: Hour,
    price: Price,
) -> Option<Origin> {
    let version = plan.versions.iter().rev().find(|version| version.from <= hour)?;
    let rates = customer.and_then(|customer| customer.plans.get(plan.id.as_str()));
    let customers = rates.and_then(|rates| in_force(rates, hour));
    let (source, list) = match (in_force(own, hour), customers) {
        (Some(price), _) => (Source::Server, price),
        (None, Some(price)) => (Source::Customer, price),
        (None, None) => (Source::Plan, version.terms.price),
    };
    let discounts = customer.map_or(&[][..], |customer| &customer.discounts);
    let discount = discounts.iter().rev().find(|step| step.from <= hour).map(|step| step.percent.clone());
    let effective = discount.as_deref().map_or(Ok(list), |percent| list.discounted(percent)).ok()?;
    (effective == price).then(|| Origin { version: version.terms.version.clone(), source, list, discount })
}

#[cfg(test)]
mod tests;
