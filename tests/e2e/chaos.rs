//! Chaos: two processes of each role, a broker and an engine, all of which die under load, at moments that a seed
//! chooses and at every named point on a message's way. The load and the lab live on. `docs/reliability.md` says what
//! is promised and what was measured.

mod disk;
mod driver;
mod options;
mod plan;
mod planted;
mod points;
mod report;
mod settle;

use std::time::{Duration, Instant};

use serde_json::json;

use self::{
    driver::Driver,
    options::{Options, publish},
    plan::{MEMBERS, plan},
    report::Run,
    settle::Settled,
};
use crate::harness::{
    Platform, Settings, eventually,
    load::{Accepted, Load, Traffic},
    world::World,
};

const LANES: &[&str] = &["otp", "notice", "marketing"];
const CHANNELS: [&str; 2] = ["left", "right"];
/// Records that a producer of ingest holds: so few that a broker that stands still fills it.
const QUEUE: &str = r#"{"queue.buffering.max.messages"="500"}"#;
/// Messages offered and not accepted yet.
const OPEN: usize = 2_000;

/// Says the seed when a run fails, whatever fails it.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "chaos: seed {}; again: JIXINDA_CHAOS_SEED={}",
                self.0, self.0
            );
        }
    }
}

fn world() -> World {
    let mut world = World::with_senders(2, &CHANNELS);
    for channel in CHANNELS {
        world.lab_account(channel)["behaviour"]["magic_numbers"] = json!(true);
        world.channel(channel)["call_timeout_ms"] = json!(2_000);
    }
    // 3, 15 and 30 s: a receiver may be away for longer than a process takes to be given up for dead.
    world.lab["receipt_retry_scale"] = json!(0.05);
    world
}

fn settings(options: &Options) -> Settings {
    let mut settings = Settings {
        own_engine: true,
        own_broker: true,
        keep_log: false,
        of_ingest: vec![("JIXINDA__KAFKA__PROPERTIES".to_owned(), QUEUE.to_owned())],
        alone: true,
        ..Settings::default()
    };
    settings
        .variables
        .retain(|(name, _)| name != "JIXINDA__ROUTER__RECEIPT_DEADLINE");
    let deadline = format!("{}s", options.receipt_deadline.as_secs());
    settings.with("ROUTER__RECEIPT_DEADLINE", deadline)
}

fn traffic(platform: &Platform, options: &Options) -> Traffic {
    Traffic {
        clients: ["ingest-a", "ingest-b"]
            .map(|name| platform.client(name, "shop"))
            .to_vec(),
        direct: Some(platform.producer.clone()),
        rate: options.rate,
        lanes: LANES,
        scripted: true,
        open: OPEN,
    }
}

/// kill -9, aborts, pauses and rebalances under load; then the judge. The system that this one replaces lost in-flight
/// messages when a process crashed, defect (i): what it had taken out of its list lived in memory only. Here each
/// accepted message is compared by id, on all sides.
async fn run(options: &Options, runs: &mut Vec<Run>) {
    let (seed, begun) = (Seed(options.seed), Instant::now());
    eprintln!("chaos: seed {}", options.seed);
    let platform = Platform::start_with(world(), &MEMBERS, settings(options)).await;
    eprintln!("chaos: {}", platform.dir.display());
    let load = Load::of(traffic(&platform, options));
    let loaded = Instant::now();
    let mut driver = Driver::new(platform, load.counts.clone());
    driver.all_ready().await;
    driver
        .follow(&plan(options.seed, options.amounts, options.spans))
        .await;
    if options.aborts {
        points::abort_at_each(&mut driver).await;
    }
    if let Some(span) = options.stops {
        points::stop_at_each(&mut driver, span).await;
    }
    let counts = load.counts.clone();
    let accepted = load.stop().await;
    let span = loaded.elapsed();
    queues_were_full(&driver);
    let mut platform = driver.platform;
    let rejoined = rejoined(&platform);
    let settled = end(&mut platform, &accepted).await;
    let run = Run::new(
        options.seed,
        [span, begun.elapsed()],
        driver.events,
        &counts,
        &settled,
        rejoined,
    );
    let rate = run.rate();
    runs.push(run);
    publish(runs);
    assert!(
        settled.faults.is_empty(),
        "seed {}: {} faults, such as {:?}; {}",
        options.seed,
        settled.faults.len(),
        &settled.faults[..settled.faults.len().min(10)],
        platform.dir.display()
    );
    assert!(
        rate >= options.least_rate,
        "seed {}: only {rate:.0} accepted per second",
        options.seed
    );
    if options.plant {
        planted::are_found(&mut platform, accepted).await;
    }
    platform.end().await;
    drop(seed);
}

/// The judge's word, and that of the program's own.
async fn end(platform: &mut Platform, accepted: &Accepted) -> Settled {
    platform.flush_receipts().await;
    let facts = settle::read(platform).await;
    let settled = settle::settle(platform, accepted, &facts).await;
    let buried = facts.lock().unwrap().dead_letters.len();
    assert_eq!(buried, 0, "dead letters of well-formed messages");
    if settled.faults.is_empty() {
        // It reads the same by rules of its own, every table and every sum.
        eventually(
            "`jixinda verify` agrees",
            Duration::from_secs(60),
            async || {
                let verified = platform.try_run(&["verify", "--settled", "--json"], &[]);
                verified.map(drop).map_err(|failed| failed.to_string())
            },
        )
        .await;
    }
    settled
}

/// How often the broker took a member that came back for another process.
fn rejoined(platform: &Platform) -> usize {
    let logs = platform.logs();
    let lines = logs.values().flat_map(|text| text.lines());
    lines
        .filter(|line| line.contains("fenced off by the broker, joining again"))
        .count()
}

/// A broker that stood still must have filled them, or the run has not shown what it is there to show.
fn queues_were_full(driver: &Driver) {
    let logs = driver.platform.logs();
    let mut of_ingest = logs.iter().filter(|(name, _)| name.starts_with("ingest"));
    let full = of_ingest.any(|(_, text)| text.contains("the producer's queue is full"));
    assert!(full, "no producer's queue was full");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_random_kills_and_a_crash_at_every_point_lose_nothing_and_double_nothing() {
    run(&Options::short(), &mut Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: `make chaos`"]
async fn hundreds_of_random_kills_and_a_crash_and_a_stop_at_every_point_lose_nothing() {
    let mut runs = Vec::new();
    for options in Options::long() {
        run(&options, &mut runs).await;
    }
}
