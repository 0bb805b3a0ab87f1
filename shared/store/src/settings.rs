//! Settings. Those that touch money keep their history with the hour each value holds from.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, document, read_document, text};
use crate::keys;
use domain::settings::{
    CRON_SCHEDULE, DEFAULT_CRON, HOURLY_BILLING_ENABLED, HOURS_PER_MONTH, HoursPerMonth, Schedule, SettingError, Switch,
};
use domain::{Month, Timestamp};

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
        let items = self.query_all(Area::Other, keys::SETTINGS).await?;
        let find = |key: &str| items.iter().find(|item| text(item, keys::SK) == Some(key));
        let read = |item: Option<&Item>| item.map(read_document::<serde_json::Value>).transpose();
        let parse =
            |key: &str| -> Result<Option<serde_json::Value>, StoreError> { Ok(read(find(key))?.map(|(v, _)| v)) };
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

    /// Switches hourly billing on or off from the next full hour on: a started hour stays as it was.
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

    async fn change<T, R>(&self, key: &str, edit: impl FnOnce(&mut T) -> Result<R, StoreError>) -> Result<R, StoreError>
    where
        T: Default + serde::Serialize + serde::de::DeserializeOwned,
    {
        let old = self.get(Area::Other, keys::SETTINGS.to_owned(), key.to_owned()).await?;
        let (mut value, old_rev) = match old {
            Some(item) => read_document::<T>(&item).map(|(value, rev)| (value, Some(rev)))?,
            None => (T::default(), None),
        };
        let result = edit(&mut value)?;
        let item = document(keys::SETTINGS.to_owned(), key.to_owned(), old_rev.unwrap_or(0) + 1, &value)?;
        self.put(Area::Other, item, old_rev).await?;
        Ok(result)
    }
}
