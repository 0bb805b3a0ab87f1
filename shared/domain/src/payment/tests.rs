use super::*;
use crate::wallet::Kind;
use proptest::prelude::*;
use std::collections::BTreeMap;

const CREATED: i64 = 1_800_000_000;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(CREATED + secs).unwrap()
}

fn cents(cents: i64) -> Amount {
    from_cents(cents).unwrap()
}

fn payment(processor: Processor, purpose: Purpose) -> Payment {
    let new = NewPayment {
        id: Id::new("pay_1").unwrap(),
        customer: Id::new("usr_1").unwrap(),
        processor,
        purpose,
        amount: cents(2_000),
        save_method: false,
        method: None,
    };
    Payment::new(new, at(0))
}

fn facts(state: State) -> Facts {
    let claims = Claims { payment: Some("pay_1".into()), customer: Some("usr_1".into()) };
    let captures = match state {
        State::Captured => vec![Capture { object: "pi_1".into(), money: Reported::Usd(cents(2_000)) }],
        _ => Vec::new(),
    };
    Facts {
        object: "pi_1".into(),
        claims,
        state,
        captures,
        refunds: Vec::new(),
        disputes: Vec::new(),
        disputes_unread: false,
        failure: None,
    }
}

fn refund(object: &str, amount: i64, state: RefundState) -> RefundFact {
    RefundFact { object: object.into(), money: Reported::Usd(cents(amount)), state, claim: None }
}

fn dispute(object: &str, amount: i64, state: DisputeState) -> DisputeFact {
    DisputeFact { object: object.into(), money: Reported::Usd(cents(amount)), state, as_refund: false, lost: None }
}

fn keys(absorbed: &Absorbed) -> Vec<(&str, i64)> {
    absorbed.postings.iter().map(|p| (p.key.as_str(), p.entry.amount.steps() / STEPS_PER_CENT)).collect()
}

#[test]
fn what_may_be_bought_is_one_to_a_thousand_dollars_in_cents() {
    for (text, want) in [("1", 100), ("1.0", 100), ("20.05", 2_005), ("1000.00", 100_000)] {
        assert_eq!(parse_purchase(text), Ok(cents(want)), "{text}");
    }
    for text in ["0.99", "1000.01", "0", "-5", "1e3", "NaN", "", " 5", "5.", "1.001", "5.000", "9999999999999999999999"]
    {
        assert!(parse_purchase(text).is_err(), "{text}");
    }
    assert_eq!(parse_purchase("5.001"), Err(PurchaseError::TooPrecise));
    assert_eq!(parse_purchase("0.50"), Err(PurchaseError::OutOfRange));
}

#[test]
fn an_id_is_found_again_and_no_other_gets_it() {
    let (ann, bob) = (Id::new("usr_ann").unwrap(), Id::new("usr_bob").unwrap());
    assert_eq!(repeatable_id("pay", &ann, "k"), repeatable_id("pay", &ann, "k"));
    let others = [repeatable_id("pay", &bob, "k"), repeatable_id("pay", &ann, "l"), repeatable_id("rfd", &ann, "k")];
    assert!(others.iter().all(|id| *id != repeatable_id("pay", &ann, "k")), "{others:?}");
    assert_eq!(repeatable_id("pay", &ann, "k").as_str().len(), 36);
}

#[test]
fn a_capture_is_one_page_and_known_afterwards() {
    let absorbed = payment(Processor::Stripe, Purpose::Credits).absorb(&facts(State::Captured), at(5)).unwrap();
    assert_eq!(keys(&absorbed), [("stripe:pi_1:captured", 2_000)]);
    let entry = &absorbed.postings[0].entry;
    assert_eq!((entry.kind, entry.reference.as_deref()), (Kind::Payment, Some("stripe:pi_1:captured")));
    assert_eq!((absorbed.payment.status, absorbed.payment.open), (Status::Succeeded, false));
    let again = absorbed.payment.absorb(&facts(State::Captured), at(6)).unwrap();
    assert_eq!((again.postings.len(), &again.payment), (0, &absorbed.payment), "nothing is new, so nothing is written");
}

