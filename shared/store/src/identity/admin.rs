//! What an admin sees of users, and changes.
//!
//! A change stands in one transaction with its record in the audit log, and with the condition that whoever makes it is an
//! active admin at that very moment. Nobody changes their own role or status here; so after every change there is an active
//! admin left, also where two of them take each other's role away at the same time.

use super::Profile;
use super::table::Over;
use super::users::UserChange;
use crate::access::Access;
use crate::audit::{By, Found};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::text;
use crate::keys::{self, PK};
use domain::account::{Email, Role, Status};
use domain::{Id, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Users looked at for one page of a search; then the caller gets a cursor to go on.
pub const MAX_SEARCHED: usize = 1_000;
/// Users read at once while searching.
const STRETCH: u16 = 200;
/// Tries of a change against others of the same user: somebody signs in, somebody else changes the name.
const MAX_TRIES: usize = 8;

/// What to change; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminChange {
    /// Of the profile.
    pub profile: UserChange,
    /// What they may do.
    pub role: Option<Role>,
    /// Whether they may do anything. Not [`Status::Deleted`]: that is the user's own decision.
    pub status: Option<Status>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminChanged {
    /// It is so now, or was before.
    Done(Box<(Profile, Access)>),
    /// There is no such user.
    Missing,
    /// They had themselves deleted.
    Deleted,
    /// It is the admin's own role or status.
    Own,
}

impl Store {
    /// Users whose address, name or company has `words` in it, in whatever case; newest first, at most `limit`, of those who
    /// came before `after`. The whole address of somebody finds them at once.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn user_search(
        &self,
        words: &str,
        after: Option<Id>,
        limit: usize,
    ) -> Result<Found<Profile>, StoreError> {
        if let (Ok(email), None) = (Email::parse(words), &after)
            && let Some(user) = self.user_by_email(&email).await?
        {
            let rows = self.user_get(&user).await?.map(|(profile, _)| profile).into_iter().collect();
            return Ok(Found { rows, next: None });
        }
        let words = words.to_lowercase();
        let has = |text: Option<&str>| text.is_some_and(|text| text.to_lowercase().contains(&words));
        let (mut rows, mut position, mut examined) = (Vec::new(), after, 0);
        while examined < MAX_SEARCHED {
            let users = self.user_list(position.as_ref(), STRETCH).await?;
            let is_last = users.len() < usize::from(STRETCH);
            for user in users {
                if rows.len() == limit {
                    return Ok(Found { rows, next: position.map(String::from) });
                }
                examined += 1;
                position = Some(user.id.clone());
                let texts = [user.email.as_ref().map(Email::as_str), user.name.as_deref(), user.company.as_deref()];
                if texts.into_iter().any(has) {
                    rows.push(user);
                }
            }
            if is_last {
                return Ok(Found { rows, next: None });
            }
        }
        Ok(Found { rows, next: position.map(String::from) })
    }

    /// What some users may do, by user.
    ///
    /// # Errors
    /// DynamoDB's, or an item that cannot be read.
    pub async fn access_list(&self, users: &[Id]) -> Result<BTreeMap<Id, Access>, StoreError> {
        let mut wanted: Vec<&Id> = users.iter().collect();
        wanted.sort();
        wanted.dedup();
        let keys = wanted.into_iter().map(|user| (keys::access(user), keys::ACCESS.to_owned())).collect();
        let items = self.get_many(Area::Identity, keys).await?;
        let user = |item| text(item, PK).and_then(keys::parse_access);
        items
            .iter()
            .filter_map(|item| Some((user(item)?, item)))
            .map(|(user, item)| Ok((user, Access::read(item)?)))
            .collect()
    }

    /// Changes a user, for an admin, with its record in the audit log. Deactivation ends sessions and API keys.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where others were faster every time, or the admin is none any more; DynamoDB's.
    pub async fn user_admin_change(
        &self,
        user: &Id,
        change: &AdminChange,
        action: &str,
        by: &By,
    ) -> Result<AdminChanged, StoreError> {
        let mut tries = 1;
        loop {
            match self.admin_change_once(user, change, action, by).await {
                Err(StoreError::Conflict(_)) if tries < MAX_TRIES => tries += 1,
                other => return other,
            }
        }
    }

    async fn admin_change_once(
        &self,
        user: &Id,
        change: &AdminChange,
        action: &str,
        by: &By,
    ) -> Result<AdminChanged, StoreError> {
        let Some((old, rev)) = self.user_get(user).await? else { return Ok(AdminChanged::Missing) };
        let access = self.access_get(user).await?.filter(|access| access.status != Status::Deleted);
        let Some(access) = access.filter(|_| old.deleted_at.is_none()) else { return Ok(AdminChanged::Deleted) };
        let (role, status) = (change.role.unwrap_or(access.role), change.status.unwrap_or(access.status));
        let is_access = (role, status) != (access.role, access.status);
        if is_access && *user == by.actor {
            return Ok(AdminChanged::Own);
        }
        let new = change.profile.on(&old, by.at);
        let (was, is) = differences((&old, &access), (&new, role, status));
        if was.is_empty() {
            return Ok(AdminChanged::Done(Box::new((old, access))));
        }
        let record = by.record(action, format!("user/{user}"), was.into(), is.into());
        let mut actions = vec![self.audit_action(&record)?];
        if is_profile(&old, &new) {
            actions.extend(self.profile_actions(&new, rev + 1, Over::Rev(rev))?);
        }
        if is_access {
            actions.push(self.access_change_action(user, &access, role, status)?);
            actions.push(self.access_admin_check(&by.actor)?);
        }
        self.transact(Area::Identity, actions).await?;
        let profile = if is_profile(&old, &new) { new } else { old };
        Ok(AdminChanged::Done(Box::new((profile, access.changed(role, status)))))
    }
}

fn is_profile(old: &Profile, new: &Profile) -> bool {
    (&old.name, &old.company) != (&new.name, &new.company)
}

/// What the audit log says of a name or a company where there is one. The log is kept for ever under the user's id, and who
/// leaves leaves no name: it says that it was given, changed or taken away, not what it is.
const NOT_KEPT: &str = "not kept";

/// What differs, as it was and as it is; of what is personal only whether there is something.
fn differences(
    (old, access): (&Profile, &Access),
    (new, role, status): (&Profile, Role, Status),
) -> (Map<String, Value>, Map<String, Value>) {
    let fields = [
        ("name", json!(old.name), json!(new.name)),
        ("company", json!(old.company), json!(new.company)),
        ("role", json!(access.role), json!(role)),
        ("status", json!(access.status), json!(status)),
    ];
    let kept = |name: &str, value: Value| match name {
        "name" | "company" if !value.is_null() => json!(NOT_KEPT),
        _ => value,
    };
    let changed = fields.into_iter().filter(|(_, was, is)| was != is);
    changed.map(|(name, was, is)| ((name.to_owned(), kept(name, was)), (name.to_owned(), kept(name, is)))).unzip()
}

impl UserChange {
    /// A profile with this changed.
    pub(super) fn on(&self, old: &Profile, now: Timestamp) -> Profile {
        let set = |old: &Option<String>, new: &Option<String>| match new {
            None => old.clone(),
            Some(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        };
        let (name, company) = (set(&old.name, &self.name), set(&old.company, &self.company));
        Profile { name, company, updated_at: now, ..old.clone() }
    }
}
