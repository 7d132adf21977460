use jixinda_senders::vendors::lexin::sign;
use serde_json::Value;

use super::text;

/// The digest of the password.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    let (Some(password), Some(digest)) = (inputs["password"].as_str(), expected.get("accPwd"))
    else {
        return false;
    };
    assert_eq!(sign::md5(password, true), text(digest), "{id}");
    true
}
