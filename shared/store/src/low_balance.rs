//! Balances that ran low: what the projector saw on single pages, and which balances have to be looked at one by one.
//!
//! A page tells the fall of one lane through the thresholds everybody has. It does not tell the sum of several lanes, nor a
//! customer's own thresholds, nor where a top-up begins: such balances stand on a list (`WATCH`), with what they were when
//! they were last looked at. Whoever acts (the lifecycle function) reads both: events for those who are not on the list, the
//! list for those who are. Acting twice must do no harm: a mail and a top-up have ids of their own.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, n, number, s, text};
use crate::keys::{self, PK, SK, TTL};
use crate::query::{Query, Span};
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use domain::tenure::WalletId;
use domain::{Amount, Id, Timestamp, Unit};
use std::collections::HashMap;

/// How long a low-balance event is kept.
const EVENT_SECS: i64 = 30 * 86_400;

/// A lane's balance fell below a default threshold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LowBalance {
    /// The lane.
    pub wallet: WalletId,
    /// The threshold.
    pub threshold: Amount,
    /// The page that did it.
    pub seq: u64,
    /// The lane's balance after it.
    pub balance: Amount,
    /// When the page was written.
    pub at: Timestamp,
}

/// A balance that is looked at one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Whose.
    pub customer: Id,
    /// In which unit.
    pub unit: Unit,
    /// What it was when it was last looked at; `None` before the first look.
    pub seen: Option<Amount>,
    /// How often it was looked at with a result: names what is done about this look, and nothing else.
    pub looks: u64,
    /// How many top-ups were tried: names the next one.
    pub top_ups: u64,
    /// The settings of the top-up that was tried last.
    pub tried: Option<String>,
}

impl LowBalance {
    /// Its key. The page makes it, so the same page gives the same event however often it comes.
    pub(crate) fn key(&self) -> (String, String) {
        let sk = keys::low_balance(self.at, &self.wallet.to_string(), self.threshold.steps(), self.seq);
        (keys::LOW_BALANCE.to_owned(), sk)
    }

    fn item(&self) -> Item {
        let (pk, sk) = self.key();
        HashMap::from([
            (PK.to_owned(), s(pk)),
            (SK.to_owned(), s(sk)),
            ("balance".to_owned(), n(self.balance.steps())),
            (TTL.to_owned(), n(self.at.secs() + EVENT_SECS)),
        ])
    }

    fn read(item: &Item) -> Result<Self, StoreError> {
        let sk = text(item, SK).unwrap_or("?");
        let corrupt = || StoreError::Corrupt(format!("{} {sk}", keys::LOW_BALANCE), "the key is no event's".to_owned());
        let parts: Vec<&str> = sk.split('#').collect();
        let [at, customer, unit, lane, threshold, seq] = parts.as_slice() else { return Err(corrupt()) };
        let wallet = WalletId {
            customer: Id::new(customer).map_err(|_| corrupt())?,
            unit: Unit::parse(unit).ok_or_else(corrupt)?,
            lane: lane.parse().map_err(|_| corrupt())?,
        };
        let at = at.parse().ok().and_then(|secs| Timestamp::from_secs(secs).ok()).ok_or_else(corrupt)?;
        let threshold = threshold.parse().map(Amount::from_steps).map_err(|_| corrupt())?;
        let balance = number(item, "balance").map(Amount::from_steps).ok_or_else(corrupt)?;
        Ok(Self { wallet, threshold, seq: seq.parse().map_err(|_| corrupt())?, balance, at })
    }
}

impl Watched {
    fn read(item: &Item) -> Result<Option<Self>, StoreError> {
        let sk = text(item, SK).unwrap_or("?");
        let corrupt = || StoreError::Corrupt(format!("{} {sk}", keys::WATCH), "the key is no balance's".to_owned());
        let (customer, unit) = sk.split_once('#').ok_or_else(corrupt)?;
        let (customer, unit) = (Id::new(customer).map_err(|_| corrupt())?, Unit::parse(unit).ok_or_else(corrupt)?);
        // What is no longer watched keeps its item: it may be watched again, and then remembers.
        let is_on = |reason: &str| item.get(reason) == Some(&AttributeValue::Bool(true));
        let watched = ["alerts", "top_up", "lanes"].into_iter().any(is_on);
        let seen = number(item, "seen").map(Amount::from_steps);
        let tried = text(item, "tried").filter(|tried| !tried.is_empty()).map(str::to_owned);
        let count = |name| number(item, name).unwrap_or(0);
        let (looks, top_ups) = (count("looks"), count("top_ups"));
        Ok(watched.then_some(Self { customer, unit, seen, looks, top_ups, tried }))
    }
}

impl Store {
    /// Action: note the event. The same event twice is one.
    pub(crate) fn low_balance_action(&self, event: &LowBalance) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder().table_name(&self.tables().main).set_item(Some(event.item())).build();
        let put = put.map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Action: watch a balance, or no longer, for one of the reasons in [`expr`].
    pub(crate) fn watch_action(
        &self,
        customer: &Id,
        unit: Unit,
        reason: &str,
        on: bool,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&self.tables().main)
            .key(PK, s(keys::WATCH))
            .key(SK, s(keys::watched(customer, unit)))
            .update_expression(reason)
            .expression_attribute_values(":on", AttributeValue::Bool(on))
            .build()
            .map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// One stretch of the events of pages written at `since` or later, by time. Pages reach the projector a little later than
    /// they are written, and clocks differ: ask for some hours more than since the last look.
    ///
    /// # Errors
    /// DynamoDB's, or an event that cannot be read.
    pub async fn low_balance_list(
        &self,
        since: Timestamp,
        start: Option<Item>,
    ) -> Result<(Vec<LowBalance>, Option<Item>), StoreError> {
        let after = Span::After(keys::low_balance_at(since));
        let (items, next) = self.query(&Query::new(Area::Rollups, keys::LOW_BALANCE, after), start).await?;
        let events = items.iter().map(LowBalance::read).collect::<Result<_, _>>()?;
        Ok((events, next))
    }

    /// One stretch of the watched balances, by customer.
    ///
    /// # Errors
    /// DynamoDB's, or an entry that cannot be read.
    pub async fn watch_list(&self, start: Option<Item>) -> Result<(Vec<Watched>, Option<Item>), StoreError> {
        let (items, next) = self.query_page(Area::Rollups, keys::WATCH, start).await?;
        let mut watched = Vec::with_capacity(items.len());
        for item in &items {
            watched.extend(Watched::read(item)?);
        }
        Ok((watched, next))
    }

    /// Whether a balance is watched, and what it was.
    ///
    /// # Errors
    /// DynamoDB's, or an entry that cannot be read.
    pub async fn watch_get(&self, customer: &Id, unit: Unit) -> Result<Option<Watched>, StoreError> {
        let item = self.get(Area::Rollups, keys::WATCH.to_owned(), keys::watched(customer, unit)).await?;
        Ok(item.as_ref().map(Watched::read).transpose()?.flatten())
    }
}