#[test]
fn what_is_not_this_payments_money_is_never_credited() {
    let payment = payment(Processor::Stripe, Purpose::Credits);
    let change = |edit: &dyn Fn(&mut Facts)| {
        let mut facts = facts(State::Captured);
        edit(&mut facts);
        payment.absorb(&facts, at(5)).map(|absorbed| absorbed.postings.len())
    };
    assert!(change(&|f| f.claims.payment = Some("pay_2".into())).is_err());
    assert!(change(&|f| f.claims.payment = None).is_err());
    assert!(change(&|f| f.claims.customer = Some("usr_2".into())).is_err());
    assert!(change(&|f| f.claims.customer = None).is_err());
    assert!(change(&|f| f.captures[0].money = Reported::Foreign("2000 eur".into())).is_err());
    assert!(change(&|f| f.captures[0].money = Reported::Usd(cents(0))).is_err());
    assert!(change(&|f| f.captures[0].money = Reported::Usd(cents(-5))).is_err());
    assert!(change(&|f| f.captures.clear()).is_err());
    assert_eq!(change(&|_| ()), Ok(1));
    let bound = Payment { object: Some("pi_2".into()), ..payment.clone() };
    assert!(bound.absorb(&facts(State::Captured), at(5)).is_err());
}

#[test]
fn another_amount_is_credited_as_captured_and_noted() {
    let mut facts = facts(State::Captured);
    facts.captures[0].money = Reported::Usd(cents(1_900));
    let absorbed = payment(Processor::Stripe, Purpose::Credits).absorb(&facts, at(5)).unwrap();
    assert_eq!(keys(&absorbed), [("stripe:pi_1:captured", 1_900)]);
    assert!(absorbed.payment.note.is_some());
}

#[test]
fn a_refund_in_another_currency_is_parked_and_the_rest_goes_on() {
    let mut facts = facts(State::Captured);
    facts.refunds = vec![refund("re_1", 500, RefundState::Succeeded), refund("re_2", 1, RefundState::Succeeded)];
    facts.refunds[1].money = Reported::Foreign("1 eur".into());
    let absorbed = payment(Processor::Stripe, Purpose::Credits).absorb(&facts, at(5)).unwrap();
    assert_eq!(keys(&absorbed), [("stripe:pi_1:captured", 2_000), ("stripe:re_1:refunded", -500)]);
    assert_eq!(absorbed.parked[0].object, "re_2");
    assert_eq!(absorbed.payment.status, Status::PartiallyRefunded);
}

#[test]
fn more_taken_than_captured_is_posted_and_shown_to_an_operator() {
    let mut facts = facts(State::Captured);
    facts.refunds = vec![refund("re_1", 2_000, RefundState::Succeeded)];
    facts.disputes = vec![dispute("dp_1", 2_000, DisputeState::Lost)];
    let absorbed = payment(Processor::Stripe, Purpose::Credits).absorb(&facts, at(5)).unwrap();
    assert_eq!((absorbed.postings.len(), absorbed.parked.len()), (3, 1));
    let reason = "refunds and disputes took more than was captured: 20.000000 and 20.000000 of 20.000000 USD";
    assert_eq!(absorbed.parked[0].reason, reason);
    assert_eq!(absorbed.payment.refundable(), Amount::ZERO);
    // More is another reason: an operator who dealt with the one is told.
    facts.refunds.push(refund("re_2", 100, RefundState::Succeeded));
    let again = absorbed.payment.absorb(&facts, at(6)).unwrap();
    assert_eq!(again.parked.len(), 1);
    assert_ne!(again.parked[0].reason, reason);
}

#[test]
fn a_lost_dispute_that_is_also_listed_as_a_refund_takes_the_money_once() {
    let mut record = payment(Processor::Paypal, Purpose::Credits);
    let mut total = 0;
    let mut said = facts(State::Captured);
    for step in 0..4 {
        match step {
            0 => {}
            1 => said.disputes = vec![dispute("PP-1", 2_000, DisputeState::Open)],
            2 => said.disputes[0].state = DisputeState::Lost,
            _ => {
                said.disputes[0].as_refund = true;
                said.refunds = vec![refund("re_1", 2_000, RefundState::Succeeded)];
            }
        }
        let absorbed = record.absorb(&said, at(5)).unwrap();
        total += absorbed.postings.iter().map(|p| p.entry.amount.steps() / STEPS_PER_CENT).sum::<i64>();
        record = absorbed.payment;
        assert_eq!(total, if step == 0 { 2_000 } else { 0 }, "{step}");
        assert!(absorbed.parked.is_empty());
    }
    assert_eq!((record.status, record.refunded, record.disputed), (Status::Disputed, cents(2_000), cents(0)));
    let at_once = payment(Processor::Paypal, Purpose::Credits).absorb(&said, at(5)).unwrap();
    assert_eq!(keys(&at_once).iter().map(|(_, amount)| amount).sum::<i64>(), 0, "whoever comes last sees the same");
}

