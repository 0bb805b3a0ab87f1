//! The wallet: an append-only chain of pages. Each page is self-contained, so the newest one is the wallet's state.
//!
//! Invariants: `after(k) = before(k + 1)`; lines sum to the page; a server-hour stands on one line of one page of the whole
//! ledger; `hash` covers everything but itself. A page is never changed: a mistake is corrected by a page that names it.

mod adjust;
mod export;
mod fold;
mod page;
#[cfg(test)]
mod tests;

pub use adjust::{Adjustment, BilledHours, adjust_key, adjust_reference, parse_adjust_reference, reconcile};
pub use export::{ExportPage, page_hash};
pub use fold::{Fold, MAX_PAGE_BYTES, Outcome, Recovered, fold};
pub use page::{Entry, Kind, Line, METER_KEPT_HOURS, Meter, Page, REREAD_HOURS, append};
