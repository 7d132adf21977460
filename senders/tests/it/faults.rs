//! What is definite and what is unknown: a call that may have been taken is never reported as refused, and the HTTP
//! library never sends a request twice.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use jixinda_schemas::vendor::{Blame, Disposition};
use jixinda_senders::vendor::ItemResult;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::support::{
    Act, RawServer, SECRET, SECURITY_TOKEN, accepted, aliyun, call, channel, item, key, registry,
    send, unknown,
};

fn refused(result: &ItemResult) -> (Disposition, Blame, &str) {
    match result {
        ItemResult::Rejected {
            disposition,
            blame,
            vendor_code,
            ..
        } => (*disposition, *blame, vendor_code),
        other => panic!("not a refusal: {other:?}"),
    }
}

async fn answered(template: ResponseTemplate) -> ItemResult {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(template)
        .expect(1)
        .mount(&server)
        .await;
    send(&aliyun(&server.uri())).await
}

#[tokio::test]
async fn a_refused_connection_is_a_definite_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let result = send(&aliyun(&url)).await;
    assert_eq!(
        refused(&result),
        (Disposition::RetryOther, Blame::Channel, "connect")
    );
}

#[tokio::test]
async fn a_timeout_after_the_bytes_left_is_unknown() {
    let server = RawServer::start(&[Act::Silent]);
    let vendor = aliyun(&server.url);
    let start = Instant::now();
    let results = vendor.send(&call(Duration::from_millis(300))).await;
    assert_eq!(results, [unknown("timeout")]);
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_cut_after_the_first_byte_is_unknown_and_not_repeated() {
    for (act, detail) in [
        (Act::Reset, "reset"),
        (Act::Close, "reset"),
        (Act::CutAnswer, "reset"),
        (Act::Noise, "unparsable"),
        (Act::Endless, "answer_too_large"),
    ] {
        let server = RawServer::start(&[act, Act::Accept]);
        assert_eq!(send(&aliyun(&server.url)).await, unknown(detail), "{act:?}");
        assert_eq!(server.requests().len(), 1, "{act:?}");
    }
}

#[tokio::test]
async fn a_request_written_to_a_reused_connection_is_not_repeated_when_that_is_cut() {
    for act in [Act::Close, Act::Reset] {
        let server = RawServer::start(&[Act::Accept, act, Act::Accept]);
        let vendor = aliyun(&server.url);
        assert_eq!(send(&vendor).await, accepted());
        assert_eq!(send(&vendor).await, unknown("reset"), "{act:?}");
        assert_eq!(server.requests().len(), 2, "{act:?}");
    }
}

#[tokio::test]
async fn a_connection_that_the_vendor_closed_between_calls_costs_no_message_twice() {
    let acts = [Act::AcceptAndClose; 20];
    let server = RawServer::start(&acts);
    let vendor = aliyun(&server.url);
    // Without a pause the close may be seen before, while, or after the request is handed over: each call must end
    // accepted or unknown, and the server must have seen each at most once.
    let mut taken = 0;
    for _ in 0..10 {
        match send(&vendor).await {
            ItemResult::Accepted { .. } => taken += 1,
            ItemResult::Unknown { detail } => assert_eq!(detail, "reset"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.requests().len(), taken);
    assert!(taken > 0);
}

#[tokio::test]
async fn answers_that_prove_nothing_are_unknown() {
    const CODE: &str = r#"{"Code":"isp.SYSTEM_ERROR","Message":"m"}"#;
    for (status, body, detail) in [
        (502, CODE, "http_502"),
        (504, CODE, "http_504"),
        (500, "oops", "http_500"),
        (503, "", "http_503"),
        (200, "<html>ok</html>", "unparsable"),
        (200, r#"{"Code":"OK"}"#, "ok_without_id"),
    ] {
        let template = ResponseTemplate::new(status).set_body_string(body);
        assert_eq!(answered(template).await, unknown(detail), "{status} {body}");
    }
}

#[tokio::test]
async fn a_redirect_is_unknown_and_not_followed() {
    // `expect(1)` in `answered` fails the test if the client comes back.
    let template = ResponseTemplate::new(302).insert_header("location", "/elsewhere");
    assert_eq!(answered(template).await, unknown("http_302"));
}

#[tokio::test]
async fn a_documented_code_is_definite_also_with_status_500() {
    let template = ResponseTemplate::new(500)
        .set_body_string(r#"{"Code":"isp.SYSTEM_ERROR","Message":"系统错误","RequestId":"r"}"#);
    assert_eq!(
        refused(&answered(template).await),
        (Disposition::RetrySame, Blame::Channel, "isp.SYSTEM_ERROR")
    );
}

#[tokio::test]
async fn an_undocumented_code_in_the_refusal_form_is_definite_and_flagged() {
    let template = ResponseTemplate::new(200)
        .set_body_string(r#"{"Code":"isv.NEVER_SEEN","Message":"no","RequestId":"r"}"#);
    let result = answered(template).await;
    assert_eq!(
        refused(&result),
        (Disposition::RetryOther, Blame::Channel, "isv.NEVER_SEEN")
    );
    assert!(format!("{result:?}").contains("undocumented code: no"));
}

#[tokio::test]
async fn what_cannot_be_put_on_the_wire_is_refused_without_a_call() {
    let vendor = aliyun("http://127.0.0.1:9");
    let mut one = call(Duration::from_secs(1));
    one.items[0].recipient = "+16505550100".parse().unwrap();
    let results = vendor.send(&one).await;
    assert_eq!(refused(&results[0]).2, "ambiguous_number");
    one.items.push(item());
    let results = vendor.send(&one).await;
    assert_eq!(results.len(), 2);
    for result in &results {
        assert_eq!(refused(result).2, "batch_mixed");
    }
    let mut none = call(Duration::from_secs(1));
    none.items.clear();
    assert!(vendor.send(&none).await.is_empty());
}

#[tokio::test]
async fn secrets_show_nowhere_but_the_key_id_and_token_in_their_headers() {
    let server = RawServer::start(&[Act::Accept]);
    let mut channel = channel(&format!("{}/gateway", server.url));
    channel.secrets.insert(
        "security_token".to_owned(),
        key().seal("channel/aliyun-a/security_token", SECURITY_TOKEN),
    );
    let registry = registry(channel);
    let ready = registry.get("aliyun-a").unwrap();
    assert_eq!(send(&ready.vendor).await, accepted());
    let shown = format!("{registry:?} {:?}", ready.vendor);
    for secret in [
        SECRET,
        SECURITY_TOKEN,
        "testAccessKeyId",
        crate::support::TOKEN,
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    let request = server.requests().remove(0);
    assert!(!request.contains(SECRET));
    assert!(request.starts_with("POST /gateway?OutId="), "{request}");
    let lower = request.to_lowercase();
    for header in [
        "\r\nhost: ",
        "\r\ncontent-length: 0\r\n",
        "\r\nx-acs-security-token: ",
    ] {
        assert_eq!(lower.matches(header).count(), 1, "{header:?} in {request}");
    }
}
