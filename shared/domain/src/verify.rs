//! The proof of a ledger: every chain by itself, and the billed hours against the registry.

use crate::Id;
use crate::money::Amount;
use crate::plan::{Metering, PriceStep};
use crate::rating::{Counter, Facts, rate};
use crate::settings::{HoursPerMonth, Switch};
use crate::tenure::{Tenure, WalletId};
use crate::time::Hour;
use crate::timeline::Timeline;
use crate::wallet::{Kind, Line, METER_KEPT_HOURS, Meter, Page, page_hash, parse_adjust_reference};
use std::collections::{BTreeSet, HashMap};

#[cfg(test)]
mod tests;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Fault {
    /// Wallet and page, or server.
    pub place: String,
    /// In words.
    pub what: String,
}

/// Walks one chain page by page, oldest first.
#[derive(Default)]
pub struct ChainCheck {
    last: Option<Page>,
    /// Counters of meters that were dropped: a late job may bring one back.
    dropped: HashMap<(Id, Hour), Counter>,
}

impl ChainCheck {
    /// Checks that `page` follows the pages before it, and that it is true to itself.
    ///
    /// # Errors
    /// The first [`Fault`] found on the page.
    pub fn next(&mut self, page: Page) -> Result<&Page, Fault> {
        let place = || format!("{} page {}", page.wallet, page.seq);
        let fault = |what: String| Fault { place: place(), what };
        let fail = |what: String| Err(fault(what));
        let prev = self.last.as_ref();
        let (seq, before, hash) = prev.map_or((1, Amount::ZERO, [0; 32]), |p| (p.seq + 1, p.after, p.hash));
        if page.seq != seq {
            return fail(format!("page {seq} is missing"));
        }
        if page.prev_hash != hash {
            return fail("prev_hash is not the hash of the page before".to_owned());
        }
        if page_hash(&page) != page.hash {
            return fail("the hash does not match the content".to_owned());
        }
        if page.before != before {
            return fail("before is not the balance after the page before".to_owned());
        }
        if page.before.checked_add(page.amount).ok() != Some(page.after) {
            return fail("before and amount do not add up to after".to_owned());
        }
        check_content(prev, &page, &self.dropped).map_err(fault)?;
        for meter in prev.map_or(&[][..], |p| &p.meters) {
            if page.meter(&meter.server, meter.since).is_none() {
                self.dropped.insert((meter.server.clone(), meter.since), meter.counter);
            }
        }
        Ok(self.last.insert(page))
    }

    /// The newest page seen.
    #[must_use]
    pub fn head(&self) -> Option<&Page> {
        self.last.as_ref()
    }
}

fn check_content(prev: Option<&Page>, page: &Page, dropped: &HashMap<(Id, Hour), Counter>) -> Result<(), String> {
    if page.kind != Kind::Usage {
        if !page.lines.is_empty() {
            return Err("only usage pages have lines".to_owned());
        }
        return check_meters_kept(prev, page);
    }
    let sum: Amount = page.lines.iter().map(|line| line.amount).sum();
    if page.amount != -sum {
        return Err("the lines do not sum to the page".to_owned());
    }
    if !page.lines.is_sorted_by(|a, b| (&a.server, a.to) <= (&b.server, b.from)) {
        return Err("the lines are out of order or overlap".to_owned());
    }
    check_meters_follow(prev, page, dropped)
}

/// A page that is not usage leaves the meters alone; an adjustment may raise a count, never anything else.
fn check_meters_kept(prev: Option<&Page>, page: &Page) -> Result<(), String> {
    let before = prev.map_or(&[][..], |p| &p.meters);
    let same = before.len() == page.meters.len()
        && before.iter().zip(&page.meters).all(|(a, b)| {
            let raised = page.kind == Kind::Adjustment && b.counter.secs > a.counter.secs;
            let counter = Counter { secs: if raised { a.counter.secs } else { b.counter.secs }, ..b.counter };
            *a == Meter { counter, ..b.clone() }
        });
    if same { Ok(()) } else { Err("the page is not usage, and changes meters".to_owned()) }
}

/// On a usage page each meter follows from the one before and its lines.
fn check_meters_follow(prev: Option<&Page>, page: &Page, dropped: &HashMap<(Id, Hour), Counter>) -> Result<(), String> {
    let mut lines_of: HashMap<&Id, Vec<&Line>> = HashMap::new();
    for line in &page.lines {
        lines_of.entry(&line.server).or_default().push(line);
    }
    for meter in &page.meters {
        let old = prev.and_then(|p| p.meter(&meter.server, meter.since));
        let own: Vec<&&Line> = lines_of
            .get(&meter.server)
            .map(|l| l.iter().filter(|line| owns(page, meter, line)).collect())
            .unwrap_or_default();
        let key = (meter.server.clone(), meter.since);
        let start = old.map(|m| m.counter).or_else(|| dropped.get(&key).copied());
        check_meter(meter, start.unwrap_or(Counter::new(meter.since)), &own)
            .map_err(|what| format!("server {}: {what}", meter.server))?;
    }
    for line in &page.lines {
        if !page.meters.iter().any(|m| m.server == line.server && owns(page, m, line)) {
            return Err(format!("server {} has a line and no meter", line.server));
        }
    }
    for old in prev.map_or(&[][..], |p| &p.meters) {
        let may_go = old.ended_at.is_some_and(|at| page.at.hour().since(at) >= METER_KEPT_HOURS);
        if !may_go && page.meter(&old.server, old.since).is_none() {
            return Err(format!("server {} lost its meter", old.server));
        }
    }
    Ok(())
}

