//! Settings. Those that touch money keep their history with the hour each value holds from.

use crate::audit::{By, SETTING_SET};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, document, n, number, read_document, s, text};
use crate::keys;
use domain::settings::{
    CRON_SCHEDULE, DEFAULT_CRON, HOURLY_BILLING_ENABLED, HOURS_PER_MONTH, HoursPerMonth, Schedule, SettingError, Switch,
};
use domain::{Month, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Attribute: when a setting was set.
const SET_AT: &str = "at";
/// Attribute: who set it.
const SET_BY: &str = "by";

/// All that metering needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingSettings {
    /// When billing was on.
    pub switch: Switch,
    /// Hours per month.
    pub per: HoursPerMonth,
    /// When metering runs.
    pub schedule: Schedule,
}

/// Who set a setting last, and when; `operator` at the command line. Nothing is known of one that the start of a system set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingStamp {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
}

/// What an admin sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingChange {
    /// Whether hours are billed, from the next full hour on.
    HourlyBillingEnabled(bool),
    /// Hours a month of price is spread over, from the next month on.
    HoursPerMonth(u32),
    /// When metering runs.
    CronSchedule(Box<Schedule>),
}

impl From<SettingError> for StoreError {
    fn from(error: SettingError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl Store {
    /// The billing settings, defaults where nothing was set.
    ///
    /// # Errors
    /// DynamoDB's, or a stored setting that is out of range.
    pub async fn billing_settings(&self) -> Result<BillingSettings, StoreError> {
        Ok(self.settings_read().await?.0)
    }

    /// As [`Store::billing_settings`], with who set what, by key.
    ///
    /// # Errors
    /// As [`Store::billing_settings`].
    pub async fn settings_read(&self) -> Result<(BillingSettings, BTreeMap<String, SettingStamp>), StoreError> {
        let items = self.query_all(Area::Other, keys::SETTINGS).await?;
        let stamps = items.iter().filter_map(|item| Some((text(item, keys::SK)?.to_owned(), read_stamp(item)?)));
        Ok((read_settings(&items)?, stamps.collect()))
    }
    /// Switches hourly billing on or off from the next full hour on: a started hour stays as it was. For what begins a system; who
    /// changes one uses [`Store::setting_set`], which leaves a record.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody else changed it meanwhile; DynamoDB's.
    pub async fn billing_switch(&self, on: bool, now: Timestamp) -> Result<(), StoreError> {
        self.change(HOURLY_BILLING_ENABLED, |switch: &mut Switch| {
            switch.set(now.next_full_hour(), on);
            Ok(())
        })
        .await
    }

    /// Sets hours per month from the next month on; returns that month.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] outside 1 to 8760; as [`Store::billing_switch`].
    pub async fn hours_per_month_set(&self, hours: u32, now: Timestamp) -> Result<Month, StoreError> {
        self.change(HOURS_PER_MONTH, |per: &mut HoursPerMonth| Ok(per.set_after(now.hour(), hours)?)).await
    }

    /// Sets the schedule.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where it is no cron expression; as [`Store::billing_switch`].
    pub async fn schedule_set(&self, expression: &str) -> Result<(), StoreError> {
        let schedule = Schedule::parse(expression)?;
        self.change(CRON_SCHEDULE, |cron: &mut String| {
            schedule.expression().clone_into(cron);
            Ok(())
        })
        .await
    }

    /// Sets a setting for an admin, with its record in the audit log. Returns whether that changed anything: what stands so
    /// already is not written again.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] outside of a setting's bounds; as [`Store::billing_switch`].
    pub async fn setting_set(&self, change: &SettingChange, by: &By) -> Result<bool, StoreError> {
        match change {
            SettingChange::HourlyBillingEnabled(on) => {
                let tell = |switch: &Switch| match switch.entries().last() {
                    Some((from, on)) => json!({ "value": on, "since": from.to_string() }),
                    None => json!({ "value": false }),
                };
                let edit = |switch: &mut Switch| {
                    switch.set(by.at.next_full_hour(), *on);
                    Ok(())
                };
                self.change_by(HOURLY_BILLING_ENABLED, edit, tell, by).await
            }
            SettingChange::HoursPerMonth(hours) => {
                let tell = |per: &HoursPerMonth| match per.newest() {
                    (Some(from), hours) => json!({ "value": hours, "since": from.to_string() }),
                    (None, hours) => json!({ "value": hours }),
                };
                let edit = |per: &mut HoursPerMonth| Ok(per.set_after(by.at.hour(), *hours).map(|_| ())?);
                self.change_by(HOURS_PER_MONTH, edit, tell, by).await
            }
            SettingChange::CronSchedule(schedule) => {
                let tell = |cron: &String| json!({ "value": if cron.is_empty() { DEFAULT_CRON } else { cron } });
                let edit = |cron: &mut String| {
                    schedule.expression().clone_into(cron);
                    Ok(())
                };
                self.change_by(CRON_SCHEDULE, edit, tell, by).await
            }
        }
    }

    async fn change_by<T>(
        &self,
        key: &str,
        edit: impl FnOnce(&mut T) -> Result<(), StoreError>,
        tell: impl Fn(&T) -> Value,
        by: &By,
    ) -> Result<bool, StoreError>
    where
        T: Default + serde::Serialize + serde::de::DeserializeOwned,
    {
        let (mut value, old_rev) = self.setting_get::<T>(key).await?;
        let before = tell(&value);
        edit(&mut value)?;
        let after = tell(&value);
        if before == after {
            return Ok(false);
        }
        let mut item = document(keys::SETTINGS.to_owned(), key.to_owned(), old_rev.unwrap_or(0) + 1, &value)?;
        item.insert(SET_AT.to_owned(), n(by.at.secs()));
        item.insert(SET_BY.to_owned(), s(by.actor.as_str()));
        let record = by.record(SETTING_SET, format!("setting/{key}"), before, after);
        let actions = vec![self.put_action(item, old_rev)?, self.audit_action(&record)?];
        self.transact(Area::Other, actions).await?;
        Ok(true)
    }

    async fn setting_get<T>(&self, key: &str) -> Result<(T, Option<u32>), StoreError>
    where
        T: Default + serde::de::DeserializeOwned,
    {
        match self.get(Area::Other, keys::SETTINGS.to_owned(), key.to_owned()).await? {
            Some(item) => read_document(&item).map(|(value, rev)| (value, Some(rev))),
            None => Ok((T::default(), None)),
        }
    }

    async fn change<T, R>(&self, key: &str, edit: impl FnOnce(&mut T) -> Result<R, StoreError>) -> Result<R, StoreError>
    where
        T: Default + serde::Serialize + serde::de::DeserializeOwned,
    {
        let (mut value, old_rev) = self.setting_get::<T>(key).await?;
        let result = edit(&mut value)?;
        let item = document(keys::SETTINGS.to_owned(), key.to_owned(), old_rev.unwrap_or(0) + 1, &value)?;
        self.put(Area::Other, item, old_rev).await?;
        Ok(result)
    }
}

fn read_settings(items: &[Item]) -> Result<BillingSettings, StoreError> {
    let find = |key: &str| items.iter().find(|item| text(item, keys::SK) == Some(key));
    let read = |item: Option<&Item>| item.map(read_document::<Value>).transpose();
    let parse = |key: &str| -> Result<Option<Value>, StoreError> { Ok(read(find(key))?.map(|(v, _)| v)) };
    let corrupt = |key: &str, e: serde_json::Error| StoreError::Corrupt(key.to_owned(), e.to_string());
    let switch = parse(HOURLY_BILLING_ENABLED)?.map(serde_json::from_value).transpose();
    let per = parse(HOURS_PER_MONTH)?.map(serde_json::from_value).transpose();
    let cron: Option<String> =
        parse(CRON_SCHEDULE)?.map(serde_json::from_value).transpose().map_err(|e| corrupt(CRON_SCHEDULE, e))?;
    Ok(BillingSettings {
        switch: switch.map_err(|e| corrupt(HOURLY_BILLING_ENABLED, e))?.unwrap_or_default(),
        per: per.map_err(|e| corrupt(HOURS_PER_MONTH, e))?.unwrap_or_default(),
        schedule: Schedule::parse(cron.as_deref().unwrap_or(DEFAULT_CRON))?,
    })
}

fn read_stamp(item: &Item) -> Option<SettingStamp> {
    let at = number(item, SET_AT).and_then(|secs| Timestamp::from_secs(secs).ok())?;
    Some(SettingStamp { at, by: text(item, SET_BY)?.to_owned() })
}
