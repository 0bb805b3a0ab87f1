//! `skymeter preflight`: what a deploy would only find out after it has changed something. It reads, and changes nothing.

use crate::installation::prefix;
use anyhow::Context;
use api::{secret, start};
use store::{Store, StoreConfig, StoreError, TableNames};

/// The secrets of a stage: the template's parameter, and the ARN it is going to get.
pub type Secrets<'a> = &'a [(&'static str, Option<&'a str>)];

/// Checks that the stage's tables, where there are any, are not of a newer version, and that the secrets can be read.
///
/// # Errors
/// The first thing that stands in the way.
pub async fn run(stage: &str, secrets: Secrets<'_>) -> anyhow::Result<()> {
    let sdk = start::sdk().await;
    for (name, arn) in secrets.iter().filter_map(|(name, arn)| Some((name, (*arn)?))) {
        secret::fetch(&sdk, name, arn).await?;
        println!("the secret of {name} is there");
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
