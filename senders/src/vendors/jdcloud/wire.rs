//! batchSend and statusReport on the wire: bodies out, the answer to a call in. Pure.
//!
//! Source: `jdcloud_sdk` 1.6.354 (bodies; the SDK repeats the region there) and a sample of a refusal. Accepted and refused
//! calls both come with HTTP 200 and `result`; the gateway refuses with 4xx or 5xx and `error`. `code` is documented as a
//! string and was seen as a number.

use jixinda_schemas::{event::AttemptResult, segments, template::Content};
use serde_json::{Value, json};

use super::codes::CATALOGUE;
use crate::{
    vendor::{Call, Item, ItemResult, brief, unknown},
    vendors::{
        answer::{
            Refusal, Verdict, by_status, is_the_vendors, leaves_it_open, lenient_text, refuse,
        },
        exchange::Answer,
        several::{each, mainland, one_text, wrong_form},
        waiting::{Asked, Number},
    },
};

/// The body of one batchSend, for items of one text: [`fits`] tells which go together.
///
/// # Errors
/// The result of every item when the text cannot be put on this wire.
pub fn body(call: &Call, region: &str) -> Result<Vec<u8>, ItemResult> {
    let form = || wrong_form("this vendor takes a template id with variables in order");
    let first = call.items.first().ok_or_else(form)?;
    let Content::Positional { code, params } = &first.content else {
        return Err(form());
    };
    let mut body = json!({
        "regionId": region,
        "templateId": code,
        "phoneList": mainland(&call.items)?,
    });
    if !first.sign_name.is_empty() {
        body["signId"] = json!(first.sign_name);
    }
    if !params.is_empty() {
        body["params"] = json!(params);
    }
    Ok(body.to_string().into_bytes())
}

/// Whether two items may share a call: one text, and both of the mainland.
#[must_use]
pub fn fits(a: &Item, b: &Item) -> bool {
    one_text(a, b)
}

/// The numbers of a call, to wait for.
pub(super) fn numbers(items: &[Item]) -> Vec<Number> {
    let number = |item: &Item| Number {
        recipient: item.recipient.clone(),
        parts: Some(segments::count(&item.text, &item.recipient)),
    };
    items.iter().map(number).collect()
}

/// The body of one statusReport.
#[must_use]
pub fn report_query(asked: &Asked, region: &str) -> Vec<u8> {
    let numbers = asked.numbers.iter();
    let numbers: Vec<&str> = numbers
        .filter_map(|n| n.recipient.china_national())
        .collect();
    json!({"regionId": region, "sequenceNumber": asked.id, "phoneList": numbers})
        .to_string()
        .into_bytes()
}

/// Reads the answer to a batchSend: one verdict for each of `count` items, which are taken or refused together.
#[must_use]
pub fn interpret(answer: &Answer, count: usize) -> Vec<Verdict> {
    // `INVALID_ARGUMENT` may be about a number as well as about the text.
    each(whole(answer), count, false)
}

fn whole(answer: &Answer) -> Verdict {
    let status = answer.status;
    if !is_the_vendors(status) {
        return by_status(status);
    }
    let Ok(reply) = serde_json::from_slice::<Value>(&answer.body) else {
        return by_status(status);
    };
    if let Some(error) = reply.get("error").filter(|error| error.is_object()) {
        return gateway(error, status);
    }
    let result = &reply["result"];
    let text = |name: &str| result.get(name).and_then(lenient_text);
    let id = result["data"].get("sequenceNumber").and_then(lenient_text);
    let code = text("code");
    let taken = match &result["status"] {
        Value::Bool(taken) => *taken,
        Value::Null if code.is_some() => code.as_deref() == Some("200"),
        _ => return by_status(status),
    };
    match (taken, id, code) {
        (true, Some(vendor_id), _) if (200..=299).contains(&status) => {
            AttemptResult::Accepted { vendor_id }.into()
        }
        (true, None, _) => unknown("ok_without_id").into(),
        (false, Some(_), _) => unknown("refused_with_id").into(),
        (false, None, Some(code)) => refusal(&code, &text("message").unwrap_or_default(), status),
        _ => by_status(status),
    }
}

