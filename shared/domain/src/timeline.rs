//! When a server was in which state. Raw facts only: which states are billed is decided when rating.

use crate::time::{HOUR_SECS, Hour, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest state name, in bytes.
pub const MAX_STATE_BYTES: usize = 32;

/// A raw state as the panel calls it, lower case: `running`, `stopped`, `provisioning`, `error`, ...
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct State(Box<str>);

/// The text is no state name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a state: 1 to 32 of a-z 0-9 _ -")]
pub struct StateError(String);

impl State {
    /// Checks alphabet and length.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn new(text: &str) -> Result<Self, StateError> {
        let ok = !text.is_empty()
            && text.len() <= MAX_STATE_BYTES
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if ok { Ok(Self(text.into())) } else { Err(StateError(text.chars().take(40).collect())) }
    }

    /// `running`.
    #[must_use]
    pub fn running() -> Self {
        Self("running".into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// States that no plan bills unless it says so: the customer has no use of the server yet.
    #[must_use]
    pub fn is_unbilled_by_default(&self) -> bool {
        matches!(self.as_str(), "provisioning" | "error")
    }
}

impl TryFrom<String> for State {
    type Error = StateError;
    fn try_from(text: String) -> Result<Self, StateError> {
        Self::new(&text)
    }
}

impl From<State> for String {
    fn from(state: State) -> Self {
        state.0.into()
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A span `[from, to)` in one raw state; `to` is `None` while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span<'a> {
    /// First second.
    pub from: Timestamp,
    /// First second after it.
    pub to: Option<Timestamp>,
    /// The raw state.
    pub state: &'a State,
}

/// The states of a server from its creation to its end: changes by time, and the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeline {
    /// `(second, state from there)`, by time; never empty.
    states: Vec<(Timestamp, State)>,
    /// When the server ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<Timestamp>,
}

/// Facts that cannot stand together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimelineError {
    /// The end lies before the start.
    #[error("the end {end} lies before the start {start}")]
    EndBeforeStart {
        /// First second.
        start: Timestamp,
        /// The end that was told.
        end: Timestamp,
    },
    /// A state change before the server was created.
    #[error("the change at {at} lies before the start {start}")]
    ChangeBeforeStart {
        /// First second.
        start: Timestamp,
        /// The change that was told.
        at: Timestamp,
    },
    /// No state at all, or out of order.
    #[error("the states are empty or out of order")]
    Disordered,
}

impl Timeline {
    /// A server that is in `state` from `start` on.
    #[must_use]
    pub fn new(start: Timestamp, state: State) -> Self {
        Self { states: vec![(start, state)], end: None }
    }

    /// From stored parts.
    ///
    /// # Errors
    /// Empty, out of order, or an end before the start.
    pub fn from_parts(states: Vec<(Timestamp, State)>, end: Option<Timestamp>) -> Result<Self, TimelineError> {
        let timeline = Self { states, end };
        timeline.check()?;
        Ok(timeline)
    }

    /// Checks what was read from outside.
    ///
    /// # Errors
    /// Empty, out of order, or an end before the start.
    pub fn check(&self) -> Result<(), TimelineError> {
        let Some((start, _)) = self.states.first() else { return Err(TimelineError::Disordered) };
        if !self.states.is_sorted_by_key(|(at, _)| *at) {
            return Err(TimelineError::Disordered);
        }
        match self.end {
            Some(end) if end < *start => Err(TimelineError::EndBeforeStart { start: *start, end }),
            _ => Ok(()),
        }
    }

    /// The changes, by time.
    #[must_use]
    pub fn states(&self) -> &[(Timestamp, State)] {
        &self.states
    }

    /// First second that is known.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.states.first().map_or(Hour::EPOCH.start(), |(at, _)| *at)
    }

    /// When the server ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        self.end
    }

    /// The hour after the last one the server can touch, if it has ended. A zero-length life touches its hour.
    #[must_use]
    pub fn end_hour(&self) -> Option<Hour> {
        self.end.map(|end| if end == self.start() { end.hour().plus(1) } else { end.next_full_hour() })
    }

    /// Inserts a change by its time. Every change is kept, also one to the state that already holds: a change that is told
    /// later may fall between. The same fact told twice changes nothing; of two in one second the order is that of their
    /// names, however they came. Returns whether anything changed.
    ///
    /// # Errors
    /// Before the start.
    pub fn set_state(&mut self, at: Timestamp, state: State) -> Result<bool, TimelineError> {
        let start = self.start();
        if at < start {
            return Err(TimelineError::ChangeBeforeStart { start, at });
        }
        let change = (at, state);
        // The first state is the one the server began with: nothing sorts before it.
        let rest = self.states.get(1..).unwrap_or_default();
        if self.states.first() == Some(&change) || rest.contains(&change) {
            return Ok(false);
        }
        let index = 1 + rest.partition_point(|held| *held < change);
        self.states.insert(index, change);
        Ok(true)
    }

    /// Sets the end; the last word counts. Returns whether anything changed.
    ///
    /// # Errors
    /// Before the start.
    pub fn set_end(&mut self, end: Timestamp) -> Result<bool, TimelineError> {
        let start = self.start();
        if end < start {
            return Err(TimelineError::EndBeforeStart { start, end });
        }
        let changed = self.end != Some(end);
        self.end = Some(end);
        Ok(changed)
    }

    /// The state it began with.
    #[must_use]
    pub fn first_state(&self) -> Option<&State> {
        self.states.first().map(|(_, state)| state)
    }

    /// Corrects the state it began with: what the server was in when a transfer came into force.
    pub fn set_first_state(&mut self, state: State) {
        if let Some(first) = self.states.first_mut() {
            first.1 = state;
        }
    }

    /// The spans, oldest first; one that begins at or after the end is left out.
    pub fn spans(&self) -> impl Iterator<Item = Span<'_>> {
        self.states.iter().enumerate().filter_map(|(i, (from, state))| {
            let next = self.states.get(i + 1).map(|(at, _)| *at);
            let to = match (next, self.end) {
                (Some(next), Some(end)) => Some(next.min(end)),
                (next, end) => next.or(end),
            };
            let begins_in_life = self.end.is_none_or(|end| *from < end || *from == self.start());
            begins_in_life.then_some(Span { from: *from, to, state })
        })
    }

    /// Forgets what lies wholly before `hour`: the state that holds there is kept, from `hour` on.
    pub fn prune_before(&mut self, hour: Hour) {
        let cut = hour.start();
        let keep = self.states.partition_point(|(at, _)| *at <= cut);
        if keep > 1 {
            self.states.drain(..keep - 1);
            if let Some(first) = self.states.first_mut() {
                first.0 = first.0.max(cut);
            }
        }
    }
}

