//! What an operator sets: names, defaults and bounds. Changes that touch money are kept with the hour they hold from.

use crate::time::{Hour, Month};
use serde::{Deserialize, Serialize};

/// Setting: whether hours are billed at all. Default false.
pub const HOURLY_BILLING_ENABLED: &str = "server_hourly_billing_enabled";
/// Setting: hours a month of price is spread over. Default 730.
pub const HOURS_PER_MONTH: &str = "server_hours_per_month";
/// Setting: when metering runs, five cron fields, UTC. Default `0 * * * *`.
pub const CRON_SCHEDULE: &str = "server_hourly_billing_cron_schedule";

/// Default of [`HOURS_PER_MONTH`].
pub const DEFAULT_HOURS_PER_MONTH: u16 = 730;
/// Largest value of [`HOURS_PER_MONTH`]: a year.
pub const MAX_HOURS_PER_MONTH: u16 = 8_760;
/// Default of [`CRON_SCHEDULE`].
pub const DEFAULT_CRON: &str = "0 * * * *";

/// A setting that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Outside 1 to 8760.
    #[error("server_hours_per_month must be between 1 and 8760, not {0}")]
    HoursPerMonth(u32),
    /// Not a cron expression of five fields.
    #[error("server_hourly_billing_cron_schedule '{expression}' is not a cron expression of five fields: {reason}")]
    Cron {
        /// What was given.
        expression: String,
        /// What the cron library says.
        reason: String,
    },
}

/// When billing was switched on and off: `(from hour, on)`, by hour. Off before the first entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch(Vec<(Hour, bool)>);

impl Switch {
    /// On since ever.
    #[must_use]
    pub fn always_on() -> Self {
        Self(vec![(Hour::EPOCH, true)])
    }

    /// Whether `hour` is billed.
    #[must_use]
    pub fn is_on(&self, hour: Hour) -> bool {
        self.0.iter().rev().find(|(from, _)| *from <= hour).is_some_and(|(_, on)| *on)
    }

    /// Records a change from `hour` on. Later entries stay; one that changes nothing is not kept.
    pub fn set(&mut self, hour: Hour, on: bool) {
        let later = self.0.split_off(self.0.partition_point(|(from, _)| *from < hour));
        self.0.push((hour, on));
        self.0.extend(later.into_iter().filter(|(from, _)| *from > hour));
        let mut held = false;
        self.0.retain(|(_, on)| std::mem::replace(&mut held, *on) != *on);
    }

    /// The part that matters from `hour` on: a job carries no more.
    #[must_use]
    pub fn since(&self, hour: Hour) -> Self {
        let first = self.0.partition_point(|(from, _)| *from <= hour).saturating_sub(1);
        Self(self.0.iter().skip(first).copied().collect())
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &[(Hour, bool)] {
        &self.0
    }
}

/// Hours per month over time: `(from hour, hours)`, by hour; 730 before the first entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoursPerMonth(Vec<(Hour, u16)>);

impl HoursPerMonth {
    /// The value in `hour`'s month. 1 to 8760 also for a stored value out of range.
    #[must_use]
    pub fn at(&self, hour: Hour) -> u16 {
        let entry = self.0.iter().rev().find(|(from, _)| *from <= hour);
        entry.map_or(DEFAULT_HOURS_PER_MONTH, |(_, hours)| (*hours).clamp(1, MAX_HOURS_PER_MONTH))
    }

    /// The value that was set last, and the first hour it holds for; no hour where it was never set.
    #[must_use]
    pub fn newest(&self) -> (Option<Hour>, u16) {
        self.0.last().map_or((None, DEFAULT_HOURS_PER_MONTH), |(from, hours)| (Some(*from), *hours))
    }

    /// Sets the value from the month after `now`'s on. Returns that month.
    ///
    /// # Errors
    /// Outside 1 to 8760.
    pub fn set_after(&mut self, now: Hour, hours: u32) -> Result<Month, SettingError> {
        let value = check_hours_per_month(hours)?;
        let month = now.month().next();
        self.0.retain(|(from, _)| *from < month.start());
        self.0.push((month.start(), value));
        Ok(month)
    }

