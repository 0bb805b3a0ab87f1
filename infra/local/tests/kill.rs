//! kill -9 of `skymeter up` in the middle of billing; start again, verify: nothing lost, nothing doubled. It stands here and
//! not in the crate `tests`, because cargo builds a program for the integration tests of its own package only.

// A test that unwraps what is not there fails, and says where.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Servers of the trace, three a customer: enough that billing takes a while.
const SERVERS: usize = 9_000;
/// Pages they are billed on, one a customer.
const PAGES: usize = SERVERS / 3;
/// Kills at the most.
const ROUNDS: u64 = 60;

/// The program.
fn skymeter(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skymeter"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
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

    // Once while the servers are loaded, and once as soon as they are.
    let mut child = skymeter(&up).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = skymeter(&up).spawn().unwrap();
    let mut said = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    while !said.contains("loaded a sample") {
        assert_ne!(output.read_line(&mut said).unwrap(), 0, "it ended before the servers were loaded: {said}");
    }
    child.kill().unwrap();
    child.wait().unwrap();

    // Then while pages are written, a little later each time.
    let mut killed_at = Vec::new();
    for round in 1..=ROUNDS {
        let mut child = skymeter(&up).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(100 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let pages = skymeter(&["export", "--data", &data]).output().unwrap().stdout.split(|b| *b == b'\n').count() - 1;
        killed_at.extend((pages > 0 && pages < PAGES).then_some(pages));
        if pages >= PAGES || killed_at.len() == 3 {
            break;
        }
    }
    assert!(!killed_at.is_empty(), "it was never killed in the middle of billing: give it more servers");

    let last = skymeter(&up).output().unwrap();
    let said = String::from_utf8_lossy(&last.stdout).into_owned();
    assert!(last.status.success() && said.contains("; verified"), "{said}{}", String::from_utf8_lossy(&last.stderr));
    // 48 full hours before the hour it is, and more if an hour went by; the servers began in the first.
    let hours: usize = said.split(" server-hours").next().and_then(|s| s.rsplit(' ').next()).unwrap().parse().unwrap();
    assert!(hours >= SERVERS * 48 && hours.is_multiple_of(SERVERS), "{said}");
    let verified = skymeter(&["verify", "--data", &data]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let rebuilt = skymeter(&["rebuild", "--data", &data]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&rebuilt.stdout), "all totals agree with the ledger\n");
}
