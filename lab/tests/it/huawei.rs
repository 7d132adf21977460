//! Huawei's server side: both proofs, what is wrong with a call, a status for each number, receipts and their proof.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use jixinda_lab::journal::Outcome;
use jixinda_lab::vendors::huawei::sign;
use jixinda_lab::wire::canonical_query;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::client::{Answer, HOST, admin, decode, encode, post};
use crate::receiver::{Receiver, url};
use crate::setup::{Setup, eventually};

const SEND: &str = "/sms/batchSendSms/v1";
const DIFF: &str = "/sms/batchSendDiffSms/v1";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const SECRET: &str = "huawei-secret";
const NUMBER: &str = "+8613800138123";
const ACCOUNT: &str = "
[[accounts]]
id = 'huawei'
vendor = 'huawei'
access_key_id = 'huawei-key'
secrets = ['huawei-secret']
sign_names = ['测试签名']
templates = { T1 = { variables = ['1'] }, T2 = { body = '字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字' } }
";
const SETTINGS: &str = "settings = { from = 'csms1,csms2', generic_templates = 'T2' }\n";

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

#[derive(Clone, Copy)]
enum Proof {
    Hex,
    Raw,
    /// What is claimed of the body's hash.
    Signed(Option<&'static str>),
}

/// One call, right until a test spoils it.
#[derive(Clone)]
struct Request {
    path: &'static str,
    key: &'static str,
    secret: &'static str,
    age: i64,
    nonce: String,
    proof: Proof,
    kind: &'static str,
    body: String,
    /// Sent in place of the proved body.
    altered: Option<String>,
    without: &'static str,
}

fn form<'a>(more: &[(&'a str, &'a str)]) -> String {
    let mut form: BTreeMap<&str, &str> = BTreeMap::from([
        ("from", "csms1"),
        ("to", NUMBER),
        ("templateId", "T1"),
        ("templateParas", r#"["369751"]"#),
        ("extend", "call-1"),
    ]);
    form.extend(more.iter().copied());
    let form: Vec<(&str, &str)> = form.into_iter().filter(|(_, v)| !v.is_empty()).collect();
    encode(&form)
}

impl Request {
    fn new(body: String) -> Self {
        static NONCES: AtomicU64 = AtomicU64::new(0);
        Self {
            path: SEND,
            key: "huawei-key",
            secret: SECRET,
            age: 0,
            nonce: format!("n{}", NONCES.fetch_add(1, Ordering::Relaxed)),
            proof: Proof::Hex,
            kind: FORM,
            body,
            altered: None,
            without: "",
        }
    }

    fn diff(body: &Value) -> Self {
        Self {
            path: DIFF,
            kind: JSON,
            ..Self::new(body.to_string())
        }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let sent = now() - time::Duration::seconds(self.age);
        let mut headers = vec![("content-type", self.kind.to_owned())];
        let Proof::Signed(claimed) = self.proof else {
            let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
            let (created, nonce) = (sent.format(form).unwrap(), &self.nonce);
            let digest = match self.proof {
                Proof::Raw => sign::digest_raw(self.secret, nonce, &created),
                _ => sign::digest_hex(self.secret, nonce, &created),
            };
            let wsse = r#"WSSE realm="SDP",profile="UsernameToken",type="Appkey""#;
            let token = format!(
                r#"UsernameToken Username="{}",PasswordDigest="{digest}",Nonce="{nonce}",Created="{created}""#,
                self.key
            );
            headers.extend([("authorization", wsse.to_owned()), ("x-wsse", token)]);
            return headers;
        };
        let date = sign::date(sent.unix_timestamp());
        headers.push(("host", HOST.to_owned()));
        headers.extend(claimed.map(|claimed| ("x-sdk-content-sha256", claimed.to_owned())));
        headers.push(("x-sdk-date", date.clone()));
        let signed: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let line = sign::payload_line(claimed, self.body.as_bytes());
        let canonical = sign::canonical_request("POST", self.path, "", &signed, &line);
        let signature = sign::signature(self.secret, &sign::string_to_sign(&date, &canonical));
        let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
        let authorization = format!(
            "SDK-HMAC-SHA256 Access={}, SignedHeaders={}, Signature={signature}",
            self.key,
            names.join(";")
        );
        headers.retain(|(name, _)| *name != "host");
        headers.push(("authorization", authorization));
        headers
    }

    async fn send(&self, setup: &Setup) -> Answer {
        let mut headers = self.headers();
        headers.retain(|(name, _)| *name != self.without);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let body = self.altered.as_ref().unwrap_or(&self.body);
        post(setup.at(), self.path, &headers, body).await
    }