/// A line belongs to the latest tenure of its server that had begun.
fn owns(page: &Page, meter: &Meter, line: &Line) -> bool {
    let later = page.meters.iter().any(|m| m.server == meter.server && m.since > meter.since && m.since <= line.from);
    meter.since <= line.from && !later
}

fn check_meter(meter: &Meter, start: Counter, lines: &[&&Line]) -> Result<(), String> {
    let mut counter = start;
    for line in lines {
        if line.from < counter.through || line.to <= line.from {
            return Err(format!("the hours from {} are billed again", line.from));
        }
        if line.from.month() != line.to.minus(1).month() {
            return Err("a line crosses a month".to_owned());
        }
        let before = counter.secs_before(line.from);
        let billed = line.secs_after.checked_sub(before).ok_or("the count goes back")?;
        let whole = billed == line.hours() * 3_600;
        if !(whole || (line.metering == Metering::PerSecond && line.hours() == 1 && billed <= 3_600)) {
            return Err(format!("the count of the line from {} does not fit its hours", line.from));
        }
        if line.amount != line.price.charge(before, line.secs_after, line.per) {
            return Err(format!("the line from {} has the wrong amount", line.from));
        }
        counter = Counter { through: line.to, secs: line.secs_after };
    }
    if meter.counter.through < counter.through {
        return Err("its meter lies before its lines".to_owned());
    }
    if meter.counter != counter.advanced_to(meter.counter.through) {
        return Err("its meter does not equal its lines".to_owned());
    }
    Ok(())
}

/// Every server-hour of the ledger: to find one that stands twice, and to compare with the registry.
#[derive(Default)]
pub struct HourCheck {
    servers: HashMap<Id, Vec<WalletHours>>,
    /// Server-hours seen on lines.
    pub server_hours: u64,
    /// What they cost.
    pub amount: Amount,
}

/// One server's hours in one wallet and lane.
struct WalletHours {
    wallet: WalletId,
    /// Runs of billed hours and what they cost; those of one tenure that touch are joined.
    lines: Vec<(Hour, Hour, Amount)>,
    /// Adjusted hours, in the order they were posted: `true` is a credit.
    adjusted: Vec<(Hour, Hour, bool)>,
    /// Whether a tenure of the registry has accounted for them.
    owned: BTreeSet<Hour>,
}

impl HourCheck {
    fn hours_of(&mut self, server: &Id, wallet: &WalletId) -> Option<&mut WalletHours> {
        let known = self.servers.entry(server.clone()).or_default();
        if !known.iter().any(|hours| hours.wallet == *wallet) {
            known.push(WalletHours::none(wallet.clone()));
        }
        known.iter_mut().find(|hours| hours.wallet == *wallet)
    }

    /// Takes in a page; those of one wallet in order.
    pub fn read(&mut self, page: &Page) {
        for line in &page.lines {
            self.server_hours += u64::from(line.hours());
            self.amount = self.amount + line.amount;
            // A server that comes back begins another tenure: its money is looked at by itself.
            let begins = page.meter(&line.server, line.from).is_some();
            let Some(known) = self.hours_of(&line.server, &page.wallet) else { continue };
            match known.lines.last_mut() {
                Some(last) if last.1 == line.from && !begins => (last.1, last.2) = (line.to, last.2 + line.amount),
                _ => known.lines.push((line.from, line.to, line.amount)),
            }
        }
        let adjusted =
            page.reference.as_deref().filter(|_| page.kind == Kind::Adjustment).and_then(parse_adjust_reference);
        if let Some((server, from, to, secs)) = adjusted
            && let Some(known) = self.hours_of(&server, &page.wallet)
        {
            known.adjusted.push((from, to, secs == 0));
        }
    }

    /// The servers with an hour that is billed twice: on two lines anywhere in the ledger, or paid by two wallets after all
    /// adjustments.
    pub fn doubled(&mut self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (server, wallets) in &self.servers {
            let mut lines: Vec<(Hour, Hour)> = wallets.iter().flat_map(|w| &w.lines).map(|l| (l.0, l.1)).collect();
            lines.sort_unstable();
            let twice = lines.windows(2).find_map(|pair| match pair {
                [a, b] if b.0 < a.1 => Some(b.0),
                _ => None,
            });
            let paid_twice = || {
                let mut paid = BTreeSet::new();
                let any = wallets.len() > 1 && wallets.iter().any(|w| !w.adjusted.is_empty());
                let all = wallets.iter().filter(|_| any).flat_map(|w| w.charged(Hour::EPOCH, Hour::FAR_FUTURE));
                all.into_iter().find(|hour| !paid.insert(*hour))
            };
            if let Some(hour) = twice.or_else(paid_twice) {
                faults.push(Fault { place: format!("server {server}"), what: format!("hour {hour} is billed twice") });
            }
        }
        faults.sort_by(|a, b| a.place.cmp(&b.place));
        faults
    }

