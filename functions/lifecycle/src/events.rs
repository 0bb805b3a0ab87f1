//! Low balances of customers about whom a single page tells everything: one lane, the thresholds everybody has, no top-up.

use crate::Lifecycle;
use crate::notice::{Notice, is_there};
use domain::money::Unit;
use domain::{Hour, Id};
use futures::{StreamExt, stream};
use std::collections::BTreeMap;
use store::{LowBalance, OutboxMail, StoreError};

/// Reads of events of one run; what is left over is looked at by the next.
const READS_PER_RUN: usize = 4;
/// Customers that are looked at the same time.
const AT_ONCE: usize = 8;
/// Events that are older tell nothing new: they come from roll-ups that were rebuilt.
const MAX_AGE_SECS: i64 = 7 * 86_400;

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Dealt with.
    pub done: usize,
    /// Mails that tell of them.
    pub mails: usize,
    /// To be looked at again by the next run.
    pub failed: usize,
}

impl Lifecycle {
    /// # Errors
    /// The events cannot be read. What fails for one customer does not stop the others.
    pub async fn events(&self) -> Result<Events, StoreError> {
        let mut of_balance: BTreeMap<(Id, Unit), Vec<LowBalance>> = BTreeMap::new();
        let mut start = None;
        for _ in 0..READS_PER_RUN {
            let (events, next) = self.store.low_balance_list(Hour::EPOCH.start(), start).await?;
            for event in events {
                of_balance.entry((event.wallet.customer.clone(), event.wallet.unit)).or_default().push(event);
            }
            start = next;
            if start.is_none() {
                break;
            }
        }
        let looks = stream::iter(of_balance).map(|((customer, unit), events)| async move {
            let mailed = self.event(&customer, unit, &events).await;
            (customer, events.len(), mailed)
        });
        let mut all = Events::default();
        let mut looks = std::pin::pin!(looks.buffer_unordered(AT_ONCE));
        while let Some((customer, events, mailed)) = looks.next().await {
            match mailed {
                Ok(mailed) => {
                    all.done += events;
                    all.mails += usize::from(mailed);
                }
                Err(error) => {
                    tracing::error!(customer = %customer, error = %error, "a low balance was not dealt with");
                    all.failed += events;
                }
            }
        }
        Ok(all)
    }

    /// Deals with the events of one balance; whether a mail tells of them.
    async fn event(&self, customer: &Id, unit: Unit, events: &[LowBalance]) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let newest = events.iter().map(|event| event.at).max();
        let is_old = newest.is_none_or(|at| now.since(at) > MAX_AGE_SECS);
        let mail = if is_old { None } else { self.event_mail(customer, unit, events).await? };
        self.store.low_balance_settle(events, mail.as_ref(), now).await?;
        self.tell(mail.as_ref()).await;
        Ok(mail.is_some())
    }

    /// One mail is enough, about the lowest threshold. None where the balance has risen again, or is watched: then it is looked
    /// at as a whole.
    async fn event_mail(
        &self,
        customer: &Id,
        unit: Unit,
        events: &[LowBalance],
    ) -> Result<Option<OutboxMail>, StoreError> {
        if self.store.watch_get(customer, unit).await?.is_some() {
            return Ok(None);
        }
        let balance = self.store.wallet_balance(customer, unit).await?.amount;
        let crossed = events.iter().filter(|event| balance < event.threshold).min_by_key(|event| event.threshold);
        let Some(LowBalance { wallet, threshold, seq, .. }) = crossed else { return Ok(None) };
        if !is_there(self.store.access_get(customer).await?.as_ref()) {
            return Ok(None);
        }
        let id = format!("low-balance:{wallet}:{}:{seq}", threshold.steps());
        Ok(Some(Notice { id, customer, unit, balance, threshold: *threshold }.mail()))
    }
}
