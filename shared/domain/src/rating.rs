//! From a server's timeline and its price steps to lines: which hours are billed, and what each costs.
//!
//! With `n0` billed before and `n` after, a stretch costs `R(p*min(n,H)/H) - R(p*min(n0,H)/H)`: the month never costs more
//! than `p`, and `H` hours cost exactly `p`. The sum over hours telescopes, so a line's amount does not depend on how its
//! hours were grouped.

use crate::money::{Amount, STEPS_PER_USD, round_half_even};
use crate::plan::{Metering, Price, PriceStep};
use crate::settings::{HoursPerMonth, Switch};
use crate::time::{HOUR_SECS, Hour};
use crate::timeline::{Span, Timeline};

/// What rating needs to know of a server, all of it complete in the hours that are rated.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Raw states.
    pub timeline: &'a Timeline,
    /// Price steps; the first is in force at the first hour rated.
    pub steps: &'a [PriceStep],
    /// Hours in which billing was on.
    pub switch: &'a Switch,
    /// Hours per month.
    pub per: &'a HoursPerMonth,
}

/// How far a tenure is billed, and how much of the current month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The first hour that is not closed.
    pub through: Hour,
    /// Seconds billed in the month of the last closed hour.
    pub secs: u32,
}

impl Counter {
    /// Nothing billed yet.
    #[must_use]
    pub fn new(since: Hour) -> Self {
        Self { through: since, secs: 0 }
    }

    /// Moves to `through`; the seconds start again where that crosses into another month.
    #[must_use]
    pub fn advanced_to(self, through: Hour) -> Self {
        let secs = if through.minus(1) >= self.month_end() { 0 } else { self.secs };
        Self { through, secs }
    }

    /// Seconds billed in `hour`'s month before it.
    #[must_use]
    pub fn secs_before(self, hour: Hour) -> u32 {
        if hour >= self.month_end() { 0 } else { self.secs }
    }

    fn month_end(self) -> Hour {
        self.through.minus(1).month().end()
    }
}

/// An unbroken run of billed hours in one month at one price (an hour alone where seconds are counted).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatedLine {
    /// First hour.
    pub from: Hour,
    /// The hour after the last.
    pub to: Hour,
    /// Seconds billed in the month after it.
    pub secs_after: u32,
    /// Effective monthly price.
    pub price: Price,
    /// How time was counted.
    pub metering: Metering,
    /// Hours per month.
    pub per: u16,
    /// The sum of its hours.
    pub amount: Amount,
}

/// Rates the hours `[counter.through, to)`, at most `max_lines` lines of them. The counter that comes back says how far
/// it got.
#[must_use]
pub fn rate(facts: Facts<'_>, counter: Counter, to: Hour, max_lines: usize) -> (Vec<RatedLine>, Counter) {
    let spans: Vec<Span<'_>> = facts.timeline.spans().collect();
    let stop = to.min(facts.timeline.end_hour().unwrap_or(to));
    let mut lines: Vec<RatedLine> = Vec::new();
    let mut counter = counter;
    let mut hour = counter.through.max(facts.timeline.start().hour());
    while hour < stop {
        if let Some((step, secs)) = quantity(facts, &spans, hour) {
            let before = counter.secs_before(hour);
            let per = facts.per.at(hour);
            let price = step.terms.price;
            let after = before + secs;
            let amount = price.charge(before, after, per);
            let full = lines.len() >= max_lines;
            match lines.last_mut() {
                Some(last) if extends(last, hour, step) => {
                    last.to = hour.plus(1);
                    last.secs_after = after;
                    last.amount = last.amount + amount;
                }
                _ if full => return (lines, counter.advanced_to(hour)),
                _ => lines.push(RatedLine {
                    from: hour,
                    to: hour.plus(1),
                    secs_after: after,
                    price,
                    metering: step.terms.metering,
                    per,
                    amount,
                }),
            }
            counter = Counter { through: hour.plus(1), secs: after };
        }
        hour = hour.plus(1);
    }
    (lines, counter.advanced_to(to.max(counter.through)))
}

