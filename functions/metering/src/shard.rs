//! Listing one shard of the registry in customer order, page by page.

use crate::{Metering, MeteringError, Packer};
use domain::Id;
use domain::job::{JobBody, ShardMessage};
use domain::plan::{Plan, PriceStep, StepError, price_steps};
use domain::time::Hour;
use std::collections::HashMap;
use store::{FleetTenure, RatesByCustomer};

/// What prices are resolved from.
struct Prices {
    plans: HashMap<Id, Plan>,
    rates: RatesByCustomer,
}

impl Metering {
    pub(crate) async fn dispatch_shard(&self, message: ShardMessage) -> Result<(), MeteringError> {
        let ShardMessage { through, shard } = message;
        let settings = self.store.billing_settings().await?;
        let now = self.clock.now();
        if through.start() > now {
            return Err(MeteringError::TooEarly { through, now });
        }
        let prices = Prices { plans: self.store.plan_list().await?, rates: self.store.rates_list(shard).await? };
        let mut packer = Packer::new(through, now, settings);
        let (mut start, mut jobs) = (None, 0);
        loop {
            let page = self.store.fleet_page(shard, start).await?;
            for tenure in page.tenures.into_iter().filter(|t| is_due(t, through)) {
                jobs += 1;
                prices.push_job(&mut packer, tenure, through)?;
            }
            let full = packer.take_full();
            if !full.is_empty() {
                self.jobs.send(full).await?;
            }
            match page.next {
                Some(key) => start = Some(key),
                None => break,
            }
        }
        let rest = packer.finish()?;
        if !rest.is_empty() {
            self.jobs.send(rest).await?;
        }
        // Last: a crash before it lists the shard again, which does no harm.
        self.store.run_shard_done(through, shard, jobs, self.clock.now()).await?;
        Ok(())
    }
}

/// A tenure has something to bill, or to close.
fn is_due(tenure: &FleetTenure, through: Hour) -> bool {
    let since = tenure.tenure.since;
    since < through || tenure.timeline.end_hour().is_some_and(|end| end <= through)
}

impl Prices {
    fn push_job(&self, packer: &mut Packer, tenure: FleetTenure, through: Hour) -> Result<(), MeteringError> {
        let (steps, unknown_plan) = match self.steps(&tenure, through) {
            Ok(steps) => (steps, None),
            // The biller parks it, where an operator sees it; the server is back-filled once the plan is there.
            Err(reason) => {
                tracing::warn!(server = %tenure.tenure.server, reason = %reason, "a server cannot be priced");
                (Vec::new(), Some(tenure.plan.clone()))
            }
        };
        let wallet = tenure.tenure.wallet;
        let body = JobBody {
            server: tenure.tenure.server,
            since: tenure.tenure.since,
            known_from: (tenure.known_from != tenure.tenure.since).then_some(tenure.known_from),
            rev: tenure.rev,
            states: tenure.timeline.states().to_vec(),
            end: tenure.timeline.end(),
            steps: Vec::new(),
            unknown_plan,
            recheck: tenure.recheck.map(|recheck| recheck.from),
        };
        packer.push(wallet, body, steps)?;
        Ok(())
    }

    fn steps(&self, tenure: &FleetTenure, through: Hour) -> Result<Vec<PriceStep>, StepError> {
        let from = tenure.known_from;
        let plan = self.plans.get(&tenure.plan).ok_or(StepError::NoVersion(from))?;
        let customer = self.rates.get(&tenure.tenure.wallet.customer);
        price_steps(plan, &tenure.rates, customer, from, through.max(from.plus(1)))
    }
}
