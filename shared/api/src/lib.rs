//! The kit that every function is built with.
//!
//! Owns: what all HTTP areas have in common ([`serve()`], extractors, problem+json, access tokens, idempotency, rate limits, lists,
//! money as text, OpenAPI), and what all functions have in common (clock, start-up, secrets, telemetry).
//! Does *not*: own a route or a rule.

pub mod access;
mod address;
pub mod api_key;
mod caller;
mod clock;
pub mod dates;
mod extract;
mod idempotency;
mod kit;
pub mod ledger;
mod line;
mod money;
mod numbered;
pub mod openapi;
mod page;
mod problem;
mod query;
pub mod secret;
mod serve;
pub mod start;
mod transaction;

pub use access::{AccessKeys, Claims};
pub use address::ClientIp;
pub use caller::{Admin, Caller};
pub use clock::Clock;
pub use extract::{Json, PathId, read_json};
pub use idempotency::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, IdempotencyKey, idempotent};
pub use kit::{Kit, address_bucket, new_id};
pub use line::{Name, line, patched_name};
pub use money::{AmountText, Money, show};
pub use numbered::{NumberParams, Numbered, Pagination};
pub use page::{MAX_LIMIT, PageParams, Paged, default_limit, read_cursor, write_cursor};
pub use problem::{FieldError, Problem};
pub use providers::Secret;
pub use query::{Queries, Query};
pub use serve::{MAX_BODY_BYTES, MAX_TIME, REQUEST_ID, RequestId, area, serve, serve_area};
pub use store::Limit;
pub use transaction::{parse_transaction_id, transaction_id};
