//! Those who had themselves deleted: the cards they saved go from the processor, and their settings with them.

use crate::Lifecycle;
use cashier::CashierError;
use domain::Id;
use domain::payment::Payment;
use store::{PaymentFilter, StoreError};

/// Users of one run; the next goes on where it stopped.
const USERS_PER_RUN: usize = 200;
/// Their newest payments, of which one may still save a card.
const PAYMENTS: u16 = 20;

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Departed {
    /// Nobody keeps anything of them any more.
    pub done: usize,
    /// A payment of theirs is still open: later.
    pub waiting: usize,
    /// To be tried again.
    pub failed: usize,
}

impl Lifecycle {
    /// # Errors
    /// The list cannot be read. What fails for one user does not stop the others.
    pub async fn departed(&self) -> Result<Departed, StoreError> {
        let mut all = Departed::default();
        let (mut start, mut left, mut last) = (self.store.departed_mark().await?, USERS_PER_RUN, None);
        let was_marked = start.is_some();
        while left > 0 {
            let (users, next) = self.store.departed_list(start).await?;
            let is_cut = users.len() > left;
            for user in users.into_iter().take(left) {
                match self.forget(&user).await {
                    Ok(true) => all.done += 1,
                    Ok(false) => all.waiting += 1,
                    Err(error) => {
                        tracing::error!(user = %user, error = %error, "what is kept of a deleted user could not be taken away");
                        all.failed += 1;
                    }
                }
                left -= 1;
                last = Some(user);
            }
            start = next;
            if start.is_none() && !is_cut {
                last = None;
                break;
            }
        }
        // Those who have to wait must not stand in the way of those behind them.
        if was_marked || last.is_some() {
            self.store.departed_mark_set(last.as_ref()).await?;
        }
        Ok(all)
    }

    /// Cards first: as long as the note is there, this is done again.
    async fn forget(&self, user: &Id) -> Result<bool, CashierError> {
        let payments = self.store.payments_of(user, &PaymentFilter::default(), PAYMENTS, None).await?.payments;
        // One that is parked is never looked at again by itself, and saves no card any more.
        let may_save = |payment: &Payment| payment.open && payment.due.is_some();
        if payments.iter().any(may_save) || !self.cashier.methods_forget(user).await? {
            return Ok(false);
        }
        self.store.departed_settle(user).await?;
        Ok(true)
    }
}
