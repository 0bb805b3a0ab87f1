//! What a user may do now: one item of `main`, read once by every request of every area.
//!
//! Owns: status, role, the live sessions and the API keys' hashes. It is what a signed token cannot know: that a session was
//! ended, or an account suspended, after the token was made. Every change is one update of this one item.
//!
//! Does *not* hold: anything to sign in with. Passwords, refresh tokens and second factors are in `identity`, which most
//! functions cannot read; a key's hash here is that of 256 random bits.

mod admin;

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::identity::Ended;
use crate::item::{Item, s, text};
use crate::keys::{self, PK, SK};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnConsumedCapacity, ReturnValue, TransactWriteItem, Update};
use domain::account::{Role, Scope, Status};
use domain::{Id, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Sessions of one user; the oldest make room.
pub const MAX_SESSIONS: usize = 20;
/// API keys of one user.
pub const MAX_API_KEYS: usize = 10;
/// Tries to make room for a session while others sign in, too.
const ADD_TRIES: usize = 8;

const STATUS: &str = "status";
const ROLE: &str = "role";
const SESSIONS: &str = "sessions";
const KEYS: &str = "keys";

/// What a user may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whether they may do anything.
    pub status: Status,
    /// Whose things.
    pub role: Role,
    /// Sessions that are not over.
    pub sessions: BTreeSet<Id>,
    /// API keys that hold, by id.
    pub keys: BTreeMap<Id, ApiKeyGrant>,
}

