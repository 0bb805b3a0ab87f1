//! The Lambda: a batch of mail ids from SQS, or notifications of SES from SNS.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::{Clock, start};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use mailer::{MailConfig, Mailing};
use providers::SesMailer;
use serde_json::Value;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

#[expect(clippy::disallowed_methods, reason = "the deadline is the system's time, whatever the clock of billing says")]
#[tokio::main]
async fn main() -> ExitCode {
    start::function(async {
        let sdk = start::sdk().await;
        // Of SES, and only where bounces are published by one.
        let set = std::env::var("MAIL_CONFIGURATION_SET").ok().filter(|set| !set.is_empty());
        let (store, ses) = (start::store(&sdk)?, Arc::new(SesMailer::new(&sdk, set)));
        let config = MailConfig::from_env()?;
        store.schema_check().await?;
        let mailing = &Mailing::new(store, ses, config, Clock::system())?;
        run(service_fn(|event: LambdaEvent<Value>| async move {
            let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
            mailing.handle(event.payload, left).await.map_err(Error::from)
        }))
        .await
    })
    .await
}
