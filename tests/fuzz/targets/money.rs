//! Money as it is written by strangers: what is taken, is shown again as the same amount, and lies within the bounds.
#![no_main]

use api::{AmountText, read_json, show};
use domain::money::{MAX_USD, STEPS_PER_USD};
use domain::payment::{parse_purchase, to_cents};
use domain::{Amount, Unit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for unit in [Unit::Usd, Unit::Token] {
        if let Ok(amount) = Amount::parse(text, unit) {
            assert!(i128::from(amount.steps()).abs() <= i128::from(MAX_USD) * STEPS_PER_USD);
            assert_eq!(Amount::parse(&show(amount, unit), unit), Ok(amount));
            assert_eq!(Amount::parse(&amount.display(unit).to_string(), unit), Ok(amount));
        }
    }
    if let Ok(amount) = parse_purchase(text) {
        let cents = to_cents(amount).expect("what can be bought is whole cents");
        assert!((100..=100_000).contains(&cents));
    }
    // As part of a body, where digits must not be touched on the way.
    if let Ok(amount) = serde_json::from_str::<AmountText>(text)
        && let Ok(parsed) = amount.usd()
    {
        assert_eq!(Amount::parse(&amount.0, Unit::Usd), Ok(parsed));
    }
    let _ = read_json::<()>(data);
});
