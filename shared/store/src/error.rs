//! What can go wrong between us and DynamoDB.

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// A failed call. The text is for an operator's log, never for a caller.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote first: read again and decide again.
    #[error("a condition failed: {0}")]
    Conflict(&'static str),
    /// The same idempotency key stands for something else.
    #[error("the key '{0}' was used for another page")]
    KeyReused(String),
    /// DynamoDB did not answer well, within the SDK's retries.
    #[error("DynamoDB {operation}: {detail}")]
    Unavailable {
        /// Which call.
        operation: &'static str,
        /// What the SDK says.
        detail: String,
    },
    /// An item cannot be read: it is corrupt, or written by a newer version.
    #[error("the item {0} cannot be read: {1}")]
    Corrupt(String, String),
    /// The tables were written by a newer version: this one might not understand what it reads.
    #[error("the tables were written by a newer version of Skymeter (format {found}, this one knows {known})")]
    Newer {
        /// The version that wrote last.
        found: u32,
        /// The newest we know.
        known: u32,
    },
    /// The stage was never deployed.
    #[error("DynamoDB {0}: there is no such table")]
    NoTable(&'static str),
    /// What was asked cannot be accepted.
    #[error("{0}")]
    Invalid(String),
}

/// Codes that mean "somebody else is writing this item now".
const CONFLICT_CODES: [&str; 2] = ["ConditionalCheckFailedException", "TransactionConflictException"];

/// Sorts a failed single-item call.
pub fn classify<E, R>(operation: &'static str, error: &SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some(code) if CONFLICT_CODES.contains(&code) => StoreError::Conflict(operation),
        Some("ResourceNotFoundException") => StoreError::NoTable(operation),
        _ => StoreError::Unavailable { operation, detail: DisplayErrorContext(error).to_string() },
    }
}
