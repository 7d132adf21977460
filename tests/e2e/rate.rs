//! A channel's rate holds over all senders, at every moment, and is used.

use std::{collections::BTreeMap, time::Duration};

use jixinda_schemas::{CallId, Topic, codec::Event};

use crate::{
    audit,
    harness::{
        Platform, Settings,
        load::{Load, for_a_while},
        world::World,
    },
};

const RATE: usize = 100;

/// The most calls in any second.
fn peak(times: &[u64]) -> (usize, u64) {
    let mut first = 0;
    let mut most = (0, 0);
    for (last, at) in times.iter().enumerate() {
        while times[first] + 1_000 <= *at {
            first += 1;
        }
        most = most.max((last + 1 - first, *at));
    }
    most
}

/// When the senders began their calls. A result counts whoever wrote it, and may be written twice.
fn calls_begun(platform: &Platform) -> Vec<u64> {
    let finished = platform.log.topic(Topic::Attempts).into_iter();
    let times = finished.filter_map(|record| match record.event() {
        Event::AttemptFinished(e) => {
            let began = u64::try_from(e.payload.submitted_at?.millis()).ok()?;
            Some((e.payload.call_id, began))
        }
        _ => None,
    });
    let times: BTreeMap<CallId, u64> = times.collect();
    let mut times: Vec<u64> = times.into_values().collect();
    times.sort_unstable();
    times
}

/// Calls a second between these times.
fn mean(times: &[u64], from: u64, to: u64) -> f64 {
    let calls = times.iter().filter(|at| (from..to).contains(at)).count();
    1_000.0 * calls as f64 / (to - from) as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pairs_keep_a_channels_rate_and_use_it_even_while_the_second_joins() {
    let mut world = World::new(&["narrow"]);
    world.channel("narrow")["rate_per_second"] = RATE.into();
    let processes = [
        ("door", "ingest"),
        ("pair-1", "router,senders"),
        ("sink", "analytics"),
    ];
    let mut platform = Platform::start_with(world, &processes, Settings::default().alone()).await;
    let load = Load::start(vec![platform.client("door", "shop")], 140, &["otp"]);
    for_a_while(Duration::from_secs(6)).await;
    let before = platform.calls().last().unwrap().at_ms;
    platform.add("pair-2", "router,senders");
    platform.process_ready("pair-2").await;
    for_a_while(Duration::from_secs(2)).await;
    let after = platform.calls().last().unwrap().at_ms;
    for_a_while(Duration::from_secs(6)).await;
    let end = platform.calls().last().unwrap().at_ms;
    let accepted = load.stop().await;
    let mut times: Vec<u64> = platform.calls().iter().map(|c| c.at_ms).collect();
    times.sort_unstable();

    audit::settle(&platform, &accepted, Duration::from_secs(60)).await;
    // What reaches the vendor in a second is also a matter of how long each call was on its way: two that began a
    // tenth of a second apart may arrive together. So the limit is that of the callers' clock.
    let begun = calls_begun(&platform);
    assert_eq!(begun.len(), platform.calls().len());
    for (whose, times, most) in [
        ("begun", &begun, RATE + RATE / 10),
        ("arrived", &times, RATE + RATE / 4),
    ] {
        let (found, at) = peak(times);
        println!("{whose}: {found} at most");
        assert!(
            found <= most,
            "{found} calls {whose} in the second before {at}; the second pair came at {before}"
        );
    }
    let wanted = RATE as f64 * 0.8;
    // The ramp of the start is not the channel's rate.
    let begun = times[0] + 1_000;
    for (what, from, to) in [
        ("one pair", begun, before),
        ("while the second joins", before, after),
        ("two pairs", after, end),
        ("in all", begun, end),
    ] {
        let used = mean(&times, from, to);
        println!("{what}: {used:.0} a second");
        // While it changes hands, a partition rests for a second at most, so that no two senders use its share.
        let least = if from == before { wanted / 2.0 } else { wanted };
        assert!(used >= least, "{what}: {used:.0} calls a second");
    }
    for name in ["pair-1", "pair-2"] {
        let role = "role=\"senders.default\"";
        let held = platform
            .metric(name, "jixinda_runtime_partitions_owned", &[role])
            .await;
        assert!((held - 3.0).abs() < 0.5, "{name} holds {held} partitions");
    }
    platform.end().await;
}
