//! `skymeter switch`: hourly billing on or off, from the next full hour.

use crate::installation::{Installation, Target};

/// Switches it and says from when.
///
/// # Errors
/// The installation cannot be opened; somebody else changed the switch meanwhile; DynamoDB's.
pub async fn run(target: &Target, on: bool) -> anyhow::Result<()> {
    let installation = Installation::open(target).await?;
    let now = installation.clock.now();
    installation.store.billing_switch(on, now).await?;
    installation.close(false)?;
    println!("hourly billing is {} from {} on", if on { "on" } else { "off" }, now.next_full_hour());
    Ok(())
}