fn extends(last: &RatedLine, hour: Hour, step: &PriceStep) -> bool {
    last.to == hour
        && last.price == step.terms.price
        && last.metering == Metering::Hourly
        && step.terms.metering == Metering::Hourly
        && last.from.month() == hour.month()
}

/// The billed seconds of one hour and the step they are rated with, or `None` where the hour is not billed.
#[must_use]
pub fn quantity_at(facts: Facts<'_>, hour: Hour) -> Option<(Price, Metering, u32)> {
    let spans: Vec<Span<'_>> = facts.timeline.spans().collect();
    quantity(facts, &spans, hour).map(|(step, secs)| (step.terms.price, step.terms.metering, secs))
}

fn quantity<'a>(facts: Facts<'a>, spans: &[Span<'_>], hour: Hour) -> Option<(&'a PriceStep, u32)> {
    if !facts.switch.is_on(hour) {
        return None;
    }
    let step = facts.steps.iter().rev().find(|step| step.from <= hour)?;
    // Spans are by time: all that end before this hour come first.
    let first = spans.partition_point(|span| span.to.is_some_and(|to| to < hour.start()));
    let mut billed: Option<u32> = None;
    for span in spans.iter().skip(first).take_while(|span| span.from < hour.end()) {
        if step.terms.bills(span.state)
            && let Some(secs) = span.secs_in(hour)
        {
            billed = Some(billed.unwrap_or(0) + secs);
        }
    }
    match (step.terms.metering, billed) {
        (_, None) | (Metering::PerSecond, Some(0)) => None,
        (Metering::Hourly, Some(_)) => Some((step, u32::try_from(HOUR_SECS).unwrap_or(3_600))),
        (Metering::PerSecond, Some(secs)) => Some((step, secs)),
    }
}

