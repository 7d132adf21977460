//! What people may see of a record: numbers masked, values of variables left out, nothing that moves a cursor. Pure.

use jixinda_schemas::Phone;
use serde_json::{Map, Value, json};

/// Runs of this many digits are masked in what could be read: the shortest number in E.164.
const SHORTEST: usize = 8;
/// In a body that is no JSON also login codes are.
const SHORTEST_OF_UNREADABLE: usize = 4;
/// Of a body that is no JSON.
const SHOWN: usize = 1_000;
/// Headers whose values show; signatures, seals and what is not known do not.
const HEADERS: [&str; 9] = [
    "type",
    "version",
    "lane",
    "channel",
    "attempt",
    "writer",
    "traceparent",
    "rehomed-from",
    "content-type",
];

/// A text for people, such as the detail of an error.
pub(crate) fn text(text: &str) -> String {
    masked(text, SHORTEST)
}

/// The body of a record: as JSON where it is that.
pub(crate) fn body(bytes: &[u8]) -> Value {
    if let Ok(json) = serde_json::from_slice::<Value>(bytes) {
        return value(&json);
    }
    let text = String::from_utf8_lossy(bytes);
    let cut: String = text.chars().take(SHOWN).collect();
    json!(masked(&cut, SHORTEST_OF_UNREADABLE))
}

pub(crate) fn headers(pairs: &[(String, String)]) -> Value {
    let shown = pairs.iter().map(|(name, value)| {
        let value = if HEADERS.contains(&name.as_str()) {
            text(value)
        } else {
            "(hidden)".to_owned()
        };
        (text(name), json!(value))
    });
    Value::Object(shown.collect())
}

pub(crate) fn value(json: &Value) -> Value {
    match json {
        Value::Object(fields) => {
            let shown = fields.iter().map(|(name, field)| match field {
                Value::Object(params) if name == "params" => (name.clone(), lengths(params)),
                field => (text(name), value(field)),
            });
            Value::Object(shown.collect())
        }
        Value::Array(items) => items.iter().map(value).collect(),
        Value::String(string) => json!(text(string)),
        Value::Number(number) => {
            let shown = text(&number.to_string());
            if shown == number.to_string() {
                json.clone()
            } else {
                json!(shown)
            }
        }
        Value::Null | Value::Bool(_) => json.clone(),
    }
}

/// What the platform itself has written about a recipient: only that number is masked, so that ids stay whole.
pub(crate) fn own(
    json: &impl serde::Serialize,
    recipient: Option<&Phone>,
) -> anyhow::Result<Value> {
    let mut text = serde_json::to_string(json)?;
    if let Some(phone) = recipient {
        let digits = phone.expose().trim_start_matches('+');
        for clear in [Some(phone.expose()), Some(digits), phone.china_national()] {
            text = text.replace(clear.unwrap_or(digits), &phone.masked());
        }
    }
    Ok(serde_json::from_str(&text)?)
}

/// A variable may be a login code or a name: how long it is says enough.
fn lengths(params: &Map<String, Value>) -> Value {
    let shown = params.iter().map(|(name, value)| {
        let shown = match value {
            Value::String(value) => format!("({} characters)", value.chars().count()),
            _ => "(no text)".to_owned(),
        };
        (text(name), json!(shown))
    });
    Value::Object(shown.collect())
}

fn masked(text: &str, shortest: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        if let Some(length) = id(rest).or_else(|| date(rest)) {
            out.extend(&rest[..length]);
            at += length;
        } else if let Some((length, digits)) = run(rest) {
            if digits.trim_start_matches('+').len() >= shortest {
                out.push_str(&stand_in(&digits));
            } else {
                out.extend(&rest[..length]);
            }
            at += length;
        } else {
            let c = rest[0];
            if c.is_control() {
                out.extend(c.escape_unicode());
            } else {
                out.push(c);
            }
            at += 1;
        }
    }
    out
}

/// As recipients are shown everywhere, where it is one.
fn stand_in(digits: &str) -> String {
    if let Ok(phone) = Phone::parse_lenient(digits) {
        return phone.masked();
    }
    if digits.len() < SHORTEST {
        return "*".repeat(digits.len());
    }
    let (first, last) = (&digits[..3], &digits[digits.len() - 2..]);
    format!("{first}****{last}")
}

/// A UUID, whose digits are nobody's number.
fn id(chars: &[char]) -> Option<usize> {
    const LENGTH: usize = 36;
    let fits = chars.get(..LENGTH)?.iter().enumerate().all(|(i, c)| {
        if matches!(i, 8 | 13 | 18 | 23) {
            *c == '-'
        } else {
            c.is_ascii_hexdigit()
        }
    });
    let ends = chars.get(LENGTH).is_none_or(|c| !c.is_alphanumeric());
    (fits && ends).then_some(LENGTH)
}

