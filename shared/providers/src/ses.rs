//! Amazon SES, raw mails.
//!
//! SES knows no idempotency token. So the SDK's own retries are off here, and an answer is sorted into what clearly was not
//! sent, and what nobody knows.

use crate::mail::{MailError, MailFailure, Mailer, MessageId, RawMail};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_ses::Client;
use aws_sdk_ses::config::Builder;
use aws_sdk_ses::config::http::HttpResponse;
use aws_sdk_ses::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ses::operation::send_raw_email::SendRawEmailError;
use aws_sdk_ses::primitives::Blob;
use aws_sdk_ses::types::RawMessage;
use std::error::Error;
use std::time::Duration;

/// Longest wait for a connection: until then nothing can have been sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for an answer.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Codes that say: this mail, never.
const REFUSED: [&str; 3] = ["MessageRejected", "InvalidParameterValue", "ValidationError"];

/// SES of the account and region of the SDK's configuration.
#[derive(Clone, Debug)]
pub struct SesMailer {
    client: Client,
    configuration_set: Option<String>,
}

impl SesMailer {
    /// With the configuration set that tells of bounces and complaints, if there is one.
    #[must_use]
    pub fn new(sdk: &SdkConfig, configuration_set: Option<String>) -> Self {
        Self::with_timeout(sdk, configuration_set, SEND_TIMEOUT)
    }

    fn with_timeout(sdk: &SdkConfig, configuration_set: Option<String>, timeout: Duration) -> Self {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(timeout).build();
        let config = Builder::from(sdk).retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        Self { client: Client::from_conf(config), configuration_set }
    }
}

#[async_trait]
impl Mailer for SesMailer {
    async fn send(&self, mail: RawMail) -> Result<MessageId, MailError> {
        let message = RawMessage::builder().data(Blob::new(mail.bytes)).build();
        let message = message.map_err(|e| MailError::new(MailFailure::Refused, e))?;
        let request = self
            .client
            .send_raw_email()
            .source(mail.from)
            .destinations(mail.to)
            .raw_message(message)
            .set_configuration_set_name(self.configuration_set.clone());
        match request.send().await {
            Ok(answer) => Ok(MessageId(answer.message_id)),
            Err(error) => Err(classify(&error)),
        }
    }
}

/// What a failed call means. What is in doubt is unknown. The text leaves out what SES says of a mail it refused, for it quotes
/// addresses.
fn classify(error: &SdkError<SendRawEmailError, HttpResponse>) -> MailError {
    match error {
        // It never left this process.
        SdkError::ConstructionFailure(_) => MailError::new(MailFailure::NotSent, "the request could not be made"),
        SdkError::DispatchFailure(failure) => {
            let chain = failure.as_connector_error().map(|e| chain(e)).unwrap_or_default();
            let kind = if was_never_connected(&chain) { MailFailure::NotSent } else { MailFailure::Unknown };
            MailError::new(kind, format!("SES was not reached: {}", chain.join(": ")))
        }
        SdkError::TimeoutError(_) => MailError::new(MailFailure::Unknown, "SES did not answer in time"),
        SdkError::ServiceError(service) => {
            let (status, code) = (service.raw().status().as_u16(), service.err().code().unwrap_or("no code"));
            let kind = match (status, code) {
                (400..=499, code) if REFUSED.contains(&code) => MailFailure::Refused,
                (400..=499, _) => MailFailure::NotSent,
                _ if code.starts_with("Throttling") => MailFailure::NotSent,
                _ => MailFailure::Unknown,
            };
            MailError::new(kind, format!("SES answers {status} {code}"))
        }
        _ => MailError::new(MailFailure::Unknown, "what SES answers cannot be read"),
    }
}

/// An error and its causes.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let causes = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    causes.map(ToString::to_string).collect()
}

/// Whether no connection came about. The SDK keeps that to itself, so it is read from the causes; a test with real sockets sees
/// whether they still say so.
fn was_never_connected(chain: &[String]) -> bool {
    chain.iter().any(|cause| cause == "client error (Connect)" || cause.contains("HTTP connect timeout"))
}

#[cfg(test)]
mod tests;
