//! HTTP: buying credits by Stripe and PayPal, refunds, saved methods, statistics, and the processors' webhooks.
//!
//! Owns: what callers send and read. Does *not* own what happens with money: [`cashier`] does.

mod confirm;
mod intent;
mod list;
mod methods;
mod paypal;
mod refund;
mod show;
mod stats;
mod view;
mod webhook;

use api::{Kit, idempotent, serve_area};
use axum::Router;
use axum::extract::FromRef;
use cashier::Cashier;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use view::{PaymentView, RefundView};

/// The area, as scopes of API keys name it.
pub const AREA: &str = "payments";

/// What the endpoints work with.
#[derive(Clone, Debug)]
pub struct State {
    /// Store, time, rate limits.
    pub kit: Kit,
    /// Where money is taken.
    pub cashier: Cashier,
}

impl FromRef<State> for Cashier {
    fn from_ref(state: &State) -> Self {
        state.cashier.clone()
    }
}

/// The operations of this area.
#[must_use]
pub fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(idempotent(routes!(intent::create)))
        .routes(idempotent(routes!(confirm::confirm)))
        .routes(routes!(list::list))
        .routes(routes!(show::show))
        .routes(idempotent(routes!(refund::refund)))
        .routes(routes!(stats::summary))
        .routes(idempotent(routes!(paypal::create)))
        .routes(idempotent(routes!(paypal::capture)))
        .routes(routes!(methods::list))
        .routes(routes!(methods::delete))
        .routes(routes!(webhook::stripe))
        .routes(routes!(webhook::paypal))
}

/// The routes of this area.
pub fn router(state: State) -> Router {
    serve_area(state.kit.clone(), routes(), state, Router::new())
}
