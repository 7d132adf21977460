//! `GET /v1/messages/{id}` and `…/decision`.

use axum::{
    Router,
    extract::{Path, RawQuery},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use jixinda_runtime::secret::Secret;

use crate::harness::{GOOD, Harness, nonce, now_seconds, sign};

const KNOWN: &str = "0196f3a0-0000-7000-8000-000000000001";

/// Stands in for the analytics role: knows one message of `shop`.
async fn analytics() -> String {
    let answer = async |Path(id): Path<String>, RawQuery(query): RawQuery, headers: HeaderMap| {
        assert_eq!(headers["authorization"], "Bearer shared");
        if id == KNOWN && query.as_deref() == Some("app=shop") {
            (StatusCode::OK, r#"{"message_id":"x","status":"delivered"}"#)
        } else {
            (StatusCode::NOT_FOUND, "")
        }
    };
    let app = Router::new()
        .route("/internal/messages/{id}", get(answer))
        .route("/internal/messages/{id}/decision", get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn with_analytics() -> Harness {
    let url = analytics().await;
    Harness::with(|c| {
        c.status_url = url;
        c.status_token = Secret::new("shared");
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_analytics_role_knows_is_passed_on_to_the_owner_only() {
    let h = with_analytics().await;
    for target in [
        format!("/v1/messages/{KNOWN}"),
        format!("/v1/messages/{KNOWN}/decision"),
    ] {
        let answer = h.get(&target).await;
        assert_eq!(
            (answer.status, answer.text("status")),
            (200, "delivered".to_owned())
        );
        assert_eq!(answer.header("content-type"), "application/json");
        let authorization = sign("GET", &target, "", "kslow", now_seconds(), &nonce());
        let answer = h
            .call("GET", &target, &[("authorization", &authorization)], "")
            .await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"));
        let answer = h.call("GET", &target, &[], "").await;
        assert_eq!((answer.status, answer.code()), (401, "unauthorized"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_accepted_a_moment_ago_is_known_here_and_to_its_owner_only() {
    let h = with_analytics().await;
    let id = h.send(GOOD).await.text("message_id");
    let target = format!("/v1/messages/{id}");
    let answer = h.get(&target).await;
    assert_eq!(
        (answer.status, answer.text("status"), answer.text("lane")),
        (200, "accepted".to_owned(), "otp".to_owned())
    );
    let authorization = sign("GET", &target, "", "kslow", now_seconds(), &nonce());
    let answer = h
        .call("GET", &target, &[("authorization", &authorization)], "")
        .await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("retry-after"), "2");
    let decision = h.get(&format!("{target}/decision")).await;
    assert_eq!(
        (decision.status, decision.header("retry-after")),
        (404, "2")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_id_is_404_and_worth_another_try_only_when_it_could_be_new() {
    let h = with_analytics().await;
    let old = h
        .get("/v1/messages/0196f3a0-0000-7000-8000-000000000002")
        .await;
    assert_eq!((old.status, old.header("retry-after")), (404, ""));
    let derived = h
        .get("/v1/messages/0196f3a0-0000-8000-8000-000000000002")
        .await;
    assert_eq!((derived.status, derived.header("retry-after")), (404, "2"));
    assert_eq!(h.get("/v1/messages/not-an-id").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_analytics_role_reads_are_503_and_sending_goes_on() {
    let h = Harness::with(|c| c.status_url = "http://127.0.0.1:9".to_owned()).await;
    let answer = h.get(&format!("/v1/messages/{KNOWN}")).await;
    assert_eq!((answer.status, answer.code()), (503, "unavailable"));
    let id = h.send(GOOD).await.text("message_id");
    assert_eq!(
        h.get(&format!("/v1/messages/{id}")).await.text("status"),
        "accepted"
    );
}
