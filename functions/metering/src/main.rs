//! The Lambda: an EventBridge Scheduler event, or its own shard messages from SQS.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::{Clock, start};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use metering::Metering;
use serde_json::Value;
use std::process::ExitCode;
use std::sync::Arc;

#[tokio::main]
async fn main() -> ExitCode {
    start::function(async {
        let sdk = start::sdk().await;
        let metering = Metering {
            store: start::store(&sdk)?,
            shards: Arc::new(start::queue(&sdk, "METERING_QUEUE_URL")?),
            jobs: Arc::new(start::queue(&sdk, "JOBS_QUEUE_URL")?),
            clock: Clock::system(),
        };
        // All billing begins here: from now on older releases refuse these tables.
        metering.store.schema_claim().await?;
        let handle = |event: LambdaEvent<Value>| metering.handle(event.payload);
        run(service_fn(|event| async { handle(event).await.map_err(Error::from) })).await
    })
    .await
}
