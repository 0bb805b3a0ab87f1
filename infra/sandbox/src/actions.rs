//! What customers, banks and people at a dashboard do. One list for tests and for `POST /sandbox/actions`.

use crate::paypal::{self, Wallet};
use crate::stripe::{self, Card};
use crate::world::{Shared, World};
use crate::{Knobs, deliver, webhooks};
use anyhow::{Context as _, bail};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

/// How a dispute ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The money comes back to us.
    Won,
    /// It stays with the customer.
    Lost,
}

/// Something that happens outside. As JSON: `{"do": "dispute", "id": "pi_..."}`.
///
/// Where an action is about money that was captured, its id may be that of the payment (`pi_`, an order) or of the charge or
/// capture. Amounts are minor units; without one it is all that is left.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// A customer pays a payment intent with a card.
    Pay {
        /// The intent.
        id: String,
        /// The card.
        card: Card,
    },
    /// A customer answers the bank's question about an intent that requires action.
    Authenticate {
        /// The intent.
        id: String,
        /// Whether rightly.
        passes: bool,
    },
    /// A payer approves an order.
    Approve {
        /// The order.
        id: String,
        /// What their wallet will do.
        #[serde(default)]
        wallet: Wallet,
    },
    /// PayPal makes up its mind about a pending capture.
    Settle {
        /// The order or capture.
        id: String,
        /// Completed, or denied.
        completed: bool,
    },
    /// Somebody refunds at the processor's dashboard.
    Refund {
        /// The payment.
        id: String,
        /// How much.
        amount: Option<i64>,
    },
    /// A bank takes a PayPal payment back without a dispute.
    Reverse {
        /// The payment.
        id: String,
        /// How much.
        amount: Option<i64>,
    },
    /// A customer disputes.
    Dispute {
        /// The payment.
        id: String,
        /// How much.
        amount: Option<i64>,
    },
    /// A dispute ends.
    CloseDispute {
        /// The dispute or its payment.
        id: String,
        /// How.
        outcome: Outcome,
    },
}

/// Money that was captured.
enum Captured {
    Charge(String),
    Capture(String),
}

fn captured(world: &World, id: &str) -> anyhow::Result<Captured> {
    if let Some(intent) = world.stripe.intents.get(id) {
        return intent.latest_charge.clone().map(Captured::Charge).context("the intent was never charged");
    }
    if let Some(order) = world.paypal.orders.get(id) {
        return order.capture.clone().map(Captured::Capture).context("the order was never captured");
    }
    if world.stripe.charges.get(id).is_some() {
        return Ok(Captured::Charge(id.to_owned()));
    }
    if world.paypal.captures.get(id).is_some() {
        return Ok(Captured::Capture(id.to_owned()));
    }
    bail!("no payment {id}")
}

/// Does it. The id of what came into being, a refund or a dispute; otherwise the id that was given.
pub(crate) fn act(world: &mut World, action: Action) -> anyhow::Result<String> {
    let stripe = |error: stripe::StripeError| anyhow::anyhow!(error.message());
    let paypal = |error: paypal::PayPalError| anyhow::anyhow!(error.text());
    match action {
        Action::Pay { id, card } => stripe::pay(world, &id, card).map_err(stripe).map(|()| id),
        Action::Authenticate { id, passes } => stripe::authenticate(world, &id, passes).map_err(stripe).map(|()| id),
        Action::Approve { id, wallet } => paypal::approve(world, &id, wallet).map_err(paypal).map(|()| id),
        Action::Settle { id, completed } => match captured(world, &id)? {
            Captured::Charge(_) => bail!("a charge is never pending here"),
            Captured::Capture(id) => paypal::settle(world, &id, completed).map_err(paypal).map(|()| id),
        },
        Action::Refund { id, amount } => match captured(world, &id)? {
            Captured::Charge(id) => stripe::refund(world, &id, amount, None, Default::default()).map_err(stripe),
            Captured::Capture(id) => paypal::refund(world, &id, amount).map_err(paypal),
        },
        Action::Reverse { id, amount } => match captured(world, &id)? {
            Captured::Charge(_) => bail!("a bank that takes a charge back opens a dispute"),
            Captured::Capture(id) => paypal::reverse(world, &id, amount).map_err(paypal),
        },
        Action::Dispute { id, amount } => match captured(world, &id)? {
            Captured::Charge(id) => stripe::open(world, &id, amount).map_err(stripe),
            Captured::Capture(id) => paypal::open(world, &id, amount).map_err(paypal),
        },
        Action::CloseDispute { id, outcome } => close(world, &id, outcome == Outcome::Won),
    }
}

fn close(world: &mut World, id: &str, won: bool) -> anyhow::Result<String> {
    let stripe = |error: stripe::StripeError| anyhow::anyhow!(error.message());
    let paypal = |error: paypal::PayPalError| anyhow::anyhow!(error.text());
    if world.stripe.disputes.get(id).is_some() {
        return stripe::close(world, id, won).map_err(stripe).map(|()| id.to_owned());
    }
    if world.paypal.disputes.get(id).is_some() {
        return paypal::close(world, id, won).map_err(paypal).map(|()| id.to_owned());
    }
    let dispute = match captured(world, id)? {
        Captured::Charge(id) => world.stripe.charges.get(&id).and_then(|charge| charge.dispute.clone()),
        Captured::Capture(id) => world.paypal.captures.get(&id).and_then(|capture| capture.dispute.clone()),
    };
    let dispute = dispute.context("the payment was never disputed")?;
    if world.stripe.disputes.get(&dispute).is_some() {
        return stripe::close(world, &dispute, won).map_err(stripe).map(|()| dispute);
    }
    paypal::close(world, &dispute, won).map_err(paypal).map(|()| dispute)
}

/// The sandbox's own paths, for whoever plays the world outside.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/sandbox/knobs", get(knobs_show).put(knobs_set))
        .route("/sandbox/actions", post(take))
        .route("/sandbox/payments", get(payments))
        .route("/sandbox/deliveries", get(deliveries).post(send))
}

async fn knobs_show(State(shared): State<Shared>) -> Json<Knobs> {
    Json(shared.world().knobs.clone())
}

async fn knobs_set(State(shared): State<Shared>, Json(knobs): Json<Knobs>) -> Json<Knobs> {
    shared.world().knobs = knobs.clone();
    Json(knobs)
}

async fn take(State(shared): State<Shared>, Json(action): Json<Action>) -> Response {
    match act(&mut shared.world(), action) {
        Ok(id) => Json(json!({ "id": id })).into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": error.to_string() }))).into_response(),
    }
}

async fn payments(State(shared): State<Shared>) -> Json<crate::Truth> {
    Json(crate::truth::truth(&shared.world()))
}

async fn deliveries(State(shared): State<Shared>) -> Json<Vec<webhooks::Sent>> {
    Json(shared.world().queue.sent.iter().cloned().collect())
}

async fn send(State(shared): State<Shared>) -> Json<webhooks::Tally> {
    Json(deliver::drain(&shared, deliver::Due::Ever, 1).await)
}
