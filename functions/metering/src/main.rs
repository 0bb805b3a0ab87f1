//! The Lambda: an EventBridge Scheduler event, or its own shard messages from SQS.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::{Clock, start};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use metering::Metering;
use serde_json::Value;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    start::telemetry();
    let sdk = start::sdk().await;
    let metering = Metering {
        store: start::store(&sdk)?,
        shards: Arc::new(start::queue(&sdk, "METERING_QUEUE_URL")?),
        jobs: Arc::new(start::queue(&sdk, "JOBS_QUEUE_URL")?),
        clock: Clock::system(),
    };
    run(service_fn(|event: LambdaEvent<Value>| async { metering.handle(event.payload).await.map_err(Error::from) }))
        .await
}
