//! PayPal's headers and the question that is sent back: a certificate is only ever fetched from a host that is allowed, and an event
//! cannot say more in the question than itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use providers::paypal::PAYPAL_CERT_HOSTS;
use providers::paypal::transmission::{HEADERS, Transmission};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

fuzz_target!(|data: ([&str; 4], &[u8])| {
    let (given, event) = data;
    let hosts = PAYPAL_CERT_HOSTS.map(str::to_owned);
    let header = |name: &'static str| {
        let place = HEADERS.iter().position(|known| *known == name)?;
        given.get(place).copied().or(Some("SHA256withRSA"))
    };
    let Ok(read) = Transmission::read(header) else { return };
    if read.is_from(&hosts) {
        let rest = given[3].strip_prefix("https://").expect("only https");
        assert!(hosts.iter().any(
            |host| rest == host || rest.strip_prefix(host.as_str()).is_some_and(|r| r.starts_with(['/', '?', '#']))
        ));
    }
    if let Some(question) = read.check("webhook", event) {
        // Not as values: a number may be larger than one can hold, and is PayPal's business all the same.
        let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(&question).expect("the question is JSON");
        assert_eq!(fields.len(), 7);
        assert_eq!(fields["webhook_id"].get(), "\"webhook\"");
        let event = std::str::from_utf8(event).expect("JSON is text");
        assert_eq!(fields["webhook_event"].get(), event.trim_matches([' ', '\n', '\r', '\t']));
    }
});
