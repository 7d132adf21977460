//! JSON as Montnets writes it. Pure.
//!
//! The manual (V5.7.2) prints `desc` without quotes, and ids that no 64-bit number holds. Both are put in quotes before the
//! text is read, so that an id is kept to the digit.

use serde_json::Value;

/// Digits of a number that every reader holds exactly.
const EXACT: usize = 18;

/// Reads a text; nothing when it is no JSON even so.
#[must_use]
pub fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(&quoted(text)).ok()
}

/// The text with bare words and long numbers in quotes.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '"' => string(rest),
            c if is_mark(c) => c.len_utf8(),
            _ => rest.find(ends_word).unwrap_or(rest.len()),
        };
        // A word has at least its first character: it ends at a mark, and that is none.
        let (piece, after) = rest.split_at(taken.max(first.len_utf8()));
        if first == '"' || is_mark(first) || is_plain(piece) {
            out.push_str(piece);
        } else {
            out.push_str(&Value::from(piece).to_string());
        }
        rest = after;
    }
    out
}

fn is_mark(c: char) -> bool {
    matches!(c, '{' | '}' | '[' | ']' | ',' | ':') || c.is_ascii_whitespace()
}

fn ends_word(c: char) -> bool {
    matches!(c, '}' | ']' | ',') || c.is_ascii_whitespace()
}

/// Bytes of the string at the beginning, quotes included; all, when it has no end.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (i, b) in text.bytes().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether a word stands for itself: a literal, or a number that is not too long.
fn is_plain(word: &str) -> bool {
    word.len() <= EXACT && serde_json::from_str::<Value>(word).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bare_description_and_a_long_id_are_read() {
        let text = r#"{
            "result":0, "desc":%e6%88%90%e5%8a%9f, "msgid":9223372036854775808,"custid":"a,\"b" ,"n":[-9079325032858421000,1.5,true,null]
        }"#;
        let wanted = json!({"result": 0, "desc": "%e6%88%90%e5%8a%9f", "msgid": "9223372036854775808", "custid": "a,\"b",
            "n": ["-9079325032858421000", 1.5, true, null]});
        assert_eq!(parse(text), Some(wanted));
        assert_eq!(parse(r#"{"desc":false alarm}"#), None);
        assert_eq!(parse("<html>"), Some(json!("<html>")));
        assert_eq!(parse(r#"{"a":"#), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,80}") {
            let _value = parse(&text);
        }

        #[test]
        fn what_is_json_stays_what_it_is(words in proptest::collection::vec(".{0,12}", 0..5), number in -1_000_000_000_i64..1_000_000_000) {
            let value = json!({"words": words, "number": number, "deep": {"yes": [true, null, 0.5]}});
            prop_assert_eq!(parse(&value.to_string()), Some(value));
        }
    }
}
