//! Explanations against chains that grow as the biller grows them.

use super::*;
use crate::fixtures::{Chain, Server, at, h, id, state, step, usd, wallet};
use crate::plan::{DiscountStep, PlanVersion};
use crate::statement::LaneStatement;
use crate::wallet::{Entry, append};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn october() -> Month {
    h(0).month()
}

fn explained(chain: &Chain, server: &str, month: Month) -> Explanation {
    let mut found = Explanation::new(id(server), month);
    found.begin(None);
    chain.pages.iter().for_each(|page| found.read(page));
    for (_, seq) in found.reversed_pages() {
        let page = &chain.pages[usize::try_from(seq).unwrap() - 1];
        found.reversed(page);
    }
    found
}

fn total(found: &Explanation) -> Total {
    found.totals().get(&Unit::Usd).copied().unwrap_or_default()
}

#[test]
fn a_line_tells_its_numbers_its_formula_and_each_hour() {
    let mut chain = Chain::of("alice");
    let server = Server::new("srv", 0);
    chain.bill_to(&server, 2);
    chain.bill_to(&server, 5);
    let found = explained(&chain, "srv", october());
    let line = &found.lines[1];
    assert_eq!((line.secs_before, line.line.secs_after, line.place.mark.seq), (Some(7_200), 18_000, 2));
    assert_eq!(line.formula(Unit::Usd), "R(5.00*min(5,730)/730) - R(5.00*min(2,730)/730)");
    assert_eq!(line.formula(Unit::Token), "R(500.00*min(5,730)/730) - R(500.00*min(2,730)/730)");
    let hours = line.hours();
    assert_eq!(hours.iter().map(|hour| hour.hour).collect::<Vec<_>>(), [h(2), h(3), h(4)]);
    assert_eq!(hours.iter().map(|hour| hour.amount).sum::<Amount>(), line.line.amount);
    assert!(!line.cap_reached());
    assert_eq!(total(&found).cost(), chain.spent());
}

