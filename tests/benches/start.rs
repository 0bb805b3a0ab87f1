//! How large each function's program is, and how long it takes from the start of its process to its first poll of the runtime
//! API. `cargo build --release --workspace` first, then `cargo bench -p tests --bench start`. Prints only.
#![expect(clippy::float_arithmetic, reason = "only printed")]
#![allow(missing_docs)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Starts of each function.
const STARTS: usize = 21;

fn main() {
    let directory = release_directory();
    for entry in std::fs::read_dir(tests::root().join("functions")).expect("the functions' folder") {
        let name = entry.expect("a folder").file_name().into_string().expect("a crate's name");
        let program = directory.join(&name);
        let Ok(metadata) = std::fs::metadata(&program) else {
            println!("{name:<10} is not built: cargo build --release --workspace");
            continue;
        };
        let mut times: Vec<Duration> = (0..STARTS).map(|_| first_poll(&program)).collect();
        times.sort();
        let kib = metadata.len() / 1024;
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        println!(
            "{name:<10} {kib:>6} KiB, first poll after {:.1} ms (worst of {STARTS}: {:.1} ms)",
            median.as_secs_f64() * 1e3,
            worst.as_secs_f64() * 1e3,
        );
    }
}

/// Where cargo puts release programs: beside the folder this benchmark runs from.
fn release_directory() -> PathBuf {
    let mut path = std::env::current_exe().expect("our own path");
    path.pop();
    path.pop();
    path
}

/// Starts the program against a runtime API of our own and waits for its first request.
fn first_poll(program: &PathBuf) -> Duration {
    let api = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = api.local_addr().expect("an address").to_string();
    let queue = format!("http://{address}/queue");
    let began = Instant::now();
    let mut process = Command::new(program)
        .env("AWS_LAMBDA_RUNTIME_API", &address)
        .env("AWS_LAMBDA_FUNCTION_NAME", "function")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("LEDGER_TABLE", "ledger")
        .env("MAIN_TABLE", "main")
        .envs(["METERING_QUEUE_URL", "JOBS_QUEUE_URL", "PARKED_QUEUE_URL"].map(|name| (name, &queue)))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the program starts");
    let (mut connection, _) = api.accept().expect("a connection");
    let mut request = [0; 64];
    let read = connection.read(&mut request).expect("a request");
    let taken = began.elapsed();
    assert!(request[..read].starts_with(b"GET /2018-06-01/runtime/invocation/next"), "not a poll");
    let _ = connection.write_all(b"HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n");
    process.kill().expect("the program ends");
    let _ = process.wait();
    taken
}
