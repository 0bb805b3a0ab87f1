//! The functions of this workspace, wired to embedded parts, and the pumps that stand in for Lambda's triggers.

use crate::chaos::{Chaos, ChaosConnector, ChaosQueue};
use crate::data_dir::DataDir;
use crate::embedded::Embedded;
use crate::feed::Feed;
use crate::queue::{EmbeddedQueue, QueueFile};
use api::Clock;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use biller::Biller;
use domain::Timestamp;
use metering::Metering;
use projector::Projector;
use providers::{Queue, Received};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreConfig, TableNames};

/// Billers at work at the same time: the event source's maximum concurrency.
pub const BILLERS: usize = 4;
/// Messages one biller takes at once.
const BATCH_MESSAGES: usize = 10;
/// Time one invocation has, as in `template.yaml`.
const TIME_LEFT: Duration = Duration::from_secs(120);
/// Seconds until a failed message comes again.
const RETRY_SECS: i64 = 30;
/// Tries of one stream batch in a row; it stays first in line.
const PROJECTOR_TRIES: usize = 50;

/// Everything in one process.
#[derive(Clone, Debug)]
pub struct System {
    /// The tables.
    pub store: Store,
    /// The SDK's configuration behind the store.
    pub sdk: SdkConfig,
    /// The time of day.
    pub clock: Clock,
    /// Metering's own queue.
    pub shards: EmbeddedQueue,
    /// The biller's queue.
    pub jobs: EmbeddedQueue,
    /// Jobs nobody could bill.
    pub parked: EmbeddedQueue,
    /// Ids of mails in the outbox.
    pub mails: EmbeddedQueue,
    /// Where they go after five tries.
    pub mails_dead: EmbeddedQueue,
    /// Where messages of `shards` and of `jobs` go after five tries.
    pub dead: [EmbeddedQueue; 2],
    /// The scheduled function.
    pub metering: Metering,
    biller: Arc<Biller>,
    projector: Projector,
    feed: Feed,
    chaos: Option<Arc<Chaos>>,
}

impl System {
    /// Opens the parts (in memory without a data directory), creates the tables, and wires the functions. With `chaos` every
    /// call to DynamoDB and every message sent may go wrong.
    ///
    /// # Errors
    /// A file that cannot be opened; DynamoDB's.
    pub async fn open(data: Option<&DataDir>, clock: Clock, chaos: Option<Arc<Chaos>>) -> anyhow::Result<Self> {
        let tables = TableNames::with_prefix("skymeter");
        let first = u64::try_from(Clock::system().now().secs()).unwrap_or(0) * 1_000_000_000;
        let feed = Feed::new(&tables.ledger, first);
        let database = data.map(DataDir::database);
        let embedded = Embedded::open(database.as_deref(), feed.clone())?;
        let client = match &chaos {
            None => SharedHttpClient::new(embedded),
            Some(chaos) => SharedHttpClient::new(ChaosConnector::new(embedded, Arc::clone(chaos))),
        };
        let sdk = embedded_sdk(client, chaos.is_some());
        let store = Store::new(StoreConfig { sdk: sdk.clone(), tables });
        store.create_tables().await?;
        let queues = data.map(DataDir::queues);
        let queues = QueueFile::open(queues.as_deref(), clock.clone())?;
        let (shards, jobs, parked) = (queues.queue("metering"), queues.queue("jobs"), queues.queue("parked"));
        let dead = [queues.queue("metering-dead"), queues.queue("jobs-dead")];
        let (mails, mails_dead) = (queues.queue("mails"), queues.queue("mails-dead"));
        let unreliable = |queue: &EmbeddedQueue| -> Arc<dyn Queue> {
            match &chaos {
                None => Arc::new(queue.clone()),
                Some(chaos) => Arc::new(ChaosQueue::new(queue.clone(), Arc::clone(chaos), clock.clone())),
            }
        };
        let metering = Metering {
            store: store.clone(),
            shards: unreliable(&shards),
            jobs: unreliable(&jobs),
            clock: clock.clone(),
        };
        let biller = Arc::new(Biller::new(store.clone(), Arc::new(parked.clone()), clock.clone()));
        let projector = Projector { store: store.clone(), clock: clock.clone() };
        Ok(Self {
            store,
            sdk,
            clock,
            shards,
            jobs,
            parked,
            mails,
            mails_dead,
            dead,
            metering,
            biller,
            projector,
            feed,
            chaos,
        })
    }

