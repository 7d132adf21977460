use std::time::Duration;

use jixinda_schemas::{CallId, Phone, template::Content};
use jixinda_senders::{
    vendor::{Call, Item},
    vendors::jdcloud::{
        sign::{self, Generation},
        wire,
    },
};
use serde_json::Value;

use super::{pairs, text};

/// Both generations, and the body of batchSend.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    let authorization = expected["authorization"].as_str().unwrap_or_default();
    let generations = [Generation::Two, Generation::Three];
    let mut of = generations
        .into_iter()
        .filter(|g| authorization.starts_with(g.algorithm()));
    let Some(generation) = of.next() else {
        return false;
    };
    let optional = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut headers = pairs(&inputs["signed_headers"]);
    let find = |headers: &[(&str, &str)], name: &str| {
        let mut found = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| (*value).to_owned())
    };
    let host = optional(&inputs["host"]);
    if find(&headers, "host").is_none() {
        headers.push(("host", &host));
    }
    let date = inputs["date"].as_str().map(ToOwned::to_owned);
    let date = date.or_else(|| find(&headers, "x-jdcloud-date")).unwrap();
    // With the path and query as they stand in the text: the URL type would tidy them.
    let target = match inputs["url"].as_str().and_then(|url| url.split_once("://")) {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]).to_owned(),
        None => optional(&inputs["path"]),
    };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let body = optional(&inputs["body"]);
    let signed = sign::sign(
        &sign::Request {
            generation,
            method: &text(&inputs["method"]),
            path,
            query,
            headers: &headers,
            body: body.as_bytes(),
            date: &date,
            region: &text(&inputs["region"]),
            service: &text(&inputs["service"]),
        },
        &text(&inputs["access_key"]),
        &text(&inputs["secret_key"]),
    );
    for (name, ours) in [
        ("canonical_request", &signed.canonical_request),
        ("string_to_sign", &signed.string_to_sign),
        ("authorization", &signed.authorization),
    ] {
        if let Some(wanted) = expected[name].as_str() {
            assert_eq!(ours, wanted, "{id} {name}");
        }
    }
    if let Some(hash) = expected["headers_sent"]["x-jdcloud-content-sha256"].as_str() {
        assert_eq!(sign::body_hash(body.as_bytes()), hash, "{id}");
    }
    if let Ok(body) = serde_json::from_str::<Value>(&body)
        && body.get("templateId").is_some()
    {
        batch_send(id, &body);
    }
    true
}

/// The same body from the items that it stands for.
fn batch_send(id: &str, body: &Value) {
    let texts = |value: &Value| -> Vec<String> {
        let values = value.as_array().into_iter().flatten();
        values.map(text).collect()
    };
    let item = |number: &String| Item {
        recipient: Phone::parse_lenient(number).unwrap(),
        sign_name: text(&body["signId"]),
        content: Content::Positional {
            code: text(&body["templateId"]),
            params: texts(&body["params"]),
        },
        text: String::new(),
    };
    let call = Call {
        call_id: CallId::from_random(1),
        items: texts(&body["phoneList"]).iter().map(item).collect(),
        timeout: Duration::from_secs(1),
    };
    let sent = wire::body(&call, &text(&body["regionId"])).unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent, *body, "{id}");
}