#[test]
fn the_cap_is_named_where_it_is_reached() {
    let mut chain = Chain::of("alice");
    let server = Server::new("srv", 0);
    for through in [729, 730, 744] {
        chain.bill_to(&server, through);
    }
    let found = explained(&chain, "srv", october());
    assert_eq!(found.lines.iter().map(ExplainedLine::cap_reached).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(found.lines[2].line.amount, Amount::ZERO);
    assert_eq!(total(&found).cost(), usd("5.00"));
    assert!(explained(&chain, "srv", october().next()).lines.is_empty());
    assert!(explained(&chain, "other", october()).lines.is_empty());
}

#[test]
fn seconds_are_counted_from_page_to_page_and_over_a_cut() {
    let mut chain = Chain::of("alice");
    let server = Server::per_second("srv", 0).begins(at(0, 1_000), "running").ends(at(3, 500));
    chain.bill_to(&server, 1);
    chain.bill_to(&server, 9);
    let found = explained(&chain, "srv", october());
    let counted: Vec<_> = found.lines.iter().map(|line| (line.secs_before, line.line.secs_after)).collect();
    let expected = [(0, 2_600), (2_600, 6_200), (6_200, 9_800), (9_800, 10_300)];
    assert_eq!(counted, expected.map(|(before, after)| (Some(before), after)));
    assert_eq!(
        found.lines[3].formula(Unit::Usd),
        "R(5.00*min(10300,2628000)/2628000) - R(5.00*min(9800,2628000)/2628000)"
    );
    // Read from the second page on, the first one tells what was counted.
    let mut rest = Explanation::new(id("srv"), october());
    rest.begin(chain.pages.first());
    rest.read(&chain.pages[1]);
    assert_eq!(rest.lines, found.lines[1..]);
}

#[test]
fn seconds_count_anew_in_a_new_month() {
    let mut chain = Chain::of("alice");
    let server = Server::per_second("srv", 742);
    chain.bill_to(&server, 743);
    chain.bill_to(&server, 745);
    let found = explained(&chain, "srv", october().next());
    assert_eq!((found.lines[0].secs_before, found.lines[0].line.secs_after), (Some(0), 3_600));
}

#[test]
fn a_credit_and_what_takes_it_back_name_the_pages_they_correct() {
    let mut chain = Chain::of("alice");
    let server = Server::new("srv", 0);
    chain.bill_to(&server, 6);
    chain.recheck(&server.clone().ends(at(2, 0)), 6);
    chain.recheck(&server.ends(at(4, 0)), 6);
    let found = explained(&chain, "srv", october());
    let seen: Vec<_> =
        found.corrections.iter().map(|c| (c.place.mark.seq, c.from, c.to, c.secs, c.corrects.clone())).collect();
    assert_eq!(seen, [(2, h(2), h(6), Some(0), vec![1]), (3, h(2), h(4), Some(3_600), vec![1, 2])]);
    assert_eq!(total(&found).cost(), -chain.balance());
}

#[test]
fn late_facts_over_a_months_end_stand_in_the_month_of_their_hours() {
    let mut chain = Chain::of("alice");
    let server = Server::new("srv", 740);
    chain.bill_to(&server, 750);
    chain.recheck(&server.ends(at(742, 0)), 750);
    let adjusted: Vec<_> = chain.pages.iter().filter(|page| page.kind == Kind::Adjustment).collect();
    assert_eq!(adjusted.len(), 2, "one for each month");
    let (early, late) = (explained(&chain, "srv", october()), explained(&chain, "srv", october().next()));
    assert_eq!(total(&late).cost(), Amount::ZERO);
    assert_eq!(total(&early).cost(), -chain.balance());
}

#[test]
fn a_reversal_undoes_what_the_page_said_of_the_server() {
    let mut chain = Chain::of("alice");
    let (one, two) = (Server::new("one", 0), Server::new("two", 0));
    chain.bill(&[one.job(3), two.job(3)], at(3, 5));
    let undone = &chain.pages[0];
    let reverse = |amount: Amount, reference: &str| Entry {
        kind: Kind::Reversal,
        amount,
        actor: None,
        reason: None,
        reference: Some(reference.to_owned()),
    };
    let entries = [
        reverse(-undone.amount, "reverse:alice#usd#0:1"),
        reverse(usd("1"), "reverse:alice#usd#0:1"),
        reverse(usd("1"), "reverse:bob#usd#0:1"),
        reverse(usd("1"), "pi_1"),
    ];
    for entry in entries {
        let page = append(&wallet("alice"), chain.head(), entry, at(4, 0)).unwrap();
        chain.pages.push(page);
    }
    let found = explained(&chain, "one", october());
    assert_eq!(found.corrections.len(), 1);
    assert_eq!((found.corrections[0].from, found.corrections[0].to), (h(0), h(3)));
    assert_eq!(total(&found).cost(), Amount::ZERO);
}

#[test]
fn a_price_is_named_only_where_it_is_the_one_on_the_line() {
    let plan = |versions: &[(u32, &str)]| Plan {
        id: id("small"),
        versions: versions
            .iter()
            .map(|(from, price)| PlanVersion { from: h(*from), terms: step(*from, price, Metering::Hourly).terms })
            .collect(),
    };
    let plan = plan(&[(0, "10.00")]);
    let price = |text: &str| Price::parse(text).unwrap();
    let own = [RateStep { from: h(5), price: Some(price("7")) }, RateStep { from: h(8), price: None }];
    let mut customer = CustomerRates::default();
    customer.plans.insert(id("small"), vec![RateStep { from: h(2), price: Some(price("9")) }]);
    customer.discounts.push(DiscountStep { from: h(6), percent: "50".to_owned() });
    let found = |hour: u32, at: &str| origin(&plan, &own, Some(&customer), h(hour), price(at));
    for (hour, charged, source, list) in [
        (0, "10", Source::Plan, "10"),
        (3, "9", Source::Customer, "9"),
        (5, "7", Source::Server, "7"),
        (7, "3.5", Source::Server, "7"),
        (8, "4.5", Source::Customer, "9"),
    ] {
        let origin = found(hour, charged).unwrap();
        assert_eq!((origin.source, origin.list, origin.discount.is_some()), (source, price(list), hour >= 6), "{hour}");
        assert_eq!(origin.version, id("v1"));
    }
    assert_eq!(found(0, "9"), None, "the price was another one then");
}

proptest! {
    /// Whatever happens to three servers over a month's end, the months' explanations together say what the ledger says, hour
    /// by hour, wherever the reading is cut.
    #[test]
    fn the_months_of_all_servers_add_up_to_the_ledger(
        mut facts in prop::collection::vec((0_usize..3, 0_u32..60, 0_i64..3_600, 0_usize..3), 0..12),
        cut in 0_usize..40,
        per_second in any::<bool>(),
        prices in prop::collection::vec(0_i64..90_000_000, 2),
    ) {
        let price = |n: usize| Amount::from_steps(prices[n]).display(Unit::Usd).to_string();
        let metering = if per_second { Metering::PerSecond } else { Metering::Hourly };
        let begin = 715;
        let mut servers = ["a", "b", "c"].map(|name| {
            Server::new(name, begin).priced(vec![step(begin, &price(0), metering), step(begin + 20, &price(1), Metering::Hourly)])
        });
        let mut chain = Chain::of("alice");
        facts.sort_by_key(|(_, hour, ..)| *hour);
        for (index, hour, secs, what) in facts {
            // A fact about one hour, told at another: early or late.
            let now = begin + 10 + hour;
            let jobs: Vec<_> = servers.iter().map(|server| server.job(now)).collect();
            chain.bill(&jobs, at(now, 300));
            let (server, when) = (&mut servers[index], at(begin + (hour * 7) % 60, secs));
            match what {
                0 => drop(server.timeline.set_state(when, state("error"))),
                1 => drop(server.timeline.set_state(when, state("running"))),
                _ => drop(server.timeline.set_end(when)),
            }
            for server in &servers {
                chain.recheck(server, now);
            }
        }
        let mut statement = LaneStatement::default();
        chain.pages.iter().for_each(|page| statement.read(page).unwrap());
        for name in ["a", "b", "c"] {
            let months = [october(), october().next()].map(|month| explained(&chain, name, month));
            let cost: Amount = months.iter().map(|month| total(month).cost()).sum();
            let sum = statement.servers.get(&id(name)).copied().unwrap_or_default();
            prop_assert_eq!(cost, sum.usage - sum.adjustments, "{}", name);
            let mut seen = BTreeSet::new();
            for line in months.iter().flat_map(|month| &month.lines) {
                prop_assert_eq!(line.line.price.charge(line.secs_before.unwrap(), line.line.secs_after, line.line.per), line.line.amount);
                prop_assert_eq!(line.hours().iter().map(|hour| hour.amount).sum::<Amount>(), line.line.amount);
                prop_assert!(line.hours().iter().all(|hour| seen.insert(hour.hour)));
            }
            let cut = cut.min(chain.pages.len());
            let (early, late) = chain.pages.split_at(cut);
            let mut parts = [early, late].map(|pages| (Explanation::new(id(name), october()), pages));
            parts[0].0.begin(None);
            parts[1].0.begin(early.last());
            for (part, pages) in &mut parts {
                pages.iter().for_each(|page| part.read(page));
            }
            let amounts: Amount = parts.iter().map(|(part, _)| total(part).cost()).sum();
            prop_assert_eq!(amounts, total(&months[0]).cost());
        }
    }
}
