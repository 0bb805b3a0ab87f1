//! What a function costs before it does anything: size, time from the start of its process to its first poll of the runtime
//! API, its first and second invocation, and memory at the end. `cargo functions --lambda-dir target/lambda` first, then
//! `cargo bench -p tests --bench start`. Prints only.
//!
//! The programs run as in Lambda: a runtime API of our own hands them events, and their SDK talks to an embedded DynamoDB over
//! HTTP (no TLS: that is the network's share).
#![expect(clippy::float_arithmetic, reason = "only printed")]
#![allow(missing_docs)]
#![recursion_limit = "256"]

use api::new_id;
use auth::Signer;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use domain::run::shard_of;
use sandbox::{Config, Processor, Sandbox};
use serde_json::{Value, json};
use skymeter::embedded::{Call, Embedded};
use skymeter::feed::Feed;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::{Store, StoreConfig, TableNames, keys};
use tests::{id, registered};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Starts of each function.
const STARTS: usize = 15;
/// In this order: the biller gets the jobs that metering sent.
const FUNCTIONS: [&str; 11] = [
    "metering",
    "biller",
    "projector",
    "health",
    "auth",
    "billing",
    "payments",
    "admin",
    "webhooks",
    "lifecycle",
    "mailer",
];
/// Who asks the areas: an admin, so that all answer.
const ADMIN: &str = "usr_admin";

/// The runtime API and AWS, as one function sees them.
#[derive(Clone)]
struct Cloud {
    embedded: Embedded,
    turn: Arc<Mutex<Turn>>,
    done: Arc<Notify>,
    /// Bodies sent to any queue.
    sent: Arc<Mutex<Vec<String>>>,
    /// The private key of access tokens, and a token of [`ADMIN`].
    pem: Arc<str>,
    token: Arc<Mutex<String>>,
    /// Signs as Stripe does.
    sandbox: Arc<Sandbox>,
}

/// One start of one function.
#[derive(Default)]
struct Turn {
    events: Vec<Value>,
    polls: Vec<Instant>,
    answers: Vec<Instant>,
    failure: Option<String>,
}

#[tokio::main]
async fn main() {
    let embedded = Embedded::open(None, Feed::new("skymeter-ledger", 1)).expect("a database");
    let pem = Signer::generate_pem().expect("the system has randomness").expose().into();
    let sandbox = Arc::new(Sandbox::start(Config::default()).await.expect("the sandbox starts"));
    let (turn, done, sent, token) = Default::default();
    let cloud = Cloud { embedded, turn, done, sent, pem, token, sandbox };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
        .route("/", post(aws))
        .with_state(cloud.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let token = prepare(&address, &cloud.pem).await;
    *cloud.token.lock().expect("a lock") = token;
    println!("function       size, KiB   zip, KiB   init, ms (worst)   first, ms   second, ms   peak memory, MiB");
    for name in FUNCTIONS {
        let program = tests::root().join("target/lambda").join(name).join("bootstrap");
        let Ok(bytes) = std::fs::read(&program) else {
            println!("{name:<10} is not built: cargo functions --lambda-dir target/lambda");
            continue;
        };
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            starts.push(start(&cloud, &program, &address, events(name, &cloud)).await);
        }
        let column = |pick: fn(&Start) -> f64| {
            let mut values: Vec<f64> = starts.iter().map(pick).collect();
            values.sort_by(f64::total_cmp);
            (values[values.len() / 2], values[values.len() - 1])
        };
        let (init, worst) = column(|s| s.init);
        println!(
            "{name:<12} {:>11} {:>10} {init:>10.1} ({worst:.1}) {:>11.1} {:>12.1} {:>18.1}",
            bytes.len() / 1024,
            zipped(&bytes) / 1024,
            column(|s| s.first).0,
            column(|s| s.second).0,
            column(|s| s.memory).1,
        );
    }
}

/// Tables, a server that is due, prices, and somebody signed in: the token.
async fn prepare(address: &str, pem: &str) -> String {
    let credentials = Credentials::new("test", "test", None, None, "bench");
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(format!("http://{address}"))
        .build();
    let store = Store::new(StoreConfig { sdk, tables: TableNames::with_prefix("skymeter") });
    store.create_tables().await.expect("the tables are made");
    let now = api::Clock::system().now();
    let began = now.plus_secs(-2 * 3_600);
    store.billing_switch(true, began.plus_secs(-3_600)).await.expect("billing is on");
    let plan = tests::plan(tests::PLAN, "7.30", domain::plan::Metering::Hourly);
    store.plan_put(&plan).await.expect("the plan is stored");
    store.fleet_apply(&[registered("srv-1", "cus-1", began)], now).await.expect("the server is registered");
    let signer = Signer::from_pem(&api::Secret::new(pem.to_owned()), now).expect("a new key is a key");
    store.access_key_add(signer.public()).await.expect("the key is known");
    let session = new_id("ses", now);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = store.client().put_item().table_name(&store.tables().main);
    let put = put
        .item(keys::PK, text(&keys::access(&id(ADMIN))))
        .item(keys::SK, text(keys::ACCESS))
        .item("status", text("active"))
        .item("role", text("admin"))
        .item("sessions", AttributeValue::Ss(vec![session.to_string()]))
        .item("keys", AttributeValue::M(HashMap::new()));
    put.send().await.expect("the admin is there");
    signer.sign(&id(ADMIN), &session, now).expect("it signs")
}

