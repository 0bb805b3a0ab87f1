//! HTTP: registration, sign-in, sessions, second factor, API keys; and the account itself.
//!
//! Owns: passwords (Argon2id), the private key of access tokens, refresh tokens and their rotation, the tokens that are mailed,
//! one-time codes. Nothing it answers tells a stranger whether an address has an account: not the text, not the status, and
//! not the time, which has a floor ([`State::floor`]).
//!
//! Does *not*: decide what a request may do (the kit does, with what is stored here), send mail (the outbox's mailer does),
//! or know about money, but for showing it to its owner in an export.

mod answers;
mod api_keys;
mod change_email;
mod change_password;
mod delete_me;
mod export;
mod fields;
mod jwks;
mod limits;
mod login;
mod logout;
mod mails;
mod me;
mod one_time;
pub mod operator;
mod password;
mod proof;
mod random;
mod recovery;
mod refresh;
mod register;
mod second_factor;
mod session;
mod sessions;
mod signer;
mod verify_email;

use api::{Kit, serve_area};
use axum::Router;
use axum::extract::FromRef;
use providers::Queue;
use std::sync::Arc;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use password::Passwords;
pub use signer::{Signer, SignerError};

/// The area, as its function is called. No scope of an API key names it.
pub const AREA: &str = "auth";
/// The least time an answer takes that must not tell whether an address has an account: longer than all the work there may
/// be behind it (Argon2, an imported bcrypt hash, the writes, a message to the mailer).
pub const ANSWER_FLOOR: Duration = Duration::from_millis(600);

/// What the endpoints work with.
#[derive(Clone, Debug)]
pub struct State {
    /// Store, time and keys.
    pub kit: Kit,
    /// The private key.
    pub signer: Signer,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// Ids of mails that wait in the outbox.
    pub mails: Arc<dyn Queue>,
    /// [`ANSWER_FLOOR`]; nothing where the time may tell (in most tests).
    pub floor: Duration,
}

impl FromRef<State> for Kit {
    fn from_ref(state: &State) -> Self {
        state.kit.clone()
    }
}

impl State {
    /// With the floor that is meant for the world.
    #[must_use]
    pub fn new(kit: Kit, signer: Signer, mails: Arc<dyn Queue>) -> Self {
        Self { kit, signer, passwords: Passwords::new(), mails, floor: ANSWER_FLOOR }
    }
}

/// The operations of this area.
#[must_use]
pub fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(register::register))
        .routes(routes!(verify_email::verify))
        .routes(routes!(verify_email::resend))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(recovery::forgot))
        .routes(routes!(recovery::reset))
        .routes(routes!(change_password::change))
        .routes(routes!(change_email::change))
        .routes(routes!(change_email::confirm))
        .routes(routes!(me::show, me::update, delete_me::delete))
        .routes(routes!(export::export))
        .routes(routes!(sessions::list, sessions::end_others))
        .routes(routes!(sessions::end))
        .routes(routes!(second_factor::setup))
        .routes(routes!(second_factor::confirm))
        .routes(routes!(second_factor::disable))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::delete))
        .routes(routes!(jwks::show))
}

/// The routes of this area.
pub fn router(state: State) -> Router {
    serve_area(state.kit.clone(), routes(), state.clone(), root(state))
}

/// The public keys also where RFC 8615 has them.
pub fn root(state: State) -> Router {
    Router::new().route("/.well-known/jwks.json", axum::routing::get(jwks::show)).with_state(state)
}
