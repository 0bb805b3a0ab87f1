//! The export form, against bytes written by hand from RFC 8785.

use crate::fixtures::{at, h, id};
use crate::plan::{Metering, Price};
use crate::tenure::WalletId;
use crate::wallet::{ExportPage, Kind, Line, Page, page_hash};
use crate::{Amount, Unit};
use sha2::{Digest, Sha256};

/// What RFC 8785 escapes, and what it must not: DEL, `/`, U+2028 and all that is not ASCII stand as they are.
const REASON: &str = "say \"no\"\\ \u{8}\t\n\u{c}\r\u{1}\u{1f} \u{7f}/é\u{2028}😀";
const REASON_ESCAPED: &str = "say \\\"no\\\"\\\\ \\b\\t\\n\\f\\r\\u0001\\u001f \u{7f}/é\u{2028}😀";

fn page() -> Page {
    let line = |server: &str, from, to, secs_after, price: Price, metering| Line {
        server: id(server),
        from: h(from),
        to: h(to),
        secs_after,
        price,
        metering,
        per: 730,
        amount: Amount::from_steps(13_699),
    };
    let five = Price::parse("5").unwrap();
    Page {
        wallet: WalletId { customer: id("c-1"), unit: Unit::Token, lane: 2 },
        seq: 1,
        kind: Kind::Usage,
        at: at(2, 61),
        before: Amount::ZERO,
        amount: Amount::from_steps(-41_097),
        after: Amount::from_steps(-41_097),
        lines: vec![
            line("a", 0, 2, 7_200, five, Metering::Hourly),
            line("b", 1, 2, 10, five.discounted("33.33").unwrap(), Metering::PerSecond),
            line("c", 1, 2, 3_600, Price::parse("1.234567").unwrap(), Metering::Hourly),
        ],
        meters: Vec::new(),
        actor: None,
        reason: Some(REASON.to_owned()),
        reference: None,
        prev_hash: [0; 32],
        hash: [0; 32],
    }
}

/// Split where `hash` goes.
fn by_hand() -> (String, String) {
    let front = r#"{"actor":null,"after":"-4.1097","amount":"-4.1097","at":"2026-10-01T02:01:01Z","before":"0.0000","customer":"c-1""#;
    let lines = concat!(
        r#"{"amount":"1.3699","from":"2026-10-01T00:00:00Z","hours":2,"n":2,"per":730,"price":"500.00","server":"a","to":"2026-10-01T02:00:00Z"},"#,
        r#"{"amount":"1.3699","from":"2026-10-01T01:00:00Z","hours":1,"n":10,"per":730,"price":"333.35","server":"b","to":"2026-10-01T02:00:00Z"},"#,
        r#"{"amount":"1.3699","from":"2026-10-01T01:00:00Z","hours":1,"n":1,"per":730,"price":"123.4567","server":"c","to":"2026-10-01T02:00:00Z"}"#,
    );
    let zeros = "0".repeat(64);
    let back = format!(
        r#","kind":"usage","lane":2,"lines":[{lines}],"prev_hash":"{zeros}","reason":"{REASON_ESCAPED}","reference":null,"seq":1,"unit":"token"}}"#
    );
    (front.to_owned(), back)
}

#[test]
fn the_hash_is_sha_256_of_the_canonical_form_written_by_hand() {
    let (front, back) = by_hand();
    let hash: [u8; 32] = Sha256::digest(format!("{front}{back}")).into();
    assert_eq!(hex::encode(page_hash(&page())), hex::encode(hash));
    assert_eq!(page().sealed().hash, hash);
}

#[test]
fn the_export_is_the_same_object_with_its_hash_and_null_for_what_is_absent() {
    let (front, back) = by_hand();
    let page = page().sealed();
    let exported = serde_json::to_string(&ExportPage::new(&page)).unwrap();
    assert_eq!(exported, format!(r#"{front},"hash":"{}"{back}"#, hex::encode(page.hash)));
    let fields = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&exported).unwrap();
    assert_eq!(fields.len(), 15);
    // Nothing is left out where nothing is told.
    let exported = serde_json::to_string(&ExportPage::new(&Page { reason: None, lines: Vec::new(), ..page })).unwrap();
    for absent in [r#""actor":null,"#, r#""reason":null,"#, r#""reference":null,"#, r#""lines":[],"#] {
        assert!(exported.contains(absent), "{absent}");
    }
}

#[test]
fn usd_has_six_decimals() {
    let mut page = page();
    page.wallet.unit = Unit::Usd;
    let exported = serde_json::to_value(ExportPage::new(&page)).unwrap();
    assert_eq!((&exported["amount"], &exported["before"]), (&"-0.041097".into(), &"0.000000".into()));
    let prices: Vec<_> = (0..3).map(|i| exported["lines"][i]["price"].as_str().unwrap().to_owned()).collect();
    assert_eq!(prices, ["5.00", "3.3335", "1.234567"]);
}

#[test]
fn the_hash_covers_every_field_of_the_export() {
    let changes: [fn(&mut Page); 16] = [
        |p| p.wallet.customer = id("c-2"),
        |p| p.wallet.unit = Unit::Usd,
        |p| p.wallet.lane = 3,
        |p| p.seq = 2,
        |p| p.kind = Kind::Admin,
        |p| p.at = at(2, 62),
        |p| p.before = Amount::from_steps(1),
        |p| p.amount = Amount::from_steps(1),
        |p| p.after = Amount::from_steps(1),
        |p| p.lines[0].amount = Amount::from_steps(1),
        |p| p.lines[1].secs_after = 11,
        |p| p.lines[2].per = 731,
        |p| p.actor = Some(String::new()),
        |p| p.reason = None,
        |p| p.reference = Some("r".into()),
        |p| p.prev_hash[31] = 1,
    ];
    for (i, change) in changes.iter().enumerate() {
        let mut changed = page();
        change(&mut changed);
        assert_ne!(page_hash(&changed), page_hash(&page()), "change {i}");
    }
}
