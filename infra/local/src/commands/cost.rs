//! `skymeter cost`: what a fleet costs a month in the cloud. Runs hours of it here, counts units, requests and time, and
//! multiplies by a list of prices.

use super::bar;
use super::load::tell;
use super::replay::SimulatedClock;
use crate::system::System;
use crate::trace::{self, Happening};
use anyhow::{Context, bail};
use domain::money::round_half_even;
use domain::plan::Price;
use domain::timeline::State;
use domain::{Hour, Id, Timestamp, Unit};
use providers::Queue;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use store::{Area, Fact, Store};

/// us-east-1, without free tiers; change what differs and pass the file.
const PRICES: &str = include_str!("../../prices.csv");
/// When the hours happen: in the middle of a month, so that none of them is special.
const BEGIN: &str = "2026-11-10T00:00:00Z";
/// Hours before the one that is measured, so that every meter is there.
const HOURS_BEFORE: u32 = 3;
/// Hours of a month, as prices are quoted.
const HOURS_PER_MONTH: u64 = 730;
/// Write units of one transaction per server-hour, as others do it: a usage record, the balance and an idempotency marker of
/// up to 1 KB each, and in a transaction every write costs two.
const TRANSACTION_UNITS: u64 = 6;
/// A call to DynamoDB takes about that long, in microseconds; a function that waits is paid for, too.
const CALL_MICROS: u64 = 5_000;
/// Empty receives an hour that Lambda makes for each queue: five pollers, twenty seconds each.
const POLLS_PER_QUEUE: u64 = 900;
/// Memory at which a function has one processor, in MB, and memory of the functions that wait.
const MB_PER_CPU: u64 = 1_769;
const BILLER_MB: u64 = 1_024;
const METERING_MB: u64 = 512;
/// Jobs messages that a biller takes at once: a batch ends at 6 MB.
const MESSAGES_PER_BILLER: u64 = 90;

/// What `cost` is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sizes of the fleet.
    pub servers: Vec<u64>,
    /// Servers of one wallet.
    pub per_wallet: u64,
    /// Prices other than ours.
    pub prices: Option<PathBuf>,
}

/// One hour of a fleet, measured.
#[derive(Clone, Copy, Debug, Default)]
struct Hourly {
    servers: u64,
    write_tenths: u64,
    read_tenths: u64,
    pages: u64,
    page_bytes: u64,
    job_messages: u64,
    shard_reads: u64,
    cpu: Duration,
}