    /// Compares one tenure with what the registry says was billable in `[known_from, through)`; `until` is where the
    /// server's next tenure begins.
    ///
    /// # Errors
    /// An hour that is missing, one that should not have been billed, or a sum that differs.
    pub fn check_tenure(
        &self,
        facts: &TenureFacts,
        switch: &Switch,
        per: &HoursPerMonth,
        until: Hour,
        through: Hour,
    ) -> Result<(), Fault> {
        let rated = Facts { timeline: &facts.timeline, steps: &facts.steps, switch, per };
        let (since, from) = (facts.tenure.since, facts.known_from);
        let to = through.min(until).max(from);
        let (lines, _) = rate(rated, Counter::new(from), to, usize::MAX);
        let wanted: BTreeSet<Hour> = lines.iter().flat_map(|line| hours(line.from, line.to)).collect();
        let none = WalletHours::none(facts.tenure.wallet.clone());
        let known = self.servers.get(&facts.tenure.server).map_or(&[][..], Vec::as_slice);
        let own = known.iter().find(|hours| hours.wallet == facts.tenure.wallet).unwrap_or(&none);
        let charged = own.charged(from, until);
        let fail = |what: String| Err(Fault { place: format!("server {}", facts.tenure.server), what });
        if let Some(hour) = wanted.difference(&charged).next() {
            return fail(format!("hour {hour} was billable but is not billed"));
        }
        if let Some(hour) = charged.difference(&wanted).find(|hour| **hour < to) {
            return fail(format!("hour {hour} is billed but was not billable"));
        }
        // With nothing adjusted and nothing pruned, the money must be what the registry's prices say, to the last step.
        let own_lines = own.lines.iter().filter(|line| line.0 >= from && line.0 < until);
        let billed_beyond = own.lines.iter().any(|line| line.1 > to && line.0 < until);
        if own.adjusted.is_empty() && from == since && !billed_beyond {
            let (is, should): (Amount, Amount) =
                (own_lines.map(|line| line.2).sum(), lines.iter().map(|line| line.amount).sum());
            if is != should {
                return fail(format!("it was charged {} steps instead of {}", is.steps(), should.steps()));
            }
        }
        Ok(())
    }

    /// The registry knows this tenure: its hours up to the server's next tenure are accounted for.
    pub fn own(&mut self, tenure: &Tenure, until: Hour) {
        if let Some(own) = self.hours_of(&tenure.server, &tenure.wallet) {
            own.owned.extend(own.charged(tenure.since, until));
        }
    }

    /// After every tenure was named: hours somebody pays although the registry knows no tenure for them.
    #[must_use]
    pub fn unowned(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (server, wallets) in &self.servers {
            for own in wallets {
                let charged = own.charged(Hour::EPOCH, Hour::FAR_FUTURE);
                if let Some(hour) = charged.difference(&own.owned).next() {
                    let what = format!("hour {hour} is billed to {} which has no such tenure", own.wallet);
                    faults.push(Fault { place: format!("server {server}"), what });
                }
            }
        }
        faults.sort_by(|a, b| a.place.cmp(&b.place));
        faults
    }
}

impl WalletHours {
    fn none(wallet: WalletId) -> Self {
        Self { wallet, lines: Vec::new(), adjusted: Vec::new(), owned: BTreeSet::new() }
    }

    /// Every hour of `[from, until)` that the wallet pays, adjustments taken in.
    fn charged(&self, from: Hour, until: Hour) -> BTreeSet<Hour> {
        let mut charged: BTreeSet<Hour> = self.lines.iter().flat_map(|line| hours(line.0, line.1)).collect();
        for (from, to, credit) in &self.adjusted {
            for hour in hours(*from, *to) {
                if *credit {
                    charged.remove(&hour)
                } else {
                    charged.insert(hour)
                };
            }
        }
        charged.retain(|hour| *hour >= from && *hour < until);
        charged
    }
}

fn hours(from: Hour, to: Hour) -> impl Iterator<Item = Hour> {
    (from.number()..to.number()).filter_map(|n| Hour::try_from(n).ok())
}

/// What the registry says of one tenure.
#[derive(Clone, Debug)]
pub struct TenureFacts {
    /// Who and since when.
    pub tenure: Tenure,
    /// The spans are complete from here on; below, the registry was pruned and only the chain knows.
    pub known_from: Hour,
    /// Raw states.
    pub timeline: Timeline,
    /// Price steps from `known_from` on.
    pub steps: Vec<PriceStep>,
}
