//! The fleet registry: every tenure, what state its server was in when, and what it costs apart from the plan.
//!
//! Facts come from panels: twice, late, out of order. [`Store::fleet_apply`] takes them in any of these ways. A fact about an
//! hour that has ended sets `recheck`: for some hours on, the biller compares what is billed with the facts, and adjusts.

mod apply;
mod close;
mod customer;

use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, document, read_document, text};
use crate::keys::{self, PK, SK};
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::job::JOB_VALID_SECS;
use domain::plan::{Price, RateStep};
use domain::run::shard_of;
use domain::tenure::{Tenure, WalletId};
use domain::time::HOUR_SECS;
use domain::timeline::{State, Timeline};
use domain::{Hour, Id, Timestamp, Unit};
use serde::{Deserialize, Serialize};

pub use close::Closing;

/// How long a late fact is looked at again: as long as a job with the older facts may still arrive, and an hour for clocks.
const RECHECK_SECS: i64 = JOB_VALID_SECS + HOUR_SECS;
/// A price change takes effect at a full hour at least this far ahead.
const PRICE_NOTICE_SECS: i64 = 15 * 60;
/// State changes a tenure holds before those long billed are pruned.
const PRUNE_ABOVE_STATES: usize = 64;

/// What a panel, an operator or a trace says about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It was created for a customer.
    Registered {
        /// The server.
        server: Id,
        /// Who pays.
        customer: Id,
        /// From which wallet.
        unit: Unit,
        /// Its plan.
        plan: Id,
        /// Its first state.
        state: State,
        /// When.
        at: Timestamp,
    },
    /// It went into another raw state.
    StateChanged {
        /// The server.
        server: Id,
        /// The state.
        state: State,
        /// When.
        at: Timestamp,
    },
    /// It has a monthly price of its own from an hour on, or (`None`) no longer.
    PriceChanged {
        /// The server.
        server: Id,
        /// The price.
        price: Option<Price>,
        /// From when; at least 15 minutes ahead.
        from: Hour,
    },
    /// It is gone.
    Ended {
        /// The server.
        server: Id,
        /// When.
        at: Timestamp,
    },
    /// Another customer pays from the next full hour on.
    Transferred {
        /// The server.
        server: Id,
        /// Who pays then.
        customer: Id,
        /// When it was decided; a transfer not newer than the last one is told again, and changes nothing.
        at: Timestamp,
    },
}

impl Fact {
    /// The server it is about.
    #[must_use]
    pub fn server(&self) -> &Id {
        match self {
            Self::Registered { server, .. }
            | Self::StateChanged { server, .. }
            | Self::PriceChanged { server, .. }
            | Self::Ended { server, .. }
            | Self::Transferred { server, .. } => server,
        }
    }
}

/// What became of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactOutcome {
    /// It is in the registry.
    Applied,
    /// The registry knew it.
    Unchanged,
    /// The server is not known, or not yet: tell it again later. Nothing was changed.
    Unknown,
    /// It cannot be true beside what is known; nothing was changed.
    Rejected(String),
}

/// Closed hours of a tenure that have to be compared with the facts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recheck {
    /// From this hour on.
    pub from: Hour,
    /// Until then: later no job with the older facts can arrive.
    pub until: Timestamp,
}

/// The document of a tenure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TenureDoc {
    server: Id,
    customer: Id,
    unit: Unit,
    lane: u16,
    since: Hour,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known_from: Option<Hour>,
    plan: Id,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rates: Vec<RateStep>,
    timeline: Timeline,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recheck: Option<Recheck>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed_at: Option<Timestamp>,
}

/// Where a server's newest tenure is, and the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Locator {
    customer: Id,
    since: Hour,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<(Id, Hour)>,
    /// When the newest transfer was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transferred_at: Option<Timestamp>,
}

/// A tenure as metering, the biller and verify see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetTenure {
    /// Who pays for what since when.
    pub tenure: Tenure,
    /// The spans are complete from here on.
    pub known_from: Hour,
    /// Its plan.
    pub plan: Id,
    /// Its own rates.
    pub rates: Vec<RateStep>,
    /// Raw states.
    pub timeline: Timeline,
    /// Whether closed hours have to be compared again.
    pub recheck: Option<Recheck>,
    /// Whether its last hour is on a page.
    pub closed: bool,
    /// Since when it is closed.
    pub closed_at: Option<Timestamp>,
    /// Revision of the item.
    pub rev: u32,
}

