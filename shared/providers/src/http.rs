//! Calls to a processor's HTTP API: bounded in time, size, number and concurrency, and repeated only where that is safe.
//!
//! Owns: when a call is tried again, and what is known about it when it failed: that nothing was done, that it was refused, or
//! that nobody knows. Does *not* know what a call is about.

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode, Url, redirect};
use serde_json::Value;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;
/// Longest wait between two tries, also where the processor asks for a longer one.
const MAX_WAIT: Duration = Duration::from_secs(4);
/// Longest text of an error that is kept, in characters.
const MAX_DETAIL_CHARS: usize = 300;
/// The code of a refusal that says its key was another call's before: what that one did is unknown.
const KEY_OF_ANOTHER: &str = "idempotency_error";
/// Who calls.
const USER_AGENT: &str = concat!("skymeter/", env!("CARGO_PKG_VERSION"));

/// A secret. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// From its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// The bounds of calls.
#[derive(Clone, Copy, Debug)]
pub struct HttpBounds {
    /// Longest time of one try.
    pub try_timeout: Duration,
    /// No try begins later than this.
    pub total: Duration,
    /// Tries, the first included.
    pub tries: u32,
    /// The wait before the second try, at most; it doubles with each.
    pub pause: Duration,
    /// Calls at the same time.
    pub concurrency: usize,
}

impl Default for HttpBounds {
    fn default() -> Self {
        Self {
            try_timeout: Duration::from_secs(8),
            total: Duration::from_secs(10),
            tries: 3,
            pause: Duration::from_millis(250),
            concurrency: 16,
        }
    }
}

/// A refusal: the processor understood, and did nothing. The words are for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The processor's code, such as `card_declined`.
    pub code: String,
    /// Its words.
    pub detail: String,
    /// All of its answer.
    pub body: Value,
}

/// A call that did not succeed. For an operator's log.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It was refused: nothing was done.
    #[error("{service} refused {path}: {} {} {}", .refusal.status, .refusal.code, .refusal.detail)]
    Refused {
        /// Who.
        service: &'static str,
        /// What was called.
        path: String,
        /// What was answered.
        refusal: Box<Refusal>,
    },
    /// It was not reached, or too busy: nothing was done.
    #[error("{service} did not take {path}: {detail}")]
    NotDone {
        /// Who.
        service: &'static str,
        /// What was called.
        path: String,
        /// Why.
        detail: String,
    },
    /// The answer was lost, or cannot be understood: whether it was done is unknown.
    #[error("{service} may have done {path}: {detail}")]
    Unknown {
        /// Who.
        service: &'static str,
        /// What was called.
        path: String,
        /// What happened.
        detail: String,
    },
}

impl CallError {
    /// The refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            Self::NotDone { .. } | Self::Unknown { .. } => None,
        }
    }
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub method: Method,
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub headers: HeaderMap,
    pub body: Option<(&'static str, Vec<u8>)>,
    /// Whether sending it twice does it once.
    pub repeatable: bool,
}

impl Call {
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        let repeatable = method == Method::GET;
        Self { method, path: path.into(), query: Vec::new(), headers: HeaderMap::new(), body: None, repeatable }
    }

    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }
}

/// How a service words its refusals: code and detail.
pub(crate) type Wording = fn(&Value) -> (String, String);

/// A service's API.
pub(crate) struct Http {
    service: &'static str,
    client: Client,
    base: Url,
    bounds: HttpBounds,
    permits: Semaphore,
    wording: Wording,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({} at {})", self.service, self.base)
    }
}

/// A client that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{service}: {detail}")]
pub struct ClientError {
    /// For which service.
    pub service: &'static str,
    /// What is wrong.
    pub detail: String,
}

/// What one try came to.
enum Try {
    Done(StatusCode, Value),
    Busy(Option<Duration>, String),
    NotReached(String),
    Lost(String),
}

impl Http {
    pub fn new(service: &'static str, base: &str, bounds: HttpBounds, wording: Wording) -> Result<Self, ClientError> {
        let fail = |detail: String| ClientError { service, detail };
        let base = Url::parse(base).map_err(|e| fail(format!("its base URL is none: {e}")))?;
        if !matches!(base.scheme(), "https" | "http") || base.host_str().is_none() {
            return Err(fail("its base URL begins with https:// or http:// and has a host".to_owned()));
        }
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .timeout(bounds.try_timeout)
            // A processor's API does not redirect; whoever answers so is not it.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|e| fail(e.to_string()))?;
        Ok(Self { service, client, base, bounds, permits: Semaphore::new(bounds.concurrency), wording })
    }

