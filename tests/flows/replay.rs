//! A slice of the real trace through the whole pipeline, against a computation that knows nothing of it.

use skymeter::commands::replay::{Options, run};
use skymeter::trace::{read_prices, read_trace};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

const HOURS: u32 = 30;

fn options(out: PathBuf, chaos: Option<u64>) -> Options {
    let sample = tests::root().join("infra/local/sample");
    Options {
        trace: sample.join("trace.csv"),
        plans: sample.join("plans.csv"),
        start: tests::time("2026-10-30T12:00:00Z"),
        hours: HOURS,
        out: Some(out),
        memory: true,
        data: None,
        chaos,
    }
}

/// The rating rules once more, hour by hour, with nothing but integers.
fn naive_totals(options: &Options) -> String {
    let prices = read_prices(&options.plans).unwrap();
    let mut totals: BTreeMap<String, (u64, i128)> = BTreeMap::new();

    for row in read_trace(&options.trace, &prices).unwrap() {
        let end = i64::from(HOURS) * 3_600;
        if row.created_secs >= end {
            continue;
        }
        let gone = row.deleted_secs.unwrap_or(end).min(end);
        let first = row.created_secs / 3_600;
        let last = if gone == row.created_secs { first + 1 } else { (gone + 3_599) / 3_600 };
        let price: i128 = (prices[&row.flavor].to_string().replace('.', "")).parse::<i128>().unwrap() * 10_000;
        let charged = |n: i128| {
            let (floor, rest) = (price * n / 730, price * n % 730 * 2);
            floor + i128::from(rest > 730 || (rest == 730 && floor % 2 == 1))
        };
        let hours = u64::try_from(last - first).unwrap();
        let total = totals.entry(row.customer.to_string()).or_default();
        *total = (total.0 + hours, total.1 + charged(i128::from(hours)));
    }
    let mut csv = "tenant_id,server_hours,amount_usd\n".to_owned();
    for (tenant, (hours, steps)) in totals {
        writeln!(csv, "{tenant},{hours},{}.{:06}", steps / 1_000_000, steps % 1_000_000).unwrap();
    }
    csv
}

#[tokio::test]
async fn totals_are_those_of_the_rules_with_and_without_faults() {
    let directory = tempfile::tempdir().unwrap();
    let (plain, chaos) = (directory.path().join("plain.csv"), directory.path().join("chaos.csv"));
    run(&options(plain.clone(), None)).await.unwrap();
    let expected = naive_totals(&options(plain.clone(), None));
    assert!(expected.lines().count() > 40);
    assert_eq!(std::fs::read_to_string(plain).unwrap(), expected);
    for seed in [7, 8] {
        run(&options(chaos.clone(), Some(seed))).await.unwrap();
        assert_eq!(std::fs::read_to_string(&chaos).unwrap(), expected, "seed {seed}");
    }
}
