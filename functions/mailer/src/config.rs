//! What every mail says alike.

use api::start::{StartError, required};

/// Longest of these values, in bytes.
const MAX_BYTES: usize = 200;

/// Who the mails are from, and where their links lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailConfig {
    /// The address they are from.
    pub from: String,
    /// What the product is called.
    pub product: String,
    /// Where its pages are, without a slash at the end.
    pub frontend_url: String,
    /// The address that answers go to.
    pub support: String,
}

impl MailConfig {
    /// From `MAIL_FROM`, `MAIL_PRODUCT`, `MAIL_FRONTEND_URL` and `MAIL_SUPPORT`.
    ///
    /// # Errors
    /// One is missing or malformed.
    pub fn from_env() -> Result<Self, StartError> {
        Self {
            from: required("MAIL_FROM")?,
            product: required("MAIL_PRODUCT")?,
            frontend_url: required("MAIL_FRONTEND_URL")?,
            support: required("MAIL_SUPPORT")?,
        }
        .checked()
    }

    /// The same, once it is known to be usable.
    ///
    /// # Errors
    /// A value that is none; the sentence names its setting.
    pub fn checked(mut self) -> Result<Self, StartError> {
        let malformed = |name, why| Err(StartError::Malformed { name, why });
        let is_address = |text: &str| {
            text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
                && text.bytes().all(|byte| byte.is_ascii_graphic() && !b",;:<>()[]\\\"".contains(&byte))
        };
        if [&self.from, &self.product, &self.frontend_url, &self.support].iter().any(|text| text.len() > MAX_BYTES) {
            return malformed("MAIL_*", "a value has more than 200 bytes");
        }
        if !is_address(&self.from) {
            return malformed("MAIL_FROM", "it must be one plain mail address");
        }
        if !is_address(&self.support) {
            return malformed("MAIL_SUPPORT", "it must be one plain mail address");
        }
        if self.product.trim().is_empty() || self.product.chars().any(char::is_control) {
            return malformed("MAIL_PRODUCT", "it must be a name in one line");
        }
        let rest = self.frontend_url.strip_prefix("https://").or_else(|| self.frontend_url.strip_prefix("http://"));
        let is_host =
            |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic() && !b"\"'<>?#".contains(&b));
        if !rest.is_some_and(is_host) {
            return malformed("MAIL_FRONTEND_URL", "it must begin with https:// or http://, and have no query");
        }
        self.frontend_url.truncate(self.frontend_url.trim_end_matches('/').len());
        Ok(self)
    }
}
