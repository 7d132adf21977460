//! Vonage's server side: three proofs, what is wrong with a message, an id for each part, webhooks in every form.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jixinda_lab::vendors::vonage::sign::{self, Method};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::client::{admin, decode, encode, post};
use crate::receiver::{Receiver, url};
use crate::setup::{Setup, eventually};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const SECRET: &str = "vonage-secret";
const SIGNER: &str = "signature-secret";
const ACCOUNT: &str = "
[[accounts]]
id = 'vonage'
vendor = 'vonage'
access_key_id = 'abcd1234'
secrets = ['vonage-secret']
sign_names = ['ACME', '12025550123']
";
const SIGNED: &str = "signature_method = 'sha256', signature_secret = 'signature-secret'";
const RIGHT: [(&str, &str); 4] = [
    ("from", "ACME"),
    ("to", "6581234567"),
    ("text", "Your code is 123456"),
    ("client-ref", "msg-0001"),
];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = BTreeMap::from(RIGHT);
    form.extend(more.iter().copied());
    form.into_iter().filter(|(_, v)| !v.is_empty()).collect()
}

async fn call(setup: &Setup, secret: Option<&str>, kind: &str, body: &str) -> Value {
    let basic = secret.map(|secret| {
        let pair = STANDARD.encode(format!("abcd1234:{secret}"));
        format!("Basic {pair}")
    });
    let mut headers = vec![("content-type", kind)];
    headers.extend(basic.as_deref().map(|basic| ("authorization", basic)));
    let answer = post(setup.at(), "/sms/json", &headers, body).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

async fn send(setup: &Setup, form: &[(&str, &str)]) -> Value {
    call(setup, Some(SECRET), FORM, &encode(form)).await
}

fn status(answer: &Value) -> &str {
    assert_eq!(answer["message-count"], "1");
    answer["messages"][0]["status"].as_str().unwrap()
}

/// A form that a secret signs, with a clock that is so many seconds behind.
fn signed(method: Method, secret: &str, age: i64) -> Vec<(String, String)> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut form: Vec<_> = RIGHT.into_iter().map(pair).collect();
    form.push(pair(("api_key", "abcd1234")));
    form.push(pair(("timestamp", &(now - age).to_string())));
    form[2].1 = "a=1&b=2".to_owned();
    let sig = sign::signature(method, secret, &sign::string_to_sign(&form));
    form.push(("sig".to_owned(), sig.to_uppercase()));
    form
}

fn encoded(form: &[(String, String)]) -> String {
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    encode(&form)
}

#[tokio::test]
async fn every_proof_is_good_and_a_wrong_one_is_not() {
    let setup = Setup::new("", &format!("{ACCOUNT}settings = {{ {SIGNED} }}\n")).await;
    let answer = send(&setup, &RIGHT).await;
    assert_eq!(status(&answer), "0");
    let message = &answer["messages"][0];
    assert_eq!(
        (&message["to"], &message["client-ref"]),
        (&json!("6581234567"), &json!("msg-0001"))
    );
    let keyed = |secret| with(&[("api_key", "abcd1234"), ("api_secret", secret)]);
    let (right, wrong) = (keyed(SECRET), keyed("wrong"));
    let of_json = |form: &[(&str, &str)]| {
        let object: BTreeMap<&str, &str> = form.iter().copied().collect();
        json!(object).to_string()
    };
    let sha = |secret, age| signed(Method::Sha256, secret, age);
    let mut altered = sha(SIGNER, 0);
    altered[1].1 = "6581234568".to_owned();
    let mut untimed = sha(SIGNER, 0);
    untimed.retain(|(name, _)| name != "timestamp");
    let mut both = sha(SIGNER, 0);
    both.push(("api_secret".to_owned(), SECRET.to_owned()));
    let nobody = with(&[("api_key", "nobody"), ("api_secret", SECRET)]);
    for (basic, kind, body, wanted) in [
        (None, FORM, encode(&right), "0"),
        (None, JSON, of_json(&right), "0"),
        (None, FORM, encoded(&sha(SIGNER, 0)), "0"),
        (Some("wrong"), FORM, encode(&RIGHT), "4"),
        (None, FORM, encode(&wrong), "4"),
        (None, FORM, encode(&nobody), "4"),
        (None, FORM, encode(&RIGHT), "4"),
        // The API secret signs nothing.
        (None, FORM, encoded(&sha(SECRET, 0)), "14"),
        (None, FORM, encoded(&sha(SIGNER, 1_000)), "14"),
        (None, FORM, encoded(&sha(SIGNER, -1_000)), "14"),
        (None, FORM, encoded(&signed(Method::Md5, SIGNER, 0)), "14"),
        (None, FORM, encoded(&altered), "14"),
        (None, FORM, encoded(&untimed), "14"),
        (None, FORM, encoded(&both), "32"),
        (Some(SECRET), FORM, encoded(&sha(SIGNER, 0)), "32"),
    ] {
        let answer = call(&setup, basic, kind, &body).await;
        assert_eq!(status(&answer), wanted, "{body}");
    }
    // The secret of signatures is nobody's to read.
    let view = admin(setup.at(), "GET", "/lab/accounts/vonage", "")
        .await
        .json();
    assert_eq!(view["settings"], json!({ "signature_method": "sha256" }));
}

