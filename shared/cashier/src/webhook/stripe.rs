//! Stripe's webhooks.

use super::{About, Event, WebhookError};
use crate::{Cashier, CashierError};
use domain::payment::Processor;
use providers::is_object_id;
use providers::stripe::signature;
use serde_json::Value;

impl Cashier {
    /// Takes an event: checks its signature over the body as it came, keeps it, and settles the payment it is about.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn stripe_webhook(&self, header: Option<&str>, body: &[u8]) -> Result<(), WebhookError> {
        let header = header.ok_or_else(|| WebhookError::Forged("there is no signature".to_owned()))?;
        signature::verify(header, body, &self.webhook_secrets, self.clock.now().secs())?;
        let event = Event::keep(self, Processor::Stripe, "type", body).await?;
        let Some(mut about) = about(&event) else { return Ok(()) };
        if about.payment.is_none() {
            about.payment = self.payment_on_intent(&about).await?;
        }
        self.follow(Processor::Stripe, &event, about).await?;
        Ok(())
    }

    /// The payment that is written on the intent, for an event that does not repeat it and an intent we may not know yet.
    async fn payment_on_intent(&self, about: &About) -> Result<Option<String>, CashierError> {
        let Some(intent) = about.objects.first() else { return Ok(None) };
        if self.store.payment_of_object(Processor::Stripe, intent).await?.is_some() {
            return Ok(None);
        }
        match self.stripe()?.intent(intent).await {
            Ok(intent) => Ok(intent.payment),
            Err(error) if error.refusal().is_some_and(|refusal| refusal.status == 404) => Ok(None),
            Err(error) => Err(CashierError::of(error)),
        }
    }
}

/// The intent an event is about; nothing for objects that are none of ours to follow.
fn about(event: &Event) -> Option<About> {
    let is_money = event.kind == "payment_intent.succeeded"
        || ["charge.refund", "charge.dispute", "refund."].iter().any(|start| event.kind.starts_with(start));
    // Of money something follows, whatever it is about.
    let unread = || is_money.then(|| About { is_money, ..About::default() });
    let Some(object) = event.value.pointer("/data/object") else { return unread() };
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let Some(kind) = text("object") else { return unread() };
    let intent = match kind {
        "payment_intent" => text("id"),
        // An expanded intent is an object with an id.
        "charge" | "refund" | "dispute" => {
            text("payment_intent").or_else(|| object.pointer("/payment_intent/id").and_then(Value::as_str))
        }
        _ => return unread(),
    };
    let own = text("id").filter(|id| is_object_id(id)).map(str::to_owned);
    let intent = intent.filter(|id| is_object_id(id)).map(str::to_owned);
    Some(About {
        // A charge without an intent was not made by us; its own id stands for it where money moved.
        objects: intent.or(own).into_iter().collect(),
        payment: object.pointer("/metadata/payment").and_then(Value::as_str).map(str::to_owned),
        is_money,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn about_of(kind: &str, object: Value) -> Option<About> {
        about(&Event { id: "evt_1".into(), kind: kind.into(), value: json!({ "data": { "object": object } }) })
    }

    #[test]
    fn whatever_is_told_of_leads_to_its_intent() {
        let intent = json!({ "object": "payment_intent", "id": "pi_1", "metadata": { "payment": "pay_1" } });
        let found = about_of("payment_intent.succeeded", intent).unwrap();
        assert_eq!((found.objects.as_slice(), found.payment.as_deref()), (&["pi_1".to_owned()][..], Some("pay_1")));
        for (object, id) in [("charge", "ch_1"), ("refund", "re_1"), ("dispute", "du_1")] {
            let plain = json!({ "object": object, "id": id, "payment_intent": "pi_1" });
            let expanded =
                json!({ "object": object, "id": id, "payment_intent": { "id": "pi_1", "object": "payment_intent" } });
            for value in [plain, expanded] {
                let found = about_of("charge.refunded", value).unwrap();
                assert_eq!((found.objects.as_slice(), found.is_money), (&["pi_1".to_owned()][..], true));
            }
        }
        assert_eq!(about_of("customer.created", json!({ "object": "customer", "id": "cus_1" })), None);
        assert_eq!(about_of("x", json!("text")), None);
        let unread = About { is_money: true, ..About::default() };
        for object in [json!("text"), json!({}), json!({ "object": "new", "id": "n_1" })] {
            assert_eq!(about_of("charge.refunded", object).as_ref(), Some(&unread));
        }
        assert_eq!(about_of("x", json!({ "object": "charge", "payment_intent": "../pi" })).unwrap().objects.len(), 0);
    }
}
