//! What an operator must look at: words of a processor that fit no payment. And its events, as they came.

use super::{Store, StoreError, classify};
use crate::capacity::Area;
use crate::expr;
use crate::item::{document, n, read_document, s};
use crate::keys::{self, PK, SK, TTL};
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::Timestamp;
use domain::payment::Processor;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How long an event is kept: 90 days.
pub const EVENT_KEPT_SECS: i64 = 90 * 86_400;
/// Reasons that are kept for one object.
const MAX_REASONS: usize = 20;
/// Tries of a write against others at the same record.
const MAX_ROUNDS: usize = 8;

/// An object of a processor that was not credited to anybody, or not wholly understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    /// Whose object.
    pub processor: Processor,
    /// Its id.
    pub object: String,
    /// The payment it says it belongs to, or that led to it.
    pub payment: Option<String>,
    /// The event that told of it.
    pub event: Option<String>,
    /// What does not fit, oldest first.
    pub reasons: Vec<String>,
    /// When it was first seen.
    pub at: Timestamp,
}

/// A part of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmatchedPage {
    /// The objects.
    pub data: Vec<Unmatched>,
    /// Where the next part begins.
    pub next: Option<String>,
}

impl Store {
    /// Parks an object for an operator. Said again, it is one entry; another reason is added to it.
    ///
    /// # Errors
    /// DynamoDB's; [`StoreError::Conflict`] where others were at it every time.
    pub async fn unmatched_put(&self, unmatched: &Unmatched) -> Result<(), StoreError> {
        let sk = keys::unmatched(unmatched.processor, &unmatched.object);
        for _ in 0..MAX_ROUNDS {
            let held = self.get(Area::Other, keys::UNMATCHED.to_owned(), sk.clone()).await?;
            let held = held.as_ref().map(read_document::<Unmatched>).transpose()?;
            let (mut entry, rev) = held.map_or((None, None), |(entry, rev)| (Some(entry), Some(rev)));
            let entry = match &mut entry {
                None => unmatched.clone(),
                Some(held) => {
                    let new = unmatched.reasons.iter().filter(|reason| !held.reasons.contains(reason)).cloned();
                    let new: Vec<String> = new.take(MAX_REASONS.saturating_sub(held.reasons.len())).collect();
                    if new.is_empty() {
                        return Ok(());
                    }
                    held.reasons.extend(new);
                    held.clone()
                }
            };
            let item = document(keys::UNMATCHED.to_owned(), sk.clone(), rev.unwrap_or(0) + 1, &entry)?;
            match self.put(Area::Other, item, rev).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict("unmatched_put"))
    }

    /// What is parked, by processor and object, at most `limit`. `after` is the `next` of the page before.
    ///
    /// # Errors
    /// DynamoDB's, or a record that cannot be read.
    pub async fn unmatched_list(&self, limit: u16, after: Option<String>) -> Result<UnmatchedPage, StoreError> {
        let start = after.map(|sk| HashMap::from([(PK.to_owned(), s(keys::UNMATCHED)), (SK.to_owned(), s(sk))]));
        let request = self
            .client()
            .query()
            .table_name(&self.tables().main)
            .key_condition_expression(expr::IN_PARTITION)
            .expression_attribute_values(":pk", s(keys::UNMATCHED))
            .limit(i32::from(limit.max(1)))
            .set_exclusive_start_key(start)
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("Query", &e))?;
        self.capacity().read(Area::Other, answer.consumed_capacity.as_slice());
        let data = answer.items().iter().map(|item| Ok(read_document::<Unmatched>(item)?.0));
        let data: Vec<Unmatched> = data.collect::<Result<_, StoreError>>()?;
        let last = data.last().map(|last| keys::unmatched(last.processor, &last.object));
        Ok(UnmatchedPage { data, next: last.filter(|_| answer.last_evaluated_key.is_some()) })
    }

    /// Keeps an event as it came. Whether it was new.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn event_keep(
        &self,
        processor: Processor,
        event: &str,
        raw: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let item = HashMap::from([
            (PK.to_owned(), s(keys::event_raw(processor, event))),
            (SK.to_owned(), s(keys::RAW)),
            (RAW_TEXT.to_owned(), s(raw)),
            (AT.to_owned(), n(now.secs())),
            (TTL.to_owned(), n(now.secs() + EVENT_KEPT_SECS)),
        ]);
        match self.put(Area::Other, item, None).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

const RAW_TEXT: &str = "raw";
const AT: &str = "at";
