//! `POST /v1/messages`: what is accepted, what is written, and what a repeat is.

use jixinda_schemas::{Lane, Topic};

use crate::harness::{GOOD, Harness, nonce, now_seconds, platform, request, sign};

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_message_is_one_sealed_record_under_its_recipient() {
    let h = Harness::start().await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let authorization = sign("POST", "/v1/messages", GOOD, "k1", now_seconds(), &nonce());
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("traceparent", parent),
    ];
    let answer = h.call("POST", "/v1/messages", &headers, GOOD).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.body["status"], "accepted");
    assert_eq!(answer.body["lane"], "otp");
    assert_eq!(answer.body["segments"], 1);
    assert_eq!(answer.text("request_id"), answer.header("x-request-id"));

    let records = h.records(Topic::RequestsOtp);
    let [record] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!(record.key.as_deref(), Some(&b"+8613800138000"[..]));
    assert_eq!(record.headers.lane, Some(Lane::Otp));
    assert_eq!(record.headers.traceparent.as_deref(), Some(parent));
    let value = record.value.as_deref().unwrap();
    assert!(platform().is_from_ingest(value, record.headers.ingest_seal.as_deref().unwrap()));
    let envelope = request(record);
    assert_eq!(
        envelope.message_id.unwrap().to_string(),
        answer.text("message_id")
    );
    assert_eq!(envelope.app_id.unwrap().as_str(), "shop");
    assert_eq!(envelope.payload.recipient.expose(), "+8613800138000");
    assert_eq!(envelope.payload.params["code"], "123456");
    h.stop().await;
}

/// Defect (h) of the system that this replaces: a failing queue was swallowed and the caller told success.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_claimed_while_the_log_is_down_and_the_same_signed_request_is_accepted_after() {
    let h = Harness::with(|c| c.write_timeout = std::time::Duration::from_secs(1)).await;
    h.broker.down().unwrap();
    let authorization = sign("POST", "/v1/messages", GOOD, "k1", now_seconds(), &nonce());
    let answer = h.post_as(&authorization, "/v1/messages", GOOD).await;
    assert_eq!(
        (answer.status, answer.code()),
        (503, "unavailable"),
        "{}",
        answer.body
    );
    assert_eq!(answer.header("retry-after"), "1");
    let id = answer.text("message_id");
    assert_eq!(h.get(&format!("/v1/messages/{id}")).await.status, 503);
    h.broker.up().unwrap();
    let answer = eventually_accepted(&h, &authorization).await;
    assert_eq!(answer.text("message_id"), id);
    // The first write may have gone through as well: it is the same message, which the router drops.
    assert!(
        h.records(Topic::RequestsOtp)
            .iter()
            .all(|r| request(r).message_id.unwrap().to_string() == id)
    );
}

async fn eventually_accepted(h: &Harness, authorization: &str) -> crate::harness::Answer {
    for _ in 0..15 {
        let answer = h.post_as(authorization, "/v1/messages", GOOD).await;
        if answer.status == 202 {
            return answer;
        }
        assert_eq!(answer.status, 503, "{}", answer.body);
    }
    panic!("never accepted")
}

/// Defect (k) of the system that this replaces: a captured request could be sent again for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_is_accepted_once_and_never_when_stale() {
    let h = Harness::start().await;
    let fresh = sign(
        "POST",
        "/v1/messages",
        GOOD,
        "k1",
        now_seconds(),
        "nonce-replayed",
    );
    assert_eq!(h.post_as(&fresh, "/v1/messages", GOOD).await.status, 202);
    let answer = h.post_as(&fresh, "/v1/messages", GOOD).await;
    assert_eq!((answer.status, answer.code()), (401, "nonce_replayed"));
    for ts in [now_seconds() - 310, now_seconds() + 310] {
        let stale = sign("POST", "/v1/messages", GOOD, "k1", ts, &nonce());
        let answer = h.post_as(&stale, "/v1/messages", GOOD).await;
        assert_eq!((answer.status, answer.code()), (401, "stale_timestamp"));
    }
    assert_eq!(h.all_records(), 1);
}