/// What an API key may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyGrant {
    /// SHA-256 of its secret, hexadecimal.
    pub hash: String,
    /// Where.
    pub scopes: Vec<Scope>,
    /// Until when; for ever where there is nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// What `user` may do; nothing where there is no such user. One consistent read.
    ///
    /// # Errors
    /// DynamoDB's, or an item that cannot be read.
    pub async fn access_get(&self, user: &Id) -> Result<Option<Access>, StoreError> {
        let item = self.get(Area::Identity, keys::access(user), keys::ACCESS.to_owned()).await?;
        item.as_ref().map(read_access).transpose()
    }

    /// Action: a new user may do what `role` says.
    pub(crate) fn access_create_action(&self, user: &Id, role: Role) -> Result<TransactWriteItem, StoreError> {
        let item = HashMap::from([
            (PK.to_owned(), s(keys::access(user))),
            (SK.to_owned(), s(keys::ACCESS)),
            (STATUS.to_owned(), s(Status::Active.as_str())),
            (ROLE.to_owned(), s(role.as_str())),
            // There before its first entry: an update cannot make a map and what is in it at once.
            (KEYS.to_owned(), AttributeValue::M(HashMap::new())),
        ]);
        let put = Put::builder().table_name(&self.tables().main).set_item(Some(item));
        let put = put.condition_expression(expr::NOT_EXISTS).build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A session is live. Returns those that had to make room for it: the oldest beyond [`MAX_SESSIONS`].
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the user is not active; DynamoDB's.
    pub async fn access_session_add(&self, user: &Id, session: &Id) -> Result<Vec<Id>, StoreError> {
        let mut dropped = Vec::new();
        for _ in 0..ADD_TRIES {
            let update = self
                .access_update(user)
                .update_expression(expr::ACCESS_SESSION_ADD)
                .condition_expression(expr::ACCESS_SESSION_ROOM)
                .expression_attribute_names("#sessions", SESSIONS)
                .expression_attribute_names("#status", STATUS)
                .expression_attribute_values(":session", set([session]))
                .expression_attribute_values(":active", s(Status::Active.as_str()))
                .expression_attribute_values(":most", crate::item::n(MAX_SESSIONS));
            match self.access_send(update).await {
                Err(StoreError::Conflict(_)) => {}
                other => return other.map(|_| dropped),
            }
            let access = self.access_get(user).await?.filter(|access| access.status == Status::Active);
            let access = access.ok_or(StoreError::Conflict("access_session_add"))?;
            if access.sessions.contains(session) {
                // Our write was made, and its answer lost.
                return Ok(dropped);
            }
            // Ids sort by time, so the first are the oldest.
            let over = (access.sessions.len() + 1).saturating_sub(MAX_SESSIONS);
            let oldest: Vec<Id> = access.sessions.into_iter().take(over).collect();
            self.access_session_remove(user, &oldest).await?;
            dropped.extend(oldest);
        }
        Err(StoreError::Conflict("access_session_add"))
    }

    /// Sessions are over. Some that were over before change nothing.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn access_session_remove(&self, user: &Id, sessions: &[Id]) -> Result<(), StoreError> {
        if sessions.is_empty() {
            return Ok(());
        }
        let update = self
            .access_update(user)
            .update_expression(expr::ACCESS_SESSION_REMOVE)
            .condition_expression(expr::EXISTS)
            .expression_attribute_names("#sessions", SESSIONS)
            .expression_attribute_values(":gone", set(sessions));
        gone_is_fine(self.access_send(update).await)
    }

    /// All sessions are over but, where it is live, `keep`.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn access_sessions_end(&self, user: &Id, keep: Option<&Id>) -> Result<(), StoreError> {
        if let Some(session) = keep {
            let update = self
                .access_update(user)
                .update_expression(expr::ACCESS_SESSIONS_KEEP)
                .condition_expression(expr::ACCESS_SESSION_LIVE)
                .expression_attribute_names("#sessions", SESSIONS)
                .expression_attribute_values(":kept", set([session]))
                .expression_attribute_values(":session", s(session.as_str()));
            match self.access_send(update).await {
                Err(StoreError::Conflict(_)) => {}
                other => return other.map(|_| ()),
            }
        }
        let update = self
            .access_update(user)
            .update_expression(expr::ACCESS_SESSIONS_CLEAR)
            .condition_expression(expr::EXISTS)
            .expression_attribute_names("#sessions", SESSIONS);
        gone_is_fine(self.access_send(update).await)
    }

    /// Another status. Suspension leaves sessions and API keys for when it is lifted; deactivation and deletion end them.
    /// Returns what was before; nothing where there is no such user, or a deleted one, who stays so.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn access_status_set(&self, user: &Id, status: Status) -> Result<Option<Access>, StoreError> {
        let ends = match status {
            Status::Active | Status::Suspended => false,
            Status::Deactivated | Status::Deleted => true,
        };
        let update = self
            .access_update(user)
            .condition_expression(expr::ACCESS_NOT_DELETED)
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_values(":status", s(status.as_str()))
            .expression_attribute_values(":deleted", s(Status::Deleted.as_str()));
        let update = if ends {
            update
                .update_expression(expr::ACCESS_STATUS_END)
                .expression_attribute_names("#keys", KEYS)
                .expression_attribute_names("#sessions", SESSIONS)
                .expression_attribute_values(":none", AttributeValue::M(HashMap::new()))
        } else {
            update.update_expression(expr::ACCESS_STATUS)
        };
        self.access_change(update).await
    }

    /// Action: sessions are over. With one kept, that one must be live; with none, API keys end, too.
    pub(crate) fn access_sessions_end_action(
        &self,
        user: &Id,
        ended: Ended<'_>,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = self.access_action(user).expression_attribute_names("#sessions", SESSIONS);
        let update = match ended {
            Ended::All => update
                .update_expression(expr::ACCESS_END)
                .condition_expression(expr::EXISTS)
                .expression_attribute_names("#keys", KEYS)
                .expression_attribute_values(":none", AttributeValue::M(HashMap::new())),
            Ended::AllBut(session) => update
                .update_expression(expr::ACCESS_SESSIONS_KEEP)
                .condition_expression(expr::ACCESS_SESSION_LIVE)
                .expression_attribute_values(":kept", set([session]))
                .expression_attribute_values(":session", s(session.as_str())),
        };
        let update = update.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Action: the user, no admin, is deleted for good; sessions and keys end.
    pub(crate) fn access_delete_action(&self, user: &Id) -> Result<TransactWriteItem, StoreError> {
        let update = self
            .access_action(user)
            .update_expression(expr::ACCESS_STATUS_END)
            .condition_expression(expr::ACCESS_MAY_LEAVE)
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_names("#role", ROLE)
            .expression_attribute_names("#keys", KEYS)
            .expression_attribute_names("#sessions", SESSIONS)
            .expression_attribute_values(":status", s(Status::Deleted.as_str()))
            .expression_attribute_values(":deleted", s(Status::Deleted.as_str()))
            .expression_attribute_values(":admin", s(Role::Admin.as_str()))
            .expression_attribute_values(":none", AttributeValue::M(HashMap::new()));
        let update = update.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Action: an API key holds from now on, where there is room, the user is active and the session that asks live.
    pub(crate) fn access_key_put_action(
        &self,
        (user, session): (&Id, &Id),
        key: &Id,
        grant: &ApiKeyGrant,
    ) -> Result<TransactWriteItem, StoreError> {
        let doc = serde_json::to_string(grant).map_err(|e| StoreError::Invalid(e.to_string()))?;
        let update = self
            .access_action(user)
            .update_expression(expr::ACCESS_KEY_PUT)
            .condition_expression(expr::ACCESS_KEY_ROOM)
            .expression_attribute_names("#keys", KEYS)
            .expression_attribute_names("#key", key.as_str())
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_names("#sessions", SESSIONS)
            .expression_attribute_values(":session", s(session.as_str()))
            .expression_attribute_values(":doc", s(doc))
            .expression_attribute_values(":active", s(Status::Active.as_str()))
            .expression_attribute_values(":most", crate::item::n(MAX_API_KEYS));
        let update = update.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// An API key holds no more. One that did not before changes nothing.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn access_key_remove(&self, user: &Id, key: &Id) -> Result<(), StoreError> {
        let update = self
            .access_update(user)
            .update_expression(expr::ACCESS_KEY_REMOVE)
            .condition_expression(expr::EXISTS)
            .expression_attribute_names("#keys", KEYS)
            .expression_attribute_names("#key", key.as_str());
        gone_is_fine(self.access_send(update).await)
    }

    fn access_action(&self, user: &Id) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
        Update::builder().table_name(&self.tables().main).key(PK, s(keys::access(user))).key(SK, s(keys::ACCESS))
    }

    fn access_update(&self, user: &Id) -> UpdateItemFluentBuilder {
        self.client()
            .update_item()
            .table_name(&self.tables().main)
            .key(PK, s(keys::access(user)))
            .key(SK, s(keys::ACCESS))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    async fn access_send(&self, update: UpdateItemFluentBuilder) -> Result<Option<Item>, StoreError> {
        let answer = update.send().await.map_err(|e| classify("UpdateItem", &e))?;
        self.capacity().wrote(Area::Identity, answer.consumed_capacity.as_slice());
        Ok(answer.attributes)
    }

    /// Sends a change whose condition says that the user is there, and reads what was before.
    async fn access_change(&self, update: UpdateItemFluentBuilder) -> Result<Option<Access>, StoreError> {
        match self.access_send(update.return_values(ReturnValue::AllOld)).await {
            Ok(old) => old.as_ref().map(read_access).transpose(),
            Err(StoreError::Conflict(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Nobody is there whose sessions or keys could be ended.
fn gone_is_fine(sent: Result<Option<Item>, StoreError>) -> Result<(), StoreError> {
    match sent {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn set<'a>(ids: impl IntoIterator<Item = &'a Id>) -> AttributeValue {
    AttributeValue::Ss(ids.into_iter().map(|id| id.as_str().to_owned()).collect())
}

fn read_access(item: &Item) -> Result<Access, StoreError> {
    let place = || text(item, PK).unwrap_or("ACCESS").to_owned();
    let corrupt = |what: &str| StoreError::Corrupt(place(), what.to_owned());
    // What cannot be read allows nothing: it fails the request, it is never taken for "no sessions, no keys, but active".
    let sessions = match item.get(SESSIONS) {
        Some(sessions) => sessions.as_ss().map_err(|_| corrupt("its sessions are no set"))?.as_slice(),
        None => &[],
    };
    let sessions = sessions.iter().map(|id| Id::new(id).map_err(|_| corrupt("a session is no id")));
    let held = item.get(KEYS).and_then(|keys| keys.as_m().ok()).ok_or_else(|| corrupt("it has no map of keys"))?;
    let held = held.iter().map(|(id, grant)| {
        let id = Id::new(id).map_err(|_| corrupt("a key's id is none"))?;
        let grant = grant.as_s().map_err(|_| corrupt("a key is no text"))?;
        let grant = serde_json::from_str(grant).map_err(|e| StoreError::Corrupt(place(), e.to_string()))?;
        Ok((id, grant))
    });
    Ok(Access {
        status: text(item, STATUS).and_then(Status::parse).ok_or_else(|| corrupt("it has no status"))?,
        role: text(item, ROLE).and_then(Role::parse).ok_or_else(|| corrupt("it has no role"))?,
        sessions: sessions.collect::<Result<_, StoreError>>()?,
        keys: held.collect::<Result<_, StoreError>>()?,
    })
}
