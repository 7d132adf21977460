//! Aliyun beside SendSms under ACS3, which the cassettes cover: batches, the older signature, questions.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use jixinda_schemas::{event::AttemptResult, template::Content, vendor::ReceiptStatus};
use jixinda_senders::{
    vendor::{Item, Place},
    vendors::aliyun::{rpc, sign},
};
use serde_json::json;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::header};

use crate::support::{SECRET, accepted, answering, call_of, form, item, ticking, vendor_of};

const TAKEN: &str =
    r#"{"Code":"OK","Message":"OK","BizId":"900619746936498440^0","RequestId":"r"}"#;

fn to(number: &str, code: &str) -> Item {
    Item {
        recipient: number.parse().unwrap(),
        content: Content::Named {
            code: "SMS_123456789".to_owned(),
            params: [("code".to_owned(), code.to_owned())].into(),
        },
        ..item()
    }
}

fn two() -> Vec<Item> {
    vec![
        to("+8613800138000", "1111"),
        to("+8613900139000", "a b+c&d=*~"),
    ]
}

fn query(request: &Request) -> BTreeMap<String, String> {
    request.url.query_pairs().into_owned().collect()
}

/// As the vendor would: anew, over what came in.
fn is_signed_by_rpc(request: &Request) -> bool {
    let mut params = query(request);
    let signature = params.remove("Signature").unwrap();
    params.extend(form(request));
    let params: Vec<(&str, &str)> = params.iter().map(|(n, v)| (&**n, &**v)).collect();
    rpc::sign("POST", &params, SECRET).signature == signature
}

fn is_signed_by_acs3(request: &Request) -> bool {
    let value = |name: &str| request.headers[name].to_str().unwrap().to_owned();
    let authorization = value("authorization");
    let names = authorization.split_once("SignedHeaders=").unwrap().1;
    let names = names.split_once(',').unwrap().0;
    let query = query(request);
    let query: Vec<(&str, &str)> = query.iter().map(|(n, v)| (&**n, &**v)).collect();
    let signed = sign::sign(
        &sign::Request {
            method: "POST",
            path: "/",
            query: &query,
            headers: &names.split(';').map(|n| (n, value(n))).collect(),
            body: &request.body,
        },
        "testAccessKeyId",
        SECRET,
    );
    assert!(names.starts_with("content-type;host;x-acs-action;x-acs-content-sha256;"));
    signed.authorization == authorization
}

#[tokio::test]
async fn different_values_of_one_template_go_in_one_call_under_either_signature() {
    for signature in ["acs3", "rpc1"] {
        let server = answering(TAKEN).await;
        let settings = [("max_numbers", "100"), ("signature", signature)];
        let aliyun = vendor_of("aliyun", &server.uri(), &settings);
        assert_eq!(aliyun.send(&call_of(two())).await, [accepted(), accepted()]);
        let request = &server.received_requests().await.unwrap()[0];
        let sent = form(request);
        let wanted = [
            ("PhoneNumberJson", r#"["13800138000","13900139000"]"#),
            ("SignNameJson", r#"["测试签名","测试签名"]"#),
            (
                "TemplateParamJson",
                r#"[{"code":"1111"},{"code":"a b+c&d=*~"}]"#,
            ),
        ];
        assert_eq!(sent, wanted.map(|(n, v)| (n.into(), v.into())));
        let query = query(request);
        assert_eq!(query["TemplateCode"], "SMS_123456789");
        assert_eq!(query["OutId"].len(), 15);
        if signature == "rpc1" {
            assert_eq!(query["Action"], "SendBatchSms");
            assert!(is_signed_by_rpc(request));
        } else {
            assert_eq!(request.headers["x-acs-action"], "SendBatchSms");
            assert!(is_signed_by_acs3(request));
        }
    }
}

#[tokio::test]
async fn one_text_goes_to_many_numbers_by_send_sms() {
    let server = answering(TAKEN).await;
    let settings = [("max_numbers", "1000"), ("signature", "rpc1")];
    let aliyun = vendor_of("aliyun", &server.uri(), &settings);
    let number = |i| to(&format!("+861380013{i:04}"), "1111");
    let many: Vec<Item> = (0..200).map(number).collect();
    let results = aliyun.send(&call_of(many)).await;
    assert_eq!((results.len(), &results[199]), (200, &accepted()));
    let request = &server.received_requests().await.unwrap()[0];
    assert!(is_signed_by_rpc(request) && request.body.is_empty());
    assert_eq!(query(request)["PhoneNumbers"].split(',').count(), 200);

    // So many may differ in nothing.
    for result in aliyun.send(&call_of(two())).await {
        assert!(
            matches!(result, AttemptResult::Rejected { .. }),
            "{result:?}"
        );
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_one_number_is_not_said_of_both() {
    let refusal = r#"{"Code":"isv.BUSINESS_LIMIT_CONTROL","Message":"x","RequestId":"r"}"#;
    let server = answering(refusal).await;
    let aliyun = vendor_of("aliyun", &server.uri(), &[("max_numbers", "100")]);
    for (items, want) in [(two(), "retry_same"), (vec![item()], "permanent_recipient")] {
        for result in aliyun.send(&call_of(items)).await {
            let AttemptResult::Rejected { disposition, .. } = result else {
                panic!("{result:?}");
            };
            assert_eq!(json!(disposition), want);
        }
    }
}

#[tokio::test]
async fn each_number_is_asked_about_where_that_is_wanted() {
    let server = MockServer::start().await;
    let answer = |body: &str| ResponseTemplate::new(200).set_body_string(body);
    let report = r#"{"Code":"OK","TotalCount":1,"SmsSendDetailDTOs":{"SmsSendDetailDTO":[{"PhoneNum":"13800138000",
        "SendStatus":3,"ErrCode":"DELIVERED","ReceiveDate":"2025-01-02 11:04:09","OutId":"100000000000001"}]}}"#;
    for (action, body) in [("SendSms", TAKEN), ("QuerySendDetails", report)] {
        let mock = Mock::given(header("x-acs-action", action));
        mock.respond_with(answer(body)).mount(&server).await;
    }
    assert!(vendor_of("aliyun", &server.uri(), &[]).pull().is_none());
    let (aliyun, clock) = ticking("aliyun", &server.uri(), &[("query", "true")]);
    let pull = aliyun.pull().unwrap();
    assert_eq!(pull.place(), Place::EveryProcess);
    let fetch = || pull.fetch(Duration::from_secs(5));
    aliyun.send(&call_of(vec![item()])).await;

    assert!(fetch().await.unwrap().batch.is_empty(), "nothing is due");
    clock.fetch_add(5_000, Ordering::Relaxed);
    let receipt = fetch().await.unwrap().batch.receipts.remove(0);
    assert_eq!(receipt.status, ReceiptStatus::Delivered);
    assert_eq!(receipt.vendor_id.as_deref(), Some("900619746936498440^0"));
    clock.fetch_add(60_000, Ordering::Relaxed);
    assert!(fetch().await.unwrap().batch.is_empty(), "all is known");
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    let asked = query(&requests[1]);
    assert_eq!(asked["PhoneNumber"], "13800138000");
    assert_eq!(asked["SendDate"], "20250102");
}