#[test]
fn the_state_follows_the_processor() {
    let mut record = payment(Processor::Stripe, Purpose::Credits);
    let mut declined = facts(State::Declined);
    declined.failure = Some("card_declined".into());
    let mut given_up = facts(State::Canceled);
    given_up.failure = Some("card_declined".into());
    for (facts, status, open) in [
        (facts(State::Waiting), Status::Pending, true),
        (facts(State::ActionRequired), Status::RequiresAction, true),
        (declined, Status::Failed, true),
        (facts(State::Processing), Status::Pending, true),
        (given_up, Status::Failed, false),
        (facts(State::Canceled), Status::Canceled, false),
        (facts(State::Captured), Status::Succeeded, false),
    ] {
        record = record.absorb(&facts, at(60)).unwrap().payment;
        assert_eq!((record.status, record.open), (status, open), "{facts:?}");
    }
    assert_eq!(record.failure, None, "what failed before is no news once it is captured");
}

#[test]
fn what_nobody_finishes_is_given_up_after_a_day_and_a_declined_top_up_at_once() {
    let (credits, top_up) = (payment(Processor::Stripe, Purpose::Credits), payment(Processor::Stripe, Purpose::TopUp));
    for state in [State::Waiting, State::ActionRequired, State::Declined] {
        assert!(!credits.is_abandoned(&facts(state), at(ABANDONED_SECS - 1)), "{state:?}");
        assert!(credits.is_abandoned(&facts(state), at(ABANDONED_SECS)), "{state:?}");
    }
    assert!(top_up.is_abandoned(&facts(State::Declined), at(1)));
    assert!(!top_up.is_abandoned(&facts(State::ActionRequired), at(1)));
    for state in [State::Processing, State::Captured, State::Canceled] {
        assert!(!credits.is_abandoned(&facts(state), at(10 * ABANDONED_SECS)), "{state:?}");
    }
}

#[test]
fn looks_grow_rarer_and_end() {
    let open = payment(Processor::Paypal, Purpose::Credits);
    assert_eq!(open.due, Some(at(60)));
    assert_eq!(open.clone().looked_at(at(600)).due, Some(at(900)));
    assert_eq!(open.clone().looked_at(at(80_000)).due, Some(at(83_600)));
    let over = open.absorb(&facts(State::Captured), at(100)).unwrap().payment;
    assert_eq!(over.due, Some(at(DAY_SECS)));
    assert_eq!(over.clone().looked_at(at(DAY_SECS)).due, Some(at(3 * DAY_SECS)));
    assert_eq!(over.looked_at(at(180 * DAY_SECS)).due, None);
    let nothing = open.failed("card_declined", at(100));
    assert_eq!((nothing.status, nothing.due), (Status::Failed, Some(at(2 * DAY_SECS))));
    assert_eq!(nothing.looked_at(at(2 * DAY_SECS)).due, None);
}

fn in_cents(absorbed: &Absorbed) -> i64 {
    absorbed.postings.iter().map(|p| p.entry.amount.steps() / STEPS_PER_CENT).sum()
}

