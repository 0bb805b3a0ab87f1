//! What webhooks are: deliveries, where they go, and the queue they wait in. What befalls them stands in `announce`, how they
//! are sent in `deliver`; contents and signatures belong to the processors.

use crate::config::Processor;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use tokio::sync::Notify;

/// How many attempts are remembered.
const MOST_SENT: usize = 20_000;

/// One attempt at delivering one event.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    /// Whose event it is.
    pub processor: Processor,
    /// Its id. A repeated event has the same.
    pub event_id: String,
    /// Its type, such as `payment_intent.succeeded`.
    pub event_type: String,
    /// Counted from 1.
    pub attempt: u32,
    /// Whether it comes from the processor. A forged one must change nothing.
    pub genuine: bool,
    /// The headers, signature among them.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: String,
}

/// Where webhooks go.
#[derive(Clone)]
pub enum Target {
    /// Posted there.
    Url(String),
    /// Handed over in process; the answer is the status.
    Call(Arc<dyn Fn(Delivery) -> BoxFuture<'static, u16> + Send + Sync>),
}

impl Target {
    /// Hands deliveries to `call`, which answers a status.
    pub fn call<F, A>(call: F) -> Self
    where
        F: Fn(Delivery) -> A + Send + Sync + 'static,
        A: Future<Output = u16> + Send + 'static,
    {
        Self::Call(Arc::new(move |delivery| Box::pin(call(delivery))))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "Url({url})"),
            Self::Call(_) => write!(f, "Call"),
        }
    }
}

/// How an event is not the processor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgery {
    Signature,
    Time,
    Host,
}

/// An event as it is sent.
#[derive(Debug)]
pub(crate) struct Event {
    pub processor: Processor,
    pub id: String,
    pub kind: String,
    pub body: String,
}

/// What a processor has to tell: the parts of an event, before it is written.
pub(crate) struct News<'a> {
    pub processor: Processor,
    pub kind: &'a str,
    /// The event without its id.
    pub content: Value,
    /// The ids of the objects it is about.
    pub objects: Vec<String>,
}

/// An event that waits for its next attempt.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub event: Arc<Event>,
    pub forgery: Option<Forgery>,
    pub attempt: u32,
}

/// An attempt, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Whose event.
    pub processor: Processor,
    /// Its id.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// Counted from 1.
    pub attempt: u32,
    /// Whether it was the processor's.
    pub genuine: bool,
    /// What was answered; 0 when nothing was.
    pub status: u16,
}

/// What became of deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Attempts answered by 2xx.
    pub accepted: u64,
    /// Attempts answered by anything else, or by nothing.
    pub refused: u64,
    /// Events of the processor given up after the last try.
    pub abandoned: u64,
    /// Events that wait still: not due, or without a target.
    pub waiting: u64,
}

/// Events waiting, by time and then by their turn.
pub(crate) struct Queue {
    most: usize,
    turn: u64,
    pub waiting: BTreeMap<(i64, u64), Waiting>,
    pub sent: VecDeque<Sent>,
    /// Genuine events that never went out.
    pub lost: u64,
    /// Told when something is put.
    pub arrival: Arc<Notify>,
}

impl Queue {
    pub fn new(most: usize) -> Self {
        let arrival = Arc::new(Notify::new());
        Self { most, turn: 0, waiting: BTreeMap::new(), sent: VecDeque::new(), lost: 0, arrival }
    }

    pub fn put(&mut self, due_ms: i64, waiting: Waiting) {
        self.turn += 1;
        self.waiting.insert((due_ms, self.turn), waiting);
        if self.waiting.len() > self.most {
            self.waiting.pop_first();
            self.lost += 1;
        }
        self.arrival.notify_one();
    }

    /// Remembers an attempt.
    pub fn record(&mut self, sent: Sent) {
        self.sent.push_back(sent);
        if self.sent.len() > MOST_SENT {
            self.sent.pop_front();
        }
    }

    /// When the next is due.
    pub fn next_ms(&self) -> Option<i64> {
        self.waiting.keys().next().map(|(due_ms, _)| *due_ms)
    }
}
