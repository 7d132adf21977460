use std::collections::BTreeMap;

use jixinda_schemas::{CallId, template::Content};
use jixinda_senders::{
    vendor::Item,
    vendors::aliyun::{rpc, sign, wire},
};
use serde_json::Value;

use super::{pairs, text};

/// Both signatures, and the arrays of SendBatchSms.
pub(super) fn check(id: &str, inputs: &Value, expected: &Value) -> bool {
    let authorization = expected["authorization"].as_str().unwrap_or_default();
    if authorization.starts_with(sign::ALGORITHM) {
        acs3(id, inputs, expected);
    } else if expected.get("canonical_query").is_some() {
        rpc_v1(id, inputs, expected);
    } else {
        return false;
    }
    true
}

fn rpc_v1(id: &str, inputs: &Value, expected: &Value) {
    let of = |name: &str| inputs.get(name).map(pairs).unwrap_or_default();
    let (mut query, form) = (of("query_params"), of("form_params"));
    query.extend(of("params"));
    let params = [query.clone(), form.clone()].concat();
    let signed = rpc::sign(
        &text(&inputs["method"]),
        &params,
        &text(&inputs["access_key_secret"]),
    );
    assert_eq!(
        signed.canonical_query,
        text(&expected["canonical_query"]),
        "{id}"
    );
    assert_eq!(
        signed.string_to_sign,
        text(&expected["string_to_sign"]),
        "{id}"
    );
    assert_eq!(signed.signature, text(&expected["signature"]), "{id}");
    if let Some(url) = expected["url"].as_str() {
        // Their order in the URL does not matter.
        let sorted = |url: &str| {
            let url = reqwest::Url::parse(url).unwrap();
            let mut pairs: Vec<_> = url.query_pairs().into_owned().collect();
            pairs.sort();
            (url.host_str().map(ToOwned::to_owned), pairs)
        };
        let host = text(&inputs["host"]);
        let ours = format!("https://{host}/?{}", rpc::query(&query, &signed));
        assert_eq!(sorted(&ours), sorted(url), "{id}");
    }
    if let Some(body) = expected["body"].as_str() {
        let sent: Vec<_> = form_urlencoded::parse(body.as_bytes()).collect();
        let mut sent: Vec<_> = sent.iter().map(|(n, v)| (&**n, &**v)).collect();
        let mut form = form;
        sent.sort_unstable();
        form.sort_unstable();
        assert_eq!(sent, form, "{id}");
        batch(id, &query, &form);
    }
}

/// The same arrays from the items that they stand for.
fn batch(id: &str, query: &[(&str, &str)], form: &[(&str, &str)]) {
    let array = |name: &str| -> Option<Vec<Value>> {
        let (_, text) = form.iter().find(|(n, _)| *n == name)?;
        serde_json::from_str(text).ok()
    };
    let (Some(numbers), Some(signs), Some(params)) = (
        array("PhoneNumberJson"),
        array("SignNameJson"),
        array("TemplateParamJson"),
    ) else {
        return;
    };
    let code = query.iter().find(|(n, _)| *n == "TemplateCode").unwrap().1;
    let item = |i: usize| Item {
        recipient: format!("+86{}", text(&numbers[i])).parse().unwrap(),
        sign_name: text(&signs[i]),
        content: Content::Named {
            code: code.to_owned(),
            params: serde_json::from_value(params[i].clone()).unwrap(),
        },
        text: String::new(),
    };
    let items: Vec<Item> = (0..numbers.len()).map(item).collect();
    let outgoing = wire::outgoing(CallId::from_random(1), &items).unwrap();
    let made = |name: &str| -> Vec<Value> {
        let (_, text) = outgoing.form.iter().find(|(n, _)| *n == name).unwrap();
        serde_json::from_str(text).unwrap()
    };
    if outgoing.action == "SendBatchSms" {
        assert_eq!(made("PhoneNumberJson"), numbers, "{id}");
        assert_eq!(made("SignNameJson"), signs, "{id}");
        assert_eq!(made("TemplateParamJson"), params, "{id}");
    }
}

fn acs3(id: &str, inputs: &Value, expected: &Value) {
    let headers: BTreeMap<&str, String> = pairs(&inputs["signed_headers"])
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    let body = text(&inputs["body"]);
    assert_eq!(
        headers["x-acs-content-sha256"],
        sign::body_hash(body.as_bytes()),
        "{id}"
    );
    let signed = sign::sign(
        &sign::Request {
            method: &text(&inputs["method"]),
            path: &text(&inputs["path"]),
            query: &pairs(&inputs["query_params"]),
            headers: &headers,
            body: body.as_bytes(),
        },
        &text(&inputs["access_key_id"]),
        &text(&inputs["access_key_secret"]),
    );
    assert_eq!(
        signed.canonical_request,
        text(&expected["canonical_request"]),
        "{id}"
    );
    assert_eq!(
        signed.string_to_sign,
        text(&expected["string_to_sign"]),
        "{id}"
    );
    assert_eq!(
        signed.authorization,
        text(&expected["authorization"]),
        "{id}"
    );
    if let Some(url) = expected["url"].as_str() {
        // Through the URL type that is sent, which must not encode anything once more.
        let mut sent = reqwest::Url::parse(&format!("https://{}/", headers["host"])).unwrap();
        sent.set_query(Some(&signed.query));
        assert_eq!(sent.as_str(), url, "{id}");
    }
}
