//! Segment counts against the reference vectors. Their `charset`, `units` and `chars` are no part of our interface.

use jixinda_schemas::{Phone, segments};

use crate::vectors;

/// The text of a vector and a number of its kind. A vector for China gives the length of the body and how it begins.
fn text(vector: &serde_json::Value) -> (String, Phone) {
    let inputs = &vector["inputs"];
    if let Some(text) = inputs["text"].as_str() {
        return (text.to_owned(), "+16502530000".parse().unwrap());
    }
    let sample = inputs["body_sample"].as_str().unwrap();
    let length = inputs["body_len"].as_u64().unwrap() as usize;
    let body: String = sample.chars().cycle().take(length).collect();
    let signature = inputs["signature"].as_str().unwrap();
    let recipient = "+8613800138000".parse().unwrap();
    (format!("【{signature}】{body}"), recipient)
}

#[test]
fn counts_agree_with_every_encoding_vector() {
    let mut checked = 0;
    for vector in vectors() {
        let id = vector["id"].as_str().unwrap();
        if !id.starts_with("encoding.") {
            continue;
        }
        let (text, recipient) = text(&vector);
        let expected = &vector["expected"];
        let parts = expected.get("parts").or(expected.get("billed_parts"));
        assert_eq!(
            u64::from(segments::count(&text, &recipient)),
            parts.and_then(serde_json::Value::as_u64).unwrap(),
            "{id}"
        );
        checked += 1;
    }
    assert_eq!(checked, 22);
}
