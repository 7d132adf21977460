//! Secrets stay secret and numbers stay masked, even with logs at their most talkative.

use jixinda_schemas::{Topic, headers::Headers};
use serde_json::json;

use crate::{
    audit,
    harness::{
        ALL_IN_ONE, Platform, SOON, Settings,
        client::{Client, event, message},
        eventually,
        load::{Accepted, Sent},
        recipient,
        world::World,
    },
};

/// Defect (q) of the system that this replaces: it showed the secrets of channels in clear.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_whole_number_gets_out() {
    let settings = Settings::default().with("TELEMETRY__FILTER", "debug");
    let platform = Platform::start_with(World::new(&["good"]), ALL_IN_ONE, settings).await;
    let client = platform.client("all", "shop");
    let mut accepted = Accepted::new();
    let mut numbers = Vec::new();
    for lane in ["otp", "notice", "marketing"] {
        let number = recipient();
        let id = client
            .send(&message(lane, number.expose()))
            .await
            .accepted();
        let sent = Sent::new(number.expose().to_owned(), lane.parse().ok().unwrap());
        accepted.insert(id, sent);
        numbers.push(number);
    }
    // Ways on which a secret or a number could slip into a complaint.
    let forger = Client {
        secret: "0123456789abcdef".repeat(2),
        ..client.clone()
    };
    let number = recipient();
    let bad = message("otp", number.expose());
    assert_eq!(forger.send(&bad).await.status, 401);
    let mut unread = event("shop", &bad);
    unread["at"] = json!(number.expose());
    platform.produce_direct(Topic::RequestsOtp, &unread).await;
    let mut foreign = event("shop", &bad);
    foreign["payload"]["template"] = json!("bank-login");
    foreign["message_id"] = json!("018f0000-0000-7000-8000-000000000001");
    platform
        .produce(
            Topic::RequestsOtp,
            Some(number.expose()),
            foreign.to_string().as_bytes(),
            None,
            Headers::of("request"),
        )
        .await;
    let sent = Sent::new(number.expose().to_owned(), jixinda_schemas::Lane::Otp);
    accepted.insert(
        "018f0000-0000-7000-8000-000000000001".parse().unwrap(),
        sent,
    );
    numbers.push(number);
    audit::settle(&platform, &accepted, SOON).await;
    let mut places = platform.logs();
    assert!(
        places["all.log"].contains("DEBUG"),
        "the logs are not talkative"
    );
    places.insert("/metrics".to_owned(), platform.metrics("all").await);
    for table in [
        "routings",
        "attempts",
        "receipts",
        "outcomes",
        "dead_letters",
    ] {
        let rows = eventually(&format!("{table} has rows"), SOON, async || {
            let rows = platform
                .clickhouse(&format!("SELECT * FROM {table}"))
                .await?;
            if rows.is_empty() {
                return Err("it is empty".to_owned());
            }
            Ok(rows)
        })
        .await;
        places.insert(table.to_owned(), json!(rows).to_string());
    }
    for (place, text) in &places {
        for number in &numbers {
            let national = number.china_national().unwrap();
            assert!(
                !text.contains(national),
                "{place} shows a number: {}",
                line_with(text, national)
            );
        }
    }

    let journal = std::fs::read_to_string(platform.dir.join("journal.jsonl")).unwrap();
    places.insert("lab journal".to_owned(), journal);
    for show in [
        &["directory", "show"][..],
        &["directory", "show", "--json"],
        &["config", "show"],
    ] {
        places.insert(show.join(" "), platform.run(show, &[]));
    }
    for topic in Topic::ALL {
        for (i, record) in platform.log.topic(topic).iter().enumerate() {
            let text = String::from_utf8_lossy(&record.value).into_owned();
            places.insert(format!("{topic} {i} {:?}", record.headers), text);
        }
    }
    let records = platform.log.topic(Topic::Directory);
    assert!(records.len() > 8, "the directory topic was not read");
    let mut secrets = platform.world.secrets.clone();
    secrets.insert("platform key".to_owned(), platform.platform_key.clone());
    for (place, text) in &places {
        for (whose, secret) in &secrets {
            assert!(
                !text.contains(secret),
                "{place} shows the secret of {whose}: {}",
                line_with(text, secret)
            );
        }
    }
    platform.end().await;
}

fn line_with<'a>(text: &'a str, what: &str) -> &'a str {
    text.lines()
        .find(|line| line.contains(what))
        .unwrap_or_default()
}
