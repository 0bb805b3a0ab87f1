//! Refunds, in parts too, by the caller or at the dashboard.

use super::books::{DisputeStatus, Metadata, Refund};
use super::intents::{amount, known, metadata};
use super::{StripeError, events, objects, page};
use crate::form::Form;
use crate::world::World;
use serde_json::{Value, json};

pub(super) fn create(world: &mut World, form: &Form) -> Result<Value, StripeError> {
    known(form, &["payment_intent", "charge", "amount", "reason", "metadata", "expand"])?;
    let charge = match (form.get("charge"), form.get("payment_intent")) {
        (Some(charge), _) => world.stripe.charge(charge)?.id.clone(),
        (None, Some(intent)) => world.stripe.intent(intent)?.latest_charge.clone().ok_or_else(|| {
            let message = format!("This PaymentIntent ({intent}) does not have a successful charge to refund.");
            StripeError::state("payment_intent_unexpected_state", message)
        })?,
        (None, None) => {
            return Err(StripeError::invalid(
                "One of the following params should be provided for this request: payment_intent or charge.",
            ));
        }
    };
    let reason = form.get("reason").map(str::to_owned);
    if reason.as_deref().is_some_and(|reason| !["duplicate", "fraudulent", "requested_by_customer"].contains(&reason)) {
        return Err(StripeError::param("reason", "parameter_invalid_string", "Invalid reason"));
    }
    let id = refund(world, &charge, amount(form, "amount")?, reason, metadata(form)?)?;
    let made = world.stripe.refunds.get(&id).ok_or_else(|| StripeError::missing("refund", &id, "id"))?;
    Ok(objects::refund(made))
}

/// Refunds a charge, what is left of it unless an amount is given. The refund's id.
pub(crate) fn refund(
    world: &mut World,
    charge: &str,
    amount: Option<i64>,
    reason: Option<String>,
    metadata: Metadata,
) -> Result<String, StripeError> {
    let row = world.stripe.charge(charge)?.clone();
    let left = row.captured() - row.refunded;
    if row.captured() == 0 {
        return Err(StripeError::state("charge_not_refundable", format!("Charge {charge} did not succeed.")));
    }
    let dispute = row.dispute.as_ref().and_then(|id| world.stripe.disputes.get(id));
    if dispute.is_some_and(|dispute| dispute.status != DisputeStatus::Won) {
        return Err(StripeError::state(
            "charge_disputed",
            format!("Charge {charge} has been charged back; cannot issue a refund."),
        ));
    }
    if left == 0 {
        return Err(StripeError::state(
            "charge_already_refunded",
            format!("Charge {charge} has already been refunded."),
        ));
    }
    let amount = amount.unwrap_or(left);
    if amount > left {
        let money = |minor| crate::money::value(minor, &row.currency.to_ascii_uppercase());
        let message = format!(
            "Refund amount (${}) is greater than unrefunded amount on charge (${})",
            money(amount),
            money(left)
        );
        return Err(StripeError::param("amount", "amount_too_large", message));
    }
    let id = world.id("re_3", 23);
    let refund = Refund {
        id: id.clone(),
        charge: charge.to_owned(),
        intent: row.intent,
        amount,
        currency: row.currency,
        metadata,
        reason,
        created: world.now(),
    };
    let shown = objects::refund(&refund);
    world.stripe.refunds.insert(&id, refund);
    if let Some(row) = world.stripe.charges.get_mut(charge) {
        row.refunded += amount;
        row.refunds.push(id.clone());
    }
    events::tell(world, "refund.created", shown, None);
    let row = world.stripe.charge(charge)?;
    let previous = json!({ "amount_refunded": row.refunded - amount, "refunded": false });
    let shown = objects::charge(world, row, false);
    events::tell(world, "charge.refunded", shown, Some(previous));
    Ok(id)
}

pub(super) fn list(world: &World, form: &Form) -> Result<Value, StripeError> {
    known(form, &["payment_intent", "charge", "limit", "starting_after", "expand"])?;
    let row = |refund: &Refund| (refund.id.clone(), objects::refund(refund));
    let (charge, intent) = (form.get("charge"), form.get("payment_intent"));
    let rows: Vec<_> = if charge.or(intent).is_none() {
        world.stripe.refunds.newest().map(row).collect()
    } else {
        // A failed charge has no refunds, so the latest has them all.
        let latest =
            intent.and_then(|id| world.stripe.intents.get(id)).and_then(|intent| intent.latest_charge.as_deref());
        let refunds =
            charge.or(latest).and_then(|id| world.stripe.charges.get(id)).map(|charge| charge.refunds.as_slice());
        refunds.unwrap_or_default().iter().rev().filter_map(|id| world.stripe.refunds.get(id)).map(row).collect()
    };
    page(form, "/v1/refunds", rows)
}
