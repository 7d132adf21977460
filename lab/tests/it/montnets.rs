//! Montnets' server side: who may send, both families of names and their charsets, derived ids, receipts pushed and fetched.

use std::collections::BTreeMap;

use jixinda_lab::journal::Pushed;
use jixinda_lab::vendors::montnets::sign::{self, Pwd};
use jixinda_lab::vendors::montnets::text::Charset;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::client::{Answer, admin, decode, encode, post};
use crate::receiver::{Receiver, url};
use crate::setup::{Setup, eventually};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const APIKEY: &str = "0123456789abcdef0123456789abcdef";
const NUMBER: &str = "13800138123";
const ACCOUNT: &str = "
[[accounts]]
id = 'montnets'
vendor = 'montnets'
access_key_id = 'J10003'
secrets = ['111111']
sign_names = ['测试签名']
templates = { 7 = { variables = ['code', 'minutes'], body = '#P_1#在#P_2#分钟内有效' } }
";
const BY_KEY: &str = "
[[accounts]]
id = 'by-key'
vendor = 'montnets'
access_key_id = '0123456789abcdef0123456789abcdef'
secrets = ['222222']
";

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Fields that prove the account, with a clock that is so many seconds behind.
fn proof(password: &str, age: i64) -> Value {
    let timestamp = sign::timestamp(now() - age);
    let pwd = sign::pwd(Pwd::Md5, "J10003", password, &timestamp);
    json!({ "userid": "j10003", "pwd": pwd, "timestamp": timestamp })
}

fn with(mut proof: Value, fields: &Value) -> Value {
    let fields = fields.as_object().unwrap().clone();
    proof.as_object_mut().unwrap().extend(fields);
    proof
}

async fn call(setup: &Setup, method: &str, body: &Value) -> Value {
    let path = format!("/sms/v2/std/{method}");
    let answer = post(
        setup.at(),
        &path,
        &[("content-type", JSON)],
        &body.to_string(),
    )
    .await;
    assert_eq!(answer.status, 200);
    answer.json()
}

/// `fields` under the account's right proof.
async fn send(setup: &Setup, method: &str, fields: Value) -> Value {
    call(setup, method, &with(proof("111111", 0), &fields)).await
}

async fn send_form(setup: &Setup, method: &str, fields: &str) -> Answer {
    let proof = proof("111111", 0);
    let text = |name: &str| proof[name].as_str().unwrap();
    let body = format!(
        "userid={}&pwd={}&timestamp={}&{fields}",
        text("userid"),
        text("pwd"),
        text("timestamp")
    );
    let path = format!("/sms/v2/std/{method}");
    post(setup.at(), &path, &[("content-type", FORM)], &body).await
}

fn id(value: &Value) -> i128 {
    value.to_string().parse().unwrap()
}

fn message(content: &str) -> Value {
    json!({ "mobile": NUMBER, "content": content, "custid": "msg-0001", "exdata": "campaign-7", "exno": "0006" })
}

#[tokio::test]
async fn either_proof_is_good_and_a_wrong_one_is_not() {
    let setup = Setup::new("", &format!("{ACCOUNT}{BY_KEY}")).await;
    let fields = message("hello");
    let right = call(&setup, "send_single", &with(proof("111111", 0), &fields)).await;
    assert_eq!(
        (&right["result"], &right["custid"], &right["desc"]),
        (&json!(0), &json!("msg-0001"), &json!("%e6%88%90%e5%8a%9f"))
    );
    let by_key = with(json!({ "apikey": APIKEY }), &fields);
    assert_eq!(call(&setup, "send_single", &by_key).await["result"], 0);
    let path = format!("/sms/v2/std/send_single?apikey={APIKEY}&mobile={NUMBER}&content=hello");
    let head = format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n");
    let mut connection = crate::client::Connection::open(setup.at()).await.unwrap();
    let answer = connection.send(head.as_bytes()).await.unwrap().json();
    assert_eq!(answer["result"], 0);
    // The platform has no name of its own for it: the vendor makes one up.
    assert!(!answer["custid"].as_str().unwrap().is_empty());
    let mut altered = proof("111111", 0);
    altered["timestamp"] = json!(sign::timestamp(now() - 1));
    let mut untimed = proof("111111", 0);
    untimed.as_object_mut().unwrap().remove("timestamp");
    let mut both = proof("111111", 0);
    both["apikey"] = json!(APIKEY);
    for wrong in [
        proof("222222", 0),
        proof("111111", 1_000),
        proof("111111", -1_000),
        altered,
        untimed,
        both,
        json!({ "apikey": "0".repeat(32) }),
        // A userid is no apikey.
        json!({ "apikey": "J10003" }),
        json!({}),
    ] {
        let answer = call(&setup, "send_single", &with(wrong, &fields)).await;
        assert_eq!(
            (&answer["result"], &answer["msgid"], &answer["custid"]),
            (&json!(-100_001), &json!(0), &json!(""))
        );
    }
}

