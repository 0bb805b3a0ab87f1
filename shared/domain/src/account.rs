//! Who somebody is to us: role, status, what an API key may do, and the one way an e-mail address is written.
//!
//! Does *not*: know passwords or tokens; those are the business of the function that checks them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest address, in bytes (RFC 5321 leaves 254 between the angle brackets).
pub const MAX_EMAIL_BYTES: usize = 254;
/// Longest part before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;
/// Longest label of a domain name.
const MAX_LABEL_BYTES: usize = 63;
/// What may stand before the `@` beside letters, digits and single dots (RFC 5322, `atext`).
const LOCAL_MARKS: &[u8] = b"!#$%&'*+/=?^_`{|}~-";

/// What somebody may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Their own things.
    #[default]
    User,
    /// Everybody's.
    Admin,
}

/// Whether somebody may do anything at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Yes.
    #[default]
    Active,
    /// Not now: an operator stopped them, and can let them go on.
    Suspended,
    /// Not any more: an admin closed the account; it can be opened again.
    Deactivated,
    /// They had themselves deleted. Final: nothing personal is left.
    Deleted,
}

impl Role {
    /// As it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// Undoes [`Role::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::User, Self::Admin].into_iter().find(|role| role.as_str() == text)
    }
}

impl Status {
    /// As it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deactivated => "deactivated",
            Self::Deleted => "deleted",
        }
    }

    /// Undoes [`Status::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Active, Self::Suspended, Self::Deactivated, Self::Deleted];
        all.into_iter().find(|status| status.as_str() == text)
    }
}

/// An area an API key can be made for. Not `auth`: a key cannot make keys, end sessions or change a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyArea {
    /// `admin`, for admins.
    Admin,
    /// `billing`.
    Billing,
    /// `health`.
    Health,
    /// `payments`.
    Payments,
}

impl KeyArea {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Billing, Self::Health, Self::Payments];

    /// The name of the area, and of the function that serves it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Billing => "billing",
            Self::Health => "health",
            Self::Payments => "payments",
        }
    }
}

/// What an API key may do in one area: `billing:read`, `billing:write`. Writing includes reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope {
    area: KeyArea,
    write: bool,
}

/// The text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a scope is one of admin, billing, health, payments with :read or :write")]
pub struct ScopeError;

impl Scope {
    /// Parses `<area>:read` or `<area>:write`.
    ///
    /// # Errors
    /// Another area, another verb.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let (area, verb) = text.split_once(':').ok_or(ScopeError)?;
        let area = KeyArea::ALL.into_iter().find(|known| known.as_str() == area).ok_or(ScopeError)?;
        match verb {
            "read" => Ok(Self { area, write: false }),
            "write" => Ok(Self { area, write: true }),
            _ => Err(ScopeError),
        }
    }

    /// Whether it allows reading (or, with `write`, writing) in `area`.
    #[must_use]
    pub fn allows(self, area: &str, write: bool) -> bool {
        self.area.as_str() == area && (self.write || !write)
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;
    fn try_from(text: String) -> Result<Self, ScopeError> {
        Self::parse(&text)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.area.as_str(), if self.write { "write" } else { "read" })
    }
}

/// An e-mail address in the one form it is stored, compared and written to: ASCII, lower case, `local@domain`.
///
/// Two addresses that look alike must not be two accounts, and nothing in one may mean something to a mail header. So it is
/// strict: no quoted local parts, no comments, no literals, nothing beyond ASCII (a domain of another script as punycode),
/// no control characters anywhere. Upper and lower case are the same mailbox, as with every provider of size.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(Box<str>);

/// Why a text is no address we take. Says what is wrong without repeating the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// More than [`MAX_EMAIL_BYTES`].
    #[error("an e-mail address has at most 254 characters")]
    TooLong,
    /// Control characters, other scripts, zero-width characters, look-alikes.
    #[error(
        "an e-mail address has only ASCII letters, digits and marks; write a domain of another script as punycode (xn--...)"
    )]
    NotAscii,
    /// Not `local@domain`, or the part before the `@`.
    #[error("an e-mail address looks like name@example.com; quoted names are not taken")]
    Local,
    /// The part after the `@`.
    #[error("the domain of the e-mail address is not a domain name")]
    Domain,
}

