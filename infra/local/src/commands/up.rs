//! `skymeter up`: the whole system on this machine. Loads a small sample the first time, bills what is due, then serves and
//! bills on schedule until Ctrl-C.

use super::bar;
use super::load::tell;
use crate::check::{prove, roll_up};
use crate::data_dir::DataDir;
use crate::shop::{Addresses, Shop};
use crate::system::System;
use crate::{gateway, mailbox, trace};
use anyhow::Context;
use api::Clock;
use domain::time::HOUR_SECS;
use domain::{Timestamp, Unit};
use sandbox::{Sandbox, Target};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;

/// The sample's servers: a slice of the Azure trace, see `sample/README.md`.
const SAMPLE_TRACE: &str = include_str!("../../sample/trace.csv");
/// And its prices.
const SAMPLE_PLANS: &str = include_str!("../../sample/plans.csv");
/// Hours before now at which the sample begins.
const SAMPLE_HOURS: u32 = 48;
/// How often waiting messages and the schedule are looked at.
const TICK: Duration = Duration::from_secs(1);

/// What `up` is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the data is kept.
    pub data: PathBuf,
    /// Where to listen on 127.0.0.1; 0 for any.
    pub port: u16,
    /// Stop after the first billing.
    pub exit: bool,
    /// A trace to load instead of the sample, and its prices.
    pub trace: Option<(PathBuf, PathBuf)>,
}

/// Runs it.
///
/// # Errors
/// The data directory or the port is in use, a trace is wrong, or billing fails.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let sample = Sample::read(options)?;
    let data = DataDir::open(&options.data, true)?;
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await;
    let listener = listener.with_context(|| format!("port {} of 127.0.0.1 cannot be used", options.port))?;
    let system = System::open(Some(&data), Clock::system(), None).await?;
    if !data.was_clean() {
        println!("the last run did not end in an orderly way: totals are rebuilt from the ledger");
        system.store.rollup_rebuild(&roll_up(&system.store).await?).await?;
    }
    load_sample(&system, &options.data, &sample).await?;
    bill_due(&system).await?;
    summary(&system).await?;
    if !options.exit {
        serve(&system, &data, listener).await?;
    }
    data.mark_clean()?;
    Ok(())
}

/// Servers and prices to start with; what is wrong in them is found before anything is done.
struct Sample {
    rows: Vec<domain::trace::TraceRow>,
    prices: trace::Prices,
}

impl Sample {
    fn read(options: &Options) -> anyhow::Result<Self> {
        if let Some((trace, plans)) = &options.trace {
            let prices = trace::read_prices(plans)?;
            return Ok(Self { rows: trace::read_trace(trace, &prices)?, prices });
        }
        let directory = tempfile::tempdir()?;
        let (trace, plans) = (directory.path().join("trace.csv"), directory.path().join("plans.csv"));
        std::fs::write(&trace, SAMPLE_TRACE)?;
        std::fs::write(&plans, SAMPLE_PLANS)?;
        let prices = trace::read_prices(&plans)?;
        Ok(Self { rows: trace::read_trace(&trace, &prices)?, prices })
    }
}

/// Loads it once. A start that was interrupted goes on with the same facts: telling them twice changes nothing.
async fn load_sample(system: &System, data: &Path, sample: &Sample) -> anyhow::Result<()> {
    let (begun, loaded) = (data.join("SAMPLE_START"), data.join("SAMPLE_LOADED"));
    if loaded.is_file() {
        return Ok(());
    }
    let now = system.clock.now();
    if !begun.is_file() {
        std::fs::write(&begun, now.hour().minus(SAMPLE_HOURS).start().secs().to_string())?;
    }
    let start = std::fs::read_to_string(&begun)?.trim().parse().ok().and_then(|secs| Timestamp::from_secs(secs).ok());
    let start = start.with_context(|| format!("{} holds no time", begun.display()))?;
    // Billing is off until somebody switches it on; the sample does, for its own first hour.
    system.store.billing_switch(true, start).await?;
    tell(&system.store, &sample.prices, &trace::happenings(&sample.rows, start, now), now).await?;
    std::fs::write(loaded, "")?;
    println!("loaded a sample of {} servers that began {SAMPLE_HOURS} hours ago", sample.rows.len());
    Ok(())
}

async fn bill_due(system: &System) -> anyhow::Result<()> {
    let through = system.metering.open_run(system.clock.now()).await?;
    system.pump_shards().await?;
    let waiting = providers::Queue::depth(&system.jobs).await?.visible;
    let bar = bar(waiting, "billing");
    system.pump_jobs(&|done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    system.pump_feed().await?;
    println!("billed everything before {through}");
    Ok(())
}

async fn summary(system: &System) -> anyhow::Result<()> {
    let (proof, totals) = prove(&system.store).await?;
    println!(
        "{} customers, {} server-hours, {} USD on {} pages; {}",
        totals.len(),
        proof.server_hours,
        proof.amount.display(Unit::Usd),
        proof.pages,
        if proof.holds() { "verified" } else { "NOT VERIFIED, run `skymeter verify`" },
    );
    Ok(())
}

async fn serve(system: &System, data: &DataDir, listener: TcpListener) -> anyhow::Result<()> {
    let own = format!("http://{}", listener.local_addr()?);
    let sandbox = processors(&own).await?;
    let addresses = Addresses { own: own.clone(), sandbox: sandbox.url().to_owned() };
    let mut shop = Shop::open(system, Some(data), &addresses).await?;
    println!("\n  {own}/docs      the API, to be tried out");
    println!("  {own}/mailbox   the mails it sends");
    println!("  {}    stand-ins of Stripe and PayPal: pay here, and let them misbehave", sandbox.url());
    println!("\nCtrl-C ends it.");
    let router = gateway::router(&shop).merge(mailbox::router(shop.mailbox.clone()));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut served = stopped.clone();
    let server = tokio::spawn(async move {
        let shutdown = async move { drop(served.wait_for(|stop| *stop).await) };
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).with_graceful_shutdown(shutdown).await
    });
    let worked = work_on_schedule(system, &mut shop).await;
    let _ = stop.send(true);
    server.await??;
    worked
}

/// Stand-ins of the payment processors, which send their webhooks here. What they know is gone with this process.
async fn processors(own: &str) -> anyhow::Result<Sandbox> {
    let mut config = sandbox::Config { delivering: sandbox::Delivering::Background, ..sandbox::Config::default() };
    config.stripe.target = Some(Target::Url(format!("{own}/api/v1/payments/webhook")));
    config.paypal.target = Some(Target::Url(format!("{own}/api/v1/payments/webhook/paypal")));
    Sandbox::start(config).await
}

/// Until Ctrl-C or SIGTERM. A run in hand is finished: the signal is looked at between ticks.
async fn work_on_schedule(system: &System, shop: &mut Shop) -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut last = system.clock.now();
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
            () = tokio::time::sleep(TICK) => {}
        }
        let now = system.clock.now();
        let schedule = system.store.billing_settings().await?.schedule;
        match schedule.next_after(last) {
            Some(due) if due <= now => {
                system.bill(due.max(now.plus_secs(-HOUR_SECS)), &|_| {}).await?;
                println!("{now}: billed everything before {}", due.hour());
                last = now;
            }
            _ => system.pump(&|_| {}).await?,
        }
        shop.work(now).await?;
    }
    println!("finishing the work in hand");
    system.pump(&|_| {}).await?;
    shop.pump_mails().await
}