#[tokio::test]
async fn an_account_without_signatures_takes_none() {
    let setup = Setup::new("", ACCOUNT).await;
    let body = encoded(&signed(Method::Md5Hash, SECRET, 0));
    assert_eq!(status(&call(&setup, None, FORM, &body).await), "14");
}

#[tokio::test]
async fn each_rule_has_its_code() {
    let setup = Setup::new("", ACCOUNT).await;
    let long = "x".repeat(101);
    let very_long = "x".repeat(3_201);
    let url = format!("http://h/{long}");
    let binary = |body: &'static str| {
        vec![
            ("text", ""),
            ("type", "binary"),
            ("body", body),
            ("udh", "06050415811581"),
        ]
    };
    for (more, wanted) in [
        (vec![("from", "")], "2"),
        (vec![("to", "")], "2"),
        (vec![("text", "")], "2"),
        (vec![("to", "+6581234567")], "3"),
        (vec![("to", "6581234567,6581234568")], "3"),
        (vec![("from", "+12025550123")], "3"),
        (vec![("from", "twelve chars")], "3"),
        (vec![("from", "OTHER")], "15"),
        (vec![("from", "12025550123")], "0"),
        (vec![("text", "验证码")], "6"),
        (vec![("text", "验证码"), ("type", "unicode")], "0"),
        (vec![("type", "utf8")], "3"),
        (vec![("text", &*very_long)], "12"),
        (vec![("client-ref", &*long)], "3"),
        (vec![("callback", "h/r")], "23"),
        (vec![("callback", &*url)], "23"),
        (vec![("ttl", "19999")], "3"),
        (vec![("ttl", "604800001")], "3"),
        (vec![("ttl", "20000")], "0"),
        (vec![("message-class", "4")], "3"),
        (vec![("status-report-req", "yes")], "3"),
        (vec![("client_ref", "x")], "3"),
        (binary("0011"), "0"),
        (binary("001"), "3"),
        (vec![("to", "6581230001")], "33"),
        (vec![("to", "6581230002")], "7"),
        (vec![("to", "6581230009")], "9"),
        (vec![("to", "6581230013")], "1"),
        (vec![("to", "6581230014")], "5"),
        (vec![("to", "6581230015")], "15"),
    ] {
        let answer = send(&setup, &with(&more)).await;
        assert_eq!(status(&answer), wanted, "{more:?}");
        let text = answer["messages"][0].get("error-text");
        assert_eq!(text.is_none(), wanted == "0");
    }
    let headers = [("content-type", JSON)];
    let answer = post(setup.at(), "/sms/json", &headers, "[]").await.json();
    assert_eq!(status(&answer), "4");
}

