//! Evidence that comes after the outcome, and after the death of the router that wrote it.

use std::{collections::BTreeMap, time::Duration};

use jixinda_lab::journal;
use jixinda_schemas::{Lane, Topic, codec::Event, event::Terminal};
use serde_json::json;

use crate::{
    audit,
    harness::{
        Platform, SOON, Settings,
        client::message,
        eventually,
        load::{Accepted, Sent},
        recipient,
        world::World,
    },
};

const MESSAGES: usize = 8;
const PROCESSES: &[(&str, &str)] = &[("router", "router"), ("rest", "ingest,senders,analytics")];

/// After the deadline the outcome is `unknown` and the message kept in `state`; the router is killed; then each receipt
/// is pushed twice, and some say that it failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_after_the_outcome_and_a_takeover_correct_it_once() {
    let mut world = World::new(&["slow"]);
    let behaviour = &mut world.lab_account("slow")["behaviour"];
    behaviour["receipt_delay"] = json!({ "mean": "15s", "jitter": "500ms" });
    behaviour["receipt_duplicates"] = json!(1.0);
    behaviour["receipt_failures"] = json!([{ "share": 0.5, "code": "MOBILE_NOT_ON_SERVICE" }]);
    let settings = Settings::default().with("ROUTER__RECEIPT_DEADLINE", "2s");
    let mut platform = Platform::start_with(world, PROCESSES, settings).await;
    let mut accepted = Accepted::new();
    for _ in 0..MESSAGES {
        let number = recipient();
        let client = platform.client("rest", "shop");
        let answer = client.send(&message("notice", number.expose())).await;
        let sent = Sent::new(number.expose().to_owned(), Lane::Notice);
        accepted.insert(answer.accepted(), sent);
    }
    eventually("every message ended as unknown", SOON, async || {
        let outcomes = platform.log.outcomes();
        let ended = outcomes.values().flatten();
        match ended.filter(|o| o.outcome == Terminal::Unknown).count() {
            MESSAGES => Ok(()),
            n => Err(n),
        }
    })
    .await;
    platform.kill("router");
    platform.restart("router");
    platform.process_ready("router").await;
    assert_eq!(
        receipts(&platform),
        0,
        "no receipt came before the takeover"
    );

    eventually("every receipt was pushed twice", SOON, async || {
        let pushed = receipts(&platform);
        if pushed == 2 * MESSAGES {
            Ok(())
        } else {
            Err(pushed)
        }
    })
    .await;
    // The audit sees that each ended at last as the vendor's journal says.
    audit::settle(&platform, &accepted, Duration::from_secs(60)).await;
    let mut corrected = BTreeMap::new();
    for record in platform.log.valid(Topic::Outcomes) {
        if let Event::OutcomeCorrected(e) = record.event() {
            assert_eq!(e.payload.previous.outcome, Terminal::Unknown);
            let attempt = &e.payload.current.attempts[0];
            assert!(
                attempt.vendor_id.is_some(),
                "the attempt is known as before: {attempt:?}"
            );
            let before = corrected.insert(e.message_id.unwrap(), e.payload.current.outcome);
            assert_eq!(before, None, "one correction says it all");
        }
    }
    assert!(corrected.keys().eq(accepted.keys()), "{corrected:?}");
    platform.end().await;
}

fn receipts(platform: &Platform) -> usize {
    let journal = platform.lab_journal().into_iter();
    journal
        .filter(|e| matches!(e, journal::Entry::Receipt(_)))
        .count()
}
