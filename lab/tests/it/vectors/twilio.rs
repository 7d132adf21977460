use jixinda_lab::vendors::twilio::sign;
use serde_json::Value;

use super::{pairs, text};

/// Signatures of pushes.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    let Some(signature) = expected["signature"].as_str() else {
        return false;
    };
    let to_sign = sign::string_to_sign(&text(&inputs["url"]), &pairs(&inputs["params"]));
    assert_eq!(to_sign, text(&expected["string_to_sign"]), "{id}");
    let token = text(&inputs["auth_token"]);
    let made = match inputs["algorithm"].as_str() {
        Some("HMAC_SHA256") => sign::shared_key_signature(&token, &to_sign),
        _ => sign::signature(&token, &to_sign),
    };
    assert_eq!(made, signature, "{id}");
    true
}
