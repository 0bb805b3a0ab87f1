//! Later facts about closed hours. Each recheck reads the chain from its beginning, as the biller does.

use crate::fixtures::{Chain, Server, at, cost, h, id, step, usd};
use crate::plan::{Metering, Price};
use crate::wallet::{Adjustment, Kind, adjust_key, adjust_reference, parse_adjust_reference};
use crate::{Amount, Hour};

fn adjustment(from: u32, to: u32, secs: u32, amount: Amount) -> Adjustment {
    Adjustment { from: h(from), to: h(to), secs, amount }
}

#[test]
fn a_late_deletion_is_one_credit_of_exactly_what_those_hours_cost() {
    let (mut chain, server) = (Chain::of("alice"), Server::new("s1", 0));
    for through in [3, 6, 10] {
        chain.bill_to(&server, through);
    }
    let server = server.ends(at(4, 1));
    assert_eq!(chain.recheck(&server, 10), [adjustment(5, 10, 0, cost(5, 10))]);
    assert_eq!(chain.balance(), -cost(0, 5));
    let page = chain.head().unwrap();
    assert_eq!((page.kind, page.lines.len()), (Kind::Adjustment, 0));
    assert_eq!(page.reference, Some(adjust_reference(&id("s1"), h(5), h(10), 0)));
    assert_eq!(page.meters, chain.pages.get(2).unwrap().meters);
    assert_eq!(chain.recheck(&server, 10), []);
}

#[test]
fn a_deletion_that_was_corrected_back_is_charged_again_and_may_be_told_again() {
    let (mut chain, server) = (Chain::of("alice"), Server::new("s1", 0));
    chain.bill_to(&server, 10);
    let deleted = server.clone().ends(at(5, 0));
    for _ in 0..3 {
        assert_eq!(chain.recheck(&deleted, 10), [adjustment(5, 10, 0, cost(5, 10))]);
        assert_eq!(chain.recheck(&deleted, 10), []);
        assert_eq!(chain.recheck(&server, 10), [adjustment(5, 10, 3_600, -cost(5, 10))]);
        assert_eq!(chain.recheck(&server, 10), []);
        assert_eq!(chain.balance(), -cost(0, 10));
    }
    // The hours kept their numbers: the next one is the eleventh.
    chain.bill_to(&server, 11);
    assert_eq!(chain.balance(), -cost(0, 11));
}

#[test]
fn a_late_start_is_charged_with_the_months_next_numbers() {
    let mut chain = Chain::of("alice");
    let known = Server::new("s1", 0).begins(at(0, 0), "provisioning").turns(at(4, 0), "running");
    chain.bill_to(&known, 10);
    assert_eq!(chain.balance(), -cost(0, 6));
    let truth = Server::new("s1", 0).begins(at(0, 0), "provisioning").turns(at(2, 0), "running");
    assert_eq!(chain.recheck(&truth, 10), [adjustment(2, 4, 3_600, -cost(6, 8))]);
    let meter = chain.head().unwrap().meters.first().unwrap().clone();
    assert_eq!((meter.counter.through, meter.counter.secs), (h(10), 8 * 3_600));
    assert_eq!(chain.recheck(&truth, 10), []);
    // The next usage goes on after them.
    chain.bill_to(&truth, 12);
    assert_eq!((chain.head().unwrap().amount, chain.balance()), (-cost(8, 10), -cost(0, 10)));
}

#[test]
fn a_late_start_that_turns_out_wrong_is_credited_whatever_the_registry_says_by_then() {
    let mut chain = Chain::of("alice");
    let known = Server::new("s1", 0).begins(at(0, 0), "provisioning").turns(at(4, 0), "running");
    chain.bill_to(&known, 10);
    let believed = Server::new("s1", 0).begins(at(0, 0), "provisioning").turns(at(2, 0), "running");
    chain.recheck(&believed, 10);
    assert_eq!(chain.recheck(&known, 10), [adjustment(2, 4, 0, cost(6, 8))]);
    assert_eq!(chain.recheck(&known, 10), []);
    assert_eq!(chain.balance(), -cost(0, 6));
}

