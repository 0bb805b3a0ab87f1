//! What the integration tests and the benchmarks share: one [`TestApp`], on real parts and a clock that stands still.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

mod accounts;
mod shop;
mod sign_in;

use anyhow::bail;
use api::Kit;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use domain::plan::{Metering, Plan, PlanVersion, Price, Terms};
use domain::tenure::WalletId;
use domain::timeline::State;
use domain::wallet::Page;
use domain::{Hour, Id, Timestamp, Unit};
use skymeter::chaos::Chaos;
use skymeter::check::{Proof, prove};
use skymeter::commands::replay::SimulatedClock;
use skymeter::system::System;
use std::path::Path;
use std::sync::Arc;
use store::{Fact, FactOutcome};
use tower::ServiceExt;

pub use accounts::{Account, PASSWORD, called_from, login, login_with};
pub use shop::TestShop;
pub use sign_in::{Answer, ask, send};

/// When every test begins: in the middle of a month, at a full hour.
pub const BEGIN: &str = "2026-11-10T00:00:00Z";
/// The plan every test has: 7.30 USD a month, a cent an hour.
pub const PLAN: &str = "cent";
/// Steps of one hour of [`PLAN`].
pub const CENT: i64 = 10_000;

/// Skymeter on embedded parts. When it goes, its queues must be empty: a test that leaves work behind has not looked.
pub struct TestApp {
    /// The parts.
    pub system: System,
    /// Its time.
    pub time: SimulatedClock,
    leftovers_allowed: bool,
}

/// An id that is known to be one.
#[must_use]
pub fn id(text: &str) -> Id {
    Id::new(text).expect("a test's ids are ids")
}

/// A time that is known to be one.
#[must_use]
pub fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a test's times are times")
}

/// A plan with one version, in force since ever.
#[must_use]
pub fn plan(name: &str, price: &str, metering: Metering) -> Plan {
    let price = Price::parse(price).expect("a test's prices are prices");
    let terms = Terms { version: id(&format!("{name}-v1")), price, metering, billable_states: None };
    Plan { id: id(name), versions: vec![PlanVersion { from: Hour::EPOCH, terms }] }
}

/// A server of [`PLAN`] that runs from `at` on.
#[must_use]
pub fn registered(server: &str, customer: &str, at: Timestamp) -> Fact {
    Fact::Registered {
        server: id(server),
        customer: id(customer),
        unit: Unit::Usd,
        plan: id(PLAN),
        state: State::running(),
        at,
    }
}

/// The end of a server.
#[must_use]
pub fn ended(server: &str, at: Timestamp) -> Fact {
    Fact::Ended { server: id(server), at }
}

/// A change of state.
#[must_use]
pub fn changed(server: &str, state: &str, at: Timestamp) -> Fact {
    Fact::StateChanged { server: id(server), state: State::new(state).expect("a test's states are states"), at }
}

impl TestApp {
    /// In memory, without faults, billing switched on, [`PLAN`] stored, the time [`BEGIN`].
    pub async fn new() -> Self {
        Self::with(None, None).await
    }

    /// On a data directory, and with faults.
    pub async fn with(data: Option<&skymeter::data_dir::DataDir>, chaos: Option<Arc<Chaos>>) -> Self {
        let time = SimulatedClock::new(time(BEGIN));
        let quiet = |on: bool| chaos.iter().for_each(|chaos| chaos.set_quiet(on));
        quiet(true);
        let system = System::open(data, time.clock(), chaos.clone()).await.expect("the parts open");
        system.store.billing_switch(true, time.now()).await.expect("billing is switched on");
        system.store.plan_put(&plan(PLAN, "7.30", Metering::Hourly)).await.expect("the plan is stored");
        quiet(false);
        Self { system, time, leftovers_allowed: chaos.is_some() }
    }

    /// The hour it is.
    #[must_use]
    pub fn hour(&self) -> Hour {
        self.time.now().hour()
    }

