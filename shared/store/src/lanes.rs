//! How full a customer's lanes are. A lane is assigned when a server is registered, and never recomputed.

use domain::Hour;
use domain::tenure::MAX_LANE_METERS;
use domain::wallet::METER_KEPT_HOURS;
use serde::{Deserialize, Serialize};

/// Hours a closed server still counts: its meter is kept that long, and clocks may differ by an hour.
const FREED_AFTER_HOURS: u32 = METER_KEPT_HOURS + 1;

/// The document of a customer's lanes in one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lanes(Vec<Lane>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Lane {
    /// Servers that are not closed.
    open: u32,
    /// Servers closed lately, by hour: their meters may still stand on the newest page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    freed: Vec<(Hour, u32)>,
}

impl Lanes {
    /// How many there are.
    pub fn count(&self) -> u16 {
        u16::try_from(self.0.len()).unwrap_or(u16::MAX)
    }

    /// Takes a place in the first lane that has one.
    pub fn assign(&mut self, now: Hour) -> u16 {
        for lane in &mut self.0 {
            lane.freed.retain(|(hour, _)| now.since(*hour) < FREED_AFTER_HOURS);
        }
        let room = |lane: &Lane| lane.open + lane.freed.iter().map(|(_, count)| count).sum::<u32>() < MAX_LANE_METERS;
        let index = self.0.iter().position(room).unwrap_or_else(|| {
            self.0.push(Lane::default());
            self.0.len() - 1
        });
        if let Some(lane) = self.0.get_mut(index) {
            lane.open += 1;
        }
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    /// Gives a place back once the meter is gone.
    pub fn free(&mut self, lane: u16, now: Hour) {
        if let Some(lane) = self.0.get_mut(usize::from(lane)) {
            lane.open = lane.open.saturating_sub(1);
            match lane.freed.iter_mut().find(|(hour, _)| *hour == now) {
                Some((_, count)) => *count += 1,
                None => lane.freed.push((now, 1)),
            }
            lane.freed.retain(|(hour, _)| now.since(*hour) < FREED_AFTER_HOURS);
        }
    }

    /// Takes back a closed server whose end turned out to be later.
    pub fn reopen(&mut self, lane: u16) {
        if let Some(lane) = self.0.get_mut(usize::from(lane)) {
            lane.open += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_takes_500_and_a_closed_servers_place_is_free_when_its_meter_is() {
        let (mut lanes, now) = (Lanes::default(), Hour::EPOCH.plus(1_000));
        let assigned: Vec<u16> = (0..1_001).map(|_| lanes.assign(now)).collect();
        assert_eq!((assigned[499], assigned[500], assigned[999], assigned[1_000]), (0, 1, 1, 2));
        lanes.free(0, now);
        assert_eq!(lanes.assign(now.plus(12)), 2);
        assert_eq!(lanes.assign(now.plus(13)), 0);
    }

    #[test]
    fn a_server_that_is_open_again_takes_its_place_back() {
        let (mut lanes, now) = (Lanes::default(), Hour::EPOCH.plus(1_000));
        (0..500).for_each(|_| assert_eq!(lanes.assign(now), 0));
        lanes.free(0, now);
        lanes.reopen(0);
        // Long after: had the place stayed free, it would be taken now.
        assert_eq!(lanes.assign(now.plus(100)), 1);
        // And it is given back once more.
        lanes.free(0, now.plus(100));
        assert_eq!(lanes.assign(now.plus(200)), 0);
        assert_eq!(lanes.assign(now.plus(200)), 1);
    }
}
