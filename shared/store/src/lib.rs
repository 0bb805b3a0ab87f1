//! The only crate that knows DynamoDB.
//!
//! Owns: the table definitions, the keys and the access patterns ([`keys`]), every condition string ([`expr`]), the encoding
//! of items, and which write is conditional on what. Talks to nothing but the AWS SDK, in every environment.
//!
//! Does *not*: decide what is billed ([`domain`] does), retry beyond the SDK's bounds, or hold state between calls.
//! There is no in-memory twin of it: the conditions are the logic, so tests run against a real DynamoDB implementation.

mod access;
mod access_keys;
mod attention;
pub mod audit;
mod balance;
mod capacity;
mod client;
mod departed;
mod error;
pub mod expr;
mod fleet;
mod guard;
mod idempotency;
mod identity;
mod item;
pub mod keys;
mod lanes;
mod limits;
mod low_balance;
mod outbox;
mod page_codec;
mod payments;
mod plans;
mod preferences;
mod query;
mod revenue;
mod rollups;
mod runs;
mod settings;
mod suppression;
mod tables;
mod wallet;
mod wallet_post;

pub use access::{Access, ApiKeyGrant, MAX_API_KEYS, MAX_SESSIONS};
pub use access_keys::AccessKey;
pub use attention::Look;
pub use audit::{AuditFilter, AuditRecord, By, Found};
pub use balance::{Balance, LANES_AT_ONCE, MAX_SKEW_SECS, Range, Stretch, Transfer};
pub use capacity::{Area, Capacity, Units, item_bytes, item_write_units};
pub use client::{Store, StoreConfig, TableNames};
pub use error::StoreError;
pub use fleet::{Closing, Fact, FactOutcome, FleetPage, FleetTenure, Recheck};
pub use idempotency::{Claimed, MAX_ANSWER_BYTES, RequestKey};
pub use identity::{
    AdminChange, AdminChanged, ApiKey, ApiKeyCreated, Ended, MailToken, NewUser, Profile, Purpose, Second, Secret,
    Session, SignIn, UserChange,
};
pub use limits::Limit;
pub use low_balance::{LowBalance, Watched};
pub use outbox::{Claim, Enqueued, LEASE_SECS, MAX_TRIES, MailRecord, MailStatus, OutboxMail, Outcome, RETRY_SECS};
pub use page_codec::{PAGE_ATTRIBUTE, decode_page, encode_page};
pub use payments::{
    Deal, Dealing, EVENT_KEPT_SECS, MAX_TOP_UPS_A_DAY, Parked, ParkedPage, ParkedStatus, PaymentCreated, PaymentFilter,
    PaymentPage, Revised, RevisedParked, Unmatched, parked_id,
};
pub use plans::RatesByCustomer;
pub use revenue::RevenueMonth;
pub use rollups::{Addition, Rollups};
pub use settings::{BillingSettings, SettingChange, SettingStamp};
pub use suppression::Suppression;
pub use tables::{SCHEMA_VERSION, TABLES, TableDefinition};
pub use wallet::{AppendOnce, Appended};
pub use wallet_post::Posted;
