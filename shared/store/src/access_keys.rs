//! Public keys of access tokens: whoever signs puts them here, whoever verifies reads them here. A new key needs no deploy.
//!
//! A key that was withdrawn stays, marked: were it deleted, the next instance of `auth` that still has its private half would
//! make it known again.

use crate::audit::{ACCESS_KEY_RETIRE, By};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{document, read_document};
use crate::keys;
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One public key, ES256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Its name in tokens: the thumbprint (RFC 7638).
    pub kid: String,
    /// The curve's point, base64url.
    pub x: String,
    /// The curve's point, base64url.
    pub y: String,
    /// Since when it signs.
    pub since: Timestamp,
    /// Since when nothing it signed holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Timestamp>,
}

impl Store {
    /// The keys that hold, newest first.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn access_keys(&self) -> Result<Vec<AccessKey>, StoreError> {
        let mut keys = self.access_keys_ever().await?;
        keys.retain(|key| key.retired_at.is_none());
        Ok(keys)
    }

    /// All keys, also those that were withdrawn, newest first.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn access_keys_ever(&self) -> Result<Vec<AccessKey>, StoreError> {
        let items = self.query_all(Area::Other, keys::ACCESS_KEYS).await?;
        let keys: Result<Vec<AccessKey>, StoreError> =
            items.iter().map(|item| read_document(item).map(|(key, _)| key)).collect();
        let mut keys = keys?;
        keys.sort_by_key(|key| std::cmp::Reverse(key.since));
        Ok(keys)
    }

    /// Makes a key known, unless it was withdrawn: false then, and nothing may be signed with it. One that was known before, and
    /// takes the place of a newer one, is the newest from now on; else doing so again changes nothing.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn access_key_add(&self, key: &AccessKey) -> Result<bool, StoreError> {
        let item = document(keys::ACCESS_KEYS.to_owned(), key.kid.clone(), 1, key)?;
        match self.put(Area::Other, item, None).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict(_)) => self.access_key_again(key).await,
            Err(error) => Err(error),
        }
    }

    async fn access_key_again(&self, key: &AccessKey) -> Result<bool, StoreError> {
        let Some((held, rev)) = self.access_key(&key.kid).await? else { return Ok(false) };
        if held.retired_at.is_some() {
            return Ok(false);
        }
        let newest = self.access_keys().await?.into_iter().next();
        if newest.is_none_or(|newest| newest.kid == key.kid) {
            return Ok(true);
        }
        let item = document(keys::ACCESS_KEYS.to_owned(), key.kid.clone(), rev.saturating_add(1), key)?;
        match self.put(Area::Other, item, Some(rev)).await {
            Ok(()) => Ok(true),
            // Another instance began at the same moment; or it was withdrawn.
            Err(StoreError::Conflict(_)) => {
                Ok(self.access_key(&key.kid).await?.is_some_and(|(held, _)| held.retired_at.is_none()))
            }
            Err(error) => Err(error),
        }
    }

    /// Withdraws a key, for ever, with its record in the audit log. `None` where there is none of that name.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody else does so at this moment; DynamoDB's.
    pub async fn access_key_retire(&self, kid: &str, by: &By) -> Result<Option<AccessKey>, StoreError> {
        let Some((mut key, rev)) = self.access_key(kid).await? else { return Ok(None) };
        if key.retired_at.is_none() {
            key.retired_at = Some(by.at);
            let item = document(keys::ACCESS_KEYS.to_owned(), kid.to_owned(), rev.saturating_add(1), &key)?;
            let told = json!({ "retired_at": by.at.to_string() });
            let record = by.record(ACCESS_KEY_RETIRE, format!("access_key/{kid}"), Value::Null, told);
            let actions = vec![self.put_action(item, Some(rev))?, self.audit_action(&record)?];
            self.transact(Area::Other, actions).await?;
        }
        Ok(Some(key))
    }

    async fn access_key(&self, kid: &str) -> Result<Option<(AccessKey, u32)>, StoreError> {
        let item = self.get(Area::Other, keys::ACCESS_KEYS.to_owned(), kid.to_owned()).await?;
        item.as_ref().map(read_document).transpose()
    }
}
