//! Documented request and response pairs: what goes out, what comes back, and what becomes of it.

use std::collections::BTreeMap;

use jixinda_schemas::event::AttemptResult;
use jixinda_senders::{
    vendor::{InboundItem, Item, ReceiptItem},
    vendors::aliyun::sign,
};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::support::{SECRET, aliyun, call, fixtures, item, push};

fn load(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn response(cassette: &Value) -> ResponseTemplate {
    let status = cassette["status"].as_u64().unwrap() as u16;
    let mut template = ResponseTemplate::new(status).set_body_json(&cassette["body"]);
    for (name, value) in cassette["headers"].as_object().into_iter().flatten() {
        template = template.insert_header(name.as_str(), value.as_str().unwrap());
    }
    template
}

/// The signature fits what was received, header by header.
fn assert_signed(request: &Request) {
    let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
    let authorization = header("authorization");
    let names = authorization
        .split_once("SignedHeaders=")
        .and_then(|(_, rest)| rest.split_once(','))
        .unwrap()
        .0;
    let headers: BTreeMap<&str, String> = names.split(';').map(|n| (n, header(n))).collect();
    for name in [
        "host",
        "x-acs-action",
        "x-acs-version",
        "x-acs-date",
        "x-acs-signature-nonce",
    ] {
        assert!(headers.contains_key(name), "{name} is not signed");
    }
    let pairs: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
    let query: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let signed = sign::sign(
        &sign::Request {
            method: request.method.as_str(),
            path: request.url.path(),
            query: &query,
            headers: &headers,
            body: &request.body,
        },
        "testAccessKeyId",
        SECRET,
    );
    assert_eq!(signed.authorization, authorization);
    assert_eq!(request.url.query(), Some(signed.query.as_str()));
}

#[tokio::test]
async fn aliyun_sends_what_is_documented_and_understands_the_documented_answers() {
    for path in fixtures("aliyun/send") {
        let cassette = load(&path);
        let name = path.display();
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(response(&cassette["response"]))
            .mount(&server)
            .await;
        let mut call = call(std::time::Duration::from_secs(5));
        if let Some(given) = cassette.get("item") {
            call.items = vec![Item {
                recipient: serde_json::from_value(given["recipient"].clone()).unwrap(),
                content: serde_json::from_value(given["content"].clone()).unwrap(),
                ..item()
            }];
        }
        let results = aliyun(&server.uri()).send(&call).await;
        let want: AttemptResult = serde_json::from_value(cassette["result"].clone()).unwrap();
        assert_eq!(results, [want], "{name}");
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests.len(), 1, "{name}");
        assert_eq!(requests[0].method.as_str(), "POST", "{name}");
        assert_signed(&requests[0]);
        if let Some(want) = cassette.get("query") {
            let query: serde_json::Map<String, Value> = requests[0]
                .url
                .query_pairs()
                .map(|(n, v)| (n.into_owned(), v.into_owned().into()))
                .collect();
            assert_eq!(&Value::Object(query), want, "{name}");
        }
    }
}

fn shown(item: &ReceiptItem) -> Value {
    json!({
        "recipient": item.recipient, "echo": item.echo, "vendor_id": item.vendor_id, "status": item.status,
        "code": item.code, "blame": item.blame, "segments": item.segments, "vendor_at": item.vendor_at,
    })
}

fn shown_inbound(item: &InboundItem) -> Value {
    json!({
        "sender": item.sender, "destination": item.destination, "text": item.text, "vendor_id": item.vendor_id,
        "vendor_at": item.vendor_at,
    })
}

#[test]
fn aliyun_receipts_are_read_as_documented() {
    let vendor = aliyun("https://dysmsapi.aliyuncs.com");
    for path in fixtures("aliyun/receipts") {
        let cassette = load(&path);
        let body = cassette["body"].to_string();
        let batch = vendor.read_push(&push(body.as_bytes())).unwrap();
        let unreadable = batch.unreadable.iter();
        let read = batch.receipts.iter().map(shown);
        let read: Vec<Value> = read
            .chain(unreadable.map(|bad| json!({ "unreadable": bad.detail })))
            .collect();
        let wanted = cassette["items"].as_array().unwrap().iter().cloned();
        let (bad, mut wanted): (Vec<_>, Vec<_>) =
            wanted.partition(|item| item.get("unreadable").is_some());
        wanted.extend(bad);
        assert_eq!(read, wanted, "{}", path.display());
        let inbound: Vec<Value> = batch.inbound.iter().map(shown_inbound).collect();
        let wanted = cassette["inbound"].as_array().cloned();
        assert_eq!(inbound, wanted.unwrap_or_default(), "{}", path.display());
    }
}