/// Dollars a month, by what they are for.
struct Monthly {
    rows: [(&'static str, Decimal); 6],
    transactions: Decimal,
}

/// Measures each size and prints a table.
///
/// # Errors
/// A price that is missing or no number, a fleet that cannot be billed.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let prices = Prices::read(options.prices.as_deref())?;
    if options.per_wallet == 0 || options.servers.contains(&0) {
        bail!("a fleet and a wallet have at least one server");
    }
    let mut measured = Vec::new();
    for &servers in &options.servers {
        measured.push(measure(servers, options.per_wallet).await?);
    }
    let months = measured.iter().map(|hourly| prices.month(hourly)).collect::<anyhow::Result<Vec<_>>>()?;
    print(&measured, &months, options.per_wallet);
    Ok(())
}

async fn measure(servers: u64, per_wallet: u64) -> anyhow::Result<Hourly> {
    let time = SimulatedClock::new(Timestamp::parse(BEGIN)?);
    let system = System::open(None, time.clock(), None).await?;
    system.store.billing_switch(true, time.now()).await?;
    let plan = Id::new("small")?;
    let happening = |n: u64| -> anyhow::Result<Happening> {
        let at = time.now();
        let server = Id::new(&format!("srv-{n:08}"))?;
        let customer = Id::new(&format!("cus-{:08}", n / per_wallet))?;
        let (plan, state) = (plan.clone(), State::running());
        Ok(Happening { at, fact: Fact::Registered { server, customer, unit: Unit::Usd, plan, state, at } })
    };
    let happenings = (0..servers).map(happening).collect::<anyhow::Result<Vec<_>>>()?;
    tell(&system.store, &trace::Prices::from([(plan, Price::parse("5.00")?)]), &happenings, time.now()).await?;
    drop(happenings);
    let bar = bar(u64::from(HOURS_BEFORE) + 1, "hours");
    let mut hourly = Hourly::default();
    for _ in 0..=HOURS_BEFORE {
        time.set(time.now().hour().plus(1).start().plus_secs(5));
        hourly = hour(&system, servers).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(hourly)
}

/// One hour of billing, and what it took.
async fn hour(system: &System, servers: u64) -> anyhow::Result<Hourly> {
    let before = units(&system.store);
    let began = Instant::now();
    let through = system.metering.open_run(system.clock.now()).await?;
    system.pump_shards().await?;
    let job_messages = system.jobs.depth().await?.visible;
    system.pump(&|_| {}).await?;
    let cpu = began.elapsed();
    let after = units(&system.store);
    Ok(Hourly {
        servers,
        write_tenths: after.write_tenths - before.write_tenths,
        read_tenths: after.read_tenths - before.read_tenths,
        pages: after.pages - before.pages,
        page_bytes: page_bytes(&system.store, through).await?,
        job_messages,
        shard_reads: after.shard_reads - before.shard_reads,
        cpu,
    })
}

fn units(store: &Store) -> Hourly {
    let mut all = Hourly::default();
    for area in Area::ALL {
        let units = store.capacity().units(area);
        all.write_tenths += units.write_tenths;
        all.read_tenths += units.read_tenths;
    }
    all.pages = store.capacity().units(Area::Ledger).writes;
    all.shard_reads = store.capacity().units(Area::Registry).reads;
    all
}

/// Bytes of a usual page as an item, from the first stretch of the ledger.
async fn page_bytes(store: &Store, through: Hour) -> anyhow::Result<u64> {
    let (pages, _) = store.ledger_scan(None).await?;
    let (mut bytes, mut count) = (0, 0);
    for page in pages.iter().filter(|page| page.at.hour() == through) {
        bytes += store::item_bytes(&store::encode_page(page)?);
        count += 1;
    }
    Ok(bytes / count.max(1))
}

/// Dollars by item.
struct Prices(BTreeMap<String, Decimal>);

impl Prices {
    fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let place = path.map_or_else(|| "prices.csv".to_owned(), |path| path.display().to_string());
        let text = match path {
            Some(path) => std::fs::read_to_string(path).with_context(|| format!("{place} cannot be read"))?,
            None => PRICES.to_owned(),
        };
        let mut prices = BTreeMap::new();
        for (i, row) in csv::Reader::from_reader(text.as_bytes()).records().enumerate() {
            let row = row.with_context(|| format!("{place}: line {}", i + 2))?;
            let (item, usd) = (row.get(0).unwrap_or_default(), row.get(1).unwrap_or_default());
            let usd = Decimal::from_str_exact(usd).ok().filter(|usd| !usd.is_sign_negative());
            let usd = usd.with_context(|| format!("{place}: line {}: usd: it is no price", i + 2))?;
            prices.insert(item.to_owned(), usd);
        }
        Ok(Self(prices))
    }

    /// `count` of an item that is sold by `lot`.
    fn of(&self, item: &str, count: Decimal, lot: u64) -> anyhow::Result<Decimal> {
        let price = self.0.get(item).with_context(|| format!("prices: the item '{item}' is missing"))?;
        Ok(count * price / Decimal::from(lot))
    }

    fn month(&self, hourly: &Hourly) -> anyhow::Result<Monthly> {
        const MILLION: u64 = 1_000_000;
        let monthly = |hourly: u64| Decimal::from(hourly * HOURS_PER_MONTH);
        let ten = Decimal::from(10);
        let shards = u64::from(domain::run::SHARDS);
        let writes = self.of("dynamodb_write_million", monthly(hourly.write_tenths) / ten, MILLION)?;
        let reads = self.of("dynamodb_read_million", monthly(hourly.read_tenths) / ten, MILLION)?;
        // Sent in tens, received, deleted in tens; the requests of full job messages are 64 KB each.
        let messages = shards.div_ceil(10) + 2 * shards + 2 * hourly.job_messages + hourly.job_messages.div_ceil(10);
        let sqs = self.of("sqs_million", monthly(messages + 2 * POLLS_PER_QUEUE), MILLION)?;
        // A second of a processor costs the same at any memory: less memory has less of a processor for longer.
        let cpu = Decimal::from(u64::try_from(hourly.cpu.as_micros())?) * Decimal::from(MB_PER_CPU);
        let at_once = u64::try_from(biller::LANES_AT_ONCE)?;
        let waiting = hourly.pages * CALL_MICROS / at_once * BILLER_MB + hourly.shard_reads * CALL_MICROS * METERING_MB;
        let gb_seconds =
            (cpu + Decimal::from(waiting)) * Decimal::from(HOURS_PER_MONTH) / Decimal::from(1_024 * MILLION);
        let calls = 1 + shards + hourly.job_messages.div_ceil(MESSAGES_PER_BILLER) + hourly.pages.div_ceil(1_000);
        let lambda = self.of("lambda_gb_second", gb_seconds, 1)?
            + self.of("lambda_million", monthly(calls), MILLION)?
            + self.of("scheduler_million", monthly(1), MILLION)?;
        // What a year's pages take, kept for a month.
        let year = monthly(hourly.pages * hourly.page_bytes) * Decimal::from(12) / Decimal::from(1_u64 << 30);
        let storage = self.of("dynamodb_gb_month", year, 1)? + self.of("dynamodb_pitr_gb_month", year, 1)?;
        let units = monthly(hourly.servers * TRANSACTION_UNITS);
        let rows = [
            ("DynamoDB, written", writes),
            ("DynamoDB, read", reads),
            ("SQS", sqs),
            ("Lambda and Scheduler", lambda),
            ("ledger of a year, kept and recoverable", storage),
            ("in all", writes + reads + sqs + lambda + storage),
        ];
        Ok(Monthly { rows, transactions: self.of("dynamodb_write_million", units, MILLION)? })
    }
}

/// With so many decimals.
fn shown(usd: Decimal, places: u32) -> Decimal {
    let rounded = round_half_even(usd.mantissa() * 10_i128.pow(places), 10_i128.pow(usd.scale()));
    Decimal::from_i128_with_scale(rounded, places)
}

/// A table in Markdown.
fn print(measured: &[Hourly], months: &[Monthly], per_wallet: u64) {
    let line = |name: &str, cells: Vec<String>| println!("| {name} | {} |", cells.join(" | "));
    line(
        &format!("USD a month, {per_wallet} servers a wallet"),
        measured.iter().map(|hourly| format!("{} servers", hourly.servers)).collect(),
    );
    println!("|---|{}", "---|".repeat(measured.len()));
    for row in 0..6 {
        let cells = months.iter().filter_map(|month| month.rows.get(row));
        let name = months.first().and_then(|month| month.rows.get(row)).map_or("", |(name, _)| *name);
        line(name, cells.map(|(_, usd)| shown(*usd, 2).to_string()).collect());
    }
    let each = |(hourly, month): (&Hourly, &Monthly)| {
        let all = month.rows.last().map_or(Decimal::ZERO, |(_, usd)| *usd);
        shown(all / Decimal::from(hourly.servers), 6).to_string()
    };
    line("for each server", measured.iter().zip(months).map(each).collect());
    line(
        "writes of one transaction per server-hour instead",
        months.iter().map(|month| shown(month.transactions, 2).to_string()).collect(),
    );
    println!();
    for hourly in measured {
        println!(
            "{} servers, an hour: {}.{} write and {}.{} read units, {} pages of {} bytes, {} job messages, {} ms of processor",
            hourly.servers,
            hourly.write_tenths / 10,
            hourly.write_tenths % 10,
            hourly.read_tenths / 10,
            hourly.read_tenths % 10,
            hourly.pages,
            hourly.page_bytes,
            hourly.job_messages,
            hourly.cpu.as_millis(),
        );
    }
}
