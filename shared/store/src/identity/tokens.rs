//! Tokens that are mailed: each holds once, for a while, for one purpose. Using one deletes it, in the same transaction that
//! does what it is for.

use super::table::Over;
use super::{Ended, Profile, Secret};
use crate::access::MAX_API_KEYS;
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, document, n, read_document, s, text};
use crate::keys::{self, PK, SK, TTL};
use crate::outbox::OutboxMail;
use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::account::Email;
use domain::{Id, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How long a decoy is kept, in seconds.
const DECOY_KEPT_SECS: i64 = 3_600;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Whoever has it reads the mail of that address.
    VerifyEmail,
    /// And may choose a new password.
    ResetPassword,
    /// And an account that asked for it has it from then on.
    ChangeEmail,
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailToken {
    /// SHA-256 of it, hexadecimal: where it is found.
    #[serde(skip)]
    pub hash: String,
    /// What for.
    pub purpose: Purpose,
    /// Whose.
    pub user: Id,
    /// Where it was mailed to: it holds as long as that is the user's address; one that changes the address, until it is.
    pub email: Email,
    /// The secret's generation when it was made: it does not survive another password or address.
    pub generation: u32,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

impl Store {
    /// A token and the mail that carries it, both or neither.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn token_create(&self, token: &MailToken, mail: &OutboxMail, now: Timestamp) -> Result<(), StoreError> {
        let mut actions = vec![self.token_put_action(token)?];
        actions.extend(self.mail_actions(mail, now)?);
        self.transact(Area::Identity, actions).await
    }

    /// Writes nothing, as slowly as something: so many items that expire, in one transaction, so that the time does not tell
    /// whether an address is somebody's. `mail` goes out with them, where there is one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a mail of that id was there already; DynamoDB's.
    pub async fn decoy_write(
        &self,
        random: &str,
        items: u8,
        mail: Option<&OutboxMail>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut actions = self.decoy_actions(random, items, now)?;
        if let Some(mail) = mail {
            actions.extend(self.mail_actions(mail, now)?);
        }
        self.transact(Area::Identity, actions).await
    }

    /// The token of that hash, where it holds for `purpose` now.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn token_get(
        &self,
        hash: &str,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<MailToken>, StoreError> {
        let item = self.identity_get(keys::token(hash), keys::TOKEN.to_owned()).await?;
        let token: Option<(MailToken, u32)> = item.as_ref().map(read_document).transpose()?;
        // TTL deletes late: the time decides here.
        let holds = |token: &MailToken| token.purpose == purpose && now < token.expires_at;
        Ok(token.map(|(token, _)| MailToken { hash: hash.to_owned(), ..token }).filter(holds))
    }

    /// Uses a token up: its address is verified. `mail` goes out with it, where there is one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the token was used meanwhile, or the profile changed; DynamoDB's.
    pub async fn email_verify(
        &self,
        token: &MailToken,
        (profile, rev): (&Profile, u32),
        mail: Option<&OutboxMail>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let verified = Profile { email_verified_at: Some(now), updated_at: now, ..profile.clone() };
        let mut actions = vec![self.token_use_action(token)?];
        actions.extend(self.profile_actions(&verified, rev + 1, Over::Rev(rev))?);
        if let Some(mail) = mail {
            actions.extend(self.mail_actions(mail, now)?);
        }
        self.transact(Area::Identity, actions).await
    }

    /// Another password: `secret` over the revision, sessions ended (and, with all of them, API keys), the mail that says so,
    /// and (for a reset) the token used up and the address verified, which it proves; all or nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the token was used meanwhile, or the secret or profile changed; DynamoDB's.
    pub async fn password_change(
        &self,
        user: &Id,
        (secret, rev): (&Secret, u32),
        ended: Ended<'_>,
        reset: Option<(&MailToken, &Profile, u32)>,
        mail: &OutboxMail,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let item = document(keys::user(user), keys::SECRET.to_owned(), rev + 1, secret)?;
        let mut actions = vec![self.identity_put_action(item, Over::Rev(rev))?];
        actions.push(self.access_sessions_end_action(user, ended)?);
        if ended == Ended::All {
            // Their names go with them; one that is made this moment holds no more, either, and is not listed.
            let named = self.identity_query(&keys::user(user), keys::KEY_PREFIX).await?;
            for sk in named.iter().filter_map(|item| text(item, SK)).take(MAX_API_KEYS) {
                actions.push(self.identity_delete_action(keys::user(user), sk.to_owned(), false)?);
            }
        }
        if let Some((token, profile, rev)) = reset {
            actions.push(self.token_use_action(token)?);
            if profile.email_verified_at.is_none() {
                let verified = Profile { email_verified_at: Some(now), updated_at: now, ..profile.clone() };
                actions.extend(self.profile_actions(&verified, rev + 1, Over::Rev(rev))?);
            }
        }
        actions.extend(self.mail_actions(mail, now)?);
        self.transact(Area::Identity, actions).await
    }

    pub(super) fn decoy_actions(
        &self,
        random: &str,
        items: u8,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let decoy = |number: u8| {
            let item = HashMap::from([
                (PK.to_owned(), s(keys::decoy(random))),
                (SK.to_owned(), s(number.to_string())),
                (TTL.to_owned(), n(now.secs() + DECOY_KEPT_SECS)),
            ]);
            self.identity_put_action(item, Over::Any)
        };
        (0..items).map(decoy).collect()
    }

    pub(super) fn token_put_action(&self, token: &MailToken) -> Result<TransactWriteItem, StoreError> {
        let mut item: Item = document(keys::token(&token.hash), keys::TOKEN.to_owned(), 1, token)?;
        item.insert(TTL.to_owned(), n(token.expires_at.secs()));
        self.identity_put_action(item, Over::Nothing)
    }

    pub(super) fn token_use_action(&self, token: &MailToken) -> Result<TransactWriteItem, StoreError> {
        self.identity_delete_action(keys::token(&token.hash), keys::TOKEN.to_owned(), true)
    }
}
