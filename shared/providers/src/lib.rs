//! The outside services behind small traits. Owns their wire formats, bounds and retries; knows nothing of money rules.

pub mod queue;
mod sqs;

pub use queue::{Depth, Queue, QueueError, Received};
pub use sqs::SqsQueue;
