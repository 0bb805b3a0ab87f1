//! The Lambda behind API Gateway.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::start;
use health::{AREA, router};
use lambda_http::run;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    start::function(async {
        let sdk = start::sdk().await;
        run(router(start::kit(AREA, &sdk)?)).await
    })
    .await
}
