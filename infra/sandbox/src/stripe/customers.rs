//! Customers and the cards they have saved.

use super::books::Customer;
use super::intents::{known, metadata};
use super::{StripeError, objects, page};
use crate::form::Form;
use crate::world::World;
use serde_json::Value;

pub(super) fn create(world: &mut World, form: &Form) -> Result<Value, StripeError> {
    known(form, &["email", "name", "description", "metadata", "phone", "expand"])?;
    let metadata = metadata(form)?;
    let id = world.id("cus_", 14);
    let text = |name: &str| form.get(name).map(str::to_owned);
    let customer = Customer {
        id: id.clone(),
        email: text("email"),
        name: text("name"),
        description: text("description"),
        metadata,
        created: world.now(),
    };
    let shown = objects::customer(&customer);
    world.stripe.customers.insert(&id, customer);
    Ok(shown)
}

/// A customer's saved cards.
pub(super) fn methods(world: &World, customer: &str, form: &Form) -> Result<Value, StripeError> {
    known(form, &["customer", "type", "limit", "starting_after", "expand"])?;
    world.stripe.customer(customer, "customer")?;
    let rows = world.stripe.methods.newest().filter(|method| method.customer.as_deref() == Some(customer));
    let rows = rows.map(|method| (method.id.clone(), objects::method(method)));
    page(form, "/v1/payment_methods", rows.collect())
}

/// Takes a card from its customer. It cannot be used again.
pub(super) fn detach(world: &mut World, id: &str) -> Result<Value, StripeError> {
    let method =
        world.stripe.methods.get_mut(id).ok_or_else(|| StripeError::missing("PaymentMethod", id, "payment_method"))?;
    if method.customer.take().is_none() {
        return Err(StripeError::invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
        ));
    }
    method.spent = true;
    Ok(objects::method(method))
}
