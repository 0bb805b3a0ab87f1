//! What mails say. Text and HTML each from a file of `templates/`, compiled in; parameters are escaped in HTML, and cleaned of
//! whatever could end a line or pass a stranger's link off as ours.

use crate::config::MailConfig;
use domain::mail::{NAME, Template};
use minijinja::{Environment, UndefinedBehavior, Value};
use std::collections::BTreeMap;

/// Longest parameter that is shown, in characters.
const MAX_PARAM_CHARS: usize = 500;
/// Longest name that is greeted, in characters.
const MAX_NAME_CHARS: usize = 60;
/// What the first line of a text begins with.
const SUBJECT: &str = "Subject: ";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(
            (concat!($name, ".txt"), include_str!(concat!("../templates/", $name, ".txt"))),
            (concat!($name, ".html"), include_str!(concat!("../templates/", $name, ".html"))),
        )*]
    };
}

/// The extension decides whether values are escaped.
const FILES: [(&str, &str); 28] = files![
    "layout",
    "welcome",
    "verify",
    "reset",
    "registered_already",
    "confirm_email",
    "email_change_asked",
    "email_changed",
    "password_changed",
    "new_sign_in",
    "api_key_created",
    "receipt",
    "low_balance",
    "top_up_failed",
];

/// A mail as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// The templates, parsed.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    config: MailConfig,
}

/// A mail that cannot be written: a template or its parameters are wrong.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The engine says so. Its sentence names the template and the line, not the parameters.
    #[error("the template: {0}")]
    Template(#[from] minijinja::Error),
    /// It is told too little or too much.
    #[error("{0}")]
    Params(String),
    /// A text does not begin with its subject.
    #[error("{0} has no subject")]
    NoSubject(Template),
}

impl Templates {
    /// Parses them all.
    ///
    /// # Errors
    /// One of them is wrong: a test has seen that none is.
    pub fn new(config: MailConfig) -> Result<Self, RenderError> {
        let mut environment = Environment::new();
        // A parameter that is not there is a mistake, never an empty place.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in FILES {
            environment.add_template(name, source)?;
        }
        Ok(Self { environment, config })
    }

    /// Writes a mail.
    ///
    /// # Errors
    /// See [`RenderError`].
    pub fn render(&self, template: Template, params: &BTreeMap<String, String>) -> Result<Rendered, RenderError> {
        if let Some(wrong) = template.wrong_params(params.keys().map(String::as_str)) {
            return Err(RenderError::Params(wrong));
        }
        let mut values = self.values(template, params);
        let text = self.environment.get_template(&format!("{template}.txt"))?.render(&values)?;
        let (subject, body) = text.split_once('\n').ok_or(RenderError::NoSubject(template))?;
        let subject = subject.strip_prefix(SUBJECT).ok_or(RenderError::NoSubject(template))?.to_owned();
        let html = self.environment.get_template(&format!("{template}.html"))?.render(&values)?;
        values.insert("subject".to_owned(), Value::from(subject.clone()));
        values.insert("body".to_owned(), Value::from(body.trim()));
        let text = self.environment.get_template("layout.txt")?.render(&values)?;
        // It is escaped already.
        values.insert("body".to_owned(), Value::from_safe_string(html));
        let html = self.environment.get_template("layout.html")?.render(&values)?;
        Ok(Rendered { subject, text, html })
    }

    fn values(&self, template: Template, params: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        let optional = template.params().optional.iter().chain(&[NAME]);
        for name in optional {
            values.insert((*name).to_owned(), Value::from(""));
        }
        for (name, value) in params {
            let value = if name == NAME { greeted(value) } else { cleaned(value) };
            values.insert(name.clone(), Value::from(value));
        }
        let config = &self.config;
        let ours = [
            ("product", config.product.clone()),
            ("frontend_url", config.frontend_url.clone()),
            ("support", config.support.clone()),
            ("link", format!("{}{}", config.frontend_url, path(template, params))),
        ];
        values.extend(ours.map(|(name, value)| (name.to_owned(), Value::from(value))));
        values
    }
}

/// Where the one link of a mail leads, below the frontend.
fn path(template: Template, params: &BTreeMap<String, String>) -> String {
    let param = |name: &str| encoded(params.get(name).map(String::as_str).unwrap_or_default());
    match template {
        Template::Welcome | Template::RegisteredAlready | Template::EmailChanged => "/login".to_owned(),
        Template::Verify => format!("/verify-email?token={}", param("token")),
        Template::Reset => format!("/reset-password?token={}", param("token")),
        Template::ConfirmEmail => format!("/confirm-email?token={}", param("token")),
        Template::PasswordChanged | Template::EmailChangeAsked => "/forgot-password".to_owned(),
        Template::NewSignIn => "/account/sessions".to_owned(),
        Template::ApiKeyCreated => "/account/api-keys".to_owned(),
        Template::Receipt | Template::TopUpFailed => format!("/billing/payments/{}", param("payment")),
        Template::LowBalance => "/billing".to_owned(),
    }
}

/// Safe inside a URL: everything but the unreserved characters of RFC 3986 is percent-encoded.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// One line of bounded length. Invisible characters that turn text around are gone, too.
fn cleaned(text: &str) -> String {
    let is_turning = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain = text.chars().filter(|c| !is_turning(*c)).map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_PARAM_CHARS).collect::<String>().trim().to_owned()
}

/// A name, or nothing. Whoever registers chooses it, with anybody's address: a "name" with a link in it would be a mail from us
/// with a stranger's words.
fn greeted(name: &str) -> String {
    let name = cleaned(name);
    let is_word = |c: char| c.is_alphabetic() || " '’-".contains(c);
    let ends_a_word = |rest: &str| rest.is_empty() || rest.starts_with(' ');
    let fits = name.chars().count() <= MAX_NAME_CHARS;
    let is_name = name.char_indices().all(|(i, c)| {
        // "Dr. Ann" is a name, "evil.example" is not.
        is_word(c) || (c == '.' && name.get(i + 1..).is_some_and(ends_a_word))
    });
    if fits && is_name { name } else { String::new() }
}

#[cfg(test)]
mod tests;
