use jixinda_lab::journal::{Answered, Outcome};
use jixinda_lab::vendors::aliyun::sign;
use jixinda_lab::wire::{canonical_query, percent};
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use crate::client::{Connection, Request};
use crate::setup::{Setup, eventually};

const NUMBER: &str = "13800138123";

#[tokio::test]
async fn a_right_call_is_accepted_on_a_kept_connection() {
    let setup = Setup::new("", "").await;
    let mut connection = Connection::open(setup.at()).await.unwrap();
    let mut biz_ids = Vec::new();
    for _ in 0..3 {
        let answer = connection
            .send(&Request::to(NUMBER).bytes(setup.at()))
            .await
            .unwrap();
        assert_eq!((answer.status, &*answer.code()), (200, "OK"));
        let answer = answer.json();
        assert_eq!(answer["Message"], "OK");
        assert_eq!(answer["RequestId"].as_str().unwrap().len(), 36);
        biz_ids.push(answer["BizId"].as_str().unwrap().to_owned());
    }
    assert!(
        biz_ids
            .iter()
            .all(|id| id.len() == 20 && id.ends_with("^0")),
        "{biz_ids:?}"
    );
    biz_ids.dedup();
    assert_eq!(biz_ids.len(), 3);
}

#[tokio::test]
async fn each_spoilt_call_gets_the_gateway_code_for_it() {
    let setup = Setup::new("", "").await;
    let lab = setup.at();
    let right = || Request::to(NUMBER);
    let cases = [
        (
            Request {
                secret: "wrong".into(),
                ..right()
            },
            400,
            "SignatureDoesNotMatch",
        ),
        (
            Request {
                tampered: "&SmsUpExtendCode=1".into(),
                ..right()
            },
            400,
            "SignatureDoesNotMatch",
        ),
        (
            Request {
                key: "nobody".into(),
                ..right()
            },
            404,
            "InvalidAccessKeyId.NotFound",
        ),
        (
            Request {
                age: Duration::minutes(16),
                ..right()
            },
            400,
            "InvalidTimeStamp.Expired",
        ),
        (
            Request {
                age: -Duration::minutes(16),
                ..right()
            },
            400,
            "InvalidTimeStamp.Expired",
        ),
        (
            Request {
                version: "2017-05-26".into(),
                ..right()
            },
            400,
            "InvalidVersion",
        ),
        (
            Request {
                action: "SendSmss".into(),
                ..right()
            },
            404,
            "InvalidAction.NotFound",
        ),
        (
            Request {
                unsigned: vec![("x-acs-extra".into(), "1".into())],
                ..right()
            },
            400,
            "IncompleteSignature",
        ),
    ];
    let count = cases.len();
    for (request, status, code) in cases {
        let answer = request.send(lab).await.unwrap();
        assert_eq!((answer.status, &*answer.code()), (status, code));
        let fields = answer.json();
        assert!(fields["Message"].is_string() && fields["RequestId"].is_string());
        assert!(fields.get("BizId").is_none());
    }
    eventually("the journal has the refusals", || async {
        setup.calls().len() == count
    })
    .await;
    for call in setup.calls() {
        assert!(
            matches!(call.outcome, Outcome::AuthRefused { .. }),
            "{call:?}"
        );
        assert!(matches!(call.answered, Answered::Status(_)), "{call:?}");
    }
}

#[tokio::test]
async fn a_nonce_is_good_for_one_signed_call_only() {
    let setup = Setup::new("", "").await;
    let request = Request::to(NUMBER);
    let forged = Request {
        secret: "wrong".into(),
        ..request.clone()
    };
    assert_eq!(forged.code(setup.at()).await, "SignatureDoesNotMatch");
    assert_eq!(request.code(setup.at()).await, "OK");
    assert_eq!(request.code(setup.at()).await, "SignatureNonceUsed");
}

#[tokio::test]
async fn every_active_secret_is_good() {
    let setup = Setup::new("", "").await;
    let old = Request {
        secret: "old-secret".into(),
        ..Request::to(NUMBER)
    };
    assert_eq!(old.code(setup.at()).await, "OK");
}

