//! Montnets' API over HTTP: what goes out, what becomes of the answers, pushes and fetches.

use std::{sync::Arc, time::Duration};

use jixinda_schemas::{CallId, Timestamp, event::AttemptResult, template::Content};
use jixinda_senders::{
    vendor::{Ack, Call, Item, Push, PushError, SmsVendor},
    vendors::montnets::sign::{self, Hash},
};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, path},
};

use crate::support::{SECRET, channel_of, key, registry};

const NOW: Timestamp = Timestamp(1_735_787_045_000);
const REPORT: &str = r#"{"msgid":9223372036854775808,"custid":"100000000000001","pknum":1,"pktotal":1,
    "mobile":"13800138000","countrycode":86,"status":0,"errcode":"DELIVRD","errdesc":%e6%88%90,"rtime":"2025-01-02 11:04:09"}"#;

fn vendor(url: &str, settings: &[(&str, &str)]) -> Arc<dyn SmsVendor> {
    let mut channel = channel_of("montnets", url);
    let settings = settings.iter().map(|(n, v)| ((*n).into(), (*v).into()));
    channel.settings.extend(settings);
    let registry = registry(channel);
    let problems: Vec<_> = registry.unusable().collect();
    assert!(problems.is_empty(), "{problems:?}");
    Arc::clone(&registry.get("montnets-a").unwrap().vendor)
}

