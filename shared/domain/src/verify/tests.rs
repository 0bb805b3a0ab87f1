//! The proof: what it accepts, and that each rule catches what only it can see. A tampered chain is hashed and balanced anew
//! (`repaired`), so that no other rule helps.

mod random;

use super::{ChainCheck, Fault, HourCheck};
use crate::fixtures::{Chain, PER, SWITCH, Server, at, h, id, step, usd};
use crate::plan::Metering;
use crate::wallet::{Kind, Page, Recovered};
use crate::{Amount, Hour};

fn check(pages: &[Page]) -> Result<(), Fault> {
    let mut chain = ChainCheck::default();
    pages.iter().try_for_each(|page| chain.next(page.clone()).map(drop))
}

/// Links and hashes anew; nothing else.
fn rehashed(mut pages: Vec<Page>) -> Vec<Page> {
    let mut prev_hash = [0; 32];
    for page in &mut pages {
        *page = Page { prev_hash, ..page.clone() }.sealed();
        prev_hash = page.hash;
    }
    pages
}

/// Numbers, balances, links and hashes anew.
fn repaired(mut pages: Vec<Page>) -> Vec<Page> {
    let mut before = Amount::ZERO;
    for (page, seq) in pages.iter_mut().zip(1..) {
        (page.seq, page.before, page.after) = (seq, before, before + page.amount);
        before = page.after;
    }
    rehashed(pages)
}

/// Usage to 5, a payment, usage to 10, usage to 15; two servers.
fn pages() -> Vec<Page> {
    let mut chain = Chain::of("alice");
    let (one, two) = (Server::new("s1", 0), Server::new("s2", 2));
    chain.bill(&[one.job(5), two.job(5)], at(5, 60));
    chain.post(Kind::Payment, usd("10.00"), at(6, 0));
    chain.bill(&[one.job(10), two.job(10)], at(10, 60));
    chain.bill(&[one.job(15), two.job(15)], at(15, 60));
    chain.pages
}

fn tampered(change: impl FnOnce(&mut Vec<Page>)) -> Vec<Page> {
    let mut pages = pages();
    change(&mut pages);
    pages
}

#[track_caller]
fn caught(pages: &[Page], page: u64, what: &str) {
    let fault = check(pages).expect_err("the tampering is not caught");
    assert!(fault.what.contains(what), "caught by another rule: {fault}");
    assert_eq!(fault.place, format!("alice#usd#0 page {page}"));
}

/// Takes `steps` off a line, and off its page.
fn cheaper(page: &mut Page, line: usize, steps: i64) {
    page.lines[line].amount = page.lines[line].amount - Amount::from_steps(steps);
    page.amount = page.amount + Amount::from_steps(steps);
}

#[test]
fn an_honest_chain_passes() {
    assert_eq!(check(&pages()), Ok(()));
    assert_eq!(check(&repaired(pages())), Ok(()));
}

#[test]
fn a_changed_amount_is_caught_by_the_hash() {
    caught(&tampered(|pages| pages[1].amount = usd("11.00")), 2, "the hash does not match");
}

#[test]
fn a_page_hashed_anew_is_caught_by_the_next_one() {
    let pages = tampered(|pages| {
        pages[1].reason = Some("forged".to_owned());
        pages[1] = pages[1].clone().sealed();
    });
    caught(&pages, 3, "prev_hash");
}

#[test]
fn a_changed_amount_is_caught_by_the_sum() {
    let pages = rehashed(tampered(|pages| pages[1].amount = usd("11.00")));
    caught(&pages, 2, "do not add up");
    let pages = rehashed(tampered(|pages| {
        (pages[1].amount, pages[1].after) = (usd("11.00"), pages[1].before + usd("11.00"));
    }));
    caught(&pages, 3, "before is not the balance");
}

#[test]
fn pages_that_are_swapped_or_missing_are_caught() {
    caught(&tampered(|pages| pages.swap(1, 2)), 3, "page 2 is missing");
    caught(&tampered(|pages| drop(pages.remove(0))), 2, "page 1 is missing");
    caught(&tampered(|pages| drop(pages.remove(2))), 4, "page 3 is missing");
    caught(&tampered(|pages| pages.insert(2, pages[1].clone())), 2, "page 3 is missing");
    // With everything else set right, the meters still tell that usage is gone.
    let pages = repaired(tampered(|pages| drop(pages.remove(2))));
    caught(&pages, 3, "does not fit its hours");
    // And the order of usage.
    caught(&repaired(tampered(|pages| pages.swap(2, 3))), 3, "does not fit its hours");
}

