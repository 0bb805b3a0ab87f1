//! HTTP: users, credits, parked payments, settings, the schedule, runs and the audit log, for admins.
//!
//! Owns: who of the operators may change what, and the record of it. Every change is written down with who made it and from
//! where, in one transaction with the change where both stand in tables that allow it.
//!
//! Does *not*: bill (it asks metering to, over metering's own queue), decide what a setting means, or make the first admin: an
//! operator does that at the command line.

mod acting;
mod audit;
mod bulk;
mod credits;
mod cron;
mod fields;
mod parked;
mod posting;
mod runs;
mod settings;
mod transactions;
mod user;
mod users;

use api::{Kit, idempotent, serve_area};
use axum::Router;
use axum::extract::FromRef;
use providers::{Queue, Scheduler};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use posting::MAX_CREDIT;

/// The area, as scopes of API keys name it.
pub const AREA: &str = "admin";

/// What the endpoints work with.
#[derive(Clone, Debug)]
pub struct State {
    /// Store, time and keys.
    pub kit: Kit,
    /// What starts metering at its times.
    pub scheduler: Arc<dyn Scheduler>,
    /// Metering's own queue.
    pub metering: Arc<dyn Queue>,
}

impl FromRef<State> for Kit {
    fn from_ref(state: &State) -> Self {
        state.kit.clone()
    }
}

/// The operations of this area.
#[must_use]
pub fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(users::list))
        .routes(routes!(user::show, user::update, user::deactivate))
        .routes(routes!(transactions::list))
        .routes(idempotent(routes!(credits::add, credits::remove)))
        .routes(idempotent(routes!(bulk::add)))
        .routes(routes!(parked::list))
        .routes(routes!(parked::deal_with))
        .routes(routes!(settings::list))
        .routes(routes!(settings::set))
        .routes(routes!(cron::status))
        .routes(idempotent(routes!(cron::trigger)))
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(audit::list))
}

/// The routes of this area.
pub fn router(state: State) -> Router {
    serve_area(state.kit.clone(), routes(), state, Router::new())
}
