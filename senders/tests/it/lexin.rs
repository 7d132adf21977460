//! Lexin's interfaces over HTTP: what goes out, and what becomes of the answers.

use std::time::Duration;

use jixinda_schemas::{event::AttemptResult, template::Content, vendor::ReceiptStatus};
use jixinda_senders::{
    vendor::{Item, PushError},
    vendors::lexin::sign::md5,
};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use crate::support::{SECRET, answering, call_of, form, push, vendor_of};

const TAKEN: &str = r#"{"replyCode":1,"replyMsg":"发送成功!","succeedNum":1,"failedNum":0}"#;

fn item(content: Content) -> Item {
    Item {
        recipient: "+8613800138000".parse().unwrap(),
        sign_name: "集信达".to_owned(),
        content,
        text: String::new(),
    }
}

fn whole() -> Item {
    item(Content::FullText {
        text: "【集信达】您的验证码123456".to_owned(),
    })
}

/// The form that one call of `item` becomes, and its path.
async fn sent(settings: &[(&str, &str)], item: Item) -> (String, Vec<(String, String)>) {
    let server = answering(TAKEN).await;
    let call = call_of(vec![item]);
    let results = vendor_of("lexin", &server.uri(), settings)
        .send(&call)
        .await;
    let vendor_id = call.call_id.to_string();
    assert_eq!(results, [AttemptResult::Accepted { vendor_id }]);
    let request = server.received_requests().await.unwrap().remove(0);
    (request.url.path().to_owned(), form(&request))
}

fn value<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    &form.iter().find(|(n, _)| n == name).unwrap().1
}

#[tokio::test]
async fn the_password_goes_as_its_digest_and_the_call_has_our_id() {
    let (path, form) = sent(&[], whole()).await;
    assert_eq!(path, "/send");
    assert_eq!(value(&form, "accName"), "lexin-user");
    assert_eq!(value(&form, "accPwd"), md5(SECRET, true));
    assert_eq!(value(&form, "content"), "【集信达】您的验证码123456");
    assert_eq!(value(&form, "dataType"), "json");
    assert_eq!(value(&form, "msgId"), call_of(vec![]).call_id.to_string());

    let settings = [
        ("secret_is_md5", "true"),
        ("signature", "end"),
        ("ext_no", "7"),
    ];
    let (_, form) = sent(&settings, whole()).await;
    assert_eq!(value(&form, "accPwd"), SECRET);
    assert_eq!(value(&form, "content"), "您的验证码123456【集信达】");
    assert_eq!(value(&form, "extNo"), "7");
}

#[tokio::test]
async fn send2_hashes_once_more_with_the_time() {
    for (case, upper) in [("upper", true), ("lower", false)] {
        let (path, form) = sent(&[("api", "send2"), ("digest_case", case)], whole()).await;
        assert_eq!(path, "/send2");
        let seed = value(&form, "seed");
        assert_eq!(seed, "20250102110405");
        let wanted = md5(&format!("{}{seed}", md5(SECRET, upper)), upper);
        assert_eq!(value(&form, "accPwd"), wanted);
    }
}

#[tokio::test]
async fn v2_takes_a_template_with_values_for_each_number() {
    let template = item(Content::Separated {
        code: "T1".to_owned(),
        params: "123456##5".to_owned(),
    });
    let (path, form) = sent(&[("api", "v2"), ("echo_field", "bizId")], template.clone()).await;
    assert_eq!(path, "/sendByTemplate");
    assert_eq!(value(&form, "AppID"), "lexin-app");
    assert_eq!(value(&form, "AppSecret"), SECRET);
    let values: Value = serde_json::from_str(value(&form, "TemplateParam")).unwrap();
    assert_eq!(values, json!({"13800138000": "123456##5"}));
    assert_eq!(value(&form, "bizId").len(), 15);
    let (_, form) = sent(&[("api", "v2"), ("hash_app_secret", "true")], template).await;
    assert_eq!(value(&form, "AppSecret"), md5(SECRET, true));
}

#[tokio::test]
async fn a_refusal_in_words_and_a_count_that_does_not_say_which() {
    let server = answering(r#"{"replyCode":0,"replyMsg":"余额不足"}"#).await;
    let lexin = vendor_of("lexin", &server.uri(), &[]);
    assert_eq!(lexin.limits().max_items, 1);
    let results = lexin.send(&call_of(vec![whole()])).await;
    assert!(
        matches!(&results[0], AttemptResult::Rejected { vendor_code, .. } if vendor_code == "*余额*"),
        "{results:?}"
    );
    let server = answering(r#"{"replyCode":1,"succeedNum":1,"failedNum":1}"#).await;
    let lexin = vendor_of("lexin", &server.uri(), &[("max_numbers", "5000")]);
    let mut other = whole();
    other.recipient = "+8613900139000".parse().unwrap();
    for result in lexin.send(&call_of(vec![whole(), other])).await {
        assert!(
            matches!(result, AttemptResult::Unknown { .. }),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn reports_and_messages_are_fetched_and_no_push_is_read() {
    let server = MockServer::start().await;
    for (method, text) in [
        ("/qryReport2", "100000000000001,13800138000,1;"),
        (
            "/receiveSms2",
            "集信达$$$$13800138000$$$$TD$$$$2025-01-02 11:04:09",
        ),
    ] {
        let answer = ResponseTemplate::new(200).set_body_string(text);
        let mock = Mock::given(path(method)).respond_with(answer);
        mock.mount(&server).await;
    }
    let lexin = vendor_of("lexin", &server.uri(), &[("api", "send2")]);
    let fetched = lexin.pull().unwrap().fetch(Duration::from_secs(5)).await;
    let batch = fetched.unwrap().batch;
    assert_eq!(batch.receipts[0].status, ReceiptStatus::Delivered);
    assert_eq!(batch.inbound[0].text, "TD");
    let requests = server.received_requests().await.unwrap();
    assert_eq!(value(&form(&requests[0]), "accName"), "lexin-user");

    // The messages fail; the reports are not lost.
    server.reset().await;
    let answer = ResponseTemplate::new(200).set_body_string("100000000000001,13800138000,0");
    let mock = Mock::given(path("/qryReport")).respond_with(answer);
    mock.mount(&server).await;
    let lexin = vendor_of("lexin", &server.uri(), &[]);
    let fetched = lexin.pull().unwrap().fetch(Duration::from_secs(5)).await;
    assert_eq!(fetched.unwrap().batch.receipts.len(), 1);

    assert!(matches!(
        lexin.read_push(&push(b"x")),
        Err(PushError::Shape(_))
    ));
    let deaf = vendor_of("lexin", &server.uri(), &[("fetch", "none")]);
    assert!(deaf.pull().is_none());
}
