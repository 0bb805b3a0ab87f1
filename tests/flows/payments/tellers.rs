//! Who tells of a captured payment, in which order, and how often.

use super::Counter;
use domain::payment::{Processor, Status};
use domain::wallet::Kind;

#[derive(Clone, Copy, Debug)]
enum Teller {
    Webhook,
    Return,
    Sweep,
}

use Teller::{Return, Sweep, Webhook};

const ORDERS: [&[Teller]; 9] = [
    &[Webhook],
    &[Return],
    &[Sweep],
    &[Webhook, Return, Sweep],
    &[Return, Webhook, Return],
    &[Sweep, Webhook, Return],
    &[Webhook, Webhook, Sweep],
    &[Sweep, Sweep, Return],
    &[Return, Return, Webhook],
];

#[tokio::test]
async fn whoever_tells_first_twice_or_never_it_is_credited_once() {
    let counter = Counter::new().await;
    for processor in Processor::ALL {
        for (n, order) in ORDERS.iter().enumerate() {
            let customer = format!("usr_{processor}_{n}");
            let payment = counter.buy(&customer, processor, 2_000, "k").await;
            assert_eq!((payment.status, payment.captured.steps()), (Status::Pending, 0));
            counter.pay(&payment);
            for teller in *order {
                match teller {
                    Webhook => drop(counter.sandbox.deliver_all().await),
                    Return => drop(counter.cashier.confirm(&payment.customer, &payment.id, None, None).await.unwrap()),
                    Sweep => counter.sweep().await,
                }
            }
            let pages = counter.app.pages(&customer).await;
            assert_eq!(pages.len(), 1, "{processor} {order:?}");
            assert_eq!((pages[0].kind, pages[0].actor.as_deref()), (Kind::Payment, Some(processor.as_str())));
            assert_eq!(counter.payment(&payment.id).await.status, Status::Succeeded);
            counter.holds(&customer, 2_000).await;
            // What was not told is told now, late, and changes nothing.
            counter.sandbox.deliver_all().await;
            counter.holds(&customer, 2_000).await;
            assert_eq!(counter.mails().await, [format!("receipt:{}", payment.id)]);
        }
    }
    assert_eq!(counter.parked().await, []);
}

#[tokio::test]
async fn the_same_request_is_the_same_payment_and_another_one_under_its_key_is_refused() {
    let counter = Counter::new().await;
    let first = counter.started("usr_1", Processor::Stripe, 2_000, "k").await.unwrap();
    let again = counter.started("usr_1", Processor::Stripe, 2_000, "k").await.unwrap();
    assert_eq!(first.payment, again.payment);
    let secret = |started: &cashier::Started| started.client_secret.as_ref().unwrap().expose().to_owned();
    assert_eq!(secret(&first), secret(&again));
    for (processor, cents) in [(Processor::Stripe, 2_001), (Processor::Paypal, 2_000)] {
        let other = counter.started("usr_1", processor, cents, "k").await.unwrap_err();
        assert!(matches!(other, cashier::CashierError::OtherRequest), "{other}");
    }
    // Another customer's key is another key.
    let other = counter.buy("usr_2", Processor::Stripe, 3_000, "k").await;
    assert_ne!(other.id, first.payment.id);
    for (cents, ok) in [(99, false), (100, true), (100_000, true), (100_001, false)] {
        assert_eq!(counter.started("usr_3", Processor::Stripe, cents, &cents.to_string()).await.is_ok(), ok, "{cents}");
    }
}

#[tokio::test]
async fn many_at_once_settle_one_payment_once_while_the_wallet_is_in_use() {
    let counter = Counter::new().await;
    counter.app.tell(&[tests::registered("srv-1", "usr_1", counter.app.at(1))]).await;
    let payment = counter.buy("usr_1", Processor::Stripe, 2_000, "k").await;
    let second = counter.buy("usr_1", Processor::Paypal, 500, "l").await;
    counter.pay(&payment);
    counter.pay(&second);
    counter.app.pass(5);
    let settle = |id: domain::Id| {
        let cashier = counter.cashier.clone();
        async move { cashier.settle(&id).await.unwrap().status }
    };
    let all = (0..64).map(|n| settle(if n % 2 == 0 { payment.id.clone() } else { second.id.clone() }));
    let (statuses, ()) = futures::join!(futures::future::join_all(all), counter.app.bill());
    assert!(statuses.iter().all(|status| *status == Status::Succeeded), "{statuses:?}");
    assert_eq!(counter.app.pages("usr_1").await.iter().filter(|page| page.kind == Kind::Payment).count(), 2);
    counter.holds("usr_1", 2_500 - 5).await;
    counter.mails().await;
}

