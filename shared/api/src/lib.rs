//! The kit that every function is built with: the clock, what it reads at start (secrets included), telemetry, and errors as problem+json.

mod clock;
mod problem;
mod secret;
mod serve;
pub mod start;

pub use clock::Clock;
pub use problem::Problem;
pub use secret::Tokens;
pub use serve::{MAX_BODY_BYTES, MAX_TIME, REQUEST_ID, serve};
