//! What starts metering at its times: EventBridge Scheduler in the cloud, the setting itself on a laptop.
//!
//! Owns: the schedule's expression as EventBridge writes it. Does *not* own the setting, which is the truth: this only follows
//! it, and tells what it was last told, so that a difference can be seen and mended.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::DisplayErrorContext;
use aws_sdk_scheduler::types::ScheduleState;
use domain::settings::{Days, Times};

/// Days of the week as EventBridge counts them: Sunday is 1, where cron's is 0.
const FIRST_WEEKDAY: u16 = 1;
/// The only time zone that hours are billed in.
const UTC: &str = "UTC";

/// A failed call; for an operator's log.
#[derive(Debug, thiserror::Error)]
#[error("scheduler {operation}: {detail}")]
pub struct SchedulerError {
    /// Which call.
    pub operation: &'static str,
    /// What happened.
    pub detail: String,
}

/// A schedule as it stands outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// In EventBridge's words.
    pub expression: String,
    /// Its time zone; none is UTC.
    pub timezone: Option<String>,
    /// Whether it fires.
    pub enabled: bool,
}

impl Deployed {
    /// Whether it fires at these times, written as we write them.
    #[must_use]
    pub fn is_at(&self, times: &Times) -> bool {
        self.expression == expression(times) && self.timezone.as_deref().is_none_or(|zone| zone == UTC)
    }
}

/// The scheduler.
#[async_trait]
pub trait Scheduler: Send + Sync + std::fmt::Debug {
    /// Makes it fire at these times, UTC. Whether it fires at all stays as it is.
    async fn set(&self, times: &Times) -> Result<(), SchedulerError>;

    /// What it does now. `None`: it has no state of its own, and follows the setting.
    async fn get(&self) -> Result<Option<Deployed>, SchedulerError>;
}

/// Follows the setting by itself: `skymeter up` reads it every second.
#[derive(Clone, Copy, Debug, Default)]
pub struct FollowsSetting;

#[async_trait]
impl Scheduler for FollowsSetting {
    async fn set(&self, _times: &Times) -> Result<(), SchedulerError> {
        Ok(())
    }

    async fn get(&self) -> Result<Option<Deployed>, SchedulerError> {
        Ok(None)
    }
}

/// One schedule of EventBridge Scheduler, in the default group.
#[derive(Clone, Debug)]
pub struct EventBridgeScheduler {
    client: Client,
    name: String,
}

impl EventBridgeScheduler {
    /// The schedule of that name.
    #[must_use]
    pub fn new(sdk: &SdkConfig, name: impl Into<String>) -> Self {
        Self { client: Client::new(sdk), name: name.into() }
    }
}

#[async_trait]
impl Scheduler for EventBridgeScheduler {
    /// An update replaces everything, so what is there is read first and sent back with another expression. Whoever changes
    /// the schedule between the two calls (a deploy) is overwritten.
    async fn set(&self, times: &Times) -> Result<(), SchedulerError> {
        let held = self.client.get_schedule().name(&self.name).send().await;
        let held = held.map_err(|e| failed("GetSchedule", DisplayErrorContext(&e)))?;
        let update = self
            .client
            .update_schedule()
            .name(&self.name)
            .schedule_expression(expression(times))
            .schedule_expression_timezone(UTC)
            .set_group_name(held.group_name)
            .set_description(held.description)
            .set_start_date(held.start_date)
            .set_end_date(held.end_date)
            .set_state(held.state)
            .set_kms_key_arn(held.kms_key_arn)
            .set_target(held.target)
            .set_flexible_time_window(held.flexible_time_window)
            .set_action_after_completion(held.action_after_completion);
        update.send().await.map_err(|e| failed("UpdateSchedule", DisplayErrorContext(&e)))?;
        Ok(())
    }

    async fn get(&self) -> Result<Option<Deployed>, SchedulerError> {
        let held = self.client.get_schedule().name(&self.name).send().await;
        let held = held.map_err(|e| failed("GetSchedule", DisplayErrorContext(&e)))?;
        Ok(Some(Deployed {
            expression: held.schedule_expression.unwrap_or_default(),
            timezone: held.schedule_expression_timezone,
            // EventBridge's default where it says nothing.
            enabled: held.state != Some(ScheduleState::Disabled),
        }))
    }
}

