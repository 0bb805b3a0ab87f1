//! A page as one binary attribute: what a person reads is `skymeter export`, what DynamoDB charges for is bytes.
//!
//! Postcard (variable-length integers). Servers stand once, in the meters; lines name them by index. Hours count back from the
//! page's newest one. With ids of 36 bytes a server takes at most 56 bytes in line and meter together.

use crate::error::StoreError;
use crate::item::{Item, n, s};
use crate::keys;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::plan::{Metering, Price};
use domain::rating::Counter;
use domain::wallet::{Kind, Line, Meter, Page};
use domain::{Amount, Hour, Id, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The attribute that holds the page.
pub const PAGE_ATTRIBUTE: &str = "p";
/// First byte of the encoding.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct WirePage<'a> {
    kind: u8,
    at: u64,
    before: i64,
    amount: i64,
    #[serde(borrow)]
    actor: Option<&'a str>,
    #[serde(borrow)]
    reason: Option<&'a str>,
    #[serde(borrow)]
    reference: Option<&'a str>,
    prev_hash: [u8; 32],
    hash: [u8; 32],
    /// The latest `through` of the meters: hours count back from it.
    base: u32,
    rates: Vec<WireRate>,
    #[serde(borrow)]
    meters: Vec<WireMeter<'a>>,
    lines: Vec<WireLine>,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct WireRate {
    mantissa: u64,
    scale: u8,
    per: u16,
    per_second: bool,
}

#[derive(Serialize, Deserialize)]
struct WireMeter<'a> {
    server: &'a str,
    since_back: u32,
    through_back: u32,
    count: u32,
    ended: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct WireLine {
    meter: u32,
    /// From the meter's `through` back to the line's end.
    to_back: u32,
    hours: u32,
    count: u32,
    rate: u32,
    amount: i64,
}

const KINDS: [Kind; 8] = [
    Kind::Usage,
    Kind::Payment,
    Kind::Refund,
    Kind::Adjustment,
    Kind::Reversal,
    Kind::Admin,
    Kind::Purchase,
    Kind::Transfer,
];

/// Seconds as hours where they are whole ones: an even number is hours, an odd one seconds.
fn pack_secs(secs: u32) -> u32 {
    if secs.is_multiple_of(3_600) { secs / 3_600 * 2 } else { secs * 2 + 1 }
}

fn unpack_secs(packed: u32) -> u32 {
    if packed.is_multiple_of(2) { packed / 2 * 3_600 } else { packed / 2 }
}

/// The item of a page.
///
/// # Errors
/// [`StoreError::Invalid`] for a page that breaks the wallet's own rules (a line without a meter).
pub fn encode_page(page: &Page) -> Result<Item, StoreError> {
    let broken = |what: &str| StoreError::Invalid(format!("{} page {}: {what}", page.wallet, page.seq));
    let base = page.meters.iter().map(|m| m.counter.through).max().unwrap_or(Hour::EPOCH);
    let mut rates: Vec<WireRate> = Vec::new();
    let mut lines = Vec::with_capacity(page.lines.len());
    for line in &page.lines {
        let meter = meter_index(page, line).ok_or_else(|| broken("a line has no meter"))?;
        let through = page.meters.get(meter).map_or(line.to, |m| m.counter.through);
        let rate = wire_rate(line).ok_or_else(|| broken("a price is out of range"))?;
        let index = rates.iter().position(|r| *r == rate).unwrap_or_else(|| {
            rates.push(rate);
            rates.len() - 1
        });
        lines.push(WireLine {
            meter: u32::try_from(meter).map_err(|_| broken("too many meters"))?,
            to_back: through.since(line.to),
            hours: line.hours(),
            count: pack_secs(line.secs_after),
            rate: u32::try_from(index).map_err(|_| broken("too many prices"))?,
            amount: line.amount.steps(),
        });
    }
    let wire = WirePage {
        kind: kind_number(page.kind),
        at: u64::try_from(page.at.secs()).map_err(|_| broken("at is out of range"))?,
        before: page.before.steps(),
        amount: page.amount.steps(),
        actor: page.actor.as_deref(),
        reason: page.reason.as_deref(),
        reference: page.reference.as_deref(),
        prev_hash: page.prev_hash,
        hash: page.hash,
        base: base.number(),
        rates,
        meters: page.meters.iter().map(|m| wire_meter(m, base)).collect(),
        lines,
    };
    let bytes = postcard::to_extend(&wire, vec![VERSION]).map_err(|e| broken(&e.to_string()))?;
    Ok(HashMap::from([
        (keys::PK.to_owned(), s(keys::wallet(&page.wallet))),
        (keys::SK.to_owned(), n(page.seq)),
        (PAGE_ATTRIBUTE.to_owned(), AttributeValue::B(Blob::new(bytes))),
    ]))
}

fn kind_number(kind: Kind) -> u8 {
    KINDS.iter().position(|k| *k == kind).and_then(|i| u8::try_from(i).ok()).unwrap_or(u8::MAX)
}

/// A line belongs to the latest tenure of its server that had begun.
fn meter_index(page: &Page, line: &Line) -> Option<usize> {
    let after = page.meters.partition_point(|m| (&m.server, m.since) <= (&line.server, line.from));
    let index = after.checked_sub(1)?;
    page.meters.get(index).filter(|m| m.server == line.server).map(|_| index)
}

fn wire_rate(line: &Line) -> Option<WireRate> {
    let (mantissa, scale) = line.price.parts();
    Some(WireRate {
        mantissa: u64::try_from(mantissa).ok()?,
        scale: u8::try_from(scale).ok()?,
        per: line.per,
        per_second: line.metering == Metering::PerSecond,
    })
}

fn wire_meter(meter: &Meter, base: Hour) -> WireMeter<'_> {
    WireMeter {
        server: meter.server.as_str(),
        since_back: base.since(meter.since),
        through_back: base.since(meter.counter.through),
        count: pack_secs(meter.counter.secs),
        ended: meter.ended_at.map(Hour::number),
    }
}

