use jixinda_lab::vendors::aliyun::sign;
use jixinda_lab::wire::{canonical_query, sha256_hex};
use serde_json::Value;

use super::{pairs, text};

/// Both signatures, at every stage.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    let is_rpc = expected.get("canonical_query").is_some();
    if is_rpc && expected.get("string_to_sign").is_some() {
        rpc(id, inputs, expected);
    } else if expected.get("canonical_request").is_some() {
        acs3(id, inputs, expected);
    } else {
        return false;
    }
    true
}

fn acs3(id: &str, inputs: &Value, expected: &Value) {
    let parameters = pairs(&inputs["query_params"]);
    let mut headers = pairs(&inputs["signed_headers"]);
    headers.sort();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let query = canonical_query(parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let canonical = sign::canonical_request(
        &text(&inputs["method"]),
        &query,
        headers.iter().map(|(n, v)| (n.as_str(), v.as_str())),
        &names.join(";"),
        &sha256_hex(inputs["body"].as_str().unwrap_or_default().as_bytes()),
    );
    assert_eq!(canonical, text(&expected["canonical_request"]), "{id}");
    let to_sign = sign::string_to_sign(&canonical);
    assert_eq!(to_sign, text(&expected["string_to_sign"]), "{id}");
    let authorization = text(&expected["authorization"]);
    let parsed = sign::parse_authorization(&authorization).unwrap();
    assert_eq!(parsed.credential, text(&inputs["access_key_id"]), "{id}");
    assert_eq!(parsed.signed_headers, names.join(";"), "{id}");
    let secret = text(&inputs["access_key_secret"]);
    assert!(sign::verify(&secret, &to_sign, parsed.signature), "{id}");
    assert!(!sign::verify("another", &to_sign, parsed.signature), "{id}");
}

fn rpc(id: &str, inputs: &Value, expected: &Value) {
    let query = text(&expected["canonical_query"]);
    let parameters = jixinda_lab::wire::pairs(&query).unwrap();
    let again = canonical_query(parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    assert_eq!(again, query, "{id}");
    let to_sign = sign::rpc_string_to_sign(&text(&inputs["method"]), &query);
    assert_eq!(to_sign, text(&expected["string_to_sign"]), "{id}");
    let signature = sign::rpc_signature(&text(&inputs["access_key_secret"]), &to_sign);
    assert_eq!(signature, text(&expected["signature"]), "{id}");
}
