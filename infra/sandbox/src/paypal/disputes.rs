//! Disputes: opened by the payer, resolved in favour of either side.

use super::books::{Dispute, DisputeOutcome};
use super::captures::reverse;
use super::{PayPalError, events, objects};
use crate::form::Form;
use crate::world::World;
use serde_json::{Value, json};

/// Most disputes of an answer.
const MOST: usize = 50;

/// Opens a dispute about what is left of a capture. Its id.
pub(crate) fn open(world: &mut World, capture: &str, amount: Option<i64>) -> Result<String, PayPalError> {
    let row = world.paypal.capture(capture)?.clone();
    let left = row.captured() - row.refunded;
    let amount = amount.unwrap_or(left);
    if amount < 1 || amount > left || row.dispute.is_some() {
        return Err(PayPalError::state(
            "TRANSACTION_NOT_DISPUTABLE",
            "The transaction cannot be disputed for that amount.",
        ));
    }
    let now_ms = world.now_ms();
    let id = format!("{}{}", world.capital_id("PP-R-", 3), world.capital_id("-", 8));
    let dispute = Dispute {
        id: id.clone(),
        capture: row.id.clone(),
        amount,
        currency: row.currency,
        outcome: None,
        reversed_too: false,
        created_ms: now_ms,
        updated_ms: now_ms,
    };
    world.paypal.capture_mut(capture)?.dispute = Some(id.clone());
    let shown = objects::dispute(world, &dispute);
    world.paypal.disputes.insert(&id, dispute);
    let summary = "A new dispute opened with Case # ".to_owned() + &id;
    events::tell(world, "CUSTOMER.DISPUTE.CREATED", "dispute", &summary, shown, &[&id, &row.id]);
    Ok(id)
}

/// Resolves a dispute. Losing it may also show as a reversal of the same money.
pub(crate) fn close(world: &mut World, id: &str, won: bool) -> Result<(), PayPalError> {
    let reversed_too = !won && world.strikes(|knobs| &mut knobs.reversed_too);
    let now_ms = world.now_ms();
    let dispute = world.paypal.disputes.get_mut(id).ok_or_else(PayPalError::missing)?;
    if dispute.outcome.is_some() {
        return Err(PayPalError::state("DISPUTE_RESOLVED", "The dispute is resolved."));
    }
    dispute.outcome = Some(if won { DisputeOutcome::Seller } else { DisputeOutcome::Buyer });
    dispute.reversed_too = reversed_too;
    dispute.updated_ms = now_ms;
    let dispute = dispute.clone();
    let shown = objects::dispute(world, &dispute);
    let summary = "A dispute was resolved with Case # ".to_owned() + id;
    events::tell(world, "CUSTOMER.DISPUTE.RESOLVED", "dispute", &summary, shown, &[id, &dispute.capture]);
    if reversed_too {
        reverse(world, &dispute.capture, Some(dispute.amount))?;
    }
    Ok(())
}

/// Disputes of a transaction, or all: newest first, in short.
pub(super) fn list(world: &World, form: &Form) -> Value {
    let transaction = form.get("disputed_transaction_id");
    let fits = |dispute: &&Dispute| transaction.is_none_or(|transaction| dispute.capture == transaction);
    let items =
        world.paypal.disputes.newest().filter(fits).take(MOST).map(|dispute| objects::dispute_summary(world, dispute));
    json!({ "items": items.collect::<Vec<_>>(), "links": [] })
}
