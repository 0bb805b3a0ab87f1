//! `skymeter preflight`: what a deploy would only find out after it has changed something. It reads, and changes nothing.

use crate::installation::prefix;
use anyhow::Context;
use api::{Tokens, start};
use store::{Store, StoreConfig, StoreError, TableNames};

/// Checks that the stage's tables, where there are any, are not of a newer version, and that the secrets are there and hold
/// what they should.
///
/// # Errors
/// The first thing that stands in the way.
pub async fn run(stage: &str, monitor_token_secret: Option<&str>) -> anyhow::Result<()> {
    let sdk = start::sdk().await;
    if let Some(arn) = monitor_token_secret {
        Tokens::fetch(&sdk, "MonitorTokenSecretArn", arn).await?;
        println!("the monitor's token is there");
    }
    let tables = TableNames::with_prefix(&prefix(stage));
    let main = tables.main.clone();
    match Store::new(StoreConfig { sdk, tables }).schema_check().await {
        Ok(()) => println!("the tables of stage {stage} are of a version this release knows"),
        Err(StoreError::NoTable(_)) => println!("stage {stage} has no tables yet"),
        Err(error) => return Err(error).with_context(|| format!("the table {main}")),
    }
    Ok(())
}
