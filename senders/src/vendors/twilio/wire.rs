//! Creating a message: form out, answer in. Pure.
//!
//! Source: `twilio` 9.13.0 (Message resource). 201 with a `sid` is accepted; a refusal is 4xx with a numeric `code`.

use jixinda_schemas::{
    event::AttemptResult,
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

/// Longest text that is taken.
const LONGEST: usize = 1_600;

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A number, a short code, or letters.
    From(String),
    /// A pool of numbers.
    Service(String),
}

/// The fields of one message.
///
/// # Errors
/// The result of the item when it cannot be put on this wire.
pub fn form(
    item: &Item,
    sender: &Sender,
    callback: Option<&str>,
) -> Result<Vec<(&'static str, String)>, ItemResult> {
    let Content::FullText { text } = &item.content else {
        return Err(not_sent(
            Disposition::RetryOther,
            Blame::App,
            "content_form",
            "this vendor takes the text itself",
        ));
    };
    if text.chars().count() > LONGEST {
        return Err(not_sent(
            Disposition::PermanentContent,
            Blame::Content,
            "text_too_long",
            "this vendor takes at most 1,600 characters",
        ));
    }
    let mut form = vec![("To", item.recipient.expose().to_owned())];
    form.extend(callback.map(|url| ("StatusCallback", url.to_owned())));
    form.push(match sender {
        Sender::From(from) => ("From", from.clone()),
        Sender::Service(sid) => ("MessagingServiceSid", sid.clone()),
    });
    form.push(("Body", text.clone()));
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
    let text = |name: &str| reply.get(name).and_then(lenient_text);
    match (status, text("sid"), text("code")) {
        (200..=299, Some(vendor_id), None) => AttemptResult::Accepted { vendor_id }.into(),
        (200..=299, _, _) => unknown("ok_without_id").into(),
        (400.., None, Some(code)) => {
            let refusal = Refusal {
                code: &code,
                message: &text("message").unwrap_or_default(),
                status,
                retry_after_ms: None,
            };
            refuse(&CATALOGUE, refusal)
        }
        _ => by_status(status),
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

    fn disposition(status: u16, body: &str) -> Disposition {
        match result(status, body) {
            AttemptResult::Rejected { disposition, .. } => disposition,
            other => panic!("{status} {body}: {other:?}"),
        }
    }

    #[test]
    fn answers_are_what_the_documentation_says() {
        let vendor_id = "SMbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb".to_owned();
        let body = format!(
            r#"{{"sid":"{vendor_id}","status":"queued","num_segments":"1","error_code":null}}"#
        );
        assert_eq!(result(201, &body), AttemptResult::Accepted { vendor_id });
        for (status, code, want) in [
            (400, 21211, Disposition::PermanentRecipient),
            (400, 21610, Disposition::PermanentRecipient),
            (401, 20003, Disposition::Account),
            (429, 20429, Disposition::RetrySame),
            (429, 99999, Disposition::RetrySame),
            (400, 99999, Disposition::RetryOther),
        ] {
            let body = format!(r#"{{"code":{code},"message":"x","status":{status}}}"#);
            assert_eq!(disposition(status, &body), want, "{status} {code}");
        }
    }

    #[test]
    fn what_proves_neither_acceptance_nor_refusal_is_unknown() {
        for (status, body) in [
            (201, "{}"),
            (201, "<html>"),
            (500, r#"{"code":20500,"message":"x"}"#),
            (502, r#"{"code":21211}"#),
            (302, ""),
            (400, "{}"),
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
    }
}
