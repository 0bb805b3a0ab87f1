//! One lane: fold, put, and on a lost race read the newest page and fold again.

use crate::{Biller, history, read, recheck};
use domain::job::{Job, Parked};
use domain::tenure::WalletId;
use domain::time::Hour;
use domain::wallet::{Outcome, Page, Recovered, fold};
use std::sync::Arc;
use store::{Appended, Closing, StoreError};

/// Races one lane may lose in one batch before its messages come again.
const MAX_RACES: usize = 12;
/// Pages one batch may append to one lane; a back-fill beyond that goes on with the next delivery.
const MAX_PAGES: usize = 64;

/// The jobs of one lane in a batch, with the index of the message each came in.
#[derive(Default)]
pub struct LaneWork {
    jobs: Vec<Job>,
    message_of: Vec<usize>,
}

/// A lane whose jobs are all on the ledger, or refused.
#[derive(Default)]
pub struct LaneDone {
    pub closings: Vec<(Closing, usize)>,
    pub refused: Vec<(usize, Hour, Parked)>,
    /// Messages whose job was billed but could not be compared with its facts: they come again.
    pub unchecked: Vec<usize>,
}

impl LaneWork {
    pub fn push(&mut self, message: usize, job: Job) {
        self.jobs.push(job);
        self.message_of.push(message);
    }

    /// The messages that fail if the lane does.
    pub fn messages(&self) -> Vec<usize> {
        self.message_of.clone()
    }

    fn through(&self) -> Hour {
        self.jobs.iter().map(|job| job.header.through).max().unwrap_or(Hour::EPOCH)
    }
}

impl Biller {
    pub(crate) async fn bill_lane(&self, wallet: &WalletId, work: &LaneWork) -> Result<LaneDone, StoreError> {
        let result = self.fold_jobs(wallet, work).await;
        if result.is_err() {
            // Whether a put was done is unknown: the next try reads the chain.
            self.heads.forget(wallet);
        }
        let outcomes = result?;
        let mut done = LaneDone::default();
        let jobs = work.jobs.iter().zip(&work.message_of).zip(&outcomes);
        for ((job, message), outcome) in jobs {
            match outcome {
                Outcome::Done { ended: true } if job.recheck.is_none() => {
                    done.closings.push((Closing { tenure: job.tenure.clone(), rev: job.rev }, *message));
                }
                Outcome::Refused(refusal) => {
                    let (through, parked) = read::refused_job(job, refusal, self.clock.now());
                    done.refused.push((*message, through, parked));
                }
                Outcome::Done { .. } | Outcome::NeedsHistory | Outcome::NotReached => {}
            }
        }
        for (job, message) in work.jobs.iter().zip(&work.message_of).filter(|(job, _)| job.recheck.is_some()) {
            self.heads.forget(wallet);
            if let Err(error) = recheck::recheck(&self.store, job, self.clock.now()).await {
                tracing::error!(error = %error, "closed hours could not be compared with the facts");
                done.unchecked.push(*message);
            }
        }
        Ok(done)
    }

    /// Folds until nothing is left to do. What comes back holds no job that still needs anything.
    async fn fold_jobs(&self, wallet: &WalletId, work: &LaneWork) -> Result<Vec<Outcome>, StoreError> {
        let mut is_consistent = false;
        let mut head: Option<Arc<Page>> = match self.heads.get(wallet, work.through()) {
            Some(page) => Some(page),
            // A stale page is harmless here: the put would fail.
            None => self.store.wallet_head(wallet, false).await?.map(Arc::new),
        };
        let mut recovered = Recovered::new();
        let (mut races, mut pages) = (0, 0);
        loop {
            let folded = fold(wallet, head.as_deref(), &work.jobs, &recovered, self.clock.now());
            let missing = |outcome: &Outcome| *outcome == Outcome::NeedsHistory;
            if folded.outcomes.iter().any(missing) {
                let old = work.jobs.iter().zip(&folded.outcomes).filter(|(_, outcome)| missing(outcome));
                history::recover(&self.store, wallet, old.map(|(job, _)| job), &mut recovered).await?;
                continue;
            }
            let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
            if !is_consistent && folded.outcomes.iter().any(refused) {
                // A refusal writes no page whose put could fail, so it is not decided on a page that may be stale.
                is_consistent = true;
                head = self.store.wallet_head(wallet, true).await?.map(Arc::new);
                continue;
            }
            let reached = !folded.outcomes.contains(&Outcome::NotReached);
            let Some(page) = folded.page else {
                return if reached {
                    Ok(folded.outcomes)
                } else {
                    Err(StoreError::Conflict("the lane's meters fill a page"))
                };
            };
            match self.store.wallet_append(&page).await? {
                Appended::Written => {
                    head = Some(self.heads.put(page));
                    pages += 1;
                }
                Appended::Lost => {
                    races += 1;
                    head = self.store.wallet_head(wallet, true).await?.map(Arc::new);
                }
            }
            if reached && races == 0 {
                return Ok(folded.outcomes);
            }
            if races > MAX_RACES || pages > MAX_PAGES {
                return Err(StoreError::Conflict("the lane is not done in this batch"));
            }
        }
    }
}
