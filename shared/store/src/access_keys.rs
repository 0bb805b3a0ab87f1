//! Public keys of access tokens: whoever signs puts them here, whoever verifies reads them here. A new key needs no deploy.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{document, read_document};
use crate::keys;
use domain::Timestamp;
use serde::{Deserialize, Serialize};

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
}

impl Store {
    /// All keys, newest first.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn access_keys(&self) -> Result<Vec<AccessKey>, StoreError> {
        let items = self.query_all(Area::Other, keys::ACCESS_KEYS).await?;
        let keys: Result<Vec<AccessKey>, StoreError> =
            items.iter().map(|item| read_document(item).map(|(key, _)| key)).collect();
        let mut keys = keys?;
        keys.sort_by_key(|key| std::cmp::Reverse(key.since));
        Ok(keys)
    }

    /// Makes a key known. Doing so again changes nothing.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn access_key_add(&self, key: &AccessKey) -> Result<(), StoreError> {
        let item = document(keys::ACCESS_KEYS.to_owned(), key.kid.clone(), 1, key)?;
        match self.put(Area::Other, item, None).await {
            Err(StoreError::Conflict(_)) => Ok(()),
            other => other,
        }
    }
}
