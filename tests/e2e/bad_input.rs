//! Requests over HTTP with a fault are refused, each with its reason, and disturb nothing else.

use jixinda_schemas::{Lane, Phone, Topic};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    audit,
    harness::{
        ALL_IN_ONE, Platform, SOON,
        client::{Answer, Client, message, now_seconds},
        eventually,
        load::{Accepted, Sent},
        recipient,
        world::World,
    },
};

pub(crate) fn sent(recipient: &Phone, lane: Lane) -> Sent {
    Sent::new(recipient.expose().to_owned(), lane)
}

pub(crate) fn refused_world() -> (World, Phone) {
    let mut world = World::new(&["good"]);
    let barred = recipient();
    world.directory["suppressions"] = json!([{ "recipient": barred.expose(), "note": "operator" }]);
    (world, barred)
}

/// A request signed with these.
async fn signed(client: &Client, body: &Value, ts: i64, nonce: &str) -> Answer {
    let body = body.to_string().into_bytes();
    let authorization = client.authorization(&Method::POST, "/v1/messages", &body, ts, nonce);
    client
        .raw(Method::POST, "/v1/messages", &authorization, body)
        .await
        .unwrap()
}

async fn garbage(client: &Client) -> Answer {
    let body = b"{ no JSON".to_vec();
    let nonce = "0123456789abcdef";
    let authorization =
        client.authorization(&Method::POST, "/v1/messages", &body, now_seconds(), nonce);
    client
        .raw(Method::POST, "/v1/messages", &authorization, body)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_requests_with_a_fault_are_refused_by_name_and_reach_no_vendor() {
    let (world, barred) = refused_world();
    let platform = Platform::start(world, ALL_IN_ONE).await;
    let client = platform.client("all", "shop");
    let number = recipient();
    let good = message("otp", number.expose());
    let nonce = || format!("{:032x}", rand::random::<u128>());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        body
    };

    let forger = Client {
        secret: "x".repeat(32),
        ..client.clone()
    };
    let stranger = Client {
        key: "nobody".into(),
        ..client.clone()
    };
    let now = now_seconds();
    let cases = [
        (
            signed(&forger, &good, now, &nonce()).await,
            (401, "unauthorized"),
        ),
        (
            signed(&stranger, &good, now, &nonce()).await,
            (401, "unauthorized"),
        ),
        (
            signed(&client, &good, now - 301, &nonce()).await,
            (401, "stale_timestamp"),
        ),
        (
            signed(&client, &good, now + 310, &nonce()).await,
            (401, "stale_timestamp"),
        ),
        (
            client
                .send(&with(&|b| b["template"] = json!("nothing")))
                .await,
            (422, "unknown_template"),
        ),
        (
            client
                .send(&with(&|b| b["template"] = json!("bank-login")))
                .await,
            (422, "unknown_template"),
        ),
        (
            client.send(&with(&|b| b["params"] = json!({}))).await,
            (422, "missing_variable"),
        ),
        (
            client.send(&with(&|b| b["params"]["x"] = json!("1"))).await,
            (422, "unknown_variable"),
        ),
        (
            client
                .send(&with(&|b| b["params"]["code"] = json!("1".repeat(40))))
                .await,
            (422, "variable_too_long"),
        ),
        (
            client
                .send(&with(&|b| b["recipient"] = json!("12345")))
                .await,
            (422, "bad_recipient"),
        ),
        (
            client
                .send(&with(&|b| b["recipient"] = json!(barred.expose())))
                .await,
            (422, "suppressed"),
        ),
        (
            client.send(&with(&|b| b["valid_for"] = json!("25h"))).await,
            (422, "bad_validity"),
        ),
        (
            client.send(&with(&|b| b["to"] = json!("1"))).await,
            (422, "unknown_field"),
        ),
        (
            client
                .send(&with(&|b| b["campaign"] = json!("x".repeat(20_000))))
                .await,
            (413, "body_too_large"),
        ),
        (client.send(&json!([1, 2])).await, (422, "bad_field")),
        (garbage(&client).await, (400, "bad_json")),
    ];
    for (answer, wanted) in &cases {
        assert_eq!(answer.code(), *wanted, "{}", answer.body);
        assert!(
            !answer.body.to_string().contains(&number.expose()[4..]),
            "{}",
            answer.body
        );
    }
    for (_, (_, reason)) in &cases {
        let label = format!("reason=\"{reason}\"");
        let counted = platform
            .metric("all", "jixinda_ingest_refused_total", &[&label])
            .await;
        assert!(counted >= 1.0, "{reason} is not counted");
    }

    // Nothing of that was written; what follows is sent as if nothing had been.
    let id = client.send(&good).await.accepted();
    audit::settle(
        &platform,
        &Accepted::from([(id, sent(&number, Lane::Otp))]),
        SOON,
    )
    .await;
    let requests: usize = [
        Topic::RequestsOtp,
        Topic::RequestsNotice,
        Topic::RequestsMarketing,
    ]
    .map(|topic| platform.log.topic(topic).len())
    .iter()
    .sum();
    assert_eq!(requests, 1);
    assert_eq!(platform.calls().len(), 1);
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_request_is_refused_and_after_a_restart_is_the_same_message() {
    let processes = [("door", "ingest"), ("rest", "router,senders,analytics")];
    let mut platform = Platform::start(World::new(&["good"]), &processes).await;
    let client = platform.client("door", "shop");
    let number = recipient();
    let (body, now) = (message("otp", number.expose()), now_seconds());
    let nonce = "3d1b7a6f5e9c4b21";

    let id = signed(&client, &body, now, nonce).await.accepted();
    let again = signed(&client, &body, now, nonce).await;
    assert_eq!(again.code(), (401, "nonce_replayed"), "{}", again.body);

    // What an instance remembers is gone; the log remembers.
    platform.stop("door").await;
    platform.restart("door");
    platform.process_ready("door").await;
    assert_eq!(signed(&client, &body, now, nonce).await.accepted(), id);

    let mut accepted = Accepted::from([(id, sent(&number, Lane::Otp))]);
    let later = recipient();
    accepted.insert(
        client
            .send(&message("otp", later.expose()))
            .await
            .accepted(),
        sent(&later, Lane::Otp),
    );
    audit::settle(&platform, &accepted, SOON).await;
    eventually("the repeat is counted", SOON, async || {
        let counted = platform
            .metric("rest", "jixinda_router_repeats_total", &[])
            .await;
        if counted >= 1.0 { Ok(()) } else { Err("0") }
    })
    .await;
    assert_eq!(platform.log.topic(Topic::RequestsOtp).len(), 3);
    assert_eq!(platform.calls_for(number.expose()).len(), 1);
    platform.end().await;
}