    /// HTTP status and code, or the status of the first number.
    async fn code(&self, setup: &Setup) -> (u16, String) {
        let answer = self.send(setup).await;
        let body = answer.json();
        let of_first = &body["result"][0]["status"];
        let code = of_first.as_str().or(body["code"].as_str()).unwrap();
        (answer.status, code.to_owned())
    }
}

async fn setup(more: &str) -> Setup {
    Setup::new("", &format!("{ACCOUNT}{more}")).await
}

#[tokio::test]
async fn every_proof_is_good_for_its_call() {
    let setup = setup(SETTINGS).await;
    let diff = json!({
        "from": "csms2", "extend": "call-2",
        "smsContent": [
            { "to": [NUMBER], "templateId": "T1", "templateParas": ["1"] },
            { "to": ["+6581234567"], "templateId": "T2", "signature": "测试签名" },
        ],
    });
    for proof in [Proof::Hex, Proof::Raw, Proof::Signed(None)] {
        for request in [Request::new(form(&[])), Request::diff(&diff)] {
            let request = Request { proof, ..request };
            assert_eq!(request.code(&setup).await, (200, "000000".to_owned()));
        }
    }
    let unsigned = Request {
        proof: Proof::Signed(Some(sign::UNSIGNED)),
        ..Request::new(form(&[]))
    };
    let answer = unsigned.send(&setup).await.json();
    assert_eq!(
        (&answer["code"], &answer["description"]),
        (&json!("000000"), &json!("Success"))
    );
    let result = &answer["result"][0];
    assert_eq!(result["originTo"], NUMBER);
    assert_eq!(
        (&result["from"], &result["countryId"], &result["total"]),
        (&json!("csms1"), &json!("CN"), &json!(1))
    );
    let (uuid, number) = result["smsMsgId"]
        .as_str()
        .unwrap()
        .split_once('_')
        .unwrap();
    assert!(uuid.len() == 36 && number.len() <= 13, "{result}");
    // A form that goes unsigned can be altered on its way, which is the vendor's choice.
    let altered = Some(form(&[("extend", "call-3")]));
    let altered = Request {
        altered,
        ..unsigned
    };
    assert_eq!(altered.code(&setup).await.0, 200);
    eventually("all are journalled", || async { setup.calls().len() == 8 }).await;
    let call = setup.calls().remove(1);
    assert_eq!(call.recipients, [NUMBER, "+6581234567"]);
    assert_eq!(call.out_id.as_deref(), Some("call-2"));
    assert_eq!(call.ids.len(), 2);
}

#[tokio::test]
async fn a_nonce_is_good_once() {
    let setup = setup(SETTINGS).await;
    let request = Request::new(form(&[]));
    let forged = Request {
        secret: "wrong",
        ..request.clone()
    };
    assert_eq!(forged.code(&setup).await.1, "E000105");
    assert_eq!(request.code(&setup).await.1, "000000");
    assert_eq!(request.code(&setup).await, (401, "E000101".to_owned()));
}

#[tokio::test]
async fn a_proof_that_is_spoilt_gets_the_code_for_it() {
    let setup = setup(SETTINGS).await;
    let right = || Request::new(form(&[]));
    let signed = || Request {
        proof: Proof::Signed(None),
        ..right()
    };
    let diff = json!({ "from": "csms1", "smsContent": [] });
    let with = |request: Request, change: fn(&mut Request)| {
        let mut request = request;
        change(&mut request);
        request
    };
    for (request, code) in [
        (with(right(), |it| it.secret = "wrong"), "E000105"),
        (with(right(), |it| it.key = "nobody"), "E000102"),
        (with(right(), |it| it.age = 1_000), "E000110"),
        (with(right(), |it| it.age = -1_000), "E000110"),
        (with(right(), |it| it.nonce = "not-alnum".into()), "E000027"),
        (with(right(), |it| it.without = "authorization"), "E000001"),
        (with(right(), |it| it.without = "x-wsse"), "E000020"),
        (with(signed(), |it| it.secret = "wrong"), "E000045"),
        (with(signed(), |it| it.key = "nobody"), "E000102"),
        (with(signed(), |it| it.age = 1_000), "E000110"),
        (
            with(signed(), |it| it.altered = Some(form(&[]) + "1")),
            "E000045",
        ),
        (with(signed(), |it| it.without = "x-sdk-date"), "E000040"),
        (
            with(Request::diff(&diff), |it| {
                it.proof = Proof::Signed(Some(sign::UNSIGNED));
            }),
            "E000045",
        ),
    ] {
        let (status, got) = request.code(&setup).await;
        assert_eq!(got, code);
        assert!((400..404).contains(&status), "{code}: {status}");
    }
    eventually("all are refused", || async { setup.calls().len() == 13 }).await;
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::AuthRefused { .. });
    assert!(setup.calls().iter().all(|call| refused(&call.outcome)));
}

