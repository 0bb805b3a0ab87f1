//! What becomes of a mail that was claimed, and of those nobody looks after.

use super::{MAX_ROUNDS, MailRecord, MailStatus, mail_item};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{read_document, s, text};
use crate::keys::{self, PK, SK};
use crate::query::{Query, Span};
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use domain::Timestamp;
use std::collections::HashMap;

/// How often a mail is tried that the service clearly did not take.
pub const MAX_TRIES: u32 = 5;
/// Seconds until the next try, after the first, the second and so on: an hour's outage of the service loses no mail.
pub const RETRY_SECS: [i64; 4] = [30, 240, 1_200, 3_600];
/// Longest reason that is kept, in characters.
const MAX_REASON_CHARS: usize = 300;

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service has taken it, and calls it so.
    Sent(String),
    /// It clearly was not sent, and may be tried again later.
    NotSent(String),
    /// It clearly was not sent, and never will be.
    Refused(String),
    /// Its address wants or takes no mail.
    Suppressed,
    /// Perhaps it was sent: the answer was lost.
    Unknown(String),
}

impl Store {
    /// Writes down what came of a try. Of a mail that was given up as unknown meanwhile, this is still learned. A mail that
    /// this holder does not hold stays as it is.
    ///
    /// # Errors
    /// DynamoDB's; [`StoreError::Conflict`] where others were at the record every time.
    pub async fn mail_settle(
        &self,
        id: &str,
        holder: &str,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<Option<MailStatus>, StoreError> {
        let change = |record: &MailRecord| {
            let is_ours = record.holder.as_deref() == Some(holder);
            let is_open = matches!(record.status, MailStatus::Sending | MailStatus::Unknown);
            (is_ours && is_open).then(|| settled(record.clone(), outcome, now))
        };
        self.mail_change(id, change).await
    }

    /// Gives a mail up whose claim has run out: whether it was sent is unknown. `None` where it was settled after all.
    ///
    /// # Errors
    /// As [`Store::mail_settle`].
    pub async fn mail_expire(&self, id: &str, now: Timestamp) -> Result<Option<MailStatus>, StoreError> {
        let change = |record: &MailRecord| {
            record
                .is_stale(now)
                .then(|| settled(record.clone(), &Outcome::Unknown("nobody has settled it".to_owned()), now))
        };
        self.mail_change(id, change).await
    }

    /// Mails that somebody should have looked at by now, oldest first, at most `limit` (up to 1,000). A pointer that points
    /// nowhere is taken away.
    ///
    /// # Errors
    /// DynamoDB's. A record that cannot be read is left out, and logged.
    pub async fn mail_waiting(&self, now: Timestamp, limit: u16) -> Result<Vec<MailRecord>, StoreError> {
        let before = Span::Before(keys::outbox(now.plus_secs(1), ""));
        let query = Query::new(Area::Other, keys::OUTBOX, before).limit(limit.clamp(1, 1_000));
        let (items, _) = self.query(&query, None).await?;
        let pointers: Vec<&str> = items.iter().filter_map(|item| text(item, SK)).collect();
        let ids = pointers.iter().filter_map(|pointer| keys::parse_outbox(pointer));
        let records =
            self.get_many(Area::Other, ids.map(|id| (keys::mail(id), keys::MAIL.to_owned())).collect()).await?;
        let mut found: HashMap<String, Option<MailRecord>> = HashMap::new();
        for item in &records {
            let pk = text(item, PK).unwrap_or_default().to_owned();
            let record = read_document::<MailRecord>(item).map(|(record, _)| record);
            found.insert(pk, record.inspect_err(|error| tracing::error!(error = %error, "a mail is corrupt")).ok());
        }
        let mut waiting = Vec::new();
        for pointer in pointers {
            match found.remove(&keys::parse_outbox(pointer).map(keys::mail).unwrap_or_default()) {
                Some(record) => waiting.extend(record.filter(|record| !record.status.is_final())),
                None => self.pointer_drop(pointer).await?,
            }
        }
        Ok(waiting)
    }

    /// Changes a record and moves its pointer along, in one transaction. What was written although the answer was lost looks
    /// to the next round as if there were nothing to do: then it tells what stands there.
    async fn mail_change(
        &self,
        id: &str,
        change: impl Fn(&MailRecord) -> Option<MailRecord>,
    ) -> Result<Option<MailStatus>, StoreError> {
        let mut wanted: Option<MailRecord> = None;
        for _ in 0..MAX_ROUNDS {
            let Some((old, rev)) = self.mail_read(id).await? else { return Ok(None) };
            if wanted.as_ref() == Some(&old) {
                return Ok(Some(old.status));
            }
            let Some(new) = change(&old) else { return Ok(None) };
            let mut actions = vec![self.put_action(mail_item(&new, rev + 1)?, Some(rev))?];
            if new.status.is_final() {
                actions.push(self.pointer_delete(&keys::outbox(old.due, id))?);
            } else if new.due != old.due {
                actions.push(self.pointer_delete(&keys::outbox(old.due, id))?);
                actions.push(self.pointer_put(&new)?);
            }
            match self.transact(Area::Other, actions).await {
                Ok(()) => return Ok(Some(new.status)),
                Err(StoreError::Conflict(_)) => wanted = Some(new),
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict("mail_change"))
    }

    async fn pointer_drop(&self, pointer: &str) -> Result<(), StoreError> {
        let action = self.pointer_delete(pointer)?;
        self.transact(Area::Other, vec![action]).await
    }

    fn pointer_delete(&self, pointer: &str) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder().table_name(&self.tables().main).key(PK, s(keys::OUTBOX)).key(SK, s(pointer));
        let delete = delete.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

/// The record after a try.
fn settled(mut record: MailRecord, outcome: &Outcome, now: Timestamp) -> MailRecord {
    let shorten = |reason: &String| Some(reason.chars().take(MAX_REASON_CHARS).collect());
    record.lease_until = None;
    match outcome {
        Outcome::Sent(message_id) => {
            (record.status, record.message_id, record.reason) = (MailStatus::Sent, Some(message_id.clone()), None);
        }
        Outcome::NotSent(reason) => {
            record.reason = shorten(reason);
            // One that was given up holds nothing any more that could be sent.
            let tried = usize::try_from(record.tries.saturating_sub(1)).unwrap_or(usize::MAX);
            match RETRY_SECS.get(tried).filter(|_| record.status == MailStatus::Sending) {
                Some(secs) => {
                    record.status = MailStatus::Pending;
                    record.not_before = now.plus_secs(*secs);
                    record.due = record.not_before;
                    return record;
                }
                None => record.status = MailStatus::Failed,
            }
        }
        Outcome::Refused(reason) => (record.status, record.reason) = (MailStatus::Failed, shorten(reason)),
        Outcome::Suppressed => (record.status, record.reason) = (MailStatus::Suppressed, None),
        Outcome::Unknown(reason) => (record.status, record.reason) = (MailStatus::Unknown, shorten(reason)),
    }
    record.finished_at = Some(now);
    record.mail.to = None;
    record.mail.params.clear();
    record
}
