//! Those who had themselves deleted: the cards they saved go from the processor, and their settings with them.

use crate::Lifecycle;
use cashier::CashierError;
use domain::Id;
use store::{PaymentFilter, StoreError};

/// Users of one run; the next goes on.
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
        let (mut start, mut left) = (None, USERS_PER_RUN);
        loop {
            let (users, next) = self.store.departed_list(start).await?;
            for user in users.iter().take(left) {
                match self.forget(user).await {
                    Ok(true) => all.done += 1,
                    Ok(false) => all.waiting += 1,
                    Err(error) => {
                        tracing::error!(user = %user, error = %error, "what is kept of a deleted user could not be taken away");
                        all.failed += 1;
                    }
                }
            }
            left = left.saturating_sub(users.len());
            start = next;
            if start.is_none() || left == 0 {
                return Ok(all);
            }
        }
    }

    /// Cards first: as long as the note is there, this is done again.
    async fn forget(&self, user: &Id) -> Result<bool, CashierError> {
        let payments = self.store.payments_of(user, &PaymentFilter::default(), PAYMENTS, None).await?.payments;
        if payments.iter().any(|payment| payment.open) || !self.cashier.methods_forget(user).await? {
            return Ok(false);
        }
        self.store.departed_settle(user).await?;
        Ok(true)
    }
}
