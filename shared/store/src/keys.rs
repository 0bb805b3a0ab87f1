//! Every key, and the access patterns they serve.
//!
//! | table | pk | sk | what | read by |
//! |---|---|---|---|---|
//! | `ledger` | `WALLET#<customer>#<unit>#<lane>` | page number (N) | one page | newest: Query, descending, Limit 1 |
//! | `ledger` | `KEY#<idempotency key>` | 0 (N) | marker of a page with a key | GetItem |
//! | `main` | `FLEET#<shard>` | `<customer>#<server>#<since>` | a tenure that is not closed | metering: Query per shard; Get |
//! | `main` | `SERVER#<server>` | `NOW` | where the server's newest tenure is | GetItem |
//! | `main` | `SERVER#<server>` | `TENURE#<since>` | a closed tenure | GetItem, verify |
//! | `main` | `LANES#<customer>` | `<unit>` | how full the customer's lanes are | GetItem |
//! | `main` | `PLANS` | `<plan>` | a plan with its versions | metering: Query |
//! | `main` | `RATES#<shard>` | `<customer>` | own rates and discounts | metering: Query per shard |
//! | `main` | `RUN` | `<hour>` | one metering run | newest: Query, descending, Limit 1 |
//! | `main` | `SCHEMA` | `VERSION` | the newest version that wrote here | at every start: GetItem; metering: UpdateItem |
//! | `main` | `SETTINGS` | `<key>` | one setting with its history | Query |
//! | `main` | `TOTALS#<unit>` | `<day>` | server-hours and amount per billed hour of a day | Get, rebuild |
//! | `main` | `REVENUE#<unit>` | `<month>` | amount per kind of page and month | Get, rebuild |
//! | `main` | `EVENT#LOW_BALANCE` | `<wallet>#<threshold>#<seq>` | a balance fell below a threshold | Query |
//! | `main` | `STREAM#<first>-<last>` | part | marker of a stream batch, with TTL | only its condition |
//!
//! Hours and days are written with eight digits, so that text order is time order.

use domain::tenure::WalletId;
use domain::{Hour, Id, Unit};

/// Attribute: partition key.
pub const PK: &str = "pk";
/// Attribute: sort key.
pub const SK: &str = "sk";
/// Attribute: the document of an item of `main`, as JSON.
pub const DOC: &str = "d";
/// Attribute: revision of an item that is changed optimistically.
pub const REV: &str = "rev";
/// Attribute: expiry for DynamoDB's TTL, in seconds since the epoch.
pub const TTL: &str = "ttl";

/// Partition of all plans.
pub const PLANS: &str = "PLANS";
/// Partition of all runs.
pub const RUN: &str = "RUN";
/// Partition of the version of keys and encodings.
pub const SCHEMA: &str = "SCHEMA";
/// Its only item.
pub const SCHEMA_VERSION: &str = "VERSION";
/// Partition of all settings.
pub const SETTINGS: &str = "SETTINGS";
/// Partition of low-balance events.
pub const LOW_BALANCE: &str = "EVENT#LOW_BALANCE";
/// Sort key of a server's locator.
pub const SERVER_NOW: &str = "NOW";

const WALLET: &str = "WALLET#";

/// Chain of a wallet's lane.
#[must_use]
pub fn wallet(wallet: &WalletId) -> String {
    format!("{WALLET}{wallet}")
}

/// Undoes [`wallet`]; `None` for a marker or anything else.
#[must_use]
pub fn parse_wallet(pk: &str) -> Option<WalletId> {
    let mut parts = pk.strip_prefix(WALLET)?.split('#');
    let (customer, unit, lane) = (parts.next()?, parts.next()?, parts.next()?);
    Some(WalletId { customer: Id::new(customer).ok()?, unit: Unit::parse(unit)?, lane: lane.parse().ok()? })
}

/// Marker of an idempotency key.
#[must_use]
pub fn key_marker(key: &str) -> String {
    format!("KEY#{key}")
}

/// Shard of the fleet registry.
#[must_use]
pub fn fleet(shard: u8) -> String {
    format!("FLEET#{shard:02}")
}

/// A tenure inside its shard: sorted by customer, so that a customer's servers travel together.
#[must_use]
pub fn fleet_tenure(customer: &Id, server: &Id, since: Hour) -> String {
    format!("{customer}#{server}#{}", hour(since))
}

/// A server's locator and closed tenures.
#[must_use]
pub fn server(server: &Id) -> String {
    format!("SERVER#{server}")
}

/// A closed tenure of a server.
#[must_use]
pub fn closed_tenure(since: Hour) -> String {
    format!("TENURE#{}", hour(since))
}

/// A customer's lanes.
#[must_use]
pub fn lanes(customer: &Id) -> String {
    format!("LANES#{customer}")
}

/// A shard's customers with rates of their own.
#[must_use]
pub fn rates(shard: u8) -> String {
    format!("RATES#{shard:02}")
}

/// Totals of a unit by day.
#[must_use]
pub fn totals(unit: Unit) -> String {
    format!("TOTALS#{}", unit.as_str())
}

/// Revenue of a unit by month.
#[must_use]
pub fn revenue(unit: Unit) -> String {
    format!("REVENUE#{}", unit.as_str())
}

/// Marker of a stream batch.
#[must_use]
pub fn stream_batch(first: &str, last: &str) -> String {
    format!("STREAM#{first}-{last}")
}

/// An hour as sortable text.
#[must_use]
pub fn hour(hour: Hour) -> String {
    format!("{:08}", hour.number())
}

/// Undoes [`hour`].
#[must_use]
pub fn parse_hour(text: &str) -> Option<Hour> {
    text.parse().ok().and_then(|n: u32| Hour::try_from(n).ok())
}

/// A day as sortable text: days since the epoch.
#[must_use]
pub fn day(day: u32) -> String {
    format!("{day:08}")
}
