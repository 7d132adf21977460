//! SendSms on the wire: parameters out, answer in. Pure.
//!
//! Source: `alibabacloud-dysmsapi20170525` 4.6.0 (parameters and answer), `alibabacloud-tea-openapi` 0.4.6 (gateway
//! errors, `x-acs-retry-after`).

use jixinda_schemas::{
    CallId, Phone,
    event::AttemptResult,
    template::Content,
    vendor::{Blame, Disposition},
};
use serde_json::Value;

use super::codes;
use crate::{
    vendor::{Item, ItemResult, brief, not_sent, unknown},
    vendors::exchange::Answer,
};

/// Header with the pause that a throttled caller should make. Its unit is not documented; the SDK bounds it with
/// the limits of its own back-off, 100 and 120,000, which are milliseconds, and so do we.
const RETRY_AFTER: &str = "x-acs-retry-after";

/// The parameters of one SendSms.
///
/// # Errors
/// The result of the item when it cannot be put on this wire.
pub fn params(call_id: CallId, item: &Item) -> Result<Vec<(&'static str, String)>, ItemResult> {
    let Content::Named { code, params } = &item.content else {
        return Err(not_sent(
            Disposition::RetryOther,
            Blame::App,
            "content_form",
            "this vendor takes a template code with named variables",
        ));
    };
    let Some(number) = number(&item.recipient) else {
        return Err(not_sent(
            Disposition::RetryOther,
            Blame::None,
            "ambiguous_number",
            "written as this vendor wants it, the number would be one of the mainland",
        ));
    };
    let mut out = vec![
        ("PhoneNumbers", number.to_owned()),
        ("SignName", item.sign_name.clone()),
        ("TemplateCode", code.clone()),
        ("OutId", call_id.to_string()),
    ];
    if !params.is_empty() {
        // A map of strings always has a JSON form; all values are strings, or the vendor answers INVALID_JSON_PARAM.
        out.push((
            "TemplateParam",
            Value::from_iter(params.iter().map(|(k, v)| (k.as_str(), v.as_str()))).to_string(),
        ));
    }
    Ok(out)
}

/// The number as SendSms takes it: 11 digits for the mainland, country code and number without plus for others.
///
/// `None` for a foreign number that reads as a mainland one in that form: `+1 650 555 0100` becomes `16505550100`,
/// which is somebody else's handset.
fn number(phone: &Phone) -> Option<&str> {
    if let Some(national) = phone.china_national() {
        return Some(national);
    }
    let digits = phone.expose().trim_start_matches('+');
    Phone::parse_lenient(digits).is_err().then_some(digits)
}

/// What an answer means for the item of the call.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub result: ItemResult,
    /// The code is not in the table.
    pub undocumented: bool,
}

impl From<ItemResult> for Verdict {
    fn from(result: ItemResult) -> Self {
        Self {
            result,
            undocumented: false,
        }
    }
}

/// Reads an answer.
///
/// Documented: success is 200 with `Code` `OK` and a `BizId`; a refusal is 200 with another `Code` and no `BizId`,
/// or, from the gateway, 4xx or 5xx with a `Code`. 502 and 504 come from something in front of the vendor, and 3xx
/// from nobody that we know; what happened behind them is not known.
#[must_use]
pub fn interpret(answer: &Answer) -> Verdict {
    let status = answer.status;
    let by_status = || -> Verdict {
        match status {
            200 => unknown("unparsable"),
            _ => unknown(format!("http_{status}")),
        }
        .into()
    };
    if !matches!(status, 200 | 400..=599) || matches!(status, 502 | 504) {
        return by_status();
    }
    let Ok(Value::Object(reply)) = serde_json::from_slice(&answer.body) else {
        return by_status();
    };
    let text = |name: &str| reply.get(name).and_then(lenient_text);
    match (text("Code"), text("BizId")) {
        (Some(code), id) if code == "OK" && status == 200 => match id {
            Some(vendor_id) => AttemptResult::Accepted { vendor_id }.into(),
            None => unknown("ok_without_id").into(),
        },
        (Some(code), None) if code != "OK" => {
            refusal(answer, &code, &text("Message").unwrap_or_default())
        }
        (Some(_), Some(_)) if status == 200 => unknown("refused_with_id").into(),
        _ => by_status(),
    }
}