#[test]
fn lines_that_do_not_sum_to_their_page_are_caught() {
    let pages = repaired(tampered(|pages| pages[2].amount = pages[2].amount + Amount::from_steps(1)));
    caught(&pages, 3, "do not sum");
}

#[test]
fn a_line_with_another_amount_price_or_divisor_is_caught() {
    caught(&repaired(tampered(|pages| cheaper(&mut pages[2], 0, 1))), 3, "the wrong amount");
    let pages = repaired(tampered(|pages| pages[2].lines[0].price = crate::plan::Price::parse("4.00").unwrap()));
    caught(&pages, 3, "the wrong amount");
    caught(&repaired(tampered(|pages| pages[2].lines[0].per = 720)), 3, "the wrong amount");
}

#[test]
fn an_hour_billed_again_is_caught() {
    // The fourth page bills what the third has billed.
    let pages = repaired(tampered(|pages| {
        let line = pages[2].lines[0].clone();
        pages[3].amount = pages[3].amount + pages[3].lines[0].amount - line.amount;
        pages[3].lines[0] = line;
    }));
    caught(&pages, 4, "billed again");
    // One page bills an hour twice.
    let pages = repaired(tampered(|pages| {
        let line = pages[2].lines[0].clone();
        pages[2].amount = pages[2].amount - line.amount;
        pages[2].lines.insert(0, line);
    }));
    caught(&pages, 3, "out of order or overlap");
}

#[test]
fn lines_out_of_order_are_caught() {
    caught(&repaired(tampered(|pages| pages[2].lines.swap(0, 1))), 3, "out of order");
}

#[test]
fn a_count_that_does_not_fit_the_hours_is_caught() {
    // Six hours that count as five.
    let pages = repaired(tampered(|pages| pages[2].lines[0].to = h(11)));
    caught(&pages, 3, "does not fit its hours");
    let pages = repaired(tampered(|pages| pages[2].lines[0].secs_after = 0));
    caught(&pages, 3, "the count goes back");
}

#[test]
fn a_line_across_a_month_is_caught() {
    let mut chain = Chain::of("alice");
    chain.bill_to(&Server::new("s1", 742), 746);
    let page = &mut chain.pages[0];
    let second = page.lines.remove(1);
    let price = second.price;
    (page.lines[0].to, page.lines[0].secs_after) = (second.to, 4 * 3_600);
    page.lines[0].amount = price.charge(0, 4 * 3_600, 730);
    page.amount = -page.lines[0].amount;
    caught(&repaired(chain.pages), 1, "crosses a month");
}

#[test]
fn a_meter_that_does_not_equal_its_lines_is_caught() {
    let pages = repaired(tampered(|pages| pages[2].meters[0].counter.secs += 3_600));
    caught(&pages, 3, "does not equal its lines");
    let pages = repaired(tampered(|pages| pages[2].meters[0].counter.through = h(9)));
    caught(&pages, 3, "lies before its lines");
}

#[test]
fn a_lost_meter_is_caught() {
    let pages = repaired(tampered(|pages| {
        let line = pages[3].lines.remove(0);
        pages[3].amount = pages[3].amount + line.amount;
        pages[3].meters.remove(0);
    }));
    caught(&pages, 4, "server s1 lost its meter");
    caught(&repaired(tampered(|pages| drop(pages[3].meters.remove(0)))), 4, "a line and no meter");
}

#[test]
fn an_ended_meter_may_go_after_twelve_hours_and_not_before() {
    let mut chain = Chain::of("alice");
    let (gone, live) = (Server::new("gone", 0).ends(at(2, 0)), Server::new("live", 0));
    chain.bill(&[gone.job(3), live.job(3)], at(3, 0));
    chain.bill_to(&live, 14);
    chain.bill_to(&live, 15);
    assert_eq!(check(&chain.pages), Ok(()));
    assert_eq!(chain.meter_names(), ["live"]);
    chain.pages[1].meters.remove(0);
    caught(&repaired(chain.pages), 2, "server gone lost its meter");
}

