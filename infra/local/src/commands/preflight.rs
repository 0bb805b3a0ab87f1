//! `skymeter preflight`: what a deploy would only find out after it has changed something. It reads, and changes nothing.

use crate::installation::prefix;
use anyhow::Context;
use api::start::StartError;
use api::{Clock, secret, start};
use auth::Signer;
use providers::Secret;
use store::{Store, StoreConfig, StoreError, TableNames};

/// A secret of a stage.
#[derive(Debug)]
pub struct StageSecret {
    /// The template's parameter.
    name: &'static str,
    /// The ARN it is going to get, if any.
    arn: Option<String>,
    /// Whether a function could start with it.
    check: fn(&'static str, &Secret) -> Result<(), StartError>,
}

/// The private key of access tokens.
#[must_use]
pub fn access_key(name: &'static str, arn: Option<String>) -> StageSecret {
    StageSecret { name, arn, check: |name, secret| Signer::read(name, secret, Clock::system().now()).map(drop) }
}

/// Stripe's.
#[must_use]
pub fn stripe(name: &'static str, arn: Option<String>) -> StageSecret {
    StageSecret { name, arn, check: |name, secret| cashier::read_stripe(name, secret).map(drop) }
}

/// PayPal's.
#[must_use]
pub fn paypal(name: &'static str, arn: Option<String>) -> StageSecret {
    StageSecret { name, arn, check: |name, secret| cashier::read_paypal(name, secret).map(drop) }
}

/// Checks that the stage's tables, where there are any, are not of a newer version, and that functions can start with the
/// secrets.
///
/// # Errors
/// The first thing that stands in the way.
pub async fn run(stage: &str, secrets: &[StageSecret]) -> anyhow::Result<()> {
    let sdk = start::sdk().await;
    for StageSecret { name, arn, check } in secrets {
        if let Some(arn) = arn {
            check(name, &secret::fetch(&sdk, name, arn).await?)?;
            println!("the secret of {name} is there, and holds what it should");
        }
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
