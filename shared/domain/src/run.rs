//! Bookkeeping of a metering run: which hour, which shards are done, what failed.

use crate::time::{Hour, Timestamp};
use serde::{Deserialize, Serialize};

/// Parts the fleet registry is listed in.
pub const SHARDS: u8 = 64;
/// A run is stale when the last one is older than this.
pub const STALE_SECS: i64 = 90 * 60;

/// The shard of a customer: FNV-1a of the id, so that every environment and language agrees.
#[must_use]
pub fn shard_of(customer: &crate::Id) -> u8 {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in customer.as_str().bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    u8::try_from(hash % u32::from(SHARDS)).unwrap_or(0)
}

/// One run: all that is due up to an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The hours before this one are billed.
    pub through: Hour,
    /// When metering opened it.
    pub opened_at: Timestamp,
    /// When something last happened in it.
    pub heartbeat_at: Timestamp,
    /// Bit per shard that has been listed and sent.
    pub shards_done: u64,
    /// Jobs issued, over the shards done.
    pub jobs: u64,
    /// A failure of a shard that is not done yet, for an operator.
    pub error: Option<String>,
    /// Servers whose jobs were parked (at most [`MAX_PARKED_NAMED`] are named).
    pub parked: Vec<String>,
    /// Jobs of it that came too late to be billed. Not a failure: a later run's jobs bill the same hours.
    pub expired: u64,
}

/// Parked servers a run names; beyond that the parked queue tells.
pub const MAX_PARKED_NAMED: usize = 100;

impl Run {
    /// Whether every shard has been listed and its jobs sent.
    #[must_use]
    pub fn is_dispatched(&self) -> bool {
        self.shards_done == u64::MAX
    }

    /// Whether all went well so far.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.is_dispatched() && self.error.is_none() && self.parked.is_empty()
    }
}

/// What one hour was billed, over all wallets: from the ledger's pages, by the hour that was billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourTotal {
    /// Server-hours.
    pub server_hours: u64,
    /// Steps charged.
    pub amount_steps: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Id;

    #[test]
    fn shards_are_fixed_by_the_id() {
        // FNV-1a 32 of "a" is 0xe40c292c.
        assert_eq!(shard_of(&Id::new("a").unwrap()), 0x2c);
        let spread: std::collections::BTreeSet<u8> =
            (0..2_000).map(|n| shard_of(&Id::new(&format!("cust-{n}")).unwrap())).collect();
        assert_eq!(spread.len(), 64);
    }
}
