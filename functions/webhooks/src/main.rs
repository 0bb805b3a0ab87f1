//! The Lambda behind its own URL.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::start;
use cashier::Cashier;
use lambda_http::run;
use std::process::ExitCode;
use std::sync::Arc;
use webhooks::{AREA, router};

#[tokio::main]
async fn main() -> ExitCode {
    start::function(async {
        let sdk = start::sdk().await;
        let kit = start::kit(AREA, &sdk)?;
        let mails = Arc::new(start::queue(&sdk, "MAIL_QUEUE_URL")?);
        let cashier = Cashier::from_env(&sdk, kit.store.clone(), kit.clock.clone(), Some(mails)).await?;
        run(router(kit, cashier)).await
    })
    .await
}
