//! Metering runs. Every update is idempotent, so that a run may be opened and worked on any number of times.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::item::{Item, n, number, s, text};
use crate::keys::{self, PK, SK};
use crate::query::{Query, Span};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use domain::run::{MAX_PARKED_NAMED, Run};
use domain::{Hour, Timestamp};
use std::collections::BTreeSet;

impl Store {
    /// Opens the run of an hour, or finds it open.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn run_open(&self, through: Hour, now: Timestamp) -> Result<(), StoreError> {
        let update = self.run_update(through).update_expression(expr::RUN_OPEN);
        self.run_send(update.expression_attribute_values(":now", n(now.secs()))).await
    }

    /// One shard has been listed and its jobs are on the queue.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn run_shard_done(&self, through: Hour, shard: u8, jobs: u64, now: Timestamp) -> Result<(), StoreError> {
        let update = self
            .run_update(through)
            .update_expression(expr::RUN_SHARD_DONE)
            .expression_attribute_names("#error", format!("e{shard}"))
            .expression_attribute_names("#jobs", format!("j{shard}"))
            .expression_attribute_values(":shard", AttributeValue::Ns(vec![shard.to_string()]))
            .expression_attribute_values(":jobs", n(jobs))
            .expression_attribute_values(":now", n(now.secs()));
        self.run_send(update).await
    }

    /// A shard failed, as an operator should see until it is done.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn run_failed(&self, through: Hour, shard: u8, error: &str, now: Timestamp) -> Result<(), StoreError> {
        let update = self
            .run_update(through)
            .update_expression(expr::RUN_ERROR)
            .expression_attribute_names("#error", format!("e{shard}"))
            .expression_attribute_values(":error", s(error.chars().take(500).collect::<String>()))
            .expression_attribute_values(":now", n(now.secs()));
        self.run_send(update).await
    }

    /// Jobs of these servers were parked. Beyond [`MAX_PARKED_NAMED`], and where that run was never opened, the parked queue
    /// alone tells.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn run_parked(&self, through: Hour, servers: BTreeSet<String>, now: Timestamp) -> Result<(), StoreError> {
        let servers: Vec<String> = servers.into_iter().take(MAX_PARKED_NAMED).collect();
        if servers.is_empty() {
            return Ok(());
        }
        let update = self
            .run_update(through)
            .update_expression(expr::RUN_PARKED)
            .condition_expression(expr::RUN_PARKED_ROOM)
            .expression_attribute_values(":servers", AttributeValue::Ss(servers))
            .expression_attribute_values(":most", n(MAX_PARKED_NAMED))
            .expression_attribute_values(":now", n(now.secs()));
        match self.run_send(update).await {
            Err(StoreError::Conflict(_)) => Ok(()),
            other => other,
        }
    }

    /// Jobs of a run came too late to be billed. The figure is for people: a message that comes twice is counted twice, and
    /// a run without a record (it was restored away) stays without one.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn run_expired(&self, through: Hour, jobs: u64) -> Result<(), StoreError> {
        let update = self
            .run_update(through)
            .update_expression(expr::RUN_EXPIRED)
            .condition_expression(expr::EXISTS)
            .expression_attribute_values(":jobs", n(jobs));
        match self.run_send(update).await {
            Err(StoreError::Conflict(_)) => Ok(()),
            other => other,
        }
    }

    /// The newest run.
    ///
    /// # Errors
    /// DynamoDB's, or a run that cannot be read.
    pub async fn run_last(&self) -> Result<Option<Run>, StoreError> {
        Ok(self.run_list(1).await?.into_iter().next())
    }

    /// The newest runs, newest first. Costs about a read unit for every four of them.
    ///
    /// # Errors
    /// DynamoDB's, or a run that cannot be read.
    pub async fn run_list(&self, most: u16) -> Result<Vec<Run>, StoreError> {
        self.runs(Span::All, most).await
    }

    /// Runs before the one of an hour, newest first.
    ///
    /// # Errors
    /// DynamoDB's, or a run that cannot be read.
    pub async fn run_list_before(&self, before: Hour, most: u16) -> Result<Vec<Run>, StoreError> {
        self.runs(Span::Before(keys::hour(before)), most).await
    }

    async fn runs(&self, span: Span, most: u16) -> Result<Vec<Run>, StoreError> {
        let query = Query::new(Area::Other, keys::RUN, span).newest_first().limit(most);
        let (items, _) = self.query(&query, None).await?;
        items.iter().map(read_run).collect()
    }

    /// The run of one hour.
    ///
    /// # Errors
    /// DynamoDB's, or a run that cannot be read.
    pub async fn run_get(&self, through: Hour) -> Result<Option<Run>, StoreError> {
        let item = self.get(Area::Other, keys::RUN.to_owned(), keys::hour(through)).await?;
        item.as_ref().map(read_run).transpose()
    }

    fn run_update(&self, through: Hour) -> UpdateItemFluentBuilder {
        self.client()
            .update_item()
            .table_name(&self.tables().main)
            .key(PK, s(keys::RUN))
            .key(SK, s(keys::hour(through)))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    async fn run_send(&self, update: UpdateItemFluentBuilder) -> Result<(), StoreError> {
        let answer = update.send().await.map_err(|e| classify("UpdateItem", &e))?;
        self.capacity().wrote(Area::Other, answer.consumed_capacity.as_slice());
        Ok(())
    }
}

fn read_run(item: &Item) -> Result<Run, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt("RUN".to_owned(), what.to_owned());
    let through = text(item, SK).and_then(keys::parse_hour).ok_or_else(|| corrupt("its key is no hour"))?;
    let time = |name: &str| number(item, name).and_then(|secs| Timestamp::from_secs(secs).ok());
    let shards = item.get("shards").and_then(|v| v.as_ns().ok()).map_or(&[][..], Vec::as_slice);
    let done = shards.iter().filter_map(|shard| shard.parse::<u32>().ok()).filter_map(|s| 1_u64.checked_shl(s));
    let jobs = (0..domain::run::SHARDS).filter_map(|shard| number::<u64>(item, &format!("j{shard}"))).sum();
    let opened_at = time("opened_at").or_else(|| time("heartbeat_at")).ok_or_else(|| corrupt("it has no time"))?;
    Ok(Run {
        through,
        opened_at,
        heartbeat_at: time("heartbeat_at").unwrap_or(opened_at),
        shards_done: done.fold(0, |all, bit| all | bit),
        jobs,
        error: (0..domain::run::SHARDS).find_map(|shard| text(item, &format!("e{shard}"))).map(str::to_owned),
        parked: item.get("parked").and_then(|v| v.as_ss().ok()).cloned().unwrap_or_default(),
        expired: number(item, "expired").unwrap_or(0),
    })
}
