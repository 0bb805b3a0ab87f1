//! API keys: what they are called. What they may do, and the hash of the secret, is with the user's access.

use super::table::Over;
use crate::access::{ApiKeyGrant, MAX_API_KEYS};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{document, read_document};
use crate::keys;
use domain::account::Scope;
use domain::{Id, Timestamp};
use serde::{Deserialize, Serialize};

/// A key as its owner sees it, after the first time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id, part of the key.
    pub id: Id,
    /// What the owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it holds; for ever where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What became of a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyCreated {
    /// It holds.
    New,
    /// One of that id is there already.
    Already,
    /// The user has as many as one may have.
    TooMany,
}

impl Store {
    /// A key holds from now on.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the user may not do anything any more; DynamoDB's.
    pub async fn api_key_create(&self, user: &Id, key: &ApiKey, hash: String) -> Result<ApiKeyCreated, StoreError> {
        let grant = ApiKeyGrant { hash, scopes: key.scopes.clone(), expires_at: key.expires_at };
        let item = document(keys::user(user), keys::api_key(&key.id), 1, key)?;
        let named = self.identity_put_action(item, Over::Nothing)?;
        match self.transact(Area::Identity, vec![named, self.access_key_put_action(user, &key.id, &grant)?]).await {
            Ok(()) => Ok(ApiKeyCreated::New),
            Err(StoreError::Conflict(what)) => {
                if self.identity_get(keys::user(user), keys::api_key(&key.id)).await?.is_some() {
                    return Ok(ApiKeyCreated::Already);
                }
                let held = self.access_get(user).await?.map_or(0, |access| access.keys.len());
                if held >= MAX_API_KEYS { Ok(ApiKeyCreated::TooMany) } else { Err(StoreError::Conflict(what)) }
            }
            Err(error) => Err(error),
        }
    }

    /// A user's keys, newest first.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn api_key_list(&self, user: &Id) -> Result<Vec<ApiKey>, StoreError> {
        let items = self.identity_query(&keys::user(user), keys::KEY_PREFIX).await?;
        items.iter().rev().map(|item| read_document(item).map(|(key, _)| key)).collect()
    }

    /// A key holds no more. Whether there was one.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn api_key_delete(&self, user: &Id, key: &Id) -> Result<bool, StoreError> {
        let was = self.identity_get(keys::user(user), keys::api_key(key)).await?.is_some();
        if was {
            // First what makes it hold: should the second fail, the key is dead and can be deleted again.
            self.access_key_remove(user, key).await?;
            self.identity_delete(keys::user(user), keys::api_key(key)).await?;
        }
        Ok(was)
    }
}
