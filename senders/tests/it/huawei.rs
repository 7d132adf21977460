//! Huawei's API over HTTP: what goes out, signed, what becomes of the answers, and signed pushes.

use std::{sync::Arc, time::Duration};

use jixinda_schemas::{
    CallId, Timestamp, event::AttemptResult, template::Content, vendor::ReceiptStatus,
};
use jixinda_senders::{
    vendor::{Call, Item, Push, PushError, SmsVendor},
    vendors::huawei::sign,
};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::support::{SECRET, TOKEN, channel_of, registry};

const NOW: Timestamp = Timestamp(1_735_787_045_000);

fn vendor(url: &str, settings: &[(&str, &str)]) -> Arc<dyn SmsVendor> {
    let mut channel = channel_of("huawei", url);
    let settings = settings.iter().map(|(n, v)| ((*n).into(), (*v).into()));
    channel.settings.extend(settings);
    let registry = registry(channel);
    let problems: Vec<_> = registry.unusable().collect();
    assert!(problems.is_empty(), "{problems:?}");
    Arc::clone(&registry.get("huawei-a").unwrap().vendor)
}

fn item(number: &str, value: &str) -> Item {
    Item {
        recipient: number.parse().unwrap(),
        sign_name: "测试签名".to_owned(),
        content: Content::Positional {
            code: "8ff55eac1d0b478ab3c06c3c6a492300".to_owned(),
            params: vec![value.to_owned()],
        },
        text: String::new(),
    }
}

fn call(items: Vec<Item>) -> Call {
    Call {
        call_id: CallId::from_random(1),
        items,
        timeout: Duration::from_secs(5),
    }
}