fn failed(operation: &'static str, detail: impl std::fmt::Display) -> SchedulerError {
    SchedulerError { operation, detail: detail.to_string() }
}

/// `cron(minutes hours day-of-month month day-of-week year)`. One of the two days is `?`. Steps are written out: what `/`
/// means differs between the two, lists and ranges are the same everywhere. At most 242 characters; EventBridge takes 256.
#[must_use]
pub fn expression(times: &Times) -> String {
    let (minutes, hours) = (list(&times.minutes, 60), list(&times.hours, 24));
    let months = list(&times.months, 12);
    let (of_month, of_week) = match &times.days {
        Days::All => ("*".to_owned(), "?".to_owned()),
        Days::OfMonth(days) => (list(days, 31), "?".to_owned()),
        Days::OfWeek(days) => {
            let days: Vec<u16> = days.iter().map(|day| day + FIRST_WEEKDAY).collect();
            ("?".to_owned(), list(&days, 7))
        }
    };
    format!("cron({minutes} {hours} {of_month} {months} {of_week} *)")
}

/// Values in ascending order as a list, neighbours as a range, all of them as `*`.
fn list(values: &[u16], all: usize) -> String {
    if values.len() == all {
        return "*".to_owned();
    }
    let runs = values.chunk_by(|a, b| *b == a + 1).map(|run| match run {
        [first, _, .., last] => format!("{first}-{last}"),
        run => run.iter().map(u16::to_string).collect::<Vec<_>>().join(","),
    });
    runs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::settings::Schedule;

    #[test]
    fn five_fields_become_eventbridges_six() {
        for (cron, eventbridge) in [
            ("0 * * * *", "cron(0 * * * ? *)"),
            ("* * * * *", "cron(* * * * ? *)"),
            ("*/15 * * * *", "cron(0,15,30,45 * * * ? *)"),
            ("5-59/20 * * * *", "cron(5,25,45 * * * ? *)"),
            ("0 8-17 * * *", "cron(0 8-17 * * ? *)"),
            ("0 0,1,2,12 * * *", "cron(0 0-2,12 * * ? *)"),
            ("30 4 1,15 * *", "cron(30 4 1,15 * ? *)"),
            ("0 0 1 jan,7 ?", "cron(0 0 1 1,7 ? *)"),
            // Weekdays: 0 and 7 are Sunday here, 1 is Sunday there.
            ("0 0 * * 0", "cron(0 0 ? * 1 *)"),
            ("0 0 * * 7", "cron(0 0 ? * 1 *)"),
            ("0 0 * * 1-5", "cron(0 0 ? * 2-6 *)"),
            ("0 0 * * mon,SAT", "cron(0 0 ? * 2,7 *)"),
            ("0 0 * * 6-7", "cron(0 0 ? * 1,7 *)"),
            ("0 0 * * */2", "cron(0 0 ? * 1,3,5,7 *)"),
            ("0 0 1-31 * 3", "cron(0 0 * * ? *)"),
        ] {
            let times = Schedule::parse(cron).unwrap().times().unwrap();
            assert_eq!(expression(&times), eventbridge, "{cron}");
        }
        for both in ["0 0 1 * 1", "0 0 13 * fri"] {
            assert!(Schedule::parse(both).unwrap().times().is_err(), "{both}");
        }
    }

    #[test]
    fn the_longest_one_is_taken() {
        let pairs = |from: u16, to: u16| (from..=to).filter(|n| (n - from) % 3 != 2).collect::<Vec<u16>>();
        let days = Days::OfMonth(pairs(1, 31));
        let times = Times { minutes: pairs(0, 59), hours: pairs(0, 23), days, months: pairs(1, 12) };
        assert!(expression(&times).len() <= 256, "{}", expression(&times));
    }

    #[test]
    fn a_difference_is_seen() {
        let times = Schedule::parse("0 * * * *").unwrap().times().unwrap();
        let mut held = Deployed { expression: "cron(0 * * * ? *)".to_owned(), timezone: None, enabled: false };
        assert!(held.is_at(&times));
        held.timezone = Some("Europe/Berlin".to_owned());
        assert!(!held.is_at(&times));
        held = Deployed { expression: "rate(1 hour)".to_owned(), timezone: None, enabled: true };
        assert!(!held.is_at(&times));
    }
}
