use jixinda_senders::vendors::montnets::{
    charset::{self, Charset},
    sign::{self, Hash},
    wire,
};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::text;

/// The hashed password, texts in both charsets, and the ids of numbers and parts.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    if expected.get("pwd").is_some() {
        pwd(id, inputs, expected);
    } else if expected.get("gbk_percent").is_some() {
        content(id, inputs, expected);
    } else if expected.get("derived_msgid").is_some() {
        ids(id, inputs, expected);
    } else {
        return false;
    }
    true
}

fn pwd(id: &str, inputs: &Value, expected: &Value) {
    let (userid, password) = (text(&inputs["userid"]), text(&inputs["password"]));
    let timestamp = text(&inputs["timestamp"]);
    let string = sign::string_to_hash(&userid, &password, &timestamp);
    assert_eq!(string, text(&expected["string"]), "{id}");
    let wanted = text(&expected["pwd"]);
    let hash = match wanted.len() {
        32 => Hash::Md5,
        64 => Hash::Sha256,
        other => panic!("{id}: {other} digits"),
    };
    assert_eq!(
        sign::pwd(hash, &userid, &password, &timestamp),
        wanted,
        "{id}"
    );
}

/// What is left as it is may differ; what it stands for may not.
fn content(id: &str, inputs: &Value, expected: &Value) {
    for (charset, name) in [
        (Charset::Gbk, "gbk_percent"),
        (Charset::Utf8, "utf8_percent"),
    ] {
        let clear = text(&inputs["text"]);
        let Some(wanted) = expected[name].as_str() else {
            continue;
        };
        let made = charset.encode(&clear).unwrap();
        let bytes = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        assert_eq!(bytes(&made), bytes(wanted), "{id} {name}");
        let is_safe = |b: u8| b.is_ascii_alphanumeric() || b"%-_.~".contains(&b);
        assert!(made.bytes().all(is_safe), "{id} {name}: {made}");
        if wanted.bytes().filter(|b| *b == b'%').count() * 3 == wanted.len() {
            assert_eq!(made, wanted, "{id} {name}");
        }
        if charset == Charset::Utf8 {
            assert_eq!(charset::decode(wanted), clear, "{id} {name}");
        }
    }
}

fn ids(id: &str, inputs: &Value, expected: &Value) {
    let derived = wire::derived_id(
        text(&inputs["msgid"]).parse().unwrap(),
        inputs["position"].as_u64().unwrap(),
        inputs["pknum"].as_u64().unwrap(),
    );
    assert_eq!(
        derived.to_string(),
        text(&expected["derived_msgid"]),
        "{id}"
    );
}
