//! The lifecycle function: on a schedule, whatever nobody else would look at again.
//!
//! Owns: five steps, each bounded in number and in time, and each to be done again to no effect: open payments are asked for,
//! mails that wait are handed to the mailer, low balances are told, balances on the watch list are looked at (a mail, an
//! automatic top-up), and what processors keep of deleted users goes. Does *not*: send, charge or bill by itself. A step that
//! fails does not stop the others.

mod departed;
mod events;
mod mails;
mod notice;
mod payments;
mod watched;

use api::Clock;
use cashier::{Cashier, Swept};
use providers::Queue;
use serde_json::Value;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::time::timeout;

pub use departed::Departed;
pub use events::Events;
pub use mails::{MAILS_PER_RUN, Mails, MailsError};
pub use watched::Balances;

/// Longest time of one step: five of them are less than the function's five minutes.
pub const STEP_TIME: Duration = Duration::from_secs(55);

/// What the lifecycle function works with.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    /// The tables.
    pub store: Store,
    /// Open payments and top-ups.
    pub cashier: Cashier,
    /// The mailer's queue.
    pub mails: Arc<dyn Queue>,
    /// The time of day.
    pub clock: Clock,
}

/// What a run came to. A step that failed, or was not done in its time, is `None`: the next run goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Open payments.
    pub payments: Option<Swept>,
    /// Mails that wait.
    pub mails: Option<Mails>,
    /// Low balances told by single pages.
    pub events: Option<Events>,
    /// Watched balances.
    pub balances: Option<Balances>,
    /// Deleted users.
    pub departed: Option<Departed>,
}

impl Figures {
    /// Whether every step was done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let Self { payments, mails, events, balances, departed } = self;
        payments.is_some() && mails.is_some() && events.is_some() && balances.is_some() && departed.is_some()
    }
}

/// A step failed; the log says which. The next run, minutes later, goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a step of the lifecycle failed")]
pub struct StepFailed;

impl Lifecycle {
    /// The Lambda's entry: the schedule's event, of which nothing is needed.
    ///
    /// # Errors
    /// A step failed: so that it is counted as an error of the function.
    pub async fn handle(&self, _event: Value) -> Result<Figures, StepFailed> {
        let figures = self.run().await;
        if figures.is_complete() { Ok(figures) } else { Err(StepFailed) }
    }

    /// One run.
    pub async fn run(&self) -> Figures {
        let payments = step("payments", self.payments()).await;
        let events = step("low balances", self.events()).await;
        let balances = step("watched balances", self.balances()).await;
        let departed = step("deleted users", self.departed()).await;
        // Last: it also finds mails of the steps before, should the queue not have taken them.
        let mails = step("mails", self.mails()).await;
        let figures = Figures { payments, mails, events, balances, departed };
        tracing::info!(?figures, "lifecycle done");
        figures
    }
}

/// Runs a step within its time. Being cut off is nothing new to it: a function may end anywhere.
async fn step<T, E: Display>(name: &'static str, work: impl Future<Output = Result<T, E>>) -> Option<T> {
    match timeout(STEP_TIME, work).await {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            tracing::error!(step = name, error = %error, "a step failed");
            None
        }
        Err(_) => {
            tracing::error!(step = name, "a step was not done in its time");
            None
        }
    }
}
