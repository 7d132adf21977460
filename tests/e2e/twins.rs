//! Two processes of one name, and a start before the broker: what an operator gets wrong at night.

use std::time::Duration;

use jixinda_schemas::event::Terminal;

use crate::{
    audit,
    harness::{
        ALL_IN_ONE, Platform, SOON, Settings, eventually,
        load::{Load, for_a_while},
        world::World,
    },
};

/// As two of a broker that was away do to each other, too: each joins under the name of the other and fences it off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_fenced_off_by_its_twin_joins_again_and_loses_nothing() {
    let settings = Settings::default().with("KAFKA__INSTANCE", "same");
    let mut platform = Platform::start_with(World::new(&["good"]), ALL_IN_ONE, settings).await;
    let client = platform.client("all", "shop");
    let load = Load::start(vec![client], 100, &["otp", "notice", "marketing"]);
    for_a_while(Duration::from_secs(1)).await;
    platform.add("twin", "router,analytics");
    for role in ["router", "analytics"] {
        eventually(&format!("{role} joins again"), SOON, async || {
            let label = format!("role=\"{role}\"");
            let name = "jixinda_runtime_rejoined_total";
            let times = platform.metric("all", name, &[&label]).await;
            (times >= 1.0).then_some(()).ok_or("not yet")
        })
        .await;
    }
    platform.kill("twin");
    for_a_while(Duration::from_secs(2)).await;
    let accepted = load.stop().await;
    platform.all_must_run();
    let outcomes = audit::settle(&platform, &accepted, Duration::from_secs(60)).await;
    assert!(outcomes.values().all(|o| o.outcome == Terminal::Delivered));
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_starts_before_the_broker_waits_for_it() {
    let settings = Settings {
        own_broker: true,
        ..Settings::default()
    };
    let mut platform = Platform::start_with(World::new(&["good"]), ALL_IN_ONE, settings).await;
    platform.stop("all").await;
    platform.broker.as_ref().unwrap().kill().await;
    platform.restart("all");
    eventually("it says what it waits for", SOON, async || {
        let logs = platform.logs();
        let said = logs["all.log"].contains("Kafka does not answer, trying again");
        said.then_some(()).ok_or("not yet")
    })
    .await;
    platform.broker.as_ref().unwrap().start().await;
    platform.process_ready("all").await;
    // And one that is told to end while it waits does so.
    platform.stop("all").await;
    platform.broker.as_ref().unwrap().kill().await;
    platform.restart("all");
    for_a_while(Duration::from_secs(2)).await;
    platform.stop("all").await;
}
