//! The Lambda: an EventBridge Scheduler event, every five minutes.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::{Clock, start};
use cashier::Cashier;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use lifecycle::Lifecycle;
use providers::Queue;
use serde_json::Value;
use std::process::ExitCode;
use std::sync::Arc;

#[tokio::main]
async fn main() -> ExitCode {
    start::function(async {
        let (sdk, clock) = (start::sdk().await, Clock::system());
        let (store, mails) = (start::store(&sdk)?, start::queue(&sdk, "MAIL_QUEUE_URL")?);
        let mails: Arc<dyn Queue> = Arc::new(mails);
        store.schema_check().await?;
        let cashier = Cashier::from_env(&sdk, store.clone(), clock.clone(), Some(Arc::clone(&mails))).await?;
        let lifecycle = &Lifecycle { store, cashier, mails, clock };
        run(service_fn(|event: LambdaEvent<Value>| async move {
            lifecycle.handle(event.payload).await.map(drop).map_err(Error::from)
        }))
        .await
    })
    .await
}