#[test]
fn a_dispute_lost_for_less_takes_only_that() {
    for (lost, as_refund, left) in
        [(Some(700), false, 1_300), (Some(700), true, 1_300), (None, false, 0), (Some(9_999), false, 0)]
    {
        let mut said = facts(State::Captured);
        said.disputes = vec![dispute("PP-1", 2_000, DisputeState::Open)];
        let open = payment(Processor::Paypal, Purpose::Credits).absorb(&said, at(5)).unwrap();
        assert_eq!(in_cents(&open), 0);
        (said.disputes[0].state, said.disputes[0].lost) = (DisputeState::Lost, lost.map(cents));
        if as_refund {
            said.disputes[0].as_refund = true;
            said.refunds = vec![refund("re_1", 700, RefundState::Succeeded)];
        }
        let closed = open.payment.absorb(&said, at(6)).unwrap();
        assert_eq!((in_cents(&closed), closed.parked.len()), (left, 0), "{lost:?} {as_refund}");
        let gone = closed.payment.disputed + closed.payment.refunded;
        assert_eq!((closed.payment.status, gone), (Status::Disputed, cents(2_000 - left)));
        assert_eq!(closed.payment.absorb(&said, at(7)).unwrap().postings, []);
    }
}

#[test]
fn disputes_that_cannot_be_read_stand_as_they_were_and_keep_nothing_up() {
    let mut said = facts(State::Captured);
    said.disputes = vec![dispute("PP-1", 500, DisputeState::Open)];
    let disputed = payment(Processor::Paypal, Purpose::Credits).absorb(&said, at(5)).unwrap().payment;
    said.disputes.clear();
    said.disputes_unread = true;
    said.refunds = vec![refund("re_1", 2_000, RefundState::Succeeded)];
    let absorbed = disputed.absorb(&said, at(6)).unwrap();
    assert_eq!(keys(&absorbed), [("paypal:re_1:refunded", -2_000)]);
    assert_eq!((absorbed.payment.status, absorbed.payment.disputed), (Status::Disputed, cents(500)));
    assert!(absorbed.parked.is_empty(), "the one may be the other");
}

#[test]
fn what_is_undone_is_what_was_posted_and_a_change_is_shown_to_an_operator() {
    let mut said = facts(State::Captured);
    said.refunds = vec![refund("re_1", 500, RefundState::Pending)];
    said.disputes = vec![dispute("dp_1", 300, DisputeState::Open)];
    let record = payment(Processor::Stripe, Purpose::Credits).absorb(&said, at(5)).unwrap().payment;
    said.captures[0].money = Reported::Usd(cents(2_100));
    said.refunds = vec![refund("re_1", 900, RefundState::Failed)];
    said.disputes = vec![dispute("dp_1", 200, DisputeState::Won)];
    let absorbed = record.absorb(&said, at(6)).unwrap();
    assert_eq!(keys(&absorbed), [("stripe:dp_1:won", 300), ("stripe:re_1:refund_failed", 500)]);
    let parked: Vec<_> = absorbed.parked.iter().map(|mismatch| mismatch.object.as_str()).collect();
    assert_eq!(parked, ["pi_1", "dp_1", "re_1"]);
    let reason = "its amount is another one than was posted (refunded): 9.000000 USD, not 5.000000";
    assert_eq!(absorbed.parked[2].reason, reason);
    said.refunds[0].money = Reported::Usd(cents(800));
    assert_ne!(record.absorb(&said, at(6)).unwrap().parked[2].reason, reason, "another amount is news");
    assert_eq!(absorbed.payment.captured, cents(2_000), "the ledger's counts");
    // An undoing that changes is shown, too, and posted once.
    let mut said = facts(State::Captured);
    said.disputes = vec![dispute("dp_1", 300, DisputeState::Lost)];
    said.disputes[0].lost = Some(cents(100));
    let record = payment(Processor::Paypal, Purpose::Credits).absorb(&said, at(5)).unwrap().payment;
    said.disputes[0].lost = Some(cents(50));
    let absorbed = record.absorb(&said, at(6)).unwrap();
    assert_eq!((absorbed.postings.len(), absorbed.parked.len()), (0, 1));
}

#[test]
fn a_record_of_old_names_its_pages_by_key_alone() {
    let record = payment(Processor::Stripe, Purpose::Credits).absorb(&facts(State::Captured), at(5)).unwrap().payment;
    let mut old = serde_json::to_value(&record).unwrap();
    assert_eq!(serde_json::from_value::<Payment>(old.clone()).unwrap(), record);
    old["posted"] = serde_json::json!(["stripe:pi_1:captured"]);
    let old: Payment = serde_json::from_value(old).unwrap();
    let mut said = facts(State::Captured);
    said.captures[0].money = Reported::Usd(cents(2_100));
    let absorbed = old.absorb(&said, at(6)).unwrap();
    assert_eq!((absorbed.postings.len(), absorbed.parked.len()), (0, 0));
}

