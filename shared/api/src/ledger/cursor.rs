//! Where a list that merges chains goes on: a number for each.

use crate::page::{read_cursor, write_cursor};
use crate::problem::Problem;
use domain::tenure::WalletId;
use domain::{Id, Unit};
use serde::{Deserialize, Serialize};

/// Lanes that are listed together: their positions fit a cursor. 64 lanes are 32,000 servers.
pub const MAX_LANES: usize = 64;

/// Highest number a position may have: chains are far shorter, and sums of them stay far from overflowing.
const MAX_NUMBER: u64 = 1 << 53;

/// A list's position. It holds no names: whose chains they are is in the access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Unit, lane, the number to go on with, the last number.
    lanes: Vec<(Unit, u16, u64, u64)>,
    /// Rows of the next page that were shown.
    #[serde(default)]
    pub skip: u32,
}

/// One chain's part of a list, newest first: from `next` down to `floor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRange {
    /// The chain.
    pub wallet: WalletId,
    /// Number to go on with.
    pub next: u64,
    /// Last number.
    pub floor: u64,
}

impl Position {
    /// Of the chains that have something left.
    #[must_use]
    pub fn new(lanes: impl IntoIterator<Item = LaneRange>, skip: u32) -> Self {
        let lanes = lanes.into_iter().map(|lane| (lane.wallet.unit, lane.wallet.lane, lane.next, lane.floor));
        Self { lanes: lanes.collect(), skip }
    }

    /// Reads a cursor; `None` where none was given.
    ///
    /// # Errors
    /// 400 where it is none that a list gave out.
    pub fn read(text: Option<&str>) -> Result<Option<Self>, Problem> {
        let Some(position) = read_cursor::<Self>(text)? else { return Ok(None) };
        let lane = |index: usize| position.lanes.get(index).map(|(unit, lane, ..)| (*unit, *lane));
        let sorted = (1..position.lanes.len()).all(|index| lane(index - 1) < lane(index));
        let sound = position.lanes.iter().all(|(.., next, floor)| *floor >= 1 && next >= floor && *next <= MAX_NUMBER);
        if sorted && sound && (1..=MAX_LANES).contains(&position.lanes.len()) {
            Ok(Some(position))
        } else {
            Err(Problem::parameter("cursor", "it is none that this list gave out"))
        }
    }

    /// As text; `None` where no chain has anything left.
    ///
    /// # Errors
    /// As [`write_cursor`].
    pub fn write(&self) -> Result<Option<String>, Problem> {
        if self.lanes.is_empty() { Ok(None) } else { write_cursor(self).map(Some) }
    }

    /// The chains it speaks of, as a customer's.
    #[must_use]
    pub fn lanes_of(&self, customer: &Id) -> Vec<LaneRange> {
        let lane = |(unit, lane, next, floor): &(Unit, u16, u64, u64)| LaneRange {
            wallet: WalletId { customer: customer.clone(), unit: *unit, lane: *lane },
            next: *next,
            floor: *floor,
        };
        self.lanes.iter().map(lane).collect()
    }
}
