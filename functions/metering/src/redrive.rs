//! Redriving dead letters. They are not replayed: what they asked for may be too old by now, so a run issues fresh jobs for
//! everything that is due, and the letters go.

use crate::{Metering, MeteringError};
use domain::job::{JobMessage, RunMessage, ShardMessage};
use domain::time::Hour;
use providers::Queue;

/// Letters taken at once.
const BATCH: usize = 10;
/// Batches one redrive takes from a queue; what is left then is for the next.
const MAX_BATCHES: usize = 1_000;

/// What a redrive did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// The run that was opened; none where there were no letters.
    pub through: Option<Hour>,
    /// Letters that a fresh job has taken the place of.
    pub replaced: usize,
    /// Letters nobody can read: sent to the biller, which parks them where a person looks.
    pub unreadable: usize,
}

impl Metering {
    /// Takes the place of all dead letters. A crash in between leaves letters that are redriven again, which does no harm.
    ///
    /// # Errors
    /// See [`MeteringError`]; letters that were not taken yet stay where they are.
    pub async fn redrive(&self, dead: &[&dyn Queue]) -> Result<Redriven, MeteringError> {
        let mut done = Redriven::default();
        for queue in dead {
            for _ in 0..MAX_BATCHES {
                let letters = queue.receive(BATCH).await?;
                if letters.is_empty() {
                    break;
                }
                if done.through.is_none() {
                    done.through = Some(self.open_run(self.clock.now()).await?);
                }
                let receipts = letters.iter().map(|letter| letter.receipt.clone()).collect();
                let taken = letters.len();
                let unreadable: Vec<String> =
                    letters.into_iter().map(|letter| letter.body).filter(|body| !is_ours(body)).collect();
                done.unreadable += unreadable.len();
                done.replaced += taken - unreadable.len();
                if !unreadable.is_empty() {
                    self.jobs.send(unreadable).await?;
                }
                // Last: until the fresh messages are on their queues, the letters stay.
                queue.delete(receipts).await?;
            }
        }
        tracing::info!(replaced = done.replaced, unreadable = done.unreadable, "dead letters redriven");
        Ok(done)
    }
}

fn is_ours(body: &str) -> bool {
    serde_json::from_str::<JobMessage>(body).is_ok()
        || serde_json::from_str::<ShardMessage>(body).is_ok()
        || serde_json::from_str::<RunMessage>(body).is_ok()
}