#[tokio::test]
async fn what_nobody_finishes_is_cancelled_after_a_day_and_cannot_be_captured_unseen() {
    let counter = Counter::new().await;
    let card = counter.buy("usr_1", Processor::Stripe, 2_000, "k").await;
    let order = counter.buy("usr_1", Processor::Paypal, 500, "l").await;
    counter.sweep().await;
    assert_eq!(counter.payment(&card.id).await.status, Status::Pending, "an hour is not too long");
    counter.app.pass(24);
    counter.sweep_now().await;
    for payment in [&card, &order] {
        let payment = counter.payment(&payment.id).await;
        assert_eq!((payment.status, payment.open), (Status::Canceled, false), "{payment:?}");
    }
    // At Stripe it is too late.
    counter.sandbox.pay_intent(card.object.as_deref().unwrap(), sandbox::Card::Visa).unwrap_err();
    // At PayPal the payer may still agree; nobody captures.
    counter.pay(&order);
    counter.sandbox.deliver_all().await;
    counter.cashier.capture(&order.customer, &order.id).await.unwrap();
    assert_eq!(counter.sandbox.captured().payments, []);
    counter.holds("usr_1", 0).await;
    // One more look, and then never again.
    counter.app.pass(48);
    counter.sweep_now().await;
    assert_eq!(counter.payment(&card.id).await.due, None);
    assert_eq!(counter.app.system.store.payments_due(counter.app.time.now(), 10).await.unwrap(), []);
}

#[tokio::test]
async fn an_order_paypal_has_forgotten_is_over() {
    let counter = Counter::new().await;
    let order = counter.buy("usr_1", Processor::Paypal, 500, "k").await;
    counter.app.pass(100);
    counter.sweep_now().await;
    let order = counter.payment(&order.id).await;
    assert_eq!((order.status, order.open, order.due), (Status::Canceled, false, None));
    assert_eq!(counter.parked().await, []);
    counter.holds("usr_1", 0).await;
}

#[tokio::test]
async fn a_declined_card_may_be_followed_by_a_good_one() {
    let counter = Counter::new().await;
    let payment = counter.buy("usr_1", Processor::Stripe, 2_000, "k").await;
    let confirm = |method: &'static str, key: &'static str| {
        counter.cashier.confirm(&payment.customer, &payment.id, Some(method), Some(key))
    };
    let declined = confirm("pm_card_chargeDeclinedInsufficientFunds", "a").await.unwrap();
    assert_eq!((declined.status, declined.failure.as_deref()), (Status::Failed, Some("insufficient_funds")));
    let asked = confirm("pm_card_authenticationRequired", "b").await.unwrap();
    assert_eq!(asked.status, Status::RequiresAction);
    let paid = confirm("pm_card_visa", "c").await.unwrap();
    assert_eq!((paid.status, paid.failure), (Status::Succeeded, None));
    assert_eq!(confirm("pm_card_visa", "c").await.unwrap().status, Status::Succeeded, "nothing is charged twice");
    counter.sandbox.deliver_all().await;
    counter.holds("usr_1", 2_000).await;
    counter.mails().await;
}

#[tokio::test]
async fn a_paypal_order_is_captured_when_approved_and_may_stay_pending_or_be_declined() {
    let counter = Counter::new().await;
    let order = counter.buy("usr_1", Processor::Paypal, 500, "k").await;
    assert!(order.approve_url.is_some());
    let early = counter.cashier.capture(&order.customer, &order.id).await.unwrap_err();
    assert!(matches!(early, cashier::CashierError::State(_)), "{early}");
    let object = order.object.clone().unwrap();
    counter.sandbox.approve_order_with(&object, sandbox::Wallet::Declined).unwrap();
    let declined = counter.cashier.capture(&order.customer, &order.id).await.unwrap();
    assert_eq!((declined.status, declined.failure.as_deref()), (Status::Failed, Some("instrument_declined")));
    counter.sandbox.approve_order_with(&object, sandbox::Wallet::Pending).unwrap();
    // By PayPal's name of it, too.
    let early = counter.cashier.capture(&order.customer, &tests::id(&object)).await.unwrap_err();
    assert!(matches!(early, cashier::CashierError::State(_)), "{early}");
    counter.holds("usr_1", 0).await;
    counter.app.pass(100);
    counter.sweep_now().await;
    assert_eq!(counter.payment(&order.id).await.status, Status::Pending, "what is under way is not given up");
    counter.sandbox.settle_capture(&object, true).unwrap();
    counter.sandbox.deliver_all().await;
    assert_eq!(counter.payment(&order.id).await.status, Status::Succeeded);
    counter.holds("usr_1", 500).await;
    counter.mails().await;
}

#[tokio::test]
async fn another_customers_payment_is_not_there() {
    let counter = Counter::new().await;
    let payment = counter.bought("usr_1", Processor::Paypal, 500, "k").await;
    let (thief, object) = (tests::id("usr_2"), tests::id(payment.object.as_deref().unwrap()));
    for answer in [
        counter.cashier.confirm(&thief, &payment.id, None, None).await,
        counter.cashier.capture(&thief, &object).await,
        counter.cashier.verify(&thief, &object).await,
        counter.cashier.verify(&thief, &payment.id).await,
    ] {
        assert!(matches!(answer, Err(cashier::CashierError::NotFound)), "{answer:?}");
    }
    assert_eq!(counter.cashier.verify(&payment.customer, &object).await.unwrap().id, payment.id);
    counter.holds("usr_2", 0).await;
    counter.mails().await;
}
