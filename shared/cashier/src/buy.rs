//! Beginning a payment.

use crate::{Cashier, CashierError};
use domain::payment::{NewPayment, Payment, Processor, Purpose, check_purchase, repeatable_id};
use domain::{Amount, Id};
use providers::Secret;
use store::PaymentCreated;

/// Credits to be bought.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// By whom.
    pub customer: Id,
    /// Who moves the money.
    pub processor: Processor,
    /// How much.
    pub amount: Amount,
    /// Whether the method is to be saved for later.
    pub save_method: bool,
    /// How the customer named the request: the same name again is the same payment.
    pub key: Option<String>,
}

/// A payment that the processor knows of.
#[derive(Clone, Debug)]
pub struct Started {
    /// Its record.
    pub payment: Payment,
    /// With this the customer's browser pays at Stripe. For the customer alone.
    pub client_secret: Option<Secret>,
}

impl Cashier {
    /// Begins to buy credits: writes the payment down, then tells the processor. After a crash or an answer that was lost, the
    /// same call goes on where it was.
    ///
    /// # Errors
    /// An amount that is not sold, a key that stands for another payment, a processor that refuses or does not answer.
    pub async fn buy(&self, purchase: Purchase) -> Result<Started, CashierError> {
        check_purchase(purchase.amount)?;
        if !self.processors().contains(&purchase.processor) {
            return Err(CashierError::NotConfigured(purchase.processor));
        }
        let now = self.clock.now();
        let id = match &purchase.key {
            Some(key) => repeatable_id("pay", &purchase.customer, key),
            None => api::new_id("pay", now),
        };
        let new = NewPayment {
            id,
            customer: purchase.customer,
            processor: purchase.processor,
            purpose: Purpose::Credits,
            amount: purchase.amount,
            save_method: purchase.save_method,
            method: None,
        };
        let payment = Payment::new(new, now);
        let held = match self.store.payment_create(&payment, None, now).await? {
            PaymentCreated::New(held) => *held,
            PaymentCreated::Existing(held) if held.0.asks_the_same(&payment) => *held,
            PaymentCreated::Existing(_) | PaymentCreated::TooMany => return Err(CashierError::OtherRequest),
        };
        self.start(held).await
    }

    /// Makes sure that the processor knows of the payment, and fetches what only the customer may know.
    async fn start(&self, held: store::Revised) -> Result<Started, CashierError> {
        if held.0.object.is_none() {
            let (held, client_secret) = self.send(held).await?;
            return Ok(Started { payment: held.0, client_secret });
        }
        let payment = held.0;
        let client_secret = match (&payment.object, payment.processor) {
            (Some(object), Processor::Stripe) if payment.open => {
                self.stripe()?.intent(object).await.map_err(CashierError::of)?.client_secret
            }
            _ => None,
        };
        Ok(Started { payment, client_secret })
    }
}
