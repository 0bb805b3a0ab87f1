//! Telling a processor of a payment, once.
//!
//! The payment's id is the key of its creation, so sending it again is safe for as long as the processor remembers keys. After
//! that it is not sent again: at Stripe it is looked for, at PayPal it is given up (nobody but us could have captured it).

use crate::{Cashier, CashierError};
use domain::payment::{Payment, Processor, Purpose, Status, to_cents, to_decimal};
use domain::{Id, Timestamp};
use providers::Secret;
use providers::paypal::NewOrder;
use providers::stripe::{NewIntent, StripeIntent};
use store::{Revised, StoreError};

/// Stripe remembers keys for 24 hours; clocks may differ by one.
const STRIPE_WINDOW_SECS: i64 = 23 * 3_600;
/// PayPal remembers them for six.
const PAYPAL_WINDOW_SECS: i64 = 5 * 3_600;
/// A top-up charges at once: it is not sent again long after the balance was low.
const TOP_UP_WINDOW_SECS: i64 = 3_600;
/// Rounds against others that change the same payment.
const MAX_ROUNDS: usize = 16;
/// What a payment failed of that never reached its processor.
pub(crate) const NEVER_SENT: &str = "never_reached_the_processor";

/// What a processor made of it.
struct Made {
    object: String,
    approve_url: Option<String>,
    client_secret: Option<Secret>,
}

impl Cashier {
    /// Makes sure that the processor knows of a payment without an object, or gives the payment up.
    ///
    /// # Errors
    /// The processor's: whether it knows is then unknown, and the same call again finds out. [`CashierError::Refused`] where
    /// it refused for good; the payment has failed then.
    pub(crate) async fn send(&self, held: Revised) -> Result<(Revised, Option<Secret>), CashierError> {
        let now = self.clock.now();
        let made = match held.0.processor {
            Processor::Stripe => self.send_to_stripe(&held.0, now).await,
            Processor::Paypal => self.send_to_paypal(&held.0, now).await,
        };
        match made {
            Ok(Some(made)) => {
                let client_secret = made.client_secret;
                let bound = |payment: Payment| Payment {
                    object: Some(made.object.clone()),
                    approve_url: made.approve_url.clone().or(payment.approve_url),
                    status: Status::Pending,
                    ..payment
                };
                Ok((self.save(held, bound, now).await?, client_secret))
            }
            Ok(None) => {
                // One that has failed keeps its reason.
                let give_up = |payment: Payment| if payment.open { payment.failed(NEVER_SENT, now) } else { payment };
                Ok((self.save(held, give_up, now).await?, None))
            }
            Err(error) => {
                if let CashierError::Refused(code) = &error {
                    tracing::warn!(code, payment = %held.0.id, "a payment was refused");
                    self.save(held, |payment| payment.failed(code, now), now).await?;
                }
                Err(error)
            }
        }
    }

    async fn send_to_stripe(&self, payment: &Payment, now: Timestamp) -> Result<Option<Made>, CashierError> {
        let stripe = self.stripe()?;
        let stripe_customer = self.stripe_customer(&payment.customer).await?;
        let window = match payment.purpose {
            Purpose::Credits => STRIPE_WINDOW_SECS,
            Purpose::TopUp => TOP_UP_WINDOW_SECS,
        };
        let sent = match to_cents(payment.amount) {
            Some(cents) if payment.status == Status::Created && payment.age_secs(now) < window => {
                let new = NewIntent {
                    payment: payment.id.as_str(),
                    customer: payment.customer.as_str(),
                    stripe_customer: &stripe_customer,
                    cents,
                    save_method: payment.save_method,
                    off_session: payment.method.as_deref(),
                };
                Some(stripe.create_intent(&new).await)
            }
            _ => None,
        };
        let find =
            || async { stripe.find_intent(&stripe_customer, payment.id.as_str()).await.map_err(CashierError::of) };
        let found = match sent {
            Some(Ok(intent)) => Some(intent),
            Some(Err(error)) if error.refusal().is_some() => return Err(CashierError::of(error)),
            // The answer was lost, and Stripe remembers a failure as well as a success: it is looked for.
            Some(Err(error)) => Some(find().await?.ok_or(CashierError::Call(error))?),
            None => find().await?,
        };
        Ok(found.map(|StripeIntent { id, client_secret, .. }| Made { object: id, approve_url: None, client_secret }))
    }

    async fn send_to_paypal(&self, payment: &Payment, now: Timestamp) -> Result<Option<Made>, CashierError> {
        let paypal = self.paypal()?;
        let Some(usd) = to_decimal(payment.amount) else { return Ok(None) };
        if payment.status != Status::Created || payment.age_secs(now) >= PAYPAL_WINDOW_SECS {
            return Ok(None);
        }
        let custom_id = custom_id(&payment.id, &payment.customer);
        let new = NewOrder {
            payment: payment.id.as_str(),
            custom_id: &custom_id,
            usd: &usd,
            return_url: &self.return_url,
            cancel_url: &self.return_url,
        };
        let order = paypal.create_order(&new).await.map_err(CashierError::of)?;
        Ok(Some(Made { object: order.id, approve_url: order.approve_url, client_secret: None }))
    }

    /// Saves a change. Where somebody else has changed the payment meanwhile and knows its object, theirs stands.
    pub(crate) async fn save(
        &self,
        mut held: Revised,
        change: impl Fn(Payment) -> Payment,
        now: Timestamp,
    ) -> Result<Revised, CashierError> {
        for _ in 0..MAX_ROUNDS {
            let next = change(held.0.clone()).looked_at(now);
            match self.store.payment_update(&held, &next, &[], now).await {
                Ok(rev) => return Ok((next, rev)),
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
            // A conflict may also be with somebody who changed nothing in the end.
            let fresh = self.held(&held.0.id).await?;
            if fresh.1 != held.1 && fresh.0.object.is_some() {
                return Ok(fresh);
            }
            held = fresh;
        }
        Err(StoreError::Conflict("payment").into())
    }

    /// Stripe's name for a customer, made where there is none yet.
    pub(crate) async fn stripe_customer(&self, customer: &Id) -> Result<String, CashierError> {
        if let Some(name) = self.store.processor_customer(Processor::Stripe, customer).await? {
            return Ok(name);
        }
        let name = self.stripe()?.create_customer(customer.as_str()).await.map_err(CashierError::of)?;
        Ok(self.store.processor_customer_put(Processor::Stripe, customer, &name).await?)
    }
}

/// What is written on an order: whose it is.
pub(crate) fn custom_id(payment: &Id, customer: &Id) -> String {
    format!("{payment}:{customer}")
}
