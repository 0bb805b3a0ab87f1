//! Every key, and the access patterns they serve.
//!
//! | table | pk | sk | what | read by |
//! |---|---|---|---|---|
//! | `ledger` | `WALLET#<customer>#<unit>#<lane>` | page number (N) | one page | newest: Query, descending, Limit 1 |
//! | `ledger` | `KEY#<idempotency key>` | 0 (N) | marker of a page with a key | GetItem |
//! | `identity` | `USER#<user>` | `PROFILE` | who somebody is | GetItem, BatchGetItem |
//! | `identity` | `USER#<user>` | `SECRET` | hash of the password, second factor | GetItem, BatchGetItem |
//! | `identity` | `USER#<user>` | `SESSION#<session>` | hash of a session's refresh token, with TTL | GetItem; Query by prefix |
//! | `identity` | `USER#<user>` | `KEY#<key>` | name of an API key | Query by prefix |
//! | `identity` | `USER#<user>` | `ADDRESS#<hash>` | an address somebody signed in from, with TTL | BatchGetItem |
//! | `identity` | `USER#<user>` | `NEW_EMAIL` | which token confirms another address, with TTL | GetItem |
//! | `identity` | `EMAIL#<address>` | `USER` | whose address it is | GetItem |
//! | `identity` | `TOKEN#<hash>` | `TOKEN` | a single-use token out of a mail, with TTL | GetItem |
//! | `identity` | `USERS` | `<user>` | profiles once more, in order of time | admin: Query, descending |
//! | `identity` | `DECOY#<random>` | `<n>` | nothing, with TTL: work that looks alike | nobody |
//! | `main` | `ACCESS#<user>` | `ACCESS` | status, role, sessions, API keys of a user | every request: GetItem |
//! | `main` | `FLEET#<shard>` | `<customer>#<server>#<since>` | a tenure that is not closed | metering: Query per shard; a customer's: Query by prefix; Get |
//! | `main` | `SERVER#<server>` | `NOW` | where the server's newest tenure is | GetItem |
//! | `main` | `SERVER#<server>` | `TENURE#<since>` | a closed tenure | GetItem, verify; a server's: Query by prefix |
//! | `main` | `LANES#<customer>` | `<unit>` | how full the customer's lanes are | GetItem; both units: Query |
//! | `main` | `PLANS` | `<plan>` | a plan with its versions | metering: Query |
//! | `main` | `RATES#<shard>` | `<customer>` | own rates and discounts | metering: Query per shard |
//! | `main` | `RUN` | `<hour>` | one metering run | newest: Query, descending, Limit 1 |
//! | `main` | `SCHEMA` | `VERSION` | the newest version that wrote here | at every start: GetItem; metering: UpdateItem |
//! | `main` | `SETTINGS` | `<key>` | one setting with its history | Query |
//! | `main` | `TOTALS#<unit>` | `<day>` | server-hours and amount per billed hour of a day | Get, rebuild |
//! | `main` | `REVENUE#<unit>` | `<month>` | amount per kind of page and month | Get, rebuild |
//! | `main` | `EVENT#LOW_BALANCE` | `<at>#<wallet>#<threshold>#<seq>` | a lane's balance fell below a default threshold | lifecycle: Query from a time on |
//! | `main` | `WATCH` | `<customer>#<unit>` | a balance that events do not tell all of: own thresholds, top-up, several lanes | lifecycle: Query |
//! | `main` | `LIFECYCLE` | `WATCH`, `DEPARTED` | where the last run through that list stopped | lifecycle: GetItem |
//! | `main` | `DEPARTED` | `<user>` | had themselves deleted; others still keep something of them | lifecycle: Query |
//! | `main` | `ALERTS#<customer>` | `ALERTS` | thresholds of a customer's own | GetItem |
//! | `main` | `TOPUP#<customer>` | `TOPUP` | automatic top-up | GetItem |
//! | `main` | `ACCESS_KEYS` | `<kid>` | a public key of access tokens, also one that was withdrawn | Query; GetItem |
//! | `main` | `IDEM#<caller>#<hash of operation and key>` | `ANSWER` | a claimed or answered request, with TTL | only its condition |
//! | `main` | `RATE#<bucket>#<seconds>#<window>` | `RATE` | a counter of a rate limit, with TTL | its condition; GetItem |
//! | `main` | `MAIL#<mail>` | `MAIL` | a mail and what has become of it; TTL once it is final | GetItem, BatchGetItem |
//! | `main` | `OUTBOX` | `<look at it from>#<mail>` | a mail that is not final | lifecycle: Query up to now |
//! | `main` | `SUPPRESSED#<hash of an address>` | `SUPPRESSED` | an address that gets no mail | mailer: GetItem |
//! | `main` | `PAYMENT#<payment>` | `PAYMENT` | a payment | GetItem, BatchGetItem |
//! | `main` | `PAYMENTS#<customer>` | `<made at>#<payment>` | a customer's payment | newest first: Query |
//! | `main` | `OPEN_PAYMENTS` | `<look at it from>#<payment>` | a payment that may still change | sweep: Query up to now |
//! | `main` | `PROCESSOR_OBJECT#<processor>#<object>` | `PAYMENT` | whose payment a processor's object is | GetItem |
//! | `main` | `PROCESSOR_CUSTOMER#<customer>` | `<processor>` | a processor's name for a customer | GetItem |
//! | `main` | `TOP_UPS#<customer>` | `<day>` | sum and number of a day's automatic top-ups, with TTL | its condition; GetItem |
//! | `main` | `UNMATCHED` | `<processor>#<object>` | what fits no payment, and who dealt with it | Query; GetItem |
//! | `main` | `EVENT_RAW#<processor>#<event>` | `RAW` | a processor's event as it came, with TTL | an operator |
//! | `main` | `AUDIT#<month>` | `<time>#<record>` | who changed what | Query, descending |
//! | `main` | `STREAM#<first>-<last>` | part | marker of a stream batch, with TTL | only its condition |
//!
//! Hours and days are written with eight digits, so that text order is time order.

