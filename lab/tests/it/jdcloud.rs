//! JD Cloud's server side: both generations of its signature, what is wrong with a call, reports and replies that stay.

use std::sync::atomic::{AtomicU64, Ordering};

use jixinda_lab::vendors::jdcloud::sign::{self, Authorization, Generation};
use jixinda_lab::wire::sha256_hex;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::{format_description, offset};

use crate::client::{Connection, admin};
use crate::setup::{Setup, eventually};

/// One call, right until a test spoils it.
struct Request {
    generation: Generation,
    key: &'static str,
    secret: &'static str,
    age: i64,
    nonce: String,
    region: &'static str,
    method: &'static str,
    /// Also date and nonce, as the older SDK does.
    signs_all: bool,
    body: Value,
    /// Sent in place of the signed body.
    altered: Option<String>,
    /// Sent in place of that body's hash.
    hash: Option<String>,
    service: &'static str,
}

impl Request {
    fn of(method: &'static str, body: Value) -> Self {
        static NONCES: AtomicU64 = AtomicU64::new(0);
        Self {
            generation: Generation::Two,
            key: "jd-key",
            secret: "jd-secret",
            age: 0,
            nonce: format!("nonce-{}", NONCES.fetch_add(1, Ordering::Relaxed)),
            region: "cn-north-1",
            method,
            signs_all: true,
            body,
            altered: None,
            hash: None,
            service: "sms",
        }
    }

    fn to(numbers: &[&str]) -> Self {
        let body = json!({
            "regionId": "cn-north-1", "templateId": "st_1", "signId": "qm_1",
            "phoneList": numbers, "params": ["123456", "5"],
        });
        Self::of("batchSend", body)
    }

    /// With a field of another value, or without it.
    fn with(mut self, name: &str, value: Value) -> Self {
        let fields = self.body.as_object_mut().unwrap();
        fields.insert(name.to_owned(), value);
        fields.retain(|_, value| !value.is_null());
        self
    }

    async fn send(&self, setup: &Setup) -> (u16, Value) {
        let form = format_description!("[year][month][day]T[hour][minute][second]Z");
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let at = OffsetDateTime::from_unix_timestamp(now - self.age).unwrap();
        let date = at.format(form).unwrap();
        let body = self.body.to_string();
        let mut signed = vec![("content-type", "application/json"), ("host", "h")];
        if self.signs_all {
            signed.push(("x-jdcloud-date", &date));
            signed.push(("x-jdcloud-nonce", &self.nonce));
        }
        let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let path = format!("/v1/regions/{}/{}", self.region, self.method);
        let request = sign::Request {
            method: "POST",
            path: &path,
            query: "",
            body: body.as_bytes(),
        };
        let canonical = sign::canonical_request(self.generation, &request, &signed);
        let authorization = Authorization {
            generation: self.generation,
            access_key: self.key,
            date: &date[..8],
            region: self.region,
            service: self.service,
            signed_headers: &names,
            signature: "",
        };
        let signature = sign::signature(self.secret, &authorization, &date, &canonical);
        let (algorithm, digit) = (self.generation.algorithm(), self.generation.digit());
        let sent = self.altered.as_ref().unwrap_or(&body);
        let hash = self.hash.clone();
        let hash = hash.unwrap_or_else(|| sha256_hex(sent.as_bytes()));
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\
             x-jdcloud-date: {date}\r\nx-jdcloud-nonce: {}\r\n\
             x-jdcloud-content-sha256: {hash}\r\n{algorithm}: {algorithm}\r\n\
             authorization: {algorithm} Credential={}/{}/{}/{}/jdcloud{digit}_request, \
             SignedHeaders={names}, Signature={signature}\r\ncontent-length: {}\r\n\r\n",
            self.nonce,
            self.key,
            &date[..8],
            self.region,
            self.service,
            sent.len()
        );
        let mut connection = Connection::open(setup.at()).await.unwrap();
        let answer = connection.send((head + sent).as_bytes()).await.unwrap();
        let status = answer.status;
        let answer = answer.json();
        assert!(answer["requestId"].is_string());
        (status, answer)
    }

    async fn data(&self, setup: &Setup) -> Value {
        let (status, answer) = self.send(setup).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["result"]["status"], true, "{answer}");
        answer["result"]["data"].clone()
    }
}

