//! `skymeter keys`: the public keys of access tokens, and the withdrawal of one that somebody else has.

use crate::installation::{Installation, Target};
use anyhow::{Context, bail};
use api::new_id;
use domain::Timestamp;
use store::{AccessKey, By, Store};

/// Prints every key: its name in tokens, since when it signs, and whether it still holds.
///
/// # Errors
/// The installation's; DynamoDB's.
pub async fn list(target: &Target) -> anyhow::Result<()> {
    let installation = Installation::open(target).await?;
    for line in lines(&installation.store.access_keys_ever().await?) {
        println!("{line}");
    }
    installation.close(false)
}

/// The same as text. The newest key that holds is taken for the one that signs.
#[must_use]
pub fn lines(keys: &[AccessKey]) -> Vec<String> {
    let signs = keys.iter().find(|key| key.retired_at.is_none()).map(|key| &key.kid);
    let is = |key: &AccessKey| match key.retired_at {
        Some(at) => format!("retired {at}"),
        None if signs == Some(&key.kid) => "in use".to_owned(),
        None => "known".to_owned(),
    };
    keys.iter().map(|key| format!("{}  since {}  {}", key.kid, key.since, is(key))).collect()
}

/// Withdraws a key: a minute later no token that it signed holds anywhere.
///
/// # Errors
/// There is none of that name. It is the one `auth` of a stage signs with, and that was not meant (`anyway`). The
/// installation's; DynamoDB's.
pub async fn retire(target: &Target, kid: &str, anyway: bool) -> anyhow::Result<()> {
    let installation = Installation::open(target).await?;
    // On a laptop the next start makes another.
    let may_be_last = anyway || matches!(target, Target::Directory(_));
    let at = withdraw(&installation.store, kid, may_be_last, installation.clock.now()).await?;
    println!("{kid} is retired since {at}: in a minute no token it signed holds any more");
    installation.close(false)
}

/// The same in a store. Withdrawn twice is withdrawn once; says since when it is.
///
/// # Errors
/// As [`retire`].
pub async fn withdraw(store: &Store, kid: &str, may_be_last: bool, now: Timestamp) -> anyhow::Result<Timestamp> {
    let newest = store.access_keys().await?.into_iter().next();
    if !may_be_last && newest.is_some_and(|newest| newest.kid == kid) {
        bail!(
            "auth signs with this key: give it another first (see infra/README.md), or say --anyway, and nobody signs in \
             until it has one"
        );
    }
    let by = By::operator(new_id("aud", now), now)?;
    let retired = store.access_key_retire(kid, &by).await?.context("there is no key of this name")?;
    retired.retired_at.context("it is not retired")
}
