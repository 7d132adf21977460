use jixinda_lab::vendors::feige::content;
use serde_json::{Value, json};

use super::text;

/// How variables are joined: both APIs send the secret itself, so there is no signature.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    if !inputs["vars"].is_array() || !expected["content"].is_string() {
        return false;
    }
    let variables = content::variables(&text(&expected["content"]));
    assert_eq!(json!(variables), inputs["vars"], "{id}");
    true
}
