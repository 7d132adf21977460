//! Twilio's server side: who may send, what is wrong with a message, and callbacks that carry its signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jixinda_lab::vendors::twilio::sign;
use serde_json::{Value, json};

use crate::client::{Connection, admin};
use crate::receiver::Receiver;
use crate::setup::{Setup, eventually};

const ACCOUNT: &str = "
[[accounts]]
id = 'twilio'
vendor = 'twilio'
access_key_id = 'AClab'
secrets = ['twilio-token']
sign_names = ['+15005550006']
";

async fn create(setup: &Setup, token: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let basic = STANDARD.encode(format!("AClab:{token}"));
    let request = format!(
        "POST /2010-04-01/Accounts/AClab/Messages.json HTTP/1.1\r\nhost: h\r\n\
         content-type: application/x-www-form-urlencoded\r\nauthorization: Basic {basic}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = Connection::open(setup.at()).await.unwrap();
    let answer = connection.send(request.as_bytes()).await.unwrap();
    (answer.status, answer.json())
}

#[tokio::test]
async fn a_message_is_created_or_refused_with_the_code_for_it() {
    let setup = Setup::new("", ACCOUNT).await;
    let from = ("From", "+15005550006");
    let body = ("Body", "Your code is 123456");
    let (status, message) =
        create(&setup, "twilio-token", &[("To", "+6581234567"), from, body]).await;
    assert_eq!((status, &message["status"]), (201, &json!("queued")));
    assert_eq!(message["sid"].as_str().unwrap().len(), 34);
    let long = "x".repeat(1_601);
    for (token, form, status, code) in [
        ("wrong", vec![("To", "+6581234567"), from, body], 401, 20003),
        (
            "twilio-token",
            vec![("To", "6581234567"), from, body],
            400,
            21211,
        ),
        (
            "twilio-token",
            vec![("To", "+6581234567"), ("From", "+1"), body],
            400,
            21606,
        ),
        (
            "twilio-token",
            vec![("To", "+6581234567"), from],
            400,
            21602,
        ),
        (
            "twilio-token",
            vec![("To", "+6581234567"), from, ("Body", &long)],
            400,
            21617,
        ),
        (
            "twilio-token",
            vec![("to", "+6581234567"), from, body],
            400,
            21602,
        ),
        (
            "twilio-token",
            vec![("To", "+6581230002"), from, body],
            400,
            21610,
        ),
        (
            "twilio-token",
            vec![("To", "+6581230013"), from, body],
            429,
            20429,
        ),
    ] {
        let (got, answer) = create(&setup, token, &form).await;
        assert_eq!((got, &answer["code"]), (status, &json!(code)), "{form:?}");
    }
}

#[tokio::test]
async fn callbacks_and_inbound_messages_are_signed() {
    let (receiver, address) = Receiver::start(&[]).await;
    let url = format!("http://{address}/r?mid=call-7");
    let inbound_to = format!("{ACCOUNT}receipt_url = '{url}'\n");
    let setup = Setup::new("", &inbound_to).await;
    let form = [
        ("To", "+6581230003"),
        ("From", "+15005550006"),
        ("Body", "x"),
        ("StatusCallback", &url),
    ];
    create(&setup, "twilio-token", &form).await;
    let mo = r#"{"from":"+6581234567","to":"+15005550006","text":"STOP"}"#;
    admin(setup.at(), "POST", "/lab/accounts/twilio/inbound", mo).await;
    eventually("both come", || async { receiver.requests().len() == 2 }).await;
    for (headers, body) in receiver.requests() {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect();
        let wanted = sign::signature("twilio-token", &sign::string_to_sign(&url, &pairs));
        assert_eq!(headers["x-twilio-signature"], *wanted);
        let text = |name: &str| {
            pairs
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.as_str())
        };
        match text("SmsStatus") {
            Some("received") => assert_eq!(text("Body"), Some("STOP")),
            status => {
                assert_eq!(
                    (status, text("ErrorCode")),
                    (Some("undelivered"), Some("30003"))
                );
            }
        }
    }
}
