//! Folding: jobs that are refused, pages that are full, and pages that are not usage.

use crate::fixtures::{Chain, Server, at, cost, h, id, step, usd, wallet};
use crate::job::Refusal;
use crate::plan::Metering;
use crate::rating::{Counter, rate};
use crate::wallet::{Entry, Kind, MAX_PAGE_BYTES, Outcome, Recovered, append};
use crate::{Amount, Id, money::MoneyError};

const BILLED: Outcome = Outcome::Done { ended: false };

#[test]
fn a_job_whose_spans_begin_after_what_is_billed_is_refused() {
    let (mut chain, server) = (Chain::of("alice"), Server::new("s1", 0));
    chain.bill_to(&server, 5);
    let pruned = |known_from| Server { known_from: h(known_from), ..server.clone() };
    let refusal = Refusal::BelowKnown { known_from: h(6), through: h(5) };
    assert_eq!(chain.bill_to(&pruned(6), 9), [Outcome::Refused(refusal)]);
    assert_eq!(chain.pages.len(), 1);
    assert_eq!(chain.bill_to(&pruned(5), 9), [BILLED]);
    assert_eq!(chain.hours("s1").len(), 9);
}

#[test]
fn an_hour_without_a_price_is_refused_and_never_free() {
    let server = Server::new("s1", 0);
    for steps in [Vec::new(), vec![step(1, "5.00", Metering::Hourly)]] {
        let mut chain = Chain::of("alice");
        let outcomes = chain.bill_to(&server.clone().priced(steps), 3);
        assert_eq!(outcomes, [Outcome::Refused(Refusal::NoPrice(h(0)))]);
        assert!(chain.pages.is_empty());
    }
}

#[test]
fn a_bad_neighbour_does_not_stop_the_others() {
    let mut chain = Chain::of("alice");
    let bad = Server::new("bad", 0).priced(Vec::new());
    let jobs = [Server::new("a", 0).job(4), bad.job(4), Server::new("z", 0).job(4)];
    let outcomes = chain.bill(&jobs, at(4, 300));
    assert_eq!(outcomes, [BILLED, Outcome::Refused(Refusal::NoPrice(h(0))), BILLED]);
    assert_eq!((chain.pages.len(), chain.meter_names()), (1, vec!["a", "z"]));
    assert_eq!(chain.balance(), -(cost(0, 4) + cost(0, 4)));
}

#[test]
fn lines_and_meters_stand_in_order_whatever_the_order_of_the_jobs() {
    let mut chain = Chain::of("alice");
    let jobs = ["c", "a", "b"].map(|name| Server::new(name, 740).job(748));
    chain.bill(&jobs, at(748, 0));
    let page = chain.head().unwrap();
    let lines: Vec<_> = page.lines.iter().map(|line| (line.server.as_str(), line.from.since(h(0)))).collect();
    assert_eq!(lines, [("a", 740), ("a", 744), ("b", 740), ("b", 744), ("c", 740), ("c", 744)]);
    assert_eq!(chain.meter_names(), ["a", "b", "c"]);
}

/// Every line of a per-second server is one hour: 12,000 of them are more than a page holds.
#[test]
fn a_full_page_is_gone_on_with_in_the_next_and_nothing_is_lost_or_doubled() {
    const HOURS: u32 = 12_000;
    let mut chain = Chain::of("alice");
    let (long, short) = (Server::per_second("long", 0), Server::per_second("short", HOURS - 5));
    let jobs = [long.job(HOURS), short.job(HOURS)];
    let unbilled = Recovered::from([((id("long"), h(0)), None)]);
    assert_eq!(chain.fold(&jobs, &unbilled, at(HOURS, 0)), [Outcome::NotReached, Outcome::NotReached]);
    let first = chain.head().unwrap();
    let bytes: usize = first.lines.iter().map(|_| 24).sum::<usize>() + 1_000 + 24 + "long".len();
    assert!(bytes <= MAX_PAGE_BYTES && bytes > MAX_PAGE_BYTES - 100, "{bytes}");
    assert_eq!(chain.bill(&jobs, at(HOURS, 0)), [BILLED, BILLED]);
    assert_eq!(chain.pages.len(), 2);
    assert_eq!(chain.hours("long"), (0..HOURS).collect::<Vec<_>>());
    assert_eq!(chain.hours("short").len(), 5);
    let whole = |server: &Server| {
        let lines = rate(server.facts(), Counter::new(server.tenure.since), h(HOURS), usize::MAX).0;
        lines.iter().map(|line| line.amount).sum::<Amount>()
    };
    assert_eq!(chain.spent(), whole(&long) + whole(&short));
    assert_eq!(chain.bill(&jobs, at(HOURS, 60)), [BILLED, BILLED]);
    assert_eq!(chain.pages.len(), 2);
}

