//! Tencent's API over HTTP: what goes out, signed, and what becomes of the answers.

use std::{sync::Arc, time::Duration};

use jixinda_schemas::{CallId, event::AttemptResult, template::Content, vendor::ReceiptStatus};
use jixinda_senders::{
    vendor::{Call, Item, SmsVendor},
    vendors::tencent::sign,
};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::support::{SECRET, channel_of, registry};

fn vendor(url: &str) -> Arc<dyn SmsVendor> {
    let registry = registry(channel_of("tencent", url));
    Arc::clone(&registry.get("tencent-a").unwrap().vendor)
}

fn item(number: &str, code: &str) -> Item {
    Item {
        recipient: number.parse().unwrap(),
        sign_name: "测试签名".to_owned(),
        content: Content::Positional {
            code: "449739".to_owned(),
            params: vec![code.to_owned()],
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

fn header(request: &Request, name: &str) -> String {
    request.headers[name].to_str().unwrap().to_owned()
}

/// As the vendor would: anew, over what came in.
fn is_signed(request: &Request) -> bool {
    let (content_type, host) = (header(request, "content-type"), header(request, "host"));
    let signed = sign::sign(
        &sign::Request {
            service: "sms",
            headers: &[("content-type", &content_type), ("host", &host)],
            body: &request.body,
            timestamp: header(request, "x-tc-timestamp").parse().unwrap(),
        },
        "AKIDtestSecretId",
        SECRET,
    );
    signed.authorization == header(request, "authorization")
}

#[tokio::test]
async fn one_text_goes_to_two_numbers_in_one_signed_call() {
    let server = answering(json!({"Response": {"RequestId": "r", "SendStatusSet": [
        {"SerialNo": "5000:1", "PhoneNumber": "+8613800138000", "Fee": 1, "Code": "Ok", "Message": "send success"},
        {"SerialNo": "", "PhoneNumber": "+8613900139000", "Fee": 0,
         "Code": "LimitExceeded.PhoneNumberDailyLimit", "Message": "too many"},
    ]}}))
    .await;
    let items = vec![
        item("+8613800138000", "123456"),
        item("+8613900139000", "123456"),
    ];
    let results = vendor(&server.uri()).send(&call(items)).await;
    let vendor_id = "5000:1".to_owned();
    assert_eq!(results[0], AttemptResult::Accepted { vendor_id });
    assert!(
        matches!(results[1], AttemptResult::Rejected { .. }),
        "{results:?}"
    );

    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert!(is_signed(request));
    for (name, value) in [
        ("x-tc-action", "SendSms"),
        ("x-tc-version", "2021-01-11"),
        ("x-tc-region", "ap-guangzhou"),
        ("x-tc-timestamp", "1735787045"),
    ] {
        assert_eq!(header(request, name), value);
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body["PhoneNumberSet"],
        json!(["+8613800138000", "+8613900139000"])
    );
    assert_eq!(body["SmsSdkAppId"], "1400006666");
}

#[tokio::test]
async fn items_of_different_texts_are_refused_without_a_call() {
    let server = answering(json!({})).await;
    let items = vec![item("+8613800138000", "1"), item("+8613900139000", "2")];
    let results = vendor(&server.uri()).send(&call(items)).await;
    for result in results {
        let AttemptResult::Rejected { vendor_code, .. } = result else {
            panic!("{result:?}");
        };
        assert_eq!(vendor_code, "batch_mixed");
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn reports_are_fetched_and_an_error_is_none() {
    let reports = json!({"Response": {"RequestId": "r", "PullSmsSendStatusSet": [{"UserReceiveTime": 1735787049,
        "CountryCode": "86", "SubscriberNumber": "13800138000", "PhoneNumber": "+8613800138000", "SerialNo": "5000:1",
        "ReportStatus": "SUCCESS", "Description": "DELIVRD"}]}});
    let server = answering(reports).await;
    let tencent = vendor(&server.uri());
    let fetched = tencent
        .pull()
        .unwrap()
        .fetch(Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(fetched.batch.receipts[0].status, ReceiptStatus::Delivered);
    assert!(!fetched.more);
    let requests = server.received_requests().await.unwrap();
    assert!(is_signed(&requests[0]));
    assert_eq!(header(&requests[0], "x-tc-action"), "PullSmsSendStatus");

    let refused =
        json!({"Response": {"Error": {"Code": "AuthFailure", "Message": "x"}, "RequestId": "r"}});
    let server = answering(refused).await;
    let tencent = vendor(&server.uri());
    let error = tencent
        .pull()
        .unwrap()
        .fetch(Duration::from_secs(5))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "AuthFailure");
}
