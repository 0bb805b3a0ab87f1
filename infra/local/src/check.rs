//! Proving a ledger: every chain, and the billed hours against the registry. Reads through the store only.

use domain::plan::price_steps;
use domain::run::shard_of;
use domain::tenure::WalletId;
use domain::time::Hour;
use domain::verify::{ChainCheck, Fault, HourCheck, TenureFacts};
use domain::{Amount, Id};
use std::collections::{BTreeMap, HashMap};
use store::{FleetTenure, Rollups, Store, StoreError};

/// Faults that are listed; more are only counted.
pub const FAULTS_LISTED: usize = 20;

/// What was proven, and what is wrong.
#[derive(Debug, Default)]
pub struct Proof {
    /// Wallets (a customer's lanes each).
    pub wallets: u64,
    /// Pages.
    pub pages: u64,
    /// Server-hours on lines.
    pub server_hours: u64,
    /// What they cost.
    pub amount: Amount,
    /// Tenures compared with the registry.
    pub tenures: u64,
    /// The hour up to which nothing may be missing.
    pub through: Option<Hour>,
    /// What is wrong with the ledger.
    pub faults: Vec<Fault>,
    /// Hours that are due and not billed yet, or wrongly billed: one entry per server.
    pub due: Vec<Fault>,
}

/// Lines per customer: server-hours and what they cost.
pub type Totals = BTreeMap<Id, (u64, Amount)>;

impl Proof {
    /// Nothing is wrong and nothing is due.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.faults.is_empty() && self.due.is_empty()
    }
}

/// Proves the whole ledger. Memory grows with the fleet, not with the pages.
///
/// # Errors
/// DynamoDB's; a page that cannot be read is a [`Fault`]'s business only where its neighbours still can.
pub async fn prove(store: &Store) -> Result<(Proof, Totals), StoreError> {
    // First: a run that is opened meanwhile is not looked for, and what it bills is no fault.
    let through = store.run_last().await?.map_or(Hour::EPOCH, |run| run.through);
    let mut proof = Proof { through: (through > Hour::EPOCH).then_some(through), ..Proof::default() };
    let mut totals = Totals::new();
    let mut hours = HourCheck::default();
    let mut chains: HashMap<WalletId, ChainCheck> = HashMap::new();
    let mut start = None;
    loop {
        let (pages, next) = store.ledger_scan(start).await?;
        for page in pages {
            proof.pages += 1;
            hours.read(&page);
            for line in &page.lines {
                let total = totals.entry(page.wallet.customer.clone()).or_default();
                *total = (total.0 + u64::from(line.hours()), total.1 + line.amount);
            }
            if let Err(fault) = chains.entry(page.wallet.clone()).or_default().next(page) {
                proof.faults.push(fault);
            }
        }
        match next {
            Some(key) => start = Some(key),
            None => break,
        }
    }
    proof.wallets = u64::try_from(chains.len()).unwrap_or(u64::MAX);
    proof.faults.extend(hours.doubled());
    (proof.server_hours, proof.amount) = (hours.server_hours, hours.amount);
    check_fleet(store, &mut hours, &mut proof, through).await?;
    Ok((proof, totals))
}

/// The billed hours of every server are exactly those the registry says were billable.
async fn check_fleet(store: &Store, hours: &mut HourCheck, proof: &mut Proof, through: Hour) -> Result<(), StoreError> {
    let settings = store.billing_settings().await?;
    let plans = store.plan_list().await?;
    let mut servers: HashMap<Id, Vec<FleetTenure>> = HashMap::new();
    let mut start = None;
    loop {
        let page = store.fleet_scan(start).await?;
        for tenure in page.tenures {
            servers.entry(tenure.tenure.server.clone()).or_default().push(tenure);
        }
        match page.next {
            Some(key) => start = Some(key),
            None => break,
        }
    }
    let mut rates = HashMap::new();
    for shard in 0..domain::run::SHARDS {
        rates.insert(shard, store.rates_list(shard).await?);
    }
    for mut tenures in servers.into_values() {
        tenures.sort_by_key(|tenure| tenure.tenure.since);
        let begins: Vec<Hour> = tenures.iter().skip(1).map(|t| t.tenure.since).chain([Hour::FAR_FUTURE]).collect();
        for (tenure, until) in tenures.into_iter().zip(begins) {
            proof.tenures += 1;
            hours.own(&tenure.tenure, until);
            let customer = &tenure.tenure.wallet.customer;
            let own = rates.get(&shard_of(customer)).and_then(|rates| rates.get(customer));
            let end = through.max(tenure.known_from.plus(1));
            let steps =
                plans.get(&tenure.plan).map(|plan| price_steps(plan, &tenure.rates, own, tenure.known_from, end));
            let fault = |what: String| Fault { place: format!("server {}", tenure.tenure.server), what };
            let steps = match steps {
                Some(Ok(steps)) => steps,
                Some(Err(e)) => {
                    proof.due.push(fault(e.to_string()));
                    continue;
                }
                None => {
                    proof.due.push(fault(format!("plan '{}' is unknown", tenure.plan)));
                    continue;
                }
            };
            let facts = TenureFacts {
                tenure: tenure.tenure.clone(),
                known_from: tenure.known_from,
                timeline: tenure.timeline.clone(),
                steps,
            };
            if let Err(fault) = hours.check_tenure(&facts, &settings.switch, &settings.per, until, through) {
                proof.due.push(fault);
            }
        }
    }
    proof.faults.extend(hours.unowned());
    proof.due.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(())
}

/// Works all roll-ups out of the ledger.
///
/// # Errors
/// DynamoDB's, or a page that cannot be read.
pub async fn roll_up(store: &Store) -> Result<Rollups, StoreError> {
    let (mut rollups, mut start) = (Rollups::default(), None);
    loop {
        let (pages, next) = store.ledger_scan(start).await?;
        pages.iter().for_each(|page| rollups.add(page));
        match next {
            Some(key) => start = Some(key),
            None => return Ok(rollups),
        }
    }
}
