//! Vonage's API over HTTP, and its signed pushes.

use std::{sync::Arc, time::Duration};

use jixinda_schemas::{
    CallId, Timestamp, directory::channel_place, event::AttemptResult, template::Content,
    vendor::ReceiptStatus,
};
use jixinda_senders::{
    vendor::{Call, Item, Push, PushError, SmsVendor},
    vendors::vonage::sign::{self, Method},
};
use reqwest::header::HeaderMap;
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::support::{SECRET, TOKEN, channel_of, key, registry};

const NOW: Timestamp = Timestamp(1_735_787_045_000);
const SIGNATURE_SECRET: &str = "testSignatureSecret";

fn vendor(url: &str, signed: bool) -> Arc<dyn SmsVendor> {
    let mut channel = channel_of("vonage", url);
    if signed {
        let place = channel_place(&channel.id, "signature_secret");
        let secret = key().seal(&place, SIGNATURE_SECRET);
        channel
            .secrets
            .insert("signature_secret".to_owned(), secret);
        let method = ("signature_method".to_owned(), "sha256".to_owned());
        channel.settings.extend([method]);
    }
    let registry = registry(channel);
    let problems: Vec<_> = registry.unusable().collect();
    assert!(problems.is_empty(), "{problems:?}");
    Arc::clone(&registry.get("vonage-a").unwrap().vendor)
}

fn call(text: &str) -> Call {
    Call {
        call_id: CallId::from_random(1),
        items: vec![Item {
            recipient: "+8613800138000".parse().unwrap(),
            sign_name: String::new(),
            content: Content::FullText {
                text: text.to_owned(),
            },
            text: String::new(),
        }],
        timeout: Duration::from_secs(5),
    }
}

/// Sends one message; the fields that came in, and `Authorization`.
async fn sent(signed: bool, text: &str) -> (Vec<(String, String)>, Option<String>) {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200)
        .set_body_json(json!({"message-count": "1", "messages": [
        {"to": "8613800138000", "message-id": "0A0000000123ABCD1", "status": "0"}]}));
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let vonage = vendor(&server.uri(), signed);
    let results = vonage.send(&call(text)).await;
    let vendor_id = "0A0000000123ABCD1".to_owned();
    assert_eq!(results, [AttemptResult::Accepted { vendor_id }]);
    assert!(!format!("{vonage:?}").contains(SECRET));
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.path(), "/sms/json");
    let authorization = requests[0].headers.get("authorization");
    (
        form_urlencoded::parse(&requests[0].body)
            .into_owned()
            .collect(),
        authorization.map(|value| value.to_str().unwrap().to_owned()),
    )
}

fn field<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = form.iter().find(|(n, _)| n == name);
    found.map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn a_message_asks_for_its_receipt_with_our_id() {
    let (form, authorization) = sent(false, "验证码 123456").await;
    assert_eq!(authorization, Some(sign::basic("abcd1234", SECRET)));
    let call_id = CallId::from_random(1).to_string();
    let callback = format!("https://sms.example.com/receipts/vonage-a/{TOKEN}");
    for (name, value) in [
        ("to", "8613800138000"),
        ("from", "ACME"),
        ("type", "unicode"),
        ("client-ref", call_id.as_str()),
        ("callback", callback.as_str()),
    ] {
        assert_eq!(field(&form, name), Some(value), "{name}");
    }
    assert_eq!(field(&form, "api_key"), None);
}

#[tokio::test]
async fn a_signed_call_does_not_carry_the_secret() {
    let (form, authorization) = sent(true, "Your code is 1&2=3").await;
    assert_eq!(authorization, None);
    assert_eq!(field(&form, "api_key"), Some("abcd1234"));
    assert_eq!(field(&form, "timestamp"), Some("1735787045"));
    assert_eq!(field(&form, "type"), None);
    let sig = field(&form, "sig").unwrap();
    let text = sign::string_to_sign(&form);
    assert!(sign::verify(Method::Sha256, SIGNATURE_SECRET, &text, sig));
    assert!(!form.iter().any(|(_, value)| value == SECRET));
}

/// Reads a push with these parameters, signed under `secret` if there is one.
fn push(params: &[(&str, &str)], secret: Option<&str>) -> Result<ReceiptStatus, PushError> {
    let mut form = params.to_vec();
    let sig = secret.map(|secret| {
        let text = sign::string_to_sign(params);
        sign::signature(Method::Sha256, secret, &text).to_uppercase()
    });
    form.extend(sig.as_deref().map(|sig| ("sig", sig)));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let batch = vendor("https://rest.nexmo.com", true).read_push(&Push {
        method: "GET",
        target: "/receipts/vonage-a/token",
        query: Some(&query),
        headers: &HeaderMap::new(),
        body: b"",
        now: NOW,
    })?;
    Ok(batch.receipts[0].status)
}

#[tokio::test]
async fn only_a_fresh_push_with_a_right_signature_is_taken() {
    let params = |timestamp| {
        [
            ("msisdn", "8613800138000"),
            ("messageId", "0A1"),
            ("status", "delivered"),
            ("client-ref", "100000000000001"),
            ("api-key", "abcd1234"),
            ("timestamp", timestamp),
        ]
    };
    let right = Some(SIGNATURE_SECRET);
    let fresh = params("1735787000");
    assert_eq!(push(&fresh, right).unwrap(), ReceiptStatus::Delivered);
    let foreign = fresh.map(|(n, v)| (n, if n == "api-key" { "other" } else { v }));
    for (params, secret) in [
        (&fresh[..], None),
        (&fresh, Some("another")),
        (&params("1735786000"), right),
        (&fresh[..5], right),
        (&foreign, right),
    ] {
        let read = push(params, secret);
        assert!(matches!(read, Err(PushError::NotAuthentic(_))), "{read:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_not_kept_unless_it_is_signed() {
    let read = |signed| {
        vendor("https://rest.nexmo.com", signed).read_push(&Push {
            method: "POST",
            target: "/receipts/vonage-a/token",
            query: None,
            headers: &HeaderMap::new(),
            body: b"{",
            now: NOW,
        })
    };
    assert!(matches!(read(true), Err(PushError::NotAuthentic(_))));
    assert!(matches!(read(false), Err(PushError::Json(_))));
}
