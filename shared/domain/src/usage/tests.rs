//! What is read off the meter, against the ledger's own lines.

use super::*;
use crate::fixtures::{Chain, PER, SWITCH, Server, at, h, id, state, step, usd};
use crate::settings::Switch;
use proptest::prelude::*;

fn known<'a>(server: &'a Server, chain: &'a Chain) -> Known<'a> {
    Known {
        facts: server.facts(),
        since: server.tenure.since,
        known_from: server.known_from,
        meter: chain.head().and_then(|page| page.meter(&server.tenure.server, server.tenure.since)),
        rechecking: false,
    }
}

fn ledger_cost(chain: &Chain, server: &Server, month: Month) -> Amount {
    let (name, since) = (&server.tenure.server, server.tenure.since);
    let mut costs = MonthCosts::new(month, [(name.clone(), since)]);
    chain.pages.iter().for_each(|page| costs.read(page));
    costs.cost(name, since)
}

#[test]
fn a_months_cost_its_rest_and_its_forecast_come_to_the_price() {
    let mut chain = Chain::of("alice");
    let server = Server::new("srv", 0);
    chain.bill_to(&server, 50);
    let live = live(known(&server, &chain), at(52, 7));
    assert_eq!((live.through, live.secs, live.cost), (h(50), 50 * 3_600, Some(chain.spent())));
    assert_eq!(live.pending, crate::fixtures::cost(50, 52));
    // 744 hours, capped at 730.
    assert_eq!(live.cost.unwrap() + live.rest, usd("5.00"));
    assert!(live.burns && !live.ended && live.state == Some(State::running()));
    assert_eq!(live.step.unwrap().terms.price, Price::parse("5.00").unwrap());
}

#[test]
fn a_new_month_begins_at_nothing_also_while_the_last_one_is_not_billed() {
    let mut chain = Chain::of("alice");
    let server = Server::new("srv", 700);
    chain.bill_to(&server, 743);
    let live = live(known(&server, &chain), at(746, 0));
    assert_eq!((live.secs, live.cost), (0, Some(Amount::ZERO)));
    assert_eq!(live.pending, crate::fixtures::cost(0, 2));
    assert_eq!(live.rest, crate::fixtures::cost(0, 720));
}

#[test]
fn what_was_corrected_or_repriced_is_left_to_the_ledger() {
    let mut chain = Chain::of("alice");
    let server = Server::new("srv", 0);
    chain.bill_to(&server, 6);
    let corrected = server.clone().turns(at(2, 0), "error").turns(at(3, 0), "running");
    chain.recheck(&corrected, 6);
    let found = live(known(&corrected, &chain), at(6, 400));
    assert_eq!((found.cost, found.rated), (None, crate::fixtures::cost(0, 5)));
    assert_eq!(ledger_cost(&chain, &corrected, h(0).month()), -chain.balance());
    let repriced = Server::new("other", 0).priced(vec![
        step(0, "5.00", Metering::Hourly),
        step(3, "9.00", Metering::Hourly),
        step(9, "5.00", Metering::Hourly),
    ]);
    let mut chain = Chain::of("alice");
    chain.bill_to(&repriced, 3);
    assert!(live(known(&repriced, &chain), at(3, 400)).cost.is_some());
    chain.bill_to(&repriced, 4);
    let found = live(known(&repriced, &chain), at(4, 400));
    assert_eq!((found.cost, found.rated), (None, chain.spent()));
    let server = Server::new("srv", 0);
    let mut chain = Chain::of("alice");
    chain.bill_to(&server, 4);
    assert!(live(known(&server, &chain), at(4, 400)).cost.is_some());
    let pending = Known { rechecking: true, ..known(&server, &chain) };
    assert_eq!(live(pending, at(4, 400)).cost, None, "a fact may still have to be posted");
}

#[test]
fn an_end_that_was_moved_into_another_month_is_left_to_the_ledger() {
    let mut chain = Chain::of("alice");
    let server = Server::new("srv", 740);
    chain.bill_to(&server.clone().ends(at(743, 0)), 744);
    let moved = server.ends(at(750, 0));
    chain.recheck(&moved, 752);
    let found = live(known(&moved, &chain), at(752, 0));
    assert_eq!((found.cost, found.rest, found.ended), (None, Amount::ZERO, true));
    assert_eq!(ledger_cost(&chain, &moved, h(744).month()), crate::fixtures::cost(0, 6));
}

#[test]
fn a_state_that_begins_with_the_next_hour_bills_nothing_of_this_one() {
    let server = Server::new("srv", 0).begins(at(0, 0), "error").turns(at(1, 0), "running");
    let counter = Counter::new(h(0));
    assert_eq!(accrue(server.facts(), counter, h(0).month(), h(3)), (crate::fixtures::cost(0, 2), 7_200));
    let server = Server::new("srv", 0).begins(at(0, 0), "error").turns(at(0, 3_599), "running");
    assert_eq!(accrue(server.facts(), counter, h(0).month(), h(3)), (crate::fixtures::cost(0, 3), 10_800));
}

