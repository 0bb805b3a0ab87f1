//! The kit that every function is built with: the clock, what it reads at start, telemetry, and errors as problem+json.

mod clock;
mod problem;
pub mod start;

pub use clock::Clock;
pub use problem::Problem;
