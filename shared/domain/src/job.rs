//! The messages between metering and the biller. A job says "bill server S up to hour H", never "add an hour", and holds
//! all that rating needs; nothing in it is an amount. So a duplicate, a late or a reordered job does no harm.

use crate::plan::{PriceStep, Terms};
use crate::settings::{HoursPerMonth, Switch};
use crate::tenure::{Tenure, WalletId};
use crate::time::{Hour, Timestamp};
use crate::timeline::{State, Timeline};
use crate::{Id, Unit};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Version of the message format.
pub const JOB_MESSAGE_VERSION: u8 = 1;
/// Largest body of one job message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// How long a job may be billed after it was issued. Older ones are dropped: the next run has issued a fresher one.
pub const JOB_VALID_SECS: i64 = 6 * 3_600;
/// How far a job's issue time may lie ahead of the reader's clock before it is not believed.
pub const CLOCK_TOLERANCE_SECS: i64 = 60;

/// One queue message: jobs of one shard, a customer's together.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobMessage {
    /// [`JOB_MESSAGE_VERSION`].
    pub v: u8,
    /// Bill the hours before this one.
    pub through: Hour,
    /// When metering read the registry.
    pub issued_at: Timestamp,
    /// Hours per month.
    pub per: HoursPerMonth,
    /// When billing was on.
    pub switch: Switch,
    /// The terms the jobs refer to by index, each parsed on its own so that a bad one harms only its own jobs.
    pub terms: Vec<Box<RawValue>>,
    /// Jobs by wallet and lane.
    pub lanes: Vec<LaneJobs>,
}

/// The jobs of one lane.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneJobs {
    /// Whose wallet.
    pub customer: Id,
    /// In what unit.
    pub unit: Unit,
    /// Which lane.
    pub lane: u16,
    /// [`JobBody`] each, parsed on its own so that a bad one is parked alone.
    pub jobs: Vec<Box<RawValue>>,
}

/// One server's job on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobBody {
    /// The server.
    pub server: Id,
    /// First hour of the tenure.
    pub since: Hour,
    /// The spans are complete from this hour on; absent where that is `since`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_from: Option<Hour>,
    /// Revision of the registry item, for `closed`.
    pub rev: u32,
    /// Changes of raw state.
    pub states: Vec<(Timestamp, State)>,
    /// The end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// `(from hour, index into terms)`.
    pub steps: Vec<(Hour, u16)>,
    /// The plan's name, where metering knows no such plan: the job is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_plan: Option<Id>,
    /// Hours already closed may have to be corrected from this hour on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recheck: Option<Hour>,
}

/// What all jobs of a message share.
#[derive(Clone, Debug)]
pub struct Header {
    /// Bill the hours before this one.
    pub through: Hour,
    /// When metering read the registry.
    pub issued_at: Timestamp,
    /// Hours per month.
    pub per: HoursPerMonth,
    /// When billing was on.
    pub switch: Switch,
}

/// A job that has been read and checked.
#[derive(Clone, Debug)]
pub struct Job {
    /// Who pays for what.
    pub tenure: Tenure,
    /// The spans are complete from here on.
    pub known_from: Hour,
    /// Revision of the registry item.
    pub rev: u32,
    /// The spans.
    pub timeline: Timeline,
    /// The price steps.
    pub steps: Vec<PriceStep>,
    /// Closed hours to look at again, from here on.
    pub recheck: Option<Hour>,
    /// Shared by the message.
    pub header: Arc<Header>,
}

