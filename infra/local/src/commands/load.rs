//! `skymeter load`: prices and servers from CSV files into an installation. Loading the same files again changes nothing.

use super::bar;
use crate::installation::{Installation, Target};
use crate::trace::{self, Happening};
use anyhow::bail;
use domain::Timestamp;
use std::path::Path;
use store::{FactOutcome, Store};

/// Facts told at once.
const FACTS_AT_ONCE: usize = 500;

/// Loads a trace and its prices; second 0 of the trace is `start`. What lies ahead of now is left out.
///
/// # Errors
/// A file that is wrong (found before anything is written), a fact that contradicts the registry, DynamoDB's.
pub async fn run(target: &Target, trace: &Path, plans: &Path, start: Timestamp) -> anyhow::Result<()> {
    let prices = trace::read_prices(plans)?;
    let rows = trace::read_trace(trace, &prices)?;
    let installation = Installation::open(target).await?;
    let now = installation.clock.now();
    let happenings = trace::happenings(&rows, start, now);
    tell(&installation.store, &prices, &happenings, now).await?;
    installation.close(false)?;
    println!("{} prices and {} facts about {} servers loaded", prices.len(), happenings.len(), rows.len());
    Ok(())
}

/// Stores the plans of a price list and tells the registry what happened.
///
/// # Errors
/// A plan that is there with other prices, a fact that contradicts the registry; DynamoDB's.
pub async fn tell(
    store: &Store,
    prices: &trace::Prices,
    happenings: &[Happening],
    now: Timestamp,
) -> anyhow::Result<()> {
    let known = store.plan_list().await?;
    for plan in trace::plans(prices)? {
        match known.get(&plan.id) {
            None => store.plan_put(&plan).await?,
            Some(held) if *held == plan => {}
            // Hours may be billed by it already.
            Some(_) => bail!("the plan '{}' is there already, with other prices", plan.id),
        }
    }
    let bar = bar(u64::try_from(happenings.len()).unwrap_or(0), "facts");
    for chunk in happenings.chunks(FACTS_AT_ONCE) {
        let facts: Vec<_> = chunk.iter().map(|Happening { fact, .. }| fact.clone()).collect();
        for (fact, outcome) in facts.iter().zip(store.fleet_apply(&facts, now).await?) {
            match outcome {
                FactOutcome::Applied | FactOutcome::Unchanged => {}
                FactOutcome::Unknown => bail!("server {} is not known", fact.server()),
                FactOutcome::Rejected(reason) => bail!("server {}: {reason}", fact.server()),
            }
        }
        bar.inc(u64::try_from(chunk.len()).unwrap_or(0));
    }
    bar.finish_and_clear();
    Ok(())
}
