//! HTTP: what a customer's money did, and why. Balance, transactions, usage, explanations, statements, proof; the
//! settings that act on a balance; and the two ways a customer puts money into a wallet: a payment that was made, and
//! tokens for credits.
//!
//! Owns: how the ledger is shown. Every figure is read off pages (or off the newest page's meters and the registry's
//! facts, and says so); each amount is a decimal string, never rounded. A page is named `txn_<unit>_<lane>_<number>`.
//!
//! Does *not*: rate, bill, take payments, or show anything of another customer: whose pages are read is in the access
//! token.

mod add_credits;
mod alerts;
mod auto_top_up;
mod balance;
mod counted;
mod custom_credits;
mod explain;
mod filter;
mod plans;
mod proof;
mod read_pages;
mod statements;
mod tokens;
mod transaction;
mod transactions;
mod usage_current;
mod usage_records;

use api::{Kit, idempotent, serve_area};
use axum::Router;
use axum::extract::FromRef;
use cashier::Cashier;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The area, as scopes of API keys name it.
pub const AREA: &str = "billing";

/// What the endpoints work with.
#[derive(Clone, Debug)]
pub struct State {
    /// Store, time, keys.
    pub kit: Kit,
    /// Asks processors about payments and saved methods.
    pub cashier: Cashier,
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
        .routes(routes!(balance::show))
        .routes(routes!(transactions::list))
        .routes(routes!(transaction::show))
        .routes(routes!(custom_credits::list))
        .routes(routes!(usage_current::show))
        .routes(routes!(usage_records::list))
        .routes(routes!(explain::show))
        .routes(routes!(statements::show))
        .routes(routes!(proof::show))
        .routes(routes!(plans::list))
        .routes(routes!(alerts::show, alerts::change))
        .routes(routes!(auto_top_up::show, auto_top_up::change))
        .routes(idempotent(routes!(add_credits::add)))
        .routes(idempotent(routes!(tokens::add)))
}

/// The routes of this area, as its function serves them.
pub fn router(state: State) -> Router {
    serve_area(state.kit.clone(), routes(), state, Router::new())
}
