//! The Lambda behind API Gateway.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use api::start::{self, StartError};
use api::{Clock, secret};
use auth::{AREA, Signer, State, router};
use lambda_http::run;
use std::process::ExitCode;
use std::sync::Arc;

/// The ARN of the private key, PEM.
const KEY: &str = "ACCESS_KEY_SECRET_ARN";

#[tokio::main]
async fn main() -> ExitCode {
    start::function(async {
        start::required("IDENTITY_TABLE")?;
        let sdk = start::sdk().await;
        let kit = start::kit(AREA, &sdk)?;
        let pem = secret::read(&sdk, KEY).await?;
        let signer = Signer::read(KEY, &pem, Clock::system().now())?;
        // Known to every area before the first token is signed with it.
        if !kit.store.access_key_add(signer.public()).await? {
            return Err(StartError::Malformed { name: KEY, why: "this key was withdrawn; put another" }.into());
        }
        let mails = Arc::new(start::queue(&sdk, "MAIL_QUEUE_URL")?);
        run(router(State::new(kit, signer, mails))).await
    })
    .await
}
