//! All faults at once, many times: every captured dollar is credited once, and no other.

use super::{Counter, SWEEP, admin};
use cashier::CashierError;
use domain::Amount;
use domain::payment::{Payment, Processor};
use sandbox::{Card, Chance, Knobs, Outcome, Wallet};
use std::collections::BTreeMap;

/// Attempts at delivering an event that must be reached.
const DELIVERIES: usize = 10_000;
/// Payments of one round.
const ROUND: usize = 60;
/// Rounds at most.
const MAX_ROUNDS: usize = 60;
/// Deliveries at once.
const WIDTH: usize = 16;
const CUSTOMERS: usize = 12;

fn faults() -> Knobs {
    Knobs {
        duplicate: Chance::Permille(900),
        out_of_order: Chance::Permille(300),
        delayed: Chance::Permille(200),
        lost: Chance::Permille(100),
        forged_signature: Chance::Permille(100),
        forged_time: Chance::Permille(100),
        forged_host: Chance::Permille(100),
        unknown_object: Chance::Permille(50),
        event_wrong_amount: Chance::Permille(100),
        event_wrong_currency: Chance::Permille(100),
        api_wrong_amount: Chance::Permille(30),
        api_wrong_currency: Chance::Permille(30),
        rate_limited: Chance::Permille(10),
        retry_after_secs: 0,
        fail_before: Chance::Permille(20),
        fail_after: Chance::Permille(20),
        close_after: Chance::Permille(20),
        reversed_too: Chance::Permille(500),
        ..Knobs::default()
    }
}

/// What customers, banks and people at dashboards do with one payment.
async fn live(counter: &Counter, payment: &Payment, n: usize) {
    let Some(object) = payment.object.as_deref() else { return };
    match (payment.processor, n % 10) {
        (_, 0) => return,
        (Processor::Stripe, 1) => drop(counter.sandbox.pay_intent(object, Card::Declined)),
        (Processor::Paypal, 1) => drop(counter.sandbox.approve_order_with(object, Wallet::Pending)),
        (Processor::Stripe, _) => drop(counter.sandbox.pay_intent(object, Card::Visa)),
        (Processor::Paypal, _) => drop(counter.sandbox.approve_order(object)),
    }
    if n.is_multiple_of(3) {
        let _ = counter.cashier.confirm(&payment.customer, &payment.id, None, None).await;
    }
    match n % 7 {
        0 => drop(counter.sandbox.refund_from_dashboard(object, Some(300))),
        1 => {
            if let Ok(dispute) = counter.sandbox.dispute(object)
                && n.is_multiple_of(2)
            {
                let outcome = if n.is_multiple_of(4) { Outcome::Won } else { Outcome::Lost };
                let _ = counter.sandbox.close_dispute(&dispute, outcome);
            }
        }
        2 => {
            let (amount, key) = (Some(Amount::from_steps(2_000_000)), Some("a"));
            let _ = counter.cashier.refund(&payment.id, amount, None, &admin(counter), key).await;
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_deliveries_with_every_fault_credit_every_dollar_once() {
    let counter = Counter::new().await;
    counter.sandbox.set_knobs(faults());
    let mut attempts = 0;
    for round in 0..MAX_ROUNDS {
        for n in 0..ROUND {
            let n = round * ROUND + n;
            let (customer, processor) = (format!("usr_{}", n % CUSTOMERS), Processor::ALL[n % 2]);
            match counter.started(&customer, processor, 2_000, &n.to_string()).await {
                Ok(started) => live(&counter, &started.payment, n).await,
                Err(CashierError::Call(_) | CashierError::Refused(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        // PayPal is asked so often in a minute and no more. A round has fewer questions, though all its own come from one address.
        counter.app.pass_secs(60);
        let tally = counter.sandbox.deliver_concurrently(WIDTH).await;
        attempts += usize::try_from(tally.accepted + tally.refused).unwrap();
        if attempts >= DELIVERIES {
            break;
        }
    }
    assert!(attempts >= DELIVERIES, "{attempts}");
    counter.sandbox.set_knobs(Knobs::default());
    settle_down(&counter).await;
    let truth = counter.sandbox.captured();
    assert_eq!(truth.forgotten, 0);
    let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
    let mut foreign = 0;
    for payment in &truth.payments {
        if payment.currency != "USD" {
            foreign += 1;
            continue;
        }
        let customer = match payment.metadata.get("customer") {
            Some(customer) => customer.clone(),
            None => payment.metadata["custom_id"].split_once(':').unwrap().1.to_owned(),
        };
        *wanted.entry(customer).or_default() += payment.kept();
    }
    let mut held = BTreeMap::new();
    for n in 0..CUSTOMERS {
        let customer = format!("usr_{n}");
        held.insert(customer.clone(), counter.app.balance(&customer).await / 10_000);
    }
    assert_eq!(held, wanted);
    counter.app.verify().await;
    let parked = counter.parked().await;
    let not_usd = parked.iter().filter(|entry| entry.reasons.iter().any(|reason| reason.contains("not USD"))).count();
    assert!(foreign > 0 && not_usd > 0, "{foreign} {not_usd}");
    let sent = counter.sandbox.sent();
    // Where PayPal could not be asked, it is not known to be forged.
    let refused = |status: u16| matches!(status, 400 | 429 | 503);
    assert!(sent.iter().filter(|sent| !sent.genuine).all(|sent| refused(sent.status)), "a forged event was taken");
    assert!(sent.iter().all(|sent| !sent.genuine || sent.status != 429), "a genuine event was put off");
    counter.mails().await;
    println!("{attempts} deliveries, {} captured, {foreign} foreign, {} parked", truth.payments.len(), parked.len());
}

/// A day passes, after which Stripe forgets keys, and the sweep looks at everything that is due.
async fn settle_down(counter: &Counter) {
    for hours in [1, 25] {
        counter.app.pass(hours);
        for _ in 0..200 {
            let swept = counter.cashier.sweep(SWEEP).await.unwrap();
            if swept.looked_at == 0 {
                break;
            }
        }
    }
}