fn ask(id: &str, amount: Option<i64>) -> RefundRequest {
    RefundRequest { id: Id::new(id).unwrap(), amount: amount.map(cents), reason: None, by: "usr_admin".into() }
}

#[test]
fn no_more_is_refunded_than_was_captured() {
    let paid = payment(Processor::Stripe, Purpose::Credits);
    assert_eq!(paid.with_refund(&ask("rfd_1", None), at(9)), Err(RefundError::NothingLeft));
    let paid = paid.absorb(&facts(State::Captured), at(5)).unwrap().payment;
    for wrong in [0, -1] {
        assert_eq!(paid.with_refund(&ask("rfd_1", Some(wrong)), at(9)), Err(RefundError::NotAnAmount));
    }
    let once = paid.with_refund(&ask("rfd_1", Some(1_500)), at(9)).unwrap();
    assert_eq!(once.with_refund(&ask("rfd_1", Some(1_500)), at(9)).unwrap(), once, "the same again");
    assert_eq!(once.with_refund(&ask("rfd_1", Some(1_400)), at(9)), Err(RefundError::Differs));
    assert_eq!(once.with_refund(&ask("rfd_1", None), at(9)), Err(RefundError::Differs));
    let other = RefundRequest { reason: Some("other".to_owned()), ..ask("rfd_1", Some(1_500)) };
    assert_eq!(once.with_refund(&other, at(9)), Err(RefundError::Differs));
    let error = once.with_refund(&ask("rfd_2", Some(501)), at(9)).unwrap_err();
    assert_eq!(error.to_string(), "no more than 5.00 USD is left to refund");
    let twice = once.with_refund(&ask("rfd_2", None), at(9)).unwrap();
    assert_eq!(twice.refund("rfd_2").unwrap().amount, cents(500));
    assert_eq!(twice.with_refund(&ask("rfd_2", None), at(9)).unwrap(), twice, "the rest again");
    assert_eq!(twice.with_refund(&ask("rfd_2", Some(500)), at(9)), Err(RefundError::Differs));
    assert_eq!(twice.with_refund(&ask("rfd_3", Some(1)), at(9)), Err(RefundError::NothingLeft));
    // A refund that was refused gives its part back.
    let refused = twice.with_refund_status("rfd_1", RefundStatus::Failed, at(10));
    assert_eq!(refused.refundable(), cents(1_500));
}

#[test]
fn a_refund_is_recognised_by_what_we_wrote_on_it() {
    let paid = payment(Processor::Stripe, Purpose::Credits).absorb(&facts(State::Captured), at(5)).unwrap().payment;
    let asked = paid.with_refund(&ask("rfd_1", Some(700)), at(9)).unwrap();
    let asked = asked.with_refund_status("rfd_1", RefundStatus::Unknown, at(9));
    assert_eq!(asked.due, Some(at(69)), "it is looked at soon");
    let mut said = facts(State::Captured);
    said.refunds = vec![refund("re_1", 700, RefundState::Succeeded), refund("re_2", 100, RefundState::Pending)];
    said.refunds[0].claim = Some("rfd_1".into());
    let known = asked.absorb(&said, at(60)).unwrap().payment;
    let states: Vec<_> = known.refunds.iter().map(|r| (r.id.as_str(), r.status, r.object.as_deref())).collect();
    let expected = [("rfd_1", RefundStatus::Succeeded, Some("re_1")), ("re_2", RefundStatus::Pending, Some("re_2"))];
    assert_eq!(states, expected);
    assert_eq!((known.refunded, known.refundable()), (cents(800), cents(1_200)));
}

/// Something that happens at the processor.
#[derive(Clone, Debug)]
enum Happening {
    Capture,
    Refund(i64),
    RefundFails(usize),
    Dispute(i64),
    DisputeEnds(usize, bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        Just(Happening::Capture),
        (1_i64..600).prop_map(Happening::Refund),
        (0_usize..4).prop_map(Happening::RefundFails),
        (1_i64..600).prop_map(Happening::Dispute),
        ((0_usize..4), any::<bool>()).prop_map(|(i, won)| Happening::DisputeEnds(i, won)),
    ]
}