#[test]
fn a_page_that_is_not_usage_may_not_touch_lines_or_meters() {
    let line = pages()[0].lines[0].clone();
    caught(&repaired(tampered(|pages| pages[1].lines.push(line))), 2, "only usage pages have lines");
    let changes: [fn(&mut Page); 4] = [
        |page| page.meters[0].counter.through = h(9),
        |page| page.meters[0].counter.secs += 1,
        |page| page.meters[0].ended_at = Some(h(5)),
        |page| drop(page.meters.remove(0)),
    ];
    for change in changes {
        caught(&repaired(tampered(|pages| change(&mut pages[1]))), 2, "not usage, and changes meters");
    }
    // An adjustment may raise the count, and nothing else.
    let adjusting = |change: fn(&mut Page)| {
        let change = |pages: &mut Vec<Page>| {
            pages.truncate(2);
            pages[1].kind = Kind::Adjustment;
            change(&mut pages[1]);
        };
        repaired(tampered(change))
    };
    assert_eq!(check(&adjusting(|page| page.meters[0].counter.secs += 3_600)), Ok(()));
    caught(&adjusting(|page| page.meters[0].counter.secs -= 3_600), 2, "changes meters");
    caught(&adjusting(|page| page.meters[0].counter.through = h(6)), 2, "changes meters");
}

#[test]
fn only_a_per_second_line_may_count_part_of_an_hour_and_only_of_one() {
    let one_line = |metering, hours: u32, secs_after| {
        let mut chain = Chain::of("alice");
        chain.bill_to(&Server::new("s1", 0), hours);
        let page = &mut chain.pages[0];
        let line = &mut page.lines[0];
        (line.metering, line.secs_after) = (metering, secs_after);
        line.amount = line.price.charge(0, secs_after, 730);
        (page.amount, page.meters[0].counter.secs) = (-line.amount, secs_after);
        repaired(chain.pages)
    };
    assert_eq!(check(&one_line(Metering::PerSecond, 1, 1_800)), Ok(()));
    for pages in [
        one_line(Metering::Hourly, 1, 1_800),
        one_line(Metering::PerSecond, 1, 3_601),
        one_line(Metering::PerSecond, 2, 1_800),
    ] {
        caught(&pages, 1, "does not fit its hours");
    }
}

#[test]
fn an_hour_billed_again_after_its_meter_was_dropped_is_caught() {
    let mut chain = Chain::of("alice");
    let (gone, live) = (Server::new("gone", 0).ends(at(2, 0)), Server::new("live", 0));
    chain.bill(&[gone.job(3), live.job(3)], at(3, 0));
    chain.bill_to(&live, 15);
    // A biller that did not read the chain back.
    let unread = Recovered::from([((gone.tenure.server.clone(), h(0)), None)]);
    chain.fold(&[gone.job(16)], &unread, at(16, 0));
    caught(&chain.pages, 3, "billed again");
}

fn hours_of(chains: &[&Chain]) -> HourCheck {
    let mut hours = HourCheck::default();
    chains.iter().flat_map(|chain| &chain.pages).for_each(|page| hours.read(page));
    hours
}

fn check_tenure(hours: &HourCheck, server: &Server, until: Hour, through: u32) -> Result<(), String> {
    let checked = hours.check_tenure(&server.tenure_facts(), &SWITCH, &PER, until, h(through));
    checked.map_err(|fault| fault.to_string())
}

#[test]
fn an_hour_that_stands_in_two_wallets_is_doubled() {
    let (mut alice, mut bob) = (Chain::of("alice"), Chain::of("bob"));
    alice.bill(&[Server::new("s1", 0).job(5), Server::new("s2", 0).job(5)], at(5, 0));
    bob.bill_to(&Server::new("s1", 5).of("bob"), 8);
    assert_eq!(hours_of(&[&alice, &bob]).doubled(), []);
    bob.bill_to(&Server::new("s2", 4).of("bob"), 9);
    for order in [[&alice, &bob], [&bob, &alice]] {
        let faults = hours_of(&order).doubled();
        let want = Fault { place: "server s2".to_owned(), what: format!("hour {} is billed twice", h(4)) };
        assert_eq!(faults, [want]);
    }
}