/// `{"code":400,"status":"INVALID_ARGUMENT","message":"…"}`.
fn gateway(error: &Value, status: u16) -> Verdict {
    let text = |name: &str| error.get(name).and_then(lenient_text);
    let names = [text("status"), text("code"), Some(status.to_string())];
    let known = names.iter().flatten();
    let known = known.clone().find(|name| CATALOGUE.submit(name).is_some());
    match known.or_else(|| names.iter().flatten().next()) {
        // A code that is told by the status of the answer only is none.
        Some(_) if names[..2].iter().all(Option::is_none) => by_status(status),
        Some(code) => refusal(code, &text("message").unwrap_or_default(), status),
        None => by_status(status),
    }
}

/// By the table; a code that is not in it by the words of its message.
fn refusal(code: &str, message: &str, status: u16) -> Verdict {
    let known = CATALOGUE.submit(code).is_some();
    match CATALOGUE.in_words(message) {
        Some(row) if !known && !leaves_it_open(status) => Verdict {
            result: AttemptResult::Rejected {
                disposition: row.disposition,
                blame: row.blame,
                vendor_code: code.chars().take(64).collect(),
                message: brief(message),
                retry_after_ms: None,
            },
            undocumented: true,
        },
        _ => refuse(
            &CATALOGUE,
            Refusal {
                code,
                message,
                status,
                retry_after_ms: None,
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jixinda_schemas::{
        CallId, Timestamp,
        vendor::{Blame, Disposition},
    };
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    use super::*;

    fn item(number: &str) -> Item {
        Item {
            recipient: number.parse().unwrap(),
            sign_name: "qm_9a8b7c".into(),
            content: Content::Positional {
                code: "st_8f7e5d".into(),
                params: vec!["123456".into(), "5".into()],
            },
            text: "字".repeat(71),
        }
    }

    fn two() -> Call {
        Call {
            call_id: CallId::from_random(1),
            items: vec![item("+8613800138000"), item("+8613900139000")],
            timeout: Duration::from_secs(1),
        }
    }

    fn results(status: u16, body: &str, count: usize) -> Vec<ItemResult> {
        let answer = Answer {
            status,
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        };
        let verdicts = interpret(&answer, count);
        assert_eq!(verdicts.len(), count);
        verdicts.into_iter().map(|v| v.result).collect()
    }

    fn refused(status: u16, body: &str, count: usize) -> (Disposition, Blame, String) {
        match results(status, body, count).remove(0) {
            AttemptResult::Rejected {
                disposition,
                blame,
                vendor_code,
                ..
            } => (disposition, blame, vendor_code),
            other => panic!("{status} {body}: {other:?}"),
        }
    }

    #[test]
    fn the_bodies_have_the_fields_of_the_sdk() {
        let call = two();
        let sent: Value = serde_json::from_slice(&body(&call, "cn-north-1").unwrap()).unwrap();
        let wanted = json!({
            "regionId": "cn-north-1", "templateId": "st_8f7e5d", "signId": "qm_9a8b7c",
            "phoneList": ["13800138000", "13900139000"], "params": ["123456", "5"],
        });
        assert_eq!(sent, wanted);
        assert!(fits(&call.items[0], &call.items[1]));
        let mut abroad = call.clone();
        abroad.items = vec![item("+6581234567")];
        assert!(!fits(&call.items[0], &abroad.items[0]));
        assert!(body(&abroad, "cn-north-1").is_err());

        let asked = Asked {
            place: 0,
            id: "7".into(),
            since: Timestamp(0),
            numbers: numbers(&call.items),
        };
        assert_eq!(asked.numbers[0].parts, Some(2));
        let sent: Value = serde_json::from_slice(&report_query(&asked, "cn-north-1")).unwrap();
        let wanted = json!({
            "regionId": "cn-north-1", "sequenceNumber": "7", "phoneList": ["13800138000", "13900139000"],
        });
        assert_eq!(sent, wanted);
    }

    #[test]
    fn a_call_is_taken_as_a_whole() {
        for code in ["200", "\"200\""] {
            let body = format!(
                r#"{{"requestId":"r","result":{{"status":true,"code":{code},"data":{{"sequenceNumber":"881"}}}}}}"#
            );
            let vendor_id = "881".to_owned();
            let wanted = AttemptResult::Accepted { vendor_id };
            assert_eq!(results(200, &body, 2), [wanted.clone(), wanted]);
        }
    }

    #[test]
    fn refusals_are_read_by_code_or_by_words() {
        let result = |code: &str, said: &str| {
            format!(
                r#"{{"result":{{"code":{code},"message":"{said}","status":false,"data":null}}}}"#
            )
        };
        let used_up = result("11572106", "批量发送短信接口, 套餐包余量不足");
        let account = (Disposition::Account, Blame::Account);
        let (disposition, blame, code) = refused(200, &used_up, 2);
        assert_eq!(
            (disposition, blame, &*code),
            (account.0, account.1, "11572106")
        );

        let number = result("\"11572199\"", "手机号码不正确");
        let (disposition, _, code) = refused(200, &number, 1);
        assert_eq!(
            (disposition, &*code),
            (Disposition::PermanentRecipient, "11572199")
        );
        // Of several it is not said which.
        assert_eq!(refused(200, &number, 2).0, Disposition::RetrySame);
        let other = refused(200, &result("11570000", "?"), 2);
        assert_eq!(
            (other.0, other.1),
            (Disposition::RetryOther, Blame::Channel)
        );
    }

    #[test]
    fn the_gateway_refuses_in_its_own_form() {
        for (status, code, word, want) in [
            (400, 400, "INVALID_ARGUMENT", Disposition::PermanentContent),
            (500, 500, "INTERNAL", Disposition::RetrySame),
            (401, 401, "UNAUTHENTICATED", Disposition::Account),
            (403, 403, "PERMISSION_DENIED", Disposition::Account),
            (429, 429, "QUOTA", Disposition::RetrySame),
            (404, 404, "NOT_FOUND", Disposition::RetryOther),
        ] {
            let body = format!(
                r#"{{"requestId":"r","error":{{"code":{code},"status":"{word}","message":"x"}}}}"#
            );
            assert_eq!(refused(status, &body, 1).0, want, "{status} {word}");
        }
        // Of several it is not said which is wrong, nor whether it is the number.
        let wrong = r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"x"}}"#;
        assert_eq!(refused(400, wrong, 2).0, Disposition::RetrySame);
    }

    #[test]
    fn what_proves_neither_acceptance_nor_refusal_is_unknown() {
        for (status, body) in [
            (200, "<html>"),
            (200, "{}"),
            (200, r#"{"result":{"status":true,"code":200,"data":null}}"#),
            (
                200,
                r#"{"result":{"status":false,"code":1,"data":{"sequenceNumber":"1"}}}"#,
            ),
            (200, r#"{"result":{"status":false}}"#),
            (200, r#"{"result":{"status":"yes","code":200}}"#),
            (
                400,
                r#"{"result":{"status":true,"data":{"sequenceNumber":"1"}}}"#,
            ),
            (429, r#"{"error":{}}"#),
            (500, r#"{"error":{"code":500,"status":"OTHER"}}"#),
            (
                500,
                r#"{"result":{"status":false,"code":1,"message":"余额"}}"#,
            ),
            (502, r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#),
            (503, ""),
            (302, ""),
        ] {
            for result in results(status, body, 2) {
                assert!(
                    matches!(result, AttemptResult::Unknown { .. }),
                    "{status} {body}: {result:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(status in 100_u16..1000, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let answer = Answer { status, headers: HeaderMap::new(), body: body.into() };
            prop_assert_eq!(interpret(&answer, 2).len(), 2);
        }

        #[test]
        fn no_field_makes_the_reader_panic(code in ".{0,90}", id in ".{0,20}", taken in any::<bool>(), said in ".{0,300}") {
            let result = json!({"result": {"code": code, "status": taken, "message": said, "data": {"sequenceNumber": id}}});
            prop_assert_eq!(results(200, &result.to_string(), 3).len(), 3);
            let error = json!({"error": {"code": id, "status": code, "message": said}});
            prop_assert_eq!(results(400, &error.to_string(), 3).len(), 3);
        }
    }
}