#[tokio::test]
async fn other_accounts_have_other_hashes() {
    for (setting, method) in [("sha256", Pwd::Sha256), ("clear", Pwd::Clear)] {
        let setup = Setup::new(
            "",
            &format!("{ACCOUNT}settings = {{ pwd = '{setting}' }}\n"),
        )
        .await;
        let timestamp = sign::timestamp(now());
        let mut body = message("hello");
        body["userid"] = json!("J10003");
        body["pwd"] = json!(sign::pwd(method, "J10003", "111111", &timestamp));
        body["timestamp"] = json!(timestamp);
        assert_eq!(call(&setup, "send_single", &body).await["result"], 0);
        body["pwd"] = json!(sign::pwd(Pwd::Md5, "J10003", "111111", &timestamp));
        assert_eq!(call(&setup, "send_single", &body).await["result"], -100_001);
    }
}

#[tokio::test]
async fn contents_are_read_in_the_charset_of_the_method() {
    let setup = Setup::new("", ACCOUNT).await;
    let text = "验证码 1+1=2，100%";
    let (gbk, utf8) = (Charset::Gbk.percent(text), Charset::Utf8.percent(text));
    for (method, content) in [
        ("single_send", &gbk),
        ("send_single", &utf8),
        ("batch_send", &gbk),
        ("send_batch", &utf8),
    ] {
        let answer = send(&setup, method, message(content)).await;
        assert_eq!(answer["result"], 0, "{method}");
        let form = format!("mobile={NUMBER}&content={content}");
        let answer = send_form(&setup, method, &form).await.json();
        assert_eq!(answer["result"], 0, "{method}");
        // Once more is once too often.
        let twice = encode(&[("mobile", NUMBER), ("content", content)]);
        let answer = send_form(&setup, method, &twice).await.json();
        assert_eq!(answer["result"], -100_091, "{method}");
    }
    let wrong = send(&setup, "send_single", message(&gbk)).await;
    assert_eq!(wrong["result"], -100_091);
    let lists = [utf8.as_str(), utf8.as_str()].join(",");
    let mobiles = format!("{NUMBER},13900139123");
    let mixed = encode(&[("mobile", &mobiles), ("content", &lists)]);
    let answer = send_form(&setup, "send_mixed", &mixed).await.json();
    assert_eq!(answer["result"], 0);
    let template = |enc: fn(&str) -> String| {
        let inner = format!("P1={}&P2={}", enc("一 二"), enc("5"));
        Charset::Utf8.percent(&inner)
    };
    let content = template(|value| Charset::Utf8.percent(value));
    let fields = json!({ "mobile": NUMBER, "tmplid": "7", "content": content });
    assert_eq!(send(&setup, "send_template", fields).await["result"], 0);
    eventually("all calls", || async { setup.calls().len() == 15 }).await;
    let mut read = 0;
    for call in setup.calls() {
        let Some(params) = call.params else { continue };
        read += 1;
        match params.get("content") {
            Some(content) => assert_eq!(content, text),
            None => assert_eq!((&*params["P1"], &*params["P2"]), ("一 二", "5")),
        }
    }
    assert_eq!(read, 10);
}

