//! PayPal's events: written, signed, checked.
//!
//! Signed is what PayPal signs, `id|time|webhook id|crc32 of the body`, with an HMAC in the place of its RSA key: whoever
//! checks by post-back cannot tell, and nobody needs a certificate.

use super::PayPalError;
use super::books::{Capture, CaptureStatus, Order};
use super::objects;
use crate::announce::{announce, announce_forgeries};
use crate::config::Processor;
use crate::webhooks::{Event, Forgery, News};
use crate::world::{World, rfc3339};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::Sha256;

/// The certificate an event names; only its host is looked at.
const CERT_URL: &str = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1a5f47cb";
/// The certificate of somebody else, on a host that looks alike.
const FOREIGN_CERT_URL: &str =
    "https://api.paypal.com.certs.example/v1/notifications/certs/CERT-360caa42-fca2a594-1a5f47cb";
/// Hosts of certificates.
const HOSTS: [&str; 4] = ["api.paypal.com", "api.sandbox.paypal.com", "api-m.paypal.com", "api-m.sandbox.paypal.com"];
const ALGORITHM: &str = "SHA256withRSA";
/// What stands for PayPal's private key.
const KEY: &[u8] = b"the sandbox of skymeter signs with this";
/// How old a replayed event says it is not.
const STALE_MS: i64 = 3_600_000;

/// An event's id and body.
pub(crate) fn written(world: &mut World, mut content: Value) -> (String, String) {
    let id = format!("{}{}", world.capital_id("WH-", 17), world.capital_id("-", 17));
    if let Some(fields) = content.as_object_mut() {
        let href = format!("{}/v1/notifications/webhooks-events/{id}", world.url);
        fields.insert("links".to_owned(), json!([{ "href": href, "rel": "self", "method": "GET" }]));
        fields.insert("id".to_owned(), id.as_str().into());
    }
    (id, content.to_string())
}

/// The headers of one attempt.
pub(crate) fn signed(world: &mut World, event: &Event, forgery: Option<Forgery>) -> Vec<(String, String)> {
    let (transmission, now_ms) = (world.uuid(), world.now_ms());
    let webhook = &world.config.paypal.webhook_id;
    let time = rfc3339(now_ms);
    let (key, signed_time, cert) = match forgery {
        None => (KEY, time.clone(), CERT_URL),
        Some(Forgery::Signature) => (b"somebody else".as_slice(), time.clone(), CERT_URL),
        Some(Forgery::Time) => (KEY, rfc3339(now_ms - STALE_MS), CERT_URL),
        Some(Forgery::Host) => (KEY, time.clone(), FOREIGN_CERT_URL),
    };
    let signature = signature(key, &transmission, &signed_time, webhook, event.body.as_bytes());
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        header("content-type", "application/json"),
        header("user-agent", "PayPal/AUHD-214.0-58391792"),
        header("paypal-transmission-id", &transmission),
        header("paypal-transmission-time", &time),
        header("paypal-transmission-sig", &signature),
        header("paypal-cert-url", cert),
        header("paypal-auth-algo", ALGORITHM),
        header("paypal-auth-version", "v2"),
    ]
}

fn signature(key: &[u8], transmission: &str, time: &str, webhook: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(format!("{transmission}|{time}|{webhook}|{}", crc32(body)).as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// CRC-32 as in zip.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[derive(Deserialize)]
struct Check<'a> {
    auth_algo: String,
    cert_url: String,
    transmission_id: String,
    transmission_sig: String,
    transmission_time: String,
    webhook_id: String,
    /// As it stands in the body: checked byte for byte.
    #[serde(borrow)]
    webhook_event: &'a RawValue,
}

/// `POST /v1/notifications/verify-webhook-signature`.
pub(super) fn verify(world: &World, body: &[u8]) -> Result<Value, PayPalError> {
    let check: Check<'_> = serde_json::from_slice(body).map_err(|_| PayPalError::malformed())?;
    let host = reqwest::Url::parse(&check.cert_url).ok();
    let host = host.as_ref().filter(|url| url.scheme() == "https").and_then(|url| url.host_str());
    let event = check.webhook_event.get().as_bytes();
    let expected = signature(KEY, &check.transmission_id, &check.transmission_time, &check.webhook_id, event);
    let holds = check.auth_algo == ALGORITHM
        && host.is_some_and(|host| HOSTS.contains(&host))
        && check.webhook_id == world.config.paypal.webhook_id
        && check.transmission_sig == expected;
    Ok(json!({ "verification_status": if holds { "SUCCESS" } else { "FAILURE" } }))
}

fn content(world: &World, kind: &str, resource_type: &str, summary: &str, resource: Value) -> Value {
    json!({
        "event_version": "1.0",
        "create_time": rfc3339(world.now_ms()),
        "resource_type": resource_type,
        "resource_version": "2.0",
        "event_type": kind,
        "summary": summary,
        "resource": resource,
    })
}

/// Tells of a resource. `objects` are the ids it is about.
pub(super) fn tell(
    world: &mut World,
    kind: &str,
    resource_type: &str,
    summary: &str,
    resource: Value,
    objects: &[&str],
) {
    let content = content(world, kind, resource_type, summary, resource);
    let objects = objects.iter().map(|id| (*id).to_owned()).collect();
    announce(world, News { processor: Processor::PayPal, kind, content, objects });
}

/// Tells of a capture.
pub(super) fn tell_capture(world: &mut World, kind: &str, capture: &Capture) {
    let amount = crate::money::value(capture.amount, &capture.currency);
    let verb = kind.rsplit('.').next().unwrap_or(kind).to_ascii_lowercase();
    let summary = format!("Payment {verb} for $ {amount} {}", capture.currency);
    let resource = objects::capture(world, capture);
    tell(world, kind, "capture", &summary, resource, &[&capture.id, &capture.order]);
}

/// What somebody who wants credits for nothing says of a new order.
pub(super) fn tempt(world: &mut World, order: &Order) {
    let capture = Capture {
        id: world.capital_id("", 17),
        order: order.id.clone(),
        status: CaptureStatus::Completed,
        custom_id: order.custom_id.clone(),
        invoice_id: order.invoice_id.clone(),
        amount: order.amount,
        currency: order.currency.clone(),
        refunded: 0,
        refunds: Vec::new(),
        dispute: None,
        created_ms: order.created_ms,
        updated_ms: order.updated_ms,
    };
    let kind = "PAYMENT.CAPTURE.COMPLETED";
    let resource = objects::capture(world, &capture);
    let content = content(world, kind, "capture", "Payment completed", resource);
    announce_forgeries(world, &News { processor: Processor::PayPal, kind, content, objects: Vec::new() });
}

#[cfg(test)]
mod tests {
    #[test]
    fn crc32_is_that_of_zip() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(super::crc32(b""), 0);
    }
}
