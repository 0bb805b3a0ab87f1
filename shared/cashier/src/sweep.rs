//! Looking at payments nobody has told us of: those that stay open, and, ever more rarely, those that are over.

use crate::{Cashier, CashierError};
use domain::Id;
use domain::payment::Payment;
use std::sync::Arc;
use store::StoreError;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Payments looked at together.
const CONCURRENCY: usize = 4;
/// A payment whose look failed is looked at again after so long, so that it does not stand in the way of others.
const POSTPONED_SECS: i64 = 900;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Payments looked at.
    pub looked_at: u32,
    /// Of these, how many could not be settled; they come again.
    pub failed: u32,
    /// Whether more may be waiting: sweep again.
    pub more: bool,
}

impl Cashier {
    /// Looks at payments that are due, longest waiting first, at most `bound` of them.
    ///
    /// # Errors
    /// The store's, where it cannot even say which are due. One payment that fails does not fail the sweep.
    pub async fn sweep(&self, bound: u16) -> Result<Swept, StoreError> {
        let due = self.store.payments_due(self.clock.now(), bound).await?;
        let mut swept = Swept { more: due.len() >= usize::from(bound.max(1)), ..Swept::default() };
        let permits = Arc::new(Semaphore::new(CONCURRENCY));
        let mut looks = JoinSet::new();
        for id in due {
            let (cashier, permits) = (self.clone(), Arc::clone(&permits));
            looks.spawn(async move {
                let _permit = permits.acquire().await;
                cashier.look(&id).await
            });
        }
        while let Some(look) = looks.join_next().await {
            swept.looked_at += 1;
            if !matches!(look, Ok(true)) {
                swept.failed += 1;
            }
        }
        Ok(swept)
    }

    /// Whether it went well.
    async fn look(&self, id: &Id) -> bool {
        let Err(error) = self.settle_thoroughly(id).await else { return true };
        tracing::warn!(error = %error, payment = %id, "an open payment could not be settled");
        if let Err(error) = self.postpone(id).await {
            tracing::warn!(error = %error, payment = %id, "an open payment could not be put off");
        }
        false
    }

    async fn postpone(&self, id: &Id) -> Result<(), CashierError> {
        let now = self.clock.now();
        let held = self.held(id).await?;
        // Somebody else has looked meanwhile.
        if held.0.due.is_none_or(|due| due > now) {
            return Ok(());
        }
        let next = Payment { due: Some(now.plus_secs(POSTPONED_SECS)), ..held.0.clone() };
        match self.store.payment_update(&held, &next, &[], now).await {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