    /// `minutes` after [`BEGIN`].
    #[must_use]
    pub fn at(&self, minutes: i64) -> Timestamp {
        time(BEGIN).plus_secs(minutes * 60)
    }

    /// Messages may be left: for tests about messages that fail.
    pub fn allow_leftovers(&mut self) {
        self.leftovers_allowed = true;
    }

    /// Tells facts that must be taken.
    pub async fn tell(&self, facts: &[Fact]) {
        for (fact, outcome) in facts.iter().zip(self.told(facts).await) {
            assert_eq!(outcome, FactOutcome::Applied, "{fact:?}");
        }
    }

    /// Tells facts.
    pub async fn told(&self, facts: &[Fact]) -> Vec<FactOutcome> {
        self.system.store.fleet_apply(facts, self.time.now()).await.expect("the registry answers")
    }

    /// Lets `hours` pass, with a run after each.
    pub async fn hours(&self, hours: u32) {
        for _ in 0..hours {
            self.pass(1);
            self.bill().await;
        }
    }

    /// Lets `hours` pass without a run.
    pub fn pass(&self, hours: u32) {
        self.time.set(self.hour().plus(hours).start().plus_secs(5));
    }

    /// Lets seconds pass without a run.
    pub fn pass_secs(&self, secs: i64) {
        self.time.set(self.time.now().plus_secs(secs));
    }

    /// A run for the hour it is, and all its work.
    pub async fn bill(&self) {
        self.system.bill(self.time.now(), &|_| {}).await.expect("the run is done");
    }

    /// A customer's USD wallet, first lane.
    #[must_use]
    pub fn wallet(&self, customer: &str) -> WalletId {
        WalletId { customer: id(customer), unit: Unit::Usd, lane: 0 }
    }

    /// Its pages, oldest first.
    pub async fn pages(&self, customer: &str) -> Vec<Page> {
        let (mut all, mut start) = (Vec::new(), None);
        loop {
            let (pages, next) =
                self.system.store.wallet_pages(&self.wallet(customer), true, start).await.expect("the chain is read");
            all.extend(pages);
            match next {
                Some(key) => start = Some(key),
                None => return all,
            }
        }
    }

    /// The balance of its first lane, in steps.
    pub async fn balance(&self, customer: &str) -> i64 {
        let head = self.system.store.wallet_head(&self.wallet(customer), true).await.expect("the head is read");
        head.map_or(0, |page| page.after.steps())
    }

    /// Proves the ledger, whatever comes out.
    pub async fn proof(&self) -> Proof {
        prove(&self.system.store).await.expect("the ledger is read").0
    }

    /// Proves the ledger; it must hold.
    pub async fn verify(&self) -> Proof {
        let proof = self.proof().await;
        assert!(proof.holds(), "wrong: {:?}, due: {:?}", proof.faults, proof.due);
        proof
    }

    /// The kit of an area.
    #[must_use]
    pub fn kit(&self, area: &'static str) -> Kit {
        Kit::new(area, self.system.store.clone(), self.time.clock())
    }

    /// A GET through the router: status and JSON.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, serde_json::Value)> {
        let response = health::router(self.kit(health::AREA)).oneshot(Request::get(path).body(Body::empty())?).await?;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await?;
        if body.is_empty() {
            bail!("{path} answered nothing");
        }
        Ok((status, serde_json::from_slice(&body)?))
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if std::thread::panicking() || self.leftovers_allowed {
            return;
        }
        let [shards_dead, jobs_dead] = &self.system.dead;
        for queue in [&self.system.shards, &self.system.jobs, shards_dead, jobs_dead] {
            assert_eq!(queue.all().unwrap_or_default().len(), 0, "not empty: {queue:?}");
        }
        assert_eq!(self.system.parked.all().unwrap_or_default().len(), 0, "jobs were parked");
    }
}

/// The workspace's root.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
