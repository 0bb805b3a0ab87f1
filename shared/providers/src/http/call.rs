//! What is sent, and what is known about it when it failed.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A body of pairs, as browsers send them.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
/// A body of JSON.
pub(crate) const JSON: &str = "application/json";

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
