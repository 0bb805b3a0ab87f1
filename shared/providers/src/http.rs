//! Calls to a processor's HTTP API: bounded in time, size, number and concurrency, and repeated only where that is safe.
//!
//! Owns: when a call is tried again, and what is known about it when it failed: that nothing was done, that it was refused, or
//! that nobody knows. Does *not* know what a call is about.

mod call;
#[cfg(test)]
pub(crate) mod tests;

use crate::secret::Secret;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode, Url, redirect};
use serde_json::Value;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

pub(crate) use call::{Call, FORM, JSON};
pub use call::{CallError, Refusal};

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

/// Where a service is, and how it may be called.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The URL its paths are added to.
    pub base_url: String,
    /// Bounds of calls.
    pub bounds: HttpBounds,
}

impl Endpoint {
    /// At a URL, with the usual bounds.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self { base_url: base_url.into(), bounds: HttpBounds::default() }
    }
}

/// What one service has otherwise than the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// Its name.
    pub name: &'static str,
    /// Its code for an object that is not there.
    pub no_object: &'static str,
    /// How it words its refusals: code and detail.
    pub wording: fn(&Value) -> (String, String),
}

impl Service {
    /// The value of an `authorization` header; no log shows it.
    pub fn authorization(self, scheme: &str, credentials: &Secret) -> Result<HeaderValue, ClientError> {
        let detail = || "its credentials cannot stand in a header".to_owned();
        let value = HeaderValue::from_str(&format!("{scheme} {}", credentials.expose()));
        let mut value = value.map_err(|_| ClientError { service: self.name, detail: detail() })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// A service's API.
pub(crate) struct Http {
    service: Service,
    client: Client,
    base: Url,
    bounds: HttpBounds,
    permits: Semaphore,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({} at {})", self.service.name, self.base)
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
    pub fn new(service: Service, endpoint: &Endpoint) -> Result<Self, ClientError> {
        let bounds = endpoint.bounds;
        let fail = |detail: String| ClientError { service: service.name, detail };
        let base = Url::parse(&endpoint.base_url).map_err(|e| fail(format!("its base URL is none: {e}")))?;
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
        Ok(Self { service, client, base, bounds, permits: Semaphore::new(bounds.concurrency) })
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
                let (service, path) = (self.service.name, call.path.clone());
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
        let (code, detail) = (self.service.wording)(&body);
        let is_unsaid = !status.is_client_error() || code == KEY_OF_ANOTHER;
        if is_unsaid || (maybe_done && call.method != Method::GET) {
            let detail = format!("{status} {code} {detail}").chars().take(MAX_DETAIL_CHARS).collect();
            return CallError::Unknown { service: self.service.name, path: call.path.clone(), detail };
        }
        let short = |text: String| text.chars().take(MAX_DETAIL_CHARS).collect();
        let refusal = Refusal { status: status.as_u16(), code: short(code), detail: short(detail), body };
        CallError::Refused { service: self.service.name, path: call.path.clone(), refusal: Box::new(refusal) }
    }

    /// What was answered is not what was documented: it was done, and nobody knows how.
    pub fn malformed(&self, path: &str, what: &str) -> CallError {
        CallError::Unknown {
            service: self.service.name,
            path: path.to_owned(),
            detail: format!("the answer has no {what}"),
        }
    }

    /// A part of an answer that must be there.
    pub fn read<T>(&self, path: &str, value: Option<T>) -> Result<T, CallError> {
        value.ok_or_else(|| self.malformed(path, "fields that must be there"))
    }

    /// The path of an object, or of what is done with it. A text that cannot be an id names nothing.
    pub fn path(&self, collection: &str, id: &str, action: &str) -> Result<String, CallError> {
        if is_object_id(id) {
            return Ok(format!("{collection}/{id}{action}"));
        }
        let (code, detail) = (self.service.no_object.to_owned(), "it is no id".to_owned());
        let refusal = Box::new(Refusal { status: 404, code, detail, body: Value::Null });
        Err(CallError::Refused { service: self.service.name, path: collection.to_owned(), refusal })
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
