//! Another address: asked for with a token that is mailed there, and taken by whoever presents it.
//!
//! Of several changes that were asked for, only the newest counts: the item `NEW_EMAIL` names its token, and whoever uses one
//! has to find itself named there. It is written for an address that is taken, too, with a token nobody gets: else whether an
//! earlier token still holds would tell whose the address is. Without that item none counts: so an owner who defends the
//! account ends what a thief asked for.

use super::table::Over;
use super::users::email_item;
use super::{MailToken, Profile, Purpose, Secret};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::expr;
use crate::item::{document, n, s, text};
use crate::keys::{self, PK, SK, TTL};
use crate::outbox::OutboxMail;
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use domain::{Id, Timestamp};
use std::collections::HashMap;

/// Attribute: hash of the one token that counts.
const NEWEST: &str = "newest";
/// Items of the mail to the new address; where none goes out, as many decoys.
const MAIL_ITEMS: u8 = 2;

impl Store {
    /// A change of address is asked for. `token` counts from now on and none before it; `told`, to the old address, and `mail`
    /// go out with it, or as much as that mail is written for nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a mail of that id was there already, or others were at it; DynamoDB's.
    pub async fn email_change_ask(
        &self,
        token: &MailToken,
        told: &OutboxMail,
        mail: Option<&OutboxMail>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let newest = HashMap::from([
            (PK.to_owned(), s(keys::user(&token.user))),
            (SK.to_owned(), s(keys::NEW_EMAIL)),
            (NEWEST.to_owned(), s(&token.hash)),
            (TTL.to_owned(), n(token.expires_at.secs())),
        ]);
        let mut actions = vec![self.token_put_action(token)?, self.identity_put_action(newest, Over::Any)?];
        actions.extend(self.mail_actions(told, now)?);
        actions.extend(match mail {
            Some(mail) => self.mail_actions(mail, now)?,
            None => self.decoy_actions(&token.hash, MAIL_ITEMS, now)?,
        });
        self.transact(Area::Identity, actions).await
    }

    /// The token of that hash, where it holds now and no other change was asked for since.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn email_change_get(&self, hash: &str, now: Timestamp) -> Result<Option<MailToken>, StoreError> {
        let Some(token) = self.token_get(hash, Purpose::ChangeEmail, now).await? else { return Ok(None) };
        let newest = self.identity_get(keys::user(&token.user), keys::NEW_EMAIL.to_owned()).await?;
        let is_newest = newest.is_some_and(|item| text(&item, NEWEST) == Some(hash));
        Ok(Some(token).filter(|_| is_newest))
    }

    /// Uses the token up: its address, which is proven by it, takes the place of the one that `profile` has, which is free
    /// then. `secret` is put over its revision with the next generation, so that no token mailed before holds any more. `mail`
    /// goes out with it; all or nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the address is taken, the token was used or is not the newest, profile or secret changed,
    /// or the user is not active; DynamoDB's.
    pub async fn email_change(
        &self,
        token: &MailToken,
        (profile, profile_rev): (&Profile, u32),
        (secret, secret_rev): (&Secret, u32),
        mail: &OutboxMail,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let user = &profile.id;
        let old =
            profile.email.as_ref().ok_or_else(|| StoreError::Invalid("there is no address to change".to_owned()))?;
        let changed = Profile {
            email: Some(token.email.clone()),
            email_verified_at: Some(now),
            updated_at: now,
            ..profile.clone()
        };
        let secret = document(keys::user(user), keys::SECRET.to_owned(), secret_rev + 1, secret)?;
        let mut actions = vec![self.token_use_action(token)?, self.newest_use_action(user, &token.hash)?];
        actions.push(self.identity_put_action(email_item(&token.email, user), Over::Nothing)?);
        actions.push(self.identity_delete_action(keys::email(old), keys::EMAIL_USER.to_owned(), true)?);
        actions.extend(self.profile_actions(&changed, profile_rev + 1, Over::Rev(profile_rev))?);
        actions.push(self.identity_put_action(secret, Over::Rev(secret_rev))?);
        actions.push(self.access_active_check(user)?);
        actions.extend(self.mail_actions(mail, now)?);
        self.transact(Area::Identity, actions).await
    }

    /// No change of address that was asked for counts any more.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn email_change_drop(&self, user: &Id) -> Result<(), StoreError> {
        self.identity_delete(keys::user(user), keys::NEW_EMAIL.to_owned()).await
    }

    /// As [`Store::user_secret_put`], and no change of address that was asked for before counts any more: who asked did so
    /// without what is needed from now on.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody else was faster; DynamoDB's.
    pub async fn user_secret_strengthen(&self, user: &Id, secret: &Secret, rev: u32) -> Result<(), StoreError> {
        let item = document(keys::user(user), keys::SECRET.to_owned(), rev + 1, secret)?;
        let drop = self.identity_delete_action(keys::user(user), keys::NEW_EMAIL.to_owned(), false)?;
        self.transact(Area::Identity, vec![self.identity_put_action(item, Over::Rev(rev))?, drop]).await
    }

    fn newest_use_action(&self, user: &Id, hash: &str) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.tables().identity)
            .key(PK, s(keys::user(user)))
            .key(SK, s(keys::NEW_EMAIL))
            .condition_expression(expr::EMAIL_NEWEST)
            .expression_attribute_values(":newest", s(hash));
        let delete = delete.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}