impl Email {
    /// Brings an address into its one form. Spaces around it are dropped.
    ///
    /// # Errors
    /// It is none, or none we take.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim_matches(' ');
        if text.len() > MAX_EMAIL_BYTES {
            return Err(EmailError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(EmailError::NotAscii);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailError::Local)?;
        if !is_local(local) {
            return Err(EmailError::Local);
        }
        if !is_domain(domain) {
            return Err(EmailError::Domain);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Words of `atext` between single dots.
fn is_local(local: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || LOCAL_MARKS.contains(&byte))
    };
    local.len() <= MAX_LOCAL_BYTES && local.split('.').all(is_word)
}

/// At least two labels of letters, digits and inner hyphens; the last is no number, so an IP address is none.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = domain.rsplit('.').next().unwrap_or_default();
    domain.contains('.') && domain.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

impl TryFrom<String> for Email {
    type Error = EmailError;
    fn try_from(text: String) -> Result<Self, EmailError> {
        Self::parse(&text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0.into()
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_mailbox_is_one_text() {
        for text in ["Ada@Example.COM", "  ada@example.com ", "ada@example.com"] {
            assert_eq!(Email::parse(text).unwrap().as_str(), "ada@example.com");
        }
        for good in ["a.b+c_d@x-y.example", "o'hara@example.co.uk", "x@xn--bcher-kva.example", "1@2.x3"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn tricks_are_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long_label = format!("a@{}.com", "b".repeat(64));
        for bad in [
            "",
            " ",
            "@",
            "a@",
            "@b.c",
            "a",
            "a@b",
            "a@b@c.d",
            "a.@b.c",
            ".a@b.c",
            "a..b@c.d",
            "a@.b.c",
            "a@b..c",
            "a@b.c.",
            "a@-b.c",
            "a@b-.c",
            "a@127.0.0.1",
            "a@[127.0.0.1]",
            "\"a b\"@c.d",
            "\"a\"@c.d",
            "a(b)@c.d",
            "a b@c.d",
            "a@c.d\r\nBcc: x@y.z",
            "a\n@c.d",
            "a@c.d\n",
            "\ta@c.d",
            "a@c.d\0",
            "a,b@c.d",
            "a@c.d,e@f.g",
            "<a@c.d>",
            "a;b@c.d",
            "a\\b@c.d",
            "ad\u{430}@example.com",
            "ada\u{200b}@example.com",
            "ada@ex\u{e4}mple.com",
            "ada\u{ff20}example.com",
            "\u{feff}ada@example.com",
            "a%00@c_d.e",
            &long_local,
            &long_label,
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
        let full = format!("{}@{}.{}.{}.com", "a".repeat(60), "b".repeat(63), "c".repeat(63), "d".repeat(61));
        assert_eq!(full.len(), 254);
        assert!(Email::parse(&full).is_ok());
        assert_eq!(Email::parse(&format!("a{full}")), Err(EmailError::TooLong));
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_plain_and_stays_as_it_is(text in "\\PC{0,40}@?[ -~]{0,30}(\\.[a-z\\n\\r]{1,4})?") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert!(email.as_str().bytes().all(|b| b.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&b)));
                prop_assert!(email.as_str().len() <= MAX_EMAIL_BYTES);
                prop_assert_eq!(Email::parse(email.as_str()).unwrap(), email);
            }
        }
    }

    #[test]
    fn a_scope_allows_its_area_and_nothing_else() {
        let [read, write] = ["billing:read", "billing:write"].map(|text| Scope::parse(text).unwrap());
        assert!(read.allows("billing", false) && !read.allows("billing", true));
        assert!(write.allows("billing", false) && write.allows("billing", true));
        assert!(!write.allows("payments", false) && !write.allows("auth", true));
        for bad in ["", "billing", "billing:", "billing:all", "auth:write", "*:read", "Billing:read", "billing:read "] {
            assert_eq!(Scope::parse(bad), Err(ScopeError), "{bad}");
        }
        assert_eq!(serde_json::to_string(&read).unwrap(), "\"billing:read\"");
    }

    #[test]
    fn roles_and_statuses_are_read_as_they_are_written() {
        for role in [Role::User, Role::Admin] {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        for status in [Status::Active, Status::Suspended, Status::Deactivated, Status::Deleted] {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{}\"", status.as_str()));
        }
        assert_eq!((Role::parse("root"), Status::parse("")), (None, None));
    }
}
