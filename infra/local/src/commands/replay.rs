//! `skymeter replay`: drives the whole pipeline from a recorded trace, hour by hour, on a simulated clock.

mod bare;
mod figures;

use super::bar;
use crate::chaos::{Chaos, Rates};
use crate::check::{Proof, Totals, prove};
use crate::data_dir::DataDir;
use crate::system::System;
use crate::trace::{self, Happening};
use anyhow::{Context, bail};
use api::Clock;
use domain::run::shard_of;
use domain::time::HOUR_SECS;
use domain::{Id, Timestamp, Unit};
use figures::Figures;
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;
use store::{Fact, FactOutcome};

/// Registry writers at work at the same time.
const WRITERS: u8 = 4;
/// Tries of a batch of facts: panels send again, too.
const FACT_TRIES: usize = 100;
/// Rounds at the end, until nothing is due.
const LAST_ROUNDS: usize = 40;
/// Seconds after the hour at which metering runs.
const SCHEDULE_DELAY_SECS: i64 = 5;
/// Longest replay: ten years.
const MAX_HOURS: u32 = 87_600;

/// What to replay.
#[derive(Clone, Debug)]
pub struct Options {
    /// CSV, gzipped if it ends in `.gz`.
    pub trace: PathBuf,
    /// The price list.
    pub plans: PathBuf,
    /// Second 0 of the trace; a full hour.
    pub start: Timestamp,
    /// Hours to bill.
    pub hours: u32,
    /// Where `tenant_id,server_hours,amount_usd` goes.
    pub out: Option<PathBuf>,
    /// Without the disk.
    pub memory: bool,
    /// Where to keep the data; a temporary directory else.
    pub data: Option<PathBuf>,
    /// With faults from this seed.
    pub chaos: Option<u64>,
}

/// A clock that stands until it is set.
#[derive(Clone, Debug)]
pub struct SimulatedClock(Arc<AtomicI64>);

impl SimulatedClock {
    /// Standing at `at`.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(at.secs())))
    }

    /// Sets it.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.secs(), Ordering::Relaxed);
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0.load(Ordering::Relaxed)).unwrap_or(domain::Hour::EPOCH.start())
    }

    /// As the functions know it.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let this = self.clone();
        Clock::from_fn(move || this.now())
    }
}

/// One replay at work.
pub struct Replay {
    /// The parts.
    pub system: System,
    /// Its time.
    pub time: SimulatedClock,
    chaos: Option<Arc<Chaos>>,
    customers: HashMap<Id, Id>,
    figures: Figures,
}

/// Replays, prints the figures, writes the totals.
///
/// # Errors
/// A file that cannot be read, a field that is wrong, or a ledger that does not hold at the end.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    if options.start.secs() % HOUR_SECS != 0 {
        bail!("--start {} is not a full hour", options.start);
    }
    if options.hours == 0 || options.hours > MAX_HOURS {
        bail!("--hours must be between 1 and {MAX_HOURS}, not {}", options.hours);
    }
    let prices = trace::read_prices(&options.plans)?;
    let rows = trace::read_trace(&options.trace, &prices)?;
    let end = options.start.plus_secs(i64::from(options.hours) * HOUR_SECS);
    let happenings = trace::happenings(&rows, options.start, end);
    let temporary = if options.memory || options.data.is_some() { None } else { Some(tempfile::tempdir()?) };
    let path = options.data.as_deref().or(temporary.as_ref().map(tempfile::TempDir::path));
    let data = path.filter(|_| !options.memory).map(|path| DataDir::open(path, true)).transpose()?;
    if data.as_ref().is_some_and(|data| !data.is_fresh()) {
        bail!("--data must name a new directory: a replay starts with an empty ledger");
    }
    let chaos = options.chaos.map(|seed| Arc::new(Chaos::new(seed, Rates::default())));
    let mut replay = Replay::open(data.as_ref(), chaos, options.start).await?;
    replay.customers = rows.iter().map(|row| (row.server.clone(), row.customer.clone())).collect();
    for plan in trace::plans(&prices)? {
        replay
            .persist(|store| {
                let plan = plan.clone();
                async move { store.plan_put(&plan).await }
            })
            .await?;
    }
    replay.hours(&happenings, options).await?;
    let (proof, totals) = replay.settle(end).await?;
    if let Some(out) = &options.out {
        write_totals(out, &totals).with_context(|| format!("{} cannot be written", out.display()))?;
    }
    let bare = bare::pages_per_second(&replay.system, replay.figures.page_bytes(&replay.system).await?).await?;
    replay.figures.print(&replay.system, &proof, &totals, bare);
    super::verify::report(&proof)?;
    if let Some(data) = &data {
        data.mark_clean()?;
    }
    Ok(())
}

impl Replay {
    /// Opens the parts, with billing switched on from `start`.
    ///
    /// # Errors
    /// As [`System::open`].
    pub async fn open(data: Option<&DataDir>, chaos: Option<Arc<Chaos>>, start: Timestamp) -> anyhow::Result<Self> {
        let time = SimulatedClock::new(start);
        let system = System::open(data, time.clock(), chaos.clone()).await?;
        let replay = Self { system, time, chaos, customers: HashMap::new(), figures: Figures::default() };
        replay.persist(|store| async move { store.billing_switch(true, start).await }).await?;
        Ok(replay)
    }

