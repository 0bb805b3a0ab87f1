//! `skymeter switch`: hourly billing on or off, from the next full hour.

use crate::installation::{Installation, Target};
use api::new_id;
use domain::Timestamp;
use store::{By, SettingChange, Store};

/// Switches it and says from when.
///
/// # Errors
/// The installation cannot be opened; somebody else changed the switch meanwhile; DynamoDB's.
pub async fn run(target: &Target, on: bool) -> anyhow::Result<()> {
    let installation = Installation::open(target).await?;
    let now = installation.clock.now();
    set(&installation.store, on, now).await?;
    installation.close(false)?;
    println!("hourly billing is {} from {} on", if on { "on" } else { "off" }, now.next_full_hour());
    Ok(())
}

/// The same in a store, with its record in the audit log.
///
/// # Errors
/// As [`run`].
pub async fn set(store: &Store, on: bool, now: Timestamp) -> anyhow::Result<()> {
    let by = By::operator(new_id("aud", now), now)?;
    store.setting_set(&SettingChange::HourlyBillingEnabled(on), &by).await?;
    Ok(())
}