#[tokio::test]
async fn each_rule_of_a_call_has_its_code() {
    let setup = setup(SETTINGS).await;
    let many = vec![NUMBER; 501].join(",");
    let (long, very_long) = ("x".repeat(33), "x".repeat(129));
    let of = |name: &'static str, value: &str| Request::new(form(&[(name, value)]));
    let group = |group: Value| Request::diff(&json!({ "from": "csms1", "smsContent": [group] }));
    let named = json!({ "to": [NUMBER], "templateId": "T1", "templateParas": "[\"1\"]" });
    let strange = json!({ "to": [NUMBER], "templateId": "T1", "templateParams": ["1"] });
    for (request, code) in [
        (of("from", ""), "E000503"),
        (of("to", ""), "E000503"),
        (of("to", "+86138x0138123"), "E000503"),
        (of("to", &many), "E000503"),
        (of("to", "+861380013812300000000"), "E000503"),
        (of("templateId", ""), "E000503"),
        (of("templateId", &long), "E000503"),
        (of("templateParas", r#"{"1":"2"}"#), "E000503"),
        (of("templateParas", "[1]"), "E000503"),
        (of("extend", &very_long), "E000503"),
        (of("statusCallback", "cb.example.com"), "E000503"),
        (of("TemplateParas", "[]"), "E000503"),
        (of("templateId", "T2"), "E200028"),
        (of("templateParas", ""), "E200028"),
        (of("templateId", "T9"), "E200030"),
        (of("signature", "别家"), "E200020"),
        (of("from", "csms9"), "E200018"),
        (of("to", "+861380027"), "E000503"),
        (group(named), "E000503"),
        (group(strange), "E000503"),
        (group(json!({ "to": [], "templateId": "T2" })), "E000503"),
        (
            group(json!({ "to": [NUMBER], "templateId": "T2" })),
            "E000503",
        ),
        (
            Request {
                kind: JSON,
                ..of("extend", "x")
            },
            "E000040",
        ),
        (of("to", "+8613800130009"), "E000112"),
        (of("to", "+8613800130013"), "E200036"),
        (of("to", "+8613800130014"), "E000000"),
        (of("to", "+8613800130015"), "E200030"),
    ] {
        let (_, got) = request.code(&setup).await;
        assert_eq!(got, code, "{}", request.body);
    }
}

#[tokio::test]
async fn each_number_has_its_own_status() {
    let setup = setup(SETTINGS).await;
    let to = format!("{NUMBER},13900139123,+861380027,{NUMBER},+8613800130001");
    let answer = Request::new(form(&[("to", &to)])).send(&setup).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["code"]), (200, &json!("E000510")));
    let results = body["result"].as_array().unwrap();
    let statuses: Vec<(&str, &str)> = results
        .iter()
        .map(|result| {
            let text = |name: &str| result[name].as_str().unwrap();
            (text("originTo"), text("status"))
        })
        .collect();
    let wanted = [
        (NUMBER, "000000"),
        ("13900139123", "000000"),
        ("+861380027", "E000503"),
        (NUMBER, "E200041"),
        ("+8613800130001", "E000503"),
    ];
    assert_eq!(statuses, wanted);
}

