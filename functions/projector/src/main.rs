//! The Lambda: a batch of the ledger's DynamoDB stream.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::{Clock, start};
use aws_lambda_events::dynamodb::Event;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use projector::Projector;

#[tokio::main]
async fn main() -> Result<(), Error> {
    start::telemetry();
    let sdk = start::sdk().await;
    let projector = Projector { store: start::store(&sdk)?, clock: Clock::system() };
    run(service_fn(|event: LambdaEvent<Event>| async { projector.handle(event.payload).await.map_err(Error::from) }))
        .await
}
