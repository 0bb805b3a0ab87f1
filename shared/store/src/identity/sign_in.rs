//! What a sign-in looks at, in the same two reads whether the address is somebody's or nobody's.

use super::{Profile, Secret};
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{n, number, read_document, s, text};
use crate::keys::{self, PK, SK, TTL};
use domain::account::Email;
use domain::{Id, Timestamp};
use std::collections::HashMap;

/// How long an address somebody signed in from is remembered: 90 days.
const ADDRESS_KEPT_SECS: i64 = 90 * 86_400;

/// What is known of who signs in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Who, with the revision of the secret; nothing where the address is nobody's.
    pub user: Option<(Profile, Secret, u32)>,
    /// Whether they signed in from there before, lately.
    pub is_known_address: bool,
}

impl Store {
    /// Reads what a sign-in needs. `address` hashes where it comes from; `stand_in` is looked for where the address is
    /// nobody's, so that the same is read either way.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn sign_in_read(
        &self,
        email: &Email,
        address: &str,
        stand_in: &Id,
        now: Timestamp,
    ) -> Result<SignIn, StoreError> {
        let found = self.user_by_email(email).await?;
        let user = found.as_ref().unwrap_or(stand_in);
        let sorts = [keys::PROFILE.to_owned(), keys::SECRET.to_owned(), keys::address(address)];
        let items = self.identity_get_few(sorts.map(|sk| (keys::user(user), sk)).into()).await?;
        let item = |sk: &str| items.iter().find(|item| text(item, SK) == Some(sk));
        let known_until = item(&keys::address(address)).and_then(|item| number::<i64>(item, TTL));
        let user = match (item(keys::PROFILE), item(keys::SECRET)) {
            (Some(profile), Some(secret)) if found.is_some() => {
                let (secret, rev) = read_document(secret)?;
                Some((read_document(profile)?.0, secret, rev))
            }
            _ => None,
        };
        Ok(SignIn { user, is_known_address: known_until.is_some_and(|until| until > now.secs()) })
    }

    /// Somebody proved to be who they are, from there.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn sign_in_remember(&self, user: &Id, address: &str, now: Timestamp) -> Result<(), StoreError> {
        let item = HashMap::from([
            (PK.to_owned(), s(keys::user(user))),
            (SK.to_owned(), s(keys::address(address))),
            (TTL.to_owned(), n(now.secs() + ADDRESS_KEPT_SECS)),
        ]);
        self.identity_put(item, super::table::Over::Any).await
    }
}
