use jixinda_lab::vendors::montnets::sign::{self, Pwd};
use jixinda_lab::vendors::montnets::text::{Charset, unpercent};
use serde_json::Value;

use super::text;

/// Digests of the password, texts in both charsets, derived ids.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    match id {
        _ if expected.get("pwd").is_some() => pwd(id, inputs, expected),
        _ if expected.get("gbk_percent").is_some() => content(id, inputs, expected),
        _ if expected.get("derived_msgid").is_some() => msgid(id, inputs, expected),
        _ => return false,
    }
    true
}

fn pwd(id: &str, inputs: &Value, expected: &Value) {
    let of = |name: &str| text(&inputs[name]);
    let (user, password, timestamp) = (of("userid"), of("password"), of("timestamp"));
    let string = sign::string(&user, &password, &timestamp);
    assert_eq!(string, text(&expected["string"]), "{id}");
    let wanted = text(&expected["pwd"]);
    // 64 hex digits are SHA-256's, 32 are MD5's.
    let method = if wanted.len() == 64 {
        Pwd::Sha256
    } else {
        Pwd::Md5
    };
    let pwd = sign::pwd(method, &user, &password, &timestamp);
    assert_eq!(pwd, wanted, "{id}");
}

fn content(id: &str, inputs: &Value, expected: &Value) {
    let plain = text(&inputs["text"]);
    for (charset, name) in [
        (Charset::Gbk, "gbk_percent"),
        (Charset::Utf8, "utf8_percent"),
    ] {
        let encoded = text(&expected[name]);
        assert_eq!(charset.percent(&plain), encoded, "{id}");
        let read = charset.read(&unpercent(encoded.as_bytes()));
        assert_eq!(read.as_ref(), Some(&plain), "{id}");
    }
}

fn msgid(id: &str, inputs: &Value, expected: &Value) {
    let number = |value: &Value| -> usize { value.as_u64().unwrap().try_into().unwrap() };
    let msgid = text(&inputs["msgid"]).parse().unwrap();
    let (position, part) = (number(&inputs["position"]), number(&inputs["pknum"]));
    let derived = sign::part_id(msgid, position, part);
    assert_eq!(
        derived.to_string(),
        text(&expected["derived_msgid"]),
        "{id}"
    );
}
