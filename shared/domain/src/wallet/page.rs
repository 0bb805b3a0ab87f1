//! Page, line and meter as values, and appending a page that is not usage.

use super::export::page_hash;
use crate::Id;
use crate::money::{Amount, MoneyError};
use crate::plan::{Metering, Price};
use crate::rating::Counter;
use crate::tenure::WalletId;
use crate::time::{Hour, Timestamp};
use serde::{Deserialize, Serialize};

/// Hours an ended server's meter is kept after its last hour was billed: longer than any job is valid.
pub const METER_KEPT_HOURS: u32 = 12;
/// A tenure older than this whose meter is missing makes the biller read the chain back. An hour less than
/// [`METER_KEPT_HOURS`], so that clocks may differ by an hour.
pub const REREAD_HOURS: u32 = 11;

/// What a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Server-hours.
    Usage,
    /// Money in, as a processor reported it.
    Payment,
    /// Money back to the customer.
    Refund,
    /// A later fact about closed hours.
    Adjustment,
    /// Undoes one page.
    Reversal,
    /// An operator's credit or debit.
    Admin,
    /// Something bought from the balance.
    Purchase,
    /// Between wallets.
    Transfer,
}

impl Kind {
    /// Its name in the export.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Payment => "payment",
            Self::Refund => "refund",
            Self::Adjustment => "adjustment",
            Self::Reversal => "reversal",
            Self::Admin => "admin",
            Self::Purchase => "purchase",
            Self::Transfer => "transfer",
        }
    }
}

/// An unbroken run of billed hours of one server in one month at one price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The server.
    pub server: Id,
    /// First hour.
    pub from: Hour,
    /// The hour after the last.
    pub to: Hour,
    /// Seconds billed in the month after the line (3600 an hour, except under per-second plans).
    pub secs_after: u32,
    /// Effective monthly price.
    pub price: Price,
    /// How time was counted.
    pub metering: Metering,
    /// Hours per month.
    pub per: u16,
    /// What it cost; positive.
    pub amount: Amount,
}

impl Line {
    /// Hours from `from` to `to`.
    #[must_use]
    pub fn hours(&self) -> u32 {
        self.to.since(self.from)
    }

    /// The count shown to people: hours, or seconds where seconds are what is counted.
    #[must_use]
    pub fn n(&self) -> u32 {
        match self.metering {
            Metering::Hourly if self.secs_after.is_multiple_of(3_600) => self.secs_after / 3_600,
            Metering::Hourly | Metering::PerSecond => self.secs_after,
        }
    }
}

/// How far one tenure is billed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// The server.
    pub server: Id,
    /// First hour of the tenure.
    pub since: Hour,
    /// How far, and how much of the month.
    pub counter: Counter,
    /// The hour in which the last hour of an ended server was billed. Such a meter bills no more usage.
    pub ended_at: Option<Hour>,
}

/// One page of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Whose chain.
    pub wallet: WalletId,
    /// From 1.
    pub seq: u64,
    /// What it is about.
    pub kind: Kind,
    /// When it was written, by the writer's clock.
    pub at: Timestamp,
    /// Balance before.
    pub before: Amount,
    /// The change; negative for usage.
    pub amount: Amount,
    /// Balance after.
    pub after: Amount,
    /// By server, then `from`. Only on usage pages.
    pub lines: Vec<Line>,
    /// By server, then `since`: every tenure of the lane.
    pub meters: Vec<Meter>,
    /// Who wrote it.
    pub actor: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// What it belongs to: a processor's object, a page it reverses.
    pub reference: Option<String>,
    /// Hash of the page before; zeros on the first.
    pub prev_hash: [u8; 32],
    /// SHA-256 of the export form without this field.
    pub hash: [u8; 32],
}

impl Page {
    /// The meter of a tenure.
    #[must_use]
    pub fn meter(&self, server: &Id, since: Hour) -> Option<&Meter> {
        let found = self.meters.binary_search_by(|m| (&m.server, m.since).cmp(&(server, since)));
        found.ok().and_then(|i| self.meters.get(i))
    }

    /// Computes `hash` from everything else.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.hash = page_hash(&self);
        self
    }
}

/// A page that is not usage, before it has its place in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is about; not [`Kind::Usage`].
    pub kind: Kind,
    /// The change.
    pub amount: Amount,
    /// Who.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What it belongs to.
    pub reference: Option<String>,
}

/// The next page of a chain for something that is not usage: meters unchanged, no lines.
///
/// # Errors
/// The balance would leave the range of the ledger.
pub fn append(wallet: &WalletId, head: Option<&Page>, entry: Entry, at: Timestamp) -> Result<Page, MoneyError> {
    let before = head.map_or(Amount::ZERO, |page| page.after);
    let after = before.checked_add(entry.amount)?;
    Ok(Page {
        wallet: wallet.clone(),
        seq: head.map_or(1, |page| page.seq + 1),
        kind: entry.kind,
        at,
        before,
        amount: entry.amount,
        after,
        lines: Vec::new(),
        meters: head.map_or_else(Vec::new, |page| page.meters.clone()),
        actor: entry.actor,
        reason: entry.reason,
        reference: entry.reference,
        prev_hash: head.map_or([0; 32], |page| page.hash),
        hash: [0; 32],
    }
    .sealed())
}
