//! kill -9 of any process under load: every accepted message ends in exactly one outcome, everywhere.

use std::time::Duration;

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

async fn survives_the_death_of(victim: &str, processes: &[(&str, &str)]) {
    let mut platform = Platform::start(World::new(&["left", "right"]), processes).await;
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
    platform.end().await;
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
    let mut platform = Platform::start(World::new(&["left", "right"]), &processes).await;
    let load = Load::start(vec![platform.client("door", "shop")], RATE, LANES);
    for_a_while(Duration::from_secs(2)).await;
    platform.kill("victim");
    for_a_while(Duration::from_secs(3)).await;
    nothing_is_lost(platform, load.stop().await).await;
}