/// Undoes [`encode_page`].
///
/// # Errors
/// [`StoreError::Corrupt`]: not a page, or one of a newer version.
pub fn decode_page(item: &Item) -> Result<Page, StoreError> {
    let pk = item.get(keys::PK).and_then(|v| v.as_s().ok()).map_or("?", String::as_str);
    let seq = item.get(keys::SK).and_then(|v| v.as_n().ok()).and_then(|digits| digits.parse::<u64>().ok());
    let corrupt = |what: &str| StoreError::Corrupt(format!("{pk} {}", seq.unwrap_or(0)), what.to_owned());
    let wallet = keys::parse_wallet(pk).ok_or_else(|| corrupt("the key is not a wallet's"))?;
    let bytes = item.get(PAGE_ATTRIBUTE).and_then(|v| v.as_b().ok()).ok_or_else(|| corrupt("it has no page"))?;
    let body = match bytes.as_ref().split_first() {
        Some((&VERSION, body)) => body,
        _ => return Err(corrupt("it was written by a newer version")),
    };
    let wire: WirePage<'_> = postcard::from_bytes(body).map_err(|e| corrupt(&e.to_string()))?;
    let base = Hour::try_from(wire.base).map_err(|e| corrupt(&e.to_string()))?;
    let meters: Vec<Meter> = wire
        .meters
        .iter()
        .map(|m| read_meter(m, base))
        .collect::<Option<_>>()
        .ok_or_else(|| corrupt("a meter is off"))?;
    let lines: Option<Vec<Line>> = wire.lines.iter().map(|l| read_line(l, &meters, &wire.rates)).collect();
    let secs = i64::try_from(wire.at).map_err(|_| corrupt("at is out of range"))?;
    Ok(Page {
        wallet,
        seq: seq.ok_or_else(|| corrupt("the sort key is no number"))?,
        kind: *KINDS.get(usize::from(wire.kind)).ok_or_else(|| corrupt("the kind is unknown"))?,
        at: Timestamp::from_secs(secs).map_err(|e| corrupt(&e.to_string()))?,
        before: Amount::from_steps(wire.before),
        amount: Amount::from_steps(wire.amount),
        after: Amount::from_steps(wire.before.checked_add(wire.amount).ok_or_else(|| corrupt("the sum overflows"))?),
        lines: lines.ok_or_else(|| corrupt("a line is off"))?,
        meters,
        actor: wire.actor.map(str::to_owned),
        reason: wire.reason.map(str::to_owned),
        reference: wire.reference.map(str::to_owned),
        prev_hash: wire.prev_hash,
        hash: wire.hash,
    })
}