fn item(number: &str, text: &str) -> Item {
    Item {
        recipient: number.parse().unwrap(),
        sign_name: String::new(),
        content: Content::FullText {
            text: text.to_owned(),
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

async fn answering(body: &str) -> MockServer {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_string(body);
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// As the vendor would: the password hashed anew.
fn is_signed(request: &Request) -> bool {
    let body = body(request);
    let pwd = sign::pwd(Hash::Md5, "J10003", SECRET, "0102110405");
    (&body["userid"], &body["timestamp"], &body["pwd"])
        == (&json!("J10003"), &json!("0102110405"), &json!(pwd))
}

#[tokio::test]
async fn one_text_goes_to_many_and_each_has_an_id() {
    let server = answering(
        r#"{"result":0,"desc":%e6%88%90%e5%8a%9f,"msgid":-9079325032858421000,"custid":"1"}"#,
    )
    .await;
    let montnets = vendor(&server.uri(), &[("names", "old")]);
    let call = call(vec![
        item("+8613800138000", "【集信达】验证码1"),
        item("+8613900139000", "【集信达】验证码1"),
    ]);
    let results = montnets.send(&call).await;
    let ids = ["-9079325032858421000", "-9079325032858420999"];
    let wanted = ids.map(|id| AttemptResult::Accepted {
        vendor_id: id.to_owned(),
    });
    assert_eq!(results, wanted);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].url.path(), "/sms/v2/std/batch_send");
    assert!(is_signed(&requests[0]));
    let sent = body(&requests[0]);
    assert_eq!(sent["mobile"], "13800138000,13900139000");
    assert_eq!(sent["custid"], call.call_id.to_string());
    assert!(
        sent["content"]
            .as_str()
            .unwrap()
            .starts_with("%a1%be%bc%af")
    );
    assert!(!format!("{montnets:?}").contains(SECRET));
}

#[tokio::test]
async fn different_texts_go_in_one_call_under_the_key_of_the_account() {
    let server = answering(r#"{"result":-100057,"desc":"ip","msgid":0,"custid":""}"#).await;
    let mut channel = channel_of("montnets", &server.uri());
    let place = jixinda_schemas::directory::channel_place(&channel.id, "apikey");
    let apikey = key().seal(&place, "abade5589e2798f82f006bbc36d269ce");
    channel.secrets = [("apikey".to_owned(), apikey)].into();
    let registry = registry(channel);
    let montnets = &registry.get("montnets-a").unwrap().vendor;
    let call = call(vec![
        item("+8613800138000", "一"),
        item("+8613900139000", "二"),
    ]);
    for result in montnets.send(&call).await {
        let AttemptResult::Rejected { vendor_code, .. } = result else {
            panic!("{result:?}");
        };
        assert_eq!(vendor_code, "100057");
    }
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.path(), "/sms/v2/std/send_multi");
    let sent = body(&requests[0]);
    assert_eq!(sent["apikey"], "abade5589e2798f82f006bbc36d269ce");
    assert_eq!(sent.get("pwd"), None);
    assert_eq!(sent["multimt"][1]["content"], "%e4%ba%8c");
}

#[tokio::test]
async fn reports_and_messages_are_fetched_until_there_are_none() {
    let server = MockServer::start().await;
    let answer = |text: String| ResponseTemplate::new(200).set_body_string(text);
    let reports = answer(format!(
        r#"{{"result":0,"desc":%e6%88%90,"rpts":[{REPORT}]}}"#
    ));
    let messages = r#"{"result":0,"mos":[{"msgid":1,"mobile":"13800138000","countrycode":86,"spno":"1069","content":"%e9%80%80"}]}"#;
    for (name, first) in [
        ("get_rpt", reports),
        ("get_mo", answer(messages.to_owned())),
    ] {
        let of = || Mock::given(path(format!("/sms/v2/std/{name}")));
        let once = of().respond_with(first).up_to_n_times(1);
        once.mount(&server).await;
        let none = answer(r#"{"result":0,"rpts":[],"mos":""}"#.to_owned());
        of().respond_with(none).mount(&server).await;
    }
    let montnets = vendor(&server.uri(), &[]);
    let pull = montnets.pull().unwrap();
    let fetched = pull.fetch(Duration::from_secs(5)).await.unwrap();
    assert!(fetched.more);
    assert_eq!(
        fetched.batch.receipts[0].vendor_id.as_deref(),
        Some("9223372036854775808")
    );
    assert_eq!(fetched.batch.inbound[0].text, "退");
    let fetched = pull.fetch(Duration::from_secs(5)).await.unwrap();
    assert!(!fetched.more && fetched.batch.is_empty());
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().all(is_signed));
    assert_eq!(body(&requests[0])["retsize"], 500);
}

#[tokio::test]
async fn a_fetch_that_fails_brings_nothing_and_one_that_cannot_be_read_is_kept() {
    let refused = answering(r#"{"result":-100001,"desc":%e9,"rpts":""}"#).await;
    let fetch = async |server: &MockServer| {
        let montnets = vendor(&server.uri(), &[("fetch_mo", "false")]);
        montnets.pull().unwrap().fetch(Duration::from_secs(5)).await
    };
    assert_eq!(
        fetch(&refused).await.unwrap_err().to_string(),
        "get_rpt: 100001"
    );
    let broken = answering(r#"{"result":0,"rpts":[{"msgid":1"#).await;
    let kept = fetch(&broken).await.unwrap();
    assert_eq!((kept.batch.unreadable.len(), kept.more), (1, false));
    let page = answering("<html>").await;
    assert!(fetch(&page).await.is_err());
}

fn form(pwd: &str, timestamp: &str) -> String {
    let list = format!("[{REPORT}]");
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("userid", "j10003"),
            ("pwd", pwd),
            ("timestamp", timestamp),
            ("cmd", "RPT_REQ"),
            ("seqid", "1004"),
            ("rpts", &list),
        ])
        .finish()
}

fn push(body: &str) -> (Result<usize, PushError>, Ack) {
    let montnets = vendor("https://api.example.com:7901", &[]);
    let headers = HeaderMap::new();
    let push = Push {
        method: "POST",
        target: "/receipts/montnets-a/token",
        query: None,
        headers: &headers,
        body: body.as_bytes(),
        now: NOW,
    };
    let read = montnets.read_push(&push).map(|batch| batch.receipts.len());
    (read, montnets.acknowledge(&push, true))
}

#[tokio::test]
async fn only_a_push_with_our_password_and_a_fresh_time_is_taken() {
    let pwd = |timestamp: &str| sign::pwd(Hash::Md5, "J10003", SECRET, timestamp);
    let (read, ack) = push(&form(&pwd("0102110405").to_uppercase(), "0102110405"));
    assert!(
        matches!(read, Err(PushError::NotAuthentic(_))),
        "lower case is the rule"
    );
    assert_eq!(ack.body, r#"{"cmd":"RPT_RESP","seqid":1004,"result":0}"#);
    for timestamp in ["0102110405", "0102105000", "0102111800"] {
        assert_eq!(push(&form(&pwd(timestamp), timestamp)).0.unwrap(), 1);
    }
    for body in [
        form(&pwd("0102104000"), "0102104000"),
        form(&pwd("0102110405"), "0102110406"),
        form("", "0102110405"),
        form(&pwd("0102110405"), "0102110405").replace("j10003", "J10004"),
        "cmd=RPT_REQ&rpts=[]".to_owned(),
    ] {
        let read = push(&body).0;
        assert!(matches!(read, Err(PushError::NotAuthentic(_))), "{body}");
    }
}
