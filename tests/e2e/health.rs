//! Failures belong to the channel that failed, and success decides, not traffic.

use std::time::Duration;

use jixinda_schemas::{
    Topic,
    codec::Event,
    event::{Routed, Terminal},
};
use serde_json::json;

use crate::{
    audit,
    harness::{
        ALL_IN_ONE, Platform,
        load::{Accepted, Load, for_a_while},
        world::World,
    },
};

async fn set_failing(platform: &Platform, channel: &str, failing: bool) {
    let errors = if failing {
        json!([{ "share": 1.0, "kind": "isp.SYSTEM_ERROR" }])
    } else {
        json!([])
    };
    let behaviour = json!({ "behaviour": { "submit_errors": errors } });
    platform.lab_patch(channel, &behaviour).await;
}

async fn traffic(platform: &Platform, seconds: u64) -> Accepted {
    let load = Load::start(vec![platform.client("all", "shop")], 60, &["notice"]);
    for_a_while(Duration::from_secs(seconds)).await;
    load.stop().await
}

/// The last decisions, newest last.
fn decisions(platform: &Platform, count: usize) -> Vec<Routed> {
    let mut routed: Vec<Routed> = platform
        .log
        .valid(Topic::DispatchNotice)
        .iter()
        .filter_map(|record| match record.event() {
            Event::Routed(e) => Some(e.payload),
            _ => None,
        })
        .collect();
    routed.sort_by_key(|r| r.decided_at);
    routed.split_off(routed.len() - count)
}

fn share(routed: &[Routed], channel: &str) -> f64 {
    let on = routed.iter().filter(|r| r.channel.as_str() == channel);
    on.count() as f64 / routed.len() as f64
}

/// Mean delivered rate of a channel in the decisions that show one.
fn rate(routed: &[Routed], channel: &str) -> f64 {
    let rates: Vec<f64> = routed
        .iter()
        .flat_map(|r| &r.considered)
        .filter(|c| c.channel.as_str() == channel)
        .filter_map(|c| c.delivered_rate)
        .collect();
    assert!(!rates.is_empty(), "{channel} was never a candidate");
    rates.iter().sum::<f64>() / rates.len() as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_stay_with_their_channel_when_the_order_changes() {
    let mut world = World::new(&["first", "second"]);
    world.channel("second")["priority"] = json!(1);
    let platform = Platform::start(world, ALL_IN_ONE).await;

    set_failing(&platform, "first", true).await;
    let mut accepted = traffic(&platform, 4).await;
    let late = decisions(&platform, 60);
    assert!(share(&late, "second") > 0.8, "{}", share(&late, "second"));
    // The one that moved up has its own record, however many messages the other has spoilt.
    assert!(rate(&late, "second") > 0.8, "{}", rate(&late, "second"));

    set_failing(&platform, "first", false).await;
    set_failing(&platform, "second", true).await;
    for round in 1.. {
        accepted.extend(traffic(&platform, 4).await);
        let share = share(&decisions(&platform, 60), "first");
        if share > 0.8 {
            break;
        }
        assert!(round < 12, "the healed channel has a share of {share}");
    }
    let outcomes = audit::settle(&platform, &accepted, Duration::from_secs(60)).await;
    for outcome in outcomes.values() {
        assert_eq!(outcome.outcome, Terminal::Delivered, "{outcome:#?}");
    }
    platform.end().await;
}
