//! Reads the wire form of our own mails: headers with encoded words, parts of `multipart/*`, the two transfer encodings. What
//! else a mail could be does not come here; it is shown as it stands.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

/// Parts within parts that are looked into.
const MAX_DEPTH: usize = 4;
/// Padding may be missing: encoded words are cut anywhere.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Headers and body of a mail, or of a part of one.
pub struct Part {
    headers: Vec<(String, String)>,
    body: String,
}

impl Part {
    pub fn read(raw: &[u8]) -> Self {
        Self::of(&String::from_utf8_lossy(raw).replace("\r\n", "\n"))
    }

    fn of(text: &str) -> Self {
        let text = text.trim_start_matches('\n');
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        // A line that begins with a space goes on with the one before.
        let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
        let headers = unfolded.lines().filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned())).collect();
        Self { headers, body: body.to_owned() }
    }

    fn raw_header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// A header, with its encoded words decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        Some(self.raw_header(name)).filter(|value| !value.is_empty()).map(words)
    }

    /// The decoded body of the first part of that type.
    pub fn find(&self, kind: &str) -> Option<String> {
        self.find_in(kind, MAX_DEPTH)
    }

    fn find_in(&self, kind: &str, depth: usize) -> Option<String> {
        let content_type = self.raw_header("content-type");
        if content_type.to_lowercase().starts_with(kind) {
            return Some(self.decoded());
        }
        let boundary = content_type.split("boundary=").nth(1)?.trim_start_matches('"').split(['"', ';']).next()?;
        let between = format!("\n--{boundary}");
        let body = format!("\n{}", self.body);
        let parts = body.split(between.as_str()).skip(1).take_while(|part| !part.starts_with("--"));
        if depth == 0 { None } else { parts.map(Self::of).find_map(|part| part.find_in(kind, depth - 1)) }
    }

    fn decoded(&self) -> String {
        match self.raw_header("content-transfer-encoding").to_lowercase().as_str() {
            "quoted-printable" => quoted_printable(&self.body.replace("=\n", "")),
            "base64" => {
                let plain: String = self.body.split_whitespace().collect();
                STANDARD.decode(&plain).map_or(plain, |bytes| String::from_utf8_lossy(&bytes).into_owned())
            }
            _ => self.body.clone(),
        }
    }
}

/// `=E2=82=AC`.
fn quoted_printable(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'=').then(|| tail.get(..2)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `=?utf-8?B?...?=` and `=?utf-8?Q?...?=` (RFC 2047). The space between two of them is not part of the text.
fn words(value: &str) -> String {
    let value = value.trim_matches('"').replace("?= =?", "?==?");
    let (mut text, mut rest) = (String::new(), value.as_str());
    while let Some((before, word)) = rest.split_once("=?") {
        text.push_str(before);
        let mut parts = word.splitn(4, '?');
        let (_, encoding, encoded, tail) = (parts.next(), parts.next(), parts.next(), parts.next());
        match (encoding.map(str::to_uppercase).as_deref(), encoded, tail.and_then(|tail| tail.strip_prefix('='))) {
            (Some("B"), Some(encoded), Some(tail)) => {
                text.push_str(&String::from_utf8_lossy(&LENIENT.decode(encoded).unwrap_or_default()));
                rest = tail;
            }
            (Some("Q"), Some(encoded), Some(tail)) => {
                text.push_str(&quoted_printable(&encoded.replace('_', " ")));
                rest = tail;
            }
            _ => {
                text.push_str("=?");
                rest = word;
            }
        }
    }
    text + rest
}
