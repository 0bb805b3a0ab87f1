//! Metering: on schedule, finds the servers that are due and puts per-server jobs on the queue.
//!
//! Owns: opening an hour's run (on schedule, or when an admin asks for one), the hop through its own queue (one message per
//! shard, so that no invocation lists the whole fleet), and packing jobs. Does *not* compute an amount, and keeps no state that
//! billing depends on: two schedulers, or a shard listed twice, only send jobs that the biller finds billed already.

mod pack;
mod redrive;
mod shard;

use api::Clock;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use domain::job::{RunMessage, ShardMessage};
use domain::run::SHARDS;
use domain::time::{Hour, Timestamp};
use providers::{Queue, QueueError};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use store::{Store, StoreError};

pub use pack::Packer;
pub use redrive::Redriven;

/// What metering works with.
#[derive(Clone, Debug)]
pub struct Metering {
    /// Registry, settings, runs.
    pub store: Store,
    /// Its own queue: shard messages.
    pub shards: Arc<dyn Queue>,
    /// The biller's queue.
    pub jobs: Arc<dyn Queue>,
    /// The time of day.
    pub clock: Clock,
}

/// A run or a shard that could not be done: it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum MeteringError {
    /// The registry, or the run's record.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A message that is none.
    #[error("the message does not parse: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// The scheduled time lies ahead of our clock.
    #[error("{through} has not come yet, it is {now}")]
    TooEarly {
        /// Up to which hour.
        through: Hour,
        /// By our clock.
        now: Timestamp,
    },
}

/// What stands in its own queue.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Shard(ShardMessage),
    Run(RunMessage),
}

impl Metering {
    /// The Lambda's entry: a schedule's event, or a batch of its own shard messages.
    ///
    /// # Errors
    /// A schedule that could not be carried out; EventBridge tries it again. Shard messages fail one by one.
    pub async fn handle(&self, event: Value) -> Result<Value, MeteringError> {
        if event.get("Records").is_some() {
            let batch: SqsEvent = serde_json::from_value(event)?;
            return Ok(serde_json::to_value(self.handle_shards(batch).await)?);
        }
        self.open_run(self.scheduled(&event)).await?;
        Ok(Value::Null)
    }

    /// The scheduled time decides which hour is due, not the time of arrival: a late event bills the hour it was meant for.
    fn scheduled(&self, event: &Value) -> Timestamp {
        let time = event.get("time").and_then(Value::as_str).and_then(|time| Timestamp::parse(time).ok());
        time.unwrap_or_else(|| self.clock.now())
    }

    /// Opens the run of the hour that contains `scheduled`: everything before that hour is due.
    ///
    /// # Errors
    /// See [`MeteringError`]; the run may be opened any number of times.
    pub async fn open_run(&self, scheduled: Timestamp) -> Result<Hour, MeteringError> {
        let (through, now) = (scheduled.hour(), self.clock.now());
        if through.start() > now {
            return Err(MeteringError::TooEarly { through, now });
        }
        self.store.run_open(through, now).await?;
        let messages: Result<Vec<String>, _> =
            (0..SHARDS).map(|shard| serde_json::to_string(&ShardMessage { through, shard })).collect();
        self.shards.send(messages?).await?;
        tracing::info!(%through, "run opened");
        Ok(through)
    }

    /// Lists the shards of a batch, and opens the runs that were asked for in it. What fails comes again.
    pub async fn handle_shards(&self, batch: SqsEvent) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        for message in batch.records {
            if let Err(error) = self.handle_message(message.body.as_deref().unwrap_or_default()).await {
                tracing::error!(error = %error, "a message failed");
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = message.message_id.unwrap_or_default();
                response.batch_item_failures.push(failure);
            }
        }
        response
    }

    async fn handle_message(&self, body: &str) -> Result<(), MeteringError> {
        match serde_json::from_str(body)? {
            Message::Shard(message) => self.handle_shard(message).await,
            Message::Run(message) => self.open_run(message.run_at).await.map(drop),
        }
    }

    async fn handle_shard(&self, message: ShardMessage) -> Result<(), MeteringError> {
        let result = self.dispatch_shard(message.clone()).await;
        if let Err(error) = &result {
            // The message comes again in any case; the run's record is only for people.
            let (through, now) = (message.through, self.clock.now());
            let note = self.store.run_failed(through, message.shard, &error.to_string(), now).await;
            if let Err(error) = note {
                tracing::error!(error = %error, "the failure could not be recorded");
            }
        }
        result
    }
}
