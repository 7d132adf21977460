//! One message on the wire: form out, answer in. Pure.
//!
//! Source: `vonage-sms` 1.2.0 and `@vonage/sms` 1.24.1. The answer is HTTP 200 with one element in `messages` for each part of
//! the text; a message is accepted when every part has `status` 0.

use jixinda_runtime::secret::Secret;
use jixinda_schemas::{
    event::AttemptResult,
    segments,
    template::Content,
    vendor::{Blame, Disposition},
};
use serde_json::Value;

use super::codes::CATALOGUE;
use crate::{
    vendor::{Item, ItemResult, not_sent, unknown},
    vendors::{
        answer::{Refusal, Verdict, by_status, is_the_vendors, lenient_text, refuse},
        exchange::Answer,
    },
};

/// What a call carries beside the message.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Number without `+`, or letters.
    pub from: &'a str,
    /// Where receipts are to be pushed; at most 100 characters.
    pub callback: Option<&'a Secret>,
    /// `client-ref`: comes back in receipts.
    pub echo: &'a str,
}

/// The fields of one message, without what proves whose it is.
///
/// # Errors
/// The result of the item when it cannot be put on this wire.
pub fn form(item: &Item, terms: &Terms<'_>) -> Result<Vec<(&'static str, String)>, ItemResult> {
    let Content::FullText { text } = &item.content else {
        return Err(not_sent(
            Disposition::RetryOther,
            Blame::App,
            "content_form",
            "this vendor takes the text itself",
        ));
    };
    let number = item.recipient.expose().trim_start_matches('+');
    let mut form = vec![
        ("from", terms.from.to_owned()),
        ("to", number.to_owned()),
        ("text", text.clone()),
        ("client-ref", terms.echo.to_owned()),
    ];
    if !segments::is_gsm(text) {
        form.push(("type", "unicode".to_owned()));
    }
    let callback = terms.callback.map(Secret::expose);
    form.extend(callback.map(|url| ("callback", url.to_owned())));
    Ok(form)
}

/// Reads an answer.
#[must_use]
pub fn interpret(answer: &Answer) -> Verdict {
    let status = answer.status;
    if !is_the_vendors(status) {
        return by_status(status);
    }
    let Ok(reply) = serde_json::from_slice::<Value>(&answer.body) else {
        return by_status(status);
    };
    let Some(parts) = reply["messages"].as_array().filter(|p| !p.is_empty()) else {
        return by_status(status);
    };
    let count = reply.get("message-count").and_then(lenient_text);
    if count.is_some_and(|count| count != parts.len().to_string()) {
        return unknown("not_every_part").into();
    }
    let code = |part: &Value| part.get("status").and_then(lenient_text);
    let accepted = parts.iter().filter(|p| code(p).as_deref() == Some("0"));
    match (accepted.count(), code(&parts[0])) {
        (0, Some(code)) => refused(&parts[0], &code, status),
        (n, _) if n < parts.len() => unknown("not_every_part").into(),
        _ if !(200..300).contains(&status) => by_status(status),
        // The other parts have ids of their own; receipts of all carry `client-ref`.
        _ => match id(&parts[0]) {
            Some(vendor_id) => AttemptResult::Accepted { vendor_id }.into(),
            None => unknown("ok_without_id").into(),
        },
    }
}

fn id(part: &Value) -> Option<String> {
    part.get("message-id").and_then(lenient_text)
}

