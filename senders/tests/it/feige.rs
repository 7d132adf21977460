//! Feige's APIs over HTTP: what goes out, and what becomes of the answers.

use std::time::Duration;

use jixinda_schemas::{event::AttemptResult, template::Content, vendor::ReceiptStatus};
use jixinda_senders::vendor::Item;
use serde_json::{Value, json};

use crate::support::{SECRET, answering, call_of, form, push, vendor_of};

fn item(number: &str) -> Item {
    Item {
        recipient: number.parse().unwrap(),
        sign_name: "100001".to_owned(),
        content: Content::Separated {
            code: "200001".to_owned(),
            params: "张三||123456".to_owned(),
        },
        text: String::new(),
    }
}

#[tokio::test]
async fn the_new_api_is_called_with_json_and_gives_one_id() {
    let server = answering(r#"{"code":0,"msg":"ok","msg_no":"2021","count":2}"#).await;
    let feige = vendor_of("feige", &server.uri(), &[("max_numbers", "2")]);
    let call = call_of(vec![item("+8613800138000"), item("+8613900139000")]);
    let vendor_id = "2021".to_owned();
    let accepted = AttemptResult::Accepted { vendor_id };
    assert_eq!(feige.send(&call).await, [accepted.clone(), accepted]);

    let request = &server.received_requests().await.unwrap()[0];
    assert_eq!(request.url.path(), "/sms/template");
    assert_eq!(request.headers["content-type"], "application/json");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["mobile"], "13800138000,13900139000");
    assert_eq!(
        (&body["apikey"], &body["secret"]),
        (&json!("N0000000000"), &json!(SECRET))
    );
}

#[tokio::test]
async fn the_old_api_is_called_with_a_form() {
    let answer = r#"{"SendId":"2016","InvalidCount":0,"SuccessCount":1,"BlackCount":0,"Code":0}"#;
    let server = answering(answer).await;
    let endpoint = format!("{}/gateway/", server.uri());
    let feige = vendor_of("feige", &endpoint, &[("api", "old")]);
    let results = feige.send(&call_of(vec![item("+8613800138000")])).await;
    let vendor_id = "2016".to_owned();
    assert_eq!(results, [AttemptResult::Accepted { vendor_id }]);
    let request = &server.received_requests().await.unwrap()[0];
    assert_eq!(request.url.path(), "/gateway/SmsService/Template");
    let wanted = [
        ("Account", "feige-user"),
        ("Pwd", SECRET),
        ("Content", "张三||123456"),
        ("Mobile", "13800138000"),
        ("SignId", "100001"),
        ("TemplateId", "200001"),
    ];
    assert_eq!(form(request), wanted.map(|(n, v)| (n.into(), v.into())));
}

#[tokio::test]
async fn without_a_setting_one_number_goes_in_a_call() {
    let server = answering("{}").await;
    let feige = vendor_of("feige", &server.uri(), &[]);
    assert_eq!(feige.limits().max_items, 1);
    let call = call_of(vec![item("+8613800138000"), item("+8613900139000")]);
    for result in feige.send(&call).await {
        let AttemptResult::Rejected { vendor_code, .. } = result else {
            panic!("{result:?}");
        };
        assert_eq!(vendor_code, "batch_mixed");
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn reports_are_fetched_and_pushed() {
    let reports = r#"{"code":0,"msg":"ok","data":[{"msg_no":"2021","mobile":"13800138000","status":"DELIVRD"}]}"#;
    let server = answering(reports).await;
    let feige = vendor_of("feige", &server.uri(), &[]);
    let pull = feige.pull().unwrap();
    let fetched = pull.fetch(Duration::from_secs(5)).await.unwrap();
    assert_eq!(fetched.batch.receipts[0].status, ReceiptStatus::Delivered);
    assert!(!fetched.more && pull.rest() >= Duration::from_secs(5));
    let request = &server.received_requests().await.unwrap()[0];
    assert_eq!(request.url.path(), "/sms/report");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["count"], "200");

    let pushed = feige.read_push(&push(reports.as_bytes())).unwrap();
    assert_eq!(pushed, fetched.batch);
    let ack = feige.acknowledge(&push(b""), true);
    assert_eq!(
        (ack.status, &*ack.body),
        (200, r#"{"code":0,"msg":"success"}"#)
    );

    let server = answering(r#"{"Rep":[],"Code":0,"Message":"OK"}"#).await;
    let settings = [("api", "old"), ("report_path", "Report")];
    let old = vendor_of("feige", &server.uri(), &settings);
    let fetched = old.pull().unwrap().fetch(Duration::from_secs(5)).await;
    assert!(fetched.unwrap().batch.is_empty());
    let request = &server.received_requests().await.unwrap()[0];
    assert_eq!(request.url.path(), "/ReportMo/Report");
    assert!(form(request).contains(&("Count".to_owned(), "20".to_owned())));
}