#[test]
fn a_month_never_costs_more_than_its_price_however_late_its_hours_come() {
    let mut chain = Chain::of("alice");
    let known = Server::new("s1", 0).begins(at(0, 0), "error").turns(at(20, 0), "running");
    chain.bill_to(&known, 744);
    assert_eq!(chain.balance(), -cost(0, 724));
    let truth = Server::new("s1", 0);
    // Twenty hours come late: six numbers are left to pay, and the rest costs nothing but is on the chain.
    assert_eq!(chain.recheck(&truth, 744), [adjustment(0, 20, 3_600, -cost(724, 730))]);
    assert_eq!(chain.balance(), usd("-5.00"));
    assert_eq!(chain.recheck(&truth, 744), []);
}

#[test]
fn hours_past_the_cap_are_credited_with_nothing_and_stay_found() {
    let (mut chain, server) = (Chain::of("alice"), Server::new("s1", 0));
    chain.bill_to(&server, 744);
    let server = server.ends(at(740, 0));
    assert_eq!(chain.recheck(&server, 744), [adjustment(740, 744, 0, Amount::ZERO)]);
    assert_eq!(chain.recheck(&server, 744), []);
    assert_eq!(chain.balance(), usd("-5.00"));
}

#[test]
fn hours_in_different_directions_are_different_adjustments() {
    let mut chain = Chain::of("alice");
    let known = Server::new("s1", 0).turns(at(4, 0), "error").turns(at(6, 0), "running");
    chain.bill_to(&known, 12);
    let truth = Server::new("s1", 0).ends(at(10, 0)).turns(at(1, 0), "error").turns(at(3, 0), "running");
    let want =
        [adjustment(1, 3, 0, cost(1, 3)), adjustment(4, 6, 3_600, -cost(10, 12)), adjustment(10, 12, 0, cost(8, 10))];
    assert_eq!(chain.recheck(&truth, 12), want);
    assert_eq!(chain.recheck(&truth, 12), []);
}

#[test]
fn adjacent_hours_in_different_directions_do_not_join() {
    let mut chain = Chain::of("alice");
    let known = Server::new("s1", 0).turns(at(2, 0), "error").turns(at(4, 0), "running");
    chain.bill_to(&known, 6);
    let truth = Server::new("s1", 0).begins(at(0, 0), "error").turns(at(2, 0), "running");
    let want = [adjustment(0, 2, 0, cost(0, 2)), adjustment(2, 4, 3_600, -cost(4, 6))];
    assert_eq!(chain.recheck(&truth, 6), want);
}

#[test]
fn hours_that_come_to_the_same_seconds_from_different_sides_do_not_join() {
    let mut chain = Chain::of("alice");
    let spans = |one, two| {
        let server = Server::per_second("s1", 0).turns(at(0, one), "error").turns(at(1, 0), "running");
        server.turns(at(1, two), "error")
    };
    chain.bill_to(&spans(600, 1_800), 2);
    let want = [adjustment(0, 1, 1_200, -seconds(2_400, 3_000)), adjustment(1, 2, 1_200, seconds(1_800, 2_400))];
    assert_eq!(chain.recheck(&spans(1_200, 1_200), 2), want);
}

fn seconds(before: u32, after: u32) -> Amount {
    Price::parse("5.00").unwrap().charge(before, after, 730)
}

#[test]
fn the_seconds_of_an_hour_are_corrected_once() {
    let (mut chain, server) = (Chain::of("alice"), Server::per_second("s1", 0));
    chain.bill_to(&server, 4);
    let deleted = server.clone().ends(at(2, 600));
    let want = [adjustment(2, 3, 600, seconds(7_800, 10_800)), adjustment(3, 4, 0, seconds(10_800, 14_400))];
    assert_eq!(chain.recheck(&deleted, 4), want);
    assert_eq!(chain.recheck(&deleted, 4), []);
    assert_eq!(chain.balance(), -seconds(0, 7_800));
    // An even earlier end gives back what is paid by now, not what was billed first.
    let sooner = server.clone().ends(at(1, 1_800));
    let want = [adjustment(1, 2, 1_800, seconds(5_400, 7_200)), adjustment(2, 3, 0, seconds(7_200, 7_800))];
    assert_eq!(chain.recheck(&sooner, 4), want);
    assert_eq!(chain.balance(), -seconds(0, 5_400));
    // And back: all of it is charged again, with the same numbers.
    chain.recheck(&server, 4);
    assert_eq!((chain.balance(), chain.recheck(&server, 4)), (-seconds(0, 14_400), vec![]));
}