/// A day, such as 2026-01-02.
fn date(chars: &[char]) -> Option<usize> {
    const LENGTH: usize = 10;
    let day = chars.get(..LENGTH)?;
    let fits = day.iter().enumerate().all(|(i, c)| {
        if matches!(i, 4 | 7) {
            *c == '-'
        } else {
            c.is_ascii_digit()
        }
    });
    let ends = chars
        .get(LENGTH)
        .is_none_or(|c| digit(*c).is_none() && !is_separator(*c) || *c == ' ');
    (fits && (day.starts_with(&['1']) || day.starts_with(&['2'])) && ends).then_some(LENGTH)
}

/// Digits in a row, as people write numbers: with single separators between them, also full-width.
fn run(chars: &[char]) -> Option<(usize, String)> {
    let plus = usize::from(chars[0] == '+');
    chars.get(plus).copied().and_then(digit)?;
    let (mut digits, mut length, mut at) = ("+"[..plus].to_owned(), plus, plus);
    while let Some(c) = chars.get(at) {
        if let Some(digit) = digit(*c) {
            digits.push(digit);
            at += 1;
            length = at;
        } else if is_separator(*c) && chars.get(at + 1).is_some_and(|c| digit(*c).is_some()) {
            at += 1;
        } else {
            break;
        }
    }
    Some((length, digits))
}

fn digit(c: char) -> Option<char> {
    match c {
        '0'..='9' => Some(c),
        '０'..='９' => char::from_digit(u32::from(c) - u32::from('０'), 10),
        _ => None,
    }
}

const fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '(' | ')' | '\u{a0}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_masked_however_they_are_written() {
        for number in [
            "13812345678",
            "+8613812345678",
            "008613812345678",
            "138 1234 5678",
            "138-1234-5678",
            "１３８１２３４５６７８",
            "+1 650 555 0100",
        ] {
            for around in ["", "电话", "tel", "\"", "/"] {
                let shown = text(&format!("{around}{number}{around}"));
                let digits = |text: &str| text.chars().filter(|c| digit(*c).is_some()).count();
                assert!(shown.contains("****"), "{shown}");
                assert!(digits(&shown) <= 7, "{shown}");
                assert!(shown.starts_with(around), "{shown}");
            }
        }
        assert_eq!(text("to 13812345678."), "to 138****5678.");
    }

    #[test]
    fn ids_times_and_positions_stay_as_they_are() {
        for kept in [
            "message 12345678-1234-1234-1234-123456789012 was accepted",
            "2026-01-02T03:04:05.678Z",
            "2026-01-02 03:04:05",
            "requests.otp/3/17",
            "expected value at line 1 column 12345",
        ] {
            assert_eq!(text(kept), kept);
        }
    }

    #[test]
    fn a_body_is_masked_in_keys_values_and_numbers_and_shows_no_variable() {
        let given = json!({
            "13812345678": 13812345678_u64,
            "payload": { "recipient": "+8613812345678", "params": { "code": "482913", "n": 1 } },
            "list": ["a", { "phone": "0086 138 1234 5678" }],
            "version": 1,
        });
        let shown = body(given.to_string().as_bytes());
        let want = json!({
            "138****5678": "138****5678",
            "payload": { "recipient": "138****5678", "params": { "code": "(6 characters)", "n": "(no text)" } },
            "list": ["a", { "phone": "138****5678" }],
            "version": 1,
        });
        assert_eq!(shown, want);
    }

    #[test]
    fn a_body_that_is_no_json_shows_neither_codes_nor_control_characters() {
        let shown = body(b"{\"code\":\"482913\" \x1b[2J \xff");
        assert_eq!(shown, "{\"code\":\"******\" \\u{1b}[2J \u{fffd}");
    }

    #[test]
    fn what_the_platform_wrote_keeps_its_ids() {
        let phone: Phone = "+8613812345678".parse().unwrap();
        let given = json!({ "recipient": "+8613812345678", "call_id": 123456789012345_u64, "vendor_id": "x13812345678y" });
        let shown = own(&given, Some(&phone)).unwrap();
        let want = json!({ "recipient": "138****5678", "call_id": 123456789012345_u64, "vendor_id": "x138****5678y" });
        assert_eq!(shown, want);
    }

    #[test]
    fn only_known_headers_show_their_values() {
        let pairs = [
            ("type", "request"),
            ("signature", "k:00ff"),
            ("cookie", "x"),
        ];
        let pairs: Vec<_> = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        let want = json!({ "type": "request", "signature": "(hidden)", "cookie": "(hidden)" });
        assert_eq!(headers(&pairs), want);
    }
}
