//! The rules of Skymeter as plain values: what an hour is, what it costs, and how a wallet's chain of pages grows.
//!
//! Owns: money and its one rounding, time, a server's spans, price terms, rating, the wallet (page, line, meter, fold),
//! the export form and its hash, the proof of a chain, run bookkeeping, the settings and their bounds.
//!
//! Does *not*: read a clock, do I/O, know AWS, draw random numbers, read the environment. `now` is an argument.
//! The arithmetic is fixed by the rating rules in `README.md` ("How a bill is computed").

pub mod account;
pub mod alerts;
pub mod explain;
#[cfg(test)]
mod fixtures;
pub mod id;
pub mod job;
pub mod mail;
pub mod money;
pub mod payment;
pub mod plan;
pub mod rating;
pub mod run;
pub mod settings;
pub mod statement;
pub mod tenure;
pub mod time;
pub mod timeline;
pub mod trace;
pub mod usage;
pub mod verify;
pub mod wallet;

pub use id::Id;
pub use money::{Amount, Unit};
pub use time::{Hour, Month, Timestamp};
