//! Captures: settled when they were pending, refunded, reversed.

use super::books::{Capture, CaptureStatus, Refund};
use super::orders::Amount;
use super::{PayPalError, events, objects};
use crate::world::World;
use serde::Deserialize;
use serde_json::Value;

#[derive(Default, Deserialize)]
struct Asked {
    amount: Option<Amount>,
    custom_id: Option<String>,
    invoice_id: Option<String>,
    note_to_payer: Option<String>,
}

pub(super) fn create_refund(world: &mut World, id: &str, body: &[u8], whole: bool) -> Result<Value, PayPalError> {
    let asked: Asked = if body.trim_ascii().is_empty() {
        Asked::default()
    } else {
        serde_json::from_slice(body).map_err(|_| PayPalError::malformed())?
    };
    let capture = world.paypal.capture(id)?;
    if asked.amount.as_ref().is_some_and(|amount| amount.currency_code != capture.currency) {
        return Err(PayPalError::state(
            "REFUND_CAPTURE_CURRENCY_MISMATCH",
            "Refund must be in the same currency as the capture currency.",
        ));
    }
    let amount = asked.amount.map(|amount| amount.minor()).transpose()?;
    let words = Words { custom_id: asked.custom_id, invoice_id: asked.invoice_id, note: asked.note_to_payer };
    let refund = give_back(world, id, amount, words, "PAYMENT.CAPTURE.REFUNDED")?;
    Ok(if whole { objects::refund(world, &refund) } else { objects::refund_minimal(world, &refund) })
}

#[derive(Default)]
struct Words {
    custom_id: Option<String>,
    invoice_id: Option<String>,
    note: Option<String>,
}

/// Refunds a capture at the dashboard, what is left of it unless an amount is given. The refund's id.
pub(crate) fn refund(world: &mut World, id: &str, amount: Option<i64>) -> Result<String, PayPalError> {
    give_back(world, id, amount, Words::default(), "PAYMENT.CAPTURE.REFUNDED").map(|refund| refund.id)
}

/// Reverses a capture: its bank took the money back. The id of the reversal, which looks like a refund.
pub(crate) fn reverse(world: &mut World, id: &str, amount: Option<i64>) -> Result<String, PayPalError> {
    let words = Words { note: Some("Payment reversed".to_owned()), ..Words::default() };
    give_back(world, id, amount, words, "PAYMENT.CAPTURE.REVERSED").map(|refund| refund.id)
}

fn give_back(
    world: &mut World,
    id: &str,
    amount: Option<i64>,
    words: Words,
    kind: &str,
) -> Result<Refund, PayPalError> {
    let capture = world.paypal.capture(id)?.clone();
    let left = capture.captured() - capture.refunded;
    if capture.captured() == 0 {
        return Err(PayPalError::state("REFUND_NOT_ALLOWED", "The capture is not completed."));
    }
    if left == 0 {
        return Err(PayPalError::state("CAPTURE_FULLY_REFUNDED", "The capture has already been fully refunded."));
    }
    let amount = amount.unwrap_or(left);
    if amount > left || amount < 1 {
        return Err(PayPalError::state(
            "REFUND_AMOUNT_EXCEEDED",
            "The refund amount must be less than or equal to the capture amount that has not yet been refunded.",
        ));
    }
    let now_ms = world.now_ms();
    let refund = Refund {
        id: world.capital_id("", 17),
        capture: capture.id,
        amount,
        currency: capture.currency,
        custom_id: words.custom_id.or(capture.custom_id),
        invoice_id: words.invoice_id,
        note: words.note,
        total: capture.refunded + amount,
        created_ms: now_ms,
    };
    world.paypal.refunds.insert(&refund.id, refund.clone());
    let row = world.paypal.capture_mut(id)?;
    row.refunded += amount;
    row.refunds.push(refund.id.clone());
    row.updated_ms = now_ms;
    let verb = kind.rsplit('.').next().unwrap_or(kind).to_ascii_lowercase();
    let value = crate::money::value(amount, &refund.currency);
    let summary = format!("A $ {value} {} capture payment was {verb}", refund.currency);
    let shown = objects::refund(world, &refund);
    events::tell(world, kind, "refund", &summary, shown, &[&refund.id, &refund.capture]);
    Ok(refund)
}

/// Settles a pending capture.
pub(crate) fn settle(world: &mut World, id: &str, completed: bool) -> Result<(), PayPalError> {
    let now_ms = world.now_ms();
    let capture = world.paypal.capture_mut(id)?;
    if capture.status != CaptureStatus::Pending {
        return Err(PayPalError::state("CAPTURE_STATUS_INVALID", "The capture is not pending."));
    }
    capture.status = if completed { CaptureStatus::Completed } else { CaptureStatus::Declined };
    capture.updated_ms = now_ms;
    let capture: Capture = capture.clone();
    let kind = if completed { "PAYMENT.CAPTURE.COMPLETED" } else { "PAYMENT.CAPTURE.DENIED" };
    events::tell_capture(world, kind, &capture);
    Ok(())
}
