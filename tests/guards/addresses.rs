//! What the published description says of mail addresses is what is taken: one table for both.

use domain::account::Email;
use proptest::prelude::*;
use proptest::string::string_regex;
use regex::Regex;
use serde_json::Value;

/// Longest address and patterns of the description's schema.
fn described() -> (usize, Vec<String>) {
    let document = serde_json::to_value(skymeter::gateway::openapi()).unwrap();
    let all = document["components"]["schemas"]["Address"]["allOf"].as_array().unwrap().clone();
    let patterns = all.iter().map(|part| part["pattern"].as_str().unwrap().to_owned()).collect();
    let longest: Vec<&Value> = all.iter().map(|part| &part["maxLength"]).collect();
    (usize::try_from(longest[0].as_u64().unwrap()).unwrap(), patterns)
}

fn admits((longest, patterns): &(usize, Vec<String>), text: &str) -> bool {
    text.chars().count() <= *longest && patterns.iter().all(|pattern| Regex::new(pattern).unwrap().is_match(text))
}

#[test]
fn what_is_said_of_addresses_is_what_is_taken() {
    let described = described();
    let dotted = |chars: usize| vec!["a"; chars].join(".");
    let domain = |last: usize| format!("{}.{}.{}.com", "b".repeat(63), "c".repeat(63), "d".repeat(last));
    let good = [
        "ada@example.com".to_owned(),
        "Ada.Lovelace+news@Mail.Example.CO.UK".to_owned(),
        "!#$%&'*+-/=?^_`{|}~@example.com".to_owned(),
        "ada@xn--bcher-kva.xn--p1ai".to_owned(),
        "1@2.x3".to_owned(),
        "a@b.3x".to_owned(),
        "a@b-b.c-1".to_owned(),
        "a.b.c.d.e.f@g.h.i.j.k.l.m.n".to_owned(),
        format!("{}@example.com", "a".repeat(64)),
        format!("{}@b.c", dotted(32)),
        format!("a@{}.{}", "b".repeat(63), "c".repeat(63)),
        format!("{}@{}", "a".repeat(60), domain(61)),
    ];
    let bad = [
        String::new(),
        "ada".to_owned(),
        "@example.com".to_owned(),
        "ada@".to_owned(),
        "ada@localhost".to_owned(),
        "ada@example.com.".to_owned(),
        "ada@.example.com".to_owned(),
        "ada@example..com".to_owned(),
        ".ada@example.com".to_owned(),
        "ada.@example.com".to_owned(),
        "a..b@example.com".to_owned(),
        "a@b@example.com".to_owned(),
        "ada@-example.com".to_owned(),
        "ada@example-.com".to_owned(),
        "ada@exa_mple.com".to_owned(),
        "ada@127.0.0.1".to_owned(),
        "ada@[127.0.0.1]".to_owned(),
        "\"ada\"@example.com".to_owned(),
        "a b@example.com".to_owned(),
        "ada@example.com\n".to_owned(),
        "ad\u{430}@example.com".to_owned(),
        "ada@ex\u{e4}mple.com".to_owned(),
        format!("{}@example.com", "a".repeat(65)),
        format!("{}b@b.c", dotted(32) + "."),
        format!("a@{}.com", "b".repeat(64)),
        format!("{}@{}", "a".repeat(61), domain(61)),
    ];
    for (texts, taken) in [(&good[..], true), (&bad[..], false)] {
        for text in texts {
            assert_eq!((Email::parse(text).is_ok(), admits(&described, text)), (taken, taken), "{text:?}");
        }
    }
}

proptest! {
    #[test]
    fn what_the_description_generates_is_taken(text in string_regex(described().1[0].trim_matches(['^', '$'])).unwrap()) {
        prop_assert_eq!(Email::parse(&text).is_ok(), admits(&described(), &text), "{:?}", text);
    }

    #[test]
    fn what_is_taken_is_described(text in "[a-z.+@-]{1,12}@[a-z0-9.-]{1,12}(\\.[a-z0-9-]{1,3})?") {
        prop_assert_eq!(Email::parse(&text).is_ok(), admits(&described(), &text), "{:?}", text);
    }
}
