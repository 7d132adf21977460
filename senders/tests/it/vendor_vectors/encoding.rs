use jixinda_schemas::segments;
use serde_json::Value;

use super::text;

/// Size and billed segments, abroad and in mainland China.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    let number = |name: &str| expected[name].as_u64();
    if let Some(text) = inputs["text"].as_str() {
        let measured = segments::measure(text);
        assert_eq!(
            measured.charset.as_str(),
            self::text(&expected["charset"]),
            "{id}"
        );
        assert_eq!(Some(measured.units as u64), number("units"), "{id}");
        assert_eq!(Some(u64::from(measured.parts)), number("parts"), "{id}");
        return true;
    }
    let (Some(signature), Some(length)) =
        (inputs["signature"].as_str(), inputs["body_len"].as_u64())
    else {
        return false;
    };
    let sample = text(&inputs["body_sample"]);
    let body: String = sample.chars().cycle().take(length as usize).collect();
    let text = format!("【{signature}】{body}");
    assert_eq!(Some(text.chars().count() as u64), number("chars"), "{id}");
    let recipient = "+8613800138000".parse().unwrap();
    let billed = u64::from(segments::count(&text, &recipient));
    assert_eq!(Some(billed), number("billed_parts"), "{id}");
    true
}
