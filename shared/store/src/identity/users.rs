//! Users and whose an address is. The address item is what makes an address unique: it is written in the same transaction.

use super::table::Over;
use super::{MailToken, Profile, Secret};
use crate::audit::{By, USER_UPDATE};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, document, read_document, s};
use crate::keys::{self, PK, SK};
use crate::outbox::OutboxMail;
use crate::query::{Query, Span};
use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::account::{Email, Role, Status};
use domain::{Id, Timestamp};
use serde_json::json;
use std::collections::HashMap;

/// Attribute of an address: whose it is.
const USER: &str = "user";

/// Somebody who comes.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Who.
    pub profile: Profile,
    /// What they may do.
    pub role: Role,
    /// What they sign in with.
    pub secret: Secret,
}

/// What to change of a profile; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// What they are called; empty takes it away.
    pub name: Option<String>,
    /// For whom they are here; empty takes it away.
    pub company: Option<String>,
}

impl Store {
    /// Somebody comes: profile, secret, address, access, and (where given) the token and the mail that carries it; all or
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the address is taken; DynamoDB's.
    pub async fn user_create(
        &self,
        new: &NewUser,
        mailed: Option<(&MailToken, &OutboxMail)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let profile = &new.profile;
        let email =
            profile.email.as_ref().ok_or_else(|| StoreError::Invalid("a new user has an address".to_owned()))?;
        let secret = document(keys::user(&profile.id), keys::SECRET.to_owned(), 1, &new.secret)?;
        let mut actions = vec![self.identity_put_action(email_item(email, &profile.id), Over::Nothing)?];
        actions.extend(self.profile_actions(profile, 1, Over::Nothing)?);
        actions.push(self.identity_put_action(secret, Over::Nothing)?);
        actions.push(self.access_create_action(&profile.id, new.role)?);
        if let Some((token, mail)) = mailed {
            actions.push(self.token_put_action(token)?);
            actions.extend(self.mail_actions(mail, now)?);
        }
        self.transact(Area::Identity, actions).await
    }

    /// Whose an address is.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn user_by_email(&self, email: &Email) -> Result<Option<Id>, StoreError> {
        let item = self.identity_get(keys::email(email), keys::EMAIL_USER.to_owned()).await?;
        item.as_ref().map(read_email).transpose()
    }

    /// Who somebody is, with the revision.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn user_get(&self, user: &Id) -> Result<Option<(Profile, u32)>, StoreError> {
        let item = self.identity_get(keys::user(user), keys::PROFILE.to_owned()).await?;
        item.as_ref().map(read_document).transpose()
    }

    /// What somebody signs in with, with the revision.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn user_secret(&self, user: &Id) -> Result<Option<(Secret, u32)>, StoreError> {
        let item = self.identity_get(keys::user(user), keys::SECRET.to_owned()).await?;
        item.as_ref().map(read_document).transpose()
    }

    /// Replaces what somebody signs in with, over the revision that was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody else was faster; DynamoDB's.
    pub async fn user_secret_put(&self, user: &Id, secret: &Secret, rev: u32) -> Result<(), StoreError> {
        let item = document(keys::user(user), keys::SECRET.to_owned(), rev + 1, secret)?;
        self.identity_put(item, Over::Rev(rev)).await
    }

    /// Changes a profile. Returns what it was and what it is; nothing where there is no such user, or a deleted one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody else was faster; DynamoDB's.
    pub async fn user_change(
        &self,
        user: &Id,
        change: &UserChange,
        now: Timestamp,
    ) -> Result<Option<(Profile, Profile)>, StoreError> {
        let Some((old, rev)) = self.user_get(user).await? else { return Ok(None) };
        if old.deleted_at.is_some() {
            return Ok(None);
        }
        let new = change.on(&old, now);
        self.transact(Area::Identity, self.profile_actions(&new, rev + 1, Over::Rev(rev))?.to_vec()).await?;
        Ok(Some((old, new)))
    }

    /// Users, newest first, at most `limit`, after (that is: who came before) the user named.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn user_list(&self, after: Option<&Id>, limit: u16) -> Result<Vec<Profile>, StoreError> {
        let span = after.map_or(Span::All, |user| Span::Before(user.to_string()));
        let query = Query::identity(keys::USERS, span).newest_first().limit(limit);
        let (items, _) = self.query(&query, None).await?;
        items.iter().map(|item| read_document(item).map(|(profile, _)| profile)).collect()
    }

    /// The newest `most` users' ids, newest first: to count them, or to count out a place of [`Store::user_list`].
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn user_ids(&self, most: usize) -> Result<Vec<Id>, StoreError> {
        let (mut ids, mut start): (Vec<Id>, _) = (Vec::new(), None);
        loop {
            let query = Query::identity(keys::USERS, Span::All).newest_first().limit(most - ids.len());
            let (items, next) = self.query(&query, start).await?;
            ids.extend(items.iter().filter_map(|item| Id::new(crate::item::text(item, SK)?).ok()));
            start = next;
            if start.is_none() || ids.len() >= most {
                return Ok(ids);
            }
        }
    }

    /// Gives the owner of an address a role, with its record in the audit log: for the operator, who makes the first admin.
    /// Returns whose it is; nothing where the address is nobody's. The role they have already is no change.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where their role or status changes at this moment; DynamoDB's.
    pub async fn user_role_set(&self, email: &Email, role: Role, by: &By) -> Result<Option<Id>, StoreError> {
        let Some(user) = self.user_by_email(email).await? else { return Ok(None) };
        let access = self.access_get(&user).await?.filter(|access| access.status != Status::Deleted);
        let Some(access) = access else { return Ok(None) };
        if access.role != role {
            let (was, is) = (json!({ "role": access.role }), json!({ "role": role }));
            let record = by.record(USER_UPDATE, format!("user/{user}"), was, is);
            let change = self.access_change_action(&user, &access, role, access.status)?;
            self.transact(Area::Identity, vec![change, self.audit_action(&record)?]).await?;
        }
        Ok(Some(user))
    }

    /// A profile stands twice: with the user, and in the list of all.
    pub(super) fn profile_actions(
        &self,
        profile: &Profile,
        rev: u32,
        over: Over,
    ) -> Result<[TransactWriteItem; 2], StoreError> {
        let own = document(keys::user(&profile.id), keys::PROFILE.to_owned(), rev, profile)?;
        let listed = document(keys::USERS.to_owned(), profile.id.to_string(), rev, profile)?;
        // The first one's condition decides for both.
        Ok([self.identity_put_action(own, over)?, self.identity_put_action(listed, Over::Any)?])
    }
}

pub(super) fn email_item(email: &Email, user: &Id) -> Item {
    HashMap::from([
        (PK.to_owned(), s(keys::email(email))),
        (SK.to_owned(), s(keys::EMAIL_USER)),
        (USER.to_owned(), s(user.as_str())),
    ])
}

pub(super) fn read_email(item: &Item) -> Result<Id, StoreError> {
    let user = crate::item::text(item, USER).and_then(|user| Id::new(user).ok());
    user.ok_or_else(|| StoreError::Corrupt("EMAIL".to_owned(), "it names no user".to_owned()))
}
