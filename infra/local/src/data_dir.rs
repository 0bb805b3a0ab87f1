//! The data directory: one process at a time, of a version that knows its format.

use anyhow::{Context, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use store::SCHEMA_VERSION;

/// A data directory that is ours as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Held, not read: the lock goes with the file handle, also when the process is killed.
    _lock: File,
    fresh: bool,
    clean: bool,
}

impl DataDir {
    /// Opens the directory, or creates it if `create`.
    ///
    /// # Errors
    /// It does not exist, is in use by another process, or was written by a newer version.
    pub fn open(path: &Path, create: bool) -> anyhow::Result<Self> {
        if create {
            fs::create_dir_all(path)
                .with_context(|| format!("the data directory {} cannot be created", path.display()))?;
        } else if !path.join("VERSION").is_file() {
            bail!("{} is not a data directory of skymeter: it has no VERSION file", path.display());
        }
        let lock_path = path.join("LOCK");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.with_context(|| format!("{} cannot be opened", lock_path.display()))?;
        if lock.try_lock().is_err() {
            bail!("the data directory {} is in use by another process", path.display());
        }
        let version_path = path.join("VERSION");
        let fresh = !version_path.is_file();
        if fresh {
            fs::write(&version_path, format!("{SCHEMA_VERSION}\n"))?;
        }
        let version = fs::read_to_string(&version_path)?;
        match version.trim().parse::<u32>() {
            Ok(version) if version <= SCHEMA_VERSION => {}
            Ok(version) => bail!(
                "the data directory {} was written by a newer skymeter (format {version}, this one knows {SCHEMA_VERSION})",
                path.display()
            ),
            Err(_) => bail!("{} holds no version number", version_path.display()),
        }
        let marker = path.join("CLEAN");
        let clean = fresh || marker.is_file();
        let _ = fs::remove_file(marker);
        Ok(Self { path: path.to_owned(), _lock: lock, fresh, clean })
    }

    /// The database's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join("dynamodb.sqlite")
    }

    /// The queues' file.
    #[must_use]
    pub fn queues(&self) -> PathBuf {
        self.path.join("queues.sqlite")
    }

    /// The private key of access tokens.
    #[must_use]
    pub fn access_key(&self) -> PathBuf {
        self.path.join("access-key.pem")
    }

    /// The mailbox's folder.
    #[must_use]
    pub fn mails(&self) -> PathBuf {
        self.path.join("mails")
    }

    /// Whether it was created just now.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether the process before ended in an orderly way: else the totals are rebuilt.
    #[must_use]
    pub fn was_clean(&self) -> bool {
        self.clean
    }

    /// Notes that all work in hand was finished.
    ///
    /// # Errors
    /// The file system's.
    pub fn mark_clean(&self) -> anyhow::Result<()> {
        fs::write(self.path.join("CLEAN"), "")?;
        Ok(())
    }
}
