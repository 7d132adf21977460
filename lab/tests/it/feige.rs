//! Feige's server side: both APIs, what they count and what they refuse, receipts in each of their shapes.

use serde_json::{Value, json};

use crate::client::{admin, encode, post_as};
use crate::receiver::{Receiver, url};
use crate::setup::{Setup, eventually};

const ACCOUNT: &str = "
[[accounts]]
id = 'feige'
vendor = 'feige'
access_key_id = 'N1'
secrets = ['feige-secret']
sign_names = ['100001']
templates = { 200001 = { variables = ['name', 'code'] }, 200002 = {} }
";

async fn setup(more: &str) -> Setup {
    Setup::new("", &format!("{ACCOUNT}{more}")).await
}

/// A right body of the new API's template call, with changes; what is null is left out.
fn templated(changes: Value) -> Value {
    let mut body = json!({
        "apikey": "N1", "secret": "feige-secret", "sign_id": 100001, "template_id": 200001,
        "mobile": "13800138123", "content": "张三||123456",
    });
    change(&mut body, changes);
    body
}

fn change(body: &mut Value, changes: Value) {
    let fields = body.as_object_mut().unwrap();
    let Value::Object(changes) = changes else {
        return;
    };
    for (name, value) in changes {
        fields.insert(name, value);
    }
    fields.retain(|_, value| !value.is_null());
}

