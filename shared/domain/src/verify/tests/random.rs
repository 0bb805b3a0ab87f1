//! The proof accepts everything the biller can do: a random life of a lane, with lost jobs, late facts and payments.

use super::{check, check_tenure, hours_of};
use crate::fixtures::{Chain, Server, at, step};
use crate::money::Amount;
use crate::plan::Metering;
use crate::wallet::Kind;
use crate::{Hour, timeline::State};
use proptest::prelude::*;

const SERVERS: usize = 4;
/// 44 hours before a month ends, so that lives cross it.
const BEGIN: u32 = 700;

#[derive(Clone, Debug)]
enum Step {
    /// Time passes; the jobs of the servers in the mask come, the others are lost.
    Tick { hours: u32, mask: u8 },
    /// Money comes or goes.
    Post(i64),
    /// An end, told late or in time.
    End { server: usize, ago: i64 },
    /// "It was not deleted after all."
    Revive(usize),
    /// A change of state, told late.
    Turn { server: usize, ago: i64, state: &'static str },
    /// The late facts of one server are worked in.
    Recheck(usize),
}

fn a_step() -> impl Strategy<Value = Step> {
    let server = 0..SERVERS;
    let state = prop::sample::select(vec!["running", "stopped", "error"]);
    prop_oneof![
        4 => (1_u32..20, any::<u8>()).prop_map(|(hours, mask)| Step::Tick { hours, mask }),
        1 => (-9_000_000_i64..9_000_000).prop_map(Step::Post),
        2 => (server.clone(), 0_i64..60_000).prop_map(|(server, ago)| Step::End { server, ago }),
        1 => server.clone().prop_map(Step::Revive),
        2 => (server.clone(), 0_i64..60_000, state).prop_map(|(server, ago, state)| Step::Turn { server, ago, state }),
        2 => server.prop_map(Step::Recheck),
    ]
}

/// One hourly, one per second, one that changes between them, one that is free.
fn servers() -> Vec<Server> {
    let steps = [
        vec![step(BEGIN, "5.00", Metering::Hourly)],
        vec![step(BEGIN, "730.00", Metering::PerSecond)],
        vec![
            step(BEGIN, "7.77", Metering::Hourly),
            step(BEGIN + 20, "7.77", Metering::PerSecond),
            step(BEGIN + 50, "9.99", Metering::Hourly),
        ],
        vec![step(BEGIN, "0.00", Metering::Hourly)],
    ];
    let server = |(n, steps)| Server::new(&format!("s{n}"), BEGIN).begins(at(BEGIN, 1_234), "running").priced(steps);
    steps.into_iter().enumerate().map(server).collect()
}

/// A lane, the registry's present word on its servers, and how far metering has come.
struct World {
    chain: Chain,
    servers: Vec<Server>,
    now: u32,
}

impl World {
    fn tick(&mut self, hours: u32, mask: u8) {
        self.now += hours;
        let sent = self.servers.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1);
        let jobs: Vec<_> = sent.map(|(_, server)| server.job(self.now)).collect();
        self.chain.bill(&jobs, at(self.now, 300));
    }

    fn step(&mut self, step: Step) {
        let now = at(self.now, 300);
        match step {
            Step::Tick { hours, mask } => self.tick(hours, mask),
            Step::Post(steps) => self.chain.post(Kind::Admin, Amount::from_steps(steps), now),
            Step::End { server, ago } => drop(self.servers[server].timeline.set_end(now.plus_secs(-ago))),
            Step::Revive(server) => self.servers[server] = self.servers[server].clone().lives_on(),
            Step::Turn { server, ago, state } => {
                drop(self.servers[server].timeline.set_state(now.plus_secs(-ago), State::new(state).unwrap()));
            }
            Step::Recheck(server) => drop(self.chain.recheck(&self.servers[server], self.now)),
        }
    }
}

proptest! {
    #[test]
    fn every_chain_the_biller_can_write_is_accepted(steps in prop::collection::vec(a_step(), 1..40)) {
        let mut world = World { chain: Chain::of("alice"), servers: servers(), now: BEGIN };
        for step in steps {
            world.step(step);
        }
        world.tick(2, u8::MAX);
        for server in 0..SERVERS {
            world.step(Step::Recheck(server));
            let pages = world.chain.pages.len();
            world.step(Step::Recheck(server));
            prop_assert_eq!(world.chain.pages.len(), pages, "a recheck finds what was posted");
        }
        prop_assert_eq!(check(&world.chain.pages), Ok(()));
        let mut hours = hours_of(&[&world.chain]);
        prop_assert_eq!(hours.doubled(), vec![]);
        for server in &world.servers {
            prop_assert_eq!(check_tenure(&hours, server, Hour::FAR_FUTURE, world.now), Ok(()));
        }
    }

    /// No byte of a chain can be changed unseen: a change of any page breaks it.
    #[test]
    fn a_changed_page_is_never_accepted(page in 0_usize..5, field in 0_u8..6, by in 1_i64..1_000_000) {
        let mut chain = Chain::of("alice");
        let server = Server::new("s1", 0);
        for through in 1..=5 {
            chain.bill_to(&server, through);
        }
        let changed = &mut chain.pages[page];
        let amount = Amount::from_steps(by);
        match field {
            0 => changed.amount = changed.amount + amount,
            1 => changed.before = changed.before + amount,
            2 => changed.after = changed.after + amount,
            3 => changed.at = changed.at.plus_secs(by),
            4 => changed.lines[0].amount = changed.lines[0].amount + amount,
            _ => changed.reference = Some(by.to_string()),
        }
        prop_assert!(check(&chain.pages).is_err());
    }
}
