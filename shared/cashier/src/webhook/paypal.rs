//! PayPal's webhooks.

use super::{About, Event, WebhookError, post_back};
use crate::paypal::read_custom_id;
use crate::{Cashier, CashierError};
use api::ClientIp;
use domain::payment::{Mismatch, Payment, Processor};
use providers::CallError;
use providers::is_object_id;
use providers::paypal::transmission::Transmission;
use serde_json::Value;

/// What an event of PayPal is about, beside what all are.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    about: About,
    /// The capture it names.
    capture: Option<String>,
    /// The refund it is, where it names no capture.
    refund: Option<String>,
}

impl Cashier {
    /// Takes an event that came from `ip`: checks where its certificate comes from, asks PayPal whether it is its own, keeps it,
    /// and settles the payment it is about.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn paypal_webhook<'a>(
        &self,
        ip: ClientIp,
        header: &(dyn Fn(&'static str) -> Option<&'a str> + Sync),
        body: &[u8],
    ) -> Result<(), WebhookError> {
        let transmission = Transmission::read(header).map_err(|error| WebhookError::Forged(error.to_string()))?;
        let paypal = self.paypal()?;
        let Some(question) = paypal.question(&transmission, body) else {
            return Err(WebhookError::Forged("its certificate is not PayPal's, or it is no JSON".to_owned()));
        };
        post_back::may_ask(self, ip).await?;
        if !paypal.is_ours(question).await.map_err(CashierError::Call)? {
            post_back::was_forged(self, ip).await?;
            return Err(WebhookError::Forged("PayPal says so".to_owned()));
        }
        let event = Event::keep(self, Processor::Paypal, "event_type", body).await?;
        let Some(mut told) = read(&event) else { return Ok(()) };
        self.complete(&mut told).await?;
        let capture = told.capture.clone();
        if let Some(payment) = self.follow(Processor::Paypal, &event, told.about).await?
            && let Some(capture) = capture
        {
            self.check_capture(&payment, capture, &event).await?;
        }
        Ok(())
    }

    /// Asks PayPal for what the event leaves out: the capture of a refund, the order and the payment of a capture.
    async fn complete(&self, told: &mut Told) -> Result<(), CashierError> {
        if let (None, Some(refund)) = (&told.capture, &told.refund) {
            told.capture = found(self.paypal()?.refunded_capture(refund).await)?.flatten();
        }
        let Some(capture) = told.capture.clone() else { return Ok(()) };
        let names_its_order = !told.about.objects.is_empty() && told.about.payment.is_some();
        told.about.objects.push(capture.clone());
        if names_its_order || self.store.payment_of_object(Processor::Paypal, &capture).await?.is_some() {
            return Ok(());
        }
        if let Some(found) = found(self.paypal()?.capture(&capture).await)? {
            told.about.payment = told.about.payment.take().or(read_custom_id(found.custom_id.as_deref()).payment);
            // The order is what a payment has; so it comes first.
            told.about.objects.splice(0..0, found.order);
        }
        Ok(())
    }

    /// A capture that the settled payment does not have: a second one of its order, or one that is not PayPal's at all.
    async fn check_capture(&self, payment: &Payment, capture: String, event: &Event) -> Result<(), CashierError> {
        if payment.capture.as_ref() == Some(&capture) {
            return Ok(());
        }
        let found = found(self.paypal()?.capture(&capture).await)?;
        if found.is_some_and(|found| found.order == payment.object) {
            return Ok(());
        }
        let reason = format!("the event {} names a capture that is not the payment's", event.kind);
        let why = crate::settle::Reason { event: Some(&event.id), ..crate::settle::Reason::default() };
        self.park(payment, Mismatch { object: capture, reason }, why).await
    }
}

fn found<T>(answer: Result<T, CallError>) -> Result<Option<T>, CashierError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.refusal().is_some_and(|refusal| refusal.status == 404) => Ok(None),
        Err(error) => Err(CashierError::of(error)),
    }
}

