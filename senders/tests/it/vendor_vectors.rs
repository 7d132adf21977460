//! Signing vectors made with the vendors' own SDKs. Vectors of vendors without an adapter are skipped by name.

use std::collections::BTreeMap;

use jixinda_senders::vendors::aliyun::sign;
use serde_json::Value;

use crate::support::fixtures;

fn strings(value: &Value) -> Vec<(&str, &str)> {
    value
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect()
}

fn acs3(id: &str, inputs: &Value, expected: &Value) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers: BTreeMap<&str, String> = strings(&inputs["signed_headers"])
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    let body = text(&inputs["body"]);
    assert_eq!(
        headers["x-acs-content-sha256"],
        sign::body_hash(body.as_bytes()),
        "{id}"
    );
    let signed = sign::sign(
        &sign::Request {
            method: &text(&inputs["method"]),
            path: &text(&inputs["path"]),
            query: &strings(&inputs["query_params"]),
            headers: &headers,
            body: body.as_bytes(),
        },
        &text(&inputs["access_key_id"]),
        &text(&inputs["access_key_secret"]),
    );
    assert_eq!(
        signed.canonical_request,
        text(&expected["canonical_request"]),
        "{id}"
    );
    assert_eq!(
        signed.string_to_sign,
        text(&expected["string_to_sign"]),
        "{id}"
    );
    assert_eq!(
        signed.authorization,
        text(&expected["authorization"]),
        "{id}"
    );
    if let Some(url) = expected["url"].as_str() {
        // Through the URL type that is sent, which must not encode anything once more.
        let mut sent = reqwest::Url::parse(&format!("https://{}/", headers["host"])).unwrap();
        sent.set_query(Some(&signed.query));
        assert_eq!(sent.as_str(), url, "{id}");
    }
}

#[test]
fn signatures_equal_those_of_the_vendors_sdks() {
    let (mut checked, mut skipped) = (Vec::new(), Vec::new());
    for path in fixtures("vectors") {
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for vector in file["vectors"].as_array().unwrap() {
            let id = vector["id"].as_str().unwrap();
            if id.starts_with("aliyun.acs3.") {
                acs3(id, &vector["inputs"], &vector["expected"]);
                checked.push(id.to_owned());
            } else {
                skipped.push(id.to_owned());
            }
        }
    }
    println!("checked: {}", checked.join(" "));
    println!("skipped, no adapter: {}", skipped.join(" "));
    assert_eq!(checked.len(), 6);
}
