//! Twilio's API over HTTP, and its signed pushes.

use std::{sync::Arc, time::Duration};

use jixinda_schemas::{
    CallId, Timestamp, event::AttemptResult, template::Content, vendor::ReceiptStatus,
};
use jixinda_senders::{
    vendor::{Call, Item, Push, PushError, SmsVendor},
    vendors::twilio::sign::{self, Algorithm},
};
use reqwest::header::HeaderMap;
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::support::{SECRET, TOKEN, channel_of, registry};

const BODY: &str = "AccountSid=ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&MessageSid=SMb&MessageStatus=delivered&To=%2B8613800138000\
    &From=%2B15005550006";

fn vendor(url: &str) -> Arc<dyn SmsVendor> {
    let registry = registry(channel_of("twilio", url));
    Arc::clone(&registry.get("twilio-a").unwrap().vendor)
}

#[tokio::test]
async fn a_message_asks_for_its_status_with_our_id() {
    let server = MockServer::start().await;
    let answer =
        ResponseTemplate::new(201).set_body_json(json!({"sid": "SMb", "status": "queued"}));
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let call = Call {
        call_id: CallId::from_random(1),
        items: vec![Item {
            recipient: "+8613800138000".parse().unwrap(),
            sign_name: String::new(),
            content: Content::FullText {
                text: "Your code is 123456".to_owned(),
            },
            text: String::new(),
        }],
        timeout: Duration::from_secs(5),
    };
    let results = vendor(&server.uri()).send(&call).await;
    let vendor_id = "SMb".to_owned();
    assert_eq!(results, [AttemptResult::Accepted { vendor_id }]);

    let requests = server.received_requests().await.unwrap();
    let request = &requests[0];
    assert_eq!(
        request.url.path(),
        "/2010-04-01/Accounts/ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/Messages.json"
    );
    assert!(
        request.headers["authorization"]
            .to_str()
            .unwrap()
            .starts_with("Basic ")
    );
    let form: Vec<_> = form_urlencoded::parse(&request.body).collect();
    let field = |name: &str| {
        form.iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.to_string())
    };
    let callback = format!(
        "https://sms.example.com/receipts/twilio-a/{TOKEN}?mid={}",
        call.call_id
    );
    assert_eq!(field("StatusCallback"), Some(callback));
    assert_eq!(field("From").as_deref(), Some("+15005550006"));
    assert_eq!(field("To").as_deref(), Some("+8613800138000"));
}

/// Reads a push whose signature is over `url`.
fn push(url: &str, body: &str) -> Result<ReceiptStatus, PushError> {
    signed(url, body, Algorithm::Sha1, SECRET, "")
}

/// The same, signed so, and with these signature settings.
fn signed(
    url: &str,
    body: &str,
    by: Algorithm,
    key: &str,
    settings: &str,
) -> Result<ReceiptStatus, PushError> {
    let form: Vec<(String, String)> = form_urlencoded::parse(BODY.as_bytes())
        .into_owned()
        .collect();
    let signature = sign::signature(by, key, &sign::string_to_sign(url, &form));
    let mut headers = HeaderMap::new();
    headers.insert("x-twilio-signature", signature.parse().unwrap());
    if !settings.is_empty() {
        let name = "x-twilio-webhooks-signature-settings";
        headers.insert(name, settings.parse().unwrap());
    }
    let batch = vendor("https://api.twilio.com").read_push(&Push {
        method: "POST",
        target: "/receipts/twilio-a/token?mid=100000000000001",
        query: Some("mid=100000000000001"),
        headers: &headers,
        body: body.as_bytes(),
        now: Timestamp(0),
    })?;
    assert_eq!(batch.receipts[0].echo.as_deref(), Some("100000000000001"));
    Ok(batch.receipts[0].status)
}

#[tokio::test]
async fn only_what_is_signed_over_our_url_is_taken() {
    const URL: &str = "https://sms.example.com/receipts/twilio-a/token?mid=100000000000001";
    assert_eq!(push(URL, BODY).unwrap(), ReceiptStatus::Delivered);
    let with_port = URL.replace("example.com", "example.com:443");
    assert_eq!(push(&with_port, BODY).unwrap(), ReceiptStatus::Delivered);
    for (url, body) in [
        ("https://evil.example.com/", BODY.to_owned()),
        (URL, BODY.replace("delivered", "failed")),
        (URL, format!("{BODY}&ErrorCode=30003")),
    ] {
        assert!(
            matches!(push(url, &body), Err(PushError::NotAuthentic(_))),
            "{url} {body}"
        );
    }
}

#[tokio::test]
async fn a_shared_key_signs_only_what_says_so() {
    const URL: &str = "https://sms.example.com/receipts/twilio-a/token?mid=100000000000001";
    const SETTINGS: &str = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256";
    let key = crate::support::WEBHOOK_KEY;
    let by = Algorithm::Sha256;
    let status = signed(URL, BODY, by, key, SETTINGS).unwrap();
    assert_eq!(status, ReceiptStatus::Delivered);
    for (by, key, settings) in [
        // Under the token, which did not sign it; by another algorithm; without the header; by one that is not known.
        (by, SECRET, SETTINGS),
        (Algorithm::Sha1, key, SETTINGS),
        (by, key, ""),
        (by, key, "algorithm=HMAC_MD5"),
    ] {
        assert!(
            matches!(
                signed(URL, BODY, by, key, settings),
                Err(PushError::NotAuthentic(_))
            ),
            "{by:?} {settings}"
        );
    }
}
