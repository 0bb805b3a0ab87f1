//! Posting a page that is not usage, once under its key, whoever else writes to the wallet at the same time.

use crate::client::Store;
use crate::error::StoreError;
use crate::wallet::AppendOnce;
use domain::Timestamp;
use domain::tenure::WalletId;
use domain::wallet::{Entry, Page, append};
use std::time::Duration;

/// Tries of one page against other writers of the same wallet. Each lost try means that somebody else's page was written.
const MAX_TRIES: u32 = 128;
/// Tries without a pause: the usual other writer is gone by then.
const EAGER_TRIES: u32 = 8;
/// The pause after that.
const PAUSE: Duration = Duration::from_millis(5);

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The page is on the chain.
    Written(Box<Page>),
    /// It was there already, with this number.
    Replayed(u64),
}

impl Store {
    /// Posts an entry on top of whatever the newest page is, once for ever under `key`.
    ///
    /// # Errors
    /// [`StoreError::KeyReused`] where the key stands for another page; [`StoreError::Conflict`] where others were faster
    /// every time; [`StoreError::Invalid`] where the balance would leave the ledger's range; DynamoDB's.
    pub async fn wallet_post(
        &self,
        wallet: &WalletId,
        entry: Entry,
        key: &str,
        now: Timestamp,
    ) -> Result<Posted, StoreError> {
        for attempt in 0..MAX_TRIES {
            if attempt >= EAGER_TRIES {
                tokio::time::sleep(PAUSE).await;
            }
            let head = self.wallet_head(wallet, true).await?;
            let page = append(wallet, head.as_ref(), entry.clone(), now);
            let page = page.map_err(|error| StoreError::Invalid(error.to_string()))?;
            match self.wallet_append_once(&page, key).await? {
                AppendOnce::Written => return Ok(Posted::Written(Box::new(page))),
                AppendOnce::Replayed(seq) => return Ok(Posted::Replayed(seq)),
                AppendOnce::Lost => {}
            }
        }
        Err(StoreError::Conflict("wallet_post"))
    }
}