/// One stretch of a shard.
#[derive(Debug)]
pub struct FleetPage {
    /// Tenures in customer order.
    pub tenures: Vec<FleetTenure>,
    /// Where to go on.
    pub next: Option<Item>,
}

impl TenureDoc {
    fn wallet(&self) -> WalletId {
        WalletId { customer: self.customer.clone(), unit: self.unit, lane: self.lane }
    }

    fn active_key(&self) -> (String, String) {
        active_key(&self.customer, &self.server, self.since)
    }

    fn closed_key(&self) -> (String, String) {
        (keys::server(&self.server), keys::closed_tenure(self.since))
    }

    fn item(&self, key: (String, String), rev: u32) -> Result<Item, StoreError> {
        document(key.0, key.1, rev, self)
    }

    fn into_tenure(self, rev: u32) -> FleetTenure {
        FleetTenure {
            known_from: self.known_from.unwrap_or(self.since),
            tenure: Tenure { wallet: self.wallet(), server: self.server, since: self.since },
            plan: self.plan,
            rates: self.rates,
            timeline: self.timeline,
            recheck: self.recheck,
            closed: self.closed_at.is_some(),
            closed_at: self.closed_at,
            rev,
        }
    }
}

fn active_key(customer: &Id, server: &Id, since: Hour) -> (String, String) {
    (keys::fleet(shard_of(customer)), keys::fleet_tenure(customer, server, since))
}

fn read_tenure(item: &Item) -> Result<FleetTenure, StoreError> {
    let (doc, rev) = read_document::<TenureDoc>(item)?;
    Ok(doc.into_tenure(rev))
}

impl Store {
    /// One stretch of a shard's tenures that are not closed, in customer order. Read consistently: a job must know every
    /// fact of the hours it bills.
    ///
    /// # Errors
    /// DynamoDB's, or a tenure that cannot be read.
    pub async fn fleet_page(&self, shard: u8, start: Option<Item>) -> Result<FleetPage, StoreError> {
        let (items, next) = self.query_page(Area::Registry, &keys::fleet(shard), start).await?;
        let tenures = items.iter().map(read_tenure).collect::<Result<_, _>>()?;
        Ok(FleetPage { tenures, next })
    }

    /// One stretch of every tenure there is, closed ones too, in no order: for verify.
    ///
    /// # Errors
    /// DynamoDB's, or a tenure that cannot be read.
    pub async fn fleet_scan(&self, start: Option<Item>) -> Result<FleetPage, StoreError> {
        let request = self.client().scan().table_name(&self.tables().main).consistent_read(true);
        let request = request.set_exclusive_start_key(start).return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| crate::error::classify("Scan", &e))?;
        self.capacity().read(Area::Registry, answer.consumed_capacity.as_slice());
        let is_tenure = |item: &&Item| {
            text(item, PK).is_some_and(|pk| pk.starts_with("FLEET#"))
                || text(item, SK).is_some_and(|sk| sk.starts_with("TENURE#"))
        };
        let tenures = answer.items().iter().filter(is_tenure).map(read_tenure).collect::<Result<_, _>>()?;
        Ok(FleetPage { tenures, next: answer.last_evaluated_key })
    }

    /// A tenure that is not closed.
    ///
    /// # Errors
    /// DynamoDB's, or a tenure that cannot be read.
    pub async fn fleet_get(&self, tenure: &Tenure) -> Result<Option<FleetTenure>, StoreError> {
        let (pk, sk) = active_key(&tenure.wallet.customer, &tenure.server, tenure.since);
        self.get(Area::Registry, pk, sk).await?.as_ref().map(read_tenure).transpose()
    }

    /// No job with older facts can arrive any more: stop comparing. Does nothing if the tenure has changed meanwhile.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn fleet_recheck_done(&self, tenure: &Tenure, rev: u32) -> Result<(), StoreError> {
        let key = active_key(&tenure.wallet.customer, &tenure.server, tenure.since);
        let Some(item) = self.get(Area::Registry, key.0.clone(), key.1.clone()).await? else { return Ok(()) };
        let (mut doc, held) = read_document::<TenureDoc>(&item)?;
        if held != rev {
            return Ok(());
        }
        doc.recheck = None;
        match self.put(Area::Registry, doc.item(key, rev + 1)?, Some(rev)).await {
            Err(StoreError::Conflict(_)) => Ok(()),
            other => other,
        }
    }
}