async fn answering(body: Value) -> MockServer {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(body);
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

fn two_accepted() -> Value {
    json!({"code": "000000", "description": "Success", "result": [
        {"originTo": "+8613900139000", "smsMsgId": "b", "status": "000000", "total": 1},
        {"originTo": "+8613800138000", "smsMsgId": "a", "status": "000000", "total": 1},
    ]})
}

/// As the vendor would: anew, over what came in.
fn is_signed(request: &Request) -> bool {
    let header = |name: &str| request.headers[name].to_str().unwrap();
    let said = sign::Authorization::parse(header("authorization")).unwrap();
    let names = said.signed_headers.split(';');
    let headers: Vec<(&str, &str)> = names.map(|name| (name, header(name))).collect();
    let signed = sign::Request {
        method: "POST",
        path: request.url.path(),
        query: &[],
        headers: &headers,
        payload: &sign::payload(&headers, &request.body),
    };
    said.access == "testAppKey" && sign::verify(&signed, SECRET, said.signature)
}

#[tokio::test]
async fn one_text_goes_to_two_numbers_in_one_signed_form() {
    let server = answering(two_accepted()).await;
    let items = vec![item("+8613800138000", "1"), item("+8613900139000", "1")];
    let call = call(items);
    let results = vendor(&server.uri(), &[]).send(&call).await;
    let accepted = ["a", "b"].map(|id| AttemptResult::Accepted {
        vendor_id: id.to_owned(),
    });
    assert_eq!(results, accepted);

    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!(request.url.path(), "/sms/batchSendSms/v1");
    assert!(is_signed(request));
    assert_eq!(request.headers["x-sdk-date"], "20250102T030405Z");
    assert!(request.headers.get("x-wsse").is_none());
    let form = Value::from_iter(form_urlencoded::parse(&request.body));
    assert_eq!(form["to"], "+8613800138000,+8613900139000");
    assert_eq!(form["templateParas"], r#"["1"]"#);
    assert_eq!(form["extend"], call.call_id.to_string());
    let callback = format!("https://sms.example.com/receipts/huawei-a/{TOKEN}");
    assert_eq!(form["statusCallback"], callback);
}

#[tokio::test]
async fn different_texts_go_in_one_call_of_the_other_api() {
    let server = answering(two_accepted()).await;
    let items = vec![item("+8613800138000", "1"), item("+8613900139000", "2")];
    let results = vendor(&server.uri(), &[]).send(&call(items)).await;
    assert!(matches!(&results[0], AttemptResult::Accepted { vendor_id } if vendor_id == "a"));
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.path(), "/sms/batchSendDiffSms/v1");
    assert!(is_signed(&requests[0]));
    let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(body["smsContent"][1]["to"], json!(["+8613900139000"]));
}

#[tokio::test]
async fn an_application_without_signatures_is_called_with_x_wsse() {
    let server = answering(json!({"code": "E000102", "description": "Invalid app_key."})).await;
    let vendor = vendor(&server.uri(), &[("auth", "wsse")]);
    let results = vendor.send(&call(vec![item("+8613800138000", "1")])).await;
    assert!(matches!(&results[..], [AttemptResult::Rejected { .. }]));
    let requests = server.received_requests().await.unwrap();
    let headers = &requests[0].headers;
    assert_eq!(headers["authorization"], sign::WSSE_AUTHORIZATION);
    let wsse = headers["x-wsse"].to_str().unwrap();
    let nonce = wsse.split("Nonce=\"").nth(1).unwrap().split('"').next();
    let wanted = sign::wsse("testAppKey", SECRET, nonce.unwrap(), "2025-01-02T03:04:05Z");
    assert_eq!(wsse, wanted);
    assert!(!format!("{vendor:?}").contains(SECRET));
}

#[tokio::test]
async fn what_is_over_500_numbers_is_given_back() {
    let mut result = Vec::new();
    let mut items = Vec::new();
    for n in 0..501 {
        let number = format!("+861380013{n:04}");
        result.push(json!({"originTo": number, "createTime": "2018-05-25T16:34:34Z", "from": "1069031221128",
            "smsMsgId": format!("d6e3cdd0-522b-4692-8304-a07553cdf591_{n}"), "status": "000000", "countryId": "CN", "total": 1}));
        items.push(item(&number, "1"));
    }
    let server =
        answering(json!({"code": "000000", "description": "Success", "result": result})).await;
    let results = vendor(&server.uri(), &[]).send(&call(items)).await;
    let accepted = |r: &&AttemptResult| matches!(r, AttemptResult::Accepted { .. });
    assert_eq!(
        (results.len(), results.iter().filter(accepted).count()),
        (501, 500)
    );
    let AttemptResult::Rejected { vendor_code, .. } = &results[500] else {
        panic!("{:?}", results[500]);
    };
    assert_eq!(vendor_code, "batch_too_large");
}

const BODY: &str = "smsMsgId=a&status=DELIVRD&extend=100000000000001&to=%2B8613800138000";
const TARGET: &str = "/receipts/huawei-a/token";

/// A push whose signature is over `body`, or over no body, made at `at`.
fn signed(host: &str, at: Timestamp, body: Option<&str>) -> HeaderMap {
    let date = sign::date(at);
    let headers = [("host", host), ("x-sdk-date", &*date)];
    let payload = match body {
        Some(body) => sign::payload(&[], body.as_bytes()),
        None => sign::UNSIGNED_PAYLOAD.to_owned(),
    };
    let request = sign::Request {
        method: "POST",
        path: TARGET,
        query: &[],
        headers: &headers,
        payload: &payload,
    };
    let authorization = sign::sign(&request, "testAppKey", SECRET).authorization;
    let mut map = HeaderMap::new();
    for (name, value) in [
        ("host", "10.0.0.7:8772"),
        ("x-sdk-date", &date),
        ("authorization", &authorization),
    ] {
        map.insert(name, value.parse().unwrap());
    }
    map
}

fn push(headers: &HeaderMap, target: &str) -> Result<ReceiptStatus, PushError> {
    let huawei = vendor("https://smsapi.example.com", &[("push_auth", "true")]);
    let batch = huawei.read_push(&Push {
        method: "POST",
        target,
        query: None,
        headers,
        body: BODY.as_bytes(),
        now: NOW,
    })?;
    Ok(batch.receipts[0].status)
}

#[tokio::test]
async fn only_a_signed_push_is_taken_where_pushes_are_signed() {
    let minutes = |n: i64| Timestamp(NOW.millis() + n * 60_000);
    for headers in [
        signed("sms.example.com", NOW, None),
        signed("sms.example.com", minutes(-14), Some(BODY)),
        signed("10.0.0.7:8772", minutes(14), Some(BODY)),
    ] {
        assert_eq!(push(&headers, TARGET).unwrap(), ReceiptStatus::Delivered);
    }
    let mut unsigned = signed("sms.example.com", NOW, None);
    unsigned.remove("authorization");
    let mut moved = signed("sms.example.com", NOW, None);
    moved.insert("x-sdk-date", sign::date(minutes(1)).parse().unwrap());
    for (headers, target) in [
        (HeaderMap::new(), TARGET),
        (unsigned, TARGET),
        (moved, TARGET),
        (signed("evil.example.com", NOW, None), TARGET),
        (signed("sms.example.com", NOW, Some("status=X")), TARGET),
        (signed("sms.example.com", minutes(-16), None), TARGET),
        (
            signed("sms.example.com", NOW, None),
            "/receipts/huawei-a/other",
        ),
    ] {
        let read = push(&headers, target);
        assert!(
            matches!(read, Err(PushError::NotAuthentic(_))),
            "{headers:?} {read:?}"
        );
    }
}
