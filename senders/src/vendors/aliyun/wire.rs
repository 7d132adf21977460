//! SendSms and SendBatchSms on the wire: parameters out, answer in. Pure.
//!
//! Source: `alibabacloud-dysmsapi20170525` 4.6.0 (parameters and answer), `alibabacloud-tea-openapi` 0.4.6 (gateway
//! errors, `x-acs-retry-after`). SendBatchSms takes arrays of equal length, one place a number, in a form; that it takes 100
//! is not in the SDK.

use std::collections::BTreeMap;

use jixinda_schemas::{
    CallId, Phone,
    event::AttemptResult,
    template::Content,
    vendor::{Blame, Disposition},
};
use serde_json::{Value, json};

use super::codes;
use crate::{
    vendor::{Item, ItemResult, not_sent, unknown},
    vendors::{
        answer::{Refusal, Verdict, by_status, lenient_text, refuse},
        exchange::Answer,
        several::wrong_form,
    },
};

/// Header with the pause that a throttled caller should make. Its unit is not documented; the SDK bounds it with
/// the limits of its own back-off, 100 and 120,000, which are milliseconds, and so do we. What one is worth is a setting.
const RETRY_AFTER: &str = "x-acs-retry-after";

/// Most numbers of SendSms: one template, signature and values for all.
pub const MOST: usize = 1_000;
/// Most numbers of SendBatchSms: one template.
pub const MOST_BATCH: usize = 100;

/// A call as parameters, not encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub action: &'static str,
    pub query: Vec<(&'static str, String)>,
    /// Fields of the body; without them there is none.
    pub form: Vec<(&'static str, String)>,
}

/// One call: SendSms where the items differ in the number only, else SendBatchSms.
///
/// # Errors
/// The result of every item when one cannot be put on this wire, or they do not go together ([`fits`]).
pub fn outgoing(call_id: CallId, items: &[Item]) -> Result<Outgoing, ItemResult> {
    let form = || wrong_form("this vendor takes a template code with named variables");
    let first = items.first().ok_or_else(form)?;
    let (code, params) = named(first).ok_or_else(form)?;
    let numbers = items.iter().map(|item| number(&item.recipient));
    let numbers = numbers.collect::<Option<Vec<_>>>().ok_or_else(|| {
        not_sent(
            Disposition::RetryOther,
            Blame::None,
            "ambiguous_number",
            "written as this vendor wants it, the number would be one of the mainland",
        )
    })?;
    let template = ("TemplateCode", code.clone());
    let out_id = ("OutId", call_id.to_string());
    if items.iter().all(|item| is_one_text(first, item)) {
        let mut query = vec![
            ("PhoneNumbers", numbers.join(",")),
            ("SignName", first.sign_name.clone()),
            template,
            out_id,
        ];
        if !params.is_empty() {
            query.push(("TemplateParam", strings(params).to_string()));
        }
        return Ok(Outgoing {
            action: "SendSms",
            query,
            form: Vec::new(),
        });
    }
    let signs: Vec<&str> = items.iter().map(|item| item.sign_name.as_str()).collect();
    let params = items.iter().map(|item| {
        let (_, params) = named(item).filter(|(other, _)| *other == code)?;
        Some(strings(params))
    });
    let params = params.collect::<Option<Vec<_>>>().ok_or_else(form)?;
    Ok(Outgoing {
        action: "SendBatchSms",
        query: vec![template, out_id],
        form: vec![
            ("PhoneNumberJson", json!(numbers).to_string()),
            ("SignNameJson", json!(signs).to_string()),
            ("TemplateParamJson", json!(params).to_string()),
        ],
    })
}

fn named(item: &Item) -> Option<(&String, &BTreeMap<String, String>)> {
    match &item.content {
        Content::Named { code, params } => Some((code, params)),
        Content::Positional { .. } | Content::Separated { .. } | Content::FullText { .. } => None,
    }
}

/// A map of strings always has a JSON form; all values are strings, or the vendor answers INVALID_JSON_PARAM.
fn strings(params: &BTreeMap<String, String>) -> Value {
    Value::from_iter(params.iter().map(|(k, v)| (k.as_str(), v.as_str())))
}

/// Whether two items differ in the number only.
pub(super) fn is_one_text(a: &Item, b: &Item) -> bool {
    a.content == b.content && a.sign_name == b.sign_name
}

/// Whether two items may share a call of at most `most` items: one template, all to the mainland or all abroad; above the
/// limit of SendBatchSms also one signature and the same values.
#[must_use]
pub fn fits(a: &Item, b: &Item, most: usize) -> bool {
    let mainland = |item: &Item| item.recipient.china_national().is_some();
    let writable = |item: &Item| number(&item.recipient).is_some();
    let alike = match (named(a), named(b)) {
        (Some((a, _)), Some((b, _))) => a == b,
        _ => a.content == b.content,
    };
    // A number that cannot be written is refused alone.
    let together =
        mainland(a) == mainland(b) && (writable(a) && writable(b) || a.recipient == b.recipient);
    alike && together && (most <= MOST_BATCH || is_one_text(a, b))
}

/// The number as SendSms takes it: 11 digits for the mainland, country code and number without plus for others.
///
/// `None` for a foreign number that reads as a mainland one in that form: `+1 650 555 0100` becomes `16505550100`,
/// which is somebody else's handset.
pub(super) fn number(phone: &Phone) -> Option<&str> {
    if let Some(national) = phone.china_national() {
        return Some(national);
    }
    let digits = phone.expose().trim_start_matches('+');
    Phone::parse_lenient(digits).is_err().then_some(digits)
}

/// Reads an answer.
///
/// Documented: success is 200 with `Code` `OK` and a `BizId`; a refusal is 200 with another `Code` and no `BizId`,
/// or, from the gateway, 4xx or 5xx with a `Code`. 502 and 504 come from something in front of the vendor, and 3xx
/// from nobody that we know; what happened behind them is not known.
///
/// A pause that the vendor asks for counts in units of `pause_unit_ms` milliseconds.
#[must_use]
pub fn interpret(answer: &Answer, pause_unit_ms: u32) -> Verdict {
    let status = answer.status;
    let by_status = || by_status(status);
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
            let refusal = Refusal {
                code: &code,
                message: &text("Message").unwrap_or_default(),
                status,
                retry_after_ms: retry_after(answer, pause_unit_ms),
            };
            refuse(&codes::CATALOGUE, refusal)
        }
        (Some(_), Some(_)) if status == 200 => unknown("refused_with_id").into(),
        _ => by_status(),
    }
}