#[tokio::test]
async fn each_part_has_an_id_and_a_receipt_in_the_accounts_form() {
    for (settings, method) in [
        ("dlr_method = 'get'".to_owned(), None),
        ("dlr_method = 'post'".to_owned(), None),
        (
            format!("dlr_method = 'get', {SIGNED}"),
            Some(Method::Sha256),
        ),
        (
            format!("dlr_method = 'post', dlr_names = 'camel', {SIGNED}"),
            Some(Method::Sha256),
        ),
        (
            "dlr_method = 'json', signature_method = 'md5hash'".to_owned(),
            Some(Method::Md5Hash),
        ),
    ] {
        let (receiver, address) = Receiver::start(&[]).await;
        let account = format!("{ACCOUNT}settings = {{ {settings} }}\n{}", url(address));
        let setup = Setup::new("", &account).await;
        let text = "字".repeat(71);
        let callback = format!("http://{address}/r?mid=7");
        let form = with(&[
            ("to", "8613800130003"),
            ("text", &text),
            ("type", "unicode"),
            ("callback", &callback),
        ]);
        let answer = send(&setup, &form).await;
        assert_eq!(answer["message-count"], "2");
        let mo = r#"{"from":"+6581234567","to":"12025550123","text":"Stop it"}"#;
        admin(setup.at(), "POST", "/lab/accounts/vonage/inbound", mo).await;
        eventually("all come", || async { receiver.requests().len() == 3 }).await;
        let camel = settings.contains("camel");
        let mut ids = Vec::new();
        for (headers, body) in receiver.requests() {
            let mut given = if settings.contains("json") {
                assert_eq!(headers["content-type"], JSON);
                serde_json::from_str(&body).unwrap()
            } else {
                decode(&body)
            };
            // Of the callback's query, which a GET has before the rest.
            given.remove("mid");
            assert_eq!(given.contains_key("sig"), method.is_some());
            if let Some(method) = method {
                let secret = if settings.contains(SIGNER) {
                    SIGNER
                } else {
                    SECRET
                };
                let pairs: Vec<_> = given.clone().into_iter().collect();
                let wanted = sign::signature(method, secret, &sign::string_to_sign(&pairs));
                assert_eq!(given["sig"], wanted);
                assert!(given.contains_key("nonce") && given.contains_key("timestamp"));
            }
            if let Some(text) = given.get("text") {
                assert_eq!((&**text, &*given["keyword"]), ("Stop it", "STOP"));
                assert_eq!(given["msisdn"], "6581234567");
                continue;
            }
            let names = if camel {
                ["errCode", "clientRef"]
            } else {
                ["err-code", "client-ref"]
            };
            let seen = names.map(|name| given[name].as_str());
            assert_eq!(seen, ["3", "msg-0001"]);
            assert_eq!((&*given["status"], &*given["to"]), ("failed", "ACME"));
            assert_eq!(
                (&*given["msisdn"], given["scts"].len()),
                ("8613800130003", 10)
            );
            ids.push(given["messageId"].clone());
        }
        ids.sort();
        let of_parts = answer["messages"].as_array().unwrap().iter();
        let wanted: Vec<_> = of_parts
            .map(|part| part["message-id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, wanted);
    }
}

#[tokio::test]
async fn a_webhook_is_retried_and_a_forged_one_has_no_proof() {
    let (receiver, address) = Receiver::start(&[(500, ""), (500, "")]).await;
    let account = format!(
        "{ACCOUNT}settings = {{ {SIGNED} }}\n{}behaviour.receipt_forgeries = 1.0\n",
        url(address)
    );
    let setup = Setup::new("receipt_retry_scale = 0.0005", &account).await;
    send(&setup, &RIGHT).await;
    // The forged one, and the right one at least twice.
    eventually("all come", || async { receiver.requests().len() >= 3 }).await;
    let proved = receiver.requests().into_iter().map(|(_, body)| {
        let given = decode(&body);
        let pairs: Vec<_> = given.clone().into_iter().collect();
        let wanted = sign::signature(Method::Sha256, SIGNER, &sign::string_to_sign(&pairs));
        (given["status"] == "delivered", given["sig"] == wanted)
    });
    let mut proved: Vec<_> = proved.collect();
    proved.sort_unstable();
    proved.dedup();
    assert_eq!(proved, [(false, false), (true, true)]);
}
