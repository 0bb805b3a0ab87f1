//! A small fleet, a random story, and faults from a seed: the ledger holds, and it is the same as without faults.

use domain::timeline::State;
use domain::{Amount, Unit};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use skymeter::chaos::{Chaos, Rates};
use skymeter::check::Totals;
use skymeter::commands::replay::Replay;
use skymeter::trace::Happening;
use std::sync::Arc;
use store::Fact;
use tests::{id, plan, time};

const SEEDS: u64 = 12;
const HOURS: i64 = 10;

/// Some servers that come, stop, start, fail and go, in time order.
pub fn story(seed: u64) -> Vec<Happening> {
    let mut random = SmallRng::seed_from_u64(seed);
    let begin = time(tests::BEGIN);
    let mut happenings = Vec::new();
    for n in 0..random.random_range(5..40) {
        let server = id(&format!("srv-{n}"));
        let mut at = begin.plus_secs(random.random_range(0..HOURS * 3_600));
        let end = begin.plus_secs(HOURS * 3_600);
        happenings.push(Happening {
            at,
            fact: Fact::Registered {
                server: server.clone(),
                customer: id(&format!("cus-{}", n % 6)),
                unit: if n % 5 == 0 { Unit::Token } else { Unit::Usd },
                plan: id(if n % 3 == 0 { "running" } else { "cent" }),
                state: State::running(),
                at,
            },
        });
        for _ in 0..random.random_range(0..6) {
            at = at.plus_secs(random.random_range(0..7_000));
            if at >= end {
                break;
            }
            let state = State::new(["running", "stopped", "error"][random.random_range(0..3)]).unwrap();
            happenings.push(Happening { at, fact: Fact::StateChanged { server: server.clone(), state, at } });
        }
        if at < end && random.random_bool(0.5) {
            happenings.push(Happening { at, fact: Fact::Ended { server, at } });
        }
    }
    happenings.sort_by_key(|happening| happening.at);
    happenings
}

/// Plays a story to its end. `Err` where the ledger does not hold.
pub async fn play(happenings: &[Happening], chaos: Option<Arc<Chaos>>) -> anyhow::Result<Totals> {
    let begin = time(tests::BEGIN);
    if let Some(chaos) = &chaos {
        chaos.set_quiet(true);
    }
    let mut replay = Replay::open(None, chaos.clone(), begin).await?;
    let mut running = plan("running", "14.60", domain::plan::Metering::PerSecond);
    running.versions[0].terms.billable_states = Some([State::running()].into());
    replay.system.store.plan_put(&running).await?;
    replay.system.store.plan_put(&plan("cent", "7.30", domain::plan::Metering::Hourly)).await?;
    if let Some(chaos) = &chaos {
        chaos.set_quiet(false);
    }
    let mut rest = happenings;
    for hour in 1..=HOURS {
        let end = begin.plus_secs(hour * 3_600);
        let (now, later) = rest.split_at(rest.partition_point(|h| h.at < end));
        rest = later;
        replay.hour(now, end).await?;
    }
    let (proof, totals) = replay.settle(begin.plus_secs(HOURS * 3_600)).await?;
    anyhow::ensure!(proof.holds(), "wrong: {:?}, due: {:?}", proof.faults, proof.due);
    // The totals count what the ledger holds, once, whatever happened to the stream's batches.
    if let Some(chaos) = &chaos {
        chaos.set_quiet(true);
    }
    let ledger = skymeter::check::roll_up(&replay.system.store).await?;
    anyhow::ensure!(replay.system.store.rollup_rebuild(&ledger).await? == 0, "the totals differ from the ledger");
    Ok(totals)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faults_from_any_seed_the_ledger_is_the_same() {
    for seed in 0..SEEDS {
        let story = story(seed);
        let plain = play(&story, None).await.unwrap_or_else(|e| panic!("seed {seed} without faults: {e:#}"));
        assert!(plain.values().any(|(_, amount)| *amount > Amount::ZERO));
        let chaos = Arc::new(Chaos::new(seed, Rates::default()));
        let faulty = play(&story, Some(chaos)).await.unwrap_or_else(|e| panic!("seed {seed} with faults: {e:#}"));
        assert_eq!(plain, faulty, "seed {seed}");
    }
}