use crate::idempotency::RequestKey;
use domain::account::Email;
use domain::payment::{Payment, Processor};
use domain::tenure::WalletId;
use domain::{Hour, Id, Month, Timestamp, Unit};

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

/// Partition of the public keys of access tokens.
pub const ACCESS_KEYS: &str = "ACCESS_KEYS";
/// Sort key of a request's answer.
pub const ANSWER: &str = "ANSWER";
/// Sort key of a rate limit's counter.
pub const RATE: &str = "RATE";
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
/// Partition of the balances that are looked at one by one.
pub const WATCH: &str = "WATCH";
/// Partition of the marks of the lifecycle function.
pub const LIFECYCLE: &str = "LIFECYCLE";
/// Partition of those who had themselves deleted and of whom others still keep something.
pub const DEPARTED: &str = "DEPARTED";
/// Sort key of a customer's thresholds.
pub const ALERTS: &str = "ALERTS";
/// Sort key of a customer's automatic top-up.
pub const TOP_UP: &str = "TOPUP";
/// Sort key of a user's profile.
pub const PROFILE: &str = "PROFILE";
/// Sort key of a user's password and second factor.
pub const SECRET: &str = "SECRET";
/// Sort key of the token that confirms another address.
pub const NEW_EMAIL: &str = "NEW_EMAIL";
/// Sort key of whose an address is.
pub const EMAIL_USER: &str = "USER";
/// Sort key of a single-use token.
pub const TOKEN: &str = "TOKEN";
/// Partition of all users.
pub const USERS: &str = "USERS";
/// Prefix of a user's sessions.
pub const SESSION_PREFIX: &str = "SESSION#";
/// Prefix of a user's API keys.
pub const KEY_PREFIX: &str = "KEY#";
/// Prefix of the addresses a user signed in from.
pub const ADDRESS_PREFIX: &str = "ADDRESS#";
/// Sort key of a user's access.
pub const ACCESS: &str = "ACCESS";
/// What the sort keys of closed tenures begin with.
pub const CLOSED_TENURE: &str = "TENURE#";
/// Sort key of a server's locator.
pub const SERVER_NOW: &str = "NOW";

/// Sort key of a payment.
pub const PAYMENT: &str = "PAYMENT";
/// Partition of the payments that may still change.
pub const OPEN_PAYMENTS: &str = "OPEN_PAYMENTS";
/// Partition of what fits no payment.
pub const UNMATCHED: &str = "UNMATCHED";
/// Sort key of an event as it came.
pub const RAW: &str = "RAW";
/// Sort key of a mail.
pub const MAIL: &str = "MAIL";
/// Partition of the mails that are not final.
pub const OUTBOX: &str = "OUTBOX";
/// Sort key of an address that gets no mail.
pub const SUPPRESSED: &str = "SUPPRESSED";

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

/// All that `identity` holds of a user.
#[must_use]
pub fn user(user: &Id) -> String {
    format!("USER#{user}")
}

/// Whose an address is.
#[must_use]
pub fn email(email: &Email) -> String {
    format!("EMAIL#{email}")
}

/// A single-use token, by its hash.
#[must_use]
pub fn token(hash: &str) -> String {
    format!("TOKEN#{hash}")
}

/// Nothing.
#[must_use]
pub fn decoy(random: &str) -> String {
    format!("DECOY#{random}")
}

/// A session of a user.
#[must_use]
pub fn session(session: &Id) -> String {
    format!("{SESSION_PREFIX}{session}")
}

/// An API key of a user.
#[must_use]
pub fn api_key(key: &Id) -> String {
    format!("{KEY_PREFIX}{key}")
}

/// An address a user signed in from, by its hash.
#[must_use]
pub fn address(hash: &str) -> String {
    format!("{ADDRESS_PREFIX}{hash}")
}

/// What a user may do, in one item.
#[must_use]
pub fn access(user: &Id) -> String {
    format!("ACCESS#{user}")
}

