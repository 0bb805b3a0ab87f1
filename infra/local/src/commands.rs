//! The commands of `skymeter`.

pub mod admin;
pub mod cost;
pub mod export;
pub mod keys;
pub mod load;
pub mod mail;
pub mod preflight;
pub mod rebuild;
pub mod redrive;
pub mod replay;
pub mod sandbox;
pub mod switch;
pub mod up;
pub mod verify;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error; nothing where that is no terminal.
fn bar(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>10} [{bar:40}] {pos}/{len} {msg} {elapsed}");
    let bar = ProgressBar::new(length).with_prefix(what);
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
