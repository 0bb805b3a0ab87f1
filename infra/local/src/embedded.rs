//! DynamoDB in this process: dynoxide behind the SDK's HTTP connector, without a socket.
//!
//! The SDK serialises and signs its requests as ever; the connector hands them to one thread that owns the database. That
//! thread answers in groups: it runs all requests that wait, makes their writes durable with **one** `fdatasync` of SQLite's
//! log, and only then answers. So an answer still means "on disk", as with a sync per write, at a fraction of the price.

use crate::feed::{Feed, FeedItem};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError, actions};
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

/// Requests answered together at the most.
const GROUP: usize = 128;
/// Prefix of the `x-amz-target` header.
const TARGET: &str = "DynamoDB_20120810.";

/// A request as the database needs it.
#[derive(Debug)]
pub struct Call {
    /// The operation's name.
    pub operation: String,
    /// Its JSON.
    pub body: String,
}

/// Status and JSON.
pub type Answer = (u16, String);

struct Job {
    call: Call,
    answer: oneshot::Sender<Answer>,
}

/// A handle to the database's thread. The thread ends when the last handle is gone.
#[derive(Clone, Debug)]
pub struct Embedded {
    jobs: Sender<Job>,
}

impl Embedded {
    /// Opens a database file, or one in memory, and starts its thread. New pages of `feed`'s table go to `feed`.
    ///
    /// # Errors
    /// The file cannot be opened, or is no database.
    pub fn open(path: Option<&Path>, feed: Feed) -> anyhow::Result<Self> {
        let database = match path {
            Some(path) => Database::new(&path.to_string_lossy())?,
            None => Database::memory()?,
        };
        let log = match path {
            Some(path) => {
                // Commits go to the log without a sync of their own (SQLite's `synchronous = NORMAL`); the group syncs it.
                database.disable_bulk_loading()?;
                Some(File::open(format!("{}-wal", path.display()))?)
            }
            None => None,
        };
        let (jobs, waiting) = channel();
        std::thread::Builder::new()
            .name("dynamodb".to_owned())
            .spawn(move || serve(&database, log.as_ref(), &waiting, &feed))?;
        Ok(Self { jobs })
    }

    /// Runs one request.
    ///
    /// # Errors
    /// The database's thread is gone.
    pub async fn call(&self, call: Call) -> Result<Answer, ConnectorError> {
        let (answer, receiver) = oneshot::channel();
        let gone = || ConnectorError::io("the database's thread is gone".into());
        self.jobs.send(Job { call, answer }).map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())
    }
}

fn serve(database: &Database, log: Option<&File>, waiting: &Receiver<Job>, feed: &Feed) {
    let mut answers = Vec::with_capacity(GROUP);
    while let Ok(first) = waiting.recv() {
        let (mut next, mut wrote) = (Some(first), false);
        while let Some(job) = next {
            wrote |= job.call.is_write();
            let (answer, items) = run(database, &job.call, feed);
            answers.push((job.answer, answer, items));
            next = if answers.len() < GROUP { waiting.try_recv().ok() } else { None };
        }
        let synced = match log {
            Some(log) if wrote => log.sync_data(),
            _ => Ok(()),
        };
        for (sender, answer, items) in answers.drain(..) {
            let answer = match &synced {
                Ok(()) => {
                    items.into_iter().for_each(|item| feed.push(item));
                    answer
                }
                // As when DynamoDB does not answer: whether the write was made is unknown.
                Err(e) => internal_error(&e.to_string()),
            };
            // The caller may have been given up on meanwhile.
            let _ = sender.send(answer);
        }
    }
}

fn internal_error(message: &str) -> Answer {
    let body =
        serde_json::json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": message });
    (500, body.to_string())
}

impl Call {
    /// From the SDK's request.
    ///
    /// # Errors
    /// Not a DynamoDB request.
    pub fn read(request: &HttpRequest) -> Result<Self, ConnectorError> {
        let operation = request.headers().get("x-amz-target").and_then(|target| target.strip_prefix(TARGET));
        let body = request.body().bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
        match (operation, body) {
            (Some(operation), Some(body)) => Ok(Self { operation: operation.to_owned(), body: body.to_owned() }),
            _ => Err(ConnectorError::user("not a DynamoDB request".into())),
        }
    }

    /// Whether it may change something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.operation.as_str(), "Query" | "GetItem" | "BatchGetItem" | "Scan" | "DescribeTable")
    }
}

/// An answer as the SDK's response.
///
/// # Errors
/// Never for the statuses we answer with.
pub fn response((status, body): Answer) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(status).map_err(|e| ConnectorError::other(e.into(), None))?;
    Ok(HttpResponse::new(status, SdkBody::from(body)))
}

fn run(database: &Database, call: &Call, feed: &Feed) -> (Answer, Vec<FeedItem>) {
    let mut items = Vec::new();
    let result = dispatch(database, call, feed, &mut items);
    match result {
        Ok(json) => ((200, json), items),
        Err(e) => ((e.status_code(), e.to_json()), Vec::new()),
    }
}

fn dispatch(database: &Database, call: &Call, feed: &Feed, items: &mut Vec<FeedItem>) -> Result<String, DynoxideError> {
    fn read<T: serde::de::DeserializeOwned>(body: &str) -> Result<T, DynoxideError> {
        serde_json::from_str(body).map_err(|e| DynoxideError::ValidationException(e.to_string()))
    }
    fn write<T: serde::Serialize>(response: &T) -> Result<String, DynoxideError> {
        serde_json::to_string(response).map_err(|e| DynoxideError::InternalServerError(e.to_string()))
    }
    let body = call.body.as_str();
    match call.operation.as_str() {
        "PutItem" => {
            let request: actions::put_item::PutItemRequest = read(body)?;
            items.extend(feed.item(&request.table_name, &request.item));
            write(&database.put_item(request)?)
        }
        "TransactWriteItems" => {
            let mut request: actions::transact_write_items::TransactWriteItemsRequest = read(body)?;
            // Our own conditions and markers make transactions idempotent; dynoxide's token cache grows with each call.
            request.client_request_token = None;
            let puts = request.transact_items.iter().filter_map(|action| action.put.as_ref());
            items.extend(puts.filter_map(|put| feed.item(&put.table_name, &put.item)));
            write(&database.transact_write_items(request)?)
        }
        "Query" => write(&database.query(read(body)?)?),
        "GetItem" => write(&database.get_item(read(body)?)?),
        "BatchGetItem" => write(&database.batch_get_item(read(body)?)?),
        "UpdateItem" => write(&database.update_item(read(body)?)?),
        "DeleteItem" => write(&database.delete_item(read(body)?)?),
        "Scan" => write(&database.scan(read(body)?)?),
        "CreateTable" => write(&database.create_table(read(body)?)?),
        "DescribeTable" => write(&database.describe_table(read(body)?)?),
        "UpdateTimeToLive" => write(&database.update_time_to_live(read(body)?)?),
        other => Err(DynoxideError::ValidationException(format!("{other} is not used by Skymeter"))),
    }
}

impl HttpConnector for Embedded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move { response(Self::call(&this, Call::read(&request)?).await?) })
    }
}

impl HttpClient for Embedded {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
