//! `skymeter mail`: what an operator does about mails.

use crate::installation::{Installation, Target};
use api::new_id;
use domain::Timestamp;
use domain::account::Email;
use store::{By, Store};

/// An address that bounced for good, or whose owner complained, gets mail again.
///
/// # Errors
/// It is no address; the installation's; DynamoDB's.
pub async fn unsuppress(target: &Target, address: &str) -> anyhow::Result<()> {
    let installation = Installation::open(target).await?;
    if lift(&installation.store, address, installation.clock.now()).await? {
        println!("it gets mail again; take it off the list of SES, too (see infra/README.md)");
    } else {
        println!("it was not suppressed here");
    }
    installation.close(false)
}

/// The same in a store. False where it was not suppressed.
///
/// # Errors
/// As [`unsuppress`].
pub async fn lift(store: &Store, address: &str, now: Timestamp) -> anyhow::Result<bool> {
    let email = Email::parse(address)?;
    let by = By::operator(new_id("aud", now), now)?;
    Ok(store.unsuppress(&domain::mail::address_hash(email.as_str()), &by).await?)
}
