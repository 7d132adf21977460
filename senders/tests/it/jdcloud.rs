//! JD Cloud's API over HTTP: what goes out, signed, and what becomes of the answers.

use std::{sync::atomic::Ordering, time::Duration};

use jixinda_schemas::{event::AttemptResult, template::Content, vendor::ReceiptStatus};
use jixinda_senders::{
    vendor::{Batch, Item, Place},
    vendors::jdcloud::sign::{self, Generation},
};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, body_json, path_regex},
};

use crate::support::{SECRET, call_of, ticking, vendor_of};

fn item(number: &str) -> Item {
    Item {
        recipient: number.parse().unwrap(),
        sign_name: "qm_9a8b7c".to_owned(),
        content: Content::Positional {
            code: "st_8f7e5d".to_owned(),
            params: vec!["123456".to_owned()],
        },
        text: "【集信达】您的验证码123456".to_owned(),
    }
}

fn two() -> Vec<Item> {
    vec![item("+8613800138000"), item("+8613900139000")]
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers[name].to_str().unwrap()
}

/// As the vendor would: anew, over what came in, of the headers that are said to be signed.
fn is_signed(request: &Request, generation: Generation, region: &str) -> bool {
    let authorization = header(request, "authorization");
    let names = authorization.split_once("SignedHeaders=").unwrap().1;
    let names = names.split_once(',').unwrap().0;
    assert_eq!(names, "content-type;host;x-jdcloud-date;x-jdcloud-nonce");
    let headers: Vec<(&str, &str)> = names.split(';').map(|n| (n, header(request, n))).collect();
    let signed = sign::sign(
        &sign::Request {
            generation,
            method: request.method.as_str(),
            path: request.url.path(),
            query: "",
            headers: &headers,
            body: &request.body,
            date: header(request, "x-jdcloud-date"),
            region,
            service: "sms",
        },
        "testAccessKeyId",
        SECRET,
    );
    let hash = header(request, "x-jdcloud-content-sha256");
    let algorithm = generation.algorithm();
    signed.authorization == authorization
        && hash == sign::body_hash(&request.body)
        && header(request, algorithm) == algorithm
}

fn taken() -> Value {
    json!({"requestId": "r", "result": {"status": true, "code": 200, "message": "成功", "data": {"sequenceNumber": "881"}}})
}

/// A server that takes every call, and reports what `reports` says.
async fn server(reports: Value) -> MockServer {
    let server = MockServer::start().await;
    let answer = |body| ResponseTemplate::new(200).set_body_json(body);
    let reports =
        json!({"requestId": "r", "result": {"status": true, "code": 200, "data": reports}});
    for (action, body) in [("batchSend", taken()), ("statusReport", reports)] {
        let mock = Mock::given(path_regex(format!("/{action}$")));
        mock.respond_with(answer(body)).mount(&server).await;
    }
    server
}

#[tokio::test]
async fn one_text_goes_to_two_numbers_in_one_signed_call() {
    for (settings, generation, region) in [
        (&[][..], Generation::Two, "cn-north-1"),
        (
            &[("signature", "3"), ("region", "cn-east-2")][..],
            Generation::Three,
            "cn-east-2",
        ),
    ] {
        let server = server(json!([])).await;
        let endpoint = format!("{}/gateway", server.uri());
        let jdcloud = vendor_of("jdcloud", &endpoint, settings);
        assert_eq!(jdcloud.limits().max_items, 100);
        let vendor_id = "881".to_owned();
        let accepted = AttemptResult::Accepted { vendor_id };
        let results = jdcloud.send(&call_of(two())).await;
        assert_eq!(results, [accepted.clone(), accepted]);
        let request = &server.received_requests().await.unwrap()[0];
        let path = format!("/gateway/v1/regions/{region}/batchSend");
        assert_eq!(request.url.path(), path);
        assert!(is_signed(request, generation, region));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["phoneList"], json!(["13800138000", "13900139000"]));
    }
}

