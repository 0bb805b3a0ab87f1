//! What Stripe says of a payment, in the words of [`domain::payment`].

use crate::settle::Said;
use crate::{Cashier, CashierError};
use domain::Amount;
use domain::payment::{
    Capture, Claims, DisputeFact, DisputeState, Facts, Payment, RefundFact, RefundState, Reported, State, from_cents,
};
use providers::stripe::{StripeDispute, StripeIntent, StripeIntentStatus, StripeRefund, StripeRefundStatus};

impl Cashier {
    /// All Stripe says of an intent; nothing where it knows none of that id. Refunds and disputes are asked for where the
    /// charge, or our own record, says that there were some.
    pub(crate) async fn stripe_facts(&self, payment: &Payment, intent: &str) -> Result<Option<Said>, CashierError> {
        let stripe = self.stripe()?;
        let intent = match stripe.intent(intent).await {
            Ok(intent) => intent,
            Err(error) if error.refusal().is_some_and(|refusal| refusal.status == 404) => return Ok(None),
            Err(error) => return Err(CashierError::of(error)),
        };
        let refunds = if intent.given_back > 0 || !payment.refunds.is_empty() {
            stripe.refunds(&intent.id).await.map_err(CashierError::of)?
        } else {
            Vec::new()
        };
        let disputes = if intent.disputed || payment.disputed > Amount::ZERO {
            stripe.disputes(&intent.id).await.map_err(CashierError::of)?
        } else {
            Vec::new()
        };
        Ok(Some(Said { facts: facts(intent, refunds, disputes), unread: None }))
    }
}

fn facts(intent: StripeIntent, refunds: Vec<StripeRefund>, disputes: Vec<StripeDispute>) -> Facts {
    let state = match intent.status {
        StripeIntentStatus::RequiresPaymentMethod if intent.failure.is_some() => State::Declined,
        StripeIntentStatus::RequiresPaymentMethod | StripeIntentStatus::RequiresConfirmation => State::Waiting,
        StripeIntentStatus::RequiresAction => State::ActionRequired,
        // We capture automatically; one that waits for it was made otherwise, and is not ours to take.
        StripeIntentStatus::Processing | StripeIntentStatus::RequiresCapture => State::Processing,
        StripeIntentStatus::Canceled => State::Canceled,
        StripeIntentStatus::Succeeded => State::Captured,
    };
    // Oldest first, so that pages are posted in the order things happened.
    let refunds = refunds.into_iter().rev().map(|refund| RefundFact {
        money: money(refund.amount, &refund.currency),
        state: match refund.status {
            StripeRefundStatus::Pending => RefundState::Pending,
            StripeRefundStatus::Succeeded => RefundState::Succeeded,
            StripeRefundStatus::Failed => RefundState::Failed,
        },
        claim: refund.refund,
        object: refund.id,
    });
    let disputes = disputes.into_iter().rev().filter_map(|dispute| {
        Some(DisputeFact {
            money: money(dispute.amount, &dispute.currency),
            state: dispute_state(&dispute.status)?,
            object: dispute.id,
            as_refund: false,
            lost: None,
        })
    });
    let captured = (state == State::Captured && intent.received > 0)
        .then(|| Capture { object: intent.id.clone(), money: money(intent.received, &intent.currency) });
    Facts {
        claims: Claims { payment: intent.payment, customer: intent.customer },
        state,
        captures: captured.into_iter().collect(),
        refunds: refunds.collect(),
        disputes: disputes.collect(),
        disputes_unread: false,
        failure: intent.failure,
        object: intent.id,
    }
}

/// Inquiries take no money, and what was prevented was refunded instead.
fn dispute_state(status: &str) -> Option<DisputeState> {
    match status {
        "won" => Some(DisputeState::Won),
        "lost" => Some(DisputeState::Lost),
        "prevented" | "charge_refunded" => None,
        inquiry if inquiry.starts_with("warning_") => None,
        _ => Some(DisputeState::Open),
    }
}

fn money(minor: i64, currency: &str) -> Reported {
    match from_cents(minor) {
        Ok(amount) if currency == "usd" => Reported::Usd(amount),
        _ => Reported::Foreign(format!("{minor} {currency}, in minor units")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dollars_are_dollars() {
        assert_eq!(money(2_000, "usd"), Reported::Usd(Amount::from_steps(20_000_000)));
        assert_eq!(money(2_000, "jpy"), Reported::Foreign("2000 jpy, in minor units".to_owned()));
        assert_eq!(money(i64::MAX, "usd"), Reported::Foreign(format!("{} usd, in minor units", i64::MAX)));
    }

    #[test]
    fn an_inquiry_is_no_dispute() {
        for (status, taken) in [
            ("needs_response", Some(DisputeState::Open)),
            ("under_review", Some(DisputeState::Open)),
            ("a_new_word", Some(DisputeState::Open)),
            ("won", Some(DisputeState::Won)),
            ("lost", Some(DisputeState::Lost)),
            ("warning_needs_response", None),
            ("warning_closed", None),
            ("prevented", None),
        ] {
            assert_eq!(dispute_state(status), taken, "{status}");
        }
    }
}
