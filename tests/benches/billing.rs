//! What billing costs: time, units, memory. Prints ratios; asserts nothing about time.
//!
//! `cargo bench -p tests` runs all of it; `cargo bench -p tests -- reference` one part: `reference`, `units`, `fleet`, `large`.
#![expect(clippy::float_arithmetic, clippy::as_conversions, clippy::cast_precision_loss, reason = "only printed")]
#![allow(missing_docs)]
#![recursion_limit = "256"]

use biller::Biller;
use domain::Timestamp;
use peak_alloc::PeakAlloc;
use providers::Queue;
use skymeter::data_dir::DataDir;
use skymeter::system::event;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Area, Fact};
use tests::{TestApp, registered, time};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let runs = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    if runs("reference") {
        reference().await;
    }
    if runs("units") {
        units().await;
    }
    if runs("fleet") {
        fleet().await;
    }
    if runs("large") {
        large().await;
    }
}

/// Registers `servers` for each of `wallets` customers.
async fn register(app: &TestApp, wallets: usize, servers: usize) {
    let at: Timestamp = time(tests::BEGIN);
    let facts: Vec<Fact> = (0..wallets * servers)
        .map(|n| registered(&format!("srv-{n:07}"), &format!("cus-{:06}", n / servers), at))
        .collect();
    for chunk in facts.chunks(1_000) {
        app.tell(chunk).await;
    }
}

/// One hour: time of metering and of billing.
async fn hour(app: &TestApp) -> (Duration, Duration) {
    app.pass(1);
    let began = Instant::now();
    app.system.metering.open_run(app.time.now()).await.expect("the run opens");
    app.system.pump_shards().await.expect("the shards are listed");
    let metering = began.elapsed();
    let began = Instant::now();
    app.system.pump_jobs(&|_| {}).await.expect("the jobs are billed");
    let billing = began.elapsed();
    app.system.pump_feed().await.expect("the totals are added");
    (metering, billing)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// 100 wallets of 10 servers, one hour due: on disk and in memory.
async fn reference() {
    for on_disk in [true, false] {
        let directory = tempfile::tempdir().expect("a directory");
        let data = on_disk.then(|| DataDir::open(directory.path(), true).expect("a data directory"));
        let app = TestApp::with(data.as_ref(), None).await;
        register(&app, 100, 10).await;
        hour(&app).await;
        let mut times = Vec::new();
        for _ in 0..60 {
            times.push(hour(&app).await.1);
        }
        let rate = 1_000.0 / median(times);
        let place = if on_disk { "on disk" } else { "in memory" };
        println!("reference, {place:<10} {rate:>8.0} server-hours/s, {:.0} times 350", rate / 350.0);
        app.verify().await;
    }
}

/// Write units of the ledger per server-hour, by servers a wallet.
async fn units() {
    for servers in [1, 10, 250] {
        let app = TestApp::new().await;
        register(&app, 8, servers).await;
        app.hours(10).await;
        let units = app.system.store.capacity().units(Area::Ledger);
        let hours = (8 * servers * 10) as f64;
        println!(
            "units, {servers:>4} a wallet   {:.4} write per server-hour",
            units.write_tenths as f64 / 10.0 / hours
        );
    }
}

/// Cost per server-hour as the fleet grows, ten servers a wallet, in memory.
async fn fleet() {
    let mut first = None;
    for servers in [1_000, 10_000, 100_000, 1_000_000] {
        let app = TestApp::new().await;
        let began = Instant::now();
        register(&app, servers / 10, 10).await;
        let registering = began.elapsed();
        hour(&app).await;
        let before = units_of(&app);
        let (metering, billing) = hour(&app).await;
        let memory = invocation_kib(&app).await;
        let per = |time: Duration| time.as_secs_f64() * 1e6 / servers as f64;
        let after = units_of(&app);
        let (read, write) = ((after.0 - before.0) / servers as f64, (after.1 - before.1) / servers as f64);
        let cost = per(metering + billing);
        let ratio = cost / *first.get_or_insert(cost);
        println!(
            "fleet {servers:>8}: {cost:.1} us per server-hour (metering {:.1}, billing {:.1}), {ratio:.2} of the first; {read:.4} read and {write:.4} write units; one invocation took {memory} KiB; registering took {:.1} s",
            per(metering),
            per(billing),
            registering.as_secs_f64(),
        );
    }
}

/// Memory one invocation of a fresh biller needs at its peak, for a batch of ten full messages (an hour that is billed
/// already, so that the database in the same process does not grow).
async fn invocation_kib(app: &TestApp) -> usize {
    app.system.metering.open_run(app.time.now()).await.expect("the run opens");
    app.system.pump_shards().await.expect("the shards are listed");
    let messages = app.system.jobs.receive(10).await.expect("the queue answers");
    let receipts = messages.iter().map(|message| message.receipt.clone()).collect();
    let event = event(&messages);
    let biller = Biller::new(app.system.store.clone(), Arc::new(app.system.parked.clone()), app.time.clock());
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    biller.handle(event, Duration::from_secs(120)).await;
    app.system.jobs.delete(receipts).await.expect("the queue answers");
    let peak = MEMORY.peak_usage().saturating_sub(before);
    app.system.pump(&|_| {}).await.expect("the jobs are billed");
    peak / 1024
}

/// Read and write units of everything.
fn units_of(app: &TestApp) -> (f64, f64) {
    let units = Area::ALL.map(|area| app.system.store.capacity().units(area));
    let sum = |pick: fn(&store::Units) -> u64| units.iter().map(pick).sum::<u64>() as f64 / 10.0;
    (sum(|u| u.read_tenths), sum(|u| u.write_tenths))
}

/// One customer with 20,000 servers: 40 lanes.
async fn large() {
    let app = TestApp::new().await;
    register(&app, 1, 20_000).await;
    hour(&app).await;
    let writes = app.system.store.capacity().units(Area::Ledger).writes;
    let (_, billing) = hour(&app).await;
    let pages = app.system.store.capacity().units(Area::Ledger).writes - writes;
    println!("large wallet: 20000 server-hours in {:.2} s on {pages} pages", billing.as_secs_f64());
}
