//! The four vendor forms against documented requests of the vendors.

use std::{collections::BTreeMap, fmt::Write};

use jixinda_schemas::{
    directory::Template,
    template::{Content, content, render},
};
use serde_json::{Value, json};

use crate::vector;

/// What `template::content` makes of a template with one channel of this code and form.
fn made(body: &str, code: Option<&str>, form: &Value, params: &[(&str, &str)]) -> Content {
    let template: Template = serde_json::from_value(json!({
        "id": "t", "app": "shop", "lane": "otp", "body": body, "signature": "acme",
        "variables": params.iter().map(|(name, _)| json!({"name": name})).collect::<Vec<_>>(),
        "channels": {"c": {"code": code, "approved": true, "form": form}},
    }))
    .unwrap();
    let params: BTreeMap<String, String> = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let text = render(&template.body, &params).unwrap();
    let there = &template.channels["c"];
    content(&there.form, there.code.as_deref(), &params, &text).unwrap()
}

#[test]
fn aliyun_takes_named_variables() {
    let vector = vector("aliyun.rpc_v1.sendsms");
    let query = &vector["inputs"]["query_params"];
    let expected = Content::Named {
        code: query["TemplateCode"].as_str().unwrap().to_owned(),
        params: serde_json::from_str(query["TemplateParam"].as_str().unwrap()).unwrap(),
    };
    let form = json!({"kind": "named"});
    let got = made(
        "code {code}",
        Some("SMS_123456789"),
        &form,
        &[("code", "123456")],
    );
    assert_eq!(got, expected);
    let form = json!({"kind": "named", "names": {"pin": "code"}});
    let got = made(
        "code {pin}",
        Some("SMS_123456789"),
        &form,
        &[("pin", "123456")],
    );
    assert_eq!(got, expected);
}

#[test]
fn tencent_takes_variables_by_position() {
    let vector = vector("tencent.tc3.SendSms");
    let body: Value = serde_json::from_str(vector["inputs"]["body"].as_str().unwrap()).unwrap();
    let expected = Content::Positional {
        code: body["TemplateId"].as_str().unwrap().to_owned(),
        params: serde_json::from_value(body["TemplateParamSet"].clone()).unwrap(),
    };
    let form = json!({"kind": "positional", "order": ["pin", "minutes"]});
    let values = [("minutes", "5"), ("pin", "123456")];
    let got = made(
        "{pin}, valid for {minutes} minutes",
        Some("449739"),
        &form,
        &values,
    );
    assert_eq!(got, expected);
}

#[test]
fn feige_takes_values_joined_by_a_separator() {
    let vector = vector("feige.body_v2");
    let expected = Content::Separated {
        code: vector["inputs"]["template_id"].to_string(),
        params: vector["expected"]["content"].as_str().unwrap().to_owned(),
    };
    let form = json!({"kind": "separated", "order": ["name", "code"], "separator": "||"});
    let values = [("code", "123456"), ("name", "张三")];
    let got = made("{name}: {code}", Some("200001"), &form, &values);
    assert_eq!(got, expected);
}

#[test]
fn montnets_takes_the_whole_text() {
    let vector = vector("montnets.content");
    let form = json!({"kind": "full_text"});
    let Content::FullText { text } = made("{what}短信", None, &form, &[("what", "测试")])
    else {
        panic!("another form")
    };
    assert_eq!(vector["inputs"]["text"], json!(text));
    let percent = text.bytes().fold(String::new(), |mut out, byte| {
        write!(out, "%{byte:02x}").unwrap();
        out
    });
    assert_eq!(vector["expected"]["utf8_percent"], json!(percent));
}
