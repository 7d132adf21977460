//! Tencent's server side: who may send, what is wrong with a call, what it answers for each number.

use std::collections::BTreeMap;

use jixinda_lab::vendors::tencent::sign;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::client::Connection;
use crate::setup::Setup;

/// One call, right until a test spoils it.
struct Request {
    secret: &'static str,
    age: i64,
    action: &'static str,
    body: Value,
    /// Sent in place of the signed body.
    altered: Option<String>,
}

impl Request {
    fn to(numbers: &[&str]) -> Self {
        Self {
            secret: "tencent-secret",
            age: 0,
            action: "SendSms",
            body: json!({
                "PhoneNumberSet": numbers, "SmsSdkAppId": "1400006666", "TemplateId": "449739",
                "SignName": "测试签名", "TemplateParamSet": ["123456"], "SessionContext": "call-1",
            }),
            altered: None,
        }
    }

    async fn send(&self, setup: &Setup) -> Value {
        let timestamp = OffsetDateTime::now_utc().unix_timestamp() - self.age;
        let body = self.body.to_string();
        let signed = [("content-type", "application/json"), ("host", "h")];
        let canonical = sign::canonical_request(&signed, body.as_bytes());
        let signature = sign::signature(self.secret, timestamp, "sms", &canonical);
        let date = sign::date(timestamp);
        let sent = self.altered.clone().unwrap_or(body);
        let head = format!(
            "POST / HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\nx-tc-action: {}\r\n\
             x-tc-version: 2021-01-11\r\nx-tc-region: ap-guangzhou\r\nx-tc-timestamp: {timestamp}\r\n\
             authorization: TC3-HMAC-SHA256 Credential=AKIDlab/{date}/sms/tc3_request, \
             SignedHeaders=content-type;host, Signature={signature}\r\ncontent-length: {}\r\n\r\n",
            self.action,
            sent.len()
        );
        let mut connection = Connection::open(setup.at()).await.unwrap();
        let answer = connection.send((head + &sent).as_bytes()).await.unwrap();
        assert_eq!(answer.status, 200);
        answer.json()["Response"].clone()
    }

    async fn code(&self, setup: &Setup) -> String {
        let response = self.send(setup).await;
        let code = response["Error"]["Code"].as_str();
        code.unwrap_or_else(|| panic!("{response}")).to_owned()
    }
}

async fn setup() -> Setup {
    let account = "
[[accounts]]
id = 'tencent'
vendor = 'tencent'
access_key_id = 'AKIDlab'
secrets = ['tencent-secret']
sign_names = ['测试签名']
settings = { sdk_app_id = '1400006666' }
templates = { 449739 = { variables = ['1'] } }
";
    Setup::new("", account).await
}

#[tokio::test]
async fn each_number_has_its_own_status_and_id() {
    let setup = setup().await;
    let response = Request::to(&["+8613800138123", "+8613800130001", "13900139123"])
        .send(&setup)
        .await;
    let statuses = response["SendStatusSet"].as_array().unwrap();
    let seen: BTreeMap<&str, (&str, bool)> = statuses
        .iter()
        .map(|s| {
            let text = |name: &str| s[name].as_str().unwrap();
            (
                text("PhoneNumber"),
                (text("Code"), text("SerialNo").is_empty()),
            )
        })
        .collect();
    assert_eq!(seen["+8613800138123"], ("Ok", false));
    assert_eq!(seen["+8613900139123"], ("Ok", false));
    let bad = "InvalidParameterValue.IncorrectPhoneNumber";
    assert_eq!(seen["+8613800130001"], (bad, true));
    assert_ne!(statuses[0]["SerialNo"], statuses[2]["SerialNo"]);
    assert_eq!(statuses[0]["SessionContext"], "call-1");
}

#[tokio::test]
async fn a_spoilt_call_gets_the_code_for_it() {
    let setup = setup().await;
    let right = || Request::to(&["+8613800138123"]);
    let mut misspelt = right();
    misspelt.body["TemplateParams"] = json!([]);
    let mut unsigned = right();
    unsigned.body["SignName"] = json!("another");
    let mut mixed = right();
    mixed.body["PhoneNumberSet"] = json!(["+8613800138123", "+6581234567"]);
    let altered = right().body.to_string().replace("123456", "654321");
    for (request, code) in [
        (
            Request {
                secret: "wrong",
                ..right()
            },
            "AuthFailure.SignatureFailure",
        ),
        (
            Request {
                altered: Some(altered),
                ..right()
            },
            "AuthFailure.SignatureFailure",
        ),
        (
            Request {
                age: 1_000,
                ..right()
            },
            "AuthFailure.SignatureExpire",
        ),
        (
            Request {
                age: -1_000,
                ..right()
            },
            "AuthFailure.SignatureExpire",
        ),
        (
            Request {
                action: "SendSmss",
                ..right()
            },
            "InvalidAction",
        ),
        (misspelt, "UnknownParameter"),
        (unsigned, "FailedOperation.SignatureIncorrectOrUnapproved"),
        (
            mixed,
            "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber",
        ),
        (
            Request::to(&["+8613800130009"]),
            "FailedOperation.InsufficientBalanceInSmsPackage",
        ),
        (Request::to(&["+8613800130013"]), "RequestLimitExceeded"),
    ] {
        assert_eq!(request.code(&setup).await, code);
    }
}

#[tokio::test]
async fn receipts_are_fetched_once() {
    let setup = setup().await;
    Request::to(&["+8613800138123", "+8613800130003"])
        .send(&setup)
        .await;
    let fetch = Request {
        action: "PullSmsSendStatus",
        body: json!({ "Limit": 10, "SmsSdkAppId": "1400006666" }),
        ..Request::to(&[])
    };
    let response = fetch.send(&setup).await;
    let reports = response["PullSmsSendStatusSet"].as_array().unwrap();
    let words: BTreeMap<&str, &str> = reports
        .iter()
        .map(|r| {
            (
                r["PhoneNumber"].as_str().unwrap(),
                r["Description"].as_str().unwrap(),
            )
        })
        .collect();
    let wanted = [("+8613800138123", "DELIVRD"), ("+8613800130003", "UNDELIV")];
    assert_eq!(words, wanted.into());
    assert_eq!(fetch.send(&setup).await["PullSmsSendStatusSet"], json!([]));
}
