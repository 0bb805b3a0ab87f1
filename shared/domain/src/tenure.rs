//! Who pays for a server, and since when.

use crate::{Hour, Id, Unit};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Meters one lane holds, so that its jobs fit one queue message. A larger customer gets further lanes.
pub const MAX_LANE_METERS: u32 = 500;

/// One lane of a customer's wallet: the chain of pages it lives in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletId {
    /// Whose money it is.
    pub customer: Id,
    /// What it counts in.
    pub unit: Unit,
    /// 0 first; assigned to a server once, never recomputed.
    pub lane: u16,
}

impl fmt::Display for WalletId {
    /// `customer#unit#lane`, as in the ledger's keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}#{}", self.customer, self.unit.as_str(), self.lane)
    }
}

/// A server's time with one customer. Two tenures of one server never share an hour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenure {
    /// The server.
    pub server: Id,
    /// The first hour this customer pays.
    pub since: Hour,
    /// Who pays, from which wallet and lane.
    pub wallet: WalletId,
}
