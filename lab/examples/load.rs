//! A quick look at what the lab carries: `cargo run -p jixinda-lab --example load [connections] [seconds]`.
//!
//! Lab, signing clients and receipt receiver share one process and its cores, so the figure is a floor.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/it/client.rs"]
#[allow(dead_code, unreachable_pub)]
mod client;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use client::{Connection, Request};
use jixinda_lab::journal::Entry;
use jixinda_lab::{Account, Config, Lab};
use serde_json::json;

/// Calls prepared per connection before the clock starts, so that signing is not measured.
const PREPARED: usize = 20_000;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<u64>().unwrap());
    let connections = arguments.next().unwrap_or(16);
    let seconds = arguments.next().unwrap_or(5);
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receipt_url = format!("http://{}/", receiver.local_addr().unwrap());
    let app = Router::new().route("/", post(|_: axum::body::Bytes| async { r#"{"code":0}"# }));
    tokio::spawn(async move { axum::serve(receiver, app).await.unwrap() });
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::new(directory.path().join("journal.jsonl"));
    config.listen.set_port(0);
    let account: Account = serde_json::from_value(json!({
        "id": "load", "access_key_id": "lab-key", "secrets": ["lab-secret"],
        "sign_names": ["测试签名"], "templates": { "SMS_1": { "variables": ["code"] } },
        "receipt_url": receipt_url,
    }))
    .unwrap();
    config.accounts.push(account);
    let lab = Lab::start(config).await.unwrap();
    let address = lab.local_addr();
    let answered = Arc::new(AtomicU64::new(0));
    let mut prepared: Vec<Vec<Vec<u8>>> = Vec::new();
    for connection in 0..connections {
        let numbers = (0..PREPARED).map(|n| format!("13{connection:04}{:05}", 50_100 + n % 8_000));
        prepared.push(
            numbers
                .map(|number| Request::to(&number).bytes(address))
                .collect(),
        );
    }
    let (cpu, began) = (cpu_seconds(), Instant::now());
    let until = began + Duration::from_secs(seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for requests in prepared {
        let answered = Arc::clone(&answered);
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await.unwrap();
            for request in requests {
                let answer = connection.send(&request).await.unwrap();
                assert!(answer.body.contains("\"OK\""), "{}", answer.body);
                answered.fetch_add(1, Ordering::Relaxed);
                if Instant::now() > until {
                    break;
                }
            }
        });
    }
    tasks.join_all().await;
    let calls = answered.load(Ordering::Relaxed) as f64;
    let (took, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!("{calls} calls in {took:.2} s: {:.0} calls/s", calls / took);
    println!(
        "{:.0} µs of processor time per call, client and receiver included",
        cpu / calls * 1e6
    );
    let stats = client::admin(address, "GET", "/lab/stats", "").await.json();
    println!(
        "receipts acknowledged by then: {}",
        stats["accounts"]["load"]["receipts"]["acked"]
    );
    lab.stop().await.unwrap();
    let journal = jixinda_lab::journal::read(directory.path().join("journal.jsonl")).unwrap();
    let lines = journal
        .filter(|entry| matches!(entry, Ok(Entry::Call(_))))
        .count();
    println!("calls in the journal: {lines}");
}

/// User and system time of this process; Linux counts it in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