#[tokio::test]
async fn each_rule_has_its_code() {
    let setup = Setup::new("", ACCOUNT).await;
    let of = |name: &str, value: &str| {
        let mut fields = message("hello");
        fields[name] = json!(value);
        fields
    };
    let (long, longer) = ("x".repeat(65), "x".repeat(991));
    let many = |count: usize| vec![NUMBER; count].join(",");
    let entry = |fields: Value| json!({ "multimt": [fields] });
    let entries = vec![message("hello"); 501];
    for (method, fields, code) in [
        ("send_single", of("mobile", ""), 100_012),
        ("send_single", of("mobile", "1380027"), 100_012),
        ("send_single", of("mobile", "+8613800138123"), 100_012),
        ("send_single", of("mobile", &many(2)), 100_014),
        ("send_batch", of("mobile", &many(1001)), 100_014),
        ("send_mixed", of("mobile", &many(501)), 100_014),
        ("send_mixed", of("mobile", &many(2)), 100_060),
        ("send_multi", json!({ "multimt": entries }), 100_014),
        ("send_multi", json!({ "multimt": "[" }), 100_091),
        ("send_multi", json!({ "multimt": [] }), 100_091),
        ("multi_send", entry(of("Mobile", NUMBER)), 100_098),
        ("multi_send", entry(of("custid", "a b")), 100_004),
        (
            "send_batch",
            of("mobile", "13800138123,006581234567"),
            100_012,
        ),
        ("send_single", of("content", ""), 100_106),
        ("send_single", of("content", &longer), 100_011),
        ("send_single", of("custid", &long), 100_004),
        ("send_single", of("exdata", "a b"), 100_004),
        ("send_single", of("svrtype", "SMS-1"), 100_252),
        ("send_single", of("exno", "1234567"), 100_098),
        ("send_single", of("custId", "x"), 100_098),
        ("send_template", of("tmplid", "8"), 100_058),
        ("send_template", of("tmplid", "7"), 100_059),
        ("single_send", of("mobile", "13800130001"), 100_012),
        ("single_send", of("mobile", "13800130009"), 100_003),
        ("single_send", of("mobile", "13800130013"), 100_056),
        ("single_send", of("mobile", "13800130014"), 100_999),
        ("single_send", of("mobile", "13800130015"), 100_502),
    ] {
        let answer = send(&setup, method, fields.clone()).await;
        assert_eq!(answer["result"], json!(-code), "{method} {code}");
    }
    for (kind, body, code) in [("text/xml", "<a/>", -100_100), (JSON, "{", -100_091)] {
        let headers = [("content-type", kind)];
        let answer = post(setup.at(), "/sms/v2/std/send_single", &headers, body).await;
        assert_eq!(answer.json()["result"], code);
    }
    let unknown = post(setup.at(), "/sms/v2/std/send", &[], "").await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn reports_are_fetched_once_with_derived_ids() {
    let setup = Setup::new("", ACCOUNT).await;
    // Two parts with the signature; the third number is illegal, the fourth on a blacklist.
    let content = Charset::Utf8.percent(&"字".repeat(65));
    let mut fields = message(&content);
    fields["mobile"] = json!("13800138123,13800130003,1380027,13800130002");
    let answer = send(&setup, "send_batch", fields).await;
    assert_eq!(answer["result"], 0);
    let first = id(&answer["msgid"]);
    let empty = send(&setup, "get_mo", json!({})).await;
    assert_eq!(empty, json!({ "result": 0, "mos": [] }));
    let three = send(&setup, "get_rpt", json!({ "retsize": "3" })).await;
    let rest = send(&setup, "get_rpt", json!({ "retsize": 500 })).await;
    let list = |answer: &Value| answer["rpts"].as_array().unwrap().clone();
    assert_eq!((list(&three).len(), list(&rest).len()), (3, 5));
    let wanted: BTreeMap<i128, Value> = [
        ("13800138123", 0, "DELIVRD"),
        ("13800130003", 1, "MK:0001"),
        ("1380027", 1, "MN:0001"),
        ("13800130002", 1, "BLACK"),
    ]
    .into_iter()
    .enumerate()
    .flat_map(|(index, (mobile, status, code))| {
        [1, 2].map(|part| {
            let id = sign::part_id(first, index + 1, part);
            (id, json!([mobile, status, code, part, 2]))
        })
    })
    .collect();
    let seen: BTreeMap<i128, Value> = [list(&three), list(&rest)]
        .concat()
        .iter()
        .map(|report| {
            assert_eq!(
                (&report["custid"], &report["exdata"]),
                (&json!("msg-0001"), &json!("campaign-7"))
            );
            assert_eq!(
                (&report["exno"], &report["countrycode"]),
                (&json!("0006"), &json!(86))
            );
            let of = |name: &str| report[name].clone();
            let value = ["mobile", "status", "errcode", "pknum", "pktotal"].map(of);
            (id(&report["msgid"]), json!(value))
        })
        .collect();
    assert_eq!(seen, wanted);
    let again = send(&setup, "get_rpt", json!({})).await;
    assert_eq!(again, json!({ "result": 0, "rpts": [] }));
}

#[tokio::test]
async fn entries_have_their_own_custid_and_ids_are_of_both_signs() {
    let setup = Setup::new("", ACCOUNT).await;
    let entry = |custid: &str| {
        let mut fields = message("hello");
        fields["custid"] = json!(custid);
        fields
    };
    let fields = json!({ "multimt": [entry("a"), entry("b")] });
    let answer = send(&setup, "multi_send", fields).await;
    assert_eq!(answer["custid"], "a");
    let reports = send(&setup, "get_rpt", json!({})).await;
    let seen: Vec<(i128, &Value)> = reports["rpts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|report| (id(&report["msgid"]), &report["custid"]))
        .collect();
    let first = id(&answer["msgid"]);
    assert_eq!(seen, [(first, &json!("a")), (first + 1, &json!("b"))]);
    eventually("it is journalled", || async { setup.calls().len() == 1 }).await;
    let call = setup.calls().remove(0);
    assert_eq!(
        (call.out_id, call.out_ids),
        (None, vec!["a".into(), "b".into()])
    );
    let mut ids = vec![first];
    for _ in 0..2 {
        ids.push(id(
            &send(&setup, "send_single", message("hello")).await["msgid"],
        ));
    }
    assert!(ids.iter().any(|id| *id < 0));
    assert!(ids.iter().any(|id| *id > i128::from(i64::MAX)));
}

#[tokio::test]
async fn replies_can_be_as_the_manual_prints_them() {
    for (setting, wanted) in [
        ("unquoted", "\"desc\":%e6%88%90%e5%8a%9f,"),
        ("absent", "{\"result\":0,\"msgid\":"),
    ] {
        let setup = Setup::new(
            "",
            &format!("{ACCOUNT}settings = {{ desc = '{setting}' }}\n"),
        )
        .await;
        let fields = format!("mobile={NUMBER}&content=hello");
        let answer = send_form(&setup, "send_single", &fields).await;
        assert!(answer.body.contains(wanted), "{}", answer.body);
    }
}

#[tokio::test]
async fn pushes_prove_the_account_and_want_their_number_back() {
    for raw in ["", "settings = { push_raw = 'true' }\n"] {
        let (receiver, address) = Receiver::start(&[
            (200, r#"{"cmd":"RPT_RESP","seqid":1,"result":0}"#),
            (200, ""),
        ])
        .await;
        let account = format!("{ACCOUNT}{raw}{}", url(address));
        let setup = Setup::new("receipt_retry_scale = 0.005", &account).await;
        send(&setup, "send_single", message("hello")).await;
        eventually("acknowledged at last", || async {
            let receipts = setup.receipts();
            receipts
                .last()
                .is_some_and(|last| last.pushed == Pushed::Acked)
        })
        .await;
        assert_eq!(setup.receipts().len(), 3);
        let mo = r#"{"from":"+8613800138123","to":"0006","text":"退订"}"#;
        let path = "/lab/accounts/montnets/inbound";
        let pushed = admin(setup.at(), "POST", path, mo).await.json();
        assert_eq!(pushed["result"], "acked");
        let requests = receiver.requests();
        assert_eq!(requests.len(), 4);
        for (index, (headers, body)) in requests.iter().enumerate() {
            assert_eq!(headers["content-type"], FORM);
            assert_eq!(body.contains("=[{\""), !raw.is_empty(), "{body}");
            let form = decode(body);
            let pwd = sign::pwd(Pwd::Md5, "J10003", "111111", &form["timestamp"]);
            assert_eq!(
                (&form["userid"], &form["pwd"]),
                (&"J10003".to_owned(), &pwd)
            );
            assert!(sign::seconds_off(&form["timestamp"], now()).unwrap() < 60);
            if index == 3 {
                let mos: Value = serde_json::from_str(&form["mos"]).unwrap();
                assert_eq!(form["cmd"], "MO_REQ");
                // Without an encoding of the list, the form's decoding takes that of the content.
                let content = if raw.is_empty() {
                    "%e9%80%80%e8%ae%a2"
                } else {
                    "退订"
                };
                assert_eq!(
                    (&mos[0]["mobile"], &mos[0]["content"]),
                    (&json!(NUMBER), &json!(content))
                );
            } else {
                let reports: Value = serde_json::from_str(&form["rpts"]).unwrap();
                assert_eq!(
                    (&*form["cmd"], reports.as_array().unwrap().len()),
                    ("RPT_REQ", 1)
                );
                assert_eq!(reports[0]["errcode"], "DELIVRD");
            }
        }
    }
}

#[tokio::test]
async fn a_forged_push_has_no_proof_and_messages_wait_to_be_fetched() {
    let (receiver, address) = Receiver::start(&[]).await;
    let key = format!(
        "{BY_KEY}settings = {{ userid = 'J10004' }}\n{}behaviour.receipt_forgeries = 1.0\n",
        url(address)
    );
    let setup = Setup::new("", &format!("{ACCOUNT}{key}")).await;
    let body = with(json!({ "apikey": APIKEY }), &message("hello"));
    call(&setup, "send_single", &body).await;
    eventually("both", || async { receiver.requests().len() == 2 }).await;
    let proved = receiver
        .requests()
        .iter()
        .filter(|(_, body)| {
            let form = decode(body);
            form["pwd"] == sign::pwd(Pwd::Md5, "J10004", "222222", &form["timestamp"])
        })
        .count();
    assert_eq!(proved, 1);
    let mo = r#"{"from":"+6581234567","to":"0006","text":"T"}"#;
    let path = "/lab/accounts/montnets/inbound";
    let kept = admin(setup.at(), "POST", path, mo).await.json();
    assert_eq!(kept["result"], "kept");
    let mos = send(&setup, "get_mo", json!({ "retsize": 200 })).await;
    assert_eq!(
        (&mos["mos"][0]["mobile"], &mos["mos"][0]["content"]),
        (&json!("006581234567"), &json!("T"))
    );
}
