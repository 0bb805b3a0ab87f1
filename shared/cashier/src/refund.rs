//! Giving back: written down and reserved first, then asked of the processor under the refund's own key.
//!
//! The credit is taken away when the processor lists the refund ([`Cashier::settle`]), not when it is asked for. Where the
//! answer was lost, the processor is read before it is asked again, and never asked again once it has forgotten keys.

use crate::settle::Reason;
use crate::{Cashier, CashierError};
use domain::payment::{
    Facts, Payment, Processor, Refund, RefundRequest, RefundStatus, repeatable_id, to_cents, to_decimal,
};
use domain::{Amount, Id, Timestamp};
use providers::CallError;
use serde_json::json;
use store::audit::PAYMENT_REFUND;
use store::{AuditRecord, By, Revised, StoreError};

/// Stripe remembers keys for 24 hours, PayPal those of refunds for 45 days; with a margin.
const STRIPE_WINDOW_SECS: i64 = 23 * 3_600;
const PAYPAL_WINDOW_SECS: i64 = 44 * 86_400;
/// A refund this young is being asked for by whoever wrote it down.
const IN_HAND_SECS: i64 = 60;
/// Why a refund that was asked for before is refused: the processor's own code was told then.
const REFUND_FAILED: &str = "refund_failed";
/// Rounds against others that change the same payment.
const MAX_ROUNDS: usize = 16;

/// A refund, and the payment after it.
#[derive(Clone, Debug)]
pub struct Refunded {
    /// The payment.
    pub payment: Payment,
    /// The refund.
    pub refund: Refund,
}

impl Cashier {
    /// Gives a payment back, in whole or in part. The same key again is the same refund.
    ///
    /// # Errors
    /// [`CashierError::Refund`] where there is not so much left, or the key stands for another one; [`CashierError::Refused`]
    /// where the processor will not, or the refund has failed before; the store's or the processor's. A refund whose outcome is unknown is no error: it says so.
    pub async fn refund(
        &self,
        payment: &Id,
        amount: Option<Amount>,
        reason: Option<String>,
        by: &By,
        key: Option<&str>,
    ) -> Result<Refunded, CashierError> {
        let id = match key {
            // Another admin's request is another one. An id has no `#`, so the two cannot run into each other.
            Some(key) => repeatable_id("rfd", payment, &format!("{}#{key}", by.actor)),
            None => api::new_id("rfd", self.clock.now()),
        };
        let request = RefundRequest { id, amount, reason, by: by.actor.to_string() };
        // What was captured and given back until now, not until we last looked.
        self.settle(payment).await?;
        let held = self.reserve(payment, &request, by).await?;
        let refund = held.0.refund(request.id.as_str()).cloned().ok_or(CashierError::NotFound)?;
        if refund.is_unheard() {
            self.ask_refund(held, &refund).await?;
        }
        let payment = self.settle(payment).await?;
        let refund = payment.refund(request.id.as_str()).cloned().ok_or(CashierError::NotFound)?;
        if refund.status == RefundStatus::Failed {
            return Err(CashierError::Refused(REFUND_FAILED.to_owned()));
        }
        Ok(Refunded { payment, refund })
    }

