//! The Lambda: a batch of job messages from SQS, answered with the messages that failed.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::{Clock, start};
use aws_lambda_events::sqs::SqsEvent;
use biller::Biller;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

#[expect(clippy::disallowed_methods, reason = "the deadline is the system's time, whatever the clock of billing says")]
#[tokio::main]
async fn main() -> ExitCode {
    start::function(async {
        let sdk = start::sdk().await;
        let (store, parked) = (start::store(&sdk)?, Arc::new(start::queue(&sdk, "PARKED_QUEUE_URL")?));
        store.schema_check().await?;
        let biller = &Biller::new(store, parked, Clock::system());
        run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
            let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
            Ok::<_, Error>(biller.handle(event.payload, left).await)
        }))
        .await
    })
    .await
}
