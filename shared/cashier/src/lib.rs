//! Between payment processors and the ledger: every captured dollar is credited once, whoever tells first.
//!
//! Owns: the order of things. A payment is written down before its processor hears of it ([`Cashier::buy`]); money is credited
//! on one path only ([`Cashier::settle`]), by what the processor's API says of its object. A webhook, the customer who comes
//! back and the sweep are only reasons to take that path; so any of them may come first, twice, late or never. What
//! cannot be matched is parked for an operator.
//!
//! Does *not*: decide what follows from a processor's words ([`domain::payment`] does), or know wire formats
//! ([`providers::stripe`] and [`providers::paypal`] do), or stand on a path of its own (the functions that use it do).

mod buy;
mod config;
mod confirm;
mod error;
pub mod limits;
mod methods;
mod paypal;
mod refund;
mod send;
mod settle;
mod stripe;
mod sweep;
mod top_up;
pub mod webhook;

pub use buy::{Purchase, Started};
pub use config::{CashierConfig, StripeAccount, read_paypal, read_stripe};
pub use error::CashierError;
pub use methods::SavedMethod;
pub use providers::is_object_id;
pub use refund::Refunded;
pub use sweep::Swept;
pub use top_up::{TopUpEnd, TopUpRequest, ToppedUp};

use api::Clock;
use domain::Id;
use domain::payment::{Payment, Processor};
use providers::{PayPal, Queue, Secret, Stripe};
use std::sync::Arc;
use store::{OutboxMail, Revised, Store};

/// Cheap to clone; every clone shares the clients.
#[derive(Clone, Debug)]
pub struct Cashier {
    store: Store,
    clock: Clock,
    stripe: Option<Arc<Stripe>>,
    webhook_secrets: Arc<[Secret]>,
    paypal: Option<Arc<PayPal>>,
    mails: Option<Arc<dyn Queue>>,
    return_url: Arc<str>,
}

impl Cashier {
    /// Where payments are written down.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The processors that are set up.
    #[must_use]
    pub fn processors(&self) -> Vec<Processor> {
        let is_there = |processor: &Processor| match processor {
            Processor::Stripe => self.stripe.is_some(),
            Processor::Paypal => self.paypal.is_some(),
        };
        Processor::ALL.into_iter().filter(is_there).collect()
    }

    /// A customer's payment; another one's is not there.
    ///
    /// # Errors
    /// [`CashierError::NotFound`]; the store's.
    pub async fn payment_of(&self, customer: &Id, id: &Id) -> Result<Payment, CashierError> {
        let (payment, _) = self.held(id).await?;
        if payment.customer == *customer { Ok(payment) } else { Err(CashierError::NotFound) }
    }

    /// A customer's payment by whatever name they have for it: our id, or the processor's object.
    ///
    /// # Errors
    /// As [`Cashier::payment_of`].
    pub async fn payment_named(&self, customer: &Id, name: &Id) -> Result<Payment, CashierError> {
        if let Some((payment, _)) = self.store.payment(name).await?
            && payment.customer == *customer
        {
            return Ok(payment);
        }
        for processor in Processor::ALL {
            if let Some(id) = self.store.payment_of_object(processor, name.as_str()).await? {
                return self.payment_of(customer, &id).await;
            }
        }
        Err(CashierError::NotFound)
    }

    async fn held(&self, id: &Id) -> Result<Revised, CashierError> {
        self.store.payment(id).await?.ok_or(CashierError::NotFound)
    }

    fn stripe(&self) -> Result<&Stripe, CashierError> {
        self.stripe.as_deref().ok_or(CashierError::NotConfigured(Processor::Stripe))
    }

    fn paypal(&self) -> Result<&PayPal, CashierError> {
        self.paypal.as_deref().ok_or(CashierError::NotConfigured(Processor::Paypal))
    }

    /// Tells the mailer of mails that are in the outbox. Should that fail, they are found there.
    async fn tell(&self, mails: &[OutboxMail]) {
        let ids: Vec<String> = mails.iter().map(|mail| mail.id.clone()).collect();
        let Some(queue) = self.mails.as_ref().filter(|_| !ids.is_empty()) else { return };
        if let Err(error) = queue.send(ids).await {
            tracing::warn!(error = %error, "the mailer was not told; the outbox has its mails");
        }
    }
}
