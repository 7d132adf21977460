use jixinda_senders::vendors::tencent::sign;
use serde_json::Value;

use super::text;

/// TC3, of any service and with any headers signed.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    let Some(canonical) = expected["canonical_request"].as_str() else {
        return false;
    };
    // What is signed stands in the canonical request: method, path and query come first, and an empty line ends it.
    let headers: Vec<(&str, &str)> = canonical
        .lines()
        .skip(3)
        .map_while(|line| line.split_once(':'))
        .collect();
    let signed = sign::sign(
        &sign::Request {
            service: inputs["service"].as_str().unwrap_or("sms"),
            headers: &headers,
            body: text(&inputs["body"]).as_bytes(),
            timestamp: inputs["timestamp"].as_i64().unwrap(),
        },
        &text(&inputs["secret_id"]),
        &text(&inputs["secret_key"]),
    );
    assert_eq!(signed.canonical_request, canonical, "{id}");
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
    true
}