/// Defect (k) again: on an instance that has not seen the nonce, a replay is the same message, which the router drops.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_at_another_instance_is_the_same_message() {
    let (a, b) = (Harness::start().await, Harness::start().await);
    let signed = sign("POST", "/v1/messages", GOOD, "k1", now_seconds(), &nonce());
    let (first, second) = (
        a.post_as(&signed, "/v1/messages", GOOD).await,
        b.post_as(&signed, "/v1/messages", GOOD).await,
    );
    assert_eq!((first.status, second.status), (202, 202));
    assert_eq!(first.text("message_id"), second.text("message_id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_under_its_key_gets_the_same_answer_without_a_second_write() {
    let h = Harness::start().await;
    let body = r#"{"recipient":"+8613800138000","template":"login","params":{"code":"1"},"idempotency_key":"order-1"}"#;
    let first = h.send(body).await;
    let again = h.send(&body.replace("+86", "")).await;
    assert_eq!((first.status, again.status), (202, 202), "{}", again.body);
    assert_eq!(first.text("message_id"), again.text("message_id"));
    let other = h.send(&body.replace(r#""1""#, r#""2""#)).await;
    assert_eq!((other.status, other.code()), (409, "idempotency_conflict"));
    assert_eq!(other.errors(), ["idempotency_key:idempotency_conflict"]);
    assert_eq!(h.all_records(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_call_from_the_same_host_may_give_its_key_in_the_header() {
    let h = Harness::start().await;
    let headers = [
        ("authorization", "Bearer k1.secret"),
        ("content-type", "application/json"),
        ("idempotency-key", "order-7"),
    ];
    let first = h.call("POST", "/v1/messages", &headers, GOOD).await;
    let again = h.call("POST", "/v1/messages", &headers, GOOD).await;
    assert_eq!((first.status, again.status), (202, 202), "{}", first.body);
    assert_eq!(first.text("message_id"), again.text("message_id"));
    let (one, two) = (
        h.call("POST", "/v1/messages", &headers[..2], GOOD).await,
        h.call("POST", "/v1/messages", &headers[..2], GOOD).await,
    );
    assert_ne!(one.text("message_id"), two.text("message_id"));
}

/// The header is outside the signature: a captured request with another header would be another message.
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_takes_no_key_that_its_signature_does_not_cover() {
    let h = Harness::start().await;
    let authorization = sign("POST", "/v1/messages", GOOD, "k1", now_seconds(), &nonce());
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "forged"),
    ];
    let answer = h.call("POST", "/v1/messages", &headers, GOOD).await;
    assert_eq!(
        (answer.status, answer.errors()),
        (422, vec!["idempotency_key:bad_field".to_owned()])
    );
    assert_eq!(h.all_records(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_everything_and_writes_nothing() {
    let h = Harness::start().await;
    let signed = sign(
        "POST",
        "/v1/messages?dry_run=true",
        GOOD,
        "k1",
        now_seconds(),
        "nonce-dry-run",
    );
    let answer = h.post_as(&signed, "/v1/messages?dry_run=true", GOOD).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["status"], "dry_run");
    assert_eq!(answer.body["characters"], 17);
    assert_eq!(answer.body["segments"], 1);
    assert_eq!(answer.body["lane"], "otp");
    // The same nonce without dry_run would be the same message.
    let real = h
        .post_as(
            &sign(
                "POST",
                "/v1/messages",
                GOOD,
                "k1",
                now_seconds(),
                "nonce-dry-run",
            ),
            "/v1/messages",
            GOOD,
        )
        .await;
    assert_eq!(real.text("message_id"), answer.text("message_id"));
    assert_eq!(h.all_records(), 1);
    let mistyped = h.post("/v1/messages?dryrun=true", GOOD).await;
    assert_eq!(
        (mistyped.status, mistyped.errors()),
        (422, vec!["query.dryrun:unknown_field".to_owned()])
    );
    assert_eq!(h.all_records(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn validity_is_taken_as_a_text_or_as_seconds() {
    let h = Harness::start().await;
    for (given, want) in [(r#""5m""#, 300_000), ("90", 90_000)] {
        let body = GOOD.replace(
            r#""template""#,
            &format!(r#""valid_for":{given},"template""#),
        );
        assert_eq!(h.send(&body).await.status, 202);
        let found = h
            .records(Topic::RequestsOtp)
            .iter()
            .any(|r| request(r).payload.valid_for_ms == Some(want));
        assert!(found, "{given}");
    }
    let answer = h
        .send(&GOOD.replace(r#""template""#, r#""valid_for":"2h","template""#))
        .await;
    assert_eq!(answer.errors(), ["valid_for:bad_validity"]);
}
