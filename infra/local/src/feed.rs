//! The ledger's stream, on a laptop: new pages in the order they were written, for the projector.
//!
//! dynoxide has streams, but numbers each record by counting all before it, which makes a write dearer the more there are. So
//! the connector hands new pages on from memory, and after a crash the totals are rebuilt from the ledger instead.

use aws_lambda_events::dynamodb::{Event, EventRecord, StreamRecord};
use dynoxide::types::AttributeValue;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Records of one batch, as in `template.yaml`.
pub const BATCH_RECORDS: usize = 1_000;

/// One new item of the ledger.
pub type FeedItem = HashMap<String, AttributeValue>;

/// Collects the new items of one table.
#[derive(Clone, Debug)]
pub struct Feed {
    table: String,
    items: Arc<Mutex<VecDeque<FeedItem>>>,
    /// Sequence numbers go on from the start time of the process, so that markers of an earlier one never match.
    number: Arc<AtomicU64>,
}

impl Feed {
    /// A feed of the table, its numbers from `first` on.
    #[must_use]
    pub fn new(table: impl Into<String>, first: u64) -> Self {
        Self { table: table.into(), items: Arc::default(), number: Arc::new(AtomicU64::new(first)) }
    }

    pub(crate) fn item(&self, table: &str, item: &FeedItem) -> Option<FeedItem> {
        (table == self.table).then(|| item.clone())
    }

    pub(crate) fn push(&self, item: FeedItem) {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).push_back(item);
    }

    /// The next batch, as Lambda hands it to the projector; `None` where there is nothing new.
    #[must_use]
    pub fn take(&self) -> Option<Event> {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let count = items.len().min(BATCH_RECORDS);
        let batch: Vec<FeedItem> = items.drain(..count).collect();
        drop(items);
        let mut event = Event::default();
        event.records = batch.into_iter().map(|item| self.record(item)).collect();
        (!event.records.is_empty()).then_some(event)
    }

    fn record(&self, item: FeedItem) -> EventRecord {
        let image: HashMap<String, serde_dynamo::AttributeValue> =
            item.into_iter().filter_map(|(name, value)| Some((name, plain(value)?))).collect();
        let mut change = StreamRecord::default();
        change.new_image = image.into();
        change.sequence_number = Some(format!("{:021}", self.number.fetch_add(1, Ordering::Relaxed)));
        let mut record = EventRecord::default();
        record.event_name = "INSERT".to_owned();
        record.change = change;
        record
    }
}

fn plain(value: AttributeValue) -> Option<serde_dynamo::AttributeValue> {
    match value {
        AttributeValue::S(text) => Some(serde_dynamo::AttributeValue::S(text)),
        AttributeValue::N(digits) => Some(serde_dynamo::AttributeValue::N(digits)),
        AttributeValue::B(bytes) => Some(serde_dynamo::AttributeValue::B(bytes)),
        _ => None,
    }
}
