//! Where cards are charged: by the caller, and by the customer at the page.

use super::books::{Charge, Intent, IntentStatus, Method};
use super::cards::{Card, Charged, Decline, Presence};
use super::{StripeError, events, intents};
use crate::world::World;

/// What came of an attempt.
pub(super) enum Outcome {
    Paid,
    Asks,
    Declined(Decline),
}

/// The payment method a caller names: one of a customer's, or a new one for a test card.
pub(super) fn method_for(world: &mut World, token: &str, customer: Option<&str>) -> Result<String, StripeError> {
    if let Some(card) = Card::from_token(token) {
        return Ok(new_method(world, card));
    }
    let method = world.stripe.method(token)?;
    if method.spent {
        return Err(StripeError::invalid(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a \
             connected account without Customer attachment, or was detached from a Customer. It may not be used again. To \
             use a PaymentMethod multiple times, you must attach it to a Customer first.",
        ));
    }
    if method.customer.as_deref() != customer && method.customer.is_some() {
        return Err(StripeError::invalid(
            "The customer does not have a payment method with the ID given. The payment method supplied belongs to a \
             different customer.",
        ));
    }
    Ok(method.id.clone())
}

fn new_method(world: &mut World, card: Card) -> String {
    let id = world.id("pm_1", 23);
    let method = Method { id: id.clone(), card, customer: None, spent: false, created: world.now() };
    world.stripe.methods.insert(&id, method);
    id
}

/// Charges a card for an intent.
pub(super) fn attempt(world: &mut World, id: &str, method: &str, presence: Presence) -> Result<Outcome, StripeError> {
    let card = world.stripe.method(method)?.card;
    world.stripe.intent_mut(id)?.method = Some(method.to_owned());
    match card.charged(presence) {
        Charged::Paid => succeed(world, id, method).map(|()| Outcome::Paid),
        Charged::Declined(decline) => fail(world, id, method, decline).map(|()| Outcome::Declined(decline)),
        Charged::Asks => {
            let intent = world.stripe.intent_mut(id)?;
            intent.status = IntentStatus::RequiresAction;
            let intent = intent.clone();
            events::tell_intent(world, "payment_intent.requires_action", &intent);
            Ok(Outcome::Asks)
        }
    }
}

/// The customer pays at the page.
pub(crate) fn pay(world: &mut World, id: &str, card: Card) -> Result<(), StripeError> {
    let intent = world.stripe.intent(id)?.clone();
    if intent.status.is_final() {
        return Err(intents::unexpected(world, &intent, "confirm"));
    }
    let method = new_method(world, card);
    attempt(world, id, &method, Presence::Page).map(drop)
}

/// The customer answers the bank's question.
pub(crate) fn authenticate(world: &mut World, id: &str, passes: bool) -> Result<(), StripeError> {
    let intent = world.stripe.intent(id)?.clone();
    match (intent.status, &intent.method) {
        (IntentStatus::RequiresAction, Some(method)) if passes => succeed(world, id, method),
        (IntentStatus::RequiresAction, Some(method)) => fail(world, id, method, Decline::FAILED_AUTHENTICATION),
        _ => Err(intents::unexpected(world, &intent, "confirm")),
    }
}

fn succeed(world: &mut World, id: &str, method: &str) -> Result<(), StripeError> {
    let charge = record(world, id, method, None)?;
    let intent = world.stripe.intent_mut(id)?;
    intent.status = IntentStatus::Succeeded;
    intent.failure = None;
    intent.latest_charge = Some(charge);
    let intent = intent.clone();
    if let Some(method) = world.stripe.methods.get_mut(method) {
        match intent.customer.as_ref().filter(|_| intent.setup_future_usage.is_some()) {
            Some(customer) => method.customer = Some(customer.clone()),
            None => method.spent = method.customer.is_none(),
        }
    }
    events::tell_intent(world, "payment_intent.succeeded", &intent);
    Ok(())
}

fn fail(world: &mut World, id: &str, method: &str, decline: Decline) -> Result<(), StripeError> {
    // Who could not be authenticated was never charged.
    let charge = match decline {
        Decline::FAILED_AUTHENTICATION => None,
        _ => Some(record(world, id, method, Some(decline))?),
    };
    let intent = world.stripe.intent_mut(id)?;
    intent.status = IntentStatus::RequiresPaymentMethod;
    intent.failure = Some((decline, method.to_owned()));
    intent.latest_charge = charge;
    intent.method = None;
    let intent = intent.clone();
    events::tell_intent(world, "payment_intent.payment_failed", &intent);
    Ok(())
}

fn record(world: &mut World, id: &str, method: &str, failure: Option<Decline>) -> Result<String, StripeError> {
    let charge = world.id("ch_3", 23);
    let Intent { amount, currency, customer, description, metadata, .. } = world.stripe.intent(id)?.clone();
    let row = Charge {
        id: charge.clone(),
        intent: id.to_owned(),
        amount,
        currency,
        customer,
        description,
        metadata,
        method: method.to_owned(),
        failure,
        refunded: 0,
        refunds: Vec::new(),
        dispute: None,
        created: world.now(),
    };
    world.stripe.charges.insert(&charge, row);
    Ok(charge)
}