async fn setup(more: &str) -> Setup {
    let account = "
[[accounts]]
id = 'jd'
vendor = 'jdcloud'
access_key_id = 'jd-key'
secrets = ['old-secret', 'jd-secret']
sign_names = ['qm_1']
";
    let long = "字".repeat(70);
    let template = format!("{{ variables = ['code', 'minutes'], body = '${{code}}{long}' }}");
    let account = format!("{account}templates = {{ st_1 = {template} }}\n{more}");
    Setup::new("", &account).await
}

#[tokio::test]
async fn both_generations_are_taken_and_what_they_leave_unsigned() {
    let setup = setup("").await;
    for generation in [Generation::Two, Generation::Three] {
        for signs_all in [true, false] {
            let request = Request {
                generation,
                signs_all,
                ..Request::to(&["13800138123"])
            };
            let data = request.data(&setup).await;
            assert!(!data["sequenceNumber"].as_str().unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn an_account_can_be_of_one_generation() {
    let setup = setup("settings = { signature = '2', codes_as_text = 'true' }").await;
    let right = || Request::to(&["13800138123"]);
    right().data(&setup).await;
    let third = Request {
        generation: Generation::Three,
        ..right()
    };
    let (status, answer) = third.send(&setup).await;
    assert_eq!(
        (status, &answer["error"]["status"]),
        (403, &json!("PERMISSION_DENIED"))
    );
    let (_, answer) = Request::to(&["13800130009"]).send(&setup).await;
    assert_eq!(answer["result"]["code"], "11572106");
}

#[tokio::test]
async fn a_call_that_is_not_proved_is_refused() {
    let setup = setup("").await;
    let right = || Request::to(&["13800138123"]);
    let altered = right().body.to_string().replace("123456", "654321");
    let used = right();
    used.data(&setup).await;
    for (request, word) in [
        (
            Request {
                secret: "wrong",
                ..right()
            },
            "signature",
        ),
        (
            Request {
                key: "nobody",
                ..right()
            },
            "access key",
        ),
        (
            Request {
                altered: Some(altered),
                ..right()
            },
            "signature",
        ),
        (
            Request {
                age: 1_000,
                ..right()
            },
            "x-jdcloud-date",
        ),
        (
            Request {
                age: -1_000,
                ..right()
            },
            "x-jdcloud-date",
        ),
        (
            Request {
                nonce: used.nonce.clone(),
                ..right()
            },
            "x-jdcloud-nonce was used",
        ),
        (
            Request {
                hash: Some(sha256_hex(b"another")),
                ..right()
            },
            "x-jdcloud-content-sha256",
        ),
        (
            Request {
                service: "vm",
                ..right()
            },
            "scope",
        ),
        (
            Request {
                nonce: String::new(),
                ..right()
            },
            "x-jdcloud-nonce",
        ),
    ] {
        let (status, answer) = request.send(&setup).await;
        let error = &answer["error"];
        assert_eq!((status, &error["code"]), (401, &json!(401)), "{answer}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[tokio::test]
async fn a_spoilt_call_gets_the_code_for_it() {
    let setup = setup("").await;
    let right = || Request::to(&["13800138123"]);
    let many = vec!["13800138123"; 101];
    for request in [
        right().with("phonelist", json!([])),
        right().with("phoneList", json!(null)),
        right().with("phoneList", json!("13800138123")),
        right().with("params", json!(["123456"])),
        right().with("params", json!([123456, 5])),
        right().with("templateId", json!(null)),
        right().with("regionId", json!("cn-east-2")),
        Request::to(&many),
        Request::to(&["+8613800138123"]),
        Request::to(&["13800138123", "13800130001"]),
        Request {
            region: "cn-east-2",
            ..right()
        },
    ] {
        let (status, answer) = request.send(&setup).await;
        let error = (&answer["error"]["code"], &answer["error"]["status"]);
        assert_eq!(status, 400, "{answer}");
        assert_eq!(error, (&json!(400), &json!("INVALID_ARGUMENT")));
    }
    for (request, word) in [
        (Request::to(&["13800130009"]), "套餐包余量不足"),
        (Request::to(&["13800130002"]), "黑名单"),
        (Request::to(&["13800130012"]), "上限"),
        (Request::to(&["13800130015"]), "模板"),
        (right().with("templateId", json!("st_2")), "模板"),
        (right().with("signId", json!("qm_2")), "签名"),
    ] {
        let (status, answer) = request.send(&setup).await;
        let result = &answer["result"];
        assert_eq!((status, &result["status"]), (200, &json!(false)));
        assert!(result["code"].is_u64() && result["data"].is_null());
        assert!(result["message"].as_str().unwrap().contains(word));
    }
    for (number, status) in [("13800130013", 429), ("13800130014", 500)] {
        let (got, answer) = Request::to(&[number]).send(&setup).await;
        assert_eq!((got, &answer["error"]["code"]), (status, &json!(status)));
    }
}

#[tokio::test]
async fn reports_stay_and_have_a_line_for_each_part() {
    let setup = setup("").await;
    let data = Request::to(&["13800138123", "13800130003"])
        .data(&setup)
        .await;
    let ask = json!({ "regionId": "cn-north-1", "sequenceNumber": data["sequenceNumber"] });
    for _ in 0..2 {
        let data = Request::of("statusReport", ask.clone()).data(&setup).await;
        let seen: Vec<(&str, &str, u64)> = data
            .as_array()
            .unwrap()
            .iter()
            .map(|report| {
                let text = |name: &str| report[name].as_str().unwrap();
                let split = report["splitNum"].as_u64().unwrap();
                (text("phoneNum"), text("code"), split)
            })
            .collect();
        for wanted in [
            ("13800138123", "DELIVRD", 1),
            ("13800138123", "DELIVRD", 2),
            ("13800130003", "UNDELIV", 1),
            ("13800130003", "UNDELIV", 2),
        ] {
            assert!(seen.contains(&wanted), "{seen:?}");
        }
        assert_eq!(seen.len(), 4);
        assert!(data[0]["status"].is_u64());
        assert_eq!(data[0]["reportTime"].as_str().unwrap().len(), 19);
    }
    eventually("told once", || async { setup.receipts().len() == 4 }).await;
    let one = Request::of("statusReport", ask).with("phoneList", json!(["13800130003"]));
    assert_eq!(one.data(&setup).await.as_array().unwrap().len(), 2);
    let other = json!({ "sequenceNumber": "1" });
    let none = Request::of("statusReport", other).data(&setup).await;
    assert_eq!(none, json!([]));
    assert_eq!(setup.receipts().len(), 4);
}

#[tokio::test]
async fn replies_of_a_day_stay() {
    let setup = setup("settings = { app_id = 'app-1' }").await;
    let mo = r#"{"from":"+8613800138123","to":"qm_1","text":"退订"}"#;
    admin(setup.at(), "POST", "/lab/accounts/jd/inbound", mo).await;
    let form = format_description!("[year]-[month]-[day]");
    let today = OffsetDateTime::now_utc().to_offset(offset!(+8));
    let today = today.format(form).unwrap();
    let ask = |app: &str, day: &str| Request::of("reply", json!({ "appId": app, "dataDate": day }));
    for _ in 0..2 {
        let data = ask("app-1", &today).data(&setup).await;
        assert_eq!(data.as_array().unwrap().len(), 1);
        assert_eq!(
            (&data[0]["phoneNum"], &data[0]["content"]),
            (&json!("13800138123"), &json!("退订"))
        );
        assert_eq!(
            (&data[0]["appId"], &data[0]["signId"]),
            (&json!("app-1"), &json!("qm_1"))
        );
    }
    assert_eq!(ask("app-1", "2025-01-02").data(&setup).await, json!([]));
    let (_, answer) = ask("app-2", &today).send(&setup).await;
    assert_eq!(answer["result"]["status"], false);
    let (status, _) = ask("app-1", "20250102").send(&setup).await;
    assert_eq!(status, 400);
}
