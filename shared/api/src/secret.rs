//! Secrets by reference: an environment variable holds the ARN of a Secrets Manager secret, never the secret itself. Read once,
//! when the function starts, kept in memory, shown nowhere.

use crate::start::{StartError, required};
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use providers::Secret;
use serde::de::DeserializeOwned;

/// Longest secret that is read, in bytes: a key in PEM, or a few tokens.
const MAX_SECRET_BYTES: usize = 8 * 1024;

/// Reads the secret whose ARN the environment variable `name` holds.
///
/// # Errors
/// The variable is not set; the secret cannot be read, or is empty or too long. The sentence names the variable.
pub async fn read(sdk: &SdkConfig, name: &'static str) -> Result<Secret, StartError> {
    fetch(sdk, name, &required(name)?).await
}

/// Reads the secret of that ARN; `name` is the setting it stands in.
///
/// # Errors
/// As [`read`].
pub async fn fetch(sdk: &SdkConfig, name: &'static str, arn: &str) -> Result<Secret, StartError> {
    let answer = Client::new(sdk).get_secret_value().secret_id(arn).send().await;
    let answer = answer.map_err(|e| StartError::Unreadable { name, why: DisplayErrorContext(e).to_string() })?;
    let text = answer.secret_string.ok_or(StartError::Malformed { name, why: "the secret holds no text" })?;
    if text.trim().is_empty() || text.len() > MAX_SECRET_BYTES {
        return Err(StartError::Malformed { name, why: "the secret is empty or too long" });
    }
    Ok(Secret::new(text))
}

/// A secret as JSON: where one thing needs several.
///
/// # Errors
/// It is not of that form; what is in it is not shown.
pub fn json<T: DeserializeOwned>(secret: &Secret, name: &'static str) -> Result<T, StartError> {
    let why = "the secret is not the JSON object that infra/README.md describes";
    serde_json::from_str(secret.expose()).map_err(|_| StartError::Malformed { name, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new(r#"{"key":"sk_very_secret"}"#);
        assert_eq!(format!("{secret:?}"), "Secret(hidden)");
        let error = json::<Vec<String>>(&secret, "STRIPE_SECRET_ARN").unwrap_err().to_string();
        assert!(error.contains("STRIPE_SECRET_ARN") && !error.contains("very"), "{error}");
    }
}
