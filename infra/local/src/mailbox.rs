//! The mailbox of a laptop: what SES is in the cloud. Keeps the last mails, as files where there is a data directory, and shows
//! them in the browser under `/mailbox`. It sends nothing anywhere.

mod eml;
mod pages;

use anyhow::Context;
use async_trait::async_trait;
use providers::{MailError, MailFailure, Mailer, MessageId, RawMail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use pages::{FRONTEND, router};

/// Mails that are kept.
pub const KEPT_MAILS: usize = 200;

/// Cheap to clone; every clone is the same mailbox.
#[derive(Clone)]
pub struct Mailbox(Arc<Mutex<Kept>>);

struct Kept {
    folder: Option<PathBuf>,
    mails: BTreeMap<u64, Vec<u8>>,
    next: u64,
}

/// A mail as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Counts up.
    pub number: u64,
    /// When it was sent, as it says itself.
    pub date: String,
    /// Who it is from.
    pub from: String,
    /// Where it went.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

impl Mail {
    fn read(number: u64, raw: &[u8]) -> Self {
        let part = eml::Part::read(raw);
        let header = |name| part.header(name).unwrap_or_default();
        Self {
            number,
            date: header("date"),
            from: header("from"),
            to: header("to").trim_matches(['<', '>']).to_owned(),
            subject: header("subject"),
            text: part.find("text/plain").unwrap_or_default(),
            html: part.find("text/html").unwrap_or_default(),
        }
    }

    /// The links of its text.
    #[must_use]
    pub fn links(&self) -> Vec<&str> {
        let words = self.text.split_whitespace();
        words.filter(|word| word.starts_with("http://") || word.starts_with("https://")).collect()
    }
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mailbox({} mails)", self.lock().mails.len())
    }
}

impl Mailbox {
    /// With the mails of a folder, which is created; in memory without one.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(folder: Option<&Path>) -> anyhow::Result<Self> {
        let mut mails = BTreeMap::new();
        if let Some(folder) = folder {
            let place = || format!("the mail folder {}", folder.display());
            fs::create_dir_all(folder).with_context(place)?;
            for entry in fs::read_dir(folder).with_context(place)? {
                let path = entry.with_context(place)?.path();
                let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".eml"));
                if let Some(number) = number.and_then(|number| number.parse().ok()) {
                    mails.insert(number, fs::read(&path).with_context(place)?);
                }
            }
        }
        let next = mails.last_key_value().map_or(1, |(number, _)| number + 1);
        let mut kept = Kept { folder: folder.map(Path::to_owned), mails, next };
        kept.trim();
        Ok(Self(Arc::new(Mutex::new(kept))))
    }

    /// What it holds, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Mail> {
        self.lock().mails.iter().map(|(number, raw)| Mail::read(*number, raw)).collect()
    }

    /// The newest mail to an address.
    #[must_use]
    pub fn newest_to(&self, address: &str) -> Option<Mail> {
        self.all().into_iter().rev().find(|mail| mail.to.eq_ignore_ascii_case(address))
    }

    fn raw(&self, number: u64) -> Option<Vec<u8>> {
        self.lock().mails.get(&number).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn path(&self, number: u64) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{number:08}.eml")))
    }

    fn add(&mut self, raw: Vec<u8>) -> std::io::Result<u64> {
        let number = self.next;
        if let Some(path) = self.path(number) {
            fs::write(path, &raw)?;
        }
        self.next += 1;
        self.mails.insert(number, raw);
        self.trim();
        Ok(number)
    }

    fn trim(&mut self) {
        while self.mails.len() > KEPT_MAILS
            && let Some((number, _)) = self.mails.pop_first()
        {
            // One that stays is only looked at again at the next start.
            let _ = self.path(number).map(fs::remove_file);
        }
    }
}

#[async_trait]
impl Mailer for Mailbox {
    async fn send(&self, mail: RawMail) -> Result<MessageId, MailError> {
        let number = self.lock().add(mail.bytes).map_err(|e| MailError::new(MailFailure::NotSent, e))?;
        Ok(MessageId(format!("mailbox-{number}")))
    }
}

#[cfg(test)]
mod tests;
