//! Disputes, lost and won, at both processors.

use super::Counter;
use domain::payment::{Processor, Status};
use domain::wallet::Kind;
use sandbox::{Chance, Outcome};

#[tokio::test]
async fn a_dispute_takes_the_money_and_winning_brings_it_back() {
    let counter = Counter::new().await;
    for processor in Processor::ALL {
        for (outcome, cents) in [(Outcome::Lost, 0), (Outcome::Won, 2_000)] {
            let customer = format!("usr_{processor}_{cents}");
            let payment = counter.bought(&customer, processor, 2_000, "k").await;
            let dispute = counter.sandbox.dispute(payment.object.as_deref().unwrap()).unwrap();
            counter.sandbox.deliver_all().await;
            assert_eq!(counter.payment(&payment.id).await.status, Status::Disputed, "{processor}");
            counter.holds(&customer, 0).await;
            counter.sandbox.close_dispute(&dispute, outcome).unwrap();
            counter.sandbox.tune(|knobs| knobs.duplicate = Chance::ALWAYS);
            counter.sandbox.deliver_all().await;
            let status = if outcome == Outcome::Won { Status::Succeeded } else { Status::Disputed };
            assert_eq!(counter.payment(&payment.id).await.status, status);
            counter.holds(&customer, cents).await;
        }
    }
    assert_eq!(counter.parked().await, []);
    counter.mails().await;
}

#[tokio::test]
async fn a_dispute_that_was_over_before_anybody_heard_of_it_leaves_both_pages() {
    let counter = Counter::new().await;
    let payment = counter.bought("usr_1", Processor::Stripe, 2_000, "k").await;
    let dispute = counter.sandbox.dispute(payment.object.as_deref().unwrap()).unwrap();
    counter.sandbox.close_dispute(&dispute, Outcome::Won).unwrap();
    counter.sandbox.tune(|knobs| knobs.out_of_order = Chance::ALWAYS);
    counter.sandbox.deliver_all().await;
    let pages: Vec<(Kind, i64)> =
        counter.app.pages("usr_1").await.iter().map(|page| (page.kind, page.amount.steps() / 10_000)).collect();
    assert_eq!(pages, [(Kind::Payment, 2_000), (Kind::Reversal, -2_000), (Kind::Reversal, 2_000)]);
    counter.holds("usr_1", 2_000).await;
    counter.mails().await;
}

#[tokio::test]
async fn a_lost_dispute_that_paypal_also_lists_as_a_reversal_takes_the_money_once() {
    let counter = Counter::new().await;
    counter.sandbox.tune(|knobs| knobs.reversed_too = Chance::ALWAYS);
    for told in [true, false] {
        let customer = format!("usr_{told}");
        let payment = counter.bought(&customer, Processor::Paypal, 2_000, "k").await;
        let dispute = counter.sandbox.dispute(payment.object.as_deref().unwrap()).unwrap();
        if told {
            counter.sandbox.deliver_all().await;
            counter.holds(&customer, 0).await;
        }
        counter.sandbox.close_dispute(&dispute, Outcome::Lost).unwrap();
        counter.sandbox.deliver_all().await;
        assert_eq!(counter.payment(&payment.id).await.status, Status::Disputed);
        counter.holds(&customer, 0).await;
    }
    assert_eq!(counter.parked().await, []);
    counter.mails().await;
}

#[tokio::test]
async fn a_bank_that_takes_money_back_without_a_dispute_is_a_refund() {
    let counter = Counter::new().await;
    let payment = counter.bought("usr_1", Processor::Paypal, 2_000, "k").await;
    let id = payment.object.clone().unwrap();
    counter.sandbox.act(sandbox::Action::Reverse { id, amount: Some(1_500) }).unwrap();
    counter.sandbox.deliver_all().await;
    assert_eq!(counter.payment(&payment.id).await.status, Status::PartiallyRefunded);
    counter.holds("usr_1", 500).await;
    counter.mails().await;
}
