//! Secrets by reference: an environment variable holds the ARN of a Secrets Manager secret, never the secret itself. Read once,
//! when the function starts, kept in memory, shown nowhere.

use crate::start::{StartError, required};
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// Shortest token that is believed to be one.
pub const MIN_TOKEN_BYTES: usize = 24;
/// Longest, and how many may hold at once: enough to rotate.
const MAX_TOKEN_BYTES: usize = 512;
const MAX_TOKENS: usize = 4;

/// Tokens a caller may present, any of them: while one is rotated, the old and the new one both hold.
#[derive(Clone)]
pub struct Tokens(Vec<String>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({} hidden)", self.0.len())
    }
}

impl Tokens {
    /// Tokens separated by white space, of 24 to 512 visible ASCII characters each, at most four.
    ///
    /// # Errors
    /// What is wrong with them, without showing them.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let tokens: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
        if tokens.is_empty() || tokens.len() > MAX_TOKENS {
            return Err("it must hold one to four tokens");
        }
        if tokens.iter().any(|token| !(MIN_TOKEN_BYTES..=MAX_TOKEN_BYTES).contains(&token.len())) {
            return Err("a token must have 24 to 512 characters");
        }
        if tokens.iter().any(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err("a token must be visible ASCII");
        }
        Ok(Self(tokens))
    }

    /// Whether `presented` is one of them; the time it takes does not tell which, nor how much of it was right.
    #[must_use]
    pub fn hold(&self, presented: &str) -> bool {
        let hit = self.0.iter().map(|token| token.as_bytes().ct_eq(presented.as_bytes()));
        hit.fold(Choice::from(0), |any, one| any | one).into()
    }

    /// Reads the secret whose ARN the environment variable `name` holds.
    ///
    /// # Errors
    /// The variable is not set; the secret cannot be read, or does not hold tokens. The sentence names the variable.
    pub async fn read(sdk: &SdkConfig, name: &'static str) -> Result<Self, StartError> {
        Self::fetch(sdk, name, &required(name)?).await
    }

    /// Reads the secret of that ARN; `name` is the setting it stands in.
    ///
    /// # Errors
    /// As [`Tokens::read`].
    pub async fn fetch(sdk: &SdkConfig, name: &'static str, arn: &str) -> Result<Self, StartError> {
        let answer = Client::new(sdk).get_secret_value().secret_id(arn).send().await;
        let answer = answer.map_err(|e| StartError::Unreadable { name, why: DisplayErrorContext(e).to_string() })?;
        let text = answer.secret_string.ok_or(StartError::Malformed { name, why: "the secret holds no text" })?;
        Self::parse(&text).map_err(|why| StartError::Malformed { name, why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an-old-token-of-a-monitor";
    const NEW: &str = "a-new-token-of-a-monitor-";

    #[test]
    fn any_of_the_tokens_holds_and_nothing_else() {
        let tokens = Tokens::parse(&format!("{NEW} {OLD}\n")).unwrap();
        assert!(tokens.hold(OLD) && tokens.hold(NEW));
        for wrong in ["", " ", "an-old-token-of-a-monito", &format!("{OLD} {NEW}"), &format!("{OLD}x")] {
            assert!(!tokens.hold(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_never_shown() {
        for wrong in ["", "  ", "short", &format!("{OLD} short"), &format!("{OLD}\u{7f}"), &"x".repeat(513)] {
            assert!(Tokens::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Tokens::parse(&[OLD; 5].join(" ")).is_err());
        assert_eq!(format!("{:?}", Tokens::parse(OLD).unwrap()), "Tokens(1 hidden)");
    }
}
