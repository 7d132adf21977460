use jixinda_runtime::secret::Secret;
use jixinda_schemas::{
    Phone,
    template::{Form, content},
};
use jixinda_senders::{
    vendor::Item,
    vendors::feige::wire::{self, Api, Keys},
};
use serde_json::Value;

use super::text;

/// An id, which may be a number or a text.
fn id_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), Into::into)
}

/// The body of a template with values in order.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    let (Some(values), Some(joined)) = (inputs["vars"].as_array(), expected["content"].as_str())
    else {
        return false;
    };
    let names: Vec<String> = (0..values.len()).map(|i| format!("v{i}")).collect();
    let params = names.iter().cloned().zip(values.iter().map(text)).collect();
    let form = Form::Separated {
        order: names.clone(),
        separator: "||".to_owned(),
    };
    let code = id_text(&inputs["template_id"]);
    let content = content(&form, Some(&code), &params, "").unwrap();
    let mobile = text(&inputs["mobile"]);
    let item = |number: &str| Item {
        recipient: Phone::parse_lenient(number).unwrap(),
        sign_name: id_text(&inputs["sign_id"]),
        content: content.clone(),
        text: String::new(),
    };
    let items: Vec<Item> = mobile.split(',').map(item).collect();
    let keys = Keys {
        user: Secret::new(text(&inputs["apikey"])),
        secret: Secret::new(text(&inputs["secret"])),
    };
    let (_, body) = wire::body(Api::New, &keys, &items).unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["content"], joined, "{id}");
    for name in ["apikey", "secret", "sign_id", "template_id", "mobile"] {
        assert_eq!(id_text(&body[name]), id_text(&inputs[name]), "{id} {name}");
    }
    true
}
