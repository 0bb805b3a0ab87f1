//! What our calls cost: the capacity units DynamoDB reports, counted by area.

use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// Pages and their keys.
    Ledger,
    /// Fleet registry, lanes, plans, rates.
    Registry,
    /// Totals, revenue, events, stream markers.
    Rollups,
    /// Users, sessions, who may do what.
    Identity,
    /// Runs and settings.
    Other,
}

/// Read and write units, in tenths (DynamoDB reports halves).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Tenths of a read unit.
    pub read_tenths: u64,
    /// Tenths of a write unit.
    pub write_tenths: u64,
    /// Calls that wrote.
    pub writes: u64,
    /// Calls that read.
    pub reads: u64,
}

/// Counters of one process, shared by its stores.
#[derive(Debug, Default)]
pub struct Capacity {
    areas: [[AtomicU64; 4]; 5],
}

impl Area {
    /// Every area.
    pub const ALL: [Self; 5] = [Self::Ledger, Self::Registry, Self::Rollups, Self::Identity, Self::Other];

    fn index(self) -> usize {
        match self {
            Self::Ledger => 0,
            Self::Registry => 1,
            Self::Rollups => 2,
            Self::Identity => 3,
            Self::Other => 4,
        }
    }
}

impl Capacity {
    /// Counts a call that wrote.
    pub fn wrote(&self, area: Area, consumed: &[ConsumedCapacity]) {
        self.add(area, 1, 2, consumed);
    }

    /// Counts a call that read.
    pub fn read(&self, area: Area, consumed: &[ConsumedCapacity]) {
        self.add(area, 0, 3, consumed);
    }

    fn add(&self, area: Area, units: usize, calls: usize, consumed: &[ConsumedCapacity]) {
        let tenths = consumed.iter().filter_map(ConsumedCapacity::capacity_units).map(tenths).sum();
        if let Some(counters) = self.areas.get(area.index()) {
            counters.get(units).map(|c| c.fetch_add(tenths, Ordering::Relaxed));
            counters.get(calls).map(|c| c.fetch_add(1, Ordering::Relaxed));
        }
    }

    /// The sums so far.
    #[must_use]
    pub fn units(&self, area: Area) -> Units {
        let get =
            |i: usize| self.areas.get(area.index()).and_then(|a| a.get(i)).map_or(0, |c| c.load(Ordering::Relaxed));
        Units { read_tenths: get(0), write_tenths: get(1), writes: get(2), reads: get(3) }
    }
}

#[expect(
    clippy::float_arithmetic,
    clippy::as_conversions,
    reason = "DynamoDB reports units as a double; no money here"
)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "units are small and positive")]
fn tenths(units: f64) -> u64 {
    (units * 10.0).round() as u64
}

/// Write units of one item by DynamoDB's published size rules: names and values in bytes, a unit per started KB.
#[must_use]
pub fn item_write_units(item: &HashMap<String, AttributeValue>) -> u64 {
    item_bytes(item).div_ceil(1024)
}

/// Bytes of one item by the same rules.
#[must_use]
pub fn item_bytes(item: &HashMap<String, AttributeValue>) -> u64 {
    let bytes: usize = item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(blob) => blob.as_ref().len(),
        // A number takes a byte for each two significant digits, and one more.
        AttributeValue::N(digits) => digits.trim_start_matches('-').trim_matches('0').len().div_ceil(2) + 1,
        AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
        AttributeValue::Ss(set) => set.iter().map(String::len).sum(),
        // Other kinds do not occur in our items.
        _ => 0,
    }
}
