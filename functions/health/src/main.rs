//! The Lambda behind API Gateway.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::{Clock, Tokens, start};
use health::{Health, router};
use lambda_http::run;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    start::function(async {
        let sdk = start::sdk().await;
        let monitors = Some(Tokens::read(&sdk, "MONITOR_TOKEN_SECRET_ARN").await?);
        let health = Health { store: start::store(&sdk)?, clock: Clock::system(), monitors };
        run(router(health)).await
    })
    .await
}
