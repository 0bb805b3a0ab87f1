//! Parts that are broken on purpose.

use async_trait::async_trait;
use providers::{Depth, Queue, QueueError, Received};
use skymeter::chaos::Tamper;
use skymeter::embedded::Call;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// While the flag is up, no call of that operation whose text holds that word gets through, and the caller is told so.
#[derive(Debug)]
pub struct Refusing(pub &'static str, pub &'static str, pub Arc<AtomicBool>);

impl Tamper for Refusing {
    fn request(&self, call: &mut Call) {
        let Self(operation, word, flag) = self;
        if flag.load(Ordering::Relaxed) && call.operation == *operation && call.body.contains(word) {
            "Refused".clone_into(&mut call.operation);
        }
    }
}

/// A queue that takes nothing.
#[derive(Debug)]
pub enum Broken {
    /// And says so.
    Refuses,
    /// And never answers.
    Hangs,
}

#[async_trait]
impl Queue for Broken {
    async fn send(&self, _: Vec<String>) -> Result<(), QueueError> {
        match self {
            Self::Refuses => Err(QueueError::new("send", "broken on purpose")),
            Self::Hangs => std::future::pending().await,
        }
    }

    async fn receive(&self, _: usize) -> Result<Vec<Received>, QueueError> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: Vec<String>) -> Result<(), QueueError> {
        Ok(())
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth::default())
    }
}
