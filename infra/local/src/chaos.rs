//! Faults, from one seed: at the SDK's HTTP connector and in the queue. Everything the design must survive happens here, so
//! that a replay with faults can be compared with one without, to the byte.

use crate::embedded::{Answer, Call, Embedded, response};
use crate::queue::EmbeddedQueue;
use api::Clock;
use async_trait::async_trait;
use aws_lambda_events::sqs::SqsBatchResponse;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use domain::Timestamp;
use providers::{Depth, Queue, QueueError, Received};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How often each fault happens, in thousandths.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Messages sent twice.
    pub twice: u32,
    /// Messages that come an hour late.
    pub late: u32,
    /// Messages that never come.
    pub lost: u32,
    /// Batches whose worker is killed between two calls.
    pub killed: u32,
    /// Calls whose answer is lost after they were carried out.
    pub unanswered: u32,
    /// Calls that are throttled.
    pub throttled: u32,
    /// Writes that meet another transaction.
    pub conflict: u32,
    /// Reads of the newest page that see the one before it.
    pub stale: u32,
    /// Hours in which metering does not run.
    pub skipped: u32,
    /// Hours in which it runs twice at once.
    pub doubled: u32,
}

impl Rates {
    /// No faults: for a test that breaks one thing on purpose.
    pub const NONE: Self = Self {
        twice: 0,
        late: 0,
        lost: 0,
        killed: 0,
        unanswered: 0,
        throttled: 0,
        conflict: 0,
        stale: 0,
        skipped: 0,
        doubled: 0,
    };
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            twice: 300,
            late: 50,
            lost: 20,
            killed: 50,
            unanswered: 10,
            throttled: 20,
            conflict: 10,
            stale: 100,
            skipped: 100,
            doubled: 150,
        }
    }
}

/// A test's way to break the product on purpose, to see that it is noticed. The product never sets one.
pub trait Tamper: Send + Sync + std::fmt::Debug {
    /// Changes a request on its way to DynamoDB.
    fn request(&self, _call: &mut Call) {}
    /// Changes DynamoDB's answer.
    fn answer(&self, _call: &Call, _answer: &mut Answer) {}
    /// Changes what the biller reports.
    fn report(&self, _response: &mut SqsBatchResponse) {}
}

/// The source of all faults of a run.
#[derive(Debug)]
pub struct Chaos {
    random: Mutex<SmallRng>,
    rates: Rates,
    tamper: Option<Box<dyn Tamper>>,
    quiet: std::sync::atomic::AtomicBool,
}

/// Calls a worker that will be killed still gets through, and the alarm when it is dead.
#[derive(Debug)]
struct Life {
    calls: AtomicU32,
    dead: Notify,
}

tokio::task_local! {
    static LIFE: Arc<Life>;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Throttled,
    Conflict,
    Unanswered,
    Stale,
}

impl Chaos {
    /// Faults from a seed.
    #[must_use]
    pub fn new(seed: u64, rates: Rates) -> Self {
        Self { random: Mutex::new(SmallRng::seed_from_u64(seed)), rates, tamper: None, quiet: false.into() }
    }

    /// With the product broken on purpose; for tests.
    #[must_use]
    pub fn tampered(seed: u64, rates: Rates, tamper: Box<dyn Tamper>) -> Self {
        Self { tamper: Some(tamper), ..Self::new(seed, rates) }
    }

    /// No faults while something is only looked at.
    pub fn set_quiet(&self, quiet: bool) {
        self.quiet.store(quiet, Ordering::Relaxed);
    }

    fn random(&self) -> MutexGuard<'_, SmallRng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn happens(&self, thousandths: u32) -> bool {
        !self.quiet.load(Ordering::Relaxed) && self.random().random_range(0..1_000) < thousandths
    }

    /// Metering does not run this hour.
    pub fn skips(&self) -> bool {
        self.happens(self.rates.skipped)
    }

    /// Two schedulers run this hour.
    pub fn doubles(&self) -> bool {
        self.happens(self.rates.doubled)
    }

    pub(crate) fn twice(&self) -> bool {
        self.happens(self.rates.twice)
    }

    /// Runs an invocation, or kills it between any two of its calls: then there is no answer.
    pub(crate) async fn live_or_die(&self, work: impl Future<Output = SqsBatchResponse>) -> Option<SqsBatchResponse> {
        let calls = if self.happens(self.rates.killed) { self.random().random_range(0..20) } else { u32::MAX };
        let life = Arc::new(Life { calls: AtomicU32::new(calls), dead: Notify::new() });
        let watch = Arc::clone(&life);
        let mut response = tokio::select! {
            response = LIFE.scope(life, work) => response,
            () = watch.dead.notified() => return None,
        };
        if let Some(tamper) = &self.tamper {
            tamper.report(&mut response);
        }
        Some(response)
    }

    fn draw(&self, call: &Call) -> Fault {
        let may_conflict = matches!(call.operation.as_str(), "PutItem" | "TransactWriteItems");
        let is_head = call.operation == "Query"
            && call.body.contains("\"ScanIndexForward\":false")
            && call.body.contains("\"ConsistentRead\":false");
        if call.operation == "CreateTable" || call.operation == "UpdateTimeToLive" {
            Fault::None
        } else if self.happens(self.rates.throttled) {
            Fault::Throttled
        } else if may_conflict && self.happens(self.rates.conflict) {
            Fault::Conflict
        } else if self.happens(self.rates.unanswered) {
            Fault::Unanswered
        } else if is_head && self.happens(self.rates.stale) {
            Fault::Stale
        } else {
            Fault::None
        }
    }
}