fn refusal(answer: &Answer, code: &str, message: &str) -> Verdict {
    let retry_after_ms = retry_after(answer);
    let rejected = |disposition, blame, message: &str| AttemptResult::Rejected {
        disposition,
        blame,
        vendor_code: code.chars().take(64).collect(),
        message: brief(message),
        retry_after_ms,
    };
    match codes::submit(code) {
        Some(row) if row.disposition == Disposition::Unknown => unknown(code).into(),
        Some(row) => rejected(row.disposition, row.blame, message).into(),
        None if answer.status >= 500 => unknown(format!("http_{}", answer.status)).into(),
        None => {
            // The names of the throttling codes are not documented; their status and header are.
            let throttled = answer.status == 429 || retry_after_ms.is_some();
            let (disposition, blame) = if throttled {
                (Disposition::RetrySame, Blame::Capacity)
            } else {
                (Disposition::RetryOther, Blame::Channel)
            };
            Verdict {
                result: rejected(disposition, blame, &format!("undocumented code: {message}")),
                undocumented: true,
            }
        }
    }
}

fn retry_after(answer: &Answer) -> Option<u32> {
    let value = answer.headers.get(RETRY_AFTER)?.to_str().ok()?;
    let millis: u64 = value.trim().parse().ok()?;
    (millis > 0).then(|| millis.clamp(100, 120_000) as u32)
}

/// A string or a number as text; nothing for what is empty or of another kind.
pub(super) fn lenient_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        }
    }

    fn detail(status: u16, body: &str) -> String {
        match interpret(&answer(status, body)).result {
            AttemptResult::Unknown { detail } => detail,
            other => panic!("{status} {body}: {other:?}"),
        }
    }

    #[test]
    fn numbers_are_written_as_the_vendor_wants_and_never_as_somebody_elses() {
        let written = |n: &str| number(&n.parse().unwrap()).map(ToOwned::to_owned);
        assert_eq!(written("+8613800138000").as_deref(), Some("13800138000"));
        assert_eq!(written("+6581234567").as_deref(), Some("6581234567"));
        assert_eq!(written("+12125550100").as_deref(), Some("12125550100"));
        assert_eq!(written("+16505550100"), None);
    }

    #[test]
    fn what_proves_neither_acceptance_nor_refusal_is_unknown() {
        const OK: &str = r#"{"Code":"OK","BizId":"1^0"}"#;
        for (status, body, want) in [
            (200, "<html>", "unparsable"),
            (200, "[]", "unparsable"),
            (200, r#"{"RequestId":"x"}"#, "unparsable"),
            (200, r#"{"Code":"OK"}"#, "ok_without_id"),
            (200, r#"{"Code":"OK","BizId":""}"#, "ok_without_id"),
            (
                200,
                r#"{"Code":"isv.MOBILE_NUMBER_ILLEGAL","BizId":"1"}"#,
                "refused_with_id",
            ),
            (201, OK, "http_201"),
            (302, OK, "http_302"),
            (400, OK, "http_400"),
            (404, "not found", "http_404"),
            (429, "", "http_429"),
            (500, "", "http_500"),
            (500, r#"{"Code":"InternalError"}"#, "http_500"),
            (502, r#"{"Code":"isp.SYSTEM_ERROR"}"#, "http_502"),
            (504, "", "http_504"),
            (
                400,
                r#"{"Code":"SignatureNonceUsed","Message":"x"}"#,
                "SignatureNonceUsed",
            ),
        ] {
            assert_eq!(detail(status, body), want, "{status} {body}");
        }
    }

    #[test]
    fn an_undocumented_refusal_is_definite_flagged_and_counted() {
        let verdict = interpret(&answer(
            200,
            r#"{"Code":"isv.NEW","Message":"to 13800138000"}"#,
        ));
        assert!(verdict.undocumented);
        assert_eq!(
            verdict.result,
            not_sent(
                Disposition::RetryOther,
                Blame::Channel,
                "isv.NEW",
                "undocumented code: to 138****00"
            )
        );
    }

    #[test]
    fn an_undocumented_code_with_the_throttling_status_or_header_is_a_throttle() {
        let mut throttled = answer(400, r#"{"Code":"Flow.Limited"}"#);
        throttled
            .headers
            .insert(RETRY_AFTER, "2000".parse().unwrap());
        for (answer, pause) in [
            (throttled, Some(2000)),
            (answer(429, r#"{"Code":"Flow.Limited"}"#), None),
        ] {
            let AttemptResult::Rejected {
                disposition,
                blame,
                retry_after_ms,
                ..
            } = interpret(&answer).result
            else {
                panic!("not refused");
            };
            assert_eq!(
                (disposition, blame, retry_after_ms),
                (Disposition::RetrySame, Blame::Capacity, pause)
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(status in 100_u16..1000, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let headers = HeaderMap::new();
            let _verdict = interpret(&Answer { status, headers, body: body.into() });
        }

        #[test]
        fn no_code_message_or_id_makes_the_reader_panic(code in ".{0,90}", message in ".{0,300}", id in proptest::option::of(".{0,20}")) {
            let body = serde_json::json!({"Code": code, "Message": message, "BizId": id}).to_string();
            let _verdict = interpret(&answer(200, &body));
        }
    }
}
