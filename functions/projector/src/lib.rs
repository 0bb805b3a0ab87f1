//! The projector: turns the ledger's stream into hour totals, revenue and low-balance events.
//!
//! Owns nothing that money depends on: every figure can be worked out again from the ledger (`skymeter rebuild`). A stream
//! batch counts once however often it comes, and is retried whole.

use api::Clock;
use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::wallet::Page;
use std::collections::HashMap;
use store::{Rollups, Store, StoreError, decode_page, keys};

/// What the projector works with.
#[derive(Clone, Debug)]
pub struct Projector {
    /// Where the totals are.
    pub store: Store,
    /// For markers' expiry.
    pub clock: Clock,
}

/// A batch that must come again.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// The totals, or a page that cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream sent a record without a sequence number.
    #[error("a stream record has no sequence number")]
    Unnumbered,
}

impl Projector {
    /// Adds one batch of the stream.
    ///
    /// # Errors
    /// See [`ProjectorError`]: the batch comes again as a whole.
    pub async fn handle(&self, event: Event) -> Result<(), ProjectorError> {
        let number = |record: Option<&EventRecord>| record.and_then(|r| r.change.sequence_number.clone());
        let (first, last) = (number(event.records.first()), number(event.records.last()));
        if event.records.is_empty() {
            return Ok(());
        }
        let (Some(first), Some(last)) = (first, last) else { return Err(ProjectorError::Unnumbered) };
        let mut rollups = Rollups::default();
        for record in event.records {
            if let Some(page) = page_of(record)? {
                rollups.add(&page);
            }
        }
        self.store.rollup_apply((&first, &last), &rollups, self.clock.now()).await?;
        tracing::info!(hours = rollups.hours.len(), "batch added");
        Ok(())
    }
}

/// The page of a record; `None` for a marker.
fn page_of(record: EventRecord) -> Result<Option<Page>, StoreError> {
    let item: HashMap<String, AttributeValue> = record
        .change
        .new_image
        .into_inner()
        .into_iter()
        .filter_map(|(name, value)| Some((name, plain(value)?)))
        .collect();
    let is_page = item.get(keys::PK).and_then(|pk| pk.as_s().ok()).is_some_and(|pk| keys::parse_wallet(pk).is_some());
    if is_page { decode_page(&item).map(Some) } else { Ok(None) }
}

/// The kinds of value a page is made of.
fn plain(value: serde_dynamo::AttributeValue) -> Option<AttributeValue> {
    match value {
        serde_dynamo::AttributeValue::S(text) => Some(AttributeValue::S(text)),
        serde_dynamo::AttributeValue::N(digits) => Some(AttributeValue::N(digits)),
        serde_dynamo::AttributeValue::B(bytes) => Some(AttributeValue::B(Blob::new(bytes))),
        _ => None,
    }
}
