//! Open payments: whoever pays may never come back, and a webhook may never come at all.

use crate::Lifecycle;
use cashier::Swept;
use store::StoreError;

/// Payments one sweep takes.
const SWEEP: u16 = 50;
/// Sweeps of one run.
const MAX_SWEEPS: usize = 10;

impl Lifecycle {
    /// Asks for the payments that are due, as long as there are more.
    pub(crate) async fn payments(&self) -> Result<Swept, StoreError> {
        let mut all = Swept::default();
        for _ in 0..MAX_SWEEPS {
            let swept = self.cashier.sweep(SWEEP).await?;
            all.looked_at += swept.looked_at;
            all.failed += swept.failed;
            all.more = swept.more;
            if !swept.more {
                break;
            }
        }
        Ok(all)
    }
}
