//! PayPal's objects, as far as they are needed.

use crate::http::{is_object_id, object_id, text};
use serde_json::Value;

/// An amount, as PayPal writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayPalMoney {
    /// A decimal, such as `5.00`.
    pub value: String,
    /// In capitals, `USD`.
    pub currency: String,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayPalOrderStatus {
    /// The payer has not agreed yet.
    Waiting,
    /// The payer has agreed: it may be captured.
    Approved,
    /// It will not be captured.
    Voided,
    /// A capture was made; it says what came of it.
    Completed,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayPalOrder {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub status: PayPalOrderStatus,
    /// What we wrote on it.
    pub custom_id: Option<String>,
    /// Where the payer agrees.
    pub approve_url: Option<String>,
    /// Its captures.
    pub captures: Vec<PayPalCapture>,
    /// Its refunds, reversals among them.
    pub refunds: Vec<PayPalRefund>,
}

/// Where a capture stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayPalCaptureStatus {
    /// Under way.
    Pending,
    /// Captured; perhaps given back since.
    Captured,
    /// Declined, or failed.
    Declined,
}

/// A capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayPalCapture {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub status: PayPalCaptureStatus,
    /// How much, whatever was given back since.
    pub money: PayPalMoney,
    /// What we wrote on its order.
    pub custom_id: Option<String>,
    /// Its order, where it names one.
    pub order: Option<String>,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayPalRefundStatus {
    /// On its way.
    Pending,
    /// Done.
    Completed,
    /// It was called off, or failed.
    Failed,
}

/// A refund, or a reversal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayPalRefund {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub status: PayPalRefundStatus,
    /// How much.
    pub money: PayPalMoney,
    /// What is written on it: our refund, where we made it; else what is on the capture.
    pub custom_id: Option<String>,
    /// When it was made, RFC 3339.
    pub created: Option<String>,
}

/// How a dispute ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayPalOutcome {
    /// It has not.
    Open,
    /// The money stays ours, or is ours again.
    Ours,
    /// The payer has it, or as much of it as the dispute says.
    Payers,
    /// It was closed in nobody's favour: the payer has what the dispute says, and no more.
    Nobodys,
}

/// A dispute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayPalDispute {
    /// Its id, `PP-...`.
    pub id: String,
    /// How much.
    pub money: PayPalMoney,
    /// What the payer was given in the end, where it says so.
    pub refunded: Option<PayPalMoney>,
    /// How it ended.
    pub outcome: PayPalOutcome,
    /// When it was opened, RFC 3339.
    pub created: Option<String>,
}

pub(super) fn read_order(value: &Value) -> Option<PayPalOrder> {
    let status = match text(value, "/status")? {
        "CREATED" | "SAVED" | "PAYER_ACTION_REQUIRED" => PayPalOrderStatus::Waiting,
        "APPROVED" => PayPalOrderStatus::Approved,
        "VOIDED" => PayPalOrderStatus::Voided,
        "COMPLETED" => PayPalOrderStatus::Completed,
        _ => return None,
    };
    let units = value.get("purchase_units").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rows = |name: &str| -> Vec<&Value> {
        let lists = units.iter().filter_map(|unit| unit.pointer("/payments")?.get(name)?.as_array());
        lists.flatten().collect()
    };
    let links = value.get("links").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_page = |link: &&Value| matches!(text(link, "/rel"), Some("approve" | "payer-action"));
    Some(PayPalOrder {
        id: object_id(value, "/id")?,
        status,
        custom_id: text(value, "/purchase_units/0/custom_id").map(str::to_owned),
        approve_url: links.iter().find(is_page).and_then(|link| text(link, "/href")).map(str::to_owned),
        captures: rows("captures").into_iter().map(read_capture).collect::<Option<_>>()?,
        refunds: rows("refunds").into_iter().map(read_refund).collect::<Option<_>>()?,
    })
}

pub(super) fn read_capture(value: &Value) -> Option<PayPalCapture> {
    let status = match text(value, "/status")? {
        "PENDING" => PayPalCaptureStatus::Pending,
        "COMPLETED" | "PARTIALLY_REFUNDED" | "REFUNDED" => PayPalCaptureStatus::Captured,
        "DECLINED" | "FAILED" => PayPalCaptureStatus::Declined,
        _ => return None,
    };
    Some(PayPalCapture {
        id: object_id(value, "/id")?,
        status,
        money: money(value, "/amount")?,
        custom_id: text(value, "/custom_id").map(str::to_owned),
        order: object_id(value, "/supplementary_data/related_ids/order_id"),
    })
}

pub(super) fn read_refund(value: &Value) -> Option<PayPalRefund> {
    let status = match text(value, "/status")? {
        "PENDING" => PayPalRefundStatus::Pending,
        "COMPLETED" => PayPalRefundStatus::Completed,
        "CANCELLED" | "FAILED" => PayPalRefundStatus::Failed,
        _ => return None,
    };
    Some(PayPalRefund {
        id: object_id(value, "/id")?,
        status,
        money: money(value, "/amount")?,
        custom_id: text(value, "/custom_id").map(str::to_owned),
        created: text(value, "/create_time").map(str::to_owned),
    })
}

