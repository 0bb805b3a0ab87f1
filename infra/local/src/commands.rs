//! The commands of `skymeter`.

pub mod export;
pub mod rebuild;
pub mod replay;
pub mod up;
pub mod verify;

use crate::data_dir::DataDir;
use crate::system::System;
use api::Clock;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;

/// Opens an existing data directory for a command that only reads or repairs.
async fn open_existing(data: &Path) -> anyhow::Result<(DataDir, System)> {
    let data = DataDir::open(data, false)?;
    let system = System::open(Some(&data), Clock::system(), None).await?;
    Ok((data, system))
}

/// A bar on standard error; nothing where that is no terminal.
fn bar(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>10} [{bar:40}] {pos}/{len} {msg} {elapsed}");
    let bar = ProgressBar::new(length).with_prefix(what);
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
