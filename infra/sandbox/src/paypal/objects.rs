//! PayPal's objects as JSON.

use super::books::{Capture, CaptureStatus, Dispute, DisputeOutcome, Order, OrderStatus, Refund};
use crate::money;
use crate::world::{World, rfc3339};
use serde_json::{Value, json};

pub(super) fn amount(minor: i64, currency: &str) -> Value {
    json!({ "currency_code": currency, "value": money::value(minor, currency) })
}

fn link(world: &World, path: &str, rel: &str, method: &str) -> Value {
    json!({ "href": format!("{}{path}", world.url), "rel": rel, "method": method })
}

/// Takes out what is not there: PayPal leaves fields away, it does not send null.
fn present(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

pub(super) fn order_links(world: &World, order: &Order) -> Value {
    let path = format!("/v2/checkout/orders/{}", order.id);
    let mut links = vec![link(world, &path, "self", "GET")];
    let page = format!("/checkoutnow?token={}", order.id);
    match order.status {
        OrderStatus::Created | OrderStatus::PayerActionRequired if order.payer_action => {
            links.push(link(world, &page, "payer-action", "GET"));
        }
        OrderStatus::Created | OrderStatus::PayerActionRequired => {
            links.push(link(world, &page, "approve", "GET"));
            links.push(link(world, &path, "update", "PATCH"));
            links.push(link(world, &format!("{path}/capture"), "capture", "POST"));
        }
        OrderStatus::Approved => links.push(link(world, &format!("{path}/capture"), "capture", "POST")),
        OrderStatus::Completed => {}
    }
    Value::Array(links)
}

/// What is answered to making an order without `Prefer`.
pub(super) fn order_minimal(world: &World, order: &Order) -> Value {
    json!({ "id": order.id, "status": order.status.name(), "links": order_links(world, order) })
}

pub(super) fn order(world: &World, order: &Order) -> Value {
    let capture = order.capture.as_ref().and_then(|id| world.paypal.captures.get(id));
    let payments = capture.map(|capture| payments(world, capture));
    let unit = present(json!({
        "reference_id": order.reference_id,
        "amount": amount(order.amount, &order.currency),
        "payee": { "email_address": "shop@sandbox.example", "merchant_id": "SANDBOXMERCH1" },
        "description": order.description,
        "custom_id": order.custom_id,
        "invoice_id": order.invoice_id,
        "payments": payments,
    }));
    let payer = matches!(order.status, OrderStatus::Approved | OrderStatus::Completed).then(payer);
    present(json!({
        "id": order.id,
        "intent": "CAPTURE",
        "status": order.status.name(),
        "payment_source": payer.as_ref().map(|payer| json!({ "paypal": payer })),
        "purchase_units": [unit],
        "payer": payer,
        "create_time": rfc3339(order.created_ms),
        "update_time": rfc3339(order.updated_ms),
        "links": order_links(world, order),
    }))
}

fn payments(world: &World, capture: &Capture) -> Value {
    let refunds: Vec<Value> =
        capture.refunds.iter().filter_map(|id| world.paypal.refunds.get(id)).map(|each| refund(world, each)).collect();
    let refunds = (!refunds.is_empty()).then_some(refunds);
    present(json!({ "captures": [self::capture(world, capture)], "refunds": refunds }))
}

fn payer() -> Value {
    json!({
        "name": { "given_name": "John", "surname": "Doe" },
        "email_address": "payer@sandbox.example",
        "payer_id": "SANDBOXPAYER1",
        "address": { "country_code": "US" },
    })
}

/// What is answered to capturing an order.
pub(super) fn order_captured(world: &World, order: &Order, capture: &Capture) -> Value {
    json!({
        "id": order.id,
        "status": order.status.name(),
        "payment_source": { "paypal": payer() },
        "purchase_units": [{ "reference_id": order.reference_id, "payments": payments(world, capture) }],
        "payer": payer(),
        "links": order_links(world, order),
    })
}

pub(super) fn capture(world: &World, capture: &Capture) -> Value {
    let path = format!("/v2/payments/captures/{}", capture.id);
    let pending = (capture.status == CaptureStatus::Pending).then(|| json!({ "reason": "PENDING_REVIEW" }));
    let breakdown = (capture.status == CaptureStatus::Completed).then(|| {
        json!({
            "gross_amount": amount(capture.amount, &capture.currency),
            "paypal_fee": amount(0, &capture.currency),
            "net_amount": amount(capture.amount, &capture.currency),
        })
    });
    present(json!({
        "id": capture.id,
        "status": capture.status_name(),
        "status_details": pending,
        "amount": amount(capture.amount, &capture.currency),
        "final_capture": true,
        "seller_protection":
            { "status": "ELIGIBLE", "dispute_categories": ["ITEM_NOT_RECEIVED", "UNAUTHORIZED_TRANSACTION"] },
        "seller_receivable_breakdown": breakdown,
        "custom_id": capture.custom_id,
        "invoice_id": capture.invoice_id,
        "supplementary_data": { "related_ids": { "order_id": capture.order } },
        "create_time": rfc3339(capture.created_ms),
        "update_time": rfc3339(capture.updated_ms),
        "links": [
            link(world, &path, "self", "GET"),
            link(world, &format!("{path}/refund"), "refund", "POST"),
            link(world, &format!("/v2/checkout/orders/{}", capture.order), "up", "GET"),
        ],
    }))
}

fn refund_links(world: &World, refund: &Refund) -> Value {
    json!([
        link(world, &format!("/v2/payments/refunds/{}", refund.id), "self", "GET"),
        link(world, &format!("/v2/payments/captures/{}", refund.capture), "up", "GET"),
    ])
}

/// What is answered to refunding without `Prefer`.
pub(super) fn refund_minimal(world: &World, refund: &Refund) -> Value {
    json!({ "id": refund.id, "status": "COMPLETED", "links": refund_links(world, refund) })
}

pub(super) fn refund(world: &World, refund: &Refund) -> Value {
    let money = |minor| amount(minor, &refund.currency);
    present(json!({
        "id": refund.id,
        "status": "COMPLETED",
        "amount": money(refund.amount),
        "custom_id": refund.custom_id,
        "invoice_id": refund.invoice_id,
        "note_to_payer": refund.note,
        "seller_payable_breakdown": {
            "gross_amount": money(refund.amount),
            "paypal_fee": money(0),
            "net_amount": money(refund.amount),
            "total_refunded_amount": money(refund.total),
        },
        "create_time": rfc3339(refund.created_ms),
        "update_time": rfc3339(refund.created_ms),
        "links": refund_links(world, refund),
    }))
}

/// A dispute as the list shows it.
pub(super) fn dispute_summary(world: &World, dispute: &Dispute) -> Value {
    let resolved = dispute.outcome.is_some();
    json!({
        "dispute_id": dispute.id,
        "create_time": rfc3339(dispute.created_ms),
        "update_time": rfc3339(dispute.updated_ms),
        "reason": "UNAUTHORISED",
        "status": if resolved { "RESOLVED" } else { "WAITING_FOR_SELLER_RESPONSE" },
        "dispute_state": if resolved { "RESOLVED" } else { "REQUIRED_ACTION" },
        "dispute_amount": amount(dispute.amount, &dispute.currency),
        "dispute_life_cycle_stage": "CHARGEBACK",
        "dispute_channel": "INTERNAL",
        "links": [link(world, &format!("/v1/customer/disputes/{}", dispute.id), "self", "GET")],
    })
}

/// A dispute in full.
pub(super) fn dispute(world: &World, dispute: &Dispute) -> Value {
    let mut value = dispute_summary(world, dispute);
    let Some(fields) = value.as_object_mut() else { return value };
    let custom = world.paypal.captures.get(&dispute.capture).and_then(|capture| capture.custom_id.clone());
    let transaction = present(json!({
        "seller_transaction_id": dispute.capture,
        "create_time": rfc3339(dispute.created_ms),
        "transaction_status": "COMPLETED",
        "gross_amount": amount(dispute.amount, &dispute.currency),
        "custom": custom,
        "buyer": { "name": "John Doe" },
        "seller": { "merchant_id": "SANDBOXMERCH1", "name": "Sandbox" },
        "seller_protection_eligible": true,
    }));
    fields.insert("disputed_transactions".to_owned(), json!([transaction]));
    if let Some(outcome) = dispute.outcome {
        let (code, refunded) = match outcome {
            DisputeOutcome::Seller => ("RESOLVED_SELLER_FAVOUR", 0),
            DisputeOutcome::Buyer => ("RESOLVED_BUYER_FAVOUR", dispute.amount),
        };
        let outcome = json!({ "outcome_code": code, "amount_refunded": amount(refunded, &dispute.currency) });
        fields.insert("dispute_outcome".to_owned(), outcome);
    }
    value
}