#[test]
fn who_has_ended_or_is_not_billed_burns_nothing() {
    let chain = Chain::of("alice");
    let server = Server::new("srv", 5);
    let burns = |server: &Server, n: u32| live(known(server, &chain), at(n, 10)).burns;
    assert!(!burns(&server, 4) && burns(&server, 5));
    assert!(!burns(&server.clone().turns(at(6, 0), "error"), 7));
    assert!(!burns(&server.clone().ends(at(6, 0)), 6));
    let off = Switch::default();
    let known = Known { facts: Facts { switch: &off, ..server.facts() }, ..known(&server, &chain) };
    assert!(!live(known, at(7, 0)).burns);
    assert_eq!(live(known, at(7, 0)).rest, Amount::ZERO);
}

#[test]
fn the_runway_is_exact_and_nothing_burns_for_ever() {
    let mut burn = Burn::default();
    assert_eq!((burn.runway_hours(usd("5"), 730), burn.runway_hours(usd("-5"), 730)), (None, None));
    burn.add(Price::parse("7.30").unwrap());
    assert_eq!(burn.per_hour(730), usd("0.01"));
    for (balance, hours) in
        [("0.01", 1), ("0.009999", 0), ("0.029999", 2), ("0", 0), ("-3", 0), ("1000000000", 100_000_000_000)]
    {
        assert_eq!(burn.runway_hours(usd(balance), 730), Some(hours), "{balance}");
    }
    burn.add(Price::parse("0.000001").unwrap().discounted("33.33").unwrap());
    assert_eq!(burn.runway_hours(usd("0.01"), 730), Some(0));
}

proptest! {
    /// Whatever happens to a server, what is read off its meter is what the ledger says, or is left to the ledger; and what is
    /// forecast is what billing the rest of the month gives.
    #[test]
    fn the_meter_tells_what_the_ledger_tells(
        since in 700_u32..745,
        facts in prop::collection::vec((0_u32..70, 0_i64..3_600, 0_usize..3), 0..5),
        reprice in prop::option::of(0_u32..70),
        late in any::<bool>(),
        per_second in any::<bool>(),
        now in 0_u32..80,
        lag in 0_u32..3,
        off in prop::option::of(0_u32..80),
    ) {
        let metering = if per_second { Metering::PerSecond } else { Metering::Hourly };
        let mut steps = vec![step(since, "5.00", metering)];
        steps.extend(reprice.map(|hour| step(since + 1 + hour, "9.00", Metering::Hourly)));
        let mut server = Server::new("srv", since).begins(at(since, 1_200), "running").priced(steps);
        let mut chain = Chain::of("alice");
        let now = since + 1 + now;
        if late {
            chain.bill_to(&server, now - lag);
        }
        for (hour, secs, what) in facts {
            let when = at(since + hour, secs);
            match what {
                0 => drop(server.timeline.set_state(when, state("error"))),
                1 => drop(server.timeline.set_state(when, state("running"))),
                _ => drop(server.timeline.set_end(when)),
            }
        }
        chain.bill_to(&server, now - lag);
        chain.recheck(&server, now - lag);
        let month = at(now, 0).hour().month();
        let found = live(known(&server, &chain), at(now, 0));
        let by_ledger = ledger_cost(&chain, &server, month);
        if let Some(cost) = found.cost {
            prop_assert_eq!(cost, by_ledger);
        }
        let is_over = chain.head().and_then(|page| page.meter(&id("srv"), h(since))).is_some_and(|meter| meter.ended_at.is_some());
        let mut switch = SWITCH.clone();
        if let Some(off) = off {
            switch.set(h(now + off), false);
        }
        // Billed to the month's end from here, with the switch as it will be.
        let facts = Facts { switch: &switch, ..server.facts() };
        let forecast = live(Known { facts, ..known(&server, &chain) }, at(now, 0));
        let meter = known(&server, &chain).meter.map_or(Counter::new(h(since)), |meter| meter.counter);
        let (lines, _) = rate(Facts { per: &PER, ..facts }, meter, month.end(), usize::MAX);
        let rest: Amount = lines.iter().filter(|line| line.from.month() == month).map(|line| line.amount).sum();
        prop_assert_eq!(forecast.rest, if is_over { Amount::ZERO } else { rest });
    }

    /// The short cut finds what rating hour by hour finds.
    #[test]
    fn nothing_changes_is_a_short_cut_only(
        begin in 0_i64..8_000,
        turn in prop::option::of((0_i64..20_000, 0_usize..3)),
        before in 0_u32..2_700_000,
        from in 0_u32..12,
        hours in 1_u32..40,
        per_second in any::<bool>(),
    ) {
        let metering = if per_second { Metering::PerSecond } else { Metering::Hourly };
        let mut server = Server::new("srv", 0).priced(vec![step(0, "5.00", metering)]).begins(at(0, begin), "running");
        if let Some((secs, to)) = turn {
            drop(server.timeline.set_state(at(0, secs), state(["error", "running", "stopped"][to])));
        }
        let counter = Counter { through: h(from), secs: if from == 0 { 0 } else { before } };
        let (lines, end) = rate(server.facts(), counter, h(from + hours), usize::MAX);
        let slow = (lines.iter().map(|line| line.amount).sum::<Amount>(), end.secs);
        prop_assert_eq!(accrue(server.facts(), counter, h(0).month(), h(from + hours)), slow);
    }
}