fn retry_after(answer: &Answer, unit_ms: u32) -> Option<u32> {
    let value = answer.headers.get(RETRY_AFTER)?.to_str().ok()?;
    let units: u64 = value.trim().parse().ok()?;
    let millis = units.saturating_mul(u64::from(unit_ms));
    (millis > 0).then(|| millis.clamp(100, 120_000) as u32)
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

    fn interpret(answer: &Answer) -> Verdict {
        super::interpret(answer, 1)
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

    fn item(number: &str, code: &str, value: &str) -> Item {
        Item {
            recipient: number.parse().unwrap(),
            sign_name: "测试签名".into(),
            content: Content::Named {
                code: code.into(),
                params: [("code".to_owned(), value.to_owned())].into(),
            },
            text: String::new(),
        }
    }

    #[test]
    fn one_text_goes_by_send_sms_and_different_ones_by_send_batch_sms() {
        let id = CallId::from_random(1);
        let a = item("+8613800138000", "SMS_1", "1111");
        let b = item("+8613900139000", "SMS_1", "1111");
        let call = outgoing(id, &[a.clone(), b.clone()]).unwrap();
        assert_eq!(call.action, "SendSms");
        assert_eq!(call.query[0].1, "13800138000,13900139000");
        assert!(call.form.is_empty());

        let c = item("+8613900139000", "SMS_1", "a b+c&d=*~");
        let call = outgoing(id, &[a.clone(), c.clone()]).unwrap();
        assert_eq!(call.action, "SendBatchSms");
        assert_eq!(
            call.query,
            [
                ("TemplateCode", "SMS_1".to_owned()),
                ("OutId", id.to_string())
            ]
        );
        let form: Vec<&str> = call.form.iter().map(|(_, v)| v.as_str()).collect();
        let wanted = [
            r#"["13800138000","13900139000"]"#,
            r#"["测试签名","测试签名"]"#,
            r#"[{"code":"1111"},{"code":"a b+c&d=*~"}]"#,
        ];
        assert_eq!(form, wanted);

        let other = item("+8613900139000", "SMS_2", "1111");
        assert!(outgoing(id, &[a.clone(), other.clone()]).is_err());
        for (with, most, want) in [
            (&b, MOST, true),
            (&c, MOST_BATCH, true),
            (&c, MOST, false),
            (&other, 1, false),
            (&item("+6581234567", "SMS_1", "1111"), 1, false),
        ] {
            assert_eq!(fits(&a, with, most), want, "{with:?} {most}");
        }
        let ambiguous = item("+16505550100", "SMS_1", "1");
        assert!(!fits(&item("+6581234567", "SMS_1", "1"), &ambiguous, 1));
        assert!(fits(&ambiguous, &ambiguous, 1) && outgoing(id, &[ambiguous]).is_err());
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
        assert_eq!(retry_after(&throttled, 1), Some(2_000));
        assert_eq!(retry_after(&throttled, 1_000), Some(120_000));
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