#[tokio::test]
async fn each_process_asks_about_its_own_calls_until_all_is_final() {
    let report = |number: &str, code: &str, at: Option<&str>| {
        json!({"phoneNum": number, "sequenceNumber": "881",
        "reportTime": at, "status": 1, "code": code, "splitNum": 1})
    };
    let at = Some("2025-01-02 11:04:09");
    let server = server(json!([
        report("13800138000", "DELIVRD", at),
        report("13900139000", "", None)
    ]))
    .await;
    let (jdcloud, clock) = ticking("jdcloud", &server.uri(), &[]);
    let pull = jdcloud.pull().unwrap();
    assert_eq!(pull.place(), Place::EveryProcess);
    let fetch = || pull.fetch(Duration::from_secs(5));
    jdcloud.send(&call_of(two())).await;

    // Nothing is due yet: nobody is asked.
    assert!(fetch().await.unwrap().batch.is_empty());
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    clock.fetch_add(5_000, Ordering::Relaxed);
    let fetched = fetch().await.unwrap();
    let receipts = &fetched.batch.receipts;
    assert_eq!(receipts[0].status, ReceiptStatus::Delivered);
    assert_eq!(receipts[1].status, ReceiptStatus::Pending);
    assert_eq!(receipts[1].vendor_id.as_deref(), Some("881"));
    assert!(!fetched.more);

    clock.fetch_add(60_000, Ordering::Relaxed);
    drop(fetch().await.unwrap());
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 3);
    assert!(is_signed(&requests[2], Generation::Two, "cn-north-1"));
    let asked: Value = serde_json::from_slice(&requests[2].body).unwrap();
    assert_eq!(asked["sequenceNumber"], "881");
    assert_eq!(asked["phoneList"], json!(["13900139000"]));
}

#[tokio::test]
async fn a_refused_call_is_refused_for_all_and_not_asked_about() {
    let server = MockServer::start().await;
    let refusal = json!({"requestId": "r", "result": {"code": 11_572_106, "message": "批量发送短信接口, 套餐包余量不足",
        "status": false, "data": null}});
    let answer = ResponseTemplate::new(200).set_body_json(refusal);
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let (jdcloud, clock) = ticking("jdcloud", &server.uri(), &[]);
    for result in jdcloud.send(&call_of(two())).await {
        assert!(
            matches!(&result, AttemptResult::Rejected { vendor_code, .. } if vendor_code == "11572106"),
            "{result:?}"
        );
    }
    clock.fetch_add(60_000, Ordering::Relaxed);
    let fetched = jdcloud.pull().unwrap().fetch(Duration::from_secs(5)).await;
    assert!(fetched.unwrap().batch.is_empty());
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn messages_from_handsets_are_listed_by_day_and_told_once() {
    let reply = |text: &str| {
        json!({"appId": "app-1", "signId": "qm_1", "phoneNum": "13800138000",
            "dataTime": "2025-01-02 11:04:05", "content": text})
    };
    let answer = |data: Value| {
        let body = json!({"requestId": "r", "result": {"status": true, "code": 200, "data": data}});
        ResponseTemplate::new(200).set_body_json(body)
    };
    let server = MockServer::start().await;
    let of_day = |day: &str| {
        let asked = json!({"regionId": "cn-north-1", "appId": "app-1", "dataDate": day});
        Mock::given(path_regex("/reply$")).and(body_json(asked))
    };
    // The first look at yesterday fails; today is looked at all the same.
    let failure = ResponseTemplate::new(500)
        .set_body_json(json!({"error": {"code": 500, "status": "INTERNAL"}}));
    let first = of_day("2025-01-01").respond_with(failure).up_to_n_times(1);
    first.mount(&server).await;
    let yesterday = of_day("2025-01-01").respond_with(answer(json!([reply("late")])));
    yesterday.mount(&server).await;
    let today = of_day("2025-01-02").respond_with(answer(json!([reply("退订"), 7])));
    today.mount(&server).await;

    let (jdcloud, _) = ticking("jdcloud", &server.uri(), &[("app_id", "app-1")]);
    let pull = jdcloud.pull_messages().unwrap();
    assert_eq!(pull.place(), Place::OneProcess);
    let fetch = async || pull.fetch(Duration::from_secs(5)).await;
    let batch = fetch().await.unwrap().batch;
    let texts = |batch: &Batch| {
        batch
            .inbound
            .iter()
            .map(|m| m.text.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (texts(&batch), batch.unreadable.len()),
        (vec!["退订".to_owned()], 1)
    );
    let batch = fetch().await.unwrap().batch;
    assert_eq!(
        (texts(&batch), batch.unreadable.len()),
        (vec!["late".to_owned()], 0)
    );
    assert!(fetch().await.unwrap().batch.is_empty());
    let requests = server.received_requests().await.unwrap();
    assert!(is_signed(&requests[0], Generation::Two, "cn-north-1"));

    let without = vendor_of("jdcloud", &server.uri(), &[]);
    assert!(without.pull_messages().is_none());
    let nobody = MockServer::start().await;
    let (jdcloud, _) = ticking("jdcloud", &nobody.uri(), &[("app_id", "app-1")]);
    let fetched = jdcloud
        .pull_messages()
        .unwrap()
        .fetch(Duration::from_secs(5))
        .await;
    assert!(fetched.is_err());
}
