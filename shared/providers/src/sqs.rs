//! Amazon SQS, standard queues.

use crate::queue::{Depth, Queue, QueueError, Received};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};

/// Messages of one batch call.
const BATCH_MESSAGES: usize = 10;
/// Bytes of one batch call.
const BATCH_BYTES: usize = 256 * 1024;
/// Longest wait for a message, in seconds; shorter than a try of the SDK may take.
const RECEIVE_WAIT_SECS: i32 = 1;
/// Rounds for entries that SQS did not take although the call succeeded.
const SEND_ROUNDS: usize = 3;

/// One queue, by its URL.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// A queue of the account and region of `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(sdk), url: url.into() }
    }

    /// The queue of that name.
    ///
    /// # Errors
    /// There is none, or SQS does not answer.
    pub async fn named(sdk: &SdkConfig, name: &str) -> Result<Self, QueueError> {
        let client = Client::new(sdk);
        let answer = client.get_queue_url().queue_name(name).send().await;
        let answer =
            answer.map_err(|e| QueueError::new("GetQueueUrl", format!("{name}: {}", DisplayErrorContext(&e))))?;
        let url = answer.queue_url.ok_or_else(|| QueueError::new("GetQueueUrl", format!("{name}: no URL")))?;
        Ok(Self { client, url })
    }

    async fn send_batch(&self, bodies: &[String]) -> Result<(), QueueError> {
        let mut left: Vec<&String> = bodies.iter().collect();
        for _ in 0..SEND_ROUNDS {
            let entries = left
                .iter()
                .enumerate()
                .map(|(i, body)| SendMessageBatchRequestEntry::builder().id(i.to_string()).message_body(*body).build());
            let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|e| QueueError::new("SendMessageBatch", e))?;
            let request = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let answer =
                request.send().await.map_err(|e| QueueError::new("SendMessageBatch", DisplayErrorContext(&e)))?;
            left = answer
                .failed()
                .iter()
                .filter_map(|f| f.id().parse::<usize>().ok())
                .filter_map(|i| left.get(i).copied())
                .collect();
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(QueueError::new("SendMessageBatch", format!("{} messages were not taken", left.len())))
    }
}

/// Cuts bodies into batches within both bounds.
fn batches(bodies: &[String]) -> Vec<&[String]> {
    let (mut found, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (i, body) in bodies.iter().enumerate() {
        if i > start && (i - start == BATCH_MESSAGES || bytes + body.len() > BATCH_BYTES) {
            found.extend(bodies.get(start..i));
            (start, bytes) = (i, 0);
        }
        bytes += body.len();
    }
    found.extend(bodies.get(start..).filter(|rest| !rest.is_empty()));
    found
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, bodies: Vec<String>) -> Result<(), QueueError> {
        for batch in batches(&bodies) {
            self.send_batch(batch).await?;
        }
        Ok(())
    }

    async fn receive(&self, max: usize) -> Result<Vec<Received>, QueueError> {
        let max = i32::try_from(max.clamp(1, BATCH_MESSAGES)).unwrap_or(1);
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(max)
            // Without waiting SQS asks only some of its servers, and a queue may look empty that is not.
            .wait_time_seconds(RECEIVE_WAIT_SECS)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let answer = request.send().await.map_err(|e| QueueError::new("ReceiveMessage", DisplayErrorContext(&e)))?;
        let messages = answer.messages.unwrap_or_default().into_iter();
        Ok(messages
            .map(|message| {
                let count = message
                    .attributes()
                    .and_then(|a| a.get(&MessageSystemAttributeName::ApproximateReceiveCount))
                    .and_then(|count| count.parse().ok());
                Received {
                    receive_count: count.unwrap_or(1),
                    id: message.message_id.unwrap_or_default(),
                    receipt: message.receipt_handle.unwrap_or_default(),
                    body: message.body.unwrap_or_default(),
                }
            })
            .collect())
    }

    async fn delete(&self, receipts: Vec<String>) -> Result<(), QueueError> {
        for batch in receipts.chunks(BATCH_MESSAGES) {
            let entries = batch.iter().enumerate().map(|(i, receipt)| {
                DeleteMessageBatchRequestEntry::builder().id(i.to_string()).receipt_handle(receipt).build()
            });
            let entries =
                entries.collect::<Result<Vec<_>, _>>().map_err(|e| QueueError::new("DeleteMessageBatch", e))?;
            let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let answer =
                request.send().await.map_err(|e| QueueError::new("DeleteMessageBatch", DisplayErrorContext(&e)))?;
            if !answer.failed().is_empty() {
                let detail = format!("{} messages were not deleted", answer.failed().len());
                return Err(QueueError::new("DeleteMessageBatch", detail));
            }
        }
        Ok(())
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
        let request = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(ApproximateNumberOfMessages)
            .attribute_names(ApproximateNumberOfMessagesNotVisible);
        let answer =
            request.send().await.map_err(|e| QueueError::new("GetQueueAttributes", DisplayErrorContext(&e)))?;
        let read = |name| answer.attributes().and_then(|a| a.get(&name)).and_then(|n| n.parse().ok()).unwrap_or(0);
        Ok(Depth { visible: read(ApproximateNumberOfMessages), in_flight: read(ApproximateNumberOfMessagesNotVisible) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_both_bounds() {
        let small: Vec<String> = (0..23).map(|n| n.to_string()).collect();
        assert_eq!(batches(&small).iter().map(|b| b.len()).collect::<Vec<_>>(), [10, 10, 3]);
        let large = vec!["x".repeat(100 * 1024); 5];
        assert_eq!(batches(&large).iter().map(|b| b.len()).collect::<Vec<_>>(), [2, 2, 1]);
        assert!(batches(&[]).is_empty());
    }
}
