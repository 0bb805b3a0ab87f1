//! A process that dies between any two steps: the work is dropped after so many polls, for every number there is, and whoever
//! comes next finishes it.

use super::{Counter, admin};
use cashier::CashierError;
use domain::payment::{Processor, RefundStatus, Status, repeatable_id};
use domain::{Amount, Id};
use futures::future::poll_fn;
use skymeter::chaos::{Chaos, Rates};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tests::id;

/// Polls of one piece of work at most.
const MAX_POLLS: usize = 400;

/// Runs `work` until it has been polled `polls` times, then drops it. What came of it, if it was finished before.
async fn dies_after<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test]
async fn buying_may_stop_anywhere() {
    let counter = Counter::new().await;
    for processor in Processor::ALL {
        let mut ended = false;
        for polls in 1..MAX_POLLS {
            let customer = format!("usr_{processor}_{polls}");
            let died = dies_after(polls, counter.started(&customer, processor, 2_000, "k")).await;
            ended = died.is_some();
            // The customer tries again.
            let payment = counter.buy(&customer, processor, 2_000, "k").await;
            assert_eq!(payment.id, repeatable_id("pay", &id(&customer), "k"));
            counter.pay(&payment);
            counter.cashier.settle(&payment.id).await.unwrap();
            assert_eq!(counter.app.balance(&customer).await, 20_000_000, "{processor}, {polls} polls");
            if ended {
                break;
            }
        }
        assert!(ended, "{processor}: it never ends");
    }
    counter.sandbox.deliver_all().await;
    counter.app.verify().await;
    assert_eq!(counter.parked().await, []);
    counter.mails().await;
}

#[tokio::test]
async fn buying_may_stop_and_nobody_come_back() {
    let counter = Counter::new().await;
    let mut seen = Vec::new();
    for polls in 1..MAX_POLLS {
        let customer = format!("usr_{polls}");
        let died = dies_after(polls, counter.started(&customer, Processor::Stripe, 2_000, "k")).await;
        seen.push(customer);
        if died.is_some() {
            break;
        }
    }
    counter.sweep().await;
    for customer in &seen {
        let id = repeatable_id("pay", &id(customer), "k");
        if let Some((payment, _)) = counter.app.system.store.payment(&id).await.unwrap() {
            assert_eq!(payment.status, Status::Pending, "{customer}");
            counter.pay(&payment);
        }
    }
    counter.sandbox.deliver_all().await;
    let captured = counter.sandbox.captured();
    let mut total = 0;
    for customer in &seen {
        total += counter.app.balance(customer).await / 10_000;
    }
    assert_eq!(total, captured.kept("USD"));
    assert!(captured.payments.len() > 3, "{} of {}", captured.payments.len(), seen.len());
    counter.app.verify().await;
    counter.mails().await;
}

#[tokio::test]
async fn settling_may_stop_anywhere() {
    let counter = Counter::new().await;
    for processor in Processor::ALL {
        let mut ended = false;
        for polls in 1..MAX_POLLS {
            let customer = format!("usr_{processor}_{polls}");
            let payment = counter.buy(&customer, processor, 2_000, "k").await;
            counter.pay(&payment);
            ended = dies_after(polls, counter.cashier.settle(&payment.id)).await.is_some();
            if ended {
                break;
            }
        }
        assert!(ended, "{processor}: it never ends");
    }
    // Nobody tells but the sweep.
    counter.sweep().await;
    let truth = counter.sandbox.captured();
    for payment in &truth.payments {
        let customer = match payment.metadata.get("customer") {
            Some(customer) => customer.clone(),
            None => payment.metadata["custom_id"].split_once(':').unwrap().1.to_owned(),
        };
        assert_eq!(counter.app.balance(&customer).await, 20_000_000, "{customer}");
        assert_eq!(counter.app.pages(&customer).await.len(), 1);
    }
    assert!(truth.payments.len() > 6, "{}", truth.payments.len());
    counter.app.verify().await;
    let mails = counter.mails().await;
    assert_eq!(counter.parked().await, []);
    assert!(mails.len() <= truth.payments.len(), "one receipt each at most: {}", mails.len());
}

