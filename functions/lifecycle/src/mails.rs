//! Mails that wait: their message was lost, their next try is due, or whoever claimed them is gone.

use crate::Lifecycle;
use providers::QueueError;
use store::{MailStatus, StoreError};

/// Mails of one run that are looked at, oldest first; what is left over is looked at by the next.
pub const MAILS_PER_RUN: u16 = 500;

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mails {
    /// Sent to the mail queue again.
    pub again: usize,
    /// Given up: whether they went out is unknown.
    pub unknown: usize,
}

/// Why they could not be looked after.
#[derive(Debug, thiserror::Error)]
pub enum MailsError {
    /// The outbox.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The mail queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Lifecycle {
    /// A message too many is harmless: the outbox decides what is sent.
    ///
    /// # Errors
    /// See [`MailsError`]; the next run finds the same mails.
    pub async fn mails(&self) -> Result<Mails, MailsError> {
        let now = self.clock.now();
        let (mut ids, mut unknown) = (Vec::new(), 0);
        for record in self.store.mail_waiting(now, MAILS_PER_RUN).await? {
            match record.status {
                MailStatus::Pending if record.not_before <= now => ids.push(record.mail.id),
                MailStatus::Sending if record.is_stale(now) => {
                    if self.store.mail_expire(&record.mail.id, now).await?.is_some() {
                        // An alarm counts these: somebody may wait for a mail.
                        tracing::error!(mail = record.mail.id, "a mail was given up: its sender is gone");
                        unknown += 1;
                    }
                }
                MailStatus::Pending
                | MailStatus::Sending
                | MailStatus::Sent
                | MailStatus::Failed
                | MailStatus::Suppressed
                | MailStatus::Unknown => {}
            }
        }
        let again = ids.len();
        if again > 0 {
            self.mails.send(ids).await?;
        }
        Ok(Mails { again, unknown })
    }
}
