//! What counted time is told in.

use domain::plan::Metering;

/// Seconds of an hour.
const HOUR_SECS: u32 = 3_600;

/// What `n` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Full hours.
    Hours,
    /// Seconds.
    Seconds,
}

impl Counted {
    /// Hours where they are metered and all these counts are full ones.
    pub fn of(metering: Metering, secs: impl IntoIterator<Item = u32>) -> Self {
        let full = || secs.into_iter().all(|secs| secs.is_multiple_of(HOUR_SECS));
        if metering == Metering::Hourly && full() { Self::Hours } else { Self::Seconds }
    }

    /// Its name in an answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hours => "hour",
            Self::Seconds => "second",
        }
    }

    /// So many seconds, counted so.
    pub fn n(self, secs: u32) -> u32 {
        match self {
            Self::Hours => secs / HOUR_SECS,
            Self::Seconds => secs,
        }
    }
}
