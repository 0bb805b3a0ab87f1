//! A queue that delivers at least once: SQS in the cloud, an embedded durable one on a laptop.

use async_trait::async_trait;

/// A message that was received and is hidden from others until its visibility runs out or it is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Stays the same when it comes again.
    pub id: String,
    /// Names this delivery, for deleting it.
    pub receipt: String,
    /// What was sent.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

/// How full a queue is. SQS tells it only roughly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Waiting to be received.
    pub visible: u64,
    /// Received and not yet deleted.
    pub in_flight: u64,
}

/// A failed call; for an operator's log.
#[derive(Debug, thiserror::Error)]
#[error("queue {operation}: {detail}")]
pub struct QueueError {
    /// Which call.
    pub operation: &'static str,
    /// What happened.
    pub detail: String,
}

impl QueueError {
    /// An error of a call.
    pub fn new(operation: &'static str, detail: impl ToString) -> Self {
        Self { operation, detail: detail.to_string() }
    }
}

/// A queue. What was sent comes at least once, in no order; what is not deleted comes again, and after five receives goes to
/// the dead-letter queue.
#[async_trait]
pub trait Queue: Send + Sync + std::fmt::Debug {
    /// Sends messages, in as few calls as the bounds allow.
    async fn send(&self, bodies: Vec<String>) -> Result<(), QueueError>;

    /// Receives up to `max` messages (SQS: ten). Empty where nothing is due.
    async fn receive(&self, max: usize) -> Result<Vec<Received>, QueueError>;

    /// Deletes received messages. One that is gone already is no error.
    async fn delete(&self, receipts: Vec<String>) -> Result<(), QueueError>;

    /// How full it is.
    async fn depth(&self) -> Result<Depth, QueueError>;
}
