//! What the tests of wallets, proofs and jobs share: servers as the registry knows them, and chains that grow as the
//! biller grows them. Hours count from 2026-10-01T00:00Z; October has 744 of them, 14 more than a month's price is spread over.

use crate::job::{Header, Job};
use crate::plan::{Metering, Price, PriceStep, Terms};
use crate::rating::Facts;
use crate::settings::{HoursPerMonth, Switch};
use crate::tenure::{Tenure, WalletId};
use crate::timeline::{State, Timeline};
use crate::verify::TenureFacts;
use crate::wallet::{
    Adjustment, BilledHours, Entry, Fold, Kind, Line, Outcome, Page, Recovered, append, fold, reconcile,
};
use crate::{Amount, Hour, Id, Timestamp, Unit};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

pub static SWITCH: LazyLock<Switch> = LazyLock::new(Switch::always_on);
pub static PER: LazyLock<HoursPerMonth> = LazyLock::new(HoursPerMonth::default);

pub fn h(n: u32) -> Hour {
    Timestamp::parse("2026-10-01T00:00:00Z").unwrap().hour().plus(n)
}

/// `secs` into hour `n`.
pub fn at(n: u32, secs: i64) -> Timestamp {
    h(n).start().plus_secs(secs)
}

pub fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

pub fn usd(text: &str) -> Amount {
    Amount::parse(text, Unit::Usd).unwrap()
}

pub fn state(name: &str) -> State {
    State::new(name).unwrap()
}

pub fn wallet(customer: &str) -> WalletId {
    WalletId { customer: id(customer), unit: Unit::Usd, lane: 0 }
}

pub fn terms(price: &str, metering: Metering) -> Terms {
    Terms { version: id("v1"), price: Price::parse(price).unwrap(), metering, billable_states: None }
}

pub fn step(from: u32, price: &str, metering: Metering) -> PriceStep {
    PriceStep { from: h(from), terms: terms(price, metering) }
}

/// A server as the registry knows it: alice's, at 5.00 a month, running from its first second on.
#[derive(Clone, Debug)]
pub struct Server {
    pub tenure: Tenure,
    pub known_from: Hour,
    pub timeline: Timeline,
    pub steps: Vec<PriceStep>,
}

impl Server {
    pub fn new(name: &str, since: u32) -> Self {
        Self {
            tenure: Tenure { server: id(name), since: h(since), wallet: wallet("alice") },
            known_from: h(since),
            timeline: Timeline::new(at(since, 0), State::running()),
            steps: vec![step(since, "5.00", Metering::Hourly)],
        }
    }

    pub fn per_second(name: &str, since: u32) -> Self {
        Self::new(name, since).priced(vec![step(since, "5.00", Metering::PerSecond)])
    }

    pub fn of(mut self, customer: &str) -> Self {
        self.tenure.wallet = wallet(customer);
        self
    }

    pub fn priced(mut self, steps: Vec<PriceStep>) -> Self {
        self.steps = steps;
        self
    }

    pub fn ends(mut self, end: Timestamp) -> Self {
        self.timeline.set_end(end).unwrap();
        self
    }

    pub fn turns(mut self, at: Timestamp, to: &str) -> Self {
        self.timeline.set_state(at, state(to)).unwrap();
        self
    }

    /// Created at another time, in another state.
    pub fn begins(mut self, at: Timestamp, name: &str) -> Self {
        self.timeline = Timeline::new(at, state(name));
        self
    }

    /// As if the deletion had never been told.
    pub fn lives_on(mut self) -> Self {
        self.timeline = Timeline::from_parts(self.timeline.states().to_vec(), None).unwrap();
        self
    }

    /// Its job "bill up to hour `through`", issued right after that.
    pub fn job(&self, through: u32) -> Job {
        let header =
            Header { through: h(through), issued_at: at(through, 10), per: PER.clone(), switch: SWITCH.clone() };
        Job {
            tenure: self.tenure.clone(),
            known_from: self.known_from,
            rev: 1,
            timeline: self.timeline.clone(),
            steps: self.steps.clone(),
            recheck: None,
            header: Arc::new(header),
        }
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts { timeline: &self.timeline, steps: &self.steps, switch: &SWITCH, per: &PER }
    }

    pub fn tenure_facts(&self) -> TenureFacts {
        TenureFacts {
            tenure: self.tenure.clone(),
            known_from: self.known_from,
            timeline: self.timeline.clone(),
            steps: self.steps.clone(),
        }
    }
}