    /// Sets the value of every month, for a system that has billed nothing yet.
    ///
    /// # Errors
    /// Outside 1 to 8760.
    pub fn constant(hours: u32) -> Result<Self, SettingError> {
        Ok(Self(vec![(Hour::EPOCH, check_hours_per_month(hours)?)]))
    }

    /// The part that matters from `hour` on.
    #[must_use]
    pub fn since(&self, hour: Hour) -> Self {
        let first = self.0.partition_point(|(from, _)| *from <= hour).saturating_sub(1);
        Self(self.0.iter().skip(first).copied().collect())
    }
}

fn check_hours_per_month(hours: u32) -> Result<u16, SettingError> {
    match u16::try_from(hours) {
        Ok(value) if (1..=MAX_HOURS_PER_MONTH).contains(&value) => Ok(value),
        _ => Err(SettingError::HoursPerMonth(hours)),
    }
}

/// A schedule that has been checked: five cron fields, UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    expression: String,
    cron: croner::Cron,
}

impl Schedule {
    /// Parses five fields (minute, hour, day, month, weekday).
    ///
    /// # Errors
    /// [`SettingError::Cron`] with the library's reason.
    pub fn parse(expression: &str) -> Result<Self, SettingError> {
        let wrong = |reason: String| SettingError::Cron { expression: expression.chars().take(80).collect(), reason };
        if expression.split_ascii_whitespace().count() != 5 {
            return Err(wrong("it does not have five fields".to_owned()));
        }
        let parser = croner::parser::CronParser::builder().seconds(croner::parser::Seconds::Disallowed).build();
        let cron = parser.parse(expression).map_err(|e| wrong(e.to_string()))?;
        Ok(Self { expression: expression.to_owned(), cron })
    }

    /// The expression as it was given.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The values each field stands for, for schedulers that write them in another way.
    ///
    /// # Errors
    /// [`SettingError::Cron`] where no two lists of values can say the same: days of the month *or* of the week (cron's
    /// meaning where both are given), and the library's own marks `L`, `W` and `#`.
    pub fn times(&self) -> Result<Times, SettingError> {
        let pattern = &self.cron.pattern;
        let wrong = |reason: &str| SettingError::Cron {
            expression: self.expression.chars().take(80).collect(),
            reason: reason.to_owned(),
        };
        let fields = [&pattern.minutes, &pattern.hours, &pattern.days, &pattern.months, &pattern.days_of_week];
        if fields.iter().any(|field| field.has_modifiers()) {
            return Err(wrong("L, W and # are not taken"));
        }
        let [minutes, hours, of_month, months, of_week] = fields.map(croner::CronComponent::values);
        let (any_of_month, any_of_week) = (of_month.len() == 31, of_week.len() == 7);
        let days = match (any_of_month, any_of_week) {
            (true, true) => Days::All,
            (true, false) if pattern.is_dom_wildcard() || pattern.matches_dom_and_dow() => Days::OfWeek(of_week),
            (false, true) if pattern.is_dow_wildcard() || pattern.matches_dom_and_dow() => Days::OfMonth(of_month),
            // One of the two alternatives is every day.
            (true, false) | (false, true) => Days::All,
            (false, false) => {
                return Err(wrong("days of the month and days of the week cannot both be given; leave one of them *"));
            }
        };
        Ok(Times { minutes, hours, days, months })
    }

    /// The first time strictly after `after`, if there is one.
    #[must_use]
    pub fn next_after(&self, after: crate::Timestamp) -> Option<crate::Timestamp> {
        let after = chrono::DateTime::from_timestamp(after.secs(), 0)?;
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        crate::Timestamp::from_secs(next.timestamp()).ok()
    }
}