pub(super) fn read_dispute(value: &Value) -> Option<PayPalDispute> {
    let outcome = match text(value, "/status")? {
        "RESOLVED" => match text(value, "/dispute_outcome/outcome_code")? {
            "RESOLVED_SELLER_FAVOUR" | "CANCELED_BY_BUYER" | "DENIED" | "RESOLVED_WITH_PAYOUT" => PayPalOutcome::Ours,
            "RESOLVED_BUYER_FAVOUR" | "ACCEPTED" => PayPalOutcome::Payers,
            // `NONE`, and whatever is new: what was refunded, if anything, stands beside it.
            _ => PayPalOutcome::Nobodys,
        },
        _ => PayPalOutcome::Open,
    };
    let refunded = match value.pointer("/dispute_outcome/amount_refunded") {
        None | Some(Value::Null) => None,
        Some(_) => Some(money(value, "/dispute_outcome/amount_refunded")?),
    };
    Some(PayPalDispute {
        id: object_id(value, "/dispute_id")?,
        refunded,
        money: money(value, "/dispute_amount")?,
        outcome,
        created: text(value, "/create_time").map(str::to_owned),
    })
}

fn money(value: &Value, pointer: &str) -> Option<PayPalMoney> {
    let money = value.pointer(pointer)?;
    let currency = text(money, "/currency_code")?;
    let is_code = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
    let value = text(money, "/value").filter(|value| value.len() <= 32)?;
    is_code.then(|| PayPalMoney { value: value.to_owned(), currency: currency.to_owned() })
}

/// The object a link with `rel` `up` names: of a refund, its capture.
pub(crate) fn up(value: &Value) -> Option<String> {
    let links = value.get("links").and_then(Value::as_array)?;
    let up = links.iter().find(|link| text(link, "/rel") == Some("up")).and_then(|link| text(link, "/href"))?;
    up.rsplit('/').next().filter(|id| is_object_id(id)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_order_is_read_with_what_became_of_it() {
        let order = json!({
            "id": "5O190127TN364715T", "status": "COMPLETED", "intent": "CAPTURE",
            "purchase_units": [{ "custom_id": "pay_1:usr_1", "payments": {
                "captures": [{ "id": "3C6", "status": "PARTIALLY_REFUNDED", "amount": { "currency_code": "USD", "value": "5.00" },
                    "supplementary_data": { "related_ids": { "order_id": "5O190127TN364715T" } } }],
                "refunds": [{ "id": "1JU", "status": "COMPLETED", "amount": { "currency_code": "USD", "value": "1.00" },
                    "custom_id": "rfd_1", "links": [{ "rel": "up", "href": "https://x/v2/payments/captures/3C6" }] }],
            } }],
            "links": [{ "rel": "payer-action", "href": "https://www.paypal.com/checkoutnow?token=5O1" }],
        });
        let read = read_order(&order).unwrap();
        assert_eq!(read.captures[0].money, PayPalMoney { value: "5.00".into(), currency: "USD".into() });
        assert_eq!(read.captures[0].order.as_deref(), Some("5O190127TN364715T"));
        assert_eq!(read.refunds[0].custom_id.as_deref(), Some("rfd_1"));
        assert!(read.approve_url.unwrap().starts_with("https://www.paypal.com/"));
        assert_eq!(up(&order["purchase_units"][0]["payments"]["refunds"][0]).as_deref(), Some("3C6"));
    }

    #[test]
    fn one_part_that_cannot_be_counted_spoils_the_whole() {
        for (status, amount) in [
            ("PERHAPS", json!({ "currency_code": "USD", "value": "5.00" })),
            ("COMPLETED", json!({ "currency_code": "usd", "value": "5.00" })),
            ("COMPLETED", json!({ "currency_code": "USD", "value": 5.0 })),
            ("COMPLETED", json!({ "value": "5.00" })),
            ("COMPLETED", json!(null)),
        ] {
            let capture = json!({ "id": "3C6", "status": status, "amount": amount });
            let order = json!({ "id": "5O1", "status": "COMPLETED", "purchase_units": [{ "payments": { "captures": [capture] } }] });
            assert!(read_order(&order).is_none(), "{status} {amount}");
        }
    }

    #[test]
    fn a_dispute_says_whose_it_is_and_what_was_refunded() {
        let read = |outcome: Value| {
            let amount = json!({ "currency_code": "USD", "value": "5.00" });
            let row = json!({ "dispute_id": "PP-D-1", "status": "RESOLVED", "dispute_amount": amount, "dispute_outcome": outcome });
            read_dispute(&row)
        };
        let dispute = |outcome: &str| read(json!({ "outcome_code": outcome })).unwrap().outcome;
        assert_eq!(dispute("RESOLVED_SELLER_FAVOUR"), PayPalOutcome::Ours);
        assert_eq!(dispute("RESOLVED_BUYER_FAVOUR"), PayPalOutcome::Payers);
        for code in ["NONE", "SOMETHING_NEW"] {
            assert_eq!(dispute(code), PayPalOutcome::Nobodys, "{code}");
        }
        let part = |amount: Value| read(json!({ "outcome_code": "RESOLVED_BUYER_FAVOUR", "amount_refunded": amount }));
        let given = part(json!({ "currency_code": "USD", "value": "2.00" })).unwrap().refunded.unwrap();
        assert_eq!(given.value, "2.00");
        assert!(part(json!({ "value": "2.00" })).is_none(), "what cannot be counted is not guessed");
        assert!(part(json!(null)).unwrap().refunded.is_none());
    }
}
