//! Packing: how jobs become messages, whatever is in them.

use domain::job::{JobBody, JobMessage, LaneJobs};
use domain::plan::{Metering, Price, PriceStep, Terms};
use domain::settings::{HoursPerMonth, Schedule, Switch};
use domain::tenure::WalletId;
use domain::timeline::State;
use domain::{Hour, Unit};
use metering::Packer;
use std::collections::{BTreeMap, BTreeSet};
use store::BillingSettings;
use tests::{id, time};

/// Hours from the first job's to the run's.
const HOURS: u32 = 9_000;

fn through() -> Hour {
    time(tests::BEGIN).hour()
}

/// Settings that were changed now and then.
fn settings(switched: u32, changed: u32) -> BillingSettings {
    let (mut switch, mut per) = (Switch::always_on(), HoursPerMonth::default());
    let first = through().minus(HOURS);
    for n in 0..switched {
        switch.set(first.plus(10 + n), n % 2 == 1);
    }
    for n in 0..changed {
        per.set_after(first.plus(n * 744), 700 + n).unwrap();
    }
    BillingSettings { switch, per, schedule: Schedule::parse("0 * * * *").unwrap() }
}

fn packer(settings: BillingSettings) -> Packer {
    Packer::new(through(), through().start().plus_secs(5), settings)
}

fn wallet(customer: &str) -> WalletId {
    WalletId { customer: id(customer), unit: Unit::Usd, lane: 0 }
}

fn steps() -> Vec<PriceStep> {
    let terms = Terms {
        version: id("a-plan-v1"),
        price: Price::parse("1234.56").unwrap(),
        metering: Metering::Hourly,
        billable_states: None,
    };
    vec![PriceStep { from: Hour::EPOCH, terms }]
}

/// A job with so many states.
fn job(server: &str, states: i64) -> JobBody {
    let since = through().minus(HOURS);
    let state = |n: i64| (since.start().plus_secs(n), State::running());
    JobBody {
        server: id(server),
        since,
        known_from: None,
        rev: 7,
        states: (0..states).map(state).collect(),
        end: None,
        steps: Vec::new(),
        unknown_plan: None,
        recheck: None,
    }
}

fn read(body: &str) -> Vec<(LaneJobs, Vec<JobBody>)> {
    let message: JobMessage = serde_json::from_str(body).unwrap();
    let jobs = |lane: &LaneJobs| lane.jobs.iter().map(|raw| serde_json::from_str(raw.get()).unwrap()).collect();
    message.lanes.into_iter().map(|lane| (lane.clone(), jobs(&lane))).collect()
}

/// In which messages each customer's jobs stand. Every message is within the bound, and every job stands once.
fn checked(bodies: &[String], jobs: usize) -> BTreeMap<String, BTreeSet<usize>> {
    let (mut servers, mut messages_of) = (BTreeSet::new(), BTreeMap::<String, BTreeSet<usize>>::new());
    for (number, body) in bodies.iter().enumerate() {
        assert!(body.len() <= 65_536, "message {number} has {} bytes", body.len());
        for (lane, jobs) in read(body) {
            messages_of.entry(lane.customer.to_string()).or_default().insert(number);
            for job in jobs {
                assert!(servers.insert(job.server.to_string()), "{} stands twice", job.server);
            }
        }
    }
    assert_eq!(servers.len(), jobs);
    messages_of
}

#[test]
fn no_message_is_too_large_however_often_the_settings_were_changed() {
    for (switched, changed) in [(0, 0), (20, 0), (20, 12), (300, 12)] {
        let mut packer = packer(settings(switched, changed));
        // Lanes that fill a message to the brim, for no message holds one.
        for customer in ["cus-1", "cus-2", "cus-3"] {
            for n in 0..500 {
                packer.push(wallet(customer), job(&format!("{customer}-{n:0>58}"), 1), steps()).unwrap();
            }
        }
        let bodies = packer.finish().unwrap();
        let messages_of = checked(&bodies, 1_500);
        assert!(messages_of.values().all(|messages| messages.len() == 2), "{messages_of:?}");
        assert!(bodies.iter().any(|body| body.len() > 65_000), "no message is full");
    }
}

#[test]
fn a_lane_that_fits_one_message_stands_in_one() {
    let mut packer = packer(settings(20, 2));
    let mut count = 0;
    for customer in 0..60 {
        // Small ones between large ones, so that lanes begin anywhere in a message.
        let jobs = if customer % 2 == 0 { 300 } else { 10 + customer * 3 };
        for n in 0..jobs {
            let server = format!("{customer:0>3}-{n:0>60}");
            packer.push(wallet(&format!("cus-{customer:0>3}")), job(&server, 1), steps()).unwrap();
            count += 1;
        }
    }
    let messages_of = checked(&packer.finish().unwrap(), count);
    assert_eq!(messages_of.len(), 60);
    assert!(messages_of.values().all(|messages| messages.len() == 1), "{messages_of:?}");
}

#[test]
fn a_job_with_more_states_than_a_message_holds_stands_without_them_beside_its_neighbours() {
    let mut packer = packer(settings(20, 2));
    packer.push(wallet("cus-0"), job("srv-other", 1), steps()).unwrap();
    for (server, states) in [("srv-1", 3), ("srv-2", 4_000), ("srv-3", 5), ("srv-4", 4_000)] {
        packer.push(wallet("cus-1"), job(server, states), steps()).unwrap();
    }
    let bodies = packer.finish().unwrap();
    assert_eq!(checked(&bodies, 5)["cus-1"].len(), 1);
    let all: Vec<JobBody> = bodies.iter().flat_map(|body| read(body)).flat_map(|(_, jobs)| jobs).collect();
    let seen: Vec<_> = all.iter().map(|job| (job.server.to_string(), job.states.len(), job.steps.len())).collect();
    let expected = [("srv-other", 1, 1), ("srv-1", 3, 1), ("srv-2", 0, 0), ("srv-3", 5, 1), ("srv-4", 0, 0)];
    assert_eq!(seen, expected.map(|(server, states, steps)| (server.to_owned(), states, steps)));
}
