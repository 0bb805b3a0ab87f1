//! Hours, months and seconds, all UTC. An hour is `[h, h + 1 h)`, named by its start.

use chrono::{DateTime, Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Seconds in an hour.
pub const HOUR_SECS: i64 = 3_600;
/// The last second whose year has four digits: nothing later can be written as `YYYY-MM-DD`.
const MAX_SECS: i64 = 253_402_300_799;

/// A point in time: whole seconds since 1970-01-01T00:00:00Z, from 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Timestamp(i64);

/// An hour: whole hours since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Hour(u32);

/// A UTC calendar month: `year * 12 + month - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Month(u32);

/// A time outside 1970 to 9999, or a text that is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a time between 1970 and 9999")]
pub struct TimeError(String);

impl Timestamp {
    /// From seconds since the epoch.
    ///
    /// # Errors
    /// Outside 1970 to 9999.
    pub fn from_secs(secs: i64) -> Result<Self, TimeError> {
        if (0..=MAX_SECS).contains(&secs) { Ok(Self(secs)) } else { Err(TimeError(secs.to_string())) }
    }

    /// Parses RFC 3339, e.g. `2026-10-29T00:00:00Z`.
    ///
    /// # Errors
    /// Not RFC 3339, or outside 1970 to 9999.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| TimeError(text.chars().take(40).collect()))?;
        Self::from_secs(time.timestamp())
    }

    /// Seconds since the epoch.
    #[must_use]
    pub fn secs(self) -> i64 {
        self.0
    }

    /// The hour that contains this second.
    #[must_use]
    pub fn hour(self) -> Hour {
        // Bounded by MAX_SECS, so the quotient fits.
        Hour(u32::try_from(self.0 / HOUR_SECS).unwrap_or(u32::MAX))
    }

    /// The first full hour that starts at or after this second.
    #[must_use]
    pub fn next_full_hour(self) -> Hour {
        if self.0 % HOUR_SECS == 0 { self.hour() } else { self.hour().plus(1) }
    }

    /// Later by `secs` (earlier if negative), held inside 1970 to 9999.
    #[must_use]
    pub fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs).clamp(0, MAX_SECS))
    }

    /// Seconds from `earlier` to this; negative if it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl Hour {
    /// The hour that starts at 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// After every hour of every server.
    pub const FAR_FUTURE: Self = Self(70_389_527);

    /// Hours since the epoch.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// Its first second.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp(i64::from(self.0) * HOUR_SECS)
    }

    /// The first second after it.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.plus(1).start()
    }

    /// Later by `hours`.
    #[must_use]
    pub fn plus(self, hours: u32) -> Self {
        Self(self.0.saturating_add(hours).min(Self::FAR_FUTURE.0 + 1))
    }

    /// Earlier by `hours`, not before the epoch.
    #[must_use]
    pub fn minus(self, hours: u32) -> Self {
        Self(self.0.saturating_sub(hours))
    }

    /// Hours from `earlier` to this, 0 if it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// The calendar month it lies in.
    #[must_use]
    pub fn month(self) -> Month {
        let date = DateTime::from_timestamp(self.start().0, 0).unwrap_or_default();
        Month(u32::try_from(date.year()).unwrap_or(0) * 12 + date.month0())
    }

    /// The UTC calendar day it lies in: days since the epoch.
    #[must_use]
    pub fn day(self) -> u32 {
        self.0 / 24
    }

    /// The hour of its UTC day, 0 to 23.
    #[must_use]
    pub fn of_day(self) -> u32 {
        self.0 % 24
    }
}

impl Month {
    /// Parses `YYYY-MM`, 1970 to 9999.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let wrong = || TimeError(text.chars().take(40).collect());
        let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        if year.len() != 4 || month.len() != 2 || !is_number(year) || !is_number(month) {
            return Err(wrong());
        }
        let (year, month): (u32, u32) = (year.parse().map_err(|_| wrong())?, month.parse().map_err(|_| wrong())?);
        if year < 1970 || !(1..=12).contains(&month) {
            return Err(wrong());
        }
        Ok(Self(year * 12 + month - 1))
    }

    /// The first hour of the month.
    #[must_use]
    pub fn start(self) -> Hour {
        let year = i32::try_from(self.0 / 12).unwrap_or(1970);
        let days = NaiveDate::from_ymd_opt(year, self.0 % 12 + 1, 1)
            .map_or(0, |date| (date - NaiveDate::default()).num_days());
        Hour(u32::try_from(days * 24).unwrap_or(0))
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The first hour after it.
    #[must_use]
    pub fn end(self) -> Hour {
        self.next().start()
    }
}

impl TryFrom<i64> for Timestamp {
    type Error = TimeError;
    fn try_from(secs: i64) -> Result<Self, TimeError> {
        Self::from_secs(secs)
    }
}

impl From<Timestamp> for i64 {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

impl TryFrom<u32> for Hour {
    type Error = TimeError;
    fn try_from(hours: u32) -> Result<Self, TimeError> {
        if hours <= Self::FAR_FUTURE.0 + 1 { Ok(Self(hours)) } else { Err(TimeError(format!("hour {hours}"))) }
    }
}

impl From<Hour> for u32 {
    fn from(hour: Hour) -> Self {
        hour.0
    }
}

impl fmt::Display for Timestamp {
    /// `YYYY-MM-DDTHH:MM:SSZ`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = DateTime::from_timestamp(self.0, 0).unwrap_or_default();
        let secs = self.0.rem_euclid(86_400);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            date.year(),
            date.month(),
            date.day(),
            secs / 3600,
            secs / 60 % 60,
            secs % 60
        )
    }
}

impl fmt::Display for Hour {
    /// Its start, `YYYY-MM-DDTHH:00:00Z`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.start().fmt(f)
    }
}

impl fmt::Display for Month {
    /// `YYYY-MM`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_months_meet_at_the_calendar() {
        let last = Timestamp::parse("2026-10-31T23:59:59Z").unwrap().hour();
        assert_eq!(last.to_string(), "2026-10-31T23:00:00Z");
        assert_eq!(last.month().to_string(), "2026-10");
        assert_eq!(last.month().end(), last.plus(1));
        assert_eq!(last.plus(1).month().to_string(), "2026-11");
        assert_eq!(Timestamp::parse("2024-02-29T12:00:00+02:00").unwrap().to_string(), "2024-02-29T10:00:00Z");
    }

    #[test]
    fn months_parse_as_they_print() {
        for month in ["1970-01", "2026-11", "9999-12"] {
            assert_eq!(Month::parse(month).unwrap().to_string(), month);
        }
        for bad in ["", "2026", "2026-1", "2026-00", "2026-13", "1969-12", "2026-11-01", "+026-11", "26-11", "2026-١١"]
        {
            assert!(Month::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_full_hour_is_its_own_next() {
        let full = Timestamp::parse("2026-11-01T10:00:00Z").unwrap();
        assert_eq!(full.next_full_hour(), full.hour());
        assert_eq!(full.plus_secs(1).next_full_hour(), full.hour().plus(1));
    }

    #[test]
    fn times_outside_four_digit_years_are_refused() {
        assert!(Timestamp::from_secs(-1).is_err());
        assert!(Timestamp::from_secs(MAX_SECS + 1).is_err());
        assert!(Timestamp::parse("yesterday").is_err());
        assert_eq!(Timestamp::from_secs(MAX_SECS).unwrap().hour(), Hour::FAR_FUTURE);
    }
}
