//! Function URLs: `POST /stripe` and `POST /paypal`. The same two handlers stand in the HTTP API; here they stand apart, so that
//! what is done to the one does not hold up the other.

use api::{Kit, serve_area};
use axum::Router;
use cashier::{Cashier, webhook};
use utoipa_axum::router::OpenApiRouter;

/// The area, for the log.
pub const AREA: &str = "webhooks";

/// The routes: at the root, for a function URL has no prefix.
pub fn router(kit: Kit, cashier: Cashier) -> Router {
    serve_area(kit, OpenApiRouter::new(), (), webhook::routes().with_state(cashier))
}
