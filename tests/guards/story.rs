//! A story in which every function does all it can, and everything it asks for is written down: what the guards about
//! permissions and about reads look at.

use super::shop_story::customers;
use async_trait::async_trait;
use biller::Biller;
use providers::{Depth, Queue, QueueError, Received};
use serde_json::Value;
use skymeter::chaos::{Chaos, Rates, Tamper};
use skymeter::embedded::Call;
use skymeter::queue::EmbeddedQueue;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tests::{TestApp, changed, ended, registered};

/// One call, and whose turn it was; nobody's with an empty name.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The function.
    pub function: &'static str,
    /// DynamoDB's operation; or the permission that a call of a queue needs.
    pub operation: String,
    /// What was asked; of a queue its name.
    pub body: Value,
}

/// Writes down what is called, for the function whose turn it is.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<(&'static str, Vec<Seen>)>>);

impl Recorder {
    /// From now on it is this function's turn.
    pub fn turn(&self, function: &'static str) {
        self.0.lock().unwrap().0 = function;
    }

    /// A queue whose calls are written down.
    pub fn queue(&self, inner: &EmbeddedQueue, name: &'static str) -> Arc<dyn Queue> {
        Arc::new(Recorded { inner: inner.clone(), name, recorder: self.clone() })
    }

    /// What was seen.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap().1)
    }

    fn saw(&self, operation: &str, body: Value) {
        let mut state = self.0.lock().unwrap();
        let function = state.0;
        state.1.push(Seen { function, operation: operation.to_owned(), body });
    }
}

impl Tamper for Recorder {
    fn request(&self, call: &mut Call) {
        self.saw(&call.operation, serde_json::from_str(&call.body).unwrap());
    }
}

/// A queue whose calls are written down. `SqsQueue` sends in batches, which `sqs:SendMessage` authorises.
#[derive(Debug)]
struct Recorded {
    inner: EmbeddedQueue,
    name: &'static str,
    recorder: Recorder,
}

#[async_trait]
impl Queue for Recorded {
    async fn send(&self, bodies: Vec<String>) -> Result<(), QueueError> {
        self.recorder.saw("sqs:SendMessage", self.name.into());
        self.inner.send(bodies).await
    }

    async fn receive(&self, max: usize) -> Result<Vec<Received>, QueueError> {
        self.recorder.saw("sqs:ReceiveMessage", self.name.into());
        self.inner.receive(max).await
    }

    async fn delete(&self, receipts: Vec<String>) -> Result<(), QueueError> {
        self.recorder.saw("sqs:DeleteMessage", self.name.into());
        self.inner.delete(receipts).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.recorder.saw("sqs:GetQueueAttributes", self.name.into());
        self.inner.depth().await
    }
}

/// A run and all its work, each function in its turn.
pub async fn run(app: &TestApp, recorder: &Recorder) {
    let system = &app.system;
    recorder.turn("metering");
    system.metering.open_run(app.time.now()).await.unwrap();
    system.pump_shards().await.unwrap();
    // A biller of its own, because the queue it parks on is looked at, too.
    let parked = recorder.queue(&system.parked, "parked");
    let biller = Biller::new(system.store.clone(), parked, app.time.clock());
    loop {
        recorder.turn("");
        let messages = system.jobs.receive(10).await.unwrap();
        if messages.is_empty() {
            break;
        }
        recorder.turn("biller");
        let response = biller.handle(skymeter::system::event(&messages), Duration::from_secs(60)).await;
        recorder.turn("");
        assert!(response.batch_item_failures.is_empty());
        system.jobs.delete(messages.into_iter().map(|message| message.receipt).collect()).await.unwrap();
    }
    recorder.turn("projector");
    system.pump_feed().await.unwrap();
    recorder.turn("");
}

/// Everything: servers and their bills, and what customers and operators do.
pub async fn story() -> Vec<Seen> {
    let mut seen = fleet().await;
    seen.extend(customers().await);
    seen
}

/// Ends, transfers, late facts, prices, very many states, balances below zero, parked jobs, a proof.
async fn fleet() -> Vec<Seen> {
    let recorder = Recorder::default();
    let chaos = Chaos::tampered(1, Rates::NONE, Box::new(recorder.clone()));
    let mut app = TestApp::with(None, Some(Arc::new(chaos))).await;
    app.allow_leftovers();
    app.system.metering.jobs = recorder.queue(&app.system.jobs, "jobs");
    app.system.metering.shards = recorder.queue(&app.system.shards, "metering");

    // What each function does when it starts.
    recorder.turn("metering");
    app.system.store.schema_claim().await.unwrap();
    for function in ["biller", "projector"] {
        recorder.turn(function);
        app.system.store.schema_check().await.unwrap();
    }
    recorder.turn("");
    app.system.store.billing_switch(true, app.time.now()).await.unwrap();
    let mut unknown = registered("srv-odd", "cus-3", app.at(1));
    if let store::Fact::Registered { plan, .. } = &mut unknown {
        *plan = tests::id("gone");
    }
    app.tell(&[registered("srv-1", "cus-1", app.at(1)), registered("srv-2", "cus-1", app.at(1)), unknown]).await;
    app.tell(&[ended("srv-2", app.at(30))]).await;
    // So many states that they are pruned.
    app.tell(&[registered("srv-busy", "cus-4", app.at(1))]).await;
    app.tell(&(0..70).map(|n| changed("srv-busy", "stopped", app.at(2).plus_secs(n))).collect::<Vec<_>>()).await;
    for _ in 0..3 {
        app.pass(1);
        run(&app, &recorder).await;
    }
    app.tell(&[changed("srv-busy", "running", app.time.now())]).await;
    // Late facts, charged and credited; a server that comes back; a tenure whose meter is long gone.
    app.tell(&[changed("srv-1", "error", app.at(65)), registered("srv-3", "cus-1", app.at(70))]).await;
    app.pass(9);
    run(&app, &recorder).await;
    app.pass(30);
    app.tell(&[ended("srv-2", app.at(130))]).await;
    for _ in 0..9 {
        run(&app, &recorder).await;
        app.pass(1);
    }
    // A proof, and the totals once more.
    app.proof().await;
    let rollups = skymeter::check::roll_up(&app.system.store).await.unwrap();
    app.system.store.rollup_rebuild(&rollups).await.unwrap();
    recorder.take()
}
