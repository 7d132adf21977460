use jixinda_runtime::secret::Secret;
use jixinda_schemas::template::Content;
use jixinda_senders::{
    vendor::Item,
    vendors::vonage::{
        ENDPOINT, PATH,
        sign::{self, Method},
        wire::{self, Terms},
    },
};
use serde_json::Value;

use super::{pairs, text};

/// Signatures, and the form of a message.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    if expected.get("sig").is_some() {
        signature(id, inputs, expected);
    } else if expected.get("form_body").is_some() {
        form(id, inputs, expected);
    } else {
        return false;
    }
    true
}

fn signature(id: &str, inputs: &Value, expected: &Value) {
    let method = match inputs["method"].as_str() {
        // The hash without HMAC, whose text ends in the secret.
        None => Method::Md5Hash,
        Some(name) => sign::METHODS.iter().find(|(n, _)| *n == name).unwrap().1,
    };
    let secret = text(&inputs["signature_secret"]);
    let string = sign::string_to_sign(&pairs(&inputs["params"]));
    let end = match method {
        Method::Md5Hash => secret.as_str(),
        _ => "",
    };
    assert_eq!(
        format!("{string}{end}"),
        text(&expected["string_to_sign"]),
        "{id}"
    );
    let sig = text(&expected["sig"]);
    assert_eq!(sign::signature(method, &secret, &string), sig, "{id}");
    assert!(sign::verify(method, &secret, &string, &sig), "{id}");
    assert!(!sign::verify(method, "another", &string, &sig), "{id}");
}

/// The form, made from its own fields.
fn form(id: &str, inputs: &Value, expected: &Value) {
    let (key, secret) = (text(&inputs["api_key"]), text(&inputs["api_secret"]));
    assert_eq!(
        sign::basic(&key, &secret),
        text(&expected["authorization"]),
        "{id}"
    );
    assert_eq!(format!("{ENDPOINT}{PATH}"), text(&expected["url"]), "{id}");
    let wanted = text(&expected["form_body"]);
    let fields = Value::from_iter(form_urlencoded::parse(wanted.as_bytes()));
    let item = Item {
        recipient: format!("+{}", text(&fields["to"])).parse().unwrap(),
        sign_name: String::new(),
        content: Content::FullText {
            text: text(&fields["text"]),
        },
        text: String::new(),
    };
    let callback = fields["callback"].as_str().map(Secret::new);
    let terms = Terms {
        from: &text(&fields["from"]),
        callback: callback.as_ref(),
        echo: fields["client-ref"].as_str().unwrap_or_default(),
    };
    let made = Value::from_iter(wire::form(&item, &terms).unwrap());
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(made[name], *value, "{id} {name}");
    }
}
