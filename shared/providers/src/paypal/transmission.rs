//! The five headers that say a webhook is PayPal's, and the question that asks PayPal whether it is. Pure: no I/O.
//!
//! The known attack is a certificate URL of the attacker's own, so its host is checked against a list before anything else.

use reqwest::Url;
use serde::Serialize;
use serde_json::value::RawValue;

/// Longest of the headers, in bytes.
pub const MAX_HEADER_BYTES: usize = 2_048;
/// The algorithm PayPal signs with.
const ALGORITHM: &str = "SHA256withRSA";

/// Why a webhook is not believed before anybody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransmissionError {
    /// A header is missing.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// A header is too long, or holds what it cannot hold.
    #[error("the header {0} is malformed")]
    Malformed(&'static str),
}

/// The headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmission {
    id: String,
    time: String,
    signature: String,
    cert_url: String,
    algorithm: String,
}

/// Their names.
pub const HEADERS: [&str; 5] = [
    "paypal-transmission-id",
    "paypal-transmission-time",
    "paypal-transmission-sig",
    "paypal-cert-url",
    "paypal-auth-algo",
];

impl Transmission {
    /// Takes the headers from wherever they are; each must be there once, visible ASCII, and not too long.
    ///
    /// # Errors
    /// [`TransmissionError`].
    pub fn read<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> Result<Self, TransmissionError> {
        let one = |name: &'static str| {
            let value = header(name).ok_or(TransmissionError::Missing(name))?;
            let plain =
                !value.is_empty() && value.len() <= MAX_HEADER_BYTES && value.bytes().all(|b| b.is_ascii_graphic());
            if plain { Ok(value.to_owned()) } else { Err(TransmissionError::Malformed(name)) }
        };
        let [id, time, signature, cert_url, algorithm] = HEADERS;
        let read = Self {
            id: one(id)?,
            time: one(time)?,
            signature: one(signature)?,
            cert_url: one(cert_url)?,
            algorithm: one(algorithm)?,
        };
        if read.algorithm == ALGORITHM { Ok(read) } else { Err(TransmissionError::Malformed(algorithm)) }
    }

    /// Whether the certificate is on one of these hosts, by https, on its usual port, and with nothing else in the URL that
    /// could mislead.
    #[must_use]
    pub fn is_from(&self, hosts: &[String]) -> bool {
        let Ok(url) = Url::parse(&self.cert_url) else { return false };
        let plain = url.username().is_empty() && url.password().is_none() && url.port().is_none();
        // A URL parser forgives backslashes and the like; what it forgave is not what PayPal sends.
        let straight = url.as_str() == self.cert_url;
        url.scheme() == "https"
            && plain
            && straight
            && url.host_str().is_some_and(|host| hosts.iter().any(|allowed| allowed == host))
    }

    /// The question to PayPal, with the event as it came. Nothing where the event is not one JSON value: it could otherwise
    /// say more than itself.
    #[must_use]
    pub fn check(&self, webhook_id: &str, event: &[u8]) -> Option<Vec<u8>> {
        #[derive(Serialize)]
        struct Question<'a> {
            auth_algo: &'a str,
            cert_url: &'a str,
            transmission_id: &'a str,
            transmission_sig: &'a str,
            transmission_time: &'a str,
            webhook_id: &'a str,
        }
        serde_json::from_slice::<&RawValue>(event).ok()?;
        let question = Question {
            auth_algo: &self.algorithm,
            cert_url: &self.cert_url,
            transmission_id: &self.id,
            transmission_sig: &self.signature,
            transmission_time: &self.time,
            webhook_id,
        };
        let mut body = serde_json::to_vec(&question).ok()?;
        // What is signed is the event's bytes, so they are put in as they came: not parsed and written again.
        body.pop();
        body.extend_from_slice(br#","webhook_event":"#);
        body.extend_from_slice(event);
        body.push(b'}');
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::super::PAYPAL_CERT_HOSTS;
    use super::*;
    use proptest::prelude::*;

    const CERT: &str = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42";

    fn hosts() -> Vec<String> {
        PAYPAL_CERT_HOSTS.map(str::to_owned).to_vec()
    }

    fn with(name: &str, value: Option<&'static str>) -> Result<Transmission, TransmissionError> {
        Transmission::read(|header| match header {
            header if header == name => value,
            "paypal-cert-url" => Some(CERT),
            "paypal-auth-algo" => Some("SHA256withRSA"),
            "paypal-transmission-time" => Some("2026-11-10T00:00:00Z"),
            _ => Some("b1"),
        })
    }

    #[test]
    fn every_header_must_be_there_and_be_plain() {
        assert!(with("none", None).is_ok());
        for name in HEADERS {
            assert_eq!(with(name, None), Err(TransmissionError::Missing(name)));
            for wrong in ["", " ", "a b", "a\u{7f}", "\u{e9}"] {
                assert_eq!(with(name, Some(wrong)), Err(TransmissionError::Malformed(name)), "{wrong}");
            }
        }
        let long: &'static str = Box::leak("x".repeat(MAX_HEADER_BYTES + 1).into_boxed_str());
        assert!(with("paypal-transmission-sig", Some(long)).is_err());
        assert!(with("paypal-auth-algo", Some("none")).is_err());
    }

    #[test]
    fn only_paypals_own_hosts_have_paypals_certificates() {
        assert!(with("none", None).unwrap().is_from(&hosts()));
        for forged in [
            "https://api.paypal.com.evil.example/certs/1",
            "https://evil.example/api.paypal.com",
            "https://api.paypal.com@evil.example/certs/1",
            "https://user:pass@api.paypal.com/certs/1",
            "https://api.paypal.com:8443/certs/1",
            "http://api.paypal.com/certs/1",
            "https://API.PAYPAL.COM/certs/1",
            "https://api.paypal.com\\@evil.example/1",
            "https:api.paypal.com/certs/1",
            "https:///api.paypal.com/certs/1",
            "https://api.paypal.com%2eevil.example/1",
            "https://xn--pypal-4ve.com/certs/1",
            "ftp://api.paypal.com/certs/1",
            "//api.paypal.com/certs/1",
            "api.paypal.com",
        ] {
            let held = with("paypal-cert-url", Some(forged)).is_ok_and(|read| read.is_from(&hosts()));
            assert!(!held, "{forged}");
        }
    }

    #[test]
    fn the_event_is_asked_about_byte_for_byte() {
        let event = b"{ \"id\" : \"WH-1\",\n \"amount\": 1.10, \"name\": \"\\u00e9\" }";
        let body = with("none", None).unwrap().check("WID", event).unwrap();
        assert!(body.windows(event.len()).any(|window| window == event));
        let question: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (question["webhook_id"].as_str(), question["webhook_event"]["id"].as_str()),
            (Some("WID"), Some("WH-1"))
        );
        for wrong in ["", "{", "{} {}", "{},\"webhook_id\":\"MINE\"", "{}}", "nonsense"] {
            assert_eq!(with("none", None).unwrap().check("WID", wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_event_says_more_than_itself(event in "\\PC{0,100}") {
            if let Some(body) = with("none", None).unwrap().check("WID", event.as_bytes()) {
                let question: serde_json::Value = serde_json::from_slice(&body).unwrap();
                prop_assert_eq!(question["webhook_id"].as_str(), Some("WID"));
                prop_assert_eq!(question.as_object().unwrap().len(), 7);
            }
        }

        #[test]
        fn no_url_gets_past_but_one_on_the_list(url in "(https?:)?[/\\\\]{0,3}[a-z@:.%\\\\]{0,12}(api\\.paypal\\.com)?[a-z@:.%\\\\/?#]{0,12}") {
            let leaked: &'static str = Box::leak(url.clone().into_boxed_str());
            if let Ok(read) = with("paypal-cert-url", Some(leaked)) && read.is_from(&hosts()) {
                let rest = url.strip_prefix("https://api.paypal.com/");
                prop_assert!(rest.is_some(), "{}", url);
            }
        }
    }
}
