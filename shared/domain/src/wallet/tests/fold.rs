//! Folding: what is billed, once, whatever happens to the jobs; and when meters go.

use crate::fixtures::{Chain, Server, at, cost, h, step, terms};
use crate::plan::{Metering, PriceStep};
use crate::timeline::State;
use crate::wallet::{Kind, Outcome, Recovered};
use crate::{Amount, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeSet;

const BILLED: Outcome = Outcome::Done { ended: false };
const ENDED: Outcome = Outcome::Done { ended: true };

#[test]
fn a_job_bills_every_hour_up_to_its_own() {
    let (mut chain, server) = (Chain::of("alice"), Server::new("s1", 0));
    assert_eq!(chain.bill_to(&server, 5), [BILLED]);
    let page = chain.head().unwrap();
    assert_eq!((page.seq, page.kind, page.lines.len()), (1, Kind::Usage, 1));
    assert_eq!((page.before, page.amount, page.after), (Amount::ZERO, -cost(0, 5), -cost(0, 5)));
    let meter = page.meter(&server.tenure.server, h(0)).unwrap();
    assert_eq!((meter.counter.through, meter.counter.secs, meter.ended_at), (h(5), 5 * 3_600, None));
}

#[test]
fn a_duplicate_a_late_and_a_reordered_job_write_no_page() {
    let (mut chain, server) = (Chain::of("alice"), Server::new("s1", 0));
    chain.bill_to(&server, 8);
    for through in [8, 5, 7, 1, 8] {
        let outcomes = chain.bill(&[server.job(through)], at(8, 400));
        assert_eq!((outcomes, chain.pages.len()), (vec![BILLED], 1), "job {through}");
    }
}

#[test]
fn a_lost_job_is_healed_by_the_next_hours() {
    let server = Server::new("s1", 0);
    let (mut hourly, mut missed) = (Chain::of("alice"), Chain::of("alice"));
    (1..=9).for_each(|through| drop(hourly.bill_to(&server, through)));
    [1, 2, 9].into_iter().for_each(|through| drop(missed.bill_to(&server, through)));
    assert_eq!((hourly.pages.len(), missed.pages.len()), (9, 3));
    assert_eq!(missed.hours("s1"), hourly.hours("s1"));
    assert_eq!((missed.spent(), missed.balance()), (hourly.spent(), -cost(0, 9)));
}

#[test]
fn two_jobs_of_one_server_in_one_fold_bill_each_hour_once() {
    let server = Server::new("s1", 0);
    for order in [[5, 7], [7, 5], [7, 7]] {
        let mut chain = Chain::of("alice");
        let jobs = order.map(|through| server.job(through));
        assert_eq!(chain.bill(&jobs, at(7, 300)), [BILLED, BILLED]);
        assert_eq!((chain.pages.len(), chain.hours("s1").len()), (1, 7));
        assert_eq!(chain.balance(), -cost(0, 7));
    }
}

#[test]
fn an_ended_server_pays_its_last_started_hour_and_then_nothing_more() {
    let (mut chain, server) = (Chain::of("alice"), Server::new("s1", 0));
    let ended = server.clone().ends(at(3, 600));
    assert_eq!(chain.bill_to(&ended, 3), [BILLED], "the hour of its end is still to come");
    assert_eq!(chain.head().unwrap().meters.first().unwrap().ended_at, None);
    assert_eq!(chain.bill_to(&ended, 6), [ENDED]);
    assert_eq!(chain.head().unwrap().meters.first().unwrap().ended_at, Some(h(6)));
    assert_eq!(chain.hours("s1"), [0, 1, 2, 3]);
    // A job with older facts, in which the server still lives.
    assert_eq!(chain.bill_to(&server, 8), [BILLED], "it bills nothing, and closes nothing");
    assert_eq!((chain.pages.len(), chain.hours("s1").len()), (2, 4));
}

#[test]
fn an_end_told_after_the_last_hour_was_billed_is_put_on_the_chain_without_lines() {
    let (mut chain, server) = (Chain::of("alice"), Server::new("s1", 0));
    chain.bill_to(&server, 4);
    assert_eq!(chain.bill_to(&server.clone().ends(at(3, 600)), 5), [ENDED]);
    let head = chain.head().unwrap();
    assert_eq!((head.seq, head.lines.len(), head.amount), (2, 0, Amount::ZERO));
    assert_eq!(head.meters.first().unwrap().ended_at, Some(h(5)));
}

#[test]
fn a_server_that_ended_unbilled_writes_nothing_and_can_be_closed() {
    let mut chain = Chain::of("alice");
    let mut server = Server::new("s1", 0).ends(at(2, 0));
    server.steps = vec![PriceStep { from: h(0), terms: none_billable() }];
    assert_eq!(chain.bill_to(&server, 3), [ENDED]);
    assert!(chain.pages.is_empty());
}

fn none_billable() -> crate::plan::Terms {
    crate::plan::Terms { billable_states: Some(BTreeSet::new()), ..terms("5.00", Metering::Hourly) }
}

/// `gone` ended and was billed in hour 3; `halted` stopped then, under a plan that bills running servers only.
fn chain_with_an_ended_server() -> (Chain, Server, Server) {
    let mut chain = Chain::of("alice");
    let gone = Server::new("gone", 0).ends(at(2, 600));
    let mut halted = Server::new("halted", 0).turns(at(2, 600), "stopped");
    for step in &mut halted.steps {
        step.terms.billable_states = Some(BTreeSet::from([State::running()]));
    }
    let live = Server::new("live", 0);
    chain.bill(&[gone.job(3), halted.job(3), live.job(3)], at(3, 300));
    (chain, gone, live)
}

#[test]
fn an_ended_meter_is_kept_for_twelve_hours_and_then_dropped() {
    let (mut chain, _, live) = chain_with_an_ended_server();
    chain.bill_to(&live, 14);
    assert_eq!(chain.meter_names(), ["gone", "halted", "live"]);
    chain.bill_to(&live, 15);
    assert_eq!(chain.meter_names(), ["halted", "live"], "a stopped server keeps its meter");
    let mut later = 15;
    for _ in 0..5 {
        later += 500;
        chain.bill_to(&live, later);
        assert_eq!(chain.meter_names(), ["halted", "live"]);
    }
}

#[test]
fn a_job_of_a_server_whose_meter_was_dropped_bills_no_hour_again() {
    let (mut chain, gone, live) = chain_with_an_ended_server();
    chain.bill_to(&live, 15);
    assert_eq!(chain.fold(&[gone.job(3)], &Recovered::new(), at(15, 400)), [Outcome::NeedsHistory]);
    let pages = chain.pages.len();
    assert_eq!(chain.bill(&[gone.job(3), gone.clone().lives_on().job(15)], at(15, 400)), [ENDED, BILLED]);
    assert_eq!((chain.pages.len(), chain.hours("gone")), (pages, vec![0, 1, 2]));
}

#[test]
fn a_missing_meter_is_asked_for_only_where_the_tenure_is_older_than_eleven_hours() {
    let server = Server::new("s1", 0);
    let young = |now: Timestamp| Chain::of("alice").fold(&[server.job(11)], &Recovered::new(), now);
    assert_eq!(young(at(11, 3_599)), [BILLED]);
    assert_eq!(young(at(12, 0)), [Outcome::NeedsHistory]);
    // A server that could bill nothing costs no reads.
    let mut idle = server;
    idle.steps = vec![PriceStep { from: h(0), terms: none_billable() }];
    assert_eq!(Chain::of("alice").fold(&[idle.job(50)], &Recovered::new(), at(50, 0)), [BILLED]);
}

#[test]
fn a_recovered_meter_is_gone_on_with() {
    let server = Server::new("s1", 0);
    let mut chain = Chain::of("alice");
    chain.bill_to(&server, 10);
    let key = (server.tenure.server.clone(), h(0));
    let meter = chain.head().unwrap().meter(&key.0, key.1).cloned();
    assert!(meter.is_some());
    // As if a later release dropped live meters: the newest page has none.
    chain.pages.last_mut().unwrap().meters.clear();
    assert_eq!(chain.fold(&[server.job(20)], &Recovered::from([(key.clone(), meter)]), at(20, 60)), [BILLED]);
    assert_eq!((chain.hours("s1").len(), chain.balance()), (20, -cost(0, 20)));
    // And where the chain has none, the tenure was never billed: it starts at its beginning.
    let mut fresh = Chain::of("alice");
    assert_eq!(fresh.fold(&[server.job(20)], &Recovered::from([(key, None)]), at(20, 60)), [BILLED]);
    assert_eq!(fresh.hours("s1").len(), 20);
}

#[test]
fn a_tenure_of_another_hour_is_another_meter() {
    let mut chain = Chain::of("alice");
    let first = Server::new("s1", 0).ends(at(5, 0));
    let second = Server::new("s1", 5);
    let jobs = [second.job(8), first.job(8)];
    assert_eq!(chain.bill(&jobs, at(8, 300)), [BILLED, ENDED]);
    assert_eq!(chain.hours("s1").len(), 8);
    // The count starts again with the tenure.
    assert_eq!(chain.balance(), -(cost(0, 5) + cost(0, 3)));
    assert_eq!(chain.head().unwrap().meters.iter().map(|m| m.since).collect::<Vec<_>>(), [h(0), h(5)]);
}

#[test]
fn a_transfer_bills_each_hour_to_one_owner() {
    let (mut alice, mut bob) = (Chain::of("alice"), Chain::of("bob"));
    let old = Server::new("s1", 0).ends(at(5, 0));
    let new = Server::new("s1", 5).of("bob");
    for through in 1..=9 {
        alice.bill_to(&old, through);
        bob.bill_to(&new, through);
    }
    assert_eq!((alice.hours("s1"), bob.hours("s1")), ((0..5).collect(), (5..9).collect()));
}

#[test]
fn a_plan_may_change_from_seconds_to_hours_and_back() {
    let mut chain = Chain::of("alice");
    let server = Server::new("s1", 0).begins(at(0, 1_800), "running").ends(at(7, 90)).priced(vec![
        step(0, "5.00", Metering::PerSecond),
        step(3, "5.00", Metering::Hourly),
        step(6, "5.00", Metering::PerSecond),
    ]);

    for through in [2, 5, 9] {
        chain.bill_to(&server, through);
    }
    let seen: Vec<_> = chain.lines().map(|l| (l.from.since(h(0)), l.hours(), l.secs_after, l.metering)).collect();
    let (seconds, hours) = (Metering::PerSecond, Metering::Hourly);
    let want = [
        (0, 1, 1_800, seconds),
        (1, 1, 5_400, seconds),
        (2, 1, 9_000, seconds),
        (3, 2, 16_200, hours),
        (5, 1, 19_800, hours),
        (6, 1, 23_400, seconds),
        (7, 1, 23_490, seconds),
    ];
    assert_eq!(seen, want);
    assert_eq!(chain.spent(), terms("5.00", seconds).price.charge(0, 23_490, 730));
}

proptest! {
    /// Whatever is lost, doubled, late or reordered: once the last job has come, each hour is billed once and the sum is
    /// what one job alone would have billed.
    #[test]
    fn the_bill_does_not_depend_on_what_happens_to_the_jobs(
        batches in prop::collection::vec(prop::collection::vec(1_u32..60, 1..4), 0..12),
        per_second in any::<bool>(),
        start_secs in 0_i64..3_600,
        end in prop::option::of(0_i64..200_000),
        since in 690_u32..744,
    ) {
        let mut server = if per_second { Server::per_second("s1", since) } else { Server::new("s1", since) };
        server = server.begins(at(since, start_secs), "running");
        if let Some(end) = end {
            server = server.ends(at(since, start_secs + end));
        }
        let (mut chain, mut alone) = (Chain::of("alice"), Chain::of("alice"));
        alone.bill_to(&server, since + 60);
        let mut latest = since;
        for batch in batches {
            let jobs: Vec<_> = batch.iter().map(|through| server.job(since + through)).collect();
            latest = batch.iter().fold(latest, |latest, through| latest.max(since + through));
            chain.bill(&jobs, at(latest, 300));
        }
        chain.bill_to(&server, since + 60);
        prop_assert_eq!(chain.hours("s1"), alone.hours("s1"));
        prop_assert_eq!(chain.balance(), alone.balance());
        let pages = chain.pages.len();
        chain.bill_to(&server, since + 60);
        prop_assert_eq!(chain.pages.len(), pages);
    }
}