    /// Writes the refund down, and who asked for it, so that no other one can have the same money.
    async fn reserve(&self, payment: &Id, request: &RefundRequest, by: &By) -> Result<Revised, CashierError> {
        for _ in 0..MAX_ROUNDS {
            let now = self.clock.now();
            let held = self.held(payment).await?;
            let next = held.0.with_refund(request, now)?;
            if next == held.0 {
                return Ok(held);
            }
            match self.store.payment_update_by(&held, &next, &record(&held.0, &next, request, by)).await {
                Ok(rev) => return Ok((next, rev)),
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict("refund").into())
    }

    /// Asks the processor, and writes down what became of asking.
    async fn ask_refund(&self, held: Revised, refund: &Refund) -> Result<(), CashierError> {
        let now = self.clock.now();
        let Err(error) = self.send_refund(&held.0, refund).await else { return Ok(()) };
        let refused = CashierError::of_refusal(&error);
        let status = if refused.is_some() { RefundStatus::Failed } else { RefundStatus::Unknown };
        tracing::warn!(error = %error, refund = refund.id, ?status, "a refund was not answered well");
        self.note_refund(&held.0.id, &refund.id, status, now).await?;
        refused.map_or(Ok(()), Err)
    }

    async fn send_refund(&self, payment: &Payment, refund: &Refund) -> Result<(), CallError> {
        let nothing = |detail: &str| CallError::NotDone {
            service: "cashier",
            path: "refund".to_owned(),
            detail: detail.to_owned(),
        };
        let target = payment.refund_target().ok_or_else(|| nothing("the payment has no object"))?;
        match payment.processor {
            Processor::Stripe => {
                let stripe = self.stripe().map_err(|error| nothing(&error.to_string()))?;
                let cents = to_cents(refund.amount).ok_or_else(|| nothing("the amount is not in cents"))?;
                stripe.create_refund(&refund.id, target, cents).await.map(drop)
            }
            Processor::Paypal => {
                let paypal = self.paypal().map_err(|error| nothing(&error.to_string()))?;
                let usd = to_decimal(refund.amount).ok_or_else(|| nothing("the amount is not in cents"))?;
                paypal.create_refund(&refund.id, target, &usd).await.map(drop)
            }
        }
    }

    async fn note_refund(
        &self,
        payment: &Id,
        refund: &str,
        status: RefundStatus,
        now: Timestamp,
    ) -> Result<(), CashierError> {
        for _ in 0..MAX_ROUNDS {
            let held = self.held(payment).await?;
            let next = held.0.clone().with_refund_status(refund, status, now);
            match self.store.payment_update(&held, &next, &[], now).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict("refund").into())
    }

    /// Refunds the processor was asked for and does not list: asked again under the same key while it remembers keys, given up
    /// afterwards. Whether anything changed, so that both must be read again.
    pub(crate) async fn resend_refunds(
        &self,
        held: &Revised,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<bool, CashierError> {
        let window = match held.0.processor {
            Processor::Stripe => STRIPE_WINDOW_SECS,
            Processor::Paypal => PAYPAL_WINDOW_SECS,
        };
        let is_listed = |refund: &Refund| facts.refunds.iter().any(|fact| fact.claim.as_ref() == Some(&refund.id));
        let open = held.0.refunds.iter().filter(|refund| refund.is_unheard() && !is_listed(refund));
        let mut changed = false;
        for refund in open.filter(|refund| now.since(refund.at) >= IN_HAND_SECS) {
            if now.since(refund.at) >= window {
                self.note_refund(&held.0.id, &refund.id, RefundStatus::Failed, now).await?;
                changed = true;
                continue;
            }
            match self.send_refund(&held.0, refund).await {
                Ok(()) => changed = true,
                Err(error) if CashierError::of_refusal(&error).is_some() => {
                    tracing::warn!(error = %error, refund = refund.id, "a refund was refused");
                    self.note_refund(&held.0.id, &refund.id, RefundStatus::Failed, now).await?;
                    changed = true;
                }
                // Still nobody knows: the next look asks again.
                Err(error) => tracing::warn!(error = %error, refund = refund.id, "a refund is still unknown"),
            }
        }
        Ok(changed)
    }

    /// Settles again, and asks again for what was never answered.
    pub(crate) async fn settle_thoroughly(&self, id: &Id) -> Result<Payment, CashierError> {
        self.settle_for(id, Reason { is_sweep: true, ..Reason::default() }).await
    }
}

/// Who asked for it, and what is left afterwards.
fn record(before: &Payment, after: &Payment, request: &RefundRequest, by: &By) -> AuditRecord {
    let left = |payment: &Payment| json!({ "refundable": to_decimal(payment.refundable()) });
    let amount = after.refund(request.id.as_str()).and_then(|refund| to_decimal(refund.amount));
    let after = json!({ "refund": request.id.as_str(), "amount": amount, "refundable": left(after)["refundable"] });
    let record = by.record(PAYMENT_REFUND, format!("payment/{}", before.id), left(before), after);
    AuditRecord { reason: request.reason.clone(), ..record }
}
