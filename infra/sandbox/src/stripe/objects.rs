//! Stripe's objects as JSON, with the fields of API version [`VERSION`].

use super::books::{Charge, Customer, Dispute, DisputeStatus, Intent, IntentStatus, Method, Refund};
use super::cards::Decline;
use crate::form::Form;
use crate::world::World;
use serde_json::{Value, json};

/// The version whose fields are answered.
pub(super) const VERSION: &str = "2025-09-30.clover";

/// How deep an intent shows its charge.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expand {
    charge: bool,
    refunds: bool,
    method: bool,
}

impl Expand {
    pub fn of(form: &Form) -> Self {
        let expand = form.list("expand");
        let refunds = expand.contains(&"latest_charge.refunds");
        let charge = refunds || expand.contains(&"latest_charge");
        Self { charge, refunds, method: expand.contains(&"payment_method") }
    }
}

pub(super) fn intent(world: &World, intent: &Intent, expand: Expand) -> Value {
    let paid = intent.status == IntentStatus::Succeeded;
    let charge = intent.latest_charge.as_deref();
    let latest_charge = match charge.and_then(|id| world.stripe.charges.get(id)).filter(|_| expand.charge) {
        Some(full) => self::charge(world, full, expand.refunds),
        None => json!(charge),
    };
    let chosen = intent.method.as_deref();
    let payment_method = match chosen.and_then(|id| world.stripe.methods.get(id)).filter(|_| expand.method) {
        Some(full) => method(full),
        None => json!(chosen),
    };
    let next_action = (intent.status == IntentStatus::RequiresAction).then(|| {
        json!({
            "type": "redirect_to_url",
            "redirect_to_url": { "return_url": intent.return_url, "url": format!("{}/pay/{}", world.url, intent.id) },
        })
    });
    json!({
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": 0,
        "amount_details": { "tip": {} },
        "amount_received": if paid { intent.amount } else { 0 },
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods":
            intent.automatic_methods.then(|| json!({ "allow_redirects": "always", "enabled": true })),
        "canceled_at": intent.cancellation.as_ref().map(|(at, _)| at),
        "cancellation_reason": intent.cancellation.as_ref().and_then(|(_, reason)| reason.as_deref()),
        "capture_method": "automatic_async",
        "client_secret": intent.client_secret,
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency,
        "customer": intent.customer,
        "description": intent.description,
        "last_payment_error": intent.failure.as_ref().map(|(decline, used)| failure(world, intent, *decline, used)),
        "latest_charge": latest_charge,
        "livemode": false,
        "metadata": intent.metadata,
        "next_action": next_action,
        "on_behalf_of": null,
        "payment_method": payment_method,
        "payment_method_options": { "card": { "installments": null, "network": null, "request_three_d_secure": "automatic" } },
        "payment_method_types": ["card"],
        "processing": null,
        "receipt_email": intent.receipt_email,
        "review": null,
        "setup_future_usage": intent.setup_future_usage,
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": intent.status.name(),
        "transfer_data": null,
        "transfer_group": null,
    })
}

fn failure(world: &World, intent: &Intent, decline: Decline, used: &str) -> Value {
    json!({
        "charge": intent.latest_charge,
        "code": decline.code,
        "decline_code": decline.decline_code,
        "doc_url": format!("https://stripe.com/docs/error-codes/{}", decline.code.replace('_', "-")),
        "message": decline.message,
        "payment_method": world.stripe.methods.get(used).map(method),
        "type": "card_error",
    })
}

