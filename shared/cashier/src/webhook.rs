//! Webhooks: whether they are the processor's, and which payment they are about. What they say of money is not believed; it is
//! a reason to ask the processor's API.
//!
//! An event that is genuine is kept as it came. One of a type that is not known is taken, and nothing follows. Where the store
//! or the processor does not answer, nor do we, well: the event is sent again.

mod paypal;
mod post_back;
mod stripe;

use crate::settle::Reason;
use crate::{Cashier, CashierError};
use api::{ClientIp, FieldError, Problem};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use domain::Id;
use domain::payment::{Payment, Processor};
use providers::is_object_id;
use providers::stripe::signature::SignatureError;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A webhook that is not taken.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// It is not the processor's, or too old.
    #[error("it is not the processor's: {0}")]
    Forged(String),
    /// Nobody was asked whether it is the processor's: too many were not, or too many came. It may come again in so many
    /// seconds.
    #[error("too many came")]
    TooMany(i64),
    /// It is the processor's, and not of the form.
    #[error("it is not an event")]
    Malformed,
    /// It could not be dealt with; it must come again.
    #[error(transparent)]
    Failed(#[from] CashierError),
}

impl From<SignatureError> for WebhookError {
    fn from(error: SignatureError) -> Self {
        Self::Forged(error.to_string())
    }
}

impl From<store::StoreError> for WebhookError {
    fn from(error: store::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl WebhookError {
    /// What its sender is told; `signature` is the header that stands for the signature. Why it does not hold, the log knows.
    fn problem(self, signature: &'static str) -> Problem {
        match self {
            Self::Forged(why) => {
                tracing::warn!(why, "a webhook was refused");
                let problem =
                    Problem::new(StatusCode::BAD_REQUEST, "invalid_signature", "The signature does not hold.");
                problem.with_errors(vec![FieldError::parameter(signature, "it is not a signature of this body")])
            }
            Self::TooMany(secs) => {
                tracing::warn!(why = "too many came", "a webhook was refused");
                Problem::too_many(secs)
            }
            Self::Malformed => Problem::new(StatusCode::BAD_REQUEST, "malformed_event", "This is not an event."),
            Self::Failed(error) => {
                tracing::error!(error = %error, "a webhook could not be dealt with");
                Problem::of(StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }
}

/// That an event was taken.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Taken {
    /// Always true.
    pub received: bool,
}

/// `POST /stripe` and `POST /paypal`: what a function URL serves. Other paths may stand for the same two handlers.
pub fn routes() -> Router<Cashier> {
    Router::new().route("/stripe", post(stripe)).route("/paypal", post(paypal))
}

/// Takes an event of Stripe.
///
/// # Errors
/// 400 where the signature does not hold, 503 where it must come again.
pub async fn stripe(State(cashier): State<Cashier>, headers: HeaderMap, body: Bytes) -> Result<Json<Taken>, Problem> {
    let taken = cashier.stripe_webhook(one(&headers, "stripe-signature"), &body).await;
    taken.map_err(|error| error.problem("Stripe-Signature"))?;
    Ok(Json(Taken { received: true }))
}

/// Takes an event of PayPal.
///
/// # Errors
/// As [`stripe()`]; 429 where too many came that were forged.
pub async fn paypal(
    State(cashier): State<Cashier>,
    ip: ClientIp,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Taken>, Problem> {
    let taken = cashier.paypal_webhook(ip, &|name| one(&headers, name), &body).await;
    taken.map_err(|error| error.problem("PayPal-Transmission-Sig"))?;
    Ok(Json(Taken { received: true }))
}

/// A header that is there once.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// An event, as far as it was read.
struct Event {
    id: String,
    kind: String,
    value: Value,
}

/// What an event is about.
#[derive(Debug, Default, PartialEq, Eq)]
struct About {
    /// Objects that may be a payment's own, the likeliest first.
    objects: Vec<String>,
    /// The payment that is written on it.
    payment: Option<String>,
    /// Whether money moved: such an event is never dropped.
    is_money: bool,
}

impl Event {
    /// Keeps an event that is genuine, and reads what must be there.
    async fn keep(
        cashier: &Cashier,
        processor: Processor,
        kind: &'static str,
        body: &[u8],
    ) -> Result<Self, WebhookError> {
        let raw = std::str::from_utf8(body).map_err(|_| WebhookError::Malformed)?;
        let value: Value = serde_json::from_str(raw).map_err(|_| WebhookError::Malformed)?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let id = text("id").filter(|id| is_object_id(id)).ok_or(WebhookError::Malformed)?;
        let kind = text(kind).ok_or(WebhookError::Malformed)?;
        let is_new = cashier.store.event_keep(processor, &id, raw, cashier.clock.now()).await?;
        tracing::info!(%processor, event = id, kind, is_new, "an event was taken");
        Ok(Self { id, kind, value })
    }
}

impl Cashier {
    /// Finds the payment an event is about and settles it; parks what fits none.
    async fn follow(&self, processor: Processor, event: &Event, about: About) -> Result<Option<Payment>, CashierError> {
        let mut known = None;
        for object in &about.objects {
            if let Some(id) = self.store.payment_of_object(processor, object).await? {
                known = Some((id, Some(object.as_str())));
                break;
            }
        }
        let named = about.payment.as_deref().and_then(|id| Id::new(id).ok());
        let object = about.objects.first().map(String::as_str);
        let found = known.map(|(id, _)| (id, None)).or(named.map(|id| (id, object)));
        let Some((id, object)) = found else {
            return self.unmatched(processor, event, &about).await.map(|()| None);
        };
        match self.store.payment(&id).await? {
            Some((payment, _)) if payment.processor == processor => {
                let why = Reason { object, event: Some(&event.id), is_sweep: false };
                self.settle_for(&id, why).await.map(Some)
            }
            _ => self.unmatched(processor, event, &about).await.map(|()| None),
        }
    }

    async fn unmatched(&self, processor: Processor, event: &Event, about: &About) -> Result<(), CashierError> {
        // An object that moved no money may be anything else the account does.
        if !about.is_money {
            return Ok(());
        }
        // Money that moved is never dropped: where it names nothing we can use, the event itself stands for it.
        let object = about.objects.first().unwrap_or(&event.id);
        let reason = format!("the event {} fits no payment", event.kind);
        self.park_object(processor, object.clone(), about.payment.clone(), Some(&event.id), reason).await
    }
}
