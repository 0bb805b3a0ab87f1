//! Files and directories that are wrong: a clear error, and nothing half done.

use skymeter::commands::{replay, up};
use skymeter::data_dir::DataDir;
use skymeter::trace::{read_prices, read_trace};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const HEADER: &str = "vm_id,tenant_id,flavor,vcpu,memory_gib,created_s,deleted_s\n";
const PLANS: &str = "flavor,monthly_price_usd\na,3.00\nb,5.00\n";

struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn trace_error(&self, content: &str) -> String {
        let prices = read_prices(&self.write("plans.csv", PLANS)).unwrap();
        format!("{:#}", read_trace(&self.write("trace.csv", content), &prices).unwrap_err())
    }

    fn plans_error(&self, content: &str) -> String {
        format!("{:#}", read_prices(&self.write("plans.csv", content)).unwrap_err())
    }
}

#[test]
fn a_trace_that_is_wrong_is_refused_with_file_line_and_field() {
    let files = Files::new();
    for (content, wanted) in [
        ("vm_id,tenant_id,flavor,vcpu,memory_gib,created_s\n", "line 1: the column 'deleted_s' is missing".to_owned()),
        (&format!("{HEADER}vm-1,t-1,a,1,1,ten,\n"), "line 2: field created_s: 'ten'".to_owned()),
        (&format!("{HEADER}vm-1,t-1,a,1,1,1,2\nvm-2,t-1,a,1,1,1,2.5\n"), "line 3: field deleted_s: '2.5'".to_owned()),
        (&format!("{HEADER}vm-1,t-1,z,1,1,1,2\n"), "line 2: field flavor: 'z' has no price".to_owned()),
        (&format!("{HEADER}vm-1,t-1,a,1,1,10,9\n"), "line 2: field deleted_s: 9 lies before created_s 10".to_owned()),
        (&format!("{HEADER}vm-1,t 1,a,1,1,10,\n"), "line 2: field tenant_id: 't 1' is not an id".to_owned()),
        (
            &format!("{HEADER}vm-1,t-1,a,1,1,1,\nvm-1,t-1,a,1,1,1,\n"),
            "line 3: field vm_id: 'vm-1' stands twice".to_owned(),
        ),
        (&format!("{HEADER}vm-1,t-1,a,1\n"), "line 2".to_owned()),
    ] {
        let error = files.trace_error(content);
        assert!(error.contains("trace.csv") && error.contains(&wanted), "{error}");
    }
}

#[test]
fn a_price_list_that_is_wrong_is_refused_with_file_line_and_field() {
    let files = Files::new();
    for (content, wanted) in [
        ("flavor,price\n", "line 1: the column 'monthly_price_usd' is missing"),
        ("flavor,monthly_price_usd\na,free\n", "line 2: field monthly_price_usd: 'free'"),
        ("flavor,monthly_price_usd\na,-1\n", "line 2: field monthly_price_usd"),
        ("flavor,monthly_price_usd\na,1.0000001\n", "line 2: field monthly_price_usd"),
        ("flavor,monthly_price_usd\na,1\na,2\n", "the flavor 'a' stands twice"),
        ("flavor,monthly_price_usd\n", "it has no prices"),
    ] {
        let error = files.plans_error(content);
        assert!(error.contains("plans.csv") && error.contains(wanted), "{error}");
    }
}

#[tokio::test]
async fn a_replay_of_a_bad_file_leaves_no_data_and_no_totals() {
    let files = Files::new();
    let (data, out) = (files.directory.path().join("data"), files.directory.path().join("totals.csv"));
    let options = replay::Options {
        trace: files.write("trace.csv", &format!("{HEADER}vm-1,t-1,a,1,1,1,2\nvm-2,t-1,a,1,1,x,2\n")),
        plans: files.write("plans.csv", PLANS),
        start: tests::time(tests::BEGIN),
        hours: 2,
        out: Some(out.clone()),
        memory: false,
        data: Some(data.clone()),
        chaos: None,
    };
    assert!(replay::run(&options).await.is_err());
    assert!(!data.exists() && !out.exists());
    for (start, hours) in [("2026-11-10T00:00:01Z", 2), (tests::BEGIN, 0), (tests::BEGIN, 1_000_000)] {
        let options = replay::Options { start: tests::time(start), hours, ..options.clone() };
        let error = replay::run(&options).await.unwrap_err().to_string();
        assert!(error.contains("--start") || error.contains("--hours"), "{error}");
    }
}

#[tokio::test]
async fn a_data_directory_belongs_to_one_process_of_a_version_that_knows_it() {
    let files = Files::new();
    let path = files.directory.path().join("data");
    let error = format!("{:#}", DataDir::open(&path, false).unwrap_err());
    assert!(error.contains("is not a data directory"), "{error}");
    let held = DataDir::open(&path, true).unwrap();
    let options = up::Options { data: path.clone(), port: 0, exit: true, trace: None };
    let error = format!("{:#}", up::run(&options).await.unwrap_err());
    assert!(error.contains("is in use by another process"), "{error}");
    drop(held);
    fs::write(path.join("VERSION"), "2\n").unwrap();
    let error = format!("{:#}", up::run(&options).await.unwrap_err());
    assert!(error.contains("was written by a newer skymeter"), "{error}");
    fs::write(path.join("VERSION"), "soup").unwrap();
    assert!(format!("{:#}", up::run(&options).await.unwrap_err()).contains("holds no version number"));
    // Nothing but the lock and the version was written.
    assert!(!path.join("dynamodb.sqlite").exists());
}

#[tokio::test]
async fn a_port_in_use_is_said_before_anything_is_billed() {
    let files = Files::new();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let path = files.directory.path().join("data");
    let error = up::run(&up::Options { data: path.clone(), port, exit: true, trace: None }).await.unwrap_err();
    assert!(format!("{error:#}").contains(&format!("port {port}")), "{error:#}");
    assert!(!path.join("dynamodb.sqlite").exists());
}
