//! kill -9 of any process under load: every accepted message ends in exactly one outcome, everywhere.

use std::{collections::BTreeSet, time::Duration};

use jixinda_runtime::crash;
use jixinda_schemas::event::Terminal;

use crate::{
    audit,
    harness::{
        ALL_IN_ONE, Platform, SPLIT,
        load::{Accepted, Load, for_a_while},
        world::World,
    },
};

const RATE: u32 = 200;
const LANES: &[&str] = &["otp", "notice", "marketing"];

/// Claims and calls of a channel at one moment: so many may be unknown when a sender dies.
const IN_FLIGHT: usize = 40;
const CHANNELS: [&str; 2] = ["left", "right"];

fn world() -> World {
    let mut world = World::new(&CHANNELS);
    for channel in CHANNELS {
        world.channel(channel)["max_in_flight"] = IN_FLIGHT.into();
    }
    world
}

async fn survives_the_death_of(victim: &str, processes: &[(&str, &str)]) {
    let mut platform = Platform::start(world(), processes).await;
    let load = Load::start(vec![platform.client(processes[0].0, "shop")], RATE, LANES);
    for_a_while(Duration::from_secs(2)).await;
    platform.kill(victim);
    for_a_while(Duration::from_millis(500)).await;
    platform.restart(victim);
    platform.process_ready(victim).await;
    for_a_while(Duration::from_secs(2)).await;
    nothing_is_lost(platform, load.stop().await).await;
}

async fn nothing_is_lost(platform: Platform, accepted: Accepted) {
    assert!(accepted.len() > 700, "only {} messages", accepted.len());
    let outcomes = audit::settle(&platform, &accepted, Duration::from_secs(60)).await;
    // The audit wants a claim whose sender died for each unknown one.
    let others: Vec<_> = outcomes
        .values()
        .filter(|o| !matches!(o.outcome, Terminal::Delivered | Terminal::Unknown))
        .collect();
    assert!(
        others.is_empty(),
        "neither delivered nor unknown: {others:#?}"
    );
    let unknown = outcomes.values().filter(|o| o.outcome == Terminal::Unknown);
    let (unknown, deaths) = (unknown.count(), platform.senders_deaths());
    assert!(
        unknown <= deaths * CHANNELS.len() * IN_FLIGHT,
        "{unknown} unknown after {deaths} deaths of senders"
    );
    platform.end().await;
}

/// The process that comes by each point, and the hit that is the last.
const POINTS: &[(&str, &str, u32)] = &[
    ("ingest", "ingest.stored", 50),
    ("router", "acked.routed", 50),
    ("senders", "acked.attempt_started", 50),
    ("senders", "senders.read_back", 50),
    ("senders", "senders.answered", 50),
    ("senders", "acked.attempt_finished", 50),
    ("senders", "receipts.stored", 5),
    ("senders", "receipts.answered", 5),
    ("router", "acked.outcome", 50),
    ("analytics", "sink.announced", 5),
    ("analytics", "sink.inserted", 5),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_at_any_named_point_loses_nothing_and_doubles_nothing() {
    let named: BTreeSet<_> = POINTS.iter().map(|(_, point, _)| *point).collect();
    assert_eq!(named, crash::POINTS.into_iter().collect());
    let mut platform = Platform::start(world(), SPLIT).await;
    let load = Load::start(vec![platform.client("ingest", "shop")], RATE, LANES);
    for (victim, point, hits) in POINTS {
        platform.die_at(victim, point, *hits).await;
    }
    for_a_while(Duration::from_secs(1)).await;
    nothing_is_lost(platform, load.stop().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_ingest_loses_nothing_that_it_accepted() {
    survives_the_death_of("ingest", SPLIT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_router_loses_nothing_and_decides_nothing_twice() {
    survives_the_death_of("router", SPLIT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_sender_loses_nothing_and_sends_nothing_twice() {
    survives_the_death_of("senders", SPLIT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_sink_leaves_neither_gap_nor_duplicate_row() {
    survives_the_death_of("analytics", SPLIT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_of_all_roles_loses_nothing_and_sends_nothing_twice() {
    survives_the_death_of("all", ALL_IN_ONE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_partitions_of_a_process_that_never_returns_go_to_another() {
    let processes = [
        ("door", "ingest"),
        ("survivor", "router,senders"),
        ("victim", "router,senders"),
        ("sink", "analytics"),
    ];
    let mut platform = Platform::start(world(), &processes).await;
    let load = Load::start(vec![platform.client("door", "shop")], RATE, LANES);
    for_a_while(Duration::from_secs(2)).await;
    platform.kill("victim");
    for_a_while(Duration::from_secs(3)).await;
    nothing_is_lost(platform, load.stop().await).await;
}