#[test]
fn the_registry_and_the_ledger_agree_to_the_hour_and_to_the_last_step() {
    let (mut chain, server) = (Chain::of("alice"), Server::new("s1", 0));
    [3, 7, 10].into_iter().for_each(|through| drop(chain.bill_to(&server, through)));
    let hours = hours_of(&[&chain]);
    assert_eq!((hours.server_hours, hours.amount), (10, chain.spent()));
    let against = |server: &Server, through| check_tenure(&hours, server, Hour::FAR_FUTURE, through);
    assert_eq!(against(&server, 10), Ok(()));
    let missing = format!("server s1: hour {} was billable but is not billed", h(10));
    assert_eq!(against(&server, 11), Err(missing));
    let extra = format!("server s1: hour {} is billed but was not billable", h(8));
    assert_eq!(against(&server.clone().ends(at(8, 0)), 10), Err(extra));
    let dearer = server.priced(vec![step(0, "5.01", Metering::Hourly)]);
    assert!(against(&dearer, 10).is_err_and(|fault| fault.contains("it was charged 68493 steps instead of")));
    let never = Server::new("s2", 0);
    assert_eq!(against(&never, 1), Err(format!("server s2: hour {} was billable but is not billed", h(0))));
}

#[test]
fn an_adjusted_ledger_agrees_with_the_registry() {
    for server in [Server::new("s1", 0), Server::per_second("s1", 0)] {
        let mut chain = Chain::of("alice");
        chain.bill_to(&server, 10);
        let truth = server.clone().ends(at(6, 900)).turns(at(2, 1_800), "error").turns(at(4, 0), "running");
        assert!(check_tenure(&hours_of(&[&chain]), &truth, Hour::FAR_FUTURE, 10).is_err());
        chain.recheck(&truth, 10);
        assert_eq!(check_tenure(&hours_of(&[&chain]), &truth, Hour::FAR_FUTURE, 10), Ok(()));
        assert!(check_tenure(&hours_of(&[&chain]), &server, Hour::FAR_FUTURE, 10).is_err());
        chain.recheck(&server, 10);
        assert_eq!(check_tenure(&hours_of(&[&chain]), &server, Hour::FAR_FUTURE, 10), Ok(()));
        assert_eq!(check(&chain.pages), Ok(()));
    }
}

#[test]
fn both_tenures_of_a_transferred_server_agree() {
    let (mut alice, mut bob) = (Chain::of("alice"), Chain::of("bob"));
    let (old, new) = (Server::new("s1", 0).ends(at(5, 0)), Server::new("s1", 5).of("bob"));
    for through in [3, 6, 9] {
        alice.bill_to(&old, through);
        bob.bill_to(&new, through);
    }
    for order in [[&alice, &bob], [&bob, &alice]] {
        let hours = hours_of(&order);
        assert_eq!(check_tenure(&hours, &old, h(5), 9), Ok(()));
        assert_eq!(check_tenure(&hours, &new, Hour::FAR_FUTURE, 9), Ok(()));
        // The money of each is looked at, not only its hours.
        let dearer = |server: &Server| {
            let steps = vec![step(server.tenure.since.since(h(0)), "6.00", Metering::Hourly)];
            server.clone().priced(steps)
        };
        assert!(check_tenure(&hours, &dearer(&old), h(5), 9).is_err());
        assert!(check_tenure(&hours, &dearer(&new), Hour::FAR_FUTURE, 9).is_err());
    }
    assert_eq!(alice.head().unwrap().meter(&id("s1"), h(0)).unwrap().counter.through, h(5));
}

#[test]
fn hours_paid_by_a_wallet_without_such_a_tenure_are_unowned() {
    let (mut alice, mut bob) = (Chain::of("alice"), Chain::of("bob"));
    let (old, new) = (Server::new("s1", 0).ends(at(5, 0)), Server::new("s1", 5).of("bob"));
    alice.bill_to(&old, 6);
    bob.bill_to(&new, 8);
    let mut hours = hours_of(&[&alice, &bob]);
    hours.own(&old.tenure, h(5));
    let what = format!("hour {} is billed to bob#usd#0 which has no such tenure", h(5));
    assert_eq!(hours.unowned(), [Fault { place: "server s1".to_owned(), what }]);
    hours.own(&new.tenure, Hour::FAR_FUTURE);
    assert_eq!(hours.unowned(), []);
}
