//! `POST /v1/messages/batch`.

use std::collections::HashSet;

use jixinda_schemas::Topic;
use serde_json::Value;

use crate::harness::{Harness, errors, nonce, now_seconds, request, sign};

const PATH: &str = "/v1/messages/batch";

fn statuses(body: &Value) -> Vec<&str> {
    body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["status"].as_str().unwrap())
        .collect()
}

/// Defect (n) of the system that this replaces: a batch was four parallel lists, and where one was too short its last
/// value went to the next recipient.
#[tokio::test(flavor = "multi_thread")]
async fn an_item_without_its_parameter_fails_alone_and_borrows_from_nobody() {
    let h = Harness::start().await;
    let body = r#"{"template":"login","items":[
        {"recipient":"13800138000","params":{"code":"111111"}},
        {"recipient":"13800138001"},
        {"recipient":"13800138002","params":{"code":"333333"}}]}"#;
    let answer = h.post(PATH, body).await;
    assert_eq!(answer.status, 207, "{}", answer.body);
    assert_eq!(statuses(&answer.body), ["accepted", "refused", "accepted"]);
    assert_eq!(
        errors(&answer.body["results"][1]),
        ["params.code:missing_variable"]
    );
    assert_eq!(
        (&answer.body["accepted"], &answer.body["refused"]),
        (&2.into(), &1.into())
    );
    let mut sent: Vec<_> = h
        .records(Topic::RequestsOtp)
        .iter()
        .map(|r| {
            (
                request(r).payload.recipient.expose().to_owned(),
                request(r).payload.params["code"].clone(),
            )
        })
        .collect();
    sent.sort();
    let want = [("+8613800138000", "111111"), ("+8613800138002", "333333")]
        .map(|(r, c)| (r.to_owned(), c.to_owned()));
    assert_eq!(sent, want);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_under_a_key_sent_again_is_the_same_messages() {
    let h = Harness::start().await;
    let items: Vec<String> = (0..1000)
        .map(|i| format!(r#"{{"recipient":"1380013{i:04}"}}"#))
        .collect();
    let body = format!(
        r#"{{"template":"news","idempotency_key":"campaign-1","items":[{}]}}"#,
        items.join(",")
    );
    let first = h.post(PATH, &body).await;
    assert_eq!(first.status, 202, "{}", first.body["results"][0]);
    assert_eq!(first.body["accepted"], 1000);
    assert_eq!(h.records(Topic::RequestsMarketing).len(), 1000);
    let again = h.post(PATH, &body).await;
    assert_eq!(again.body["results"], first.body["results"]);
    assert_eq!(h.records(Topic::RequestsMarketing).len(), 1000);
    let ids: HashSet<_> = first.body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["message_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_overrides_the_defaults_and_its_own_key_does_not_depend_on_its_place() {
    let h = Harness::start().await;
    let item = r#"{"recipient":"13800138009","template":"login","params":{"code":"9"},"valid_for":"60s","idempotency_key":"own"}"#;
    let body = format!(
        r#"{{"template":"news","valid_for":"10m","items":[{{"recipient":"13800138000"}},{item},{item}]}}"#
    );
    let answer = h.post(PATH, &body).await;
    assert_eq!(
        statuses(&answer.body),
        ["accepted", "accepted", "refused"],
        "{}",
        answer.body
    );
    assert_eq!(
        errors(&answer.body["results"][2]),
        ["idempotency_key:bad_field"]
    );
    let alone = h.post("/v1/messages", item).await;
    assert_eq!(
        alone.body["message_id"],
        answer.body["results"][1]["message_id"]
    );
    assert_eq!(
        request(&h.records(Topic::RequestsOtp)[0])
            .payload
            .valid_for_ms,
        Some(60_000)
    );
    assert_eq!(
        request(&h.records(Topic::RequestsMarketing)[0])
            .payload
            .valid_for_ms,
        Some(600_000)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_which_nothing_can_be_accepted_is_a_problem() {
    let h = Harness::start().await;
    let answer = h
        .post(
            PATH,
            r#"{"template":"none","items":[{"recipient":"13800138000"},{"recipient":"1"}]}"#,
        )
        .await;
    assert_eq!((answer.status, answer.code()), (422, "unknown_template"));
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(
        errors(&answer.body["results"][1]),
        ["recipient:bad_recipient", "template:unknown_template"]
    );

    let many = format!(
        r#"{{"template":"news","items":[{}]}}"#,
        vec![r#"{"recipient":"13800138000"}"#; 1001].join(",")
    );
    for (body, want) in [
        (r#"{"template":"news","items":[]}"#, "items:batch_too_large"),
        (many.as_str(), "items:batch_too_large"),
        (r#"{"template":"news"}"#, "items:missing_field"),
        (
            r#"{"template":"news","params":{},"items":[{"recipient":"13800138000"}]}"#,
            "params:unknown_field",
        ),
    ] {
        let answer = h.post(PATH, body).await;
        assert_eq!(
            (answer.status, answer.errors()),
            (422, vec![want.to_owned()])
        );
    }
    assert_eq!(h.all_records(), 0);
}

/// Defect (h) of the system that this replaces, for batches.
#[tokio::test(flavor = "multi_thread")]
async fn items_that_the_log_did_not_take_are_named_and_the_whole_batch_may_be_sent_again() {
    let h = Harness::with(|c| c.write_timeout = std::time::Duration::from_secs(1)).await;
    h.broker.down().unwrap();
    let body = r#"{"template":"news","items":[{"recipient":"13800138000"},{"recipient":"x"}]}"#;
    let authorization = sign("POST", PATH, body, "k1", now_seconds(), &nonce());
    let answer = h.post_as(&authorization, PATH, body).await;
    assert_eq!(
        (answer.status, answer.code()),
        (503, "unavailable"),
        "{}",
        answer.body
    );
    assert_eq!(statuses(&answer.body), ["unavailable", "refused"]);
    assert!(!answer.header("retry-after").is_empty());
    h.broker.up().unwrap();
    for _ in 0..15 {
        let again = h.post_as(&authorization, PATH, body).await;
        assert_eq!(
            again.body["results"][0]["message_id"],
            answer.body["results"][0]["message_id"]
        );
        if again.status == 207 {
            return;
        }
    }
    panic!("never accepted")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_batch_writes_nothing() {
    let h = Harness::start().await;
    let body =
        r#"{"template":"news","items":[{"recipient":"13800138000"},{"recipient":"13800138001"}]}"#;
    let answer = h.post(&format!("{PATH}?dry_run=true"), body).await;
    assert_eq!(
        (answer.status, statuses(&answer.body)),
        (200, vec!["dry_run", "dry_run"])
    );
    assert_eq!(answer.body["results"][0]["characters"], 10);
    assert_eq!(h.all_records(), 0);
}
