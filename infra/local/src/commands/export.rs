//! `skymeter export`: every page as one line of JSON, as anyone can check it.

use crate::installation::{Installation, Target};
use domain::wallet::ExportPage;
use std::io::{BufWriter, Write};
use store::Store;

/// Prints all pages to standard output.
///
/// # Errors
/// The installation cannot be opened, a page cannot be read, or the output is closed early.
pub async fn run(target: &Target) -> anyhow::Result<()> {
    let installation = Installation::open(target).await?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = write(&installation.store, &mut out).await;
    installation.close(false)?;
    match written {
        // Whoever reads has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        other => other,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_pipe = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    error.downcast_ref::<std::io::Error>().is_some_and(is_pipe)
        || error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind)
            == Some(std::io::ErrorKind::BrokenPipe)
}

/// Writes all pages, chains whole and ascending.
///
/// # Errors
/// A page that cannot be read, or the output's.
pub async fn write(store: &Store, out: &mut impl Write) -> anyhow::Result<()> {
    let mut start = None;
    loop {
        let (pages, next) = store.ledger_scan(start).await?;
        for page in &pages {
            serde_json::to_writer(&mut *out, &ExportPage::new(page))?;
            out.write_all(b"\n")?;
        }
        match next {
            Some(key) => start = Some(key),
            None => break,
        }
    }
    out.flush()?;
    Ok(())
}