    /// Opens the run of the hour `scheduled` lies in and works until nothing is waiting. `progress` hears the number of
    /// messages done so far.
    ///
    /// # Errors
    /// Metering's, a queue's, or totals that cannot be written.
    pub async fn bill(&self, scheduled: Timestamp, progress: &(dyn Fn(u64) + Send + Sync)) -> anyhow::Result<()> {
        self.metering.open_run(scheduled).await?;
        self.pump(progress).await
    }

    /// Works until nothing is waiting.
    ///
    /// # Errors
    /// As [`System::bill`].
    pub async fn pump(&self, progress: &(dyn Fn(u64) + Send + Sync)) -> anyhow::Result<()> {
        self.pump_shards().await?;
        self.pump_jobs(progress).await?;
        self.pump_feed().await
    }

    /// Lists the shards that wait.
    ///
    /// # Errors
    /// The queue's.
    pub async fn pump_shards(&self) -> anyhow::Result<()> {
        loop {
            let messages = self.shards.receive(BATCH_MESSAGES).await?;
            if messages.is_empty() {
                return Ok(());
            }
            let response = self.metering.handle_shards(event(&messages)).await;
            settle(&self.shards, messages, &response).await?;
        }
    }

    /// Bills the jobs that wait, [`BILLERS`] batches at a time.
    ///
    /// # Errors
    /// The queue's.
    pub async fn pump_jobs(&self, progress: &(dyn Fn(u64) + Send + Sync)) -> anyhow::Result<()> {
        let (sender, mut done) = tokio::sync::mpsc::unbounded_channel();
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..BILLERS {
            let (this, sender) = (self.clone(), sender.clone());
            workers.spawn(async move { this.work(&sender).await });
        }
        drop(sender);
        let mut count = 0;
        while let Some(messages) = done.recv().await {
            count += messages;
            progress(count);
        }
        while let Some(worker) = workers.join_next().await {
            worker??;
        }
        Ok(())
    }

    async fn work(&self, done: &tokio::sync::mpsc::UnboundedSender<u64>) -> anyhow::Result<()> {
        loop {
            let messages = self.jobs.receive(BATCH_MESSAGES).await?;
            if messages.is_empty() {
                return Ok(());
            }
            let handled = self.biller.handle(event(&messages), TIME_LEFT);
            let response = match &self.chaos {
                None => Some(handled.await),
                Some(chaos) => chaos.live_or_die(handled).await,
            };
            let _ = done.send(u64::try_from(messages.len()).unwrap_or(0));
            // A worker that was killed answers nothing: its messages come again when their visibility runs out.
            if let Some(response) = response {
                settle(&self.jobs, messages, &response).await?;
            }
        }
    }

    /// Hands new pages to the projector. A batch that fails comes again, whole.
    ///
    /// # Errors
    /// A batch that fails every time.
    pub async fn pump_feed(&self) -> anyhow::Result<()> {
        while let Some(batch) = self.feed.take() {
            let mut tries = 0;
            while let Err(error) = self.projector.handle(batch.clone()).await {
                tries += 1;
                if tries == PROJECTOR_TRIES {
                    return Err(error.into());
                }
            }
            if self.chaos.as_ref().is_some_and(|chaos| chaos.twice()) {
                let _ = self.projector.handle(batch).await;
            }
        }
        Ok(())
    }
}

fn embedded_sdk(client: SharedHttpClient, chaos: bool) -> SdkConfig {
    // Nothing throttles here; with faults the SDK retries as in the cloud, but without waiting.
    let retries = if chaos {
        RetryConfig::standard().with_max_attempts(4).with_initial_backoff(Duration::from_micros(200))
    } else {
        RetryConfig::disabled()
    };
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("local"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "local", "local", None, None, "embedded",
        )))
        .endpoint_url("http://dynamodb.embedded")
        .retry_config(retries)
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .http_client(client)
        .build()
}

/// Received messages as Lambda hands them to a function.
#[must_use]
pub fn event(messages: &[Received]) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = messages
        .iter()
        .map(|message| {
            let mut record = SqsMessage::default();
            record.message_id = Some(message.id.clone());
            record.body = Some(message.body.clone());
            record
        })
        .collect();
    event
}

/// Deletes what was done; what failed comes again.
pub(crate) async fn settle(
    queue: &EmbeddedQueue,
    messages: Vec<Received>,
    response: &SqsBatchResponse,
) -> anyhow::Result<()> {
    let failed: HashSet<&str> = response.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect();
    let (again, done): (Vec<Received>, Vec<Received>) =
        messages.into_iter().partition(|message| failed.contains(message.id.as_str()));
    let receipts = |messages: Vec<Received>| messages.into_iter().map(|m| m.receipt).collect::<Vec<String>>();
    queue.retry(&receipts(again), RETRY_SECS)?;
    queue.delete(receipts(done)).await?;
    Ok(())
}
