//! Pages of one chain, oldest first: what is worked out from a month's pages.

use domain::tenure::WalletId;
use domain::wallet::Page;
use store::{Range, Store, StoreError};

/// Pages of one read, which is up to a megabyte.
const READ_PAGES: u16 = 1_000;

/// Hands the pages from a number to the last one to `each`, as long as there are reads left. Returns the number to go on with
/// where there were not enough.
///
/// # Errors
/// The store's, and what `each` finds.
pub async fn read_pages(
    store: &Store,
    wallet: &WalletId,
    from: Option<u64>,
    last: u64,
    reads: &mut usize,
    mut each: impl FnMut(&Page) -> Result<(), StoreError> + Send,
) -> Result<Option<u64>, StoreError> {
    let mut next = from;
    while let Some(from) = next.filter(|from| *from <= last) {
        if *reads == 0 {
            return Ok(Some(from));
        }
        *reads -= 1;
        let range = Range { from, to: last, newest_first: false, limit: READ_PAGES };
        let stretch = store.wallet_range(wallet, range).await?;
        stretch.pages.iter().try_for_each(&mut each)?;
        next = stretch.next;
    }
    Ok(None)
}