#[tokio::test]
async fn refunding_may_stop_anywhere() {
    let counter = Counter::new().await;
    let amount = Some(Amount::from_steps(7_000_000));
    for processor in Processor::ALL {
        let mut ended = false;
        let mut seen: Vec<(String, Id)> = Vec::new();
        for polls in 1..MAX_POLLS {
            let customer = format!("usr_{processor}_{polls}");
            let payment = counter.bought(&customer, processor, 2_000, "k").await;
            let by = admin(&counter);
            let work = counter.cashier.refund(&payment.id, amount, None, &by, Some("a"));
            ended = dies_after(polls, work).await.is_some();
            seen.push((customer, payment.id));
            if ended {
                break;
            }
        }
        assert!(ended, "{processor}: it never ends");
        counter.sweep().await;
        for (n, (customer, payment)) in seen.iter().enumerate() {
            let payment = counter.payment(payment).await;
            let done = !payment.refunds.is_empty();
            assert!(payment.refunds.iter().all(|refund| refund.status == RefundStatus::Succeeded), "{payment:?}");
            let cents = if done { 1_300 } else { 2_000 };
            assert_eq!(counter.app.balance(customer).await, cents * 10_000, "{processor} {n}");
        }
    }
    counter.sandbox.deliver_all().await;
    counter.app.verify().await;
    let refunded = counter.sandbox.captured().payments.iter().map(|payment| payment.refunded).max();
    assert_eq!(refunded, Some(700), "no refund was made twice");
    counter.mails().await;
}

/// What a caller who tries again makes of an answer.
fn patiently<T>(answer: Result<T, CashierError>) -> Option<T> {
    match answer {
        Ok(value) => Some(value),
        Err(CashierError::Store(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_database_that_throttles_conflicts_and_loses_answers_changes_no_cent() {
    let rates = Rates { unanswered: 60, throttled: 60, conflict: 60, stale: 200, ..Rates::NONE };
    let chaos = Arc::new(Chaos::new(7, rates));
    let counter = Counter::with(Some(Arc::clone(&chaos))).await;
    for n in 0..40 {
        let (customer, processor) = (format!("usr_{}", n % 4), Processor::ALL[n % 2]);
        let mut payment = None;
        while payment.is_none() {
            payment = patiently(counter.started(&customer, processor, 2_000, &n.to_string()).await);
        }
        let payment = payment.unwrap().payment;
        counter.pay(&payment);
        let all = (0..4).map(|_| counter.cashier.settle(&payment.id));
        futures::future::join_all(all).await.into_iter().for_each(|answer| drop(patiently(answer)));
        let mut refunded = None;
        while n % 3 == 0 && refunded.is_none() {
            let amount = Some(Amount::from_steps(5_000_000));
            refunded = patiently(counter.cashier.refund(&payment.id, amount, None, &admin(&counter), Some("a")).await);
        }
        counter.sandbox.deliver_concurrently(4).await;
    }
    chaos.set_quiet(true);
    counter.sweep().await;
    let truth = counter.sandbox.captured();
    assert_eq!(truth.payments.len(), 40);
    assert_eq!(truth.payments.iter().map(|payment| payment.refunded).sum::<i64>(), 14 * 500);
    let mut total = 0;
    for n in 0..4 {
        total += counter.app.balance(&format!("usr_{n}")).await / 10_000;
    }
    assert_eq!(total, truth.kept("USD"));
    counter.app.verify().await;
    assert_eq!(counter.parked().await, []);
    // A queue may not hear of a receipt; the outbox has it.
    for payment in &truth.payments {
        let named = payment.metadata.get("payment").or(payment.metadata.get("reference_id")).unwrap();
        assert!(counter.app.system.store.mail_get(&format!("receipt:{named}")).await.unwrap().is_some(), "{named}");
    }
    counter.mails().await;
}
