//! `skymeter verify`: proves the ledger of an installation. It only reads.

use crate::check::{FAULTS_LISTED, Proof, prove};
use crate::installation::{Installation, Target};
use anyhow::bail;
use domain::Unit;
use domain::verify::Fault;

/// Proves it, or fails with what is wrong.
///
/// # Errors
/// The installation cannot be opened, or the ledger does not hold.
pub async fn run(target: &Target) -> anyhow::Result<()> {
    let installation = Installation::open(target).await?;
    let (proof, _) = prove(&installation.store).await?;
    installation.close(false)?;
    report(&proof)
}

/// Prints a proof; an error where it does not hold.
///
/// # Errors
/// Something is wrong, or due.
pub fn report(proof: &Proof) -> anyhow::Result<()> {
    println!(
        "{} pages of {} wallets: {} server-hours, {} USD; {} tenures compared",
        proof.pages,
        proof.wallets,
        proof.server_hours,
        proof.amount.display(Unit::Usd),
        proof.tenures,
    );
    list("wrong", &proof.faults);
    list("not as the registry says", &proof.due);
    if !proof.holds() {
        bail!("the ledger does not hold: {} faults, {} servers differ", proof.faults.len(), proof.due.len());
    }
    match proof.through {
        Some(through) => println!(
            "verified: hashes link, balances add up, no server-hour stands twice, none is missing before {through}"
        ),
        None => println!("verified: hashes link and balances add up; nothing was billed yet"),
    }
    Ok(())
}

fn list(what: &str, faults: &[Fault]) {
    for fault in faults.iter().take(FAULTS_LISTED) {
        println!("{what}: {fault}");
    }
    if faults.len() > FAULTS_LISTED {
        println!("{what}: and {} more", faults.len() - FAULTS_LISTED);
    }
}
