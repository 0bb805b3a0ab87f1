//! Disputes: opened by the customer's bank, which takes the money at once, and closed either way.

use super::books::{Dispute, DisputeStatus};
use super::intents::known;
use super::{StripeError, events, objects, page};
use crate::form::Form;
use crate::world::World;
use serde_json::Value;

/// Opens a dispute about what is left of a charge. Its id.
pub(crate) fn open(world: &mut World, charge: &str, amount: Option<i64>) -> Result<String, StripeError> {
    let row = world.stripe.charge(charge)?.clone();
    let left = row.captured() - row.refunded;
    let amount = amount.unwrap_or(left);
    if amount < 1 || amount > left || row.dispute.is_some() {
        return Err(StripeError::state(
            "charge_not_disputable",
            format!("Charge {charge} cannot be disputed for {amount}."),
        ));
    }
    let id = world.id("du_1", 23);
    let dispute = Dispute {
        id: id.clone(),
        charge: charge.to_owned(),
        intent: row.intent,
        amount,
        currency: row.currency,
        status: DisputeStatus::NeedsResponse,
        created: world.now(),
    };
    if let Some(row) = world.stripe.charges.get_mut(charge) {
        row.dispute = Some(id.clone());
    }
    let shown = objects::dispute(&dispute);
    world.stripe.disputes.insert(&id, dispute);
    events::tell(world, "charge.dispute.created", shown, None);
    Ok(id)
}

/// Closes a dispute. Winning gives the money back.
pub(crate) fn close(world: &mut World, id: &str, won: bool) -> Result<(), StripeError> {
    let dispute = world.stripe.disputes.get_mut(id).ok_or_else(|| StripeError::missing("dispute", id, "dispute"))?;
    if dispute.status != DisputeStatus::NeedsResponse {
        return Err(StripeError::state("dispute_closed", format!("Dispute {id} is closed.")));
    }
    dispute.status = if won { DisputeStatus::Won } else { DisputeStatus::Lost };
    let shown = objects::dispute(dispute);
    events::tell(world, "charge.dispute.closed", shown, None);
    Ok(())
}

pub(super) fn list(world: &World, form: &Form) -> Result<Value, StripeError> {
    known(form, &["payment_intent", "charge", "limit", "starting_after", "expand"])?;
    let (charge, intent) = (form.get("charge"), form.get("payment_intent"));
    let fits = |dispute: &&Dispute| {
        charge.is_none_or(|charge| dispute.charge == charge) && intent.is_none_or(|intent| dispute.intent == intent)
    };
    let rows =
        world.stripe.disputes.newest().filter(fits).map(|dispute| (dispute.id.clone(), objects::dispute(dispute)));
    page(form, "/v1/disputes", rows.collect())
}
