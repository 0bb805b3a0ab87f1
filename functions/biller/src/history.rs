//! Reading a chain back, for a tenure that is old and has no meter on the newest page: its meter may have been dropped. The
//! time after which meters are dropped is tuning, not a promise.

use domain::job::Job;
use domain::tenure::WalletId;
use domain::time::Hour;
use domain::wallet::Recovered;
use store::{Store, StoreError};

/// Finds the newest meter of each job's tenure, or that there is none.
pub async fn recover<'a>(
    store: &Store,
    wallet: &WalletId,
    jobs: impl Iterator<Item = &'a Job>,
    recovered: &mut Recovered,
) -> Result<(), StoreError> {
    let mut wanted: Vec<(domain::Id, Hour)> = jobs.map(|job| (job.tenure.server.clone(), job.tenure.since)).collect();
    wanted.sort();
    wanted.dedup();
    let oldest = wanted.iter().map(|(_, since)| *since).min().unwrap_or(Hour::EPOCH);
    let mut start = None;
    'chain: while !wanted.is_empty() {
        let (pages, next) = store.wallet_pages(wallet, false, start).await?;
        for page in &pages {
            // Nothing of these tenures was on a page before they began.
            if page.at.hour() < oldest {
                break 'chain;
            }
            wanted.retain(|(server, since)| match page.meter(server, *since) {
                Some(meter) => {
                    recovered.insert((server.clone(), *since), Some(meter.clone()));
                    false
                }
                None => true,
            });
        }
        match next {
            Some(key) => start = Some(key),
            None => break,
        }
    }
    recovered.extend(wanted.into_iter().map(|key| (key, None)));
    Ok(())
}
