//! Stripe's objects, as far as they are needed.

use super::{META_CUSTOMER, META_PAYMENT, META_REFUND};
use crate::http::{object_id, text};
use crate::secret::Secret;
use serde_json::Value;

/// Where an intent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StripeIntentStatus {
    /// It has no method, or the last one was declined.
    RequiresPaymentMethod,
    /// It has one, and waits to be confirmed.
    RequiresConfirmation,
    /// The customer must answer their bank.
    RequiresAction,
    /// Under way.
    Processing,
    /// Authorised only; we never ask for that.
    RequiresCapture,
    /// Over, without a capture.
    Canceled,
    /// Captured.
    Succeeded,
}

/// A payment intent.
#[derive(Clone, Debug)]
pub struct StripeIntent {
    /// Its id, `pi_...`.
    pub id: String,
    /// Where it stands.
    pub status: StripeIntentStatus,
    /// What was captured, in minor units of `currency`.
    pub received: i64,
    /// In lower case, `usd`.
    pub currency: String,
    /// Our payment, as we wrote it there.
    pub payment: Option<String>,
    /// Our customer, as we wrote them there.
    pub customer: Option<String>,
    /// With this the customer's browser pays. For the customer alone.
    pub client_secret: Option<Secret>,
    /// Why the last try failed.
    pub failure: Option<String>,
    /// What of its charge was given back, where the charge was expanded.
    pub given_back: i64,
    /// Whether its charge was ever disputed, where the charge was expanded.
    pub disputed: bool,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StripeRefundStatus {
    /// On its way.
    Pending,
    /// Done.
    Succeeded,
    /// It came back, or was called off.
    Failed,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeRefund {
    /// Its id, `re_...`.
    pub id: String,
    /// Minor units of `currency`.
    pub amount: i64,
    /// In lower case.
    pub currency: String,
    /// Where it stands.
    pub status: StripeRefundStatus,
    /// Our refund, where we wrote one there.
    pub refund: Option<String>,
}

/// A dispute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeDispute {
    /// Its id, `du_...`.
    pub id: String,
    /// Minor units of `currency`.
    pub amount: i64,
    /// In lower case.
    pub currency: String,
    /// Stripe's word: `needs_response`, `under_review`, `won`, `lost`, ...
    pub status: String,
}

/// A saved card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeMethod {
    /// Its id, `pm_...`.
    pub id: String,
    /// Stripe's customer.
    pub customer: Option<String>,
    /// `visa`.
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// 1 to 12.
    pub exp_month: Option<u32>,
    /// Four digits.
    pub exp_year: Option<u32>,
    /// When it was saved, in seconds since 1970.
    pub created: i64,
}

pub(super) fn read_intent(value: &Value) -> Option<StripeIntent> {
    let status = match text(value, "/status")? {
        "requires_payment_method" => StripeIntentStatus::RequiresPaymentMethod,
        "requires_confirmation" => StripeIntentStatus::RequiresConfirmation,
        "requires_action" => StripeIntentStatus::RequiresAction,
        "processing" => StripeIntentStatus::Processing,
        "requires_capture" => StripeIntentStatus::RequiresCapture,
        "canceled" => StripeIntentStatus::Canceled,
        "succeeded" => StripeIntentStatus::Succeeded,
        _ => return None,
    };
    let meta =
        |key: &str| value.get("metadata").and_then(|meta| meta.get(key)).and_then(Value::as_str).map(str::to_owned);
    let failure = text(value, "/last_payment_error/decline_code").or(text(value, "/last_payment_error/code"));
    let failure = failure.or(text(value, "/last_payment_error/type"));
    Some(StripeIntent {
        id: object_id(value, "/id")?,
        status,
        received: amount(value, "/amount_received")?,
        currency: currency(value)?,
        payment: meta(META_PAYMENT),
        customer: meta(META_CUSTOMER),
        client_secret: text(value, "/client_secret").map(Secret::new),
        failure: failure.map(str::to_owned),
        given_back: value.pointer("/latest_charge/amount_refunded").and_then(Value::as_i64).unwrap_or(0),
        disputed: value.pointer("/latest_charge/disputed").and_then(Value::as_bool).unwrap_or(false),
    })
}

pub(super) fn read_refund(value: &Value) -> Option<StripeRefund> {
    let status = match text(value, "/status")? {
        "pending" | "requires_action" => StripeRefundStatus::Pending,
        "succeeded" => StripeRefundStatus::Succeeded,
        "failed" | "canceled" => StripeRefundStatus::Failed,
        _ => return None,
    };
    let refund = value.get("metadata").and_then(|meta| meta.get(META_REFUND)).and_then(Value::as_str);
    Some(StripeRefund {
        id: object_id(value, "/id")?,
        amount: amount(value, "/amount")?,
        currency: currency(value)?,
        status,
        refund: refund.map(str::to_owned),
    })
}

pub(super) fn read_dispute(value: &Value) -> Option<StripeDispute> {
    Some(StripeDispute {
        id: object_id(value, "/id")?,
        amount: amount(value, "/amount")?,
        currency: currency(value)?,
        status: text(value, "/status")?.to_owned(),
    })
}

pub(super) fn read_method(value: &Value) -> Option<StripeMethod> {
    let number = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    Some(StripeMethod {
        id: object_id(value, "/id")?,
        customer: text(value, "/customer").map(str::to_owned),
        brand: text(value, "/card/brand").map(str::to_owned),
        last4: text(value, "/card/last4").map(str::to_owned),
        exp_month: number("/card/exp_month"),
        exp_year: number("/card/exp_year"),
        created: value.get("created").and_then(Value::as_i64).unwrap_or(0),
    })
}

/// Whole minor units, not negative. A number with a fraction is none.
fn amount(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64).filter(|amount| *amount >= 0)
}

fn currency(value: &Value) -> Option<String> {
    let code = text(value, "/currency")?;
    (code.len() == 3 && code.bytes().all(|b| b.is_ascii_alphabetic())).then(|| code.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_needed_is_read_and_the_rest_may_be_anything() {
        let intent = json!({
            "id": "pi_1", "status": "succeeded", "amount_received": 2000, "currency": "usd", "amount": "a new kind of amount",
            "metadata": { "payment": "pay_1", "customer": "usr_1" }, "client_secret": "pi_1_secret_x",
            "latest_charge": { "amount_refunded": 500, "disputed": true }, "unheard_of": [1, 2, 3],
        });
        let read = read_intent(&intent).unwrap();
        assert_eq!((read.received, read.given_back, read.disputed), (2_000, 500, true));
        assert_eq!((read.payment.as_deref(), read.customer.as_deref()), (Some("pay_1"), Some("usr_1")));
        assert!(!format!("{read:?}").contains("secret_x"), "a secret is shown nowhere");
    }

    #[test]
    fn what_cannot_be_counted_is_no_answer() {
        let good = json!({ "id": "re_1", "status": "succeeded", "amount": 5, "currency": "usd" });
        assert!(read_refund(&good).is_some());
        for (field, wrong) in [
            ("amount", json!(5.5)),
            ("amount", json!("5")),
            ("amount", json!(-5)),
            ("amount", json!(1e30)),
            ("amount", json!(null)),
            ("currency", json!("us")),
            ("currency", json!(840)),
            ("status", json!("perhaps")),
            ("id", json!("re 1")),
            ("id", json!("../re_1")),
            ("id", json!("")),
        ] {
            let mut value = good.clone();
            value[field] = wrong.clone();
            assert!(read_refund(&value).is_none(), "{field} = {wrong}");
        }
    }
}
