//! Whether the service answers, how the last billing run went, and the description of the whole API with its pages.

mod billing_daemon;
mod docs;

use api::{Kit, serve_area};
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use billing_daemon::BillingDaemon;

/// The area, as scopes of API keys name it.
pub const AREA: &str = "health";

/// That it answers.
#[derive(Debug, Serialize, ToSchema)]
struct Alive {
    /// Always `ok`.
    #[schema(pattern = "^ok$")]
    status: &'static str,
}

/// Whether the service answers.
#[utoipa::path(get, path = "/health", tag = "health", operation_id = "health", responses((status = 200, body = Alive)))]
async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// The operations of this area.
#[must_use]
pub fn routes() -> OpenApiRouter<Kit> {
    OpenApiRouter::new().routes(routes!(alive)).routes(routes!(billing_daemon::show))
}

/// The routes of this area; `/health` also alone, for probes, and the API's description.
pub fn router(kit: Kit) -> Router {
    serve_area(kit.clone(), routes(), kit, root())
}

/// What stands at the root, outside of both prefixes.
pub fn root() -> Router {
    docs::routes().route("/health", axum::routing::get(alive))
}