/// The SDK's connector, with faults.
#[derive(Clone, Debug)]
pub struct ChaosConnector {
    inner: Embedded,
    chaos: Arc<Chaos>,
}

impl ChaosConnector {
    /// In front of `inner`.
    #[must_use]
    pub fn new(inner: Embedded, chaos: Arc<Chaos>) -> Self {
        Self { inner, chaos }
    }

    async fn answer(&self, call: Call, life: Option<Arc<Life>>) -> Result<Answer, ConnectorError> {
        if let Some(life) = life
            && life.calls.load(Ordering::Relaxed) != u32::MAX
            && life.calls.fetch_sub(1, Ordering::Relaxed) == 0
        {
            // The call may still arrive, the worker never sees its answer.
            if self.chaos.random().random_bool(0.5) {
                let _ = self.inner.call(call).await;
            }
            life.dead.notify_one();
            return std::future::pending().await;
        }
        match self.chaos.draw(&call) {
            Fault::None => self.pass(call).await,
            Fault::Throttled => Ok(error("ProvisionedThroughputExceededException", &[])),
            Fault::Conflict if call.operation == "PutItem" => Ok(error("TransactionConflictException", &[])),
            Fault::Conflict => Ok(error("TransactionCanceledException", &["TransactionConflict"])),
            Fault::Unanswered => {
                self.pass(call).await?;
                Err(ConnectorError::io("the answer was lost".into()))
            }
            Fault::Stale => self.stale(call).await,
        }
    }

    async fn pass(&self, mut call: Call) -> Result<Answer, ConnectorError> {
        let Some(tamper) = &self.chaos.tamper else { return self.inner.call(call).await };
        tamper.request(&mut call);
        let shown = Call { operation: call.operation.clone(), body: call.body.clone() };
        let mut answer = self.inner.call(call).await?;
        tamper.answer(&shown, &mut answer);
        Ok(answer)
    }

    /// The newest page is not seen yet.
    async fn stale(&self, mut call: Call) -> Result<Answer, ConnectorError> {
        call.body = call.body.replacen("\"Limit\":1", "\"Limit\":2", 1);
        let (status, body) = self.pass(call).await?;
        let Ok(mut json) = serde_json::from_str::<serde_json::Value>(&body) else { return Ok((status, body)) };
        if let Some(items) = json.get_mut("Items").and_then(|items| items.as_array_mut()).filter(|i| !i.is_empty()) {
            items.remove(0);
        }
        Ok((status, json.to_string()))
    }
}

fn error(code: &str, reasons: &[&str]) -> Answer {
    let reasons: Vec<_> = reasons.iter().map(|code| serde_json::json!({ "Code": code })).collect();
    let body = serde_json::json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "a fault on purpose",
        "CancellationReasons": reasons,
    });
    (400, body.to_string())
}

impl HttpConnector for ChaosConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (this, life) = (self.clone(), LIFE.try_with(Arc::clone).ok());
        HttpConnectorFuture::new(async move { response(this.answer(Call::read(&request)?, life).await?) })
    }
}

impl HttpClient for ChaosConnector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// A queue that loses, repeats, delays and shuffles what is sent.
#[derive(Clone, Debug)]
pub struct ChaosQueue {
    inner: EmbeddedQueue,
    chaos: Arc<Chaos>,
    clock: Clock,
}

impl ChaosQueue {
    /// In front of `inner`.
    #[must_use]
    pub fn new(inner: EmbeddedQueue, chaos: Arc<Chaos>, clock: Clock) -> Self {
        Self { inner, chaos, clock }
    }
}

#[async_trait]
impl Queue for ChaosQueue {
    async fn send(&self, bodies: Vec<String>) -> Result<(), QueueError> {
        let now = self.clock.now();
        let rates = self.chaos.rates;
        let mut sent: Vec<(Timestamp, String)> = Vec::with_capacity(bodies.len());
        for body in bodies {
            let at = || if self.chaos.happens(rates.late) { now.plus_secs(3_600) } else { now };
            if self.chaos.twice() {
                sent.push((at(), body.clone()));
            }
            if !self.chaos.happens(rates.lost) {
                sent.push((at(), body));
            }
        }
        sent.shuffle(&mut *self.chaos.random());
        self.inner.send_at(&sent)
    }

    async fn receive(&self, max: usize) -> Result<Vec<Received>, QueueError> {
        self.inner.receive(max).await
    }

    async fn delete(&self, receipts: Vec<String>) -> Result<(), QueueError> {
        self.inner.delete(receipts).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.inner.depth().await
    }
}
