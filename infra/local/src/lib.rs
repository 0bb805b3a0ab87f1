//! Skymeter on embedded parts: DynamoDB by dynoxide in this process, a durable queue in SQLite, the functions' own handlers.
//!
//! Owns: wiring, the data directory, the commands of `skymeter`. Holds no rule of billing: what it runs is what Lambda runs.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

pub mod chaos;
pub mod check;
pub mod commands;
pub mod data_dir;
pub mod embedded;
pub mod feed;
pub mod gateway;
pub mod installation;
pub mod mailbox;
pub mod queue;
pub mod shop;
pub mod system;
pub mod trace;
