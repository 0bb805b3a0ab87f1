//! `skymeter rebuild`: works every roll-up out of the ledger again.

use super::open_existing;
use crate::check::roll_up;
use std::path::Path;

/// Rebuilds the totals of a data directory and says how many were different.
///
/// # Errors
/// The data directory cannot be opened; DynamoDB's.
pub async fn run(data: &Path) -> anyhow::Result<()> {
    let (data, system) = open_existing(data).await?;
    let different = system.store.rollup_rebuild(&roll_up(&system.store).await?).await?;
    data.mark_clean()?;
    match different {
        0 => println!("all totals agree with the ledger"),
        n => println!("{n} totals were different and are now as the ledger says"),
    }
    Ok(())
}
