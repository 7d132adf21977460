//! kill -9 of the whole platform in one process, with no twin to take over. `chaos` has two of each role.

use std::time::Duration;

use jixinda_schemas::event::Terminal;
use serde_json::json;

use crate::{
    audit,
    harness::{
        ALL_IN_ONE, Platform,
        load::{Load, for_a_while},
        world::World,
    },
};

const RATE: u32 = 200;
const LANES: &[&str] = &["otp", "notice", "marketing"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_of_all_roles_loses_nothing_and_sends_nothing_twice() {
    let mut world = World::new(&["left", "right"]);
    // One of them takes several messages in a call, so that a kill leaves calls of several behind.
    world.channel("left")["settings"] = json!({ "max_numbers": "20" });
    let mut platform = Platform::start(world, ALL_IN_ONE).await;
    let load = Load::start(vec![platform.client("all", "shop")], RATE, LANES);
    for_a_while(Duration::from_secs(2)).await;
    platform.kill("all");
    for_a_while(Duration::from_millis(500)).await;
    platform.restart("all");
    platform.process_ready("all").await;
    for_a_while(Duration::from_secs(2)).await;
    let accepted = load.stop().await;
    assert!(accepted.len() > 700, "only {} messages", accepted.len());
    let several = platform
        .calls()
        .into_iter()
        .filter(|call| call.recipients.len() > 1);
    assert!(several.count() > 0, "no call carried several messages");
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
