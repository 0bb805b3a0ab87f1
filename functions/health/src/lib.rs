//! Whether the service answers, and how the last billing run went.

mod billing_daemon;

use api::{Clock, Problem, Tokens};
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

/// The routes of this area. Every path stands under `/api/v1` and under `/api`; `/health` also alone, for probes.
pub fn router(health: Health) -> Router {
    let area = Router::new()
        .route("/health", get(|| async { Json(Alive { status: "ok" }) }))
        .route("/health/billing-daemon", get(billing_daemon::show));
    Router::new()
        .nest("/api/v1", area.clone())
        .nest("/api", area)
        .route("/health", get(|| async { Json(Alive { status: "ok" }) }))
        .fallback(|| async { Problem::not_found() })
        .with_state(health)
}
