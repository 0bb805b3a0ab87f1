//! `skymeter rebuild`: works every roll-up out of the ledger again.

use crate::check::roll_up;
use crate::installation::{Installation, Target};

/// Rebuilds the totals and says how many were different.
///
/// # Errors
/// The installation cannot be opened; DynamoDB's.
pub async fn run(target: &Target) -> anyhow::Result<()> {
    let installation = Installation::open(target).await?;
    let store = &installation.store;
    let different = store.rollup_rebuild(&roll_up(store).await?).await?;
    installation.close(true)?;
    match different {
        0 => println!("all totals agree with the ledger"),
        n => println!("{n} totals were different and are now as the ledger says"),
    }
    Ok(())
}
