//! What really happened to money: the measure of everything that was said about it.

use crate::config::Processor;
use crate::paypal;
use crate::stripe;
use crate::world::World;
use serde::Serialize;
use std::collections::BTreeMap;

/// One payment that was captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Payment {
    /// Where.
    pub processor: Processor,
    /// The payment intent or the order.
    pub id: String,
    /// The charge or the capture.
    pub transaction: String,
    /// The customer at Stripe.
    pub customer: Option<String>,
    /// Metadata of the intent; `custom_id`, `invoice_id` and `reference_id` of the order.
    pub metadata: BTreeMap<String, String>,
    /// In capital letters.
    pub currency: String,
    /// In minor units, as everything here.
    pub captured: i64,
    /// Refunded or reversed, by whomever.
    pub refunded: i64,
    /// In a dispute that is open. The processor has taken it for the time being.
    pub disputed: i64,
    /// Lost in a dispute, as far as it is not among `refunded`.
    pub lost: i64,
}

impl Payment {
    /// What is left when open disputes are lost.
    #[must_use]
    pub fn kept(&self) -> i64 {
        self.captured - self.refunded - self.disputed - self.lost
    }
}

/// Every captured payment, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// The payments.
    pub payments: Vec<Payment>,
    /// Objects that are no longer remembered. While it is 0 nothing is missing above.
    pub forgotten: u64,
}

impl Truth {
    /// Those with an entry in their metadata.
    pub fn with<'a>(&'a self, key: &'a str, value: &'a str) -> impl Iterator<Item = &'a Payment> {
        self.payments.iter().filter(move |payment| payment.metadata.get(key).is_some_and(|each| each == value))
    }

    /// What is left of all payments in a currency.
    #[must_use]
    pub fn kept(&self, currency: &str) -> i64 {
        self.payments.iter().filter(|payment| payment.currency == currency).map(Payment::kept).sum()
    }
}

pub(crate) fn truth(world: &World) -> Truth {
    let stripe = world.stripe.intents.newest().filter_map(|intent| of_intent(world, intent));
    let paypal = world.paypal.orders.newest().filter_map(|order| of_order(world, order));
    let forgotten = world.stripe.intents.forgotten()
        + world.stripe.charges.forgotten()
        + world.stripe.disputes.forgotten()
        + world.paypal.orders.forgotten()
        + world.paypal.captures.forgotten()
        + world.paypal.disputes.forgotten();
    Truth { payments: stripe.chain(paypal).collect(), forgotten }
}

fn of_intent(world: &World, intent: &stripe::Intent) -> Option<Payment> {
    if intent.status != stripe::IntentStatus::Succeeded {
        return None;
    }
    let charge = world.stripe.charges.get(intent.latest_charge.as_deref()?)?;
    let dispute = charge.dispute.as_ref().and_then(|id| world.stripe.disputes.get(id));
    let (disputed, lost) = dispute.map_or((0, 0), |dispute| match dispute.status {
        stripe::DisputeStatus::NeedsResponse => (dispute.amount, 0),
        stripe::DisputeStatus::Lost => (0, dispute.amount),
        stripe::DisputeStatus::Won => (0, 0),
    });
    Some(Payment {
        processor: Processor::Stripe,
        id: intent.id.clone(),
        transaction: charge.id.clone(),
        customer: intent.customer.clone(),
        metadata: intent.metadata.clone(),
        currency: charge.currency.to_ascii_uppercase(),
        captured: charge.captured(),
        refunded: charge.refunded,
        disputed,
        lost,
    })
}

fn of_order(world: &World, order: &paypal::Order) -> Option<Payment> {
    let capture = world.paypal.captures.get(order.capture.as_deref()?)?;
    if capture.status != paypal::CaptureStatus::Completed {
        return None;
    }
    let dispute = capture.dispute.as_ref().and_then(|id| world.paypal.disputes.get(id));
    let (disputed, lost) = dispute.map_or((0, 0), |dispute| match dispute.outcome {
        None => (dispute.amount, 0),
        Some(paypal::DisputeOutcome::Buyer) if !dispute.reversed_too => (0, dispute.amount),
        Some(paypal::DisputeOutcome::Buyer | paypal::DisputeOutcome::Seller) => (0, 0),
    });
    let metadata = [
        ("reference_id", Some(order.reference_id.clone())),
        ("custom_id", order.custom_id.clone()),
        ("invoice_id", order.invoice_id.clone()),
    ];
    Some(Payment {
        processor: Processor::PayPal,
        id: order.id.clone(),
        transaction: capture.id.clone(),
        customer: None,
        metadata: metadata.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        currency: capture.currency.clone(),
        captured: capture.captured(),
        refunded: capture.refunded,
        disputed,
        lost,
    })
}