pub(super) fn charge(world: &World, charge: &Charge, with_refunds: bool) -> Value {
    let paid = charge.failure.is_none();
    let method = world.stripe.methods.get(&charge.method);
    let mut value = json!({
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": charge.captured(),
        "amount_refunded": charge.refunded,
        "application": null,
        "application_fee": null,
        "balance_transaction": paid.then(|| charge.id.replacen("ch_", "txn_", 1)),
        "billing_details": { "address": null, "email": null, "name": null, "phone": null },
        "captured": paid,
        "created": charge.created,
        "currency": charge.currency,
        "customer": charge.customer,
        "description": charge.description,
        "dispute": charge.dispute,
        "disputed": charge.dispute.is_some(),
        "failure_code": charge.failure.map(|decline| decline.code),
        "failure_message": charge.failure.map(|decline| decline.message),
        "fraud_details": {},
        "livemode": false,
        "metadata": charge.metadata,
        "outcome": {
            "network_status": if paid { "approved_by_network" } else { "declined_by_network" },
            "reason": charge.failure.and_then(|decline| decline.decline_code),
            "risk_level": "normal",
            "seller_message": if paid { "Payment complete." } else { "The bank did not return any further details." },
            "type": if paid { "authorized" } else { "issuer_declined" },
        },
        "paid": paid,
        "payment_intent": charge.intent,
        "payment_method": charge.method,
        "payment_method_details": { "type": "card", "card": method.map(card) },
        "receipt_email": null,
        "receipt_url": null,
        "refunded": paid && charge.refunded == charge.amount,
        "review": null,
        "status": if paid { "succeeded" } else { "failed" },
    });
    if with_refunds && let Some(fields) = value.as_object_mut() {
        let refunds = charge.refunds.iter().rev().filter_map(|id| world.stripe.refunds.get(id)).map(refund);
        let url = format!("/v1/charges/{}/refunds", charge.id);
        let list = json!({ "object": "list", "data": refunds.collect::<Vec<_>>(), "has_more": false, "url": url });
        fields.insert("refunds".to_owned(), list);
    }
    value
}

fn card(method: &Method) -> Value {
    json!({
        "brand": "visa",
        "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": format!("sandbox{}", method.card.last4()),
        "funding": "credit",
        "last4": method.card.last4(),
        "network": "visa",
        "wallet": null,
    })
}

pub(super) fn method(method: &Method) -> Value {
    json!({
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": { "address": null, "email": null, "name": null, "phone": null },
        "card": card(method),
        "created": method.created,
        "customer": method.customer,
        "livemode": false,
        "metadata": {},
        "type": "card",
    })
}

pub(super) fn customer(customer: &Customer) -> Value {
    json!({
        "id": customer.id,
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": customer.created,
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": customer.description,
        "email": customer.email,
        "invoice_settings": { "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null },
        "livemode": false,
        "metadata": customer.metadata,
        "name": customer.name,
        "phone": null,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
    })
}

pub(super) fn refund(refund: &Refund) -> Value {
    json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": refund.id.replacen("re_", "txn_", 1),
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "destination_details": { "card": { "type": "refund" }, "type": "card" },
        "metadata": refund.metadata,
        "payment_intent": refund.intent,
        "reason": refund.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": "succeeded",
        "transfer_reversal": null,
    })
}

pub(super) fn dispute(dispute: &Dispute) -> Value {
    let withdrawn = json!({
        "id": dispute.id.replacen("du_", "txn_", 1),
        "object": "balance_transaction",
        "amount": -dispute.amount,
        "currency": dispute.currency,
        "reporting_category": "dispute",
        "source": dispute.id,
        "type": "adjustment",
    });
    let reinstated = (dispute.status == DisputeStatus::Won).then(|| {
        json!({
            "id": dispute.id.replacen("du_", "txn_1", 1),
            "object": "balance_transaction",
            "amount": dispute.amount,
            "currency": dispute.currency,
            "reporting_category": "dispute_reversal",
            "source": dispute.id,
            "type": "adjustment",
        })
    });
    json!({
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": std::iter::once(withdrawn).chain(reinstated).collect::<Vec<_>>(),
        "charge": dispute.charge,
        "created": dispute.created,
        "currency": dispute.currency,
        "evidence": {},
        "evidence_details": { "due_by": dispute.created + 7 * 86_400, "has_evidence": false, "past_due": false, "submission_count": 0 },
        "is_charge_refundable": false,
        "livemode": false,
        "metadata": {},
        "payment_intent": dispute.intent,
        "reason": "fraudulent",
        "status": dispute.status.name(),
    })
}
