//! The vendor's SDK signed these; `produced_by` in the file names its version.

use std::path::Path;

use jixinda_lab::aliyun::sign;
use serde_json::Value;

#[test]
fn acs3_vectors_come_out_at_every_stage() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vectors/aliyun.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pairs = |value: &Value| -> Vec<(String, String)> {
        let object = value.as_object().unwrap();
        object
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect()
    };
    let mut checked = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let id = text(&vector["id"]);
        if !id.starts_with("aliyun.acs3.") {
            continue;
        }
        let (inputs, expected) = (&vector["inputs"], &vector["expected"]);
        let parameters = pairs(&inputs["query_params"]);
        let mut headers = pairs(&inputs["signed_headers"]);
        headers.sort();
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let query = sign::canonical_query(parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        let canonical = sign::canonical_request(
            &text(&inputs["method"]),
            &query,
            headers.iter().map(|(n, v)| (n.as_str(), v.as_str())),
            &names.join(";"),
            &sign::sha256_hex(inputs["body"].as_str().unwrap_or_default().as_bytes()),
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
        checked += 1;
    }
    assert_eq!(checked, 6);
}
