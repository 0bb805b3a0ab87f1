//! Comparing closed hours with the registry's facts, after a fact that came late. What differs becomes adjustment pages.
//!
//! The registry is read afresh: a job may carry older facts than the ones that were adjusted already.

use domain::job::Job;
use domain::rating::Facts;
use domain::time::{Hour, Timestamp};
use domain::wallet::{BilledHours, Page, adjust_key, reconcile};
use store::{AppendOnce, FleetTenure, Store, StoreError};

/// Races a recheck may lose before its message comes again.
const MAX_RACES: usize = 8;

/// Posts what the closed hours of a job's tenure differ by.
pub async fn recheck(store: &Store, job: &Job, now: Timestamp) -> Result<(), StoreError> {
    let Some(fleet) = store.fleet_get(&job.tenure).await? else { return Ok(()) };
    let Some(flag) = fleet.recheck else { return Ok(()) };
    for _ in 0..MAX_RACES {
        if adjust(store, job, &fleet, flag.from, now).await? {
            if now >= flag.until {
                store.fleet_recheck_done(&job.tenure, fleet.rev).await?;
            }
            return Ok(());
        }
    }
    Err(StoreError::Conflict("the recheck lost every race"))
}

/// One round: `false` where another page came first.
async fn adjust(store: &Store, job: &Job, fleet: &FleetTenure, from: Hour, now: Timestamp) -> Result<bool, StoreError> {
    let header = &job.header;
    let facts = Facts { timeline: &fleet.timeline, steps: &job.steps, switch: &header.switch, per: &header.per };
    let (pages, head) = chain_of(store, job).await?;
    let (Some(mut head), Some(closed)) = (head, closed_through(&pages, job, fleet)) else { return Ok(true) };
    let mut billed = BilledHours::default();
    for page in &pages {
        billed.read(page, &job.tenure.server, job.tenure.since, Hour::FAR_FUTURE, facts);
    }
    let from = from.max(job.tenure.since).max(fleet.known_from);
    for adjustment in reconcile(&mut billed, facts, from, closed) {
        let page = adjustment.page(&head, &billed, &job.tenure.server, job.tenure.since, now);
        let page = page.map_err(|e| StoreError::Invalid(e.to_string()))?;
        let key = adjust_key(&job.tenure.server, adjustment.from, adjustment.to);
        match store.wallet_append_once(&page, &key).await? {
            AppendOnce::Written => head = page,
            AppendOnce::Replayed(_) | AppendOnce::Lost => return Ok(false),
        }
    }
    Ok(true)
}

/// The first hour usage will still bill by itself. An ended meter bills no more: all its hours that have ended are closed.
fn closed_through(pages: &[Page], job: &Job, fleet: &FleetTenure) -> Option<Hour> {
    let meter = pages.iter().rev().find_map(|page| page.meter(&job.tenure.server, job.tenure.since))?;
    let through = meter.counter.through;
    let end = fleet.timeline.end_hour().unwrap_or(job.header.through).min(job.header.through);
    Some(if meter.ended_at.is_some() { through.max(end) } else { through })
}

/// The chain since the tenure began, oldest first, and its newest page.
async fn chain_of(store: &Store, job: &Job) -> Result<(Vec<Page>, Option<Page>), StoreError> {
    let (mut found, mut start) = (Vec::new(), None);
    'chain: loop {
        let (pages, next) = store.wallet_pages(&job.tenure.wallet, false, start).await?;
        for page in pages {
            if page.at.hour() < job.tenure.since {
                break 'chain;
            }
            found.push(page);
        }
        match next {
            Some(key) => start = Some(key),
            None => break,
        }
    }
    let head = found.first().cloned();
    found.reverse();
    Ok((found, head))
}
