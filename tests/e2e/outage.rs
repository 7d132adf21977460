//! What the platform leans on goes away and comes back.

use std::time::Duration;

use jixinda_schemas::{MessageId, Reason, event::Terminal};
use serde_json::{Value, json};

use crate::{
    audit,
    harness::{
        ALL_IN_ONE, Platform, SOON, Settings,
        client::message,
        eventually,
        load::{Accepted, Load, Sent, for_a_while},
        recipient,
        world::World,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_goes_on_without_clickhouse_and_the_sink_catches_up() {
    let settings = Settings {
        own_engine: true,
        ..Settings::default()
    };
    let mut platform = Platform::start_with(World::new(&["good"]), ALL_IN_ONE, settings).await;
    let client = platform.client("all", "shop");
    let load = Load::start(vec![client.clone()], 100, &["otp", "notice", "marketing"]);
    for_a_while(Duration::from_secs(2)).await;
    platform.helpers.get_mut("engine").unwrap().kill();

    let number = recipient();
    let probe = client
        .send(&message("otp", number.expose()))
        .await
        .accepted();
    eventually(
        "a message is delivered without ClickHouse",
        SOON,
        async || platform.log.outcomes().remove(&probe).ok_or("no outcome"),
    )
    .await;
    eventually("reads say that they are not available", SOON, async || {
        let stale = MessageId::random();
        let answer = client.get(&format!("/v1/messages/{stale}")).await;
        if answer.code() == (503, "unavailable") {
            return Ok(());
        }
        Err(format!("{:?}", answer.code()))
    })
    .await;
    let mut accepted = load.stop().await;
    let sent = Sent::new(number.expose().to_owned(), jixinda_schemas::Lane::Otp);
    accepted.insert(probe, sent);
    eventually("everything is sent without ClickHouse", SOON, async || {
        let done = platform.log.outcomes().len();
        if done == accepted.len() {
            Ok(())
        } else {
            Err(format!("{done} of {}", accepted.len()))
        }
    })
    .await;

    platform.helpers.get_mut("engine").unwrap().restart();
    let outcomes = audit::settle(&platform, &accepted, SOON).await;
    assert!(outcomes.values().all(|o| o.outcome == Terminal::Delivered));
    platform.end().await;
}

async fn send(platform: &Platform, accepted: &mut Accepted, body: &Value) -> MessageId {
    let id = platform.client("all", "shop").send(body).await.accepted();
    let sent = Sent::new(
        body["recipient"].as_str().unwrap().to_owned(),
        jixinda_schemas::Lane::Notice,
    );
    accepted.insert(id, sent);
    id
}

fn valid_for(seconds: u32) -> Value {
    let mut body = message("notice", recipient().expose());
    body["valid_for"] = json!(seconds);
    body
}

async fn set_mode(platform: &mut Platform, mode: &str) {
    for channel in ["left", "right"] {
        platform.world.channel(channel)["mode"] = json!(mode);
    }
    let directory = platform.world.directory.clone();
    platform.apply_directory(&directory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_wait_while_every_channel_is_out_and_expire_only_at_their_time() {
    let mut platform = Platform::start(World::new(&["left", "right"]), ALL_IN_ONE).await;
    let mut accepted = Accepted::new();
    set_mode(&mut platform, "disabled").await;
    let (mut short, mut long) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        short.push(send(&platform, &mut accepted, &valid_for(3)).await);
        long.push(send(&platform, &mut accepted, &valid_for(300)).await);
    }
    eventually("the short ones have expired", SOON, async || {
        let outcomes = platform.log.outcomes();
        let open = short
            .iter()
            .filter(|id| !outcomes.contains_key(*id))
            .count();
        if open == 0 {
            Ok(())
        } else {
            Err(format!("{open} are open"))
        }
    })
    .await;
    assert!(platform.calls().is_empty(), "a disabled channel was called");
    set_mode(&mut platform, "active").await;
    let outcomes = audit::settle(&platform, &accepted, SOON).await;
    for id in &short {
        let outcome = &outcomes[id];
        assert_eq!(
            (outcome.outcome, outcome.reason),
            (Terminal::Expired, Reason::NotAfterPassed)
        );
        assert!(
            outcome.ended_at.since(outcome.accepted_at) >= 3_000,
            "{outcome:#?}"
        );
    }
    for id in &long {
        assert_eq!(
            outcomes[id].outcome,
            Terminal::Delivered,
            "{:#?}",
            outcomes[id]
        );
    }
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_vendor_is_not_hammered_and_its_channels_come_back() {
    // A quick forgetter: with the usual minute, a channel of such low traffic stays away for some of them.
    let settings = Settings::default().with("ROUTER__HEALTH_HALF_LIFE", "2s");
    let mut platform =
        Platform::start_with(World::new(&["left", "right"]), ALL_IN_ONE, settings).await;
    let mut accepted = Accepted::new();
    platform.helpers.get_mut("lab").unwrap().kill();
    let mut failed = Vec::new();
    for _ in 0..30 {
        failed.push(send(&platform, &mut accepted, &valid_for(10)).await);
    }
    let outcomes = audit::settle(&platform, &accepted, SOON).await;
    for id in &failed {
        let outcome = &outcomes[id];
        // Nothing left this machine, so the vendor cannot have taken any.
        assert!(
            matches!(outcome.outcome, Terminal::Failed | Terminal::Expired),
            "{outcome:#?}"
        );
        let tried = outcome
            .attempts
            .iter()
            .filter(|a| a.call_id.is_some())
            .count();
        assert!(tried <= 3, "{tried} calls for one message: {outcome:#?}");
    }

    platform.helpers.get_mut("lab").unwrap().restart();
    let mut used = std::collections::BTreeSet::new();
    eventually(
        "both channels are used again",
        Duration::from_secs(60),
        async || {
            let id = send(&platform, &mut accepted, &valid_for(30)).await;
            let outcome = eventually("it ends", SOON, async || {
                platform.log.outcomes().remove(&id).ok_or("no outcome")
            })
            .await;
            let outcome = &outcome[0];
            if outcome.outcome == Terminal::Delivered {
                used.insert(outcome.attempts.last().unwrap().channel.clone());
            }
            if used.len() == 2 {
                Ok(())
            } else {
                Err(format!("{used:?}"))
            }
        },
    )
    .await;
    audit::settle(&platform, &accepted, SOON).await;
    platform.end().await;
}
