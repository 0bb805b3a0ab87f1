//! Somebody leaves. What they were charged stays, under an id that says nothing about them any more.

use super::Profile;
use super::table::Over;
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::text;
use crate::keys::{self, SK};
use domain::Timestamp;

/// Items of a user that go in the same transaction, beside the six that must; DynamoDB takes 100 in all. Any others are
/// records of sessions and addresses, which expire by themselves.
const MAX_ITEMS: usize = 90;

impl Store {
    /// Takes away all that is personal: address (free for others then), name, company, password, second factor, sessions,
    /// names of keys, addresses. The account is deleted for good, its sessions and keys end. What processors keep, such as
    /// saved cards, is noted in [`Store::departed_list`], and goes soon after. The ledger is not touched.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the profile changed meanwhile, or they are an admin; DynamoDB's.
    pub async fn user_erase(&self, (profile, rev): (&Profile, u32), now: Timestamp) -> Result<(), StoreError> {
        let gone = Profile {
            id: profile.id.clone(),
            email: None,
            name: None,
            company: None,
            email_verified_at: None,
            created_at: profile.created_at,
            updated_at: now,
            deleted_at: Some(now),
        };
        let mut actions = self.profile_actions(&gone, rev + 1, Over::Rev(rev))?.to_vec();
        actions.push(self.access_delete_action(&profile.id)?);
        actions.push(self.departed_action(&profile.id)?);
        if let Some(email) = &profile.email {
            actions.push(self.identity_delete_action(keys::email(email), keys::EMAIL_USER.to_owned(), true)?);
        }
        let own = self.identity_query(&keys::user(&profile.id), "").await?;
        // `KEY#` and `SECRET` must go; the order of the alphabet puts addresses first, which may wait.
        let mut sorts: Vec<&str> = own.iter().filter_map(|item| text(item, SK)).collect();
        sorts.retain(|sk| *sk != keys::PROFILE);
        sorts.sort_by_key(|sk| sk.starts_with(keys::ADDRESS_PREFIX) || sk.starts_with(keys::SESSION_PREFIX));
        for sk in sorts.into_iter().take(MAX_ITEMS) {
            actions.push(self.identity_delete_action(keys::user(&profile.id), sk.to_owned(), false)?);
        }
        self.transact(Area::Identity, actions).await
    }
}
