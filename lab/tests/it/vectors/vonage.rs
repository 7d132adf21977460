use jixinda_lab::vendors::vonage::sign::{self, Method};
use serde_json::Value;

use super::{pairs, text};

/// Message signatures; HTTP Basic is tested by calls.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    let Some(sig) = expected["sig"].as_str() else {
        return false;
    };
    let name = inputs["method"].as_str().unwrap_or("md5hash");
    let method = Method::find(name).unwrap();
    let secret = text(&inputs["signature_secret"]);
    let to_sign = sign::string_to_sign(&pairs(&inputs["params"]));
    // There the secret is a part of what is hashed.
    let behind = if method == Method::Md5Hash {
        &*secret
    } else {
        ""
    };
    let shown = text(&expected["string_to_sign"]);
    assert_eq!(format!("{to_sign}{behind}"), shown, "{id}");
    assert_eq!(sign::signature(method, &secret, &to_sign), sig, "{id}");
    true
}