async fn new(setup: &Setup, path: &str, body: &Value) -> Value {
    let body = body.to_string();
    let answer = post_as(setup.at(), path, "application/json", &body).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

async fn old(setup: &Setup, path: &str, fields: &[(&str, &str)]) -> Value {
    let kind = "application/x-www-form-urlencoded";
    let mut all = vec![("Account", "N1"), ("Pwd", "feige-secret")];
    for (name, value) in fields {
        all.retain(|(known, _)| known != name);
        all.push((name, value));
    }
    let answer = post_as(setup.at(), path, kind, &encode(&all)).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

#[tokio::test]
async fn the_new_api_takes_what_is_good_of_a_call() {
    let setup = setup("").await;
    let mobile = "13800138123,13800130001,13900139123,+8613900139124";
    let body = templated(json!({ "mobile": mobile }));
    let answer = new(&setup, "/sms/template", &body).await;
    assert_eq!((&answer["code"], &answer["count"]), (&json!(0), &json!(2)));
    assert_eq!(answer["msg_no"].as_str().unwrap().len(), 20);
    let body = templated(json!({ "template_id": null, "content": "您的验证码为123456" }));
    assert_eq!(new(&setup, "/sms/send", &body).await["code"], 0);
    let body = templated(json!({ "template_id": "200002", "content": "" }));
    assert_eq!(new(&setup, "/sms/template", &body).await["code"], 0);
    eventually("they are journalled", || async { setup.calls().len() == 3 }).await;
    let call = setup.calls().remove(0);
    assert_eq!(call.refused.len(), 2);
    assert_eq!(call.params.unwrap()["2"], "123456");
}

#[tokio::test]
async fn a_spoilt_call_of_the_new_api_gets_the_code_for_it() {
    let setup = setup("settings = { max_numbers = '2' }").await;
    for (changes, code) in [
        (json!({ "secret": "wrong" }), 1),
        (json!({ "apikey": "nobody" }), 1),
        (json!({ "secret": null, "Secret": "feige-secret" }), 10001),
        (json!({ "mobile": null }), 10001),
        (json!({ "template_id": null }), 10001),
        (json!({ "content": "" }), 10001),
        (json!({ "content": "张三" }), 10002),
        (json!({ "template_id": 200003 }), 10002),
        (json!({ "sign_id": 100002 }), 10002),
        (json!({ "Content": "张三||1" }), 10002),
        (json!({ "mobile": ["13800138123"] }), 10002),
        (
            json!({ "mobile": "13800138123,13800138124,13800138125" }),
            10003,
        ),
        (json!({ "mobile": "13800130001" }), 10002),
        (json!({ "mobile": "13800130002" }), 10002),
        (json!({ "mobile": "13800130009" }), 15),
        (json!({ "mobile": "13800130012" }), 10007),
        (json!({ "mobile": "13800130013" }), 10008),
        (json!({ "mobile": "13800130014" }), 100),
        (json!({ "mobile": "13800130015" }), 10002),
    ] {
        let answer = new(&setup, "/sms/template", &templated(changes.clone())).await;
        assert_eq!(answer["code"], code, "{changes}: {answer}");
        assert!(answer["msg"].is_string() && answer.get("msg_no").is_none());
    }
    let kind = "application/x-www-form-urlencoded";
    let answer = post_as(setup.at(), "/sms/send", kind, "apikey=N1").await;
    assert_eq!(answer.json()["code"], 10002);
    let answer = post_as(setup.at(), "/sms/batch", kind, "").await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn the_old_api_counts_its_numbers() {
    let setup = setup("").await;
    let right = [
        ("Content", "张三||123456"),
        ("Mobile", "13800138123,13800130001,13800130002,1380013812"),
        ("TemplateId", "200001"),
        ("SignId", "100001"),
    ];
    let answer = old(&setup, "/SmsService/Template", &right).await;
    let counts = |answer: &Value| {
        ["Code", "SuccessCount", "InvalidCount", "BlackCount"]
            .map(|name| answer[name].as_u64().unwrap())
    };
    assert_eq!(counts(&answer), [0, 1, 2, 1]);
    assert!(!answer["SendId"].as_str().unwrap().is_empty());
    let records = "一#@#13800138123#@@#二#@#13900139123";
    let each = [("Content", records), ("SignId", "100001")];
    assert_eq!(
        counts(&old(&setup, "/SmsService/Gx", &each).await),
        [0, 2, 0, 0]
    );
    let abroad = [
        ("Content", "hello"),
        ("Mobile", "81234567"),
        ("CountryCode", "65"),
        ("SignId", "100001"),
    ];
    assert_eq!(
        counts(&old(&setup, "/SmsService/InterSms", &abroad).await),
        [0, 1, 0, 0]
    );
    for (name, value, wanted) in [
        ("Pwd", "wrong", [1, 0, 0, 0]),
        ("TemplateId", "", [10008, 0, 0, 0]),
        ("SignId", "", [10001, 0, 0, 0]),
        ("SendTime", "tomorrow", [10002, 0, 0, 0]),
        ("mobile", "13800138123", [10002, 0, 0, 0]),
        ("Mobile", "13800130002", [0, 0, 0, 1]),
        ("Mobile", "13800130013", [10007, 0, 0, 0]),
    ] {
        let mut fields = right.to_vec();
        fields.retain(|(known, _)| *known != name);
        fields.push((name, value));
        let answer = old(&setup, "/SmsService/Template", &fields).await;
        assert_eq!(counts(&answer), wanted, "{name} {value}: {answer}");
    }
    let spoilt = [("Content", "一#@@#二"), ("SignId", "100001")];
    assert_eq!(old(&setup, "/SmsService/Gx", &spoilt).await["Code"], 10002);
}

#[tokio::test]
async fn receipts_are_pushed_in_either_shape() {
    for (shape, list, id, mobile) in [
        ("data", "data", "msg_no", "13800130003"),
        ("reports", "reports", "send_id", "8613800130003"),
    ] {
        let (receiver, address) = Receiver::start(&[]).await;
        let more = format!("settings = {{ push_shape = '{shape}' }}\n{}", url(address));
        let setup = setup(&more).await;
        let body = templated(json!({ "mobile": "13800130003" }));
        let taken = new(&setup, "/sms/template", &body).await;
        eventually("it comes", || async { receiver.requests().len() == 1 }).await;
        let push: Value = serde_json::from_str(&receiver.requests()[0].1).unwrap();
        assert_eq!(push[if shape == "data" { "count" } else { "counts" }], 1);
        let report = &push[list][0];
        assert_eq!(report[id], taken["msg_no"]);
        assert_eq!(
            (&report["mobile"], &report["status"]),
            (&json!(mobile), &json!("UNDELIV"))
        );
    }
}

#[tokio::test]
async fn receipts_and_messages_are_fetched_once() {
    let setup = setup("settings = { report_every = '0' }").await;
    let pull = json!({ "apikey": "N1", "secret": "feige-secret", "count": "10" });
    assert_eq!(new(&setup, "/sms/report", &pull).await["code"], 10004);
    let taken = new(&setup, "/sms/template", &templated(json!({}))).await;
    let answer = new(&setup, "/sms/report", &pull).await;
    let report = json!({
        "msg_no": taken["msg_no"], "mobile": "13800138123", "status": "DELIVRD",
    });
    assert_eq!(answer["data"], json!([report]));
    assert_eq!(new(&setup, "/sms/report", &pull).await["code"], 10004);
    for count in ["9", "201", "x"] {
        let mut pull = pull.clone();
        pull["count"] = json!(count);
        assert_eq!(new(&setup, "/sms/report", &pull).await["code"], 10002);
    }
    new(&setup, "/sms/template", &templated(json!({}))).await;
    let answer = old(&setup, "/ReportMo/Rep", &[]).await;
    assert_eq!(answer["Rep"][0]["Status"], "DELIVRD");
    assert_eq!(old(&setup, "/ReportMo/Rep", &[]).await["Rep"], json!([]));
    let answer = old(&setup, "/ReportMo/Rep", &[("Count", "21")]).await;
    assert_eq!(answer["Code"], 10002);
    assert_eq!(old(&setup, "/ReportMo/Mo", &[]).await["Code"], 10005);
    let mo = r#"{"from":"+8613800138123","to":"12","text":"退订"}"#;
    admin(setup.at(), "POST", "/lab/accounts/feige/inbound", mo).await;
    let answer = old(&setup, "/ReportMo/Mo", &[]).await;
    assert_eq!(answer["Mo"][0]["Content"], "退订");
    assert_eq!(answer["Mo"][0]["Mobile"], "13800138123");
}

#[tokio::test]
async fn the_new_api_reports_once_in_a_while() {
    let setup = setup("settings = { report_every = '1000000' }").await;
    let pull = json!({ "apikey": "N1", "secret": "feige-secret", "count": "10" });
    assert_eq!(new(&setup, "/sms/report", &pull).await["code"], 10004);
    assert_eq!(new(&setup, "/sms/report", &pull).await["code"], 10007);
}