fn happen(now: &mut Facts, what: &Happening) {
    let captured = now.state == State::Captured;
    match what {
        Happening::Capture => {
            *now = Facts { refunds: now.refunds.clone(), disputes: now.disputes.clone(), ..facts(State::Captured) }
        }
        Happening::Refund(amount) if captured => {
            let object = format!("re_{}", now.refunds.len());
            now.refunds.push(refund(&object, *amount, RefundState::Pending));
        }
        Happening::RefundFails(i) => {
            now.refunds.iter_mut().skip(*i).take(1).for_each(|r| r.state = RefundState::Failed)
        }
        Happening::Dispute(amount) if captured => {
            let object = format!("dp_{}", now.disputes.len());
            now.disputes.push(dispute(&object, *amount, DisputeState::Open));
        }
        Happening::DisputeEnds(i, won) => {
            let state = if *won { DisputeState::Won } else { DisputeState::Lost };
            now.disputes
                .iter_mut()
                .skip(*i)
                .take(1)
                .filter(|d| d.state == DisputeState::Open)
                .for_each(|d| d.state = state);
        }
        Happening::Refund(_) | Happening::Dispute(_) => {}
    }
}

proptest! {
    /// However often, late or in whatever order the processor is read, by readers that crash before they save the record:
    /// once somebody has seen how it ended, the pages sum to exactly that.
    #[test]
    fn any_order_of_readers_ends_with_the_same_money(
        story in prop::collection::vec(happening(), 1..12),
        reads in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..20),
    ) {
        let mut snapshots = vec![facts(State::Waiting)];
        for what in &story {
            let mut next = snapshots.last().unwrap().clone();
            happen(&mut next, what);
            snapshots.push(next);
        }
        let mut record = payment(Processor::Stripe, Purpose::Credits);
        let mut ledger: BTreeMap<String, i64> = BTreeMap::new();
        let last = snapshots.last().unwrap();
        let reads = reads.iter().map(|(i, saved)| (i.get(&snapshots), *saved)).chain([(last, true)]);
        for (snapshot, saved) in reads {
            let absorbed = record.absorb(snapshot, at(5)).unwrap();
            for posting in &absorbed.postings {
                let steps = posting.entry.amount.steps();
                prop_assert_eq!(*ledger.entry(posting.key.clone()).or_insert(steps), steps, "one key, one amount");
            }
            if saved {
                record = absorbed.payment;
            }
        }
        let usd = |money: &Reported| match money { Reported::Usd(a) => a.steps(), Reported::Foreign(_) => 0 };
        let captured: i64 = last.captures.iter().map(|c| usd(&c.money)).sum();
        let back: i64 = last.refunds.iter().filter(|r| r.state != RefundState::Failed).map(|r| usd(&r.money)).sum();
        let taken: i64 = last.disputes.iter().filter(|d| d.state != DisputeState::Won).map(|d| usd(&d.money)).sum();
        prop_assert_eq!(ledger.values().sum::<i64>(), captured - back - taken);
        prop_assert_eq!((record.captured.steps(), record.refunded.steps(), record.disputed.steps()), (captured, back, taken));
    }

    #[test]
    fn cents_and_decimals_are_the_same_money(cents_in in -10_000_000_i64..10_000_000) {
        let amount = from_cents(cents_in).unwrap();
        prop_assert_eq!(to_cents(amount), Some(cents_in));
        prop_assert_eq!(parse_cents(&to_decimal(amount).unwrap()), Ok(amount));
    }

    #[test]
    fn an_amount_to_buy_is_what_it_says_or_refused(text in "[-+ ]?[0-9]{0,5}[.,]?[0-9]{0,4}(e[0-9])?") {
        if let Ok(amount) = parse_purchase(&text) {
            prop_assert!((MIN_PURCHASE..=MAX_PURCHASE).contains(&amount));
            let decimals = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            prop_assert!(decimals <= 2 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
            prop_assert_eq!(Amount::parse(&text, Unit::Usd).unwrap(), amount);
        }
    }
}