/// What the event is about; nothing where it is none of ours to follow.
fn read(event: &Event) -> Option<Told> {
    let resource = event.value.get("resource").unwrap_or(&Value::Null);
    let text = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str);
    let id = |pointer: &str| text(pointer).filter(|id| is_object_id(id)).map(str::to_owned);
    let claim = |pointer: &str| read_custom_id(text(pointer)).payment;
    let kind = event.kind.as_str();
    let is_money = kind.starts_with("PAYMENT.CAPTURE.") || kind.starts_with("CUSTOMER.DISPUTE.");
    let mut told = Told { about: About { is_money, ..About::default() }, ..Told::default() };
    match kind {
        _ if kind.starts_with("CHECKOUT.ORDER.") => {
            told.about.objects.extend(id("/id"));
            told.about.payment = claim("/purchase_units/0/custom_id");
        }
        "PAYMENT.CAPTURE.REFUNDED" | "PAYMENT.CAPTURE.REVERSED" => {
            told.capture = up(resource);
            told.refund = id("/id");
            told.about.payment = claim("/custom_id");
        }
        _ if kind.starts_with("PAYMENT.CAPTURE.") => {
            told.about.objects.extend(id("/supplementary_data/related_ids/order_id"));
            told.capture = id("/id");
            told.about.payment = claim("/custom_id");
        }
        _ if kind.starts_with("CUSTOMER.DISPUTE.") => {
            told.capture = id("/disputed_transactions/0/seller_transaction_id");
            told.about.payment = claim("/disputed_transactions/0/custom");
        }
        _ => return None,
    }
    Some(told)
}

/// The capture that a refund's link names.
fn up(resource: &Value) -> Option<String> {
    let links = resource.get("links").and_then(Value::as_array)?;
    let text = |link: &Value, name: &str| link.get(name).and_then(Value::as_str).map(str::to_owned);
    let href =
        links.iter().find(|link| text(link, "rel").as_deref() == Some("up")).and_then(|link| text(link, "href"))?;
    href.contains("/captures/").then(|| href.rsplit('/').next().map(str::to_owned))?.filter(|id| is_object_id(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(kind: &str, resource: Value) -> Option<Told> {
        read(&Event { id: "WH-1".into(), kind: kind.into(), value: json!({ "resource": resource }) })
    }

    #[test]
    fn whatever_is_told_of_leads_to_its_order_or_capture() {
        let order =
            told("CHECKOUT.ORDER.APPROVED", json!({ "id": "5O1", "purchase_units": [{ "custom_id": "pay_1:usr_1" }] }));
        assert_eq!(order.unwrap().about.payment.as_deref(), Some("pay_1"));
        let related = json!({ "related_ids": { "order_id": "5O1" } });
        let capture = json!({ "id": "3C6", "custom_id": "pay_1:usr_1", "supplementary_data": related });
        let capture = told("PAYMENT.CAPTURE.COMPLETED", capture).unwrap();
        assert_eq!((capture.about.objects, capture.capture.as_deref()), (vec!["5O1".to_owned()], Some("3C6")));
        let links = json!([{ "rel": "self", "href": "https://x/1" }, { "rel": "up", "href": "https://x/v2/payments/captures/3C6" }]);
        let refund =
            told("PAYMENT.CAPTURE.REFUNDED", json!({ "id": "1JU", "custom_id": "rfd_1", "links": links })).unwrap();
        assert_eq!((refund.capture.as_deref(), refund.about.payment), (Some("3C6"), None));
        let transactions = json!([{ "seller_transaction_id": "3C6", "custom": "pay_1:usr_1" }]);
        let dispute =
            told("CUSTOMER.DISPUTE.CREATED", json!({ "dispute_id": "PP-1", "disputed_transactions": transactions }));
        assert_eq!(dispute.unwrap().capture.as_deref(), Some("3C6"));
        assert_eq!(told("BILLING.PLAN.CREATED", json!({})), None);
        let strange = told("PAYMENT.CAPTURE.COMPLETED", json!({ "id": "../3C6", "custom_id": 7 })).unwrap();
        assert_eq!((strange.capture, strange.about.payment), (None, None));
        for resource in [Value::Null, json!("text"), json!({})] {
            let unread = told("PAYMENT.CAPTURE.REFUNDED", resource).unwrap();
            assert_eq!((unread.about.is_money, unread.about.objects), (true, Vec::new()));
        }
    }
}