#[test]
fn seconds_charged_late_take_the_months_next_numbers() {
    let mut chain = Chain::of("alice");
    let known = Server::per_second("s1", 0).begins(at(0, 0), "error").turns(at(0, 1_800), "running");
    chain.bill_to(&known, 734);
    assert_eq!(chain.balance(), usd("-5.00"), "733.5 hours are past the cap");
    let truth = Server::per_second("s1", 0);
    assert_eq!(chain.recheck(&truth, 734), [adjustment(0, 1, 3_600, Amount::ZERO)]);
    assert_eq!(chain.head().unwrap().meters.first().unwrap().counter.secs, 734 * 3_600);
    assert_eq!(chain.recheck(&truth, 734), []);
    // Below the cap they cost what the next seconds cost.
    let mut chain = Chain::of("alice");
    chain.bill_to(&known, 3);
    assert_eq!(chain.recheck(&truth, 3), [adjustment(0, 1, 3_600, -seconds(9_000, 10_800))]);
    assert_eq!(chain.balance(), -seconds(0, 10_800));
    // Its hour has two runs of numbers now: a credit gives back both.
    let none = Server::per_second("s1", 0).begins(at(0, 0), "error").turns(at(1, 0), "running");
    let paid = seconds(0, 1_800) + seconds(9_000, 10_800);
    assert_eq!(chain.recheck(&none, 3), [adjustment(0, 1, 0, paid)]);
}

#[test]
fn an_ended_server_that_lived_longer_is_charged_by_adjustment() {
    let mut chain = Chain::of("alice");
    let ended = Server::new("s1", 0).ends(at(3, 0));
    chain.bill_to(&ended, 5);
    let longer = Server::new("s1", 0).ends(at(6, 0));
    chain.bill_to(&longer, 8);
    assert_eq!(chain.recheck(&longer, 8), [adjustment(3, 6, 3_600, -cost(3, 6))]);
    assert_eq!(chain.recheck(&ended, 8), [adjustment(3, 6, 0, cost(3, 6))]);
    assert_eq!(chain.balance(), -cost(0, 3));
}

#[test]
fn an_hour_is_adjusted_at_the_price_of_its_own_time() {
    let mut chain = Chain::of("alice");
    let steps = || vec![step(0, "5.00", Metering::Hourly), step(5, "50.00", Metering::Hourly)];
    let known = Server::new("s1", 0).priced(steps()).turns(at(2, 0), "error").turns(at(3, 0), "running");
    chain.bill_to(&known, 8);
    let truth = Server::new("s1", 0).priced(steps());
    assert_eq!(chain.recheck(&truth, 8), [adjustment(2, 3, 3_600, -cost(7, 8))]);
}

#[test]
fn the_adjustments_of_a_neighbour_are_not_read() {
    let mut chain = Chain::of("alice");
    let (one, two) = (Server::new("s1", 0), Server::new("s2", 0));
    chain.bill(&[one.job(6), two.job(6)], at(6, 0));
    chain.recheck(&one.ends(at(3, 0)), 6);
    assert_eq!(chain.recheck(&two, 6), []);
}

#[test]
fn a_reference_reads_back_and_nothing_else_does() {
    let (server, from, to) = (id("s-1_A"), h(5), h(9));
    let text = adjust_reference(&server, from, to, 1_800);
    assert!(text.starts_with(&adjust_key(&server, from, to)));
    assert_eq!(text, format!("adjust:s-1_A:{}:{}:1800", from.number(), to.number()));
    assert_eq!(parse_adjust_reference(&text), Some((server, from, to, 1_800)));
    let beyond = u64::from(Hour::FAR_FUTURE.number()) + 2;
    for bad in [
        "adjust:s:1:2",
        "adjust:s:1:2:0:0",
        "adjust:s:2:2:0",
        "adjust:s:1:2:3601",
        "adjust:a b:1:2:0",
        "reverse:s:1:2:0",
    ] {
        assert_eq!(parse_adjust_reference(bad), None, "{bad}");
    }
    assert_eq!(parse_adjust_reference(&format!("adjust:s:1:{beyond}:0")), None);
}
