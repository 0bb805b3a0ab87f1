//! Comparing closed hours with the registry's facts, after a fact that came late. What differs becomes adjustment pages.
//!
//! The registry is read afresh: a job may carry older facts than the ones that were adjusted already.

use domain::job::Job;
use domain::rating::Facts;
use domain::time::{Hour, Timestamp};
use domain::wallet::{BilledHours, Meter, Page, parse_adjust_reference, reconcile};
use store::{AppendOnce, FleetTenure, Store, StoreError};

/// Races a recheck may lose before its message comes again.
const MAX_RACES: usize = 8;

/// Posts what the closed hours of a job's tenure differ by.
pub async fn recheck(store: &Store, job: &Job, now: Timestamp) -> Result<(), StoreError> {
    let Some(fleet) = store.fleet_get(&job.tenure).await? else { return Ok(()) };
    let Some(flag) = fleet.recheck else { return Ok(()) };
    for _ in 0..MAX_RACES {
        if adjust(store, job, &fleet, flag.from, now).await? {
            let has_come = fleet.timeline.end_hour().is_none_or(|end| end <= job.header.through);
            if now >= flag.until && has_come {
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
    let from = from.max(job.tenure.since).max(fleet.known_from);
    let chain = Chain::read(store, job, from.month().start()).await?;
    let (Some(mut head), Some(meter)) = (chain.head, chain.meter) else { return Ok(true) };
    let facts = Facts { timeline: &fleet.timeline, steps: &job.steps, switch: &header.switch, per: &header.per };
    let mut billed = BilledHours::default();
    for page in chain.pages.iter().rev() {
        billed.read(page, &job.tenure.server, job.tenure.since, chain.until, facts);
    }
    let closed = closed_through(&meter, header.through).min(chain.until);
    for adjustment in reconcile(&mut billed, facts, from, closed) {
        let page = adjustment.page(&head, &billed, &job.tenure.server, job.tenure.since, now);
        let page = page.map_err(|e| StoreError::Invalid(e.to_string()))?;
        // The same hours may be adjusted again, back and forth: the page's number tells the times apart. Doubling is
        // impossible all the same, since what is on the chain is what the next round reads.
        let key = format!("{}:{}", page.reference.as_deref().unwrap_or_default(), page.seq);
        match store.wallet_append_once(&page, &key).await? {
            AppendOnce::Written => head = page,
            AppendOnce::Replayed(_) | AppendOnce::Lost => return Ok(false),
        }
    }
    Ok(true)
}

/// The first hour usage will still bill by itself, as far as the job can tell. An ended meter bills no more: all its hours
/// that have ended are closed.
fn closed_through(meter: &Meter, through: Hour) -> Hour {
    if meter.ended_at.is_some() { through } else { meter.counter.through.min(through) }
}

/// What a chain says of one tenure since some hour.
struct Chain {
    /// The newest page.
    head: Option<Page>,
    /// The tenure's newest meter.
    meter: Option<Meter>,
    /// Where the server's next tenure in this lane begins.
    until: Hour,
    /// Pages that concern the server, newest first, without what concerns others.
    pages: Vec<Page>,
}

impl Chain {
    /// Reads back to `since` (or the tenure's start). Keeps only what concerns the tenure, so that memory does not grow
    /// with the neighbours in its lane.
    async fn read(store: &Store, job: &Job, since: Hour) -> Result<Self, StoreError> {
        let (server, tenure_since) = (&job.tenure.server, job.tenure.since);
        let mut found = Self { head: None, meter: None, until: Hour::FAR_FUTURE, pages: Vec::new() };
        let oldest = since.max(tenure_since);
        let mut start = None;
        loop {
            let (pages, next) = store.wallet_pages(&job.tenure.wallet, false, start).await?;
            for mut page in pages {
                if page.at.hour() < oldest {
                    return Ok(found);
                }
                if found.head.is_none() {
                    found.head = Some(page.clone());
                }
                for meter in page.meters.drain(..).filter(|meter| meter.server == *server) {
                    if meter.since > tenure_since {
                        found.until = found.until.min(meter.since);
                    } else if meter.since == tenure_since && found.meter.is_none() {
                        found.meter = Some(meter);
                    }
                }
                page.lines.retain(|line| line.server == *server);
                let adjusts = page.reference.as_deref().and_then(parse_adjust_reference);
                if !page.lines.is_empty() || adjusts.is_some_and(|(named, ..)| named == *server) {
                    found.pages.push(page);
                }
            }
            match next {
                Some(key) => start = Some(key),
                None => return Ok(found),
            }
        }
    }
}