/// A call signed by version 1: `secret` signs, `spoilt` is added afterwards.
async fn rpc(setup: &Setup, nonce: &str, secret: &str, age: Duration, spoilt: &str) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let timestamp = (OffsetDateTime::now_utc() - age).format(form).unwrap();
    let parameters = [
        ("Action", "SendSms"),
        ("Version", "2017-05-25"),
        ("Format", "json"),
        ("AccessKeyId", "lab-key"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("SignatureNonce", nonce),
        ("Timestamp", &timestamp),
        ("PhoneNumbers", NUMBER),
        ("SignName", "测试签名"),
        ("TemplateCode", "SMS_1"),
        ("TemplateParam", r#"{"code":"123456"}"#),
        ("OutId", "call-1"),
    ];
    let query = canonical_query(parameters);
    let signature = sign::rpc_signature(secret, &sign::rpc_string_to_sign("POST", &query));
    let request = format!(
        "POST /?{query}&Signature={}{spoilt} HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n",
        percent(&signature)
    );
    let mut connection = Connection::open(setup.at()).await.unwrap();
    connection.send(request.as_bytes()).await.unwrap().code()
}

#[tokio::test]
async fn the_rpc_signature_is_good_once_and_in_time() {
    let setup = Setup::new("", "").await;
    let now = Duration::ZERO;
    let wrong = rpc(&setup, "n1", "wrong", now, "").await;
    assert_eq!(wrong, "SignatureDoesNotMatch");
    assert_eq!(rpc(&setup, "n1", "lab-secret", now, "").await, "OK");
    assert_eq!(
        rpc(&setup, "n1", "lab-secret", now, "").await,
        "SignatureNonceUsed"
    );
    let old = rpc(&setup, "n2", "lab-secret", Duration::minutes(16), "").await;
    assert_eq!(old, "InvalidTimeStamp.Expired");
    let altered = rpc(&setup, "n3", "lab-secret", now, "&SmsUpExtendCode=1").await;
    assert_eq!(altered, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn each_business_rule_has_its_code_and_http_200() {
    let setup = Setup::new("", "").await;
    let right = || Request::to(NUMBER);
    let many = vec![NUMBER; 1001].join(",");
    for (request, code) in [
        (
            right().with("PhoneNumbers", "1380013"),
            "isv.MOBILE_NUMBER_ILLEGAL",
        ),
        (
            right().with("PhoneNumbers", "13800138123,+85251234567"),
            "isv.MOBILE_NUMBER_ILLEGAL",
        ),
        (
            right().with("PhoneNumbers", &many),
            "isv.MOBILE_COUNT_OVER_LIMIT",
        ),
        (
            right().with("SignName", "别家"),
            "isv.SMS_SIGNATURE_ILLEGAL",
        ),
        (
            right().with("TemplateCode", "SMS_9"),
            "isv.SMS_TEMPLATE_ILLEGAL",
        ),
        (
            right().with("TemplateParam", r#"{"code":1}"#),
            "isv.INVALID_JSON_PARAM",
        ),
        (
            right().with("TemplateParam", r#"["1"]"#),
            "isv.INVALID_JSON_PARAM",
        ),
        (
            right().with("TemplateParam", r#"{"Code":"1"}"#),
            "isv.TEMPLATE_MISSING_PARAMETERS",
        ),
        (
            right().without("TemplateParam"),
            "isv.TEMPLATE_MISSING_PARAMETERS",
        ),
        (right().with("outId", "x"), "isv.INVALID_PARAMETERS"),
        (
            right()
                .with("TemplateCode", "SMS_2")
                .without("TemplateParam"),
            "OK",
        ),
        (
            right().with("PhoneNumbers", "+8613800138123,85251234567"),
            "OK",
        ),
    ] {
        let answer = request.send(setup.at()).await.unwrap();
        assert_eq!((answer.status, &*answer.code()), (200, code));
    }
    let answer = right().without("PhoneNumbers").with("phoneNumbers", NUMBER);
    let answer = answer.send(setup.at()).await.unwrap();
    assert_eq!((answer.status, &*answer.code()), (400, "MissingParameter"));
}
