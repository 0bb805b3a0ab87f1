//! API keys as they are presented: `sky_<user>_<key>_<secret>`. The ids lead to the one item that knows the secret's hash.

use domain::Id;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What every key begins with, so that scanners find one that was published.
pub const PREFIX: &str = "sky_";
/// Longest key that is looked at, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// A key, taken apart. Whether it holds is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedKey<'a> {
    /// Whose.
    pub user: Id,
    /// Which.
    pub id: Id,
    /// 256 random bits, as text.
    pub secret: &'a str,
}

/// Takes a key apart; nothing where it is none.
#[must_use]
pub fn parse(text: &str) -> Option<PresentedKey<'_>> {
    let rest = text.strip_prefix(PREFIX).filter(|_| text.len() <= MAX_KEY_BYTES)?;
    let mut parts = rest.splitn(3, '_');
    let (user, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
    let id_of = |kind: &str, text: &str| Id::new(&format!("{kind}_{text}")).ok().filter(|_| !text.is_empty());
    Some(PresentedKey { user: id_of("usr", user)?, id: id_of("key", id)?, secret })
}

/// Undoes [`parse`]: the text the user sees once.
#[must_use]
pub fn write(user: &Id, id: &Id, secret: &str) -> String {
    let bare = |id: &Id| id.as_str().split_once('_').map_or("", |(_, text)| text).to_owned();
    format!("{PREFIX}{}_{}_{secret}", bare(user), bare(id))
}

/// The hash under which a secret is kept.
#[must_use]
pub fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

/// Whether a secret is the one that was hashed.
#[must_use]
pub fn holds(secret: &str, hashed: &str) -> bool {
    hash(secret).as_bytes().ct_eq(hashed.as_bytes()).into()
}