/// One wallet's chain.
pub struct Chain {
    pub wallet: WalletId,
    pub pages: Vec<Page>,
}

impl Chain {
    pub fn of(customer: &str) -> Self {
        Self { wallet: wallet(customer), pages: Vec::new() }
    }

    pub fn head(&self) -> Option<&Page> {
        self.pages.last()
    }

    pub fn balance(&self) -> Amount {
        self.head().map_or(Amount::ZERO, |page| page.after)
    }

    /// One fold, its page appended.
    pub fn fold(&mut self, jobs: &[Job], recovered: &Recovered, now: Timestamp) -> Vec<Outcome> {
        let Fold { page, outcomes } = fold(&self.wallet, self.head(), jobs, recovered, now);
        self.pages.extend(page);
        outcomes
    }

    /// What the biller does: folds, reads the chain back where that is asked for, until nothing is left to do.
    pub fn bill(&mut self, jobs: &[Job], now: Timestamp) -> Vec<Outcome> {
        let mut recovered = Recovered::new();
        for _ in 0..100 {
            let pages = self.pages.len();
            let outcomes = self.fold(jobs, &recovered, now);
            for (job, _) in jobs.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Outcome::NeedsHistory) {
                let key = (job.tenure.server.clone(), job.tenure.since);
                let found = self.pages.iter().rev().find_map(|page| page.meter(&key.0, key.1)).cloned();
                recovered.insert(key, found);
            }
            let asked = outcomes.contains(&Outcome::NeedsHistory);
            if !asked && (self.pages.len() == pages || !outcomes.contains(&Outcome::NotReached)) {
                return outcomes;
            }
        }
        panic!("the fold does not come to an end");
    }

    /// Bills one server up to an hour, five minutes after it.
    pub fn bill_to(&mut self, server: &Server, through: u32) -> Vec<Outcome> {
        self.bill(&[server.job(through)], at(through, 300))
    }

    pub fn post(&mut self, kind: Kind, amount: Amount, now: Timestamp) {
        let entry = Entry { kind, amount, actor: None, reason: None, reference: None };
        let page = append(&self.wallet, self.head(), entry, now).unwrap();
        self.pages.push(page);
    }

    /// What the biller does after a late fact: reads the chain, compares, posts. `through` is where metering stands.
    pub fn recheck(&mut self, server: &Server, through: u32) -> Vec<Adjustment> {
        let Tenure { server: name, since, .. } = &server.tenure;
        let Some(meter) = self.pages.iter().rev().find_map(|page| page.meter(name, *since)).cloned() else {
            return Vec::new();
        };
        // An ended meter bills no more: all hours that have ended are closed, also those after an earlier word of the end.
        let through_now = meter.counter.through.max(h(through));
        let closed = if meter.ended_at.is_some() { through_now } else { meter.counter.through };
        let mut billed = BilledHours::default();
        for page in &self.pages {
            billed.read(page, name, *since, Hour::FAR_FUTURE, server.facts());
        }
        let found = reconcile(&mut billed, server.facts(), *since, closed);
        for adjustment in &found {
            let page = adjustment.page(self.head().unwrap(), &billed, name, *since, at(through, 600)).unwrap();
            self.pages.push(page);
        }
        found
    }

    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.pages.iter().flat_map(|page| &page.lines)
    }

    pub fn spent(&self) -> Amount {
        self.lines().map(|line| line.amount).sum()
    }

    /// The billed hours of a server, counted from `h(0)`. None may stand twice.
    pub fn hours(&self, server: &str) -> Vec<u32> {
        let own = self.lines().filter(|line| line.server.as_str() == server);
        let hours: Vec<u32> = own.flat_map(|l| l.from.since(h(0))..l.to.since(h(0))).collect();
        let once: BTreeSet<u32> = hours.iter().copied().collect();
        assert_eq!(once.len(), hours.len(), "an hour of {server} is billed twice");
        once.into_iter().collect()
    }

    pub fn meter_names(&self) -> Vec<&str> {
        self.head().map_or(Vec::new(), |page| page.meters.iter().map(|m| m.server.as_str()).collect())
    }
}

/// What `hours` full hours cost from the month's first number on, at 5.00.
pub fn cost(before: u32, after: u32) -> Amount {
    Price::parse("5.00").unwrap().charge(before * 3_600, after * 3_600, 730)
}
