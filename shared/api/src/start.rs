//! What a function reads when it starts. A setting that is missing or malformed fails the start with a sentence that names it.

use crate::clock::Clock;
use crate::kit::Kit;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use providers::SqsQueue;
use std::error::Error;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;
use store::{Store, StoreConfig, TableNames};
use tracing_subscriber::EnvFilter;

/// Tries of one AWS call, the first included.
const AWS_TRIES: u32 = 4;
/// Longest wait for one try.
const AWS_TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// What is logged where `RUST_LOG` says nothing.
const DEFAULT_LOG: &str = "info";

/// A setting that keeps a function from starting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not set, or empty.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// Set to something it cannot be. What it was set to is not shown: it may be a secret in the wrong place.
    #[error("the setting {name} is malformed: {why}")]
    Malformed {
        /// The environment variable.
        name: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// What it refers to cannot be read.
    #[error("what the setting {name} refers to cannot be read: {why}")]
    Unreadable {
        /// The environment variable.
        name: &'static str,
        /// What the SDK says.
        why: String,
    },
}

/// Runs a function's `main`: logs to standard output as JSON, level by `RUST_LOG`. Where it cannot start, the reason is the
/// last line, as a sentence.
pub async fn function<E: Into<Box<dyn Error + Send + Sync>>>(main: impl Future<Output = Result<(), E>>) -> ExitCode {
    let level = std::env::var("RUST_LOG").unwrap_or_default();
    let level = if level.is_empty() { DEFAULT_LOG } else { level.as_str() };
    let filter = EnvFilter::try_new(level);
    let malformed = filter.is_err();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_current_span(false).init();
    let result = if malformed {
        Err(StartError::Malformed { name: "RUST_LOG", why: "it is no filter of log levels" }.into())
    } else {
        main.await.map_err(Into::into)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %error, "the function cannot run");
            ExitCode::FAILURE
        }
    }
}

/// An environment variable that must be there.
///
/// # Errors
/// It is missing or empty.
pub fn required(name: &'static str) -> Result<String, StartError> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(StartError::Missing(name))
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
/// `LEDGER_TABLE` or `MAIN_TABLE` is not set, or names no table.
pub fn store(sdk: &SdkConfig) -> Result<Store, StartError> {
    let tables = TableNames {
        ledger: table("LEDGER_TABLE", required("LEDGER_TABLE")?)?,
        main: table("MAIN_TABLE", required("MAIN_TABLE")?)?,
        // Only the functions that keep users are told this one.
        identity: std::env::var("IDENTITY_TABLE").unwrap_or_default(),
    };
    Ok(Store::new(StoreConfig { sdk: sdk.clone(), tables }))
}

/// The kit of an HTTP area: the store, the system's clock, and the origins of `ALLOWED_ORIGINS` (separated by commas; none where
/// it is not set).
///
/// # Errors
/// As [`store`].
pub fn kit(area: &'static str, sdk: &SdkConfig) -> Result<Kit, StartError> {
    let mut kit = Kit::new(area, store(sdk)?, Clock::system());
    let origins = std::env::var("ALLOWED_ORIGINS").unwrap_or_default();
    kit.origins = origins.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(str::to_owned).collect();
    Ok(kit)
}

/// The queue whose URL an environment variable holds.
///
/// # Errors
/// It is not set, or no URL.
pub fn queue(sdk: &SdkConfig, name: &'static str) -> Result<SqsQueue, StartError> {
    Ok(SqsQueue::new(sdk, url(name, required(name)?)?))
}

/// DynamoDB's rule for a table's name.
fn table(name: &'static str, value: String) -> Result<String, StartError> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if (3..=255).contains(&value.len()) && value.bytes().all(is_name) {
        Ok(value)
    } else {
        Err(StartError::Malformed { name, why: "a table's name has 3 to 255 of A-Z, a-z, 0-9, '_', '.' and '-'" })
    }
}

fn url(name: &'static str, value: String) -> Result<String, StartError> {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    if rest.is_some_and(|rest| rest.contains('/') && !rest.starts_with('/')) {
        Ok(value)
    } else {
        Err(StartError::Malformed { name, why: "a queue's URL begins with http:// or https:// and has a path" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_malformed_is_named_in_a_sentence() {
        let missing = required("SKYMETER_NO_SUCH_SETTING").unwrap_err();
        assert_eq!(missing.to_string(), "the environment variable SKYMETER_NO_SUCH_SETTING is not set");
        for wrong in ["xy", "my table", "skymeter/ledger"] {
            let error = table("LEDGER_TABLE", wrong.to_owned()).unwrap_err().to_string();
            assert!(error.starts_with("the setting LEDGER_TABLE is malformed: "), "{error}");
            assert!(!error.contains(wrong), "{error}");
        }
        for wrong in ["skymeter-dev-jobs", "https://", "https:///jobs", "ftp://host/jobs"] {
            assert!(url("JOBS_QUEUE_URL", wrong.to_owned()).is_err(), "{wrong}");
        }
        assert!(url("JOBS_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/1/jobs".to_owned()).is_ok());
        assert!(table("LEDGER_TABLE", "skymeter-dev-ledger".to_owned()).is_ok());
    }
}
