//! The only crate that knows DynamoDB.
//!
//! Owns: the table definitions, the keys and the access patterns ([`keys`]), every condition string ([`expr`]), the encoding
//! of items, and which write is conditional on what. Talks to nothing but the AWS SDK, in every environment.
//!
//! Does *not*: decide what is billed ([`domain`] does), retry beyond the SDK's bounds, or hold state between calls.
//! There is no in-memory twin of it: the conditions are the logic, so tests run against a real DynamoDB implementation.

mod capacity;
mod client;
mod error;
pub mod expr;
mod fleet;
mod guard;
mod item;
pub mod keys;
mod lanes;
mod page_codec;
mod plans;
mod rollups;
mod runs;
mod settings;
mod tables;
mod wallet;

pub use capacity::{Area, Capacity, Units, item_bytes, item_write_units};
pub use client::{Store, StoreConfig, TableNames};
pub use error::StoreError;
pub use fleet::{Closing, Fact, FactOutcome, FleetPage, FleetTenure, Recheck};
pub use page_codec::{PAGE_ATTRIBUTE, decode_page, encode_page};
pub use plans::RatesByCustomer;
pub use rollups::{Addition, LowBalance, Rollups};
pub use settings::BillingSettings;
pub use tables::{SCHEMA_VERSION, TABLES, TableDefinition};
pub use wallet::{AppendOnce, Appended};
