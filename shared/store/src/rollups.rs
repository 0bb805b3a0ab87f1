//! Totals over all wallets, from the ledger's stream. Each part of a stream batch is one transaction with a marker, so that a
//! batch that comes twice counts once; `rebuild` works the same figures out from the ledger alone.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::item::{Item, n, number, s, text};
use crate::keys::{self, PK, SK, TTL};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Put, ReturnConsumedCapacity, TransactWriteItem, Update};
use domain::money::Unit;
use domain::plan::Metering;
use domain::run::HourTotal;
use domain::wallet::{Kind, Page};
use domain::{Amount, Hour, Month, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Additions of one transaction, beside its marker.
const ADDITIONS_PER_WRITE: usize = 90;
/// Tries of one part against other batches that add to the same items.
const MAX_TRIES: usize = 8;
/// How long a marker is kept: a stream keeps its records for a day.
const MARKER_SECS: i64 = 3 * 86_400;
/// How long a low-balance event is kept.
const EVENT_SECS: i64 = 30 * 86_400;
/// Balances, in steps, whose undercutting is an event: 10, 5 and 0 USD (or the same in tokens).
const THRESHOLDS: [i64; 3] = [10_000_000, 5_000_000, 0];

/// A wallet's balance fell below a threshold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LowBalance {
    /// The wallet, as in its key.
    pub wallet: String,
    /// The threshold in steps.
    pub threshold: i64,
    /// The page that did it.
    pub seq: u64,
    /// The balance after it, in steps.
    pub balance: i64,
    /// When the page was written.
    pub at: Timestamp,
}

/// What pages add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollups {
    /// By the hour that was billed.
    pub hours: BTreeMap<(Unit, Hour), HourTotal>,
    /// By the month a page was written in and its kind, in steps.
    pub revenue: BTreeMap<(Unit, Month, Kind), i64>,
    /// Balances that fell.
    pub low_balances: BTreeSet<LowBalance>,
}

/// One item's part of the additions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addition {
    pk: String,
    sk: String,
    /// Attribute and what is added to it.
    add: BTreeMap<String, i64>,
    /// Attributes of an event, put once.
    event: Option<LowBalance>,
}

impl Rollups {
    /// Adds a page.
    pub fn add(&mut self, page: &Page) {
        let unit = page.wallet.unit;
        for line in &page.lines {
            let mut after = line.secs_after.saturating_sub(line.hours().saturating_sub(1) * 3_600);
            let mut hour = line.from;
            while hour < line.to {
                let amount = match line.metering {
                    Metering::Hourly => line.price.charge(after.saturating_sub(3_600), after, line.per),
                    // A line of a per-second plan is one hour.
                    Metering::PerSecond => line.amount,
                };
                let total = self.hours.entry((unit, hour)).or_default();
                total.server_hours += 1;
                total.amount_steps += amount.steps();
                (after, hour) = (after + 3_600, hour.plus(1));
            }
        }
        *self.revenue.entry((unit, page.at.hour().month(), page.kind)).or_default() += page.amount.steps();
        for threshold in THRESHOLDS {
            let limit = Amount::from_steps(threshold);
            if page.before >= limit && page.after < limit {
                self.low_balances.insert(LowBalance {
                    wallet: page.wallet.to_string(),
                    threshold,
                    seq: page.seq,
                    balance: page.after.steps(),
                    at: page.at,
                });
            }
        }
    }

    /// The items these add to, in an order that is the same each time.
    #[must_use]
    pub fn additions(&self) -> Vec<Addition> {
        let mut items: BTreeMap<(String, String), BTreeMap<String, i64>> = BTreeMap::new();
        for ((unit, hour), total) in &self.hours {
            let add = items.entry((keys::totals(*unit), keys::day(hour.day()))).or_default();
            let hours = i64::try_from(total.server_hours).unwrap_or(i64::MAX);
            add.insert(format!("s{:02}", hour.of_day()), hours);
            add.insert(format!("a{:02}", hour.of_day()), total.amount_steps);
        }
        for ((unit, month, kind), steps) in &self.revenue {
            items
                .entry((keys::revenue(*unit), month.to_string()))
                .or_default()
                .insert(kind.as_str().to_owned(), *steps);
        }
        let sums = items.into_iter().map(|((pk, sk), add)| Addition { pk, sk, add, event: None });
        let events = self.low_balances.iter().map(|event| Addition {
            pk: keys::LOW_BALANCE.to_owned(),
            sk: format!("{}#{}#{}", event.wallet, event.threshold, event.seq),
            add: BTreeMap::new(),
            event: Some(event.clone()),
        });
        sums.chain(events).collect()
    }
}

