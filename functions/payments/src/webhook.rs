//! `POST /payments/webhook[/paypal]`: what processors call. No caller signs in here; the signature over the body decides.

use api::{ClientIp, Problem};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State as With;
use axum::http::HeaderMap;
use cashier::Cashier;
use cashier::webhook::{self, Taken};

/// Takes an event of Stripe.
#[utoipa::path(
    post, path = "/payments/webhook", tag = "payments", operation_id = "stripe_webhook",
    request_body(content = serde_json::Value, description = "The event, byte for byte as it was signed."),
    params(("Stripe-Signature" = String, Header, description = "Time and signatures of the body.")),
    responses((status = 200, body = Taken))
)]
pub async fn stripe(cashier: With<Cashier>, headers: HeaderMap, body: Bytes) -> Result<Json<Taken>, Problem> {
    webhook::stripe(cashier, headers, body).await
}

/// Takes an event of PayPal.
#[utoipa::path(
    post, path = "/payments/webhook/paypal", tag = "payments", operation_id = "paypal_webhook",
    request_body(content = serde_json::Value, description = "The event, byte for byte as it was signed."),
    params(("PayPal-Transmission-Sig" = String, Header, description = "The signature, one of five headers.")),
    responses((status = 200, body = Taken))
)]
pub async fn paypal(
    cashier: With<Cashier>,
    ip: ClientIp,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Taken>, Problem> {
    webhook::paypal(cashier, ip, headers, body).await
}