#[test]
fn the_meters_of_a_lane_count_towards_its_page() {
    let mut chain = Chain::of("alice");
    let name = |n: u32| format!("{n:0>64}");
    let jobs: Vec<_> = (0..500).map(|n| Server::new(&name(n), 0).job(2)).collect();
    chain.bill(&jobs, at(2, 0));
    let long = Server::per_second("long", 0);
    let unbilled = Recovered::from([((id("long"), h(0)), None)]);
    chain.fold(&[long.job(12_000)], &unbilled, at(12_000, 0));
    let page = chain.head().unwrap();
    let bytes = page.lines.len() * 24 + page.meters.iter().map(|m| m.server.as_str().len() + 24).sum::<usize>() + 1_000;
    assert_eq!(page.meters.len(), 501);
    assert!(bytes <= MAX_PAGE_BYTES, "{bytes}");
}

#[test]
fn a_page_that_is_not_usage_copies_the_meters_and_links_to_the_page_before() {
    let mut chain = Chain::of("alice");
    chain.bill_to(&Server::new("s1", 0), 5);
    let usage = chain.head().unwrap().clone();
    let entry = Entry {
        kind: Kind::Payment,
        amount: usd("10.00"),
        actor: Some("stripe".into()),
        reason: None,
        reference: Some("pi_1".into()),
    };
    let page = append(&usage.wallet, Some(&usage), entry, at(5, 900)).unwrap();
    assert_eq!((page.seq, page.before, page.after), (2, -cost(0, 5), usd("10.00") - cost(0, 5)));
    assert!(page.lines.is_empty());
    assert_eq!(page.meters, usage.meters);
    assert!(!page.meters.is_empty());
    assert_eq!(page.prev_hash, usage.hash);
    assert_eq!(page.hash, page.clone().sealed().hash);
    assert_ne!(page.hash, [0; 32]);
    // Usage goes on from it as if it was not there.
    chain.pages.push(page);
    chain.bill_to(&Server::new("s1", 0), 7);
    assert_eq!(chain.head().unwrap().amount, -cost(5, 7));
    assert_eq!(chain.head().unwrap().prev_hash, chain.pages.get(1).unwrap().hash);
}

#[test]
fn the_first_page_follows_on_zeros_and_the_ledger_has_a_range() {
    let entry = |steps| Entry {
        kind: Kind::Admin,
        amount: Amount::from_steps(steps),
        actor: None,
        reason: None,
        reference: None,
    };
    let first = append(&wallet("alice"), None, entry(i64::MAX), at(0, 0)).unwrap();
    assert_eq!((first.seq, first.prev_hash, first.before), (1, [0; 32], Amount::ZERO));
    assert_eq!(append(&wallet("alice"), Some(&first), entry(1), at(0, 0)), Err(MoneyError::Overflow));
}

#[test]
fn a_meter_is_found_by_server_and_tenure() {
    let mut chain = Chain::of("alice");
    let jobs = [Server::new("s1", 0).ends(at(5, 0)).job(8), Server::new("s1", 5).job(8), Server::new("s2", 5).job(8)];
    chain.bill(&jobs, at(8, 0));
    let page = chain.head().unwrap();
    let through = |server: &Id, since| page.meter(server, since).map(|m| m.counter.through.since(h(0)));
    assert_eq!(through(&id("s1"), h(0)), Some(5));
    assert_eq!(through(&id("s1"), h(5)), Some(8));
    assert_eq!((through(&id("s1"), h(1)), through(&id("s3"), h(5))), (None, None));
}
