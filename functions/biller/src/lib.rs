//! The biller: folds jobs per wallet and lane, and appends one ledger page each. Nobody else writes usage.
//!
//! Owns: reading job messages, the race for the next page, reading a chain back where a meter is missing, closing ended
//! tenures, parking what nobody can bill. Invariant: a message is done only when every job in it is on the ledger, or was
//! found there, or stands in the parked queue, or is too old to be billed.

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
use std::time::Duration;
use store::{Closing, Store};
use tokio::time::{Instant, timeout_at};

/// Lanes one invocation works on at the same time: enough to hide DynamoDB's latency, few enough to bound memory.
pub const LANES_AT_ONCE: usize = 32;
/// Messages whose bad jobs are parked at the same time: where a plan is missing, that may be all of a batch.
const PARKED_AT_ONCE: usize = 8;
/// Time kept back before the deadline for what follows the lanes. Of the function's 120 s the lanes have 110: a lane still in
/// hand then is given up, for one call with its tries may take longer than all that is left. An invocation that is killed
/// instead would answer nothing, and every message of its batch would come again.
pub const DEADLINE_RESERVE: Duration = Duration::from_secs(10);
/// Of that, what is left for the answer when parking and closing are given up as well.
pub const ANSWER_RESERVE: Duration = Duration::from_secs(2);
/// What a caller hears of work that was given up.
const TOO_LATE: &str = "the deadline came first";

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
    /// Jobs that came too late, by the run that issued them.
    expired: BTreeMap<Hour, u64>,
}

impl Biller {
    /// A biller that remembers nothing yet.
    #[must_use]
    pub fn new(store: Store, parked: Arc<dyn Queue>, clock: Clock) -> Self {
        Self { store, parked, clock, heads: Heads::default() }
    }

    /// Bills a batch. Answers with the messages that must come again; all others are done. The answer comes before
    /// `time_left` has passed, whatever DynamoDB and the queue do.
    pub async fn handle(&self, event: SqsEvent, time_left: Duration) -> SqsBatchResponse {
        let now = Instant::now();
        let lanes_until = now + time_left.saturating_sub(DEADLINE_RESERVE);
        let rest_until = now + time_left.saturating_sub(ANSWER_RESERVE);
        let ids: Vec<String> = event.records.iter().map(|m| m.message_id.clone().unwrap_or_default()).collect();
        let mut batch = read::read_batch(event, self.clock.now());
        let closings = self.bill_lanes(&mut batch, lanes_until).await;
        self.park(&mut batch, rest_until).await;
        self.close(&mut batch, closings, rest_until).await;
        self.count_expired(&batch, rest_until).await;
        tracing::info!(messages = ids.len(), failed = batch.failed.len(), "batch billed");
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
            let done = self.bill_lane_until(deadline, &wallet, &work).await;
            (work.messages(), done.map_err(|error| format!("{wallet}: {error}")))
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

    async fn bill_lane_until(&self, deadline: Instant, wallet: &WalletId, work: &LaneWork) -> Result<LaneDone, String> {
        // A timeout would let one that is late already make its first call.
        if Instant::now() >= deadline {
            return Err(TOO_LATE.to_owned());
        }
        match timeout_at(deadline, self.bill_lane(wallet, work)).await {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => {
                // Whether a put was done is unknown: the next try reads the chain.
                self.heads.forget(wallet);
                Err(TOO_LATE.to_owned())
            }
        }
    }

    /// Bad jobs go alone to the parked queue. Where that fails, their message fails, and no other.
    async fn park(&self, batch: &mut Batch, deadline: Instant) {
        let mut of_message: BTreeMap<usize, Vec<(Hour, Parked)>> = BTreeMap::new();
        for (message, through, parked) in std::mem::take(&mut batch.refused) {
            of_message.entry(message).or_default().push((through, parked));
        }
        let parking = stream::iter(of_message).map(|(message, jobs)| async move {
            let parked = timeout_at(deadline, self.park_jobs(&jobs)).await;
            (message, jobs, parked.unwrap_or_else(|_| Err(TOO_LATE.to_owned())))
        });
        let mut parking = std::pin::pin!(parking.buffer_unordered(PARKED_AT_ONCE));
        while let Some((message, jobs, parked)) = parking.next().await {
            let reason = jobs.first().map(|(_, parked)| parked.reason.as_str()).unwrap_or_default();
            match parked {
                Ok(()) => tracing::warn!(jobs = jobs.len(), reason, "jobs were parked"),
                Err(error) => {
                    tracing::error!(jobs = jobs.len(), reason, error, "jobs could not be parked");
                    batch.failed.insert(message);
                }
            }
        }
    }

    async fn park_jobs(&self, jobs: &[(Hour, Parked)]) -> Result<(), String> {
        let mut bodies = Vec::with_capacity(jobs.len());
        let mut servers: BTreeMap<Hour, BTreeSet<String>> = BTreeMap::new();
        for (through, parked) in jobs {
            bodies.push(serde_json::to_string(parked).map_err(|e| e.to_string())?);
            servers.entry(*through).or_default().insert(parked.server_name());
        }
        self.parked.send(bodies).await.map_err(|e| e.to_string())?;
        let now = self.clock.now();
        for (through, servers) in servers {
            self.store.run_parked(through, servers, now).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Ended tenures leave the registry's list. If that fails, the messages fail: the fold will be a no-op and they close then.
    async fn close(&self, batch: &mut Batch, closings: Vec<(Closing, usize)>, deadline: Instant) {
        let (tenures, messages): (Vec<Closing>, Vec<usize>) = closings.into_iter().unzip();
        let closed = timeout_at(deadline, self.store.fleet_close(&tenures, self.clock.now())).await;
        let closed = closed.map_or_else(|_| Err(TOO_LATE.to_owned()), |closed| closed.map_err(|e| e.to_string()));
        if let Err(error) = closed {
            tracing::error!(error, "ended tenures could not be closed");
            batch.failed.extend(messages);
        }
    }

    /// Expired jobs are done, counted or not. Were their messages to fail, they would come again, be counted again, and end
    /// as dead letters that nobody has to do anything about.
    async fn count_expired(&self, batch: &Batch, deadline: Instant) {
        for (through, jobs) in &batch.expired {
            tracing::warn!(%through, jobs, "jobs came too late");
            let counted = timeout_at(deadline, self.store.run_expired(*through, *jobs)).await;
            if !matches!(counted, Ok(Ok(()))) {
                tracing::warn!(%through, jobs, "jobs that came too late could not be counted");
            }
        }
    }
}
