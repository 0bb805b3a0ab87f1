//! `skymeter redrive`: fresh jobs in the place of dead letters.

use crate::installation::{Installation, Target};
use providers::Queue;

/// Takes the place of all dead letters and says how many there were.
///
/// # Errors
/// The installation cannot be opened; DynamoDB's or a queue's.
pub async fn run(target: &Target) -> anyhow::Result<()> {
    let installation = Installation::open(target).await?;
    let (metering, dead) = installation.metering().await?;
    let dead: Vec<&dyn Queue> = dead.iter().map(AsRef::as_ref).collect();
    let done = metering.redrive(&dead).await?;
    installation.close(false)?;
    match done.through {
        None => println!("there are no dead letters"),
        Some(through) => println!(
            "{} dead letters gave way to a run up to {through}; {} that nobody can read go to the parked queue",
            done.replaced, done.unreadable,
        ),
    }
    Ok(())
}
