//! The mailer: takes ids of mails from its queue and sends what the outbox holds; hears from SES who wants or takes no mail.
//!
//! Owns: what mails say, and the one call that sends each. Invariant: that call is made only under a claim that nobody else
//! holds, and what came of it is written down; where its answer was lost the mail is `unknown`, and never sent again blind.
//! Does *not* decide who gets a mail: whoever needs one writes it to the outbox.

mod config;
mod feedback;
mod send;
mod templates;

use api::Clock;
use aws_lambda_events::sns::SnsEvent;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures::{StreamExt, stream};
use providers::Mailer;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreError};
use tokio::time::Instant;

pub use config::MailConfig;
pub use templates::{RenderError, Rendered, Templates};

/// Mails one invocation sends at the same time: below the rate SES gives a new account in production.
pub const MAILS_AT_ONCE: usize = 8;
/// Time a mail needs that was begun: the call to SES, and writing down what came of it with its tries. None is begun later.
pub const MAIL_RESERVE: Duration = Duration::from_secs(25);

/// What the mailer works with.
#[derive(Clone, Debug)]
pub struct Mailing {
    store: Store,
    mailer: Arc<dyn Mailer>,
    templates: Arc<Templates>,
    config: MailConfig,
    clock: Clock,
}

/// An event that must come again.
#[derive(Debug, thiserror::Error)]
pub enum MailingError {
    /// DynamoDB's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is neither of the two that come here.
    #[error("the event does not parse: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Mailing {
    /// A mailer that sends by `mailer`.
    ///
    /// # Errors
    /// A template is wrong.
    pub fn new(store: Store, mailer: Arc<dyn Mailer>, config: MailConfig, clock: Clock) -> Result<Self, RenderError> {
        let templates = Arc::new(Templates::new(config.clone())?);
        Ok(Self { store, mailer, templates, config, clock })
    }

    /// The Lambda's entry: a batch of mail ids from SQS, or SES's notifications from SNS.
    ///
    /// # Errors
    /// Notifications that could not be carried out; SNS sends them again. Mails fail one by one.
    pub async fn handle(&self, event: Value, time_left: Duration) -> Result<Value, MailingError> {
        // SQS writes its name small, SNS writes it large.
        let is_sns = event.pointer("/Records/0/EventSource").and_then(Value::as_str) == Some("aws:sns");
        if is_sns {
            self.handle_feedback(serde_json::from_value::<SnsEvent>(event)?).await?;
            return Ok(Value::Null);
        }
        let batch: SqsEvent = serde_json::from_value(event)?;
        Ok(serde_json::to_value(self.handle_mails(batch, time_left).await)?)
    }

    /// Sends the mails of a batch. Answers with the messages that must come again; all others are done.
    pub async fn handle_mails(&self, batch: SqsEvent, time_left: Duration) -> SqsBatchResponse {
        let until = Instant::now() + time_left.saturating_sub(MAIL_RESERVE);
        let messages = batch.records.len();
        let mails = stream::iter(batch.records).map(|message| async move {
            let mail = message.body.unwrap_or_default();
            let done = self.deliver_until(until, mail.trim()).await;
            (!done).then(|| message.message_id.unwrap_or_default())
        });
        let failed: Vec<Option<String>> = mails.buffer_unordered(MAILS_AT_ONCE).collect().await;
        let mut response = SqsBatchResponse::default();
        for message in failed.into_iter().flatten() {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message;
            response.batch_item_failures.push(failure);
        }
        tracing::info!(messages, failed = response.batch_item_failures.len(), "mails handled");
        response
    }
}
