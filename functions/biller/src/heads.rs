//! The newest pages this process wrote, so that the next hour need not read them. Bounded by what they hold, not by their
//! number: a wallet of one server and a lane of five hundred cost what they weigh.

use domain::tenure::WalletId;
use domain::time::Hour;
use domain::wallet::Page;
use lru::LruCache;
use std::sync::{Arc, Mutex, PoisonError};

/// Meters kept over all pages; with their pages about 300 MB at the most, of the 1,024 MB that the biller has.
pub const METERS_KEPT: usize = 2_000_000;
/// What a page weighs beside its meters, in meters.
const PAGE_WEIGHT: usize = 4;

/// A cache of heads. A wrong one is harmless: its put fails, and the chain is read.
#[derive(Debug)]
pub struct Heads(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    pages: LruCache<WalletId, Arc<Page>>,
    weight: usize,
}

impl Default for Heads {
    fn default() -> Self {
        Self(Mutex::new(Kept { pages: LruCache::unbounded(), weight: 0 }))
    }
}

impl Heads {
    /// The page this process wrote last, if it is likely still the newest: its servers are billed up to the hour before.
    pub fn get(&self, wallet: &WalletId, through: Hour) -> Option<Arc<Page>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let head = kept.pages.get(wallet)?;
        let billed = head.meters.iter().map(|meter| meter.counter.through).max()?;
        (billed.plus(1) >= through).then(|| Arc::clone(head))
    }

    /// Keeps a page; only after a put that answered success. Its lines are not needed to go on from it.
    pub fn put(&self, page: Page) -> Arc<Page> {
        let page = Arc::new(Page { lines: Vec::new(), ..page });
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.weight += weight(&page);
        if let Some(old) = kept.pages.put(page.wallet.clone(), Arc::clone(&page)) {
            kept.weight -= weight(&old);
        }
        while kept.weight > METERS_KEPT
            && let Some((_, oldest)) = kept.pages.pop_lru()
        {
            kept.weight -= weight(&oldest);
        }
        page
    }

    /// Whether the last put was done is unknown: the next try reads the chain.
    pub fn forget(&self, wallet: &WalletId) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = kept.pages.pop(wallet) {
            kept.weight -= weight(&old);
        }
    }
}

fn weight(page: &Page) -> usize {
    page.meters.len() + PAGE_WEIGHT
}
