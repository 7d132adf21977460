use jixinda_lab::vendors::jdcloud::sign;
use serde_json::Value;

use super::{pairs, text};

/// Both generations, at every stage that a vector shows.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    let Some(authorization) = expected["authorization"].as_str() else {
        return false;
    };
    let parsed = sign::parse_authorization(authorization).unwrap();
    assert_eq!(parsed.access_key, text(&inputs["access_key"]), "{id}");
    let mut headers = pairs(&inputs["signed_headers"]);
    if let Some(host) = inputs["host"].as_str() {
        headers.push(("host".to_owned(), host.to_owned()));
    }
    headers.sort();
    let signed: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    assert_eq!(parsed.signed_headers, names.join(";"), "{id}");
    let (path, query) = target(inputs);
    let request = sign::Request {
        method: &text(&inputs["method"]),
        path: &path,
        query: &query,
        body: inputs["body"].as_str().unwrap_or_default().as_bytes(),
    };
    let canonical = sign::canonical_request(parsed.generation, &request, &signed);
    if let Some(wanted) = expected["canonical_request"].as_str() {
        assert_eq!(canonical, wanted, "{id}");
    }
    let in_headers = headers.iter().find(|(name, _)| name == "x-jdcloud-date");
    let date = inputs["date"].as_str();
    let date = date
        .or(in_headers.map(|(_, value)| value.as_str()))
        .unwrap();
    assert!(sign::time(date).is_some(), "{id}");
    if let Some(wanted) = expected["string_to_sign"].as_str() {
        let to_sign = sign::string_to_sign(&parsed, date, &canonical);
        assert_eq!(to_sign, wanted, "{id}");
    }
    let secret = text(&inputs["secret_key"]);
    let signature = sign::signature(&secret, &parsed, date, &canonical);
    assert_eq!(signature, parsed.signature, "{id}");
    let another = sign::signature("another", &parsed, date, &canonical);
    assert_ne!(another, parsed.signature, "{id}");
    true
}

/// Path and query, given apart or in a URL.
fn target(inputs: &Value) -> (String, String) {
    let Some(url) = inputs["url"].as_str() else {
        let query = inputs["query"].as_str().unwrap_or_default();
        return (text(&inputs["path"]), query.to_owned());
    };
    let (_, rest) = url.split_once("://").unwrap();
    let from = rest.find(['/', '?']).unwrap_or(rest.len());
    let (path, query) = rest[from..].split_once('?').unwrap_or((&rest[from..], ""));
    (path.to_owned(), query.to_owned())
}