impl Span<'_> {
    /// Seconds of this span inside `hour`, or `None` where it does not touch it. A zero-length span touches the hour of
    /// its start with 0 seconds.
    #[must_use]
    pub fn secs_in(&self, hour: Hour) -> Option<u32> {
        let (start, end) = (hour.start(), hour.end());
        let to = self.to.unwrap_or(end);
        if self.from >= end || to < start || (to == start && self.from < start) {
            return None;
        }
        let secs = to.min(end).since(self.from.max(start)).clamp(0, HOUR_SECS);
        // A span that began at or after this hour's start and has length zero still touches it.
        u32::try_from(secs).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs).unwrap()
    }

    fn state(name: &str) -> State {
        State::new(name).unwrap()
    }

    #[test]
    fn a_span_touches_each_hour_it_has_a_second_in() {
        let running = state("running");
        let span = |from, to: Option<i64>| Span { from: at(from), to: to.map(at), state: &running };
        let hour = Hour::EPOCH.plus(1);
        assert_eq!(span(3599, Some(3600)).secs_in(hour), None);
        assert_eq!(span(3599, Some(3601)).secs_in(hour), Some(1));
        assert_eq!(span(3600, Some(3600)).secs_in(hour), Some(0));
        assert_eq!(span(7199, None).secs_in(hour), Some(1));
        assert_eq!(span(7200, Some(7200)).secs_in(hour), None);
        assert_eq!(span(0, None).secs_in(hour), Some(3600));
    }

    #[test]
    fn changes_told_twice_or_out_of_order_end_up_the_same() {
        let mut one = Timeline::new(at(0), state("provisioning"));
        for (t, s) in [(100, "running"), (300, "stopped"), (200, "error")] {
            assert!(one.set_state(at(t), state(s)).unwrap());
        }
        let mut two = Timeline::new(at(0), state("provisioning"));
        for (t, s) in [(300, "stopped"), (200, "error"), (100, "running"), (100, "running"), (300, "stopped")] {
            two.set_state(at(t), state(s)).unwrap();
        }
        assert_eq!(one, two);
        assert!(one.set_state(at(-0), state("running")).is_ok());
        assert!(one.set_end(at(250)).unwrap());
        assert!(!one.set_end(at(250)).unwrap());
        assert_eq!(one.spans().last().unwrap().to, Some(at(250)));
    }

    #[test]
    fn an_end_before_the_start_is_refused() {
        let mut timeline = Timeline::new(at(100), state("running"));
        assert!(timeline.set_end(at(99)).is_err());
        assert!(timeline.set_state(at(99), state("error")).is_err());
        assert_eq!(timeline.set_end(at(100)), Ok(true));
        assert_eq!(timeline.end_hour(), Some(Hour::EPOCH.plus(1)));
    }

    #[test]
    fn pruning_keeps_the_state_that_holds() {
        let mut timeline = Timeline::new(at(0), state("running"));
        timeline.set_state(at(5000), state("stopped")).unwrap();
        timeline.set_state(at(9000), state("running")).unwrap();
        timeline.prune_before(Hour::EPOCH.plus(2));
        assert_eq!(timeline.states(), [(at(7200), state("stopped")), (at(9000), state("running"))]);
    }
}
