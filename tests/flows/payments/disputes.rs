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

#[tokio::test]
async fn while_disputes_cannot_be_read_everything_else_is_posted_and_they_are_looked_at_again() {
    let counter = Counter::new().await;
    let away = |on: bool| {
        counter.sandbox.tune(|knobs| {
            knobs.fail_before = if on { Chance::ALWAYS } else { Chance::Off };
            knobs.only = "GET /v1/customer/disputes".to_owned();
        });
    };
    away(true);
    let payment = counter.buy("usr_1", Processor::Paypal, 2_000, "k").await;
    counter.pay(&payment);
    let captured = counter.cashier.capture(&payment.customer, &payment.id).await.unwrap();
    assert_eq!(captured.status, Status::Succeeded);
    counter.holds("usr_1", 2_000).await;
    let object = payment.object.as_deref().unwrap();
    counter.sandbox.refund_from_dashboard(object, Some(500)).unwrap();
    counter.sandbox.dispute(object).unwrap();
    let error = counter.cashier.settle(&payment.id).await.unwrap_err();
    assert!(matches!(error, cashier::CashierError::Call(_)), "{error}");
    counter.holds("usr_1", 1_500).await;
    assert_eq!(counter.payment(&payment.id).await.status, Status::PartiallyRefunded);
    away(false);
    counter.app.pass_secs(901);
    counter.sweep_now().await;
    assert_eq!(counter.payment(&payment.id).await.status, Status::Disputed);
    counter.holds("usr_1", 0).await;
    assert_eq!(counter.parked().await, []);
    counter.mails().await;
}

#[tokio::test]
async fn a_dispute_that_is_the_first_word_of_a_captured_order_is_followed() {
    let counter = Counter::new().await;
    let payment = counter.buy("usr_1", Processor::Paypal, 2_000, "k").await;
    // The capture is made by somebody who is gone before it is written down, and no word of it comes.
    counter.sandbox.tune(|knobs| knobs.lost = Chance::ALWAYS);
    counter.pay(&payment);
    let object = payment.object.as_deref().unwrap();
    let config = super::cashier_config(&counter.app, counter.sandbox.url()).paypal.unwrap();
    let paypal = providers::PayPal::new(&config).unwrap();
    paypal.capture_order(object, &format!("{}-capture", payment.id)).await.unwrap();
    counter.sandbox.deliver_all().await;
    counter.holds("usr_1", 0).await;
    counter.sandbox.tune(|knobs| knobs.lost = Chance::Off);
    counter.sandbox.dispute(object).unwrap();
    counter.sandbox.deliver_all().await;
    assert_eq!(counter.payment(&payment.id).await.status, Status::Disputed);
    counter.holds("usr_1", 0).await;
    counter.mails().await;
}

#[tokio::test]
async fn what_was_taken_with_another_amount_is_not_undone_but_left_to_an_operator() {
    let counter = Counter::new().await;
    let payment = counter.bought("usr_1", Processor::Stripe, 2_000, "k").await;
    let dispute = counter.sandbox.dispute(payment.object.as_deref().unwrap()).unwrap();
    counter.sandbox.close_dispute(&dispute, Outcome::Won).unwrap();
    // Somebody who saw another amount posted it, and was gone.
    let entry = domain::wallet::Entry {
        kind: Kind::Reversal,
        amount: domain::Amount::from_steps(-10_000_000),
        actor: None,
        reason: None,
        reference: None,
    };
    let (key, now) = (format!("stripe:{dispute}:created"), counter.app.time.now());
    counter.app.system.store.wallet_post(&payment.wallet(), entry, &key, now).await.unwrap();
    for _ in 0..2 {
        counter.cashier.settle(&payment.id).await.unwrap();
        counter.holds("usr_1", 1_000).await;
        assert_eq!(counter.parked().await.len(), 1);
    }
    counter.mails().await;
}
