//! Channels and templates change under load, without a restart and without a loss.

use std::{collections::BTreeSet, time::Duration};

use jixinda_lab::journal::{Call, Outcome};
use jixinda_runtime::kafka::partitioner;
use jixinda_schemas::{Lane, Topic, codec::Event, event::Terminal};
use serde_json::{Value, json};

use crate::{
    audit,
    harness::{
        Platform, Settings,
        load::{Load, for_a_while},
        world::{World, code_of},
    },
};

/// How soon a change is in force everywhere.
const IN_FORCE: Duration = Duration::from_secs(2);

/// The directory without one channel.
fn without(directory: &Value, channel: &str) -> Value {
    let mut directory = directory.clone();
    directory["channels"]
        .as_array_mut()
        .unwrap()
        .retain(|c| c["id"] != channel);
    for list in ["signatures", "templates"] {
        for entry in directory[list].as_array_mut().unwrap() {
            entry["channels"].as_object_mut().unwrap().remove(channel);
        }
    }
    directory
}

/// A change of the directory.
struct Change {
    /// Offset of its revision marker.
    offset: i64,
    /// Broker time (ms) of the marker.
    made: u64,
    /// From here on it must be in force everywhere.
    in_force: u64,
}

/// Applies, and waits until it must be in force.
async fn change(platform: &Platform, directory: &Value) -> Change {
    platform.apply_directory(directory).await;
    for_a_while(IN_FORCE).await;
    let records = platform.log.topic(Topic::Directory);
    let marker = records.last().unwrap();
    let made = u64::try_from(marker.at.millis()).unwrap();
    Change {
        offset: marker.offset,
        made,
        in_force: made + u64::try_from(IN_FORCE.as_millis()).unwrap(),
    }
}

/// Every decision says which directory it rests on.
fn every_router_decides_by(platform: &Platform, changes: &[&Change]) {
    for topic in Lane::ALL.map(Topic::dispatch) {
        for record in platform.log.valid(topic) {
            let Event::Routed(routed) = record.event() else {
                continue;
            };
            let decided = u64::try_from(routed.payload.decided_at.millis()).unwrap();
            for change in changes.iter().filter(|c| decided > c.in_force) {
                assert!(
                    routed.payload.directory_offset >= change.offset,
                    "decided {} ms after the change, without it: {routed:#?}",
                    decided - change.made
                );
            }
        }
    }
}

fn on<'a>(calls: &'a [Call], account: &'a str) -> impl Iterator<Item = &'a Call> {
    calls
        .iter()
        .filter(move |c| c.account.as_deref() == Some(account))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_channels_and_templates_take_effect_under_load_without_loss() {
    let mut world = World::new(&["stays", "rotates", "leaves", "joins"]);
    let whole = world.directory.clone();
    world.directory = without(&whole, "joins");
    let processes = [
        ("door", "ingest"),
        ("router-1", "router"),
        ("router-2", "router"),
        ("senders-1", "senders"),
        ("senders-2", "senders"),
        ("sink", "analytics"),
    ];
    let settings = Settings::default().alone();
    let mut platform = Platform::start_with(world, &processes, settings).await;
    let clients = vec![platform.client("door", "shop")];
    let load = Load::start(clients, 500, &["otp", "notice"]);
    for_a_while(Duration::from_secs(1)).await;

    platform.world.directory = whole;
    let joined = change(&platform, &platform.world.directory.clone()).await;

    let old = platform.world.secrets["rotates vendor"].clone();
    platform
        .lab_patch("rotates", &json!({ "secrets": [old, "brand-new-secret"] }))
        .await;
    platform.world.channel("rotates")["secrets"]["access_key_secret"] = json!("brand-new-secret");
    let rotated = change(&platform, &platform.world.directory.clone()).await;
    platform
        .lab_patch("rotates", &json!({ "secrets": ["brand-new-secret"] }))
        .await;

    platform.world.channel("leaves")["mode"] = json!("disabled");
    let left = change(&platform, &platform.world.directory.clone()).await;

    let code = format!("{}_NEW", code_of("login"));
    for channel in ["stays", "rotates", "joins"] {
        platform.world.template("login")["channels"][channel]["code"] = json!(code);
    }
    let renamed = change(&platform, &platform.world.directory.clone()).await;
    for_a_while(Duration::from_secs(1)).await;
    let accepted = load.stop().await;
    assert!(accepted.len() > 4_000, "only {} messages", accepted.len());

    let outcomes = audit::settle(&platform, &accepted, Duration::from_secs(60)).await;
    let others: Vec<_> = outcomes
        .values()
        .filter(|o| o.outcome != Terminal::Delivered)
        .collect();
    assert!(others.is_empty(), "not delivered: {others:#?}");

    let calls = platform.calls();
    every_router_decides_by(&platform, &[&joined, &rotated, &left, &renamed]);
    let partitions = platform.kafka.config().partitions;
    let reached: BTreeSet<i32> = on(&calls, "joins")
        .map(|c| partitioner::partition(c.recipients[0].as_bytes(), partitions))
        .collect();
    assert_eq!(
        reached.len(),
        6,
        "partitions that use the new channel: {reached:?}"
    );

    let refused: Vec<_> = calls
        .iter()
        .filter(|c| matches!(c.outcome, Outcome::AuthRefused { .. }))
        .collect();
    assert!(refused.is_empty(), "the old secret was used: {refused:#?}");
    assert!(
        on(&calls, "rotates").any(|c| c.at_ms > rotated.in_force),
        "the rotated channel is not used"
    );

    assert!(
        on(&calls, "leaves").any(|c| c.at_ms < left.made),
        "the channel was never used"
    );
    let late: Vec<_> = on(&calls, "leaves")
        .filter(|c| c.at_ms > left.in_force)
        .collect();
    assert!(late.is_empty(), "calls on a disabled channel: {late:#?}");

    let mut codes = calls
        .iter()
        .filter(|c| c.params.as_ref().is_some_and(|p| p.contains_key("code")))
        .filter(|c| c.at_ms > renamed.in_force)
        .map(|c| c.template_code.clone().unwrap_or_default());
    assert!(codes.all(|c| c == code), "the old template code was used");
    platform.end().await;
}
