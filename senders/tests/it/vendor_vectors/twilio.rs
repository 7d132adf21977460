use jixinda_schemas::template::Content;
use jixinda_senders::{
    vendor::Item,
    vendors::twilio::{
        sign,
        wire::{self, Sender},
    },
};
use serde_json::Value;

use super::{pairs, text};

/// Signatures of pushes, and the form of a message.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    if expected.get("signature").is_some() {
        signature(id, inputs, expected);
    } else if expected.get("form_body").is_some() {
        form(id, inputs, expected);
    } else {
        return false;
    }
    true
}

fn signature(id: &str, inputs: &Value, expected: &Value) {
    let params: Vec<(String, String)> = pairs(&inputs["params"])
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let token = text(&inputs["auth_token"]);
    let signed = sign::string_to_sign(&text(&inputs["url"]), &params);
    assert_eq!(signed, text(&expected["string_to_sign"]), "{id}");
    let signature = text(&expected["signature"]);
    let named = inputs["algorithm"].as_str();
    let named = named.map(|name| format!("algorithm={name}"));
    let by = sign::Algorithm::of(named.as_deref()).unwrap();
    assert_eq!(sign::signature(by, &token, &signed), signature, "{id}");
    assert!(sign::verify(by, &token, &signed, &signature), "{id}");
    assert!(!sign::verify(by, "another", &signed, &signature), "{id}");
}

fn form(id: &str, inputs: &Value, expected: &Value) {
    let body = text(&inputs["body"]);
    let item = Item {
        recipient: text(&inputs["to"]).parse().unwrap(),
        sign_name: String::new(),
        content: Content::FullText { text: body },
        text: String::new(),
    };
    let sender = Sender::From(text(&inputs["from"]));
    let callback = inputs["status_callback"].as_str();
    let form = wire::form(&item, &sender, callback).unwrap();
    let sent = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    // Their order does not matter.
    let sorted = |body: &str| {
        let mut fields: Vec<String> = body.split('&').map(ToOwned::to_owned).collect();
        fields.sort();
        fields
    };
    assert_eq!(sorted(&sent), sorted(&text(&expected["form_body"])), "{id}");
}
