//! Totals over all wallets, from the ledger's stream. Each part of a stream batch is one transaction with a marker, so
//! that a batch that comes twice counts once; `rebuild` works the same figures out from the ledger alone.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::item::{Item, n, number, s, text};
use crate::keys::{self, PK, SK, TTL};
use crate::low_balance::LowBalance;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, TransactWriteItem, Update};
use domain::alerts::{DEFAULT_THRESHOLDS, crossed};
use domain::money::Unit;
use domain::plan::Metering;
use domain::run::HourTotal;
use domain::wallet::{Kind, Page};
use domain::{Hour, Id, Month, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Additions of one transaction, beside its marker.
const ADDITIONS_PER_WRITE: usize = 90;
/// Tries of one part against other batches that add to the same items.
const MAX_TRIES: usize = 8;
/// How long a marker is kept: a stream keeps its records for a day.
const MARKER_SECS: i64 = 3 * 86_400;
/// What pages add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollups {
    /// By the hour that was billed.
    pub hours: BTreeMap<(Unit, Hour), HourTotal>,
    /// By the month a page was written in and its kind, in steps.
    pub revenue: BTreeMap<(Unit, Month, Kind), i64>,
    /// Balances that fell.
    pub low_balances: BTreeSet<LowBalance>,
    /// Customers with more than one lane: no page of theirs tells their balance.
    pub several_lanes: BTreeSet<(Id, Unit)>,
}

/// One item's part of the additions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addition {
    pk: String,
    sk: String,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// Attributes, and what is added to each.
    Sums(BTreeMap<String, i64>),
    /// An event, put once.
    Event(LowBalance),
    /// A customer's balance to be watched.
    Watch(Id, Unit),
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
        for threshold in crossed(&DEFAULT_THRESHOLDS, Some(page.before), page.after) {
            let (wallet, seq, balance, at) = (page.wallet.clone(), page.seq, page.after, page.at);
            self.low_balances.insert(LowBalance { wallet, threshold, seq, balance, at });
        }
        if page.wallet.lane > 0 {
            self.several_lanes.insert((page.wallet.customer.clone(), unit));
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
        let sums = items.into_iter().map(|((pk, sk), add)| Addition { pk, sk, what: What::Sums(add) });
        let events = self.low_balances.iter().map(|event| {
            let (pk, sk) = event.key();
            Addition { pk, sk, what: What::Event(event.clone()) }
        });
        let watched = self.several_lanes.iter().map(|(customer, unit)| {
            let (pk, sk) = (keys::WATCH.to_owned(), keys::watched(customer, *unit));
            Addition { pk, sk, what: What::Watch(customer.clone(), *unit) }
        });
        sums.chain(events).chain(watched).collect()
    }
}

impl Store {
    /// Adds the roll-ups of one stream batch, named by its first and last sequence number. A batch that was added
    /// before is not added again.
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
        let sums = match &addition.what {
            What::Event(event) => return self.low_balance_action(event),
            What::Watch(customer, unit) => return self.watch_action(customer, *unit, expr::WATCH_LANES, true),
            What::Sums(sums) => sums,
        };
        let names: Vec<&String> = sums.keys().collect();
        let sum = (0..names.len()).map(|i| format!("#a{i} :a{i}")).collect::<Vec<_>>().join(", ");
        let mut update = Update::builder()
            .table_name(&self.tables().main)
            .key(PK, s(&addition.pk))
            .key(SK, s(&addition.sk))
            .update_expression(format!("ADD {sum}"));
        for (i, (name, steps)) in sums.iter().enumerate() {
            update = update
                .expression_attribute_names(format!("#a{i}"), name)
                .expression_attribute_values(format!(":a{i}"), n(steps));
        }
        let update = update.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// The total of one billed hour.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn hour_total(&self, unit: Unit, hour: Hour) -> Result<HourTotal, StoreError> {
        let item = self.get(Area::Rollups, keys::totals(unit), keys::day(hour.day())).await?;
        Ok(item.map_or_else(HourTotal::default, |item| read_total(&item, hour)))
    }

    /// The totals of some billed hours. One read for every day and unit, a hundred at once.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn hour_totals(&self, hours: &BTreeSet<Hour>) -> Result<BTreeMap<(Unit, Hour), HourTotal>, StoreError> {
        let days: BTreeSet<u32> = hours.iter().map(|hour| hour.day()).collect();
        let units = [Unit::Usd, Unit::Token];
        let keys = days.iter().flat_map(|day| units.map(|unit| (keys::totals(unit), keys::day(*day))));
        let items = self.get_many(Area::Rollups, keys.collect()).await?;
        let find = |unit: Unit, hour: Hour| {
            let key = (keys::totals(unit), keys::day(hour.day()));
            items.iter().find(|item| (text(item, PK), text(item, SK)) == (Some(&key.0), Some(&key.1)))
        };
        let totals = hours.iter().flat_map(|hour| units.map(|unit| (unit, *hour)));
        Ok(totals.filter_map(|(unit, hour)| Some(((unit, hour), read_total(find(unit, hour)?, hour)))).collect())
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
    /// Low-balance events are put again, and not counted: one that is missing has usually expired, which is not wrong.
    /// None can be too many, for its key names a page of the ledger, and there it stays.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn rollup_rebuild(&self, rollups: &Rollups) -> Result<usize, StoreError> {
        let stored = self.rollup_list().await?;
        let mut wanted: BTreeMap<(String, String), BTreeMap<String, i64>> = BTreeMap::new();
        let mut different = 0;
        for addition in rollups.additions() {
            match addition.what {
                What::Event(_) | What::Watch(..) => {
                    let actions = vec![self.add_action(&addition)?];
                    self.transact(Area::Rollups, actions).await?;
                }
                What::Sums(sums) => drop(wanted.insert((addition.pk, addition.sk), sums)),
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

fn read_total(item: &Item, hour: Hour) -> HourTotal {
    let read = |name: String| number::<i64>(item, &name).unwrap_or(0);
    HourTotal {
        server_hours: u64::try_from(read(format!("s{:02}", hour.of_day()))).unwrap_or(0),
        amount_steps: read(format!("a{:02}", hour.of_day())),
    }
}

fn sums_of(item: &Item) -> BTreeMap<String, i64> {
    let is_sum = |name: &&String| ![PK, SK, TTL].contains(&name.as_str());
    let names = item.keys().filter(is_sum);
    names.filter_map(|name| number(item, name).map(|steps| (name.clone(), steps))).collect()
}
