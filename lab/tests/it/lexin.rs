//! Lexin's server side: three ways to prove a password, refusals that are texts, numbers that are counted, what is fetched.

use jixinda_lab::vendors::lexin::sign;
use serde_json::{Value, json};
use time::macros::{format_description, offset};
use time::{Duration, OffsetDateTime};

use crate::client::{Answer, Connection, admin, encode, post_as};
use crate::setup::{Setup, eventually};

const ACCOUNT: &str = "
[[accounts]]
id = 'lexin'
vendor = 'lexin'
access_key_id = 'lexin-user'
secrets = ['lexin-secret']
sign_names = ['测试签名']
templates = { T1 = { variables = ['name', 'code'] } }
";
const NUMBER: &str = "13800138123";

async fn setup(more: &str) -> Setup {
    Setup::new("", &format!("{ACCOUNT}{more}")).await
}

/// Fields of one call, right until a test spoils them.
#[derive(Clone)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn of(fields: &[(&str, &str)]) -> Self {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(fields.iter().map(pair).collect())
    }

    fn send() -> Self {
        Self::of(&[
            ("accName", "lexin-user"),
            ("accPwd", &sign::acc_pwd("lexin-secret")),
            ("aimcodes", NUMBER),
            ("content", "验证码123456【测试签名】"),
            ("dataType", "json"),
            ("msgId", "700000000000001"),
        ])
    }

    /// Puts a value in; an empty one takes the field out.
    fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.0.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    fn seeded(self, secret: &str, age: Duration) -> Self {
        let form = format_description!("[year][month][day][hour][minute][second]");
        let at = OffsetDateTime::now_utc().to_offset(offset!(+8)) - age;
        let seed = at.format(form).unwrap();
        let proof = sign::seeded(&sign::acc_pwd(secret), &seed);
        self.with("accPwd", &proof).with("seed", &seed)
    }

    async fn post(&self, setup: &Setup, path: &str) -> Answer {
        let fields: Vec<(&str, &str)> = self.0.iter().map(|(n, v)| (&**n, &**v)).collect();
        let kind = "application/x-www-form-urlencoded";
        let answer = post_as(setup.at(), path, kind, &encode(&fields)).await;
        assert_eq!(answer.status, 200);
        answer
    }

    async fn said(&self, setup: &Setup, path: &str) -> Value {
        self.post(setup, path).await.json()
    }

    async fn refusal(&self, setup: &Setup, path: &str) -> String {
        let said = self.said(setup, path).await;
        assert_eq!(said["replyCode"], 0, "{said}");
        said["replyMsg"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn numbers_are_counted_and_the_answer_has_the_form_that_was_asked_for() {
    let setup = setup("").await;
    let three = Fields::send().with("aimcodes", "13800138123,13800130001,13900139123");
    let said = three.said(&setup, "/sdk/send").await;
    for (name, value) in [
        ("replyCode", json!(1)),
        ("succeedNum", json!(2)),
        ("failedNum", json!(1)),
        ("chargCount", json!(2)),
        ("deduction", json!("120")),
    ] {
        assert_eq!(said[name], value, "{said}");
    }
    let string = three.clone().with("dataType", "");
    let answer = string.post(&setup, "/sdk/send").await;
    assert!(
        answer.body.starts_with("1;发送成功!;2;1;2;120;"),
        "{}",
        answer.body
    );
    let xml = three
        .with("dataType", "xml")
        .post(&setup, "/sdk/send")
        .await;
    let start = "<SendSmsReply><replyCode>1</replyCode>";
    assert!(xml.body.contains(start), "{}", xml.body);
    eventually("they are journalled", || async { setup.calls().len() == 3 }).await;
    let call = setup.calls().remove(0);
    assert_eq!(call.refused["+8613800130001"], "号码错误");
    assert_eq!(call.out_id.as_deref(), Some("700000000000001"));
}

#[tokio::test]
async fn a_spoilt_call_is_told_why() {
    let setup = setup("").await;
    let many = vec![NUMBER; 5_001].join(",");
    let lower = sign::acc_pwd("lexin-secret").to_lowercase();
    for (name, value, word) in [
        ("accPwd", "lexin-secret", "密码"),
        ("accPwd", &lower, "密码"),
        ("accPwd", &sign::acc_pwd("wrong"), "密码"),
        ("accName", "nobody", "账号"),
        ("accName", "", "账号"),
        ("content", "验证码123456", "签名"),
        ("content", "验证码【另一个】123456", "签名"),
        ("content", "", "内容"),
        ("aimcodes", "", "号码"),
        ("aimcodes", "+8613800138123", "号码"),
        ("aimcodes", &many, "过多"),
        ("msgId", "7000000000000012", "msgId"),
        ("msgId", "call-1", "msgId"),
        ("extNo", "1234567", "extNo"),
        ("schTime", "2025-01-02T03:04:05", "schTime"),
        ("msgID", "1", "msgID"),
        ("seed", "20250102030405", "seed"),
        ("aimcodes", "13800130002", "黑名单"),
        ("aimcodes", "13800130009", "余额"),
        ("aimcodes", "13800130012", "号码"),
        ("aimcodes", "13800130013", "频"),
        ("aimcodes", "13800130014", "繁忙"),
        ("aimcodes", "13800130015", "模板"),
    ] {
        let text = Fields::send()
            .with(name, value)
            .refusal(&setup, "/sdk/send")
            .await;
        assert!(text.contains(word), "{name}: {text}");
    }
}

#[tokio::test]
async fn a_seed_is_part_of_the_proof_and_grows_old() {
    let setup = setup("").await;
    let now = || Fields::send().seeded("lexin-secret", Duration::ZERO);
    assert_eq!(now().said(&setup, "/sdk/send2").await["replyCode"], 1);
    for (fields, word) in [
        (Fields::send(), "seed"),
        (now().with("seed", "20250102030405"), "过期"),
        (
            Fields::send().seeded("lexin-secret", Duration::hours(1)),
            "过期",
        ),
        (
            Fields::send().seeded("lexin-secret", -Duration::hours(1)),
            "过期",
        ),
        (Fields::send().seeded("wrong", Duration::ZERO), "密码"),
    ] {
        let text = fields.refusal(&setup, "/sdk/send2").await;
        assert!(text.contains(word), "{text}");
    }
}

#[tokio::test]
async fn the_digest_itself_can_be_the_secret_and_app_secrets_come_in_two_forms() {
    let digest = sign::acc_pwd("123456");
    let more = "
settings = { secret_is_md5 = 'true', numbers_as_text = 'true' }
[[accounts]]
id = 'app'
vendor = 'lexin'
access_key_id = 'app-1'
secrets = ['app-secret']
settings = { app_secret = 'plain' }
sign_names = ['测试签名']
templates = { T1 = { variables = ['name', 'code'] } }
";
    let account = ACCOUNT.replace("lexin-secret", &digest);
    let setup = Setup::new("", &format!("{account}{more}")).await;
    let said = Fields::send()
        .with("accPwd", &digest)
        .said(&setup, "/sdk/send")
        .await;
    assert_eq!(said["replyCode"], "1");
    let app = Fields::of(&[
        ("AppID", "app-1"),
        ("AppSecret", "app-secret"),
        ("SignName", "测试签名"),
        ("TemplateCode", "T1"),
        ("Format", "JSON"),
        (
            "TemplateParam",
            r#"{"13800138123":"a##1","13900139123":"b##2"}"#,
        ),
        ("msgId", "5"),
    ]);
    let path = "/msgpool/sdk/sendByTemplate";
    let said = app.said(&setup, path).await;
    assert_eq!(
        (&said["replyCode"], &said["succeedNum"]),
        (&json!(1), &json!(2))
    );
    for (name, value, word) in [
        ("AppSecret", sign::acc_pwd("app-secret"), "密码"),
        ("TemplateParam", r#"{"13800138123":"a"}"#.to_owned(), "模板"),
        ("TemplateParam", "a##1".to_owned(), "TemplateParam"),
        ("TemplateCode", "T2".to_owned(), "模板"),
        ("SignName", "另一个".to_owned(), "签名"),
    ] {
        let text = app.clone().with(name, &value).refusal(&setup, path).await;
        assert!(text.contains(word), "{name}: {text}");
    }
}

#[tokio::test]
async fn receipts_and_messages_are_fetched_once() {
    let setup = setup("").await;
    let two = Fields::send().with("aimcodes", "13800138123,13800130003");
    two.said(&setup, "/sdk/send").await;
    let proof = sign::acc_pwd("lexin-secret");
    let auth = Fields::of(&[("accName", "lexin-user"), ("accPwd", &proof)]);
    let answer = auth.post(&setup, "/sdk/qryReport").await;
    let mut records: Vec<&str> = answer.body.split(';').collect();
    records.sort_unstable();
    let wanted = [
        "700000000000001,13800130003,0",
        "700000000000001,13800138123,1",
    ];
    assert_eq!(records, wanted);
    assert_eq!(auth.post(&setup, "/sdk/qryReport").await.body, "");
    let mo = r#"{"from":"+8613800138123","to":"测试签名","text":"退订"}"#;
    admin(setup.at(), "POST", "/lab/accounts/lexin/inbound", mo).await;
    let seeded = auth.clone().seeded("lexin-secret", Duration::ZERO);
    let answer = seeded.post(&setup, "/sdk/receiveSms2").await;
    let start = "测试签名$$$$13800138123$$$$退订$$$$20";
    assert!(answer.body.starts_with(start), "{}", answer.body);
    // GET works as well.
    let request = format!(
        "GET /sdk/receiveSms?accName=lexin-user&accPwd={proof} HTTP/1.1\r\nhost: h\r\n\r\n"
    );
    let mut connection = Connection::open(setup.at()).await.unwrap();
    let answer = connection.send(request.as_bytes()).await.unwrap();
    assert_eq!((answer.status, &*answer.body), (200, ""));
}

#[tokio::test]
async fn an_early_receipt_can_be_fetched_as_soon_as_the_call_is_answered() {
    let setup = setup("behaviour.receipt_delay = { mean = '1h' }").await;
    let early = Fields::send().with("aimcodes", "13800130007,13800138123");
    let answer = early.said(&setup, "/sdk/send");
    let answer = tokio::time::timeout(std::time::Duration::from_secs(5), answer).await;
    assert_eq!(answer.unwrap()["replyCode"], 1);
    let proof = sign::acc_pwd("lexin-secret");
    let auth = Fields::of(&[("accName", "lexin-user"), ("accPwd", &proof)]);
    let answer = auth.post(&setup, "/sdk/qryReport").await;
    assert_eq!(answer.body, "700000000000001,13800130007,1");
}

#[tokio::test]
async fn an_account_that_cannot_push_has_no_url() {
    let setup = setup("").await;
    let change = r#"{"receipt_url":"http://127.0.0.1:1/r"}"#;
    let answer = admin(setup.at(), "PATCH", "/lab/accounts/lexin", change).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("pushes no receipts"),
        "{}",
        answer.body
    );
}
