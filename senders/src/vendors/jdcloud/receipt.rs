//! statusReport: delivery reports of one call, fetched by its id. Pure.
//!
//! Source: the API reference: `result.data` is a list of `{phoneNum, sequenceNumber, sendTime, reportTime, status, code,
//! splitNum}`, `splitNum` being the number of the part, 1 for a short text. What the numbers in `status` mean is not
//! documented: they are kept in the raw item, and `code` decides, the carrier's word. A word that is not known is final only
//! in a report that has a time. Times carry no offset; Beijing time is assumed (not confirmed).

use jixinda_schemas::{
    Phone,
    vendor::{Blame, ReceiptStatus},
};
use serde_json::Value;

use super::codes::CATALOGUE;
use crate::{
    vendor::{Batch, FetchError, ParsedItem, ReceiptItem, Reported, UnreadableItem, brief},
    vendors::{answer::lenient_text, exchange::Answer, times, waiting::Number},
};

/// Milliseconds after which parts that are still missing are not waited for.
const PATIENCE: i64 = 15 * 60 * 1_000;

/// Reads the answer to a question about the call `id`.
///
/// # Errors
/// When it brings no list.
pub fn fetched(answer: &Answer, id: &str) -> Result<Batch, FetchError> {
    let items = list(answer)?;
    Ok(items.into_iter().map(|raw| item(raw, id)).collect())
}

/// `result.data` of an answer to a question.
pub(super) fn list(answer: &Answer) -> Result<Vec<Value>, FetchError> {
    let status = answer.status;
    let nothing = || FetchError(format!("http {status}, no list"));
    let mut reply: Value = serde_json::from_slice(&answer.body).map_err(|_| nothing())?;
    let text = |path: &str| reply.pointer(path).and_then(lenient_text);
    if let Some(code) = text("/error/status").or_else(|| text("/error/code")) {
        return Err(FetchError(brief(&code)));
    }
    let taken = reply.pointer("/result/status").and_then(Value::as_bool);
    if status != 200 || taken == Some(false) {
        let code = text("/result/code").map(|code| FetchError(brief(&format!("code {code}"))));
        return Err(code.unwrap_or_else(nothing));
    }
    match reply.pointer_mut("/result/data").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        // Nothing is known of the call or the day yet.
        None | Some(Value::Null) if taken == Some(true) => Ok(Vec::new()),
        _ => Err(nothing()),
    }
}

/// Whether a number need not be asked about again, `age` milliseconds after the call.
pub(super) fn is_settled(number: &Number, age: i64, receipts: &[ReceiptItem]) -> bool {
    let of_number = || receipts.iter().filter(|r| r.recipient == number.recipient);
    let parts = of_number().count();
    let all = number.parts.is_some_and(|all| parts >= all as usize);
    let complete = all || age >= PATIENCE;
    parts > 0 && complete && of_number().all(|receipt| receipt.status.is_final())
}

fn item(raw: Value, id: &str) -> ParsedItem {
    let read = read(&raw, id).map(Reported::Receipt);
    read.map_err(|detail| UnreadableItem { detail, raw })
}