/// Two events for a function.
fn events(name: &str, cloud: &Cloud) -> Vec<Value> {
    let now = api::Clock::system().now();
    let message = |body: String| {
        json!({ "Records": [{ "messageId": "1", "receiptHandle": "1", "body": body, "attributes": {}, "messageAttributes": {},
                 "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:1:jobs", "awsRegion": "us-east-1" }] })
    };
    let sample = |file: &str| -> Value {
        let text = std::fs::read_to_string(tests::root().join("events").join(file)).expect("a sample");
        serde_json::from_str(&text).expect("JSON")
    };
    match name {
        "metering" => {
            let shard = json!({ "through": now.hour().number(), "shard": shard_of(&id("cus-1")) });
            vec![json!({ "time": now.to_string() }), message(shard.to_string())]
        }
        "biller" => {
            let sent = cloud.sent.lock().expect("a lock");
            let jobs = sent.iter().find(|body| body.contains("srv-1")).expect("metering sent a job").clone();
            vec![message(jobs.clone()), message(jobs)]
        }
        "projector" => vec![sample("projector-stream.json"); 2],
        "mailer" => vec![sample("mailer-mails.json"); 2],
        "lifecycle" => vec![sample("lifecycle-schedule.json"); 2],
        "webhooks" => {
            let mut request = sample("webhooks-stripe.json");
            // Of no object that is ours to ask Stripe for: what is measured is this side.
            let body = request["body"].as_str().expect("a body").replace("\"payment_intent\"", "\"customer\"");
            for (name, value) in cloud.sandbox.signed(Processor::Stripe, &body) {
                request["headers"][name.to_lowercase()] = json!(value);
            }
            request["body"] = json!(body);
            vec![request; 2]
        }
        "auth" => {
            let mut request = sample("billing-balance.json");
            request["rawPath"] = json!("/api/v1/.well-known/jwks.json");
            request["requestContext"]["http"]["path"] = request["rawPath"].clone();
            vec![request; 2]
        }
        area => {
            let file = match area {
                "health" => "health-billing-daemon.json",
                "billing" => "billing-balance.json",
                "payments" => "payments-list.json",
                _ => "admin-users.json",
            };
            let mut request = sample(file);
            let token = cloud.token.lock().expect("a lock").clone();
            request["headers"]["authorization"] = json!(format!("Bearer {token}"));
            vec![request; 2]
        }
    }
}

struct Start {
    init: f64,
    first: f64,
    second: f64,
    memory: f64,
}

/// Starts the program, hands it its events, and looks at it before it goes.
async fn start(cloud: &Cloud, program: &Path, address: &str, events: Vec<Value>) -> Start {
    *cloud.turn.lock().expect("a lock") = Turn { events, ..Turn::default() };
    let began = Instant::now();
    let process = spawn(program, address);
    tokio::time::timeout(Duration::from_secs(30), cloud.done.notified()).await.expect("the function polls");
    let memory = peak_mib(&process);
    end(process);
    let turn = cloud.turn.lock().expect("a lock");
    assert!(turn.failure.is_none(), "{}: {:?}", program.display(), turn.failure);
    let millis = |from: Instant, to: Instant| to.duration_since(from).as_secs_f64() * 1e3;
    Start {
        init: millis(began, turn.polls[0]),
        first: millis(turn.polls[0], turn.answers[0]),
        second: millis(turn.polls[1], turn.answers[1]),
        memory,
    }
}