/// Undoes [`access`].
#[must_use]
pub fn parse_access(pk: &str) -> Option<Id> {
    Id::new(pk.strip_prefix("ACCESS#")?).ok()
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

/// A customer's tenures of one server in their shard: what its keys begin with.
#[must_use]
pub fn fleet_server(customer: &Id, server: &Id) -> String {
    format!("{customer}#{server}#")
}

/// A customer's tenures in their shard: what its keys begin with.
#[must_use]
pub fn fleet_customer(customer: &Id) -> String {
    format!("{customer}#")
}

/// A low-balance event: by time, then by what makes it the only one.
#[must_use]
pub fn low_balance(at: Timestamp, wallet: &str, threshold: i64, seq: u64) -> String {
    format!("{}#{wallet}#{threshold}#{seq}", low_balance_at(at))
}

/// Where the low-balance events of a time begin.
#[must_use]
pub fn low_balance_at(at: Timestamp) -> String {
    format!("{:012}", at.secs())
}

/// A watched balance.
#[must_use]
pub fn watched(customer: &Id, unit: Unit) -> String {
    format!("{customer}#{}", unit.as_str())
}

/// A customer's thresholds.
#[must_use]
pub fn alerts(customer: &Id) -> String {
    format!("ALERTS#{customer}")
}

/// A customer's automatic top-up.
#[must_use]
pub fn top_up(customer: &Id) -> String {
    format!("TOPUP#{customer}")
}

/// A server's locator and closed tenures.
#[must_use]
pub fn server(server: &Id) -> String {
    format!("SERVER#{server}")
}

/// A closed tenure of a server.
#[must_use]
pub fn closed_tenure(since: Hour) -> String {
    format!("{CLOSED_TENURE}{}", hour(since))
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

/// Claim and answer of a request with an idempotency key.
#[must_use]
pub fn answer(request: &RequestKey) -> String {
    format!("IDEM#{}#{}", request.caller, request.request)
}

/// Counter of a rate limit's window.
#[must_use]
pub fn rate(bucket: &str, per_secs: i64, window: i64) -> String {
    format!("RATE#{bucket}#{per_secs}#{window}")
}

/// Marker of a stream batch.
#[must_use]
pub fn stream_batch(first: &str, last: &str) -> String {
    format!("STREAM#{first}-{last}")
}

/// A payment.
#[must_use]
pub fn payment(id: &Id) -> String {
    format!("PAYMENT#{id}")
}

/// A customer's payments.
#[must_use]
pub fn payments_of(customer: &Id) -> String {
    format!("PAYMENTS#{customer}")
}

/// A payment among its customer's, by when it was made.
#[must_use]
pub fn payment_of(payment: &Payment) -> String {
    due_payment(payment.created_at, &payment.id)
}

/// A payment that is to be looked at from some time on. Seconds have twelve digits, so that text order is time order.
#[must_use]
pub fn due_payment(at: Timestamp, id: &Id) -> String {
    format!("{}#{id}", due_before(at))
}

/// What sorts before every payment of that time and later.
#[must_use]
pub fn due_before(at: Timestamp) -> String {
    format!("{:012}", at.secs())
}

/// Whose payment a processor's object is.
#[must_use]
pub fn processor_object(processor: Processor, object: &str) -> String {
    format!("PROCESSOR_OBJECT#{processor}#{object}")
}

/// What processors call a customer.
#[must_use]
pub fn processor_customer(customer: &Id) -> String {
    format!("PROCESSOR_CUSTOMER#{customer}")
}

/// A customer's automatic top-ups.
#[must_use]
pub fn top_ups(customer: &Id) -> String {
    format!("TOP_UPS#{customer}")
}

/// Something that fits no payment.
#[must_use]
pub fn unmatched(processor: Processor, object: &str) -> String {
    format!("{processor}#{object}")
}

/// An event as it came.
#[must_use]
pub fn event_raw(processor: Processor, event: &str) -> String {
    format!("EVENT_RAW#{processor}#{event}")
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

/// A mail of the outbox.
#[must_use]
pub fn mail(id: &str) -> String {
    format!("MAIL#{id}")
}

/// Pointer to a mail that is not final: sorted by when somebody should look at it.
#[must_use]
pub fn outbox(due: Timestamp, mail: &str) -> String {
    format!("{:012}#{mail}", due.secs())
}

/// The mail of such a pointer.
#[must_use]
pub fn parse_outbox(pointer: &str) -> Option<&str> {
    pointer.split_once('#').map(|(_, mail)| mail)
}

/// An address that gets no mail, by its hash.
#[must_use]
pub fn suppressed(address_hash: &str) -> String {
    format!("SUPPRESSED#{address_hash}")
}

/// The audit log of a month.
#[must_use]
pub fn audit(month: Month) -> String {
    format!("AUDIT#{month}")
}

/// A record of the audit log, in order of time.
#[must_use]
pub fn audit_record(at: Timestamp, record: &Id) -> String {
    format!("{:012}#{record}", at.secs())
}
