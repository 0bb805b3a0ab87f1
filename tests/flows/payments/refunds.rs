//! Giving back, in parts, by us and behind our back.

use super::{Counter, admin};
use cashier::CashierError;
use domain::Amount;
use domain::payment::{Processor, RefundError, RefundStatus, Status};
use domain::wallet::Kind;
use sandbox::Chance;

fn cents(cents: i64) -> Option<Amount> {
    Some(Amount::from_steps(cents * 10_000))
}

#[tokio::test]
async fn refunds_in_parts_take_the_credit_away_and_never_more_than_was_captured() {
    let counter = Counter::new().await;
    for processor in Processor::ALL {
        let customer = format!("usr_{processor}");
        let payment = counter.bought(&customer, processor, 2_000, "k").await;
        let refund = |amount: Option<Amount>, key: &'static str| {
            let (counter, payment) = (&counter, payment.id.clone());
            async move {
                let (reason, by) = (Some("asked nicely".to_owned()), admin(counter));
                counter.cashier.refund(&payment, amount, reason, &by, Some(key)).await
            }
        };
        let first = refund(cents(500), "a").await.unwrap();
        assert_eq!((first.refund.status, first.payment.status), (RefundStatus::Succeeded, Status::PartiallyRefunded));
        counter.holds(&customer, 1_500).await;
        let again = refund(cents(500), "a").await.unwrap();
        assert_eq!(again.refund.id, first.refund.id, "the same key is the same refund");
        counter.holds(&customer, 1_500).await;
        let other = refund(cents(501), "a").await.unwrap_err();
        assert!(matches!(other, CashierError::Refund(RefundError::Differs)), "{other}");
        let much = refund(cents(1_501), "b").await.unwrap_err();
        assert_eq!(much.to_string(), "no more than 15.00 USD is left to refund");
        let rest = refund(None, "c").await.unwrap();
        assert_eq!((rest.refund.amount, rest.payment.status), (cents(1_500).unwrap(), Status::Refunded));
        let none = refund(None, "d").await.unwrap_err();
        assert!(matches!(none, CashierError::Refund(RefundError::NothingLeft)), "{none}");
        counter.sandbox.deliver_all().await;
        counter.holds(&customer, 0).await;
        let kinds: Vec<Kind> = counter.app.pages(&customer).await.iter().map(|page| page.kind).collect();
        assert_eq!(kinds, [Kind::Payment, Kind::Refund, Kind::Refund]);
    }
    assert_eq!(counter.parked().await, []);
    counter.mails().await;
}

#[tokio::test]
async fn a_refund_heard_of_before_its_payment_ends_the_same() {
    let counter = Counter::new().await;
    for processor in Processor::ALL {
        let customer = format!("usr_{processor}");
        let payment = counter.buy(&customer, processor, 2_000, "k").await;
        counter.pay(&payment);
        let object = payment.object.clone().unwrap();
        if processor == Processor::Paypal {
            // The capture is made, and its answer and its event are lost.
            counter.sandbox.tune(|knobs| knobs.lost = Chance::ALWAYS);
            counter.cashier.settle(&payment.id).await.unwrap();
            counter.sandbox.tune(|knobs| knobs.lost = Chance::Off);
        } else {
            counter.sandbox.tune(|knobs| knobs.out_of_order = Chance::ALWAYS);
        }
        counter.sandbox.refund_from_dashboard(&object, Some(700)).unwrap();
        counter.sandbox.deliver_all().await;
        let payment = counter.payment(&payment.id).await;
        assert_eq!((payment.status, payment.refunds.len()), (Status::PartiallyRefunded, 1));
        counter.holds(&customer, 1_300).await;
    }
    counter.mails().await;
}