fn spawn(program: &Path, address: &str) -> Child {
    let endpoint = format!("http://{address}");
    let queue = format!("{endpoint}/1/queue");
    Command::new(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("AWS_LAMBDA_FUNCTION_NAME", "function")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_ENDPOINT_URL", &endpoint)
        .env("LEDGER_TABLE", "skymeter-ledger")
        .env("MAIN_TABLE", "skymeter-main")
        .env("IDENTITY_TABLE", "skymeter-identity")
        .env("ACCESS_KEY_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:1:secret:access-key")
        .env("STRIPE_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:1:secret:stripe")
        .env("PAYPAL_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:1:secret:paypal")
        .env("STRIPE_BASE_URL", &endpoint)
        .env("PAYPAL_BASE_URL", &endpoint)
        .env("PAYMENT_RETURN_URL", &endpoint)
        .env("SCHEDULE_NAME", "skymeter-metering")
        .env("MAIL_FROM", "billing@example.com")
        .env("MAIL_PRODUCT", "Skymeter")
        .env("MAIL_FRONTEND_URL", &endpoint)
        .env("MAIL_SUPPORT", "help@example.com")
        .envs(["METERING_QUEUE_URL", "JOBS_QUEUE_URL", "PARKED_QUEUE_URL", "MAIL_QUEUE_URL"].map(|name| (name, &queue)))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the program starts")
}

fn end(mut process: Child) {
    process.kill().expect("the program ends");
    let _ = process.wait();
}

fn peak_mib(process: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse().ok()).unwrap_or(0_u32);
    f64::from(kib) / 1024.0
}

/// Size in a deployment package.
fn zipped(bytes: &[u8]) -> usize {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory").len()
}

async fn next(State(cloud): State<Cloud>) -> Response {
    let event = {
        let mut turn = cloud.turn.lock().expect("a lock");
        turn.polls.push(Instant::now());
        if turn.events.is_empty() { None } else { Some(turn.events.remove(0)) }
    };
    let Some(event) = event else {
        cloud.done.notify_one();
        return std::future::pending().await;
    };
    let deadline = (api::Clock::system().now().secs() + 60) * 1_000;
    let headers = [
        ("lambda-runtime-aws-request-id", "1".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:1:function:f".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event.to_string()).into_response()
}

async fn answered(State(cloud): State<Cloud>, UrlPath(_): UrlPath<String>, body: String) -> StatusCode {
    let mut turn = cloud.turn.lock().expect("a lock");
    turn.answers.push(Instant::now());
    if body.contains("\"itemIdentifier\"") || body.contains("\"statusCode\":5") || body.contains("\"statusCode\":4") {
        turn.failure = Some(body);
    }
    StatusCode::ACCEPTED
}

async fn failed(State(cloud): State<Cloud>, UrlPath(_): UrlPath<String>, body: String) -> StatusCode {
    let mut turn = cloud.turn.lock().expect("a lock");
    turn.answers.push(Instant::now());
    turn.failure = Some(body);
    StatusCode::ACCEPTED
}

/// DynamoDB for real; of SQS and Secrets Manager the one answer each that the functions need.
async fn aws(State(cloud): State<Cloud>, headers: HeaderMap, body: String) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some(operation) = target.strip_prefix("DynamoDB_20120810.") {
        let (status, body) =
            cloud.embedded.call(Call { operation: operation.to_owned(), body }).await.expect("the database answers");
        let status = StatusCode::from_u16(status).expect("a status");
        return (status, [("content-type", "application/x-amz-json-1.0")], body).into_response();
    }
    let request: Value = serde_json::from_str(&body).expect("the SDK writes JSON");
    let answer = if target.ends_with("SendMessageBatch") {
        let entries = request["Entries"].as_array().cloned().unwrap_or_default();
        let mut sent = cloud.sent.lock().expect("a lock");
        sent.extend(entries.iter().filter_map(|entry| entry["MessageBody"].as_str().map(str::to_owned)));
        let taken = entries.iter().map(|e| json!({ "Id": e["Id"], "MessageId": "1", "MD5OfMessageBody": "" }));
        json!({ "Successful": taken.collect::<Vec<_>>(), "Failed": [] })
    } else {
        json!({ "ARN": request["SecretId"], "Name": "secret", "SecretString": secret(&cloud, &request["SecretId"]) })
    };
    ([("content-type", "application/x-amz-json-1.1")], answer.to_string()).into_response()
}

/// What stands in a secret: the sandbox's own keys.
fn secret(cloud: &Cloud, arn: &Value) -> String {
    let Config { stripe, paypal, .. } = Config::default();
    match arn.as_str().and_then(|arn| arn.rsplit(':').next()) {
        Some("access-key") => cloud.pem.to_string(),
        Some("stripe") => json!({ "key": stripe.secret_key, "webhook_secrets": stripe.webhook_secrets }).to_string(),
        _ => {
            let (client_id, client_secret, webhook_id) = (paypal.client_id, paypal.client_secret, paypal.webhook_id);
            json!({ "client_id": client_id, "client_secret": client_secret, "webhook_id": webhook_id }).to_string()
        }
    }
}
