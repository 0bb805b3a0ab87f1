//! The Lambda behind API Gateway.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::{Clock, start};
use health::{Health, router};
use lambda_http::{Error, run};

#[tokio::main]
async fn main() -> Result<(), Error> {
    start::telemetry();
    let sdk = start::sdk().await;
    run(router(Health { store: start::store(&sdk)?, clock: Clock::system() })).await
}
