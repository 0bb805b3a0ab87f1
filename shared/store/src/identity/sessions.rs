//! Sessions and the refresh token of each. The revision is the token's generation: a rotation is a put over the revision that
//! was read, so of any number of callers with the same token one wins.

use super::table::Over;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, document, n, read_document};
use crate::keys::{self, TTL};
use domain::{Id, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One sign-in and what came of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: Id,
    /// Whose.
    pub user: Id,
    /// SHA-256 of what all its refresh tokens have in common: tells an old one from an invented one.
    pub family: String,
    /// SHA-256 of the refresh token that holds now.
    pub token: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was refreshed last.
    pub last_used_at: Timestamp,
    /// When it ends if it is not used.
    pub idle_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// From where it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// With what it began, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

impl fmt::Debug for Session {
    /// Without hashes, address and device.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, of {})", self.id, self.user)
    }
}

impl Session {
    /// Whether it may go on.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.idle_at && now < self.expires_at
    }

    fn item(&self, generation: u32) -> Result<Item, StoreError> {
        let mut item = document(keys::user(&self.user), keys::session(&self.id), generation, self)?;
        item.insert(TTL.to_owned(), n(self.idle_at.min(self.expires_at).secs()));
        Ok(item)
    }
}

impl Store {
    /// A session begins, with generation 1. It is live once [`Store::access_session_add`] has been told.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn session_create(&self, session: &Session) -> Result<(), StoreError> {
        // Without a condition: the id is new, and a put that is sent again after its answer was lost must not fail.
        self.identity_put(session.item(1)?, Over::Any).await
    }

    /// A session and its generation.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn session_get(&self, user: &Id, session: &Id) -> Result<Option<(Session, u32)>, StoreError> {
        let item = self.identity_get(keys::user(user), keys::session(session)).await?;
        item.as_ref().map(read_document).transpose()
    }

    /// Puts the session with its next token in the place of `generation`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody else has done so already, or the session is gone; DynamoDB's.
    pub async fn session_rotate(&self, session: &Session, generation: u32) -> Result<(), StoreError> {
        self.identity_put(session.item(generation.saturating_add(1))?, Over::Rev(generation)).await
    }

    /// A session is over: no access token of it is taken any more, then its refresh token is forgotten.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn session_end(&self, user: &Id, session: &Id) -> Result<(), StoreError> {
        self.access_session_remove(user, std::slice::from_ref(session)).await?;
        self.session_forget(user, session).await
    }

    /// Forgets the refresh token of a session that is not live any more.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn session_forget(&self, user: &Id, session: &Id) -> Result<(), StoreError> {
        self.identity_delete(keys::user(user), keys::session(session)).await
    }

    /// The sessions there are records of, newest first; whether one is live, [`crate::Access`] says.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn session_list(&self, user: &Id) -> Result<Vec<Session>, StoreError> {
        let items = self.identity_query(&keys::user(user), keys::SESSION_PREFIX).await?;
        items.iter().rev().map(|item| read_document(item).map(|(session, _)| session)).collect()
    }
}
