//! Orders: made, approved by the payer, captured.

use super::books::{Capture, CaptureStatus, Order, OrderStatus, Wallet};
use super::{PayPalError, events, objects};
use crate::money;
use crate::world::World;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Asked {
    intent: Option<String>,
    #[serde(default)]
    purchase_units: Vec<Unit>,
    application_context: Option<Context>,
    payment_source: Option<Source>,
}

#[derive(Deserialize)]
struct Unit {
    reference_id: Option<String>,
    custom_id: Option<String>,
    invoice_id: Option<String>,
    description: Option<String>,
    amount: Option<Amount>,
}

#[derive(Deserialize)]
pub(super) struct Amount {
    pub currency_code: String,
    pub value: String,
}

#[derive(Deserialize)]
struct Context {
    return_url: Option<String>,
    cancel_url: Option<String>,
}

#[derive(Deserialize)]
struct Source {
    paypal: Option<PayPalSource>,
}

#[derive(Deserialize)]
struct PayPalSource {
    experience_context: Option<Context>,
}

impl Amount {
    /// Minor units of a currency that is taken here.
    pub fn minor(&self) -> Result<i64, PayPalError> {
        if !["USD", "EUR", "GBP", "JPY"].contains(&self.currency_code.as_str()) {
            return Err(PayPalError::state(
                "CURRENCY_NOT_SUPPORTED",
                "Currency code is not currently supported. Please refer https://developer.paypal.com/docs/api/reference/currency-codes/ \
                 for list of supported currency codes.",
            ));
        }
        let minor = money::parse(&self.value, &self.currency_code).ok_or_else(|| {
            PayPalError::invalid(
                "/amount/value",
                "INVALID_PARAMETER_SYNTAX",
                "The value of a field does not conform to the expected format.",
            )
        })?;
        if minor == 0 {
            return Err(PayPalError::state(
                "CANNOT_BE_ZERO_OR_NEGATIVE",
                "Must be greater than zero. If the currency supports decimals, only two decimal place precision is supported.",
            ));
        }
        Ok(minor)
    }
}

/// Makes an order; with it goes whether its payer must act.
pub(super) fn create(world: &mut World, body: &[u8], whole: bool) -> Result<(Value, bool), PayPalError> {
    let asked: Asked = serde_json::from_slice(body).map_err(|_| PayPalError::malformed())?;
    if asked.intent.as_deref() != Some("CAPTURE") {
        return Err(PayPalError::invalid("/intent", "INVALID_PARAMETER_VALUE", "The value of a field is invalid."));
    }
    let mut units = asked.purchase_units.into_iter();
    let unit = units.next().ok_or_else(|| PayPalError::required("/purchase_units"))?;
    if units.next().is_some() {
        return Err(PayPalError::state(
            "MAX_NUMBER_OF_PURCHASE_UNITS_EXCEEDED",
            "The sandbox takes one purchase unit.",
        ));
    }
    let amount = unit.amount.ok_or_else(|| PayPalError::required("/purchase_units/0/amount"))?;
    let (amount, currency) = world.agreed(amount.minor()?, &amount.currency_code);
    let payer_action = asked.payment_source.is_some();
    let context =
        asked.payment_source.and_then(|source| source.paypal?.experience_context).or(asked.application_context);
    let (return_url, cancel_url) = context.map_or((None, None), |context| (context.return_url, context.cancel_url));
    let id = world.capital_id("", 17);
    let now_ms = world.now_ms();
    let order = Order {
        id: id.clone(),
        status: if payer_action { OrderStatus::PayerActionRequired } else { OrderStatus::Created },
        reference_id: unit.reference_id.unwrap_or_else(|| "default".to_owned()),
        custom_id: unit.custom_id,
        invoice_id: unit.invoice_id,
        description: unit.description,
        amount,
        currency,
        return_url,
        cancel_url,
        payer_action,
        wallet: Wallet::Pays,
        capture: None,
        created_ms: now_ms,
        updated_ms: now_ms,
    };
    events::tempt(world, &order);
    let shown = if whole { objects::order(world, &order) } else { objects::order_minimal(world, &order) };
    world.paypal.orders.insert(&id, order);
    Ok((shown, payer_action))
}

/// An order that has not run out. Orders that were captured stay.
pub(super) fn live<'a>(world: &'a World, id: &str) -> Result<&'a Order, PayPalError> {
    let order = world.paypal.order(id)?;
    let ends_ms = order.created_ms.saturating_add(world.config.paypal.order_secs.saturating_mul(1_000));
    let lives = order.status == OrderStatus::Completed || world.now_ms() < ends_ms;
    if lives { Ok(order) } else { Err(PayPalError::missing()) }
}

/// The payer approves. Approving again may change what the wallet does.
pub(crate) fn approve(world: &mut World, id: &str, wallet: Wallet) -> Result<(), PayPalError> {
    let now_ms = world.now_ms();
    live(world, id)?;
    let order = world.paypal.order_mut(id)?;
    let again = order.status == OrderStatus::Approved;
    if order.status == OrderStatus::Completed {
        return Err(already_captured());
    }
    order.wallet = wallet;
    order.status = OrderStatus::Approved;
    order.updated_ms = now_ms;
    let order = order.clone();
    if !again {
        let shown = objects::order(world, &order);
        let summary = "An order has been approved by buyer";
        events::tell(world, "CHECKOUT.ORDER.APPROVED", "checkout-order", summary, shown, &[&order.id]);
    }
    Ok(())
}

fn already_captured() -> PayPalError {
    PayPalError::state(
        "ORDER_ALREADY_CAPTURED",
        "Order already captured.If 'intent=CAPTURE' only one capture per order is allowed.",
    )
}

pub(super) fn capture(world: &mut World, id: &str) -> Result<Value, PayPalError> {
    let order = live(world, id)?.clone();
    match order.status {
        OrderStatus::Created | OrderStatus::PayerActionRequired => {
            return Err(PayPalError::state(
                "ORDER_NOT_APPROVED",
                "Payer has not yet approved the Order for payment. Please redirect the payer to the 'rel':'approve' url returned \
                 as part of the HATEOAS links within the Create Order call or provide a valid payment_source in the request.",
            ));
        }
        OrderStatus::Completed => return Err(already_captured()),
        OrderStatus::Approved => {}
    }
    if order.wallet == Wallet::Declined {
        return Err(PayPalError::state(
            "INSTRUMENT_DECLINED",
            "The instrument presented was either declined by the processor or bank, or it can't be used for this payment.",
        ));
    }
    let pending = order.wallet == Wallet::Pending;
    let now_ms = world.now_ms();
    let capture = Capture {
        id: world.capital_id("", 17),
        order: order.id,
        status: if pending { CaptureStatus::Pending } else { CaptureStatus::Completed },
        custom_id: order.custom_id,
        invoice_id: order.invoice_id,
        amount: order.amount,
        currency: order.currency,
        refunded: 0,
        refunds: Vec::new(),
        dispute: None,
        created_ms: now_ms,
        updated_ms: now_ms,
    };
    world.paypal.captures.insert(&capture.id, capture.clone());
    let order = world.paypal.order_mut(id)?;
    order.status = OrderStatus::Completed;
    order.capture = Some(capture.id.clone());
    order.updated_ms = now_ms;
    let order = order.clone();
    let kind = if pending { "PAYMENT.CAPTURE.PENDING" } else { "PAYMENT.CAPTURE.COMPLETED" };
    events::tell_capture(world, kind, &capture);
    Ok(objects::order_captured(world, &order, &capture))
}
