//! kill -9 of `skymeter up` in the middle of billing; start again, verify: nothing lost, nothing doubled. It stands here and
//! not in the crate `tests`, because cargo builds a program for the integration tests of its own package only.

// A test that unwraps what is not there fails, and says where.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Servers of the trace: enough that billing takes a while.
const SERVERS: usize = 12_000;

/// The program.
fn skymeter() -> &'static str {
    env!("CARGO_BIN_EXE_skymeter")
}

#[test]
fn a_kill_in_the_middle_of_billing_loses_nothing_and_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let mut trace = "vm_id,tenant_id,flavor,created_s,deleted_s\n".to_owned();
    for n in 0..SERVERS {
        writeln!(trace, "vm-{n},t-{},a,{},", n / 3, n % 3_600).unwrap();
    }
    std::fs::write(path("trace.csv"), trace).unwrap();
    std::fs::write(path("plans.csv"), "flavor,monthly_price_usd\na,7.30\n").unwrap();
    let (trace, plans, data) = (path("trace.csv"), path("plans.csv"), path("data"));
    let up = ["up", "--exit", "--port", "0", "--data", &data, "--trace", &trace, "--plans", &plans];
    let database = directory.path().join("data").join("dynamodb.sqlite-wal");
    let mut killed = 0;
    for round in 0..6_u64 {
        let mut child = Command::new(skymeter()).args(up).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        // Later each time: while servers are loaded, while jobs are packed, while pages are written.
        let patience = Duration::from_millis(150 + 700 * round);
        let began = std::time::Instant::now();
        while began.elapsed() < patience && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += usize::from(database.exists());
        }
        child.wait().unwrap();
    }
    assert!(killed >= 2, "the program was never killed at work: give it more servers");
    let last = Command::new(skymeter()).args(up).output().unwrap();
    let said = String::from_utf8_lossy(&last.stdout).into_owned();
    assert!(last.status.success() && said.contains("; verified"), "{said}{}", String::from_utf8_lossy(&last.stderr));
    // 48 full hours before the hour it is; the servers began in the first.
    let hours: usize = said.split(" server-hours").next().and_then(|s| s.rsplit(' ').next()).unwrap().parse().unwrap();
    assert!(hours >= SERVERS * 48 && hours.is_multiple_of(SERVERS), "{said}");
    let verified = Command::new(skymeter()).args(["verify", "--data", &data]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let rebuilt = Command::new(skymeter()).args(["rebuild", "--data", &data]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&rebuilt.stdout), "all totals agree with the ledger\n");
}
