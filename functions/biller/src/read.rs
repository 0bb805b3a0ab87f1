//! Reading job messages. Each job is parsed on its own, so that a bad one is parked alone and its neighbours are billed.

use crate::Batch;
use aws_lambda_events::sqs::SqsEvent;
use domain::job::{
    Header, JOB_MESSAGE_VERSION, JobBody, JobMessage, LaneJobs, MAX_MESSAGE_BYTES, Parked, Refusal, Validity,
};
use domain::plan::Terms;
use domain::tenure::WalletId;
use domain::time::{Hour, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sorts a batch's jobs by wallet and lane.
pub fn read_batch(event: SqsEvent, now: Timestamp) -> Batch {
    let (work, expired) = (BTreeMap::new(), BTreeMap::new());
    let mut batch = Batch { work, refused: Vec::new(), failed: BTreeSet::new(), expired };
    for (index, message) in event.records.into_iter().enumerate() {
        let body = message.body.unwrap_or_default();
        match parse(&body) {
            Ok(message) => read_message(&mut batch, index, message, now),
            Err(reason) => {
                let refusal = Refusal::Unreadable(reason);
                batch.refused.push((index, now.hour(), parked(&refusal, now, None, shortened(body))));
            }
        }
    }
    batch
}

fn parse(body: &str) -> Result<JobMessage, String> {
    let message: JobMessage = serde_json::from_str(body).map_err(|e| e.to_string())?;
    if message.v != JOB_MESSAGE_VERSION {
        return Err(format!("version {} is not known", message.v));
    }
    Ok(message)
}

fn read_message(batch: &mut Batch, index: usize, message: JobMessage, now: Timestamp) {
    let JobMessage { through, issued_at, per, switch, terms, lanes, v: _ } = message;
    let header = Arc::new(Header { through, issued_at, per, switch });
    match header.validity(now) {
        Validity::Valid => {}
        Validity::Expired => {
            let jobs: usize = lanes.iter().map(|lane| lane.jobs.len()).sum();
            *batch.expired.entry(through).or_default() += u64::try_from(jobs).unwrap_or(u64::MAX);
            return;
        }
        Validity::TooEarly => {
            batch.failed.insert(index);
            return;
        }
    }
    let terms: Vec<Result<Terms, String>> =
        terms.iter().map(|raw| serde_json::from_str(raw.get()).map_err(|e| e.to_string())).collect();
    for LaneJobs { customer, unit, lane, jobs } in lanes {
        let wallet = WalletId { customer, unit, lane };
        for raw in jobs {
            let body = serde_json::from_str::<JobBody>(raw.get()).map_err(|e| Refusal::Unreadable(e.to_string()));
            match body.and_then(|body| body.resolve(&wallet, &terms, &header)) {
                Ok(job) => batch.work.entry(wallet.clone()).or_default().push(index, job),
                Err(refusal) => {
                    let raw = shortened(raw.get().to_owned());
                    batch.refused.push((index, through, parked(&refusal, now, Some(wallet.clone()), raw)));
                }
            }
        }
    }
}

pub fn parked(refusal: &Refusal, at: Timestamp, wallet: Option<WalletId>, job: String) -> Parked {
    Parked { reason: refusal.to_string(), at, wallet, job }
}

/// A parked job has to fit a message again.
fn shortened(body: String) -> String {
    if body.len() <= MAX_MESSAGE_BYTES { body } else { body.chars().take(MAX_MESSAGE_BYTES / 4).collect() }
}

/// A refusal found only while folding.
pub fn refused_job(job: &domain::job::Job, refusal: &Refusal, now: Timestamp) -> (Hour, Parked) {
    let body = serde_json::json!({
        "server": job.tenure.server, "since": job.tenure.since, "known_from": job.known_from, "rev": job.rev,
        "states": job.timeline.states(), "end": job.timeline.end(),
    });
    let parked = parked(refusal, now, Some(job.tenure.wallet.clone()), body.to_string());
    (job.header.through, parked)
}