#[tokio::test]
async fn a_callback_gets_a_form_for_each_part() {
    let (receiver, address) = Receiver::start(&[(500, "")]).await;
    let setup = Setup::new(
        "receipt_retry_scale = 0.0005",
        &format!("{ACCOUNT}{SETTINGS}"),
    )
    .await;
    let callback = format!("http://{address}/r");
    // 66 characters and a signature of 4 with its brackets.
    let body = form(&[
        ("to", "+8613800138123,+8613800130002"),
        ("templateId", "T2"),
        ("templateParas", ""),
        ("signature", "测试签名"),
        ("statusCallback", &callback),
    ]);
    let answer = Request::new(body).send(&setup).await.json();
    assert_eq!(answer["result"][0]["total"], 2);
    // The first is not acknowledged and comes again.
    eventually("all parts", || async { receiver.requests().len() == 5 }).await;
    let mut seen: Vec<_> = receiver
        .requests()
        .iter()
        .map(|(headers, body)| {
            assert_eq!(headers["content-type"], FORM);
            assert!(!headers.contains_key("authorization"));
            let report = decode(body);
            assert_eq!((&*report["extend"], &*report["total"]), ("call-1", "2"));
            assert_eq!(
                report.contains_key("updateTime"),
                report["source"] == "2",
                "{report:?}"
            );
            let of = |name: &str| report[name].clone();
            (of("to"), of("sequence"), of("status"), of("smsMsgId"))
        })
        .collect();
    seen.sort();
    seen.dedup();
    let id = |index: usize| answer["result"][index]["smsMsgId"].as_str().unwrap();
    let part = |to: &str, part: &str, status: &str, id: &str| {
        (
            to.to_owned(),
            part.to_owned(),
            status.to_owned(),
            id.to_owned(),
        )
    };
    let wanted = [
        part("+8613800130002", "1", "BLACK", id(1)),
        part("+8613800130002", "2", "BLACK", id(1)),
        part("+8613800138123", "1", "DELIVRD", id(0)),
        part("+8613800138123", "2", "DELIVRD", id(0)),
    ];
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn the_accounts_url_gets_lists_and_extend_is_echoed_if_sent() {
    let (receiver, address) = Receiver::start(&[]).await;
    let setup = setup(&format!("{SETTINGS}{}", url(address))).await;
    let numbers: Vec<String> = (0..70).map(|n| format!("+86138001380{n:02}")).collect();
    let body = form(&[("to", &numbers.join(",")), ("extend", "")]);
    Request::new(body).send(&setup).await;
    let reports = || {
        let lists = receiver.requests().into_iter().map(|(_, body)| {
            let body: Value = serde_json::from_str(&body).unwrap();
            body["statusReportList"].as_array().unwrap().clone()
        });
        lists.collect::<Vec<_>>()
    };
    eventually("all reports", || async { reports().concat().len() == 70 }).await;
    assert!(reports().iter().all(|list| list.len() <= 50));
    for report in reports().concat() {
        assert_eq!(report["status"], "DELIVRD");
        assert!(report.get("extend").is_none() && report.get("to").is_none());
    }
}

#[tokio::test]
async fn signed_pushes_prove_the_account_and_forged_ones_do_not() {
    for (payload, line) in [
        ("", Some(sign::UNSIGNED)),
        (", push_payload = 'hashed'", None),
    ] {
        let (receiver, address) = Receiver::start(&[]).await;
        let settings = format!("settings = {{ push_auth = 'true'{payload} }}\n");
        let forge = "behaviour.receipt_forgeries = 1.0\n";
        let setup = setup(&format!("{settings}{}{forge}", url(address))).await;
        let callback = format!("http://{address}/r?mid=7");
        let body = form(&[("statusCallback", &callback)]);
        Request::new(body).send(&setup).await;
        Request::new(form(&[])).send(&setup).await;
        let mo = r#"{"from":"+8613800138123","to":"csms1","text":"退订"}"#;
        admin(setup.at(), "POST", "/lab/accounts/huawei/inbound", mo).await;
        eventually("all come", || async { receiver.requests().len() == 5 }).await;
        let mut good = 0;
        for (headers, body) in receiver.requests() {
            let text = |name: &str| headers[name].to_str().unwrap();
            let parsed = sign::parse_authorization(text("authorization")).unwrap();
            assert_eq!(parsed.access, "huawei-key");
            let names: Vec<&str> = parsed.signed_headers.split(';').collect();
            let signed: Vec<_> = names.iter().map(|name| (*name, text(name))).collect();
            let claimed = headers.get("x-sdk-content-sha256");
            let claimed = claimed.map(|value| value.to_str().unwrap());
            let of_form = text("content-type") == FORM;
            assert_eq!(claimed, line.filter(|_| of_form));
            let to_callback = decode(&body).contains_key("extend");
            let query = canonical_query(to_callback.then_some(("mid", "7")));
            let line = sign::payload_line(claimed, body.as_bytes());
            let canonical = sign::canonical_request("POST", "/r", &query, &signed, &line);
            let to_sign = sign::string_to_sign(text("x-sdk-date"), &canonical);
            good += usize::from(sign::signature(SECRET, &to_sign) == parsed.signature);
            if let Some(text) = decode(&body).get("body") {
                assert_eq!(text, "退订");
            }
        }
        // Two receipts and a message; the two forged ones fail.
        assert_eq!(good, 3);
    }
}
