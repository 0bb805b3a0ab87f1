//! A durable queue in SQLite that behaves like SQS: at least once, visibility, receive counts, dead letters. Survives a kill.

use api::Clock;
use async_trait::async_trait;
use domain::Timestamp;
use providers::{Depth, Queue, QueueError, Received};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Receives after which a message goes to the dead-letter queue, as in `infra/queues.yaml`; from there it goes nowhere.
pub const MAX_RECEIVES: u32 = 5;
/// Seconds a received message is hidden, as that of `metering` in `infra/queues.yaml`.
pub const VISIBILITY_SECS: i64 = 720;
/// What the name of a queue's dead letters ends in.
const DEAD: &str = "-dead";

/// All queues of one data directory: one SQLite file.
#[derive(Clone, Debug)]
pub struct QueueFile {
    connection: Arc<Mutex<Connection>>,
    clock: Clock,
}

/// One of its queues.
#[derive(Clone, Debug)]
pub struct EmbeddedQueue {
    file: QueueFile,
    name: &'static str,
}

fn failed(operation: &'static str) -> impl Fn(rusqlite::Error) -> QueueError {
    move |e| QueueError::new(operation, e)
}

impl QueueFile {
    /// Opens or creates the file; in memory without a path.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open(path: Option<&Path>, clock: Clock) -> Result<Self, QueueError> {
        let open = || {
            let connection = match path {
                Some(path) => Connection::open(path)?,
                None => Connection::open_in_memory()?,
            };
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // A power cut may lose the last messages: like any lost message, the next run's jobs make up for them.
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS messages (
                     id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, visible_at INTEGER NOT NULL,
                     receives INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL);
                 CREATE INDEX IF NOT EXISTS due ON messages (queue, visible_at);",
            )?;
            Ok(connection)
        };
        let connection = open().map_err(failed("open"))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), clock })
    }

    /// One of its queues.
    #[must_use]
    pub fn queue(&self, name: &'static str) -> EmbeddedQueue {
        EmbeddedQueue { file: self.clone(), name }
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EmbeddedQueue {
    /// Sends messages that become visible at a given time each.
    ///
    /// # Errors
    /// SQLite's.
    pub fn send_at(&self, messages: &[(Timestamp, String)]) -> Result<(), QueueError> {
        let mut connection = self.file.lock();
        let mut send = || {
            let transaction = connection.transaction()?;
            let mut insert =
                transaction.prepare_cached("INSERT INTO messages (queue, visible_at, body) VALUES (?1, ?2, ?3)")?;
            for (visible_at, body) in messages {
                insert.execute(params![self.name, visible_at.secs(), body])?;
            }
            drop(insert);
            transaction.commit()
        };
        send().map_err(failed("send"))
    }

    /// Makes received messages visible again after `delay_secs`, as a failed batch item is.
    ///
    /// # Errors
    /// SQLite's.
    pub fn retry(&self, receipts: &[String], delay_secs: i64) -> Result<(), QueueError> {
        let visible_at = self.file.clock.now().plus_secs(delay_secs).secs();
        let connection = self.file.lock();
        for (id, receives) in receipts.iter().filter_map(|receipt| receipt.split_once('.')) {
            connection
                .execute(
                    "UPDATE messages SET visible_at = ?1 WHERE id = ?2 AND receives = ?3",
                    params![visible_at, id, receives],
                )
                .map_err(failed("retry"))?;
        }
        Ok(())
    }

    /// The bodies it holds, oldest first, visible or not.
    ///
    /// # Errors
    /// SQLite's.
    pub fn all(&self) -> Result<Vec<String>, QueueError> {
        let connection = self.file.lock();
        let read = || {
            let mut select = connection.prepare_cached("SELECT body FROM messages WHERE queue = ?1 ORDER BY id")?;
            select.query_map([self.name], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        read().map_err(failed("list"))
    }

    fn receive_one(&self, connection: &Connection, now: i64) -> rusqlite::Result<Option<Received>> {
        let mut select = connection.prepare_cached(
            "SELECT id, receives, body FROM messages WHERE queue = ?1 AND visible_at <= ?2 ORDER BY visible_at, id LIMIT 1",
        )?;
        loop {
            let row = select.query_row(params![self.name, now], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get::<_, String>(2)?))
            });
            let Some((id, receives, body)) = row.optional()? else { return Ok(None) };
            if receives >= MAX_RECEIVES && !self.name.ends_with(DEAD) {
                let dead = format!("{}{DEAD}", self.name);
                connection.execute("UPDATE messages SET queue = ?1, receives = 0 WHERE id = ?2", params![dead, id])?;
                continue;
            }
            let receive_count = receives + 1;
            connection.execute(
                "UPDATE messages SET receives = ?1, visible_at = ?2 WHERE id = ?3",
                params![receive_count, now + VISIBILITY_SECS, id],
            )?;
            return Ok(Some(Received {
                id: id.to_string(),
                receipt: format!("{id}.{receive_count}"),
                body,
                receive_count,
            }));
        }
    }
}

#[async_trait]
impl Queue for EmbeddedQueue {
    async fn send(&self, bodies: Vec<String>) -> Result<(), QueueError> {
        let now = self.file.clock.now();
        let messages: Vec<(Timestamp, String)> = bodies.into_iter().map(|body| (now, body)).collect();
        self.send_at(&messages)
    }

    async fn receive(&self, max: usize) -> Result<Vec<Received>, QueueError> {
        let now = self.file.clock.now().secs();
        let mut connection = self.file.lock();
        let mut receive = || {
            let transaction = connection.transaction()?;
            let mut found = Vec::new();
            while found.len() < max {
                match self.receive_one(&transaction, now)? {
                    Some(message) => found.push(message),
                    None => break,
                }
            }
            transaction.commit()?;
            Ok(found)
        };
        receive().map_err(failed("receive"))
    }

    async fn delete(&self, receipts: Vec<String>) -> Result<(), QueueError> {
        let mut connection = self.file.lock();
        let mut delete = || {
            let transaction = connection.transaction()?;
            for (id, _) in receipts.iter().filter_map(|receipt| receipt.split_once('.')) {
                transaction.execute("DELETE FROM messages WHERE id = ?1 AND queue = ?2", params![id, self.name])?;
            }
            transaction.commit()
        };
        delete().map_err(failed("delete"))
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let now = self.file.clock.now().secs();
        let connection = self.file.lock();
        let row = connection.query_row(
            "SELECT COALESCE(SUM(visible_at <= ?2), 0), COALESCE(SUM(visible_at > ?2), 0) FROM messages WHERE queue = ?1",
            params![self.name, now],
            |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?)),
        );
        row.map(|(visible, in_flight)| Depth { visible, in_flight }).map_err(failed("depth"))
    }
}