    /// Calls, again where that is safe and may help.
    pub async fn call(&self, call: &Call) -> Result<Value, CallError> {
        let began = Instant::now();
        let mut maybe_done = false;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (again, asked, detail) = match self.once(call).await {
                Try::Done(status, body) if status.is_success() => return Ok(body),
                Try::Done(status, body) => return Err(self.refused(call, status, body, maybe_done)),
                Try::Busy(asked, detail) => (true, asked, detail),
                Try::NotReached(detail) => (true, None, detail),
                Try::Lost(detail) => {
                    maybe_done = true;
                    (call.repeatable, None, detail)
                }
            };
            let wait = self.pause(attempt, asked);
            if !again || attempt >= self.bounds.tries || wait > MAX_WAIT || began.elapsed() + wait > self.bounds.total {
                let (service, path) = (self.service, call.path.clone());
                return Err(if maybe_done {
                    CallError::Unknown { service, path, detail }
                } else {
                    CallError::NotDone { service, path, detail }
                });
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(&self, call: &Call) -> Try {
        let Ok(_permit) = self.permits.acquire().await else { return Try::NotReached("it is closed".to_owned()) };
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), call.path));
        for (name, value) in &call.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut request = self.client.request(call.method.clone(), url).headers(call.headers.clone());
        if let Some((content_type, body)) = &call.body {
            request = request.header(reqwest::header::CONTENT_TYPE, *content_type).body(body.clone());
        }
        let response = match request.send().await {
            Ok(response) => response,
            // Before a connection stands, nothing can have been done.
            Err(error) if error.is_connect() || error.is_builder() => return Try::NotReached(words(error)),
            Err(error) => return Try::Lost(words(error)),
        };
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Try::Busy(retry_after(response.headers()), "429".to_owned());
        }
        let body = match read(response).await {
            Ok(body) => body,
            Err(detail) => return Try::Lost(detail),
        };
        if status.is_server_error() || status == StatusCode::CONFLICT {
            // A conflict is our own call with the same key, still under way.
            return Try::Lost(format!("{status}"));
        }
        match serde_json::from_slice(&body) {
            Ok(body) => Try::Done(status, body),
            Err(_) if body.is_empty() && !status.is_redirection() => Try::Done(status, Value::Null),
            Err(_) if status.is_client_error() => Try::Done(status, Value::Null),
            Err(_) => Try::Lost(format!("{status}, and the answer is not JSON")),
        }
    }

    /// What is no success. It says that nothing was done by this try, not what an earlier one did; and what is neither a
    /// success nor a refusal says nothing at all.
    fn refused(&self, call: &Call, status: StatusCode, body: Value, maybe_done: bool) -> CallError {
        let (code, detail) = (self.wording)(&body);
        let is_unsaid = !status.is_client_error() || code == KEY_OF_ANOTHER;
        if is_unsaid || (maybe_done && call.method != Method::GET) {
            let detail = format!("{status} {code} {detail}").chars().take(MAX_DETAIL_CHARS).collect();
            return CallError::Unknown { service: self.service, path: call.path.clone(), detail };
        }
        let short = |text: String| text.chars().take(MAX_DETAIL_CHARS).collect();
        let refusal = Refusal { status: status.as_u16(), code: short(code), detail: short(detail), body };
        CallError::Refused { service: self.service, path: call.path.clone(), refusal: Box::new(refusal) }
    }

    /// What was answered is not what was documented: it was done, and nobody knows how.
    pub fn malformed(&self, path: &str, what: &str) -> CallError {
        CallError::Unknown { service: self.service, path: path.to_owned(), detail: format!("the answer has no {what}") }
    }

    fn pause(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let most = self.bounds.pause.saturating_mul(1 << attempt.min(8));
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
        // Each `RandomState` is seeded anew: enough to keep callers from knocking in step.
        let random = RandomState::new().hash_one(attempt);
        let jitter = Duration::from_millis(most / 2 + random % (most / 2 + 1));
        asked.map_or(jitter.min(MAX_WAIT), |asked| asked.max(jitter.min(MAX_WAIT)))
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(words)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Err("the answer is too long".to_owned());
        }
    }
    Ok(body)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let secs = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(secs))
}

fn words(error: reqwest::Error) -> String {
    use std::error::Error;
    let error = error.without_url();
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    format!("{error} {source}").chars().take(MAX_DETAIL_CHARS).collect()
}

/// The text of a field.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// A processor's object id: 1 to 100 of letters, digits, `_` and `-`. It stands in keys and paths.
#[must_use]
pub fn is_object_id(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A field that must be an object id.
pub(crate) fn object_id(value: &Value, pointer: &str) -> Option<String> {
    text(value, pointer).filter(|id| is_object_id(id)).map(str::to_owned)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// The URL of a service that gives these answers, one for each connection; of an empty one the connection is closed.
    pub(crate) async fn service(answers: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4_096];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                let (status, body) = answer.split_once(' ').unwrap_or((answer, ""));
                if !answer.is_empty() {
                    let length = body.len();
                    let head =
                        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                    stream.write_all(head.as_bytes()).await.unwrap();
                }
            }
        });
        url
    }

    async fn http(answers: &'static [&'static str]) -> Http {
        let bounds = HttpBounds { pause: Duration::from_millis(1), ..HttpBounds::default() };
        let wording = |body: &Value| (text(body, "/code").unwrap_or_default().to_owned(), String::new());
        Http::new("test", &service(answers).await, bounds, wording).unwrap()
    }

    async fn post(answers: &'static [&'static str]) -> CallError {
        let call = Call { repeatable: true, ..Call::post("/x") };
        http(answers).await.call(&call).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_refusal_is_one_only_where_nothing_can_have_been_done_before() {
        let refused = post(&[r#"402 {"code":"card_declined"}"#]).await;
        assert_eq!(refused.refusal().unwrap().code, "card_declined");
        for answers in [
            &["", r#"402 {"code":"card_declined"}"#][..],
            &["500 {}", r#"402 {"code":"card_declined"}"#],
            &[r#"400 {"code":"idempotency_error"}"#],
            &[r#"302 {"code":"x"}"#],
        ] {
            let error = post(answers).await;
            assert!(matches!(error, CallError::Unknown { .. }), "{answers:?} {error:?}");
        }
        // What only reads has done nothing, however often.
        let missing = http(&["", "404 {}"]).await.call(&Call::get("/x")).await.unwrap_err();
        assert_eq!(missing.refusal().unwrap().status, 404);
    }
}
