use jixinda_schemas::template::Content;
use jixinda_senders::{
    vendor::Item,
    vendors::huawei::{
        sign,
        wire::{self, Terms},
    },
};
use serde_json::Value;

use super::{pairs, text};

/// Both ways to sign; with the signature of a call its body too.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    if expected.get("canonical_request").is_some() {
        aksk(id, inputs, expected);
    } else if expected.get("x_wsse_hex_variant").is_some() {
        wsse(id, inputs, expected);
    } else {
        return false;
    }
    true
}

fn wsse(id: &str, inputs: &Value, expected: &Value) {
    let (nonce, created) = (text(&inputs["nonce"]), text(&inputs["created"]));
    let (key, secret) = (text(&inputs["app_key"]), text(&inputs["app_secret"]));
    assert_eq!(
        sign::password_digest(&nonce, &created, &secret),
        text(&expected["password_digest_hex_variant"]),
        "{id}"
    );
    assert_eq!(
        sign::wsse(&key, &secret, &nonce, &created),
        text(&expected["x_wsse_hex_variant"]),
        "{id}"
    );
    let authorization = text(&expected["authorization"]);
    assert_eq!(sign::WSSE_AUTHORIZATION, authorization, "{id}");
}

fn aksk(id: &str, inputs: &Value, expected: &Value) {
    let mut headers = pairs(&inputs["signed_headers"]);
    headers.sort_unstable();
    let body = text(&inputs["body"]);
    let payload = sign::payload(&headers, body.as_bytes());
    assert_eq!(payload, text(&inputs["payload_hash_line"]), "{id}");
    let request = sign::Request {
        method: &text(&inputs["method"]),
        path: &text(&inputs["path"]),
        query: &[],
        headers: &headers,
        payload: &payload,
    };
    let secret = text(&inputs["app_secret"]);
    let signed = sign::sign(&request, &text(&inputs["app_key"]), &secret);
    for (got, name) in [
        (&signed.canonical_request, "canonical_request"),
        (&signed.string_to_sign, "string_to_sign"),
        (&signed.authorization, "authorization"),
    ] {
        assert_eq!(*got, text(&expected[name]), "{id} {name}");
    }
    let said = sign::Authorization::parse(&signed.authorization).unwrap();
    assert!(sign::verify(&request, &secret, said.signature), "{id}");
    assert!(!sign::verify(&request, "another", said.signature), "{id}");
    match serde_json::from_str::<Value>(&body) {
        Ok(json) => groups(id, &json),
        Err(_) => form(id, &body),
    }
}

fn item(number: &str, code: &Value, params: &Value, sign_name: &Value) -> Item {
    let params = params.as_array().map_or(&[][..], Vec::as_slice);
    Item {
        recipient: number.parse().unwrap(),
        sign_name: sign_name.as_str().unwrap_or_default().to_owned(),
        content: Content::Positional {
            code: text(code),
            params: params.iter().map(text).collect(),
        },
        text: String::new(),
    }
}

/// The body of batchSendSms, made from its own fields; their order does not matter, nor what we send beside them.
fn form(id: &str, body: &str) {
    let fields = Value::from_iter(form_urlencoded::parse(body.as_bytes()));
    let params = fields["templateParas"].as_str().unwrap_or_default();
    let params = serde_json::from_str(params).unwrap_or_default();
    let numbers = text(&fields["to"]);
    let items: Vec<Item> = numbers
        .split(',')
        .map(|number| item(number, &fields["templateId"], &params, &fields["signature"]))
        .collect();
    let callback = fields["statusCallback"].as_str();
    let callback = callback.map(jixinda_runtime::secret::Secret::new);
    let terms = Terms {
        from: &text(&fields["from"]),
        callback: callback.as_ref(),
        echo: fields["extend"].as_str().unwrap_or_default(),
    };
    let made = Value::from_iter(wire::form(&items, &terms).unwrap());
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(made[name], *value, "{id} {name}");
    }
}

/// The body of batchSendDiffSms, made from its own groups.
fn groups(id: &str, body: &Value) {
    let mut items = Vec::new();
    for group in body["smsContent"].as_array().unwrap() {
        let of = |number: &Value| {
            let (code, params) = (&group["templateId"], &group["templateParas"]);
            item(&text(number), code, params, &group["signature"])
        };
        items.extend(group["to"].as_array().unwrap().iter().map(of));
    }
    let callback = body["statusCallback"].as_str();
    let callback = callback.map(jixinda_runtime::secret::Secret::new);
    let terms = Terms {
        from: &text(&body["from"]),
        callback: callback.as_ref(),
        echo: body["extend"].as_str().unwrap_or_default(),
    };
    let made: Value = serde_json::from_slice(&wire::body(&items, &terms).unwrap()).unwrap();
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(made[name], *value, "{id} {name}");
    }
}