/// What a schedule's fields stand for, each in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// 0 to 59.
    pub minutes: Vec<u16>,
    /// 0 to 23.
    pub hours: Vec<u16>,
    /// Which days of these months.
    pub days: Days,
    /// 1 to 12.
    pub months: Vec<u16>,
}

/// Days of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Days {
    /// Every one.
    All,
    /// 1 to 31.
    OfMonth(Vec<u16>),
    /// 0, Sunday, to 6.
    OfWeek(Vec<u16>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn a_schedule_is_told_in_values_or_refused_where_two_lists_cannot_say_it() {
        let times = |text: &str| Schedule::parse(text).unwrap().times();
        let days = |text: &str| times(text).unwrap().days;
        let quarters = times("*/15 8-10,12 * feb,11 *").unwrap();
        assert_eq!((quarters.minutes, quarters.hours), (vec![0, 15, 30, 45], vec![8, 9, 10, 12]));
        assert_eq!((quarters.days, quarters.months), (Days::All, vec![2, 11]));
        assert_eq!(days("0 0 * * sun,5-7"), Days::OfWeek(vec![0, 5, 6]));
        assert_eq!(days("0 0 1,15 * ?"), Days::OfMonth(vec![1, 15]));
        // Cron means "or" where both are given, so all days of the month are all days.
        assert_eq!((days("0 0 1-31 * 1"), days("0 0 * * 1")), (Days::All, Days::OfWeek(vec![1])));
        assert_eq!(days("0 0 1-31 * +1"), Days::OfWeek(vec![1]));
        assert_eq!(days("0 0 * * */1"), Days::All);
        for both in ["0 0 1 * 1", "0 0 1 * +1", "0 0 */2 * 1-5"] {
            let error = times(both).unwrap_err().to_string();
            assert!(error.contains("cannot both be given"), "{error}");
        }
        for mark in ["0 0 L * *", "0 0 15W * *", "0 0 * * 1#2", "0 0 * * 5L"] {
            let error = times(mark).unwrap_err().to_string();
            assert!(error.ends_with("L, W and # are not taken"), "{error}");
        }
    }

    #[test]
    fn a_schedule_is_checked_by_the_cron_library() {
        for bad in ["", "* * * *", "61 * * * *", "0 * * * * *", "every hour", "0 25 * * *", "@hourly"] {
            assert!(Schedule::parse(bad).is_err(), "{bad}");
        }
        let hourly = Schedule::parse(DEFAULT_CRON).unwrap();
        let after = Timestamp::parse("2026-11-01T10:00:00Z").unwrap();
        assert_eq!(hourly.next_after(after).unwrap().to_string(), "2026-11-01T11:00:00Z");
    }

    #[test]
    fn hours_per_month_are_bounded() {
        let mut per = HoursPerMonth::default();
        let now = Timestamp::parse("2026-11-15T10:00:00Z").unwrap().hour();
        assert_eq!(per.set_after(now, 0), Err(SettingError::HoursPerMonth(0)));
        assert_eq!(per.set_after(now, 8_761), Err(SettingError::HoursPerMonth(8_761)));
        assert_eq!(per.set_after(now, 8_760).unwrap().to_string(), "2026-12");
        assert_eq!(per.set_after(now, 100).unwrap().to_string(), "2026-12");
        assert_eq!((per.at(now), per.at(now.month().end())), (730, 100));
    }

    #[test]
    fn the_switch_keeps_its_history() {
        let hour = |n| Hour::EPOCH.plus(n);
        let mut switch = Switch::default();
        assert!(!switch.is_on(hour(5)));
        switch.set(hour(10), true);
        switch.set(hour(20), false);
        switch.set(hour(20), false);
        switch.set(hour(15), true);
        assert_eq!(switch.entries(), [(hour(10), true), (hour(20), false)]);
        assert_eq!(switch.since(hour(12)).entries(), [(hour(10), true), (hour(20), false)]);
        assert_eq!(switch.since(hour(25)).entries(), [(hour(20), false)]);
        assert!(!switch.since(hour(25)).is_on(hour(25)));
    }
}
