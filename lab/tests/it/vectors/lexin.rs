use jixinda_lab::vendors::lexin::sign;
use serde_json::Value;

use super::text;

/// Digests of a password, with a seed or without.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    let (Some(password), Some(wanted)) = (inputs["password"].as_str(), expected["accPwd"].as_str())
    else {
        return false;
    };
    let digest = sign::acc_pwd(password);
    if inputs["seed"].is_string() {
        let seed = text(&inputs["seed"]);
        assert!(sign::seed_time(&seed).is_some(), "{id}");
        assert!(sign::is_seeded(&digest, &seed, wanted), "{id}");
    } else {
        assert_eq!(digest, wanted, "{id}");
    }
    true
}
