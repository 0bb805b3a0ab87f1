//! Folding jobs into a wallet: the one place where usage becomes a page.

use super::page::{Kind, Line, METER_KEPT_HOURS, Meter, Page, REREAD_HOURS};
use crate::Id;
use crate::job::{Job, Refusal};
use crate::money::Amount;
use crate::rating::{Counter, Facts, RatedLine, rate};
use crate::tenure::WalletId;
use crate::time::{Hour, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// A fold stops here and goes on in the next page; DynamoDB's own limit for an item is 400 KB.
pub const MAX_PAGE_BYTES: usize = 200_000;
/// Upper bound of one stored line, and of one stored meter beside its server's id.
const ENTRY_BYTES: usize = 24;
/// Everything else on a page.
const FRAME_BYTES: usize = 1_000;

/// Meters found by reading a chain back, for tenures the newest page no longer holds. `None`: the chain has none.
pub type Recovered = HashMap<(Id, Hour), Option<Meter>>;

/// What became of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Billed up to its hour. `true` once the whole tenure has ended and is on the chain: it can be closed.
    Done {
        /// The server has ended and its last hour is billed.
        ended: bool,
    },
    /// It goes to the parked queue; its neighbours are billed.
    Refused(Refusal),
    /// The meter is missing and the tenure is old: read the chain back, then fold again.
    NeedsHistory,
    /// The page was full first: fold it into the next page.
    NotReached,
}

/// The result of a fold.
#[derive(Debug)]
pub struct Fold {
    /// The next page; `None` where nothing new was billed (then nothing is written).
    pub page: Option<Page>,
    /// One per job, in order.
    pub outcomes: Vec<Outcome>,
}

/// Folds `jobs` into the chain whose newest page is `head`.
///
/// Bills the billable hours in `(billed_through, H]` of each server, and moves `billed_through`. A duplicate, late or
/// reordered job changes nothing. Only an ended server's meter is dropped, and only after [`METER_KEPT_HOURS`].
#[must_use]
pub fn fold(wallet: &WalletId, head: Option<&Page>, jobs: &[Job], recovered: &Recovered, now: Timestamp) -> Fold {
    let mut meters: BTreeMap<(Id, Hour), Meter> = head
        .map(|page| page.meters.iter().map(|m| ((m.server.clone(), m.since), m.clone())).collect())
        .unwrap_or_default();
    let mut room = Room::new(&meters);
    let mut lines: Vec<Line> = Vec::new();
    let mut changed = false;
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        let key = (job.tenure.server.clone(), job.tenure.since);
        let meter = match find_meter(&meters, &key, job, recovered, now) {
            Ok(meter) => meter,
            Err(outcome) => {
                outcomes.push(outcome);
                continue;
            }
        };
        match bill(job, meter, &room, now) {
            Err(refusal) => outcomes.push(Outcome::Refused(refusal)),
            Ok(billed) => {
                outcomes.push(billed.outcome);
                if billed.changed {
                    changed = true;
                    room.take(&key.0, billed.lines.len());
                    lines.extend(billed.lines.into_iter().map(|line| to_line(&key.0, line)));
                    meters.insert(key, billed.meter);
                }
            }
        }
    }
    let page = changed.then(|| next_page(wallet, head, lines, meters, now));
    Fold { page, outcomes }
}

/// How many bytes are left on the page, by upper bounds.
struct Room(usize);

impl Room {
    fn new(meters: &BTreeMap<(Id, Hour), Meter>) -> Self {
        let held: usize = meters.keys().map(|(server, _)| server.as_str().len() + ENTRY_BYTES).sum();
        Self(MAX_PAGE_BYTES.saturating_sub(FRAME_BYTES + held))
    }

    /// Lines that fit beside one more meter of `server`.
    fn lines(&self, server: &Id) -> usize {
        self.0.saturating_sub(server.as_str().len() + ENTRY_BYTES) / ENTRY_BYTES
    }

    fn take(&mut self, server: &Id, lines: usize) {
        self.0 = self.0.saturating_sub(server.as_str().len() + ENTRY_BYTES * (lines + 1));
    }
}

