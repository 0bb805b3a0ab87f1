//! Calls that were made and whose answers were lost, busy processors, tokens that ran out.

use super::Counter;
use cashier::CashierError;
use domain::payment::{Processor, Status};
use sandbox::Chance;

#[tokio::test]
async fn a_payment_whose_creation_was_not_answered_is_found_and_made_once() {
    let counter = Counter::new().await;
    for (n, processor) in Processor::ALL.into_iter().enumerate() {
        let path = if n == 0 { "POST /v1/payment_intents" } else { "POST /v2/checkout/orders" };
        for (fault, next) in [("close", 1), ("close", 3), ("fail", 1), ("fail", 3)] {
            counter.sandbox.tune(|knobs| {
                knobs.only = path.to_owned();
                let chance = Chance::Next(next);
                if fault == "close" { knobs.close_after = chance } else { knobs.fail_after = chance }
            });
            let customer = format!("usr_{processor}_{fault}_{next}");
            let started = counter.started(&customer, processor, 2_000, "k").await;
            let payment = match started {
                Ok(started) => started.payment,
                Err(error) => {
                    assert!(matches!(error, CashierError::Call(_)), "{error}");
                    assert_eq!(processor, Processor::Paypal, "Stripe can be asked what it made");
                    counter.buy(&customer, processor, 2_000, "k").await
                }
            };
            counter.pay(&payment);
            counter.sandbox.deliver_all().await;
            counter.holds(&customer, 2_000).await;
        }
    }
    assert_eq!(counter.sandbox.captured().payments.len(), 8);
    counter.mails().await;
}

#[tokio::test]
async fn a_payment_nobody_comes_back_for_is_healed_by_the_sweep_or_fails() {
    let counter = Counter::new().await;
    for processor in Processor::ALL {
        let down = |on: bool| {
            counter.sandbox.tune(|knobs| {
                knobs.only = String::new();
                knobs.rate_limited = if on { Chance::ALWAYS } else { Chance::Off };
                knobs.retry_after_secs = 60;
            });
        };
        let customer = format!("usr_{processor}");
        down(true);
        let error = counter.started(&customer, processor, 2_000, "soon").await.unwrap_err();
        assert!(matches!(error, CashierError::Call(_)), "{error}");
        let error = counter.started(&customer, processor, 3_000, "late").await.unwrap_err();
        assert!(matches!(error, CashierError::Call(_)), "{error}");
        let late = domain::payment::repeatable_id("pay", &tests::id(&customer), "late");
        let soon = domain::payment::repeatable_id("pay", &tests::id(&customer), "soon");
        down(false);
        counter.app.pass_secs(61);
        counter.cashier.settle(&soon).await.unwrap();
        let healed = counter.payment(&soon).await;
        assert_eq!(healed.status, Status::Pending);
        counter.app.pass(25);
        counter.sweep_now().await;
        let failed = counter.payment(&late).await;
        assert_eq!((failed.status, failed.failure.as_deref()), (Status::Failed, Some("never_reached_the_processor")));
        counter.holds(&customer, 0).await;
    }
}

#[tokio::test]
async fn what_is_busy_is_waited_for_and_a_token_that_ran_out_is_renewed() {
    let counter = Counter::new().await;
    counter.sandbox.tune(|knobs| (knobs.rate_limited, knobs.retry_after_secs) = (Chance::Next(1), 1));
    let payment = counter.buy("usr_1", Processor::Paypal, 2_000, "k").await;
    counter.sandbox.expire_tokens();
    counter.pay(&payment);
    counter.cashier.capture(&payment.customer, &payment.id).await.unwrap();
    counter.holds("usr_1", 2_000).await;
    counter.mails().await;
}

#[tokio::test]
async fn a_capture_whose_answer_is_lost_is_read_not_made_again() {
    let counter = Counter::new().await;
    for next in [1, 3] {
        let customer = format!("usr_{next}");
        let payment = counter.buy(&customer, Processor::Paypal, 2_000, "k").await;
        counter.pay(&payment);
        counter.sandbox.tune(|knobs| (knobs.close_after, knobs.only) = (Chance::Next(next), "/capture".to_owned()));
        let captured = counter.cashier.capture(&payment.customer, &payment.id).await.unwrap();
        assert_eq!(captured.status, Status::Succeeded);
        counter.holds(&customer, 2_000).await;
    }
    counter.mails().await;
}