fn read(raw: &Value, id: &str) -> Result<ReceiptItem, String> {
    let text = |name: &str| raw.get(name).and_then(lenient_text);
    let mobile = text("phoneNum").ok_or("phoneNum is missing")?;
    let reported = text("reportTime");
    let code = text("code").unwrap_or_default();
    let (status, blame) = match (CATALOGUE.receipt(&code), &reported) {
        (Some(row), _) => (row.status, row.blame),
        (None, Some(_)) if code.is_empty() => (ReceiptStatus::Unknown, Blame::None),
        (None, Some(_)) => (ReceiptStatus::Undelivered, Blame::Channel),
        (None, None) => (ReceiptStatus::Pending, Blame::None),
    };
    Ok(ReceiptItem {
        recipient: Phone::parse_lenient(&mobile).map_err(|e| format!("phoneNum: {e}"))?,
        echo: None,
        vendor_id: Some(text("sequenceNumber").unwrap_or_else(|| id.to_owned())),
        part: text("splitNum").and_then(|n| n.parse().ok()),
        parts: None,
        status,
        code,
        blame,
        segments: None,
        vendor_at: reported.and_then(|at| times::beijing(&at)),
        raw: raw.clone(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        }
    }

    fn report(code: &str, at: Option<&str>, part: u8) -> Value {
        json!({"phoneNum": "13800138000", "sequenceNumber": "881", "sendTime": "2025-01-02 11:04:05", "reportTime": at,
            "status": 1, "code": code, "splitNum": part})
    }

    fn batch(items: &[Value]) -> Batch {
        let body =
            json!({"requestId": "r", "result": {"status": true, "code": 200, "data": items}});
        fetched(&answer(200, &body.to_string()), "881").unwrap()
    }

    const AT: Option<&str> = Some("2025-01-02 11:04:09");

    #[test]
    fn a_report_has_the_calls_id_its_part_and_its_time() {
        let item = batch(&[report("DELIVRD", AT, 2)]).receipts.remove(0);
        assert_eq!(item.recipient.expose(), "+8613800138000");
        assert_eq!(
            (item.vendor_id.as_deref(), item.part),
            (Some("881"), Some(2))
        );
        assert_eq!(item.status, ReceiptStatus::Delivered);
        let at = item.vendor_at.unwrap().to_string();
        assert_eq!(at, "2025-01-02T03:04:09.000Z");
        let bare = json!({"phoneNum": 13_800_138_000_u64, "code": 0});
        let item = batch(&[bare]).receipts.remove(0);
        assert_eq!(item.vendor_id.as_deref(), Some("881"));
        assert_eq!(item.status, ReceiptStatus::Delivered);
    }

    #[test]
    fn a_word_that_is_not_known_is_final_only_with_a_time() {
        use ReceiptStatus as S;
        for (code, at, want) in [
            ("MB:1026", AT, S::Undelivered),
            ("MB:1026", None, S::Pending),
            ("SUCCESS", None, S::Delivered),
            ("", AT, S::Unknown),
            ("", None, S::Pending),
            ("REJECTD", None, S::Rejected),
        ] {
            let item = batch(&[report(code, at, 1)]).receipts.remove(0);
            assert_eq!(item.status, want, "{code} {at:?}");
        }
    }

    #[test]
    fn a_number_is_settled_when_all_its_parts_are_final() {
        let number = Number {
            recipient: "+8613800138000".parse().unwrap(),
            parts: Some(2),
        };
        let settled = |age, items: &[Value]| is_settled(&number, age, &batch(items).receipts);
        let (first, second) = (report("DELIVRD", AT, 1), report("UNDELIV", AT, 2));
        assert!(settled(0, &[first.clone(), second]));
        assert!(!settled(0, std::slice::from_ref(&first)));
        assert!(settled(PATIENCE, std::slice::from_ref(&first)));
        assert!(!settled(PATIENCE, &[first, report("ACCEPTD", AT, 2)]));
        assert!(!settled(PATIENCE, &[]));
    }

    #[test]
    fn what_is_no_list_is_an_error_and_nothing_yet_is_none() {
        let body = |data: &str| format!(r#"{{"result":{{"status":true,"data":{data}}}}}"#);
        assert!(
            fetched(&answer(200, &body("null")), "1")
                .unwrap()
                .is_empty()
        );
        assert!(fetched(&answer(200, &body("[]")), "1").unwrap().is_empty());
        for (status, body, want) in [
            (200, body("{}"), "http 200, no list"),
            (200, "<html>".to_owned(), "http 200, no list"),
            (200, "{}".to_owned(), "http 200, no list"),
            (200, "[7]".to_owned(), "http 200, no list"),
            (500, body("[]"), "http 500, no list"),
            (
                200,
                r#"{"result":{"status":false,"code":7}}"#.to_owned(),
                "code 7",
            ),
            (
                400,
                r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#.to_owned(),
                "INVALID_ARGUMENT",
            ),
        ] {
            let error = fetched(&answer(status, &body), "1").unwrap_err();
            assert_eq!(error.to_string(), want, "{body}");
        }
        let batch = batch(&[json!(7), json!({"phoneNum": "1"}), report("DELIVRD", AT, 1)]);
        assert_eq!((batch.receipts.len(), batch.unreadable.len()), (1, 2));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _batch = fetched(&Answer { status: 200, headers: HeaderMap::new(), body: body.into() }, "1");
        }

        #[test]
        fn no_field_makes_the_reader_panic(mobile in ".{0,20}", code in ".{0,20}", at in ".{0,24}", part in any::<i64>()) {
            let item = json!({"phoneNum": mobile, "code": code, "reportTime": at, "splitNum": part});
            prop_assert_eq!(batch(&[item, json!(part)]).len(), 2);
        }
    }
}
