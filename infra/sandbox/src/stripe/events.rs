//! Stripe's events: written, signed, and sent on their way with the state of their object at that moment.

use super::books::Intent;
use super::objects::{self, Expand, VERSION};
use crate::announce::{announce, announce_forgeries};
use crate::config::Processor;
use crate::webhooks::{Event, Forgery, News};
use crate::world::World;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// How old a replayed event is: far beyond any tolerance.
const STALE_SECS: i64 = 3_600;

/// An event's id and body. Stripe's bodies are indented, which a receiver that re-writes them before checking gets wrong.
pub(crate) fn written(world: &mut World, mut content: Value) -> (String, String) {
    let id = world.id("evt_3", 23);
    if let Some(fields) = content.as_object_mut() {
        fields.insert("id".to_owned(), id.as_str().into());
    }
    let body = serde_json::to_string_pretty(&content).unwrap_or_default();
    (id, body)
}

/// The headers of one attempt.
pub(crate) fn signed(world: &World, event: &Event, forgery: Option<Forgery>) -> Vec<(String, String)> {
    let now = world.now();
    let (at, secrets): (i64, &[String]) = match forgery {
        None => (now, &world.config.stripe.webhook_secrets),
        Some(Forgery::Time) => (now - STALE_SECS, &world.config.stripe.webhook_secrets),
        Some(Forgery::Signature | Forgery::Host) => (now, &["whsec_of_somebody_else".to_owned()]),
    };
    let signatures: String =
        secrets.iter().map(|secret| format!(",v1={}", signature(secret, at, &event.body))).collect();
    let header = |name: &str, value: String| (name.to_owned(), value);
    vec![
        header("content-type", "application/json; charset=utf-8".to_owned()),
        header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)".to_owned()),
        header("stripe-signature", format!("t={at}{signatures},v0={}", "0".repeat(64))),
    ]
}

/// HMAC-SHA256 over `"{t}.{body}"`, in hex.
fn signature(secret: &str, at: i64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{at}.{body}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn content(world: &mut World, kind: &str, object: Value, previous: Option<Value>) -> Value {
    let mut data = json!({ "object": object });
    if let Some((fields, previous)) = data.as_object_mut().zip(previous) {
        fields.insert("previous_attributes".to_owned(), previous);
    }
    json!({
        "object": "event",
        "api_version": VERSION,
        "created": world.now(),
        "data": data,
        "livemode": false,
        "pending_webhooks": 1,
        "request": { "id": world.id("req_", 14), "idempotency_key": null },
        "type": kind,
    })
}

/// Tells of an object.
pub(super) fn tell(world: &mut World, kind: &str, object: Value, previous: Option<Value>) {
    let objects = ["id", "payment_intent", "charge", "latest_charge"];
    let objects = objects.iter().filter_map(|name| object.get(name)?.as_str().map(str::to_owned)).collect();
    let content = content(world, kind, object, previous);
    announce(world, News { processor: Processor::Stripe, kind, content, objects });
}

/// Tells of an intent.
pub(super) fn tell_intent(world: &mut World, kind: &str, intent: &Intent) {
    let object = objects::intent(world, intent, Expand::default());
    tell(world, kind, object, None);
}

/// What somebody who wants credits for nothing says of a new intent.
pub(super) fn tempt(world: &mut World, intent: &Intent) {
    let paid = Intent { status: super::IntentStatus::Succeeded, ..intent.clone() };
    let object = objects::intent(world, &paid, Expand::default());
    let kind = "payment_intent.succeeded";
    let content = content(world, kind, object, None);
    announce_forgeries(world, &News { processor: Processor::Stripe, kind, content, objects: Vec::new() });
}