/// The charge of a metered resource (cloudlet-hours, GB-hours, GB transferred) that moves the month's running quantity from
/// `before` to `after`, at `unit_price` per 1,000 of the quantity's steps: `R(r*Q_after) - R(r*Q_before)`. Splitting usage
/// into smaller records never changes the sum.
#[must_use]
pub fn metered_charge(unit_price: Price, before_milli: u64, after_milli: u64) -> Amount {
    let (mantissa, scale) = unit_price.parts();
    let total = |milli: u64| {
        let num = mantissa * i128::from(milli) * STEPS_PER_USD;
        round_half_even(num, 10_i128.pow(scale) * 1_000)
    };
    Amount::from_steps(i64::try_from(total(after_milli) - total(before_milli)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Id;
    use crate::plan::Terms;
    use crate::time::Timestamp;
    use crate::timeline::State;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn terms(price: &str) -> Terms {
        Terms {
            version: Id::new("v1").unwrap(),
            price: Price::parse(price).unwrap(),
            metering: Metering::Hourly,
            billable_states: None,
        }
    }

    fn run(timeline: &Timeline, steps: &[PriceStep], switch: &Switch, to: Hour) -> Vec<RatedLine> {
        let per = HoursPerMonth::default();
        let facts = Facts { timeline, steps, switch, per: &per };
        rate(facts, Counter::new(timeline.start().hour()), to, usize::MAX).0
    }

    fn always(terms: Terms) -> Vec<PriceStep> {
        vec![PriceStep { from: Hour::EPOCH, terms }]
    }

    #[test]
    fn the_worked_example() {
        let mut timeline = Timeline::new(time("2026-10-31T22:10:00Z"), State::running());
        timeline.set_end(time("2026-11-01T01:00:00Z")).unwrap();
        let lines = run(&timeline, &always(terms("5.00")), &Switch::always_on(), time("2026-11-02T00:00:00Z").hour());
        let seen: Vec<_> = lines.iter().map(|l| (l.from.to_string(), l.secs_after / 3600, l.amount.steps())).collect();
        assert_eq!(
            seen,
            [("2026-10-31T22:00:00Z".to_owned(), 2, 13_699), ("2026-11-01T00:00:00Z".to_owned(), 1, 6_849)]
        );
        assert_eq!(lines.iter().map(|l| l.amount).sum::<Amount>().steps(), 20_548);
    }

    #[test]
    fn a_zero_length_life_is_one_hour() {
        let mut timeline = Timeline::new(time("2026-11-01T10:00:00Z"), State::running());
        timeline.set_end(time("2026-11-01T10:00:00Z")).unwrap();
        let lines = run(&timeline, &always(terms("5.00")), &Switch::always_on(), time("2026-11-02T00:00:00Z").hour());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].to.since(lines[0].from), 1);
    }

    #[test]
    fn stopping_and_starting_within_an_hour_is_one_hour() {
        let mut terms = terms("5.00");
        terms.billable_states = Some(BTreeSet::from([State::running()]));
        let mut timeline = Timeline::new(time("2026-11-01T10:05:00Z"), State::running());
        for (at, state) in [("10:10", "stopped"), ("10:20", "running"), ("11:30", "stopped"), ("14:59", "running")] {
            timeline.set_state(time(&format!("2026-11-01T{at}:00Z")), State::new(state).unwrap()).unwrap();
        }
        let lines = run(&timeline, &always(terms), &Switch::always_on(), time("2026-11-01T16:00:00Z").hour());
        let seen: Vec<_> = lines.iter().map(|l| (l.from.of_day(), l.to.of_day(), l.secs_after / 3600)).collect();
        assert_eq!(seen, [(10, 12, 2), (14, 16, 4)]);
    }

    #[test]
    fn provisioning_and_error_are_free() {
        let mut timeline = Timeline::new(time("2026-11-01T10:05:00Z"), State::new("provisioning").unwrap());
        timeline.set_state(time("2026-11-01T12:00:00Z"), State::running()).unwrap();
        timeline.set_state(time("2026-11-01T13:00:00Z"), State::new("error").unwrap()).unwrap();
        let lines = run(&timeline, &always(terms("5.00")), &Switch::always_on(), time("2026-11-01T20:00:00Z").hour());
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].from.of_day(), lines[0].to.of_day()), (12, 13));
    }

    #[test]
    fn hours_switched_off_are_never_billed() {
        let timeline = Timeline::new(time("2026-11-01T00:00:00Z"), State::running());
        let start = timeline.start().hour();
        let mut switch = Switch::default();
        switch.set(start.plus(2), true);
        switch.set(start.plus(4), false);
        switch.set(start.plus(6), true);
        let lines = run(&timeline, &always(terms("5.00")), &switch, start.plus(8));
        let seen: Vec<_> = lines.iter().map(|l| (l.from.of_day(), l.to.of_day())).collect();
        assert_eq!(seen, [(2, 4), (6, 8)]);
        assert!(run(&timeline, &always(terms("5.00")), &Switch::default(), start.plus(8)).is_empty());
    }

    #[test]
    fn a_price_step_keeps_the_running_count() {
        let timeline = Timeline::new(time("2026-11-01T00:00:00Z"), State::running());
        let start = timeline.start().hour();
        let steps = [
            PriceStep { from: start, terms: terms("5.00") },
            PriceStep { from: start.plus(10), terms: terms("10.00") },
        ];
        let lines = run(&timeline, &steps, &Switch::always_on(), start.plus(20));
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1].amount, Price::parse("10").unwrap().charge(36_000, 72_000, 730));
    }

    #[test]
    fn per_second_counts_seconds_in_lines_of_an_hour() {
        let mut timeline = Timeline::new(time("2026-11-01T10:59:50Z"), State::running());
        timeline.set_end(time("2026-11-01T12:00:30Z")).unwrap();
        let terms = Terms { metering: Metering::PerSecond, ..terms("730.00") };
        let lines = run(&timeline, &always(terms), &Switch::always_on(), time("2026-11-01T20:00:00Z").hour());
        assert_eq!(lines.iter().map(|l| l.secs_after).collect::<Vec<_>>(), [10, 3610, 3640]);
        assert_eq!(lines.iter().map(|l| l.amount).sum::<Amount>().steps(), 1_011_111);
    }

    #[test]
    fn hours_per_month_change_with_the_next_month_and_the_cap_holds() {
        let timeline = Timeline::new(time("2026-10-01T00:00:00Z"), State::running());
        let switch = Switch::always_on();
        let mut per = HoursPerMonth::default();
        per.set_after(timeline.start().hour(), 100).unwrap();
        let steps = always(terms("5.00"));
        let facts = Facts { timeline: &timeline, steps: &steps, switch: &switch, per: &per };
        let (lines, _) = rate(facts, Counter::new(timeline.start().hour()), time("2026-12-01T00:00:00Z").hour(), 9);
        let seen: Vec<_> = lines.iter().map(|l| (l.per, l.secs_after / 3600, l.amount.steps())).collect();
        // October has 744 hours and costs 730 of them; November costs its first 100.
        assert_eq!(seen, [(730, 744, 5_000_000), (100, 720, 5_000_000)]);
    }

    #[test]
    fn a_split_of_usage_never_changes_the_sum() {
        let price = Price::parse("0.001234").unwrap();
        let whole = metered_charge(price, 0, 10_007);
        let split: Amount = (0..10_007).map(|q| metered_charge(price, q, q + 1)).sum();
        assert_eq!(whole, split);
    }

    proptest! {
        /// However the hours are cut into runs, the sum and the set of hours are the same, and no month exceeds its price.
        #[test]
        fn grouping_does_not_matter(
            changes in prop::collection::vec((0_i64..400_000, prop::sample::select(vec!["running", "stopped", "error"])), 0..8),
            end in prop::option::of(0_i64..400_000),
            cuts in prop::collection::vec(0_u32..140, 0..10),
            per_second in any::<bool>(),
            price in 0_i64..100_000_000,
            offset in 0_i64..3_000_000,
        ) {
            let start = Timestamp::from_secs(1_793_000_000 + offset).unwrap();
            let mut timeline = Timeline::new(start, State::running());
            for (after, state) in changes {
                timeline.set_state(start.plus_secs(after), State::new(state).unwrap()).unwrap();
            }
            if let Some(end) = end {
                timeline.set_end(start.plus_secs(end)).unwrap();
            }
            let mut terms = terms(&Amount::from_steps(price).display(crate::Unit::Usd).to_string());
            terms.billable_states = Some(BTreeSet::from([State::running()]));
            if per_second {
                terms.metering = Metering::PerSecond;
            }
            let (steps, switch, per) = (always(terms), Switch::always_on(), HoursPerMonth::default());
            let facts = Facts { timeline: &timeline, steps: &steps, switch: &switch, per: &per };
            let since = start.hour();
            let to = since.plus(140);
            let (whole, end_counter) = rate(facts, Counter::new(since), to, usize::MAX);
            let mut cuts: Vec<Hour> = cuts.into_iter().map(|c| since.plus(c)).collect();
            cuts.push(to);
            cuts.sort();
            let (mut counter, mut parts) = (Counter::new(since), Vec::new());
            for cut in cuts {
                loop {
                    let (lines, next) = rate(facts, counter, cut.max(counter.through), 1);
                    parts.extend(lines);
                    counter = next;
                    if counter.through >= cut { break; }
                }
            }
            prop_assert_eq!(counter, end_counter);
            let sum = |lines: &[RatedLine]| lines.iter().map(|l| l.amount).sum::<Amount>();
            prop_assert_eq!(sum(&whole), sum(&parts));
            let hours = |lines: &[RatedLine]| lines.iter().flat_map(|l| l.from.number()..l.to.number()).collect::<Vec<_>>();
            prop_assert_eq!(hours(&whole), hours(&parts));
            for month in whole.iter().map(|l| l.from.month()).collect::<BTreeSet<_>>() {
                let billed: Amount = whole.iter().filter(|l| l.from.month() == month).map(|l| l.amount).sum();
                prop_assert!(billed.steps() <= price);
            }
        }
    }
}
