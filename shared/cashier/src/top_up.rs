//! Buying credits by itself when the balance is low, with a saved method, while the customer is away.
//!
//! One low balance makes one payment, whose id is derived from both, so that however often its event comes it charges once. It
//! counts against the customer's daily limit before the processor hears of it, and is credited as any other payment is: by
//! what was captured. Where the bank asks for the customer, or declines, they get a mail; nothing is tried again.

use crate::send::NEVER_SENT;
use crate::settle::top_up_failed;
use crate::{Cashier, CashierError};
use domain::payment::{NewPayment, Payment, Processor, Purpose, check_purchase, repeatable_id};
use domain::{Amount, Id};
use store::{PaymentCreated, StoreError};

/// A balance that is low.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopUpRequest {
    /// Whose.
    pub customer: Id,
    /// Names the one low balance: the wallet, the threshold and the page that went below it.
    pub event: String,
    /// How much to buy.
    pub amount: Amount,
    /// The saved method to charge.
    pub method: String,
    /// Most that may be bought by itself in a day.
    pub daily_limit: Amount,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToppedUp {
    /// The payment, made now or before. Its status says how far it is.
    Payment(Box<Payment>),
    /// The day's limit is reached: nothing was charged.
    LimitReached,
    /// The method is gone, or not the customer's: nothing was charged.
    NoMethod,
}

/// How a top-up ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopUpEnd {
    /// With money, which was credited before this could be read.
    Captured,
    /// The processor, the bank or the customer did not let it through.
    Failed,
    /// The processor has never heard of it: whoever made it was gone before.
    NeverSent,
}

impl Cashier {
    /// Tops a balance up, once for its event.
    ///
    /// # Errors
    /// An amount that is not sold; the store's or the processor's: call again, it is the same payment.
    pub async fn top_up(&self, request: &TopUpRequest) -> Result<ToppedUp, CashierError> {
        check_purchase(request.amount)?;
        let now = self.clock.now();
        let id = payment_id(&request.customer, &request.event);
        let held = match self.store.payment(&id).await? {
            Some(held) => held,
            None => {
                match self.method_of(&request.customer, &request.method).await {
                    Ok(_) => {}
                    Err(CashierError::NotFound) => return Ok(ToppedUp::NoMethod),
                    Err(error) => return Err(error),
                }
                let new = NewPayment {
                    id,
                    customer: request.customer.clone(),
                    processor: Processor::Stripe,
                    purpose: Purpose::TopUp,
                    amount: request.amount,
                    save_method: false,
                    method: Some(request.method.clone()),
                };
                match self.store.payment_create(&Payment::new(new, now), Some(request.daily_limit), now).await? {
                    PaymentCreated::New(held) | PaymentCreated::Existing(held) => *held,
                    PaymentCreated::TooMany => return Ok(ToppedUp::LimitReached),
                }
            }
        };
        let id = held.0.id.clone();
        if held.0.object.is_none() && held.0.open {
            match self.send(held.clone()).await {
                Ok(_) => {}
                // It has failed, for good: the customer is told.
                Err(CashierError::Refused(_)) => return self.tell_failed(&held.0).await,
                Err(error) => return Err(error),
            }
        }
        Ok(ToppedUp::Payment(Box::new(self.settle(&id).await?)))
    }

    /// What became of the payment of a low balance, once it is over; `None` before, and where there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn topped_up(&self, customer: &Id, event: &str) -> Result<Option<TopUpEnd>, StoreError> {
        let payment = self.store.payment(&payment_id(customer, event)).await?.map(|(payment, _)| payment);
        Ok(payment.filter(|payment| !payment.open).map(|payment| match payment.failure.as_deref() {
            _ if payment.captured != Amount::ZERO => TopUpEnd::Captured,
            Some(NEVER_SENT) => TopUpEnd::NeverSent,
            _ => TopUpEnd::Failed,
        }))
    }

    async fn tell_failed(&self, before: &Payment) -> Result<ToppedUp, CashierError> {
        let (payment, _) = self.held(&before.id).await?;
        let now = self.clock.now();
        let mails: Vec<_> = top_up_failed(before, &payment).into_iter().collect();
        for mail in &mails {
            match self.store.mail_enqueue(mail, now).await {
                Ok(_) => {}
                Err(StoreError::Invalid(detail)) => tracing::error!(detail, "a mail could not be written"),
                Err(error) => return Err(error.into()),
            }
        }
        self.tell(&mails).await;
        Ok(ToppedUp::Payment(Box::new(payment)))
    }
}

fn payment_id(customer: &Id, event: &str) -> Id {
    repeatable_id("pay", customer, &format!("top-up:{event}"))
}