/// Why a job is parked: an operator has to look at it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not the format, or values out of range.
    #[error("the job does not parse: {0}")]
    Unreadable(String),
    /// It changed its state so often that no message holds it all: metering sent it without.
    #[error("the server has more changes of state than a message holds")]
    TooLong,
    /// The registry names a plan that does not exist.
    #[error("plan '{0}' is unknown")]
    UnknownPlan(Id),
    /// Its terms do not parse.
    #[error("the terms of the job do not parse: {0}")]
    BadTerms(String),
    /// No price in force at the first hour to bill.
    #[error("no price is in force at {0}")]
    NoPrice(Hour),
    /// The registry was pruned beyond what is billed.
    #[error("the spans are known from {known_from} but the server is billed only up to {through}")]
    BelowKnown {
        /// First hour with complete spans.
        known_from: Hour,
        /// First hour not billed.
        through: Hour,
    },
    /// Issued before the hour it bills had ended.
    #[error("the job was issued at {issued_at}, before {through}")]
    IssuedEarly {
        /// When.
        issued_at: Timestamp,
        /// For which hour.
        through: Hour,
    },
}

impl JobBody {
    /// Checks a body and resolves its terms.
    ///
    /// # Errors
    /// A [`Refusal`]: the job is parked, its neighbours are not touched.
    pub fn resolve(
        self,
        wallet: &WalletId,
        terms: &[Result<Terms, String>],
        header: &Arc<Header>,
    ) -> Result<Job, Refusal> {
        if let Some(plan) = self.unknown_plan {
            return Err(Refusal::UnknownPlan(plan));
        }
        if header.issued_at < header.through.start() {
            return Err(Refusal::IssuedEarly { issued_at: header.issued_at, through: header.through });
        }
        if self.states.is_empty() {
            return Err(Refusal::TooLong);
        }
        let timeline = Timeline::from_parts(self.states, self.end).map_err(|e| Refusal::Unreadable(e.to_string()))?;
        let mut steps = Vec::with_capacity(self.steps.len());
        for (from, index) in self.steps {
            match terms.get(usize::from(index)) {
                Some(Ok(terms)) => steps.push(PriceStep { from, terms: terms.clone() }),
                Some(Err(reason)) => return Err(Refusal::BadTerms(reason.clone())),
                None => return Err(Refusal::BadTerms(format!("there are no terms number {index}"))),
            }
        }
        if !steps.is_sorted_by_key(|step| step.from) {
            return Err(Refusal::Unreadable("the price steps are out of order".to_owned()));
        }
        Ok(Job {
            tenure: Tenure { server: self.server, since: self.since, wallet: wallet.clone() },
            known_from: self.known_from.unwrap_or(self.since),
            rev: self.rev,
            timeline,
            steps,
            recheck: self.recheck,
            header: Arc::clone(header),
        })
    }
}

/// Whether a message may still be billed, by the reader's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Bill it.
    Valid,
    /// Issued too long ago: acknowledge and count it, the next run heals.
    Expired,
    /// The hour has not ended yet, or the job comes from the future: our clock is behind, try again later.
    TooEarly,
}

impl Header {
    /// See [`Validity`].
    #[must_use]
    pub fn validity(&self, now: Timestamp) -> Validity {
        let age = now.since(self.issued_at);
        if age > JOB_VALID_SECS {
            Validity::Expired
        } else if self.through.start() > now || age < -CLOCK_TOLERANCE_SECS {
            Validity::TooEarly
        } else {
            Validity::Valid
        }
    }
}

/// The message metering sends to itself: list one shard of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardMessage {
    /// Bill the hours before this one.
    pub through: Hour,
    /// Which shard, 0 to 63.
    pub shard: u8,
}

/// The message that starts a run beside the schedule, on the same queue as metering's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunMessage {
    /// When it was asked for: as with the schedule, the hour this lies in is the one that everything before is billed up to.
    pub run_at: Timestamp,
}

/// What stands in the parked queue: a job nobody could bill, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parked {
    /// For an operator.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// The wallet, where it was readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wallet: Option<WalletId>,
    /// What was received.
    pub job: String,
}

impl Parked {
    /// The server's id as far as the job tells it, for a run's record.
    #[must_use]
    pub fn server_name(&self) -> String {
        let job = serde_json::from_str::<serde_json::Value>(&self.job).ok();
        let server = job.as_ref().and_then(|job| job.get("server")?.as_str()).unwrap_or("unreadable");
        server.chars().take(crate::id::MAX_ID_BYTES).collect()
    }
}