#[tokio::test]
async fn a_refund_nobody_told_of_is_found_in_time_and_the_balance_may_go_negative() {
    let counter = Counter::new().await;
    counter.app.tell(&[tests::registered("srv-1", "usr_1", counter.app.at(1))]).await;
    let payment = counter.bought("usr_1", Processor::Stripe, 2_000, "k").await;
    counter.app.hours(3).await;
    counter.sandbox.deliver_all().await;
    counter.sandbox.tune(|knobs| knobs.lost = Chance::ALWAYS);
    counter.sandbox.refund_from_dashboard(payment.object.as_deref().unwrap(), None).unwrap();
    counter.sandbox.deliver_all().await;
    assert_eq!(counter.app.balance("usr_1").await, 1_997 * 10_000);
    counter.app.time.set(payment.created_at.plus_secs(86_400 + 5));
    counter.sweep_now().await;
    assert_eq!(counter.payment(&payment.id).await.status, Status::Refunded);
    assert_eq!(counter.app.balance("usr_1").await, -3 * 10_000);
    counter.app.bill().await;
    counter.app.verify().await;
    counter.mails().await;
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_found_by_reading() {
    let counter = Counter::new().await;
    for (processor, path) in [(Processor::Stripe, "POST /v1/refunds"), (Processor::Paypal, "/refund")] {
        let customer = format!("usr_{processor}");
        let payment = counter.bought(&customer, processor, 2_000, "k").await;
        // Stripe remembers its own failure: it was done, and each answer says it was not.
        counter.sandbox.tune(|knobs| {
            knobs.fail_after = Chance::ALWAYS;
            knobs.only = path.to_owned();
        });
        let done = counter.cashier.refund(&payment.id, cents(800), None, &admin(&counter), Some("a")).await.unwrap();
        assert_eq!(done.refund.status, RefundStatus::Succeeded, "{processor}: it is listed");
        counter.sandbox.tune(|knobs| knobs.fail_after = Chance::Off);
        counter.sandbox.deliver_all().await;
        counter.holds(&customer, 1_200).await;
        assert_eq!(counter.sandbox.captured().with("x", "x").count(), 0);
    }
    let refunded: i64 = counter.sandbox.captured().payments.iter().map(|payment| payment.refunded).sum();
    assert_eq!(refunded, 1_600, "each was made once");
    counter.mails().await;
}

#[tokio::test]
async fn a_refund_nobody_knows_of_is_unknown_reserved_and_asked_for_again_under_its_key() {
    let counter = Counter::new().await;
    for processor in Processor::ALL {
        let customer = format!("usr_{processor}");
        let payment = counter.bought(&customer, processor, 2_000, "k").await;
        counter.sandbox.tune(|knobs| {
            knobs.fail_before = Chance::ALWAYS;
            knobs.only = "POST /v".to_owned();
        });
        let done = counter.cashier.refund(&payment.id, cents(800), None, &admin(&counter), Some("a")).await.unwrap();
        assert_eq!(done.refund.status, RefundStatus::Unknown, "{processor}");
        counter.holds(&customer, 2_000).await;
        counter.sandbox.tune(|knobs| knobs.fail_before = Chance::Off);
        let much =
            counter.cashier.refund(&payment.id, cents(1_300), None, &admin(&counter), Some("b")).await.unwrap_err();
        assert_eq!(much.to_string(), "no more than 12.00 USD is left to refund", "what may be gone is reserved");
        counter.sweep().await;
        let known = counter.payment(&payment.id).await;
        let refund = known.refund(&done.refund.id).unwrap();
        match processor {
            // PayPal forgets what failed, so the same key did it now.
            Processor::Paypal => {
                assert_eq!(refund.status, RefundStatus::Succeeded);
                counter.holds(&customer, 1_200).await;
            }
            // Stripe remembers the failure for a day; after that its list decides.
            Processor::Stripe => {
                assert_eq!(refund.status, RefundStatus::Unknown);
                counter.app.pass(25);
                counter.sweep_now().await;
                let known = counter.payment(&payment.id).await;
                assert_eq!(known.refund(&done.refund.id).unwrap().status, RefundStatus::Failed);
                assert_eq!(known.refundable(), cents(2_000).unwrap());
                counter.holds(&customer, 2_000).await;
            }
        }
    }
    counter.mails().await;
}

#[tokio::test]
async fn a_refund_the_processor_refuses_has_failed_and_gives_its_part_back() {
    let counter = Counter::new().await;
    let payment = counter.bought("usr_1", Processor::Stripe, 2_000, "k").await;
    // It was disputed and nobody here knows yet: Stripe does.
    counter.sandbox.tune(|knobs| knobs.lost = Chance::ALWAYS);
    let other = counter.bought("usr_2", Processor::Stripe, 2_000, "k").await;
    counter.sandbox.dispute(other.object.as_deref().unwrap()).unwrap();
    let refused = counter.cashier.refund(&other.id, cents(100), None, &admin(&counter), Some("a")).await.unwrap_err();
    assert!(matches!(refused, CashierError::Refund(RefundError::NothingLeft)), "we ask first: {refused}");
    counter.holds("usr_2", 0).await;
    counter.holds("usr_1", 2_000).await;
    assert_eq!(counter.payment(&payment.id).await.refunds, []);
    counter.mails().await;
}

#[tokio::test]
async fn a_key_is_one_admins_one_request_and_what_has_failed_is_refused() {
    let counter = Counter::new().await;
    let payment = counter.bought("usr_1", Processor::Paypal, 2_000, "k").await;
    let by = admin(&counter);
    let refund = |amount: Option<Amount>, reason: &'static str, by: store::By| {
        let (counter, payment) = (&counter, payment.id.clone());
        async move { counter.cashier.refund(&payment, amount, Some(reason.to_owned()), &by, Some("a")).await }
    };
    let first = refund(cents(500), "nicely", by.clone()).await.unwrap();
    for (amount, reason) in [(None, "nicely"), (cents(500), "not nicely")] {
        let differs = refund(amount, reason, by.clone()).await.unwrap_err();
        assert!(matches!(differs, CashierError::Refund(RefundError::Differs)), "{differs}");
        assert_eq!(api::Problem::from(differs).status(), 409);
    }
    let other = store::By { actor: tests::id("usr_other"), record: tests::id("aud_other"), ..by.clone() };
    let second = refund(cents(500), "nicely", other).await.unwrap();
    assert_ne!(second.refund.id, first.refund.id);
    counter.holds("usr_1", 1_000).await;
    // The third is refused by the processor, and that is noted by somebody who is gone.
    counter.sandbox.tune(|knobs| {
        knobs.fail_before = Chance::ALWAYS;
        knobs.only = "/refund".to_owned();
    });
    let third = store::By { actor: tests::id("usr_third"), record: tests::id("aud_third"), ..by };
    let unknown = refund(cents(300), "nicely", third.clone()).await.unwrap();
    assert_eq!(unknown.refund.status, RefundStatus::Unknown);
    let (held, rev) = counter.app.system.store.payment(&payment.id).await.unwrap().unwrap();
    let now = counter.app.time.now();
    let failed = held.clone().with_refund_status(&unknown.refund.id, RefundStatus::Failed, now);
    counter.app.system.store.payment_update(&(held, rev), &failed, &[], now).await.unwrap();
    let refused = refund(cents(300), "nicely", third).await.unwrap_err();
    assert!(matches!(refused, CashierError::Refused(_)), "{refused}");
    counter.holds("usr_1", 1_000).await;
    counter.mails().await;
}