    /// Tries until it is done: an operator would, too.
    async fn persist<F>(&self, call: impl Fn(store::Store) -> F) -> anyhow::Result<()>
    where
        F: Future<Output = Result<(), store::StoreError>>,
    {
        let mut tries = 0;
        while let Err(error) = call(self.system.store.clone()).await {
            tries += 1;
            if tries == FACT_TRIES {
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn hours(&mut self, happenings: &[Happening], options: &Options) -> anyhow::Result<()> {
        let bar = bar(u64::from(options.hours), "replay");
        let mut rest = happenings;
        for number in 1..=options.hours {
            let hour_end = options.start.plus_secs(i64::from(number) * HOUR_SECS);
            let (now, later) = rest.split_at(rest.partition_point(|h| h.at < hour_end));
            rest = later;
            self.hour(now, hour_end).await?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// What happens in one hour, and the run after it.
    ///
    /// # Errors
    /// Facts that cannot be recorded, or a queue's.
    pub async fn hour(&mut self, happenings: &[Happening], hour_end: Timestamp) -> anyhow::Result<()> {
        // Early enough that no fact of the hour counts as late.
        self.time.set(hour_end.plus_secs(-60));
        let began = Instant::now();
        self.record(happenings).await?;
        self.figures.registry += began.elapsed();
        self.time.set(hour_end.plus_secs(SCHEDULE_DELAY_SECS));
        if !self.chaos.as_ref().is_some_and(|chaos| chaos.skips()) {
            self.schedule(hour_end).await;
        }
        self.pump().await
    }

    /// The schedule fires; sometimes twice at once.
    async fn schedule(&mut self, at: Timestamp) {
        let began = Instant::now();
        let runs = if self.chaos.as_ref().is_some_and(|chaos| chaos.doubles()) { 2 } else { 1 };
        let runs = (0..runs).map(|_| self.system.metering.open_run(at));
        // A run that could not be opened is a missed run: the next one makes up for it.
        let _ = futures::future::join_all(runs).await;
        self.figures.metering += began.elapsed();
    }

    async fn pump(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        self.system.pump_shards().await?;
        self.figures.metering += began.elapsed();
        let began = Instant::now();
        self.system.pump_jobs(&|_| {}).await?;
        self.figures.billing += began.elapsed();
        let began = Instant::now();
        self.system.pump_feed().await?;
        self.figures.projector += began.elapsed();
        Ok(())
    }

    /// Facts reach the registry by the code panel webhooks use; those of one customer in order.
    async fn record(&self, happenings: &[Happening]) -> anyhow::Result<()> {
        let mut facts: Vec<Vec<Fact>> = vec![Vec::new(); usize::from(WRITERS)];
        for Happening { fact, .. } in happenings {
            let customer = self.customers.get(fact.server()).unwrap_or(fact.server());
            if let Some(own) = facts.get_mut(usize::from(shard_of(customer) % WRITERS)) {
                own.push(fact.clone());
            }
        }
        let mut writers = tokio::task::JoinSet::new();
        for facts in facts {
            let (store, now) = (self.system.store.clone(), self.time.now());
            writers.spawn(async move { apply(&store, &facts, now).await });
        }
        while let Some(writer) = writers.join_next().await {
            writer??;
        }
        Ok(())
    }

    /// Runs metering for the last hour until nothing is due, and proves the ledger.
    ///
    /// # Errors
    /// A queue's; DynamoDB's.
    pub async fn settle(&mut self, end: Timestamp) -> anyhow::Result<(Proof, Totals)> {
        for round in 0.. {
            if let Some(chaos) = &self.chaos {
                chaos.set_quiet(true);
            }
            let (proof, totals) = prove(&self.system.store).await?;
            let is_last = proof.through == Some(end.hour()) && proof.due.is_empty();
            if is_last || round == LAST_ROUNDS || self.chaos.is_none() {
                return Ok((proof, totals));
            }
            if let Some(chaos) = &self.chaos {
                chaos.set_quiet(false);
            }
            self.time.set(self.time.now().plus_secs(HOUR_SECS));
            self.schedule(end).await;
            self.pump().await?;
        }
        bail!("unreachable: the rounds are bounded")
    }
}

async fn apply(store: &store::Store, facts: &[Fact], now: Timestamp) -> anyhow::Result<()> {
    let mut tries = 0;
    let outcomes = loop {
        match store.fleet_apply(facts, now).await {
            Ok(outcomes) => break outcomes,
            Err(error) => {
                tries += 1;
                if tries == FACT_TRIES {
                    return Err(error.into());
                }
            }
        }
    };
    for (fact, outcome) in facts.iter().zip(outcomes) {
        match outcome {
            FactOutcome::Applied | FactOutcome::Unchanged => {}
            FactOutcome::Unknown => bail!("server {}: it is not known", fact.server()),
            FactOutcome::Rejected(reason) => bail!("server {}: {reason}", fact.server()),
        }
    }
    Ok(())
}

/// Writes the totals, by tenant.
fn write_totals(path: &Path, totals: &Totals) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    writeln!(out, "tenant_id,server_hours,amount_usd")?;
    for (tenant, (server_hours, amount)) in totals {
        writeln!(out, "{tenant},{server_hours},{}", amount.display(Unit::Usd))?;
    }
    out.flush()?;
    Ok(())
}
