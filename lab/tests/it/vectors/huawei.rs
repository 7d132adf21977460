use jixinda_lab::vendors::huawei::sign;
use jixinda_lab::wire::sha256_hex;
use serde_json::Value;

use super::{pairs, text};

/// Both digests of X-WSSE, and SDK-HMAC-SHA256 at every stage.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    if expected.get("canonical_request").is_some() {
        signed(id, inputs, expected);
    } else if expected.get("password_digest_hex_variant").is_some() {
        digest(id, inputs, expected);
    } else {
        return false;
    }
    true
}

fn digest(id: &str, inputs: &Value, expected: &Value) {
    let of = |name: &str| text(&inputs[name]);
    let (secret, nonce, created) = (of("app_secret"), of("nonce"), of("created"));
    let hash = sha256_hex(format!("{nonce}{created}{secret}").as_bytes());
    assert_eq!(hash, text(&expected["sha256_hex"]), "{id}");
    let form = text(&expected["authorization"]);
    let form = sign::attributes(&form, "WSSE").unwrap();
    let wanted = [
        ("realm", "SDP"),
        ("profile", "UsernameToken"),
        ("type", "Appkey"),
    ];
    assert_eq!(form, wanted, "{id}");
    for (variant, digest) in [
        ("hex", sign::digest_hex(&secret, &nonce, &created)),
        ("raw", sign::digest_raw(&secret, &nonce, &created)),
    ] {
        let wanted = text(&expected[format!("password_digest_{variant}_variant")]);
        assert_eq!(digest, wanted, "{id}");
        let header = text(&expected[format!("x_wsse_{variant}_variant")]);
        let token = sign::attributes(&header, "UsernameToken").unwrap();
        let key = of("app_key");
        let wanted = [
            ("Username", &*key),
            ("PasswordDigest", &*digest),
            ("Nonce", &*nonce),
            ("Created", &*created),
        ];
        assert_eq!(token, wanted, "{id}");
    }
}

fn signed(id: &str, inputs: &Value, expected: &Value) {
    let mut headers = pairs(&inputs["signed_headers"]);
    headers.sort();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
    let claimed = headers.iter().find(|(n, _)| *n == "x-sdk-content-sha256");
    let body = text(&inputs["body"]);
    let line = sign::payload_line(claimed.map(|(_, value)| *value), body.as_bytes());
    assert_eq!(line, text(&inputs["payload_hash_line"]), "{id}");
    let (method, path) = (text(&inputs["method"]), text(&inputs["path"]));
    let query = inputs["query"].as_str().unwrap_or_default();
    let canonical = sign::canonical_request(&method, &path, query, &headers, &line);
    assert_eq!(canonical, text(&expected["canonical_request"]), "{id}");
    let date = text(&inputs["x_sdk_date"]);
    let again = sign::date(sign::parse_date(&date).unwrap());
    assert_eq!(again, date, "{id}");
    let to_sign = sign::string_to_sign(&date, &canonical);
    assert_eq!(to_sign, text(&expected["string_to_sign"]), "{id}");
    let authorization = text(&expected["authorization"]);
    let parsed = sign::parse_authorization(&authorization).unwrap();
    assert_eq!(parsed.access, text(&inputs["app_key"]), "{id}");
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(parsed.signed_headers, names.join(";"), "{id}");
    let signature = sign::signature(&text(&inputs["app_secret"]), &to_sign);
    assert_eq!(signature, parsed.signature, "{id}");
}
