//! The customer comes back: what they say is no more than a reason to ask the processor.

use crate::{Cashier, CashierError};
use domain::Id;
use domain::payment::{Payment, Processor, Status, repeatable_id};

impl Cashier {
    /// Asks the processor about a customer's payment. With `method`, a card is charged for it at Stripe first; an approved order
    /// is captured at PayPal. `key` names the request: the same one again charges once.
    ///
    /// # Errors
    /// [`CashierError::NotFound`] for somebody else's payment; [`CashierError::Refused`] where the processor will not charge the
    /// method; the store's or the processor's.
    pub async fn confirm(
        &self,
        customer: &Id,
        id: &Id,
        method: Option<&str>,
        key: Option<&str>,
    ) -> Result<Payment, CashierError> {
        let payment = self.payment_of(customer, id).await?;
        let Some(method) = method else { return self.settle(&payment.id).await };
        if payment.processor != Processor::Stripe {
            return Err(CashierError::State("a method is given for payments by card only"));
        }
        // It may not have reached the processor yet.
        let payment = self.settle(&payment.id).await?;
        let (Some(object), true) = (&payment.object, payment.open) else { return Ok(payment) };
        let key = key.map(|key| repeatable_id("cnf", &payment.id, &format!("{method}#{key}")));
        let key = key.as_ref().map(Id::as_str);
        match self.stripe()?.confirm_intent(object, method, &self.return_url, key).await {
            Ok(_) => {}
            Err(error) if error.refusal().is_some() => return Err(CashierError::of(error)),
            // Whether it was charged, the intent itself tells.
            Err(error) => tracing::warn!(error = %error, payment = %payment.id, "a confirmation was not answered"),
        }
        self.settle(&payment.id).await
    }

    /// Captures a customer's PayPal order, by our id or PayPal's.
    ///
    /// # Errors
    /// [`CashierError::State`] where the payer has not agreed; otherwise as [`Cashier::confirm`].
    pub async fn capture(&self, customer: &Id, name: &Id) -> Result<Payment, CashierError> {
        let payment = self.payment_named(customer, name).await?;
        if payment.processor != Processor::Paypal {
            return Err(CashierError::NotFound);
        }
        let payment = self.settle(&payment.id).await?;
        match payment.status {
            Status::Created | Status::Pending | Status::RequiresAction if payment.capture.is_none() => {
                Err(CashierError::State("the payer has not approved the order yet"))
            }
            _ => Ok(payment),
        }
    }

    /// Asks the processor about a customer's payment, by our id or the processor's object: what `custom-credits/add` verifies.
    ///
    /// # Errors
    /// As [`Cashier::confirm`].
    pub async fn verify(&self, customer: &Id, name: &Id) -> Result<Payment, CashierError> {
        let payment = self.payment_named(customer, name).await?;
        self.settle(&payment.id).await
    }
}
