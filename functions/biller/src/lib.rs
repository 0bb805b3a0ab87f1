//! The biller: folds jobs per wallet and lane, and appends one ledger page each. Nobody else writes usage.
//!
//! Owns: reading job messages, the race for the next page, reading a chain back where a meter is missing, closing ended
//! tenures, parking what nobody can bill. Invariant: a message is done only when every job in it is on the ledger, or was
//! found there, or stands in the parked queue.

mod heads;
mod history;
mod lane;
mod read;
mod recheck;

use api::Clock;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use domain::job::Parked;
use domain::tenure::WalletId;
use domain::time::Hour;
use futures::{StreamExt, stream};
use heads::Heads;
use lane::{LaneDone, LaneWork};
use providers::Queue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Closing, Store};

/// Lanes one invocation works on at the same time: enough to hide DynamoDB's latency, few enough to bound memory.
pub const LANES_AT_ONCE: usize = 32;
/// Time kept back before the deadline, for the answer.
const DEADLINE_RESERVE: Duration = Duration::from_secs(3);

/// What the biller works with. One per process: it keeps the newest pages it wrote.
#[derive(Debug)]
pub struct Biller {
    store: Store,
    parked: Arc<dyn Queue>,
    clock: Clock,
    heads: Heads,
}

/// The state of one batch.
struct Batch {
    work: BTreeMap<WalletId, LaneWork>,
    /// Jobs nobody can bill, with the message they came in.
    refused: Vec<(usize, Hour, Parked)>,
    failed: BTreeSet<usize>,
    expired: usize,
}

impl Biller {
    /// A biller that remembers nothing yet.
    #[must_use]
    pub fn new(store: Store, parked: Arc<dyn Queue>, clock: Clock) -> Self {
        Self { store, parked, clock, heads: Heads::default() }
    }

    /// Bills a batch. Answers with the messages that must come again; all others are done.
    pub async fn handle(&self, event: SqsEvent, time_left: Duration) -> SqsBatchResponse {
        let deadline = Instant::now() + time_left.saturating_sub(DEADLINE_RESERVE);
        let ids: Vec<String> = event.records.iter().map(|m| m.message_id.clone().unwrap_or_default()).collect();
        let mut batch = read::read_batch(event, self.clock.now());
        let closings = self.bill_lanes(&mut batch, deadline).await;
        self.park(&mut batch).await;
        self.close(&mut batch, closings).await;
        tracing::info!(messages = ids.len(), failed = batch.failed.len(), expired = batch.expired, "batch billed");
        let mut response = SqsBatchResponse::default();
        for id in batch.failed.iter().filter_map(|index| ids.get(*index)) {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier.clone_from(id);
            response.batch_item_failures.push(failure);
        }
        response
    }

    async fn bill_lanes(&self, batch: &mut Batch, deadline: Instant) -> Vec<(Closing, usize)> {
        let work = std::mem::take(&mut batch.work);
        let lanes = stream::iter(work).map(|(wallet, work)| async move {
            if Instant::now() >= deadline {
                return (work.messages(), Err("the deadline came first".to_owned()));
            }
            let done = self.bill_lane(&wallet, &work).await;
            (work.messages(), done.map_err(|e| format!("{wallet}: {e}")))
        });
        let mut closings = Vec::new();
        let mut lanes = std::pin::pin!(lanes.buffer_unordered(LANES_AT_ONCE));
        while let Some((messages, done)) = lanes.next().await {
            match done {
                Ok(LaneDone { closings: ended, refused, unchecked }) => {
                    closings.extend(ended);
                    batch.refused.extend(refused);
                    batch.failed.extend(unchecked);
                }
                Err(error) => {
                    tracing::error!(error = %error, "a lane failed");
                    batch.failed.extend(messages);
                }
            }
        }
        closings
    }

    /// Bad jobs go alone to the parked queue. If that fails, their messages fail.
    async fn park(&self, batch: &mut Batch) {
        if batch.refused.is_empty() {
            return;
        }
        let mut bodies = Vec::with_capacity(batch.refused.len());
        let mut servers: BTreeMap<Hour, BTreeSet<String>> = BTreeMap::new();
        for (message, through, parked) in &batch.refused {
            tracing::warn!(reason = %parked.reason, "a job was parked");
            match serde_json::to_string(parked) {
                Ok(body) => bodies.push(body),
                Err(_) => drop(batch.failed.insert(*message)),
            }
            servers.entry(*through).or_default().insert(parked.server_name());
        }
        let now = self.clock.now();
        if let Err(error) = self.parked.send(bodies).await {
            tracing::error!(error = %error, "jobs could not be parked");
            batch.failed.extend(batch.refused.iter().map(|(message, ..)| *message));
            return;
        }
        for (through, servers) in servers {
            if let Err(error) = self.store.run_parked(through, servers, now).await {
                tracing::error!(error = %error, "parked jobs could not be recorded");
                batch.failed.extend(batch.refused.iter().map(|(message, ..)| *message));
            }
        }
    }

    /// Ended tenures leave the registry's list. If that fails, the messages fail: the fold will be a no-op and they close then.
    async fn close(&self, batch: &mut Batch, closings: Vec<(Closing, usize)>) {
        let (tenures, messages): (Vec<Closing>, Vec<usize>) = closings.into_iter().unzip();
        if let Err(error) = self.store.fleet_close(&tenures, self.clock.now()).await {
            tracing::error!(error = %error, "ended tenures could not be closed");
            batch.failed.extend(messages);
        }
    }
}
