//! The Lambda behind API Gateway.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use admin::{AREA, State, router};
use api::start;
use lambda_http::run;
use providers::EventBridgeScheduler;
use std::process::ExitCode;
use std::sync::Arc;

#[tokio::main]
async fn main() -> ExitCode {
    start::function(async {
        let sdk = start::sdk().await;
        let state = State {
            kit: start::kit(AREA, &sdk)?,
            scheduler: Arc::new(EventBridgeScheduler::new(&sdk, start::required("SCHEDULE_NAME")?)),
            metering: Arc::new(start::queue(&sdk, "METERING_QUEUE_URL")?),
        };
        run(router(state)).await
    })
    .await
}
