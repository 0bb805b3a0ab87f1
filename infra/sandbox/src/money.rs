//! Amounts in minor units and as PayPal writes them. No floats: digits in, digits out.

/// Currencies PayPal takes without decimals.
const WHOLE: [&str; 3] = ["HUF", "JPY", "TWD"];
/// Most digits of an amount; more would not fit.
const MOST_DIGITS: usize = 15;

fn decimals(currency: &str) -> usize {
    if WHOLE.contains(&currency) { 0 } else { 2 }
}

/// One unit of a currency in minor units.
pub(crate) fn one(currency: &str) -> i64 {
    if decimals(&currency.to_ascii_uppercase()) == 0 { 1 } else { 100 }
}

/// `2000` US cents are `"20.00"`.
pub(crate) fn value(minor: i64, currency: &str) -> String {
    if decimals(currency) == 0 {
        return minor.to_string();
    }
    let sign = if minor < 0 { "-" } else { "" };
    let minor = minor.unsigned_abs();
    format!("{sign}{}.{:02}", minor / 100, minor % 100)
}

/// `"20.00"`, `"20.0"` and `"20"` US dollars are `2000`. Anything that is not plain digits with at most the currency's
/// decimals is refused.
pub(crate) fn parse(text: &str, currency: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let decimals = decimals(currency);
    if !digits(whole) || part.is_some_and(|part| !digits(part) || part.len() > decimals) || text.len() > MOST_DIGITS {
        return None;
    }
    format!("{whole}{:0<decimals$}", part.unwrap_or("")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_minor_units_are_the_same_amounts() {
        for (minor, text) in [(2_000, "20.00"), (5, "0.05"), (100_000, "1000.00"), (1, "0.01")] {
            assert_eq!(value(minor, "USD"), text);
            assert_eq!(parse(text, "USD"), Some(minor));
        }
        assert_eq!(parse("20", "USD"), Some(2_000));
        assert_eq!(parse("20.5", "USD"), Some(2_050));
        assert_eq!((value(500, "JPY").as_str(), parse("500", "JPY"), parse("5.00", "JPY")), ("500", Some(500), None));
        for wrong in ["", ".", "1.", ".5", "1.234", "-1", "+1", "1e3", "1,00", " 1", "9999999999999999", "１"] {
            assert_eq!(parse(wrong, "USD"), None, "{wrong}");
        }
    }
}
