//! `jixinda verify` finds nothing wrong after load, and each thing that is planted.

use std::time::Duration;

use jixinda_schemas::{Topic, headers::Headers};
use serde_json::Value;

use crate::{
    audit,
    harness::{
        ALL_IN_ONE, Platform, SOON,
        client::{event, message},
        load::{Load, for_a_while},
        recipient,
        world::World,
    },
};

/// The report, and whether it is good.
fn verify(platform: &Platform) -> (Value, bool) {
    let (said, good) = match platform.try_run(&["verify", "--settled", "--json"], &[]) {
        Ok(printed) => (printed, true),
        Err(failed) => {
            assert!(!failed.printed.is_empty(), "{failed}");
            (failed.printed, false)
        }
    };
    (serde_json::from_str(&said).unwrap(), good)
}

fn faults(platform: &Platform) -> Vec<String> {
    let (report, good) = verify(platform);
    let faults = report["faults"].as_array().unwrap();
    assert_eq!(good, faults.is_empty(), "{report:#}");
    let name = |fault: &Value| fault["fault"].as_str().unwrap().to_owned();
    faults.iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_and_clickhouse_agree_after_load_and_what_is_planted_is_found() {
    let mut platform = Platform::start(World::new(&["good"]), ALL_IN_ONE).await;
    let clients = vec![platform.client("all", "shop")];
    let load = Load::start(clients, 100, &["otp", "notice", "marketing"]);
    for_a_while(Duration::from_secs(3)).await;
    let accepted = load.stop().await;
    audit::settle(&platform, &accepted, SOON).await;
    platform.stop("all").await;

    let (report, good) = verify(&platform);
    assert!(good, "{report:#}");
    assert_eq!(report["requests"]["ended"], accepted.len());
    assert_eq!(report["outcomes"]["delivered"], accepted.len());
    assert!(report["rows"].as_u64().unwrap() > 4 * accepted.len() as u64);
    assert!(report["sums"].as_u64().unwrap() >= 3, "{report:#}");

    // Nothing was accepted before the load, and a range that holds all of it holds all that was found.
    let judged = |range: &[&str]| {
        let line = [&["verify", "--settled", "--json"], range].concat();
        let printed = platform.try_run(&line, &[]).unwrap();
        serde_json::from_str::<Value>(&printed).unwrap()["requests"]["ended"].clone()
    };
    assert_eq!(judged(&["--until", "1h"]), 0);
    assert_eq!(judged(&["--since", "1h"]), accepted.len());

    // A row twice, under a token of its own as every insert.
    let columns = "* FROM outcomes ORDER BY message_id LIMIT 1";
    platform
        .write(&format!("INSERT INTO outcomes SELECT {columns}"))
        .await;
    assert_eq!(faults(&platform), ["extra_row", "wrong_sum"]);
    platform
        .write("ALTER TABLE outcomes DELETE WHERE message_id = (SELECT min(message_id) FROM outcomes) SETTINGS mutations_sync = 1")
        .await;
    assert_eq!(faults(&platform), ["missing_row", "wrong_sum"]);

    // Accepted by Kafka, and nobody there to see to it.
    let body = event("shop", &message("otp", recipient().expose()));
    platform.produce_direct(Topic::RequestsOtp, &body).await;
    assert_eq!(faults(&platform), ["lost", "missing_row", "wrong_sum"]);

    // The outcome of a message once more, by the writer that counts.
    let known = platform.log.valid(Topic::Outcomes).pop().unwrap();
    let event: Value = serde_json::from_slice(&known.value).unwrap();
    let key = event["payload"]["recipient"].as_str().unwrap();
    let headers = Headers {
        writer: known.headers.writer.clone(),
        ..Headers::of("outcome")
    };
    platform
        .produce(
            Topic::Outcomes,
            Some(key),
            &known.value,
            Some(known.partition),
            headers,
        )
        .await;
    let found = faults(&platform);
    assert!(found.contains(&"duplicate_outcome".to_owned()), "{found:?}");
    assert!(found.contains(&"missing_row".to_owned()), "{found:?}");
    platform.end().await;
}