fn read_meter(wire: &WireMeter<'_>, base: Hour) -> Option<Meter> {
    Some(Meter {
        server: Id::new(wire.server).ok()?,
        since: base.minus(wire.since_back),
        counter: Counter { through: base.minus(wire.through_back), secs: unpack_secs(wire.count) },
        ended_at: match wire.ended {
            Some(hour) => Some(Hour::try_from(hour).ok()?),
            None => None,
        },
    })
}

fn read_line(wire: &WireLine, meters: &[Meter], rates: &[WireRate]) -> Option<Line> {
    let meter = meters.get(usize::try_from(wire.meter).ok()?)?;
    let rate = rates.get(usize::try_from(wire.rate).ok()?)?;
    let to = meter.counter.through.minus(wire.to_back);
    Some(Line {
        server: meter.server.clone(),
        from: to.minus(wire.hours),
        to,
        secs_after: unpack_secs(wire.count),
        price: Price::from_parts(i128::from(rate.mantissa), u32::from(rate.scale))?,
        metering: if rate.per_second { Metering::PerSecond } else { Metering::Hourly },
        per: rate.per,
        amount: Amount::from_steps(wire.amount),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::item_write_units;
    use domain::Unit;
    use domain::tenure::WalletId;

    fn page(servers: u32, id_bytes: usize) -> Page {
        let base = Hour::try_from(500_000).unwrap();
        let id = |i: u32| Id::new(&format!("{i:0>id_bytes$}")).unwrap();
        let price = Price::parse("1234.56").unwrap();
        let line = |i: u32| Line {
            server: id(i),
            from: base.minus(1),
            to: base,
            secs_after: 700 * 3_600,
            price,
            metering: Metering::Hourly,
            per: 730,
            amount: Amount::from_steps(1_691_178),
        };
        let counter = Counter { through: base, secs: 700 * 3_600 };
        let meter = |i: u32| Meter { server: id(i), since: base.minus(20_000), counter, ended_at: None };
        Page {
            wallet: WalletId { customer: Id::new("cus_0123456789").unwrap(), unit: Unit::Usd, lane: 0 },
            seq: 1_234,
            kind: Kind::Usage,
            at: base.start(),
            before: Amount::from_steps(10_000_000),
            amount: Amount::from_steps(-5),
            after: Amount::from_steps(9_999_995),
            lines: (0..servers).map(line).collect(),
            meters: (0..servers).map(meter).collect(),
            actor: Some("biller".to_owned()),
            reason: None,
            reference: Some("ref".to_owned()),
            prev_hash: [7; 32],
            hash: [9; 32],
        }
    }

    #[test]
    fn a_page_comes_back_as_it_was() {
        for servers in [0, 1, 10, 500] {
            let page = page(servers, 9);
            assert_eq!(decode_page(&encode_page(&page).unwrap()).unwrap(), page);
        }
    }

    #[test]
    fn a_server_takes_at_most_56_bytes_and_ten_fit_a_write_unit() {
        let size = |servers: u32| match encode_page(&page(servers, 36)).unwrap().get(PAGE_ATTRIBUTE) {
            Some(AttributeValue::B(blob)) => blob.as_ref().len(),
            _ => 0,
        };
        assert!(size(500) - size(0) <= 500 * 56, "{}", (size(500) - size(0)) / 500);
        assert_eq!(item_write_units(&encode_page(&page(10, 36)).unwrap()), 1);
        assert!(item_write_units(&encode_page(&page(250, 9)).unwrap()) * 100 <= 250 * 6);
    }

    #[test]
    fn a_newer_version_is_refused() {
        let mut item = encode_page(&page(1, 9)).unwrap();
        item.insert(PAGE_ATTRIBUTE.to_owned(), AttributeValue::B(Blob::new(vec![VERSION + 1, 0])));
        assert!(matches!(decode_page(&item), Err(StoreError::Corrupt(..))));
    }
}
