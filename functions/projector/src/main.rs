//! The Lambda: a batch of the ledger's DynamoDB stream.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::{Clock, start};
use aws_lambda_events::dynamodb::Event;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use projector::Projector;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    start::function(async {
        let sdk = start::sdk().await;
        let projector = Projector { store: start::store(&sdk)?, clock: Clock::system() };
        projector.store.schema_check().await?;
        let handle = |event: LambdaEvent<Event>| projector.handle(event.payload);
        run(service_fn(|event| async { handle(event).await.map_err(Error::from) })).await
    })
    .await
}
