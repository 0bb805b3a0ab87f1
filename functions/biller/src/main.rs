//! The Lambda: a batch of job messages from SQS, answered with the messages that failed.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::{Clock, start};
use aws_lambda_events::sqs::SqsEvent;
use biller::Biller;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    start::telemetry();
    let sdk = start::sdk().await;
    let parked = Arc::new(start::queue(&sdk, "PARKED_QUEUE_URL")?);
    let biller = Biller::new(start::store(&sdk)?, parked, Clock::system());
    run(service_fn(|event: LambdaEvent<SqsEvent>| async {
        let time_left = event.context.deadline().duration_since(std::time::SystemTime::UNIX_EPOCH);
        let now = u64::try_from(Clock::system().now().secs()).unwrap_or(0);
        let time_left = time_left.unwrap_or_default().saturating_sub(std::time::Duration::from_secs(now));
        Ok::<_, Error>(biller.handle(event.payload, time_left).await)
    }))
    .await
}
