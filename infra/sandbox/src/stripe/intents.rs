//! Payment intents: made, shown, confirmed, cancelled.

use super::books::{Intent, IntentStatus, Metadata};
use super::cards::Presence;
use super::charging::{Outcome, attempt, method_for};
use super::objects::{self, Expand};
use super::{StripeError, events, page};
use crate::form::Form;
use crate::world::World;
use serde_json::Value;

/// Stripe's smallest and largest charge, in minor units.
const AMOUNTS: std::ops::RangeInclusive<i64> = 50..=99_999_999;
/// Bounds on metadata: entries, bytes of a key, bytes of a value.
const METADATA: (usize, usize, usize) = (50, 40, 500);

const CREATE: [&str; 18] = [
    "amount",
    "currency",
    "customer",
    "description",
    "metadata",
    "setup_future_usage",
    "off_session",
    "confirm",
    "payment_method",
    "payment_method_types",
    "payment_method_options",
    "automatic_payment_methods",
    "receipt_email",
    "return_url",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "error_on_requires_action",
    "expand",
];

pub(super) fn create(world: &mut World, form: &Form) -> Result<Value, StripeError> {
    known(form, &CREATE)?;
    let amount = amount(form, "amount")?.ok_or_else(|| StripeError::required("amount"))?;
    let currency = currency(form)?;
    if amount < *AMOUNTS.start() {
        return Err(StripeError::param("amount", "amount_too_small", "Amount must be at least $0.50 usd"));
    }
    if amount > *AMOUNTS.end() {
        return Err(StripeError::param("amount", "amount_too_large", "Amount must be no more than $999,999.99"));
    }
    let customer = form
        .get("customer")
        .map(|id| world.stripe.customer(id, "customer").map(|found| found.id.clone()))
        .transpose()?;
    let metadata = metadata(form)?;
    let method = form.get("payment_method").map(|token| method_for(world, token, customer.as_deref())).transpose()?;
    if form.flag("off_session") && !form.flag("confirm") {
        return Err(StripeError::invalid("You can only set `off_session` when `confirm` is set to true."));
    }
    let (amount, currency) = world.agreed(amount, &currency);
    let id = world.id("pi_3", 23);
    let text = |name: &str| form.get(name).map(str::to_owned);
    let intent = Intent {
        client_secret: world.id(&format!("{id}_secret_"), 25),
        amount,
        currency,
        customer,
        description: text("description"),
        metadata,
        status: if method.is_some() { IntentStatus::RequiresConfirmation } else { IntentStatus::RequiresPaymentMethod },
        method,
        setup_future_usage: text("setup_future_usage"),
        automatic_methods: form.flag("automatic_payment_methods[enabled]"),
        receipt_email: text("receipt_email"),
        return_url: text("return_url"),
        failure: None,
        latest_charge: None,
        cancellation: None,
        created: world.now(),
        id: id.clone(),
    };
    events::tempt(world, &intent);
    world.stripe.intents.insert(&id, intent);
    if form.flag("confirm") {
        return run(world, &id, form);
    }
    Ok(objects::intent(world, world.stripe.intent(&id)?, Expand::of(form)))
}

pub(super) fn show(world: &World, id: &str, form: &Form) -> Result<Value, StripeError> {
    known(form, &["expand", "client_secret"])?;
    Ok(objects::intent(world, world.stripe.intent(id)?, Expand::of(form)))
}

pub(super) fn list(world: &World, form: &Form) -> Result<Value, StripeError> {
    known(form, &["customer", "limit", "starting_after", "expand"])?;
    let customer = form.get("customer");
    let rows =
        world.stripe.intents.newest().filter(|intent| customer.is_none() || intent.customer.as_deref() == customer);
    let rows = rows.map(|intent| (intent.id.clone(), objects::intent(world, intent, Expand::default())));
    page(form, "/v1/payment_intents", rows.collect())
}

