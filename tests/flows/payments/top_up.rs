//! Automatic top-up: once for a low balance, within the day's limit, credited only by what was captured.

use super::Counter;
use cashier::{Purchase, TopUpRequest, ToppedUp};
use domain::Amount;
use domain::payment::{Payment, Processor, Status};
use sandbox::{Card, Chance};
use tests::id;

fn usd(amount: i64) -> Amount {
    Amount::from_steps(amount * super::USD)
}

impl Counter {
    /// A customer who has paid once and saved the card: its id.
    async fn saved(&self, customer: &str, card: Card) -> String {
        let purchase = Purchase {
            customer: id(customer),
            processor: Processor::Stripe,
            amount: usd(1),
            save_method: true,
            key: Some("save".to_owned()),
        };
        let payment = self.cashier.buy(purchase).await.unwrap().payment;
        self.sandbox.pay_intent(payment.object.as_deref().unwrap(), card).unwrap();
        if card == Card::AuthenticationRequired {
            self.sandbox.authenticate_intent(payment.object.as_deref().unwrap(), true).unwrap();
        }
        self.cashier.settle(&payment.id).await.unwrap();
        let methods = self.cashier.methods(&id(customer)).await.unwrap();
        assert_eq!(methods.len(), 1, "{methods:?}");
        methods[0].id.clone()
    }

    async fn top_up(&self, customer: &str, method: &str, event: &str) -> ToppedUp {
        self.cashier.top_up(&request(customer, method, event)).await.unwrap()
    }
}

fn request(customer: &str, method: &str, event: &str) -> TopUpRequest {
    TopUpRequest {
        customer: id(customer),
        event: event.to_owned(),
        amount: usd(20),
        method: method.to_owned(),
        daily_limit: usd(50),
    }
}

fn payment(topped_up: ToppedUp) -> Payment {
    match topped_up {
        ToppedUp::Payment(payment) => *payment,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_low_balance_charges_once_and_the_day_has_a_limit() {
    let counter = Counter::new().await;
    let method = counter.saved("usr_1", Card::Visa).await;
    let first = payment(counter.top_up("usr_1", &method, "low-1").await);
    assert_eq!((first.status, first.captured), (Status::Succeeded, usd(20)));
    let again = futures::future::join_all((0..8).map(|_| counter.top_up("usr_1", &method, "low-1"))).await;
    assert!(again.into_iter().all(|one| payment(one).id == first.id));
    payment(counter.top_up("usr_1", &method, "low-2").await);
    assert_eq!(counter.top_up("usr_1", &method, "low-3").await, ToppedUp::LimitReached);
    counter.sandbox.deliver_all().await;
    counter.holds("usr_1", 4_100).await;
    counter.app.pass(24);
    payment(counter.top_up("usr_1", &method, "low-3").await);
    counter.holds("usr_1", 6_100).await;
    counter.mails().await;
}

#[tokio::test]
async fn a_card_that_does_not_pay_or_wants_the_customer_is_told_by_mail_and_not_tried_again() {
    let counter = Counter::new().await;
    for (customer, card, code) in [
        ("usr_declined", Card::DeclinedLater, "generic_decline"),
        ("usr_asked", Card::AuthenticationRequired, "authentication_required"),
    ] {
        let method = counter.saved(customer, card).await;
        counter.mails().await;
        let failed = payment(counter.top_up(customer, &method, "low-1").await);
        assert_eq!((failed.status, failed.open), (Status::Failed, false), "{customer}");
        assert_eq!(failed.failure.as_deref(), Some(code));
        assert_eq!(counter.mails().await, [format!("top-up-action:{}", failed.id)]);
        // Again, by whomever: nothing more is charged or told.
        assert_eq!(payment(counter.top_up(customer, &method, "low-1").await).status, Status::Failed);
        counter.sandbox.deliver_all().await;
        counter.sweep().await;
        assert_eq!(counter.mails().await, Vec::<String>::new());
        let error = counter.sandbox.pay_intent(failed.object.as_deref().unwrap(), Card::Visa).unwrap_err();
        assert!(error.to_string().contains("canceled"), "{error}");
        counter.holds(customer, 100).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_charges_no_second_time() {
    let counter = Counter::new().await;
    let method = counter.saved("usr_1", Card::Visa).await;
    counter.sandbox.tune(|knobs| {
        (knobs.fail_after, knobs.only) = (Chance::ALWAYS, "POST /v1/payment_intents".to_owned());
    });
    let found = payment(counter.top_up("usr_1", &method, "low-1").await);
    assert_eq!(found.status, Status::Succeeded, "Stripe was asked what it had made");
    counter.sandbox.tune(|knobs| (knobs.fail_after, knobs.fail_before) = (Chance::Off, Chance::ALWAYS));
    counter.cashier.top_up(&request("usr_1", &method, "low-2")).await.unwrap_err();
    counter.sandbox.tune(|knobs| knobs.fail_before = Chance::Off);
    // Long after the balance was low it is not sent again.
    counter.sweep().await;
    let id = domain::payment::repeatable_id("pay", &id("usr_1"), "top-up:low-2");
    assert_eq!(counter.payment(&id).await.status, Status::Failed);
    counter.holds("usr_1", 2_100).await;
    counter.mails().await;
}

#[tokio::test]
async fn only_the_customers_own_card_is_charged_or_forgotten() {
    let counter = Counter::new().await;
    let method = counter.saved("usr_1", Card::Visa).await;
    counter.saved("usr_2", Card::Visa).await;
    for (customer, method) in
        [("usr_2", method.as_str()), ("usr_3", method.as_str()), ("usr_1", "pm_none"), ("usr_1", "../x")]
    {
        assert_eq!(counter.top_up(customer, method, "low-1").await, ToppedUp::NoMethod, "{customer} {method}");
        let gone = counter.cashier.method_delete(&id(customer), method).await;
        assert!(matches!(gone, Err(cashier::CashierError::NotFound)), "{gone:?}");
    }
    counter.cashier.method_delete(&id("usr_1"), &method).await.unwrap();
    assert_eq!(counter.cashier.methods(&id("usr_1")).await.unwrap(), []);
    assert_eq!(counter.top_up("usr_1", &method, "low-1").await, ToppedUp::NoMethod);
    counter.holds("usr_1", 100).await;
    counter.mails().await;
}
