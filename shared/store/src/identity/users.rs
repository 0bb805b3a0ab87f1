//! Users and whose an address is. The address item is what makes an address unique: it is written in the same transaction.

use super::table::Over;
use super::{MailToken, Profile, Secret};
use crate::access::Access;
use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::item::{Item, document, read_document, s};
use crate::keys::{self, PK, SK};
use crate::outbox::OutboxMail;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, TransactWriteItem};
use domain::account::{Email, Role};
use domain::{Id, Timestamp};
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
        let request = self.client().query().table_name(&self.tables().identity);
        let request = match after {
            None => request.key_condition_expression(expr::IN_PARTITION),
            Some(user) => {
                request.key_condition_expression(expr::BEFORE).expression_attribute_values(":before", s(user.as_str()))
            }
        };
        let request = request
            .expression_attribute_values(":pk", s(keys::USERS))
            .scan_index_forward(false)
            .limit(limit.max(1).into())
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("Query", &e))?;
        self.capacity().read(Area::Identity, answer.consumed_capacity.as_slice());
        answer.items().iter().map(|item| read_document(item).map(|(profile, _)| profile)).collect()
    }

    /// Gives the owner of an address a role: for the operator, who makes the first admin. Returns whose it is and what they
    /// could do before; nothing where the address is nobody's.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn user_role_set(&self, email: &Email, role: Role) -> Result<Option<(Id, Access)>, StoreError> {
        let Some(user) = self.user_by_email(email).await? else { return Ok(None) };
        Ok(self.access_role_set(&user, role).await?.map(|before| (user, before)))
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

fn email_item(email: &Email, user: &Id) -> Item {
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
