use jixinda_lab::vendors::tencent::sign;
use serde_json::Value;

use super::text;

/// TC3, of any service and with any headers signed.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    let Some(canonical) = expected["canonical_request"].as_str() else {
        return false;
    };
    // The signed headers are the lines after the third.
    let signed: Vec<(&str, &str)> = canonical
        .lines()
        .skip(3)
        .map_while(|line| line.split_once(':'))
        .collect();
    let again = sign::canonical_request(&signed, text(&inputs["body"]).as_bytes());
    assert_eq!(again, canonical, "{id}");
    let (timestamp, service) = (
        inputs["timestamp"].as_i64().unwrap(),
        inputs["service"].as_str().unwrap_or("sms"),
    );
    let to_sign = sign::string_to_sign(timestamp, service, canonical);
    assert_eq!(to_sign, text(&expected["string_to_sign"]), "{id}");
    let authorization = text(&expected["authorization"]);
    let parsed = sign::parse_authorization(&authorization).unwrap();
    assert_eq!(parsed.secret_id, text(&inputs["secret_id"]), "{id}");
    assert_eq!(parsed.service, service, "{id}");
    assert_eq!(parsed.date, sign::date(timestamp), "{id}");
    let key = text(&inputs["secret_key"]);
    let signature = sign::signature(&key, timestamp, service, canonical);
    assert_eq!(signature, parsed.signature, "{id}");
    true
}