fn find_meter(
    meters: &BTreeMap<(Id, Hour), Meter>,
    key: &(Id, Hour),
    job: &Job,
    recovered: &Recovered,
    now: Timestamp,
) -> Result<Meter, Outcome> {
    if let Some(meter) = meters.get(key) {
        return Ok(meter.clone());
    }
    let fresh = || Meter { server: key.0.clone(), since: key.1, counter: Counter::new(key.1), ended_at: None };
    match recovered.get(key) {
        Some(Some(meter)) => Ok(meter.clone()),
        Some(None) => Ok(fresh()),
        None if now.hour().since(job.tenure.since) > REREAD_HOURS && could_bill(job, &fresh()) => {
            Err(Outcome::NeedsHistory)
        }
        None => Ok(fresh()),
    }
}

/// Whether the job would bill anything if nothing was billed before. If not, the chain need not be read back: a server that
/// was never in a billable state costs nothing, not even reads.
fn could_bill(job: &Job, fresh: &Meter) -> bool {
    let header = &job.header;
    let facts = Facts { timeline: &job.timeline, steps: &job.steps, switch: &header.switch, per: &header.per };
    job.known_from > fresh.since || !rate(facts, fresh.counter, header.through, 1).0.is_empty()
}

struct Billed {
    lines: Vec<RatedLine>,
    meter: Meter,
    changed: bool,
    outcome: Outcome,
}

fn bill(job: &Job, mut meter: Meter, room: &Room, now: Timestamp) -> Result<Billed, Refusal> {
    let header = &job.header;
    let unchanged = |meter: Meter, ended: bool| Billed {
        lines: Vec::new(),
        meter,
        changed: false,
        outcome: Outcome::Done { ended },
    };
    let end = job.timeline.end_hour();
    let ends = end.is_some_and(|end| end <= header.through);
    if meter.ended_at.is_some() {
        // Its end may have been corrected to one that is still ahead: then it is not over yet.
        return Ok(unchanged(meter, ends));
    }
    let from = meter.counter.through;
    if from < job.known_from {
        return Err(Refusal::BelowKnown { known_from: job.known_from, through: from });
    }
    if from >= header.through && !ends {
        return Ok(unchanged(meter, false));
    }
    if from < header.through && job.steps.first().is_none_or(|step| step.from > from) {
        return Err(Refusal::NoPrice(from));
    }
    let facts = Facts { timeline: &job.timeline, steps: &job.steps, switch: &header.switch, per: &header.per };
    let to = header.through.min(end.unwrap_or(header.through)).max(from);
    let (lines, counter) = rate(facts, meter.counter, to, room.lines(&meter.server));
    let reached = counter.through >= to;
    let ended = reached && ends;
    // A tenure that was ever billed gets its end onto the chain, so that no job can bill it further and its meter can go.
    let was_billed = from > meter.since || counter.secs > 0 || !lines.is_empty();
    let changed = !lines.is_empty() || (ended && was_billed);
    if !changed {
        return Ok(if reached {
            unchanged(meter, ended)
        } else {
            Billed { outcome: Outcome::NotReached, ..unchanged(meter, false) }
        });
    }
    meter.counter = counter;
    if ended {
        meter.ended_at = Some(now.hour());
    }
    let outcome = if reached { Outcome::Done { ended } } else { Outcome::NotReached };
    Ok(Billed { lines, meter, changed, outcome })
}

fn to_line(server: &Id, line: RatedLine) -> Line {
    Line {
        server: server.clone(),
        from: line.from,
        to: line.to,
        secs_after: line.secs_after,
        price: line.price,
        metering: line.metering,
        per: line.per,
        amount: line.amount,
    }
}

fn next_page(
    wallet: &WalletId,
    head: Option<&Page>,
    mut lines: Vec<Line>,
    meters: BTreeMap<(Id, Hour), Meter>,
    now: Timestamp,
) -> Page {
    lines.sort_by(|a, b| (&a.server, a.from).cmp(&(&b.server, b.from)));
    let kept = |meter: &Meter| meter.ended_at.is_none_or(|at| now.hour().since(at) < METER_KEPT_HOURS);
    let before = head.map_or(Amount::ZERO, |page| page.after);
    let amount = -lines.iter().map(|line| line.amount).sum::<Amount>();
    Page {
        wallet: wallet.clone(),
        seq: head.map_or(1, |page| page.seq + 1),
        kind: Kind::Usage,
        at: now,
        before,
        amount,
        after: before + amount,
        lines,
        meters: meters.into_values().filter(kept).collect(),
        actor: Some("biller".to_owned()),
        reason: None,
        reference: None,
        prev_hash: head.map_or([0; 32], |page| page.hash),
        hash: [0; 32],
    }
    .sealed()
}