fn refused(part: &Value, code: &str, status: u16) -> Verdict {
    let message = part.get("error-text").and_then(lenient_text);
    let refusal = Refusal {
        code,
        message: &message.unwrap_or_default(),
        status,
        retry_after_ms: None,
    };
    match refuse(&CATALOGUE, refusal) {
        // What has an id may have been taken.
        verdict if verdict.undocumented && id(part).is_some() => Verdict {
            result: unknown(code.chars().take(64).collect::<String>()),
            undocumented: true,
        },
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    use super::*;

    fn result(status: u16, body: &str) -> ItemResult {
        let answer = Answer {
            status,
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        };
        interpret(&answer).result
    }

    fn fields(text: &str) -> Vec<(&'static str, String)> {
        let item = Item {
            recipient: "+6581234567".parse().unwrap(),
            sign_name: String::new(),
            content: Content::FullText { text: text.into() },
            text: String::new(),
        };
        let terms = Terms {
            from: "ACME",
            callback: None,
            echo: "100000000000001",
        };
        form(&item, &terms).unwrap()
    }

    #[test]
    fn only_what_gsm_cannot_write_is_sent_as_unicode() {
        let unicode = ("type", "unicode".to_owned());
        assert!(!fields("Your code is 123456 [€]").contains(&unicode));
        assert!(fields("验证码 123456").contains(&unicode));
        assert!(fields("ok").contains(&("to", "6581234567".to_owned())));
    }

    #[test]
    fn a_message_is_accepted_when_each_of_its_parts_is() {
        let body = r#"{"message-count":"2","messages":[{"to":"8613800138000","message-id":"0A1","status":"0"},
            {"to":"8613800138000","message-id":"0A2","status":0}]}"#;
        let vendor_id = "0A1".to_owned();
        assert_eq!(result(200, body), AttemptResult::Accepted { vendor_id });
    }

    #[test]
    fn a_refusal_says_what_follows() {
        for (status, want) in [
            ("1", Disposition::RetrySame),
            ("4", Disposition::Account),
            ("15", Disposition::RetryOther),
            ("33", Disposition::PermanentRecipient),
            ("12", Disposition::PermanentContent),
            ("98", Disposition::RetryOther),
        ] {
            let body = format!(
                r#"{{"message-count":"1","messages":[{{"to":"8613800138000","status":"{status}","error-text":"to 8613800138000"}}]}}"#
            );
            let AttemptResult::Rejected {
                disposition,
                message,
                ..
            } = result(200, &body)
            else {
                panic!("{status}");
            };
            assert_eq!(disposition, want, "{status}");
            assert!(!message.contains("8613800138000"), "{message}");
        }
    }

    #[test]
    fn what_proves_neither_acceptance_nor_refusal_is_unknown() {
        for (status, body) in [
            (200, "<html>"),
            (200, "{}"),
            (200, r#"{"message-count":"0","messages":[]}"#),
            (200, r#"{"messages":[{"status":"0"}]}"#),
            (200, r#"{"messages":[{"message-id":"1"}]}"#),
            (
                200,
                r#"{"message-count":"2","messages":[{"status":"0","message-id":"1"}]}"#,
            ),
            (
                200,
                r#"{"messages":[{"status":"0","message-id":"1"},{"status":"9"}]}"#,
            ),
            (
                200,
                r#"{"messages":[{"status":"9"},{"status":"0","message-id":"1"}]}"#,
            ),
            (200, r#"{"messages":[{"status":"98","message-id":"1"}]}"#),
            (500, r#"{"messages":[{"status":"0","message-id":"1"}]}"#),
            (500, r#"{"messages":[{"status":"98"}]}"#),
            (502, r#"{"messages":[{"status":"4"}]}"#),
            (401, "{}"),
            (302, ""),
        ] {
            let result = result(status, body);
            assert!(
                matches!(result, AttemptResult::Unknown { .. }),
                "{status} {body}: {result:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(status in 100_u16..1000, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _verdict = interpret(&Answer { status, headers: HeaderMap::new(), body: body.into() });
        }

        #[test]
        fn no_field_makes_the_reader_panic(code in ".{0,90}", id in ".{0,20}", count in ".{0,4}") {
            let body = serde_json::json!({"message-count": count, "messages": [{"status": code, "message-id": id}]});
            let _result = result(200, &body.to_string());
        }
    }
}
