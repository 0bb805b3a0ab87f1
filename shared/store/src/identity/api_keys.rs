//! API keys: what they are called. What they may do, and the hash of the secret, is with the user's access.

use super::table::Over;
use crate::access::{ApiKeyGrant, MAX_API_KEYS};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{document, read_document};
use crate::keys;
use crate::outbox::OutboxMail;
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
    /// The session that asked is over.
    SessionEnded,
}

impl Store {
    /// A key holds from now on, and `mail` tells the owner. Whatever ends `session` before (another password does) keeps the
    /// key from holding.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the user may not do anything any more; DynamoDB's.
    pub async fn api_key_create(
        &self,
        (user, session): (&Id, &Id),
        key: &ApiKey,
        hash: String,
        mail: &OutboxMail,
        now: Timestamp,
    ) -> Result<ApiKeyCreated, StoreError> {
        let grant = ApiKeyGrant { hash, scopes: key.scopes.clone(), expires_at: key.expires_at };
        let item = document(keys::user(user), keys::api_key(&key.id), 1, key)?;
        let mut actions = vec![self.identity_put_action(item, Over::Nothing)?];
        actions.push(self.access_key_put_action((user, session), &key.id, &grant)?);
        actions.extend(self.mail_actions(mail, now)?);
        match self.transact(Area::Identity, actions).await {
            Ok(()) => Ok(ApiKeyCreated::New),
            Err(StoreError::Conflict(what)) => {
                if self.identity_get(keys::user(user), keys::api_key(&key.id)).await?.is_some() {
                    return Ok(ApiKeyCreated::Already);
                }
                match self.access_get(user).await? {
                    Some(access) if !access.sessions.contains(session) => Ok(ApiKeyCreated::SessionEnded),
                    Some(access) if access.keys.len() >= MAX_API_KEYS => Ok(ApiKeyCreated::TooMany),
                    Some(_) | None => Err(StoreError::Conflict(what)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// A user's keys that hold, newest first. What is left of one that ended with others is not shown.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn api_key_list(&self, user: &Id) -> Result<Vec<ApiKey>, StoreError> {
        let pk = keys::user(user);
        let (items, access) = tokio::try_join!(self.identity_query(&pk, keys::KEY_PREFIX), self.access_get(user))?;
        let holding = access.map(|access| access.keys).unwrap_or_default();
        let named = items.iter().rev().map(|item| read_document(item).map(|(key, _): (ApiKey, u32)| key));
        named.filter(|key| key.as_ref().map_or(true, |key| holding.contains_key(&key.id))).collect()
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