impl Store {
    /// Adds the roll-ups of one stream batch, named by its first and last sequence number. A batch that was added before
    /// is not added again.
    ///
    /// # Errors
    /// DynamoDB's: the batch comes again as a whole.
    pub async fn rollup_apply(&self, batch: (&str, &str), rollups: &Rollups, now: Timestamp) -> Result<(), StoreError> {
        let additions = rollups.additions();
        for (part, chunk) in additions.chunks(ADDITIONS_PER_WRITE).enumerate() {
            let mut tries = 0;
            while let Err(error) = self.rollup_part(batch, part, chunk, now).await {
                tries += 1;
                if tries == MAX_TRIES || !matches!(error, StoreError::Conflict(_)) {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn rollup_part(
        &self,
        batch: (&str, &str),
        part: usize,
        additions: &[Addition],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let marker = HashMap::from([
            (PK.to_owned(), s(keys::stream_batch(batch.0, batch.1))),
            (SK.to_owned(), s(format!("{part:04}"))),
            (TTL.to_owned(), n(now.secs() + MARKER_SECS)),
        ]);
        let mut actions = vec![self.put_action(marker, None)?];
        for addition in additions {
            actions.push(self.add_action(addition)?);
        }
        let request = self.client().transact_write_items().set_transact_items(Some(actions));
        let Err(error) = request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.map(|answer| {
            self.capacity().wrote(Area::Rollups, answer.consumed_capacity());
        }) else {
            return Ok(());
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                let marker = canceled.cancellation_reasons().first().and_then(|reason| reason.code());
                if marker == Some("ConditionalCheckFailed") { Ok(()) } else { Err(StoreError::Conflict("roll-up")) }
            }
            _ => Err(classify("TransactWriteItems", &error)),
        }
    }

    fn add_action(&self, addition: &Addition) -> Result<TransactWriteItem, StoreError> {
        let invalid = |e: aws_sdk_dynamodb::error::BuildError| StoreError::Invalid(e.to_string());
        if let Some(event) = &addition.event {
            let item = HashMap::from([
                (PK.to_owned(), s(&addition.pk)),
                (SK.to_owned(), s(&addition.sk)),
                ("balance".to_owned(), n(event.balance)),
                ("at".to_owned(), n(event.at.secs())),
                (TTL.to_owned(), n(event.at.secs() + EVENT_SECS)),
            ]);
            let put = Put::builder().table_name(&self.tables().main).set_item(Some(item)).build().map_err(invalid)?;
            return Ok(TransactWriteItem::builder().put(put).build());
        }
        let names: Vec<&String> = addition.add.keys().collect();
        let sum = (0..names.len()).map(|i| format!("#a{i} :a{i}")).collect::<Vec<_>>().join(", ");
        let mut update = Update::builder()
            .table_name(&self.tables().main)
            .key(PK, s(&addition.pk))
            .key(SK, s(&addition.sk))
            .update_expression(format!("ADD {sum}"));
        for (i, (name, steps)) in addition.add.iter().enumerate() {
            update = update
                .expression_attribute_names(format!("#a{i}"), name)
                .expression_attribute_values(format!(":a{i}"), n(steps));
        }
        Ok(TransactWriteItem::builder().update(update.build().map_err(invalid)?).build())
    }

    /// The total of one billed hour.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn hour_total(&self, unit: Unit, hour: Hour) -> Result<HourTotal, StoreError> {
        let item = self.get(Area::Rollups, keys::totals(unit), keys::day(hour.day())).await?;
        let read = |name: String| item.as_ref().and_then(|item| number::<i64>(item, &name)).unwrap_or(0);
        Ok(HourTotal {
            server_hours: u64::try_from(read(format!("s{:02}", hour.of_day()))).unwrap_or(0),
            amount_steps: read(format!("a{:02}", hour.of_day())),
        })
    }

    /// Every stored total, in the form [`Rollups::additions`] gives: for comparing.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn rollup_list(&self) -> Result<BTreeMap<(String, String), BTreeMap<String, i64>>, StoreError> {
        let mut all = BTreeMap::new();
        for unit in [Unit::Usd, Unit::Token] {
            for pk in [keys::totals(unit), keys::revenue(unit)] {
                for item in self.query_all(Area::Rollups, &pk).await? {
                    all.insert((pk.clone(), text(&item, SK).unwrap_or("").to_owned()), sums_of(&item));
                }
            }
        }
        Ok(all)
    }

    /// Replaces every stored total by what the ledger gives; returns how many were different. Run it while nothing else
    /// adds: the local runner at start, an operator with billing stopped.
    ///
    /// Low-balance events are put again, and not counted: one that is missing has usually expired, which is not wrong. None
    /// can be too many, for its key names a page of the ledger, and there it stays.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn rollup_rebuild(&self, rollups: &Rollups) -> Result<usize, StoreError> {
        let stored = self.rollup_list().await?;
        let mut wanted: BTreeMap<(String, String), BTreeMap<String, i64>> = BTreeMap::new();
        let mut different = 0;
        for addition in rollups.additions() {
            match addition.event {
                Some(_) => {
                    let actions = vec![self.add_action(&addition)?];
                    self.transact(Area::Rollups, actions).await?;
                }
                None => drop(wanted.insert((addition.pk, addition.sk), addition.add)),
            }
        }
        let keys: BTreeSet<&(String, String)> = wanted.keys().chain(stored.keys()).collect();
        for key in keys {
            let empty = BTreeMap::new();
            let (want, held) = (wanted.get(key).unwrap_or(&empty), stored.get(key).unwrap_or(&empty));
            let is_zero = |sums: &BTreeMap<String, i64>| sums.values().all(|steps| *steps == 0);
            if want == held || (is_zero(want) && is_zero(held)) {
                continue;
            }
            different += 1;
            let mut item: Item = want.iter().map(|(name, steps)| (name.clone(), n(steps))).collect();
            item.insert(PK.to_owned(), s(&key.0));
            item.insert(SK.to_owned(), s(&key.1));
            let request = self.client().put_item().table_name(&self.tables().main).set_item(Some(item));
            request.send().await.map_err(|e| classify("PutItem", &e))?;
        }
        Ok(different)
    }
}

fn sums_of(item: &Item) -> BTreeMap<String, i64> {
    let is_sum = |name: &&String| ![PK, SK, TTL].contains(&name.as_str());
    let names = item.keys().filter(is_sum);
    names.filter_map(|name| number(item, name).map(|steps| (name.clone(), steps))).collect()
}
