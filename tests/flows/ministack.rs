//! SQS for real: `aws-sdk-sqs` against ministack, an independent emulator. Runs where `ministack` is on the path or named by
//! `MINISTACK`; says so where not.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::QueueAttributeName;
use providers::{Queue, SqsQueue};
use skymeter::system::event;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tests::{CENT, TestApp, registered};

/// A running ministack; gone when this is.
pub struct Ministack {
    process: Child,
    pub sdk: SdkConfig,
}

impl Drop for Ministack {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Ministack {
    /// `None` where it is not installed. In CI (`MINISTACK` is set) that is a failure.
    pub async fn start() -> Option<Self> {
        let program = std::env::var("MINISTACK").unwrap_or_else(|_| "ministack".to_owned());
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let endpoint = format!("http://127.0.0.1:{port}");
        let started = Command::new(&program)
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", &endpoint)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = match started {
            Ok(process) => process,
            Err(e) if std::env::var("MINISTACK").is_ok() => panic!("{program} does not start: {e}"),
            Err(_) => {
                // Straight to the handle: what a passing test prints is not shown.
                let said =
                    b"ministack is not installed: SQS is not tested against it (pip install 'ministack[full]')\n";
                std::io::stderr().write_all(said).unwrap();
                return None;
            }
        };
        let credentials = Credentials::new("test", "test", None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(endpoint)
            .build();
        let this = Self { process, sdk };
        let began = Instant::now();
        while aws_sdk_sqs::Client::new(&this.sdk).list_queues().send().await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "ministack does not answer");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Some(this)
    }

    /// A queue with dead letters after five receives, as in `infra/queues.yaml`, and a visibility of a second.
    async fn queue(&self, name: &str) -> (SqsQueue, SqsQueue) {
        let client = aws_sdk_sqs::Client::new(&self.sdk);
        let dead = client.create_queue().queue_name(format!("{name}-dead")).send().await.unwrap().queue_url.unwrap();
        let arn =
            client.get_queue_attributes().queue_url(&dead).attribute_names(QueueAttributeName::QueueArn).send().await;
        let arn = arn.unwrap().attributes.unwrap().remove(&QueueAttributeName::QueueArn).unwrap();
        let redrive = format!("{{\"deadLetterTargetArn\":\"{arn}\",\"maxReceiveCount\":5}}");
        let queue = client
            .create_queue()
            .queue_name(name)
            .attributes(QueueAttributeName::RedrivePolicy, redrive)
            .attributes(QueueAttributeName::VisibilityTimeout, "1");
        let url = queue.send().await.unwrap().queue_url.unwrap();
        (SqsQueue::new(&self.sdk, url), SqsQueue::new(&self.sdk, dead))
    }
}

/// Receives until nothing has come for a while.
async fn drain(queue: &SqsQueue) -> Vec<providers::Received> {
    let (mut all, mut quiet) = (Vec::new(), 0);
    while quiet < 3 {
        let messages = queue.receive(10).await.unwrap();
        quiet = if messages.is_empty() { quiet + 1 } else { 0 };
        queue.delete(messages.iter().map(|m| m.receipt.clone()).collect()).await.unwrap();
        all.extend(messages);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn sqs_takes_batches_repeats_what_is_not_deleted_and_keeps_dead_letters() {
    let Some(ministack) = Ministack::start().await else { return };
    let (queue, dead) = ministack.queue("jobs").await;
    // Batches: more than ten, and more than 256 KB.
    let bodies: Vec<String> = (0..23).map(|n| format!("{n:02}{}", "x".repeat(60_000))).collect();
    queue.send(bodies.clone()).await.unwrap();
    assert_eq!(queue.depth().await.unwrap().visible, 23);
    let mut received: Vec<String> = drain(&queue).await.into_iter().map(|m| m.body).collect();
    received.sort();
    assert_eq!(received, bodies);
    // A message that is not deleted is seen again, and after five receives it is a dead letter.
    queue.send(vec!["poison".to_owned()]).await.unwrap();
    let mut counts = Vec::new();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) && dead.depth().await.unwrap().visible == 0 {
        counts.extend(queue.receive(1).await.unwrap().into_iter().map(|m| m.receive_count));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(counts, [1, 2, 3, 4, 5]);
    let letters = drain(&dead).await;
    assert_eq!(letters.iter().map(|m| m.body.as_str()).collect::<Vec<_>>(), ["poison"]);
    // Redrive: receive, send, delete.
    queue.send(letters.into_iter().map(|m| m.body).collect()).await.unwrap();
    assert_eq!(drain(&queue).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_through_sqs_bills_every_hour_once_although_a_message_is_seen_twice() {
    let Some(ministack) = Ministack::start().await else { return };
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    let (jobs, _) = ministack.queue("run-jobs").await;
    let (shards, _) = ministack.queue("run-metering").await;
    let facts: Vec<_> =
        (0..200).map(|n| registered(&format!("srv-{n}"), &format!("cus-{}", n % 20), app.at(1))).collect();
    app.tell(&facts).await;
    let metering = metering::Metering {
        store: app.system.store.clone(),
        shards: Arc::new(shards.clone()),
        jobs: Arc::new(jobs.clone()),
        clock: app.time.clock(),
    };
    let parked = Arc::new(app.system.parked.clone());
    let biller = biller::Biller::new(app.system.store.clone(), parked, app.time.clock());
    app.pass(2);
    metering.open_run(app.time.now()).await.unwrap();
    let listed = drain(&shards).await;
    assert_eq!(listed.len(), 64);
    assert!(metering.handle_shards(event(&listed)).await.batch_item_failures.is_empty());
    let messages = drain(&jobs).await;
    for _ in 0..2 {
        let response = biller.handle(event(&messages), Duration::from_secs(60)).await;
        assert!(response.batch_item_failures.is_empty());
    }
    let proof = app.verify().await;
    assert_eq!((proof.server_hours, proof.pages), (400, 20));
    assert_eq!(proof.amount.steps(), 400 * CENT);
}