pub(super) fn confirm(world: &mut World, id: &str, form: &Form) -> Result<Value, StripeError> {
    known(form, &["payment_method", "off_session", "return_url", "setup_future_usage", "receipt_email", "expand"])?;
    let intent = world.stripe.intent(id)?.clone();
    if intent.status.is_final() {
        return Err(unexpected(world, &intent, "confirm"));
    }
    let given =
        form.get("payment_method").map(|token| method_for(world, token, intent.customer.as_deref())).transpose()?;
    let intent = world.stripe.intent_mut(id)?;
    intent.method = given.or(intent.method.take());
    if let Some(usage) = form.get("setup_future_usage") {
        intent.setup_future_usage = Some(usage.to_owned());
    }
    if let Some(url) = form.get("return_url") {
        intent.return_url = Some(url.to_owned());
    }
    run(world, id, form)
}

/// Charges the intent's card on behalf of the caller.
fn run(world: &mut World, id: &str, form: &Form) -> Result<Value, StripeError> {
    let presence = if form.flag("off_session") { Presence::OffSession } else { Presence::OnSession };
    let Some(method) = world.stripe.intent(id)?.method.clone() else {
        return Err(StripeError::state(
            "payment_intent_unexpected_state",
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the \
             PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment \
             method.",
        ));
    };
    let outcome = attempt(world, id, &method, presence)?;
    let intent = world.stripe.intent(id)?;
    match outcome {
        Outcome::Declined(decline) => {
            let shown = objects::intent(world, intent, Expand::default());
            let used = objects::method(world.stripe.method(&method)?);
            Err(StripeError::card(decline, intent.latest_charge.as_deref(), shown, used))
        }
        Outcome::Paid | Outcome::Asks => Ok(objects::intent(world, intent, Expand::of(form))),
    }
}

pub(super) fn cancel(world: &mut World, id: &str, form: &Form) -> Result<Value, StripeError> {
    known(form, &["cancellation_reason", "expand"])?;
    let now = world.now();
    let intent = world.stripe.intent(id)?.clone();
    if intent.status.is_final() {
        return Err(unexpected(world, &intent, "cancel"));
    }
    let cancelled = Intent {
        status: IntentStatus::Canceled,
        cancellation: Some((now, form.get("cancellation_reason").map(str::to_owned))),
        ..intent
    };
    world.stripe.intents.insert(id, cancelled.clone());
    events::tell_intent(world, "payment_intent.canceled", &cancelled);
    Ok(objects::intent(world, &cancelled, Expand::of(form)))
}

/// The answer to something that an intent's state forbids.
pub(super) fn unexpected(world: &World, intent: &Intent, verb: &str) -> StripeError {
    let message = format!(
        "You cannot {verb} this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the following \
         statuses may be {verb}ed: requires_payment_method, requires_capture, requires_reauthorization, \
         requires_confirmation, requires_action.",
        intent.status.name()
    );
    let error = StripeError::state("payment_intent_unexpected_state", message);
    error.with_intent(objects::intent(world, intent, Expand::default()))
}

pub(super) fn known(form: &Form, names: &[&str]) -> Result<(), StripeError> {
    form.unknown(names).map_or(Ok(()), |name| Err(StripeError::unknown(name)))
}

/// A positive amount in minor units.
pub(super) fn amount(form: &Form, name: &str) -> Result<Option<i64>, StripeError> {
    let Some(text) = form.get(name) else { return Ok(None) };
    let amount: i64 = text.parse().map_err(|_| StripeError::integer(name, text))?;
    if amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(StripeError::param(name, "parameter_invalid_integer", message));
    }
    Ok(Some(amount))
}

fn currency(form: &Form) -> Result<String, StripeError> {
    let currency = form.get("currency").ok_or_else(|| StripeError::required("currency"))?.to_ascii_lowercase();
    if !["usd", "eur", "gbp", "jpy"].contains(&currency.as_str()) {
        let message =
            format!("Invalid currency: {currency}. Stripe currently supports these currencies: usd, eur, gbp, jpy");
        return Err(StripeError::invalid(message));
    }
    Ok(currency)
}

pub(super) fn metadata(form: &Form) -> Result<Metadata, StripeError> {
    let metadata = form.map("metadata");
    let (entries, key, value) = METADATA;
    let fits = |(name, text): (&String, &String)| name.chars().count() <= key && text.chars().count() <= value;
    if metadata.len() > entries || !metadata.iter().all(fits) {
        let message =
            format!("Metadata can have up to {entries} keys of up to {key} characters with values of up to {value}.");
        return Err(StripeError::param("metadata", "parameter_invalid_string", message));
    }
    Ok(metadata)
}
