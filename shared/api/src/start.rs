//! What a function reads when it starts. A setting that is missing or malformed fails the start with a sentence that names it.

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use providers::SqsQueue;
use std::time::Duration;
use store::{Store, StoreConfig, TableNames};

/// Tries of one AWS call, the first included.
const AWS_TRIES: u32 = 4;
/// Longest wait for one try.
const AWS_TRY_TIMEOUT: Duration = Duration::from_secs(5);

/// A setting that keeps a function from starting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not set, or empty.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
}

/// An environment variable that must be there.
///
/// # Errors
/// It is missing or empty.
pub fn required(name: &'static str) -> Result<String, StartError> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(StartError::Missing(name))
}

/// Structured logs on standard output, level by `RUST_LOG`.
pub fn telemetry() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Fails only where a subscriber is set already, as in tests.
    let _ = tracing_subscriber::fmt().json().with_env_filter(filter).with_current_span(false).try_init();
}

/// The SDK's configuration: standard sources (region, credentials, `AWS_ENDPOINT_URL_*`), bounded retries and time.
pub async fn sdk() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(AWS_TRIES))
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(AWS_TRY_TIMEOUT).build())
        .load()
        .await
}

/// The store on the tables the environment names.
///
/// # Errors
/// `LEDGER_TABLE` or `MAIN_TABLE` is not set.
pub fn store(sdk: &SdkConfig) -> Result<Store, StartError> {
    let tables = TableNames {
        ledger: required("LEDGER_TABLE")?,
        main: required("MAIN_TABLE")?,
        // Only the functions that keep users are told this one.
        identity: std::env::var("IDENTITY_TABLE").unwrap_or_default(),
    };
    Ok(Store::new(StoreConfig { sdk: sdk.clone(), tables }))
}

/// The queue whose URL an environment variable holds.
///
/// # Errors
/// It is not set.
pub fn queue(sdk: &SdkConfig, name: &'static str) -> Result<SqsQueue, StartError> {
    Ok(SqsQueue::new(sdk, required(name)?))
}
