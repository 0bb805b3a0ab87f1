//! Lists of the ledger: the chains of a customer's wallets as one, newest first, whoever looks at them.
//!
//! Owns: the cursor of such a list, and how far one request reads. Does *not*: decide whose chains they are, or how a page is
//! shown.

mod cursor;
mod merge;

pub use cursor::{LaneRange, MAX_LANES, Position};
pub use merge::{Merge, Next, lanes_in};
