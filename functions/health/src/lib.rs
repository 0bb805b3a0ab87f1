//! Whether the service answers, and how the last billing run went.

mod billing_daemon;

use api::{Clock, Tokens, serve};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use store::Store;

pub use billing_daemon::BillingDaemon;

/// What the endpoints work with.
#[derive(Clone, Debug)]
pub struct Health {
    /// Runs and totals.
    pub store: Store,
    /// For "stale".
    pub clock: Clock,
    /// What a monitor must present to see more than "ok"; nothing where only this machine can ask.
    pub monitors: Option<Tokens>,
}

#[derive(Serialize)]
struct Alive {
    status: &'static str,
}

async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// The routes of this area; `/health` also alone, for probes.
pub fn router(health: Health) -> Router {
    let area = Router::new().route("/health", get(alive)).route("/health/billing-daemon", get(billing_daemon::show));
    let root = Router::new().route("/health", get(alive));
    serve(area.with_state(health), root)
}
