//! `skymeter admin EMAIL`: the first admin is made by who has the tables, not by an endpoint.

use crate::installation::{Installation, Target};
use auth::operator;
use domain::account::Role;

/// Gives the owner of an address the role, or takes it away.
///
/// # Errors
/// Nobody has that address; the installation's.
pub async fn run(target: &Target, email: &str, revoke: bool) -> anyhow::Result<()> {
    let installation = Installation::open(target).await?;
    let role = if revoke { Role::User } else { Role::Admin };
    let user = operator::set_role(&installation.store, email, role, installation.clock.now()).await?;
    println!("{user} is {}", if revoke { "an ordinary user now" } else { "an admin now" });
    installation.close(false)
}
