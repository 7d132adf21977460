//! Delivery reports of Feige, pushed or fetched. Pure.
//!
//! Source: the new documentation (push `{"count":200,"data":[{"time":1624039239,…}]}`, whose other fields were not seen and
//! are taken to be those of a fetch: `msg_no`, `mobile`, `status`); the documentation of a second brand of the same platform
//! (push `{"counts":200,"reports":[{"times":…,"send_id":"…","status":"DELIVRD","mobile":"86…"}]}`); the vendor's demo of the
//! old API (fetch `{"Rep":[{"SendID":"…","Status":"DELIVRD","Times":…,"Mobile":"…"}],"Code":0}`). All are read alike. The
//! answer to a push is not documented. Messages from handsets are not read: their shape is not documented.

use jixinda_schemas::{
    Phone,
    vendor::{Blame, ReceiptStatus},
};
use serde_json::Value;

use super::codes::{CATALOGUE, NO_REPORTS};
use crate::{
    vendor::{
        Ack, Batch, FetchError, ParsedItem, PushError, ReceiptItem, Reported, UnreadableItem, brief,
    },
    vendors::{answer::lenient_text, exchange::Answer, times},
};

/// Names under which the list of reports comes.
const LISTS: [&str; 3] = ["data", "reports", "Rep"];

/// Reads a push.
///
/// # Errors
/// When the body is not JSON with a list of reports.
pub fn parse(body: &[u8]) -> Result<Batch, PushError> {
    let mut reply: Value = serde_json::from_slice(body).map_err(PushError::Json)?;
    items(&mut reply).ok_or(PushError::Shape("an object with a list of reports"))
}

/// Whether the push is stored, in the words of the new API.
#[must_use]
pub fn acknowledge(stored: bool) -> Ack {
    let (status, body) = if stored {
        (200, r#"{"code":0,"msg":"success"}"#)
    } else {
        (500, r#"{"code":500,"msg":"not stored, push again"}"#)
    };
    Ack {
        status,
        content_type: "application/json;charset=utf-8",
        body: body.into(),
    }
}

/// Reads the answer to a fetch.
///
/// # Errors
/// When it brings no reports, other than because there are none.
pub fn fetched(answer: &Answer) -> Result<Batch, FetchError> {
    let status = answer.status;
    let nothing = || FetchError(format!("http {status}, no reports"));
    let mut reply: Value = serde_json::from_slice(&answer.body).map_err(|_| nothing())?;
    let code = reply.get("code").or_else(|| reply.get("Code"));
    match code.and_then(lenient_text).as_deref() {
        Some("0") if status == 200 => Ok(items(&mut reply).unwrap_or_else(|| no_list(reply))),
        Some(NO_REPORTS) => Ok(Batch::default()),
        Some(code) if status == 200 => Err(FetchError(brief(&format!("code {code}")))),
        _ => Err(nothing()),
    }
}

fn items(reply: &mut Value) -> Option<Batch> {
    let name = LISTS.iter().find(|name| reply[**name].is_array())?;
    match reply[*name].take() {
        Value::Array(items) => Some(items.into_iter().map(item).collect()),
        _ => None,
    }
}

/// There are none, or they are gone at the vendor and not lost here.
fn no_list(reply: Value) -> Batch {
    let mut batch = Batch::default();
    if LISTS.iter().any(|name| !reply[*name].is_null()) {
        batch.unreadable.push(UnreadableItem {
            detail: "the reports are no list".to_owned(),
            raw: reply,
        });
    }
    batch
}

fn item(raw: Value) -> ParsedItem {
    let read = read(&raw).map(Reported::Receipt);
    read.map_err(|detail| UnreadableItem { detail, raw })
}

fn read(raw: &Value) -> Result<ReceiptItem, String> {
    let text = |names: &[&str]| {
        names
            .iter()
            .find_map(|n| raw.get(*n).and_then(lenient_text))
    };
    let mobile = text(&["mobile", "Mobile"]).ok_or("mobile is missing")?;
    let code = text(&["status", "Status"]).ok_or("status is missing")?;
    let (status, blame) = match CATALOGUE.receipt(&code) {
        Some(row) => (row.status, row.blame),
        None => (ReceiptStatus::Undelivered, Blame::Channel),
    };
    Ok(ReceiptItem {
        recipient: Phone::parse_lenient(&mobile).map_err(|e| format!("mobile: {e}"))?,
        echo: None,
        vendor_id: text(&["msg_no", "send_id", "SendID", "SendId"]),
        // One report per number, also for long messages.
        part: None,
        parts: None,
        status,
        code,
        blame,
        segments: None,
        vendor_at: text(&["time", "times", "Times"]).and_then(|t| times::unix_seconds(&t)),
        raw: raw.clone(),
    })
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

    #[test]
    fn every_known_shape_is_read_alike() {
        for body in [
            r#"{"count":200,"data":[{"time":1735787049,"msg_no":"2021","status":"DELIVRD","mobile":"13800138000"}]}"#,
            r#"{"counts":200,"reports":[{"times":"1735787049","send_id":2021,"status":"DELIVRD","mobile":"8613800138000"}]}"#,
            r#"{"Rep":[{"SendID":"2021","Status":"DELIVRD","Times":1735787049,"Mobile":"13800138000"}],"Code":0,"Message":"OK"}"#,
        ] {
            let item = parse(body.as_bytes()).unwrap().receipts.remove(0);
            assert_eq!(item.recipient.expose(), "+8613800138000");
            assert_eq!(item.vendor_id.as_deref(), Some("2021"), "{body}");
            assert_eq!(item.status, ReceiptStatus::Delivered);
            let at = item.vendor_at.unwrap().to_string();
            assert_eq!(at, "2025-01-02T03:04:09.000Z");
        }
    }

    #[test]
    fn what_the_table_does_not_have_is_the_carriers_failure() {
        let body = r#"{"data":[{"msg_no":"1","status":"MK:0001","mobile":"13800138000"}]}"#;
        let item = parse(body.as_bytes()).unwrap().receipts.remove(0);
        assert_eq!(
            (item.status, item.blame, item.code.as_str()),
            (ReceiptStatus::Undelivered, Blame::Recipient, "MK:0001")
        );
    }

    #[test]
    fn a_bad_item_does_not_lose_the_others() {
        let body = r#"{"data":[7,{"mobile":"1","status":"DELIVRD"},{"mobile":"13800138000"},
            {"mobile":"13800138000","status":"DELIVRD","msg_no":"1"}]}"#;
        let batch = parse(body.as_bytes()).unwrap();
        assert_eq!((batch.receipts.len(), batch.unreadable.len()), (1, 3));
        assert!(matches!(parse(b"{"), Err(PushError::Json(_))));
        assert!(matches!(parse(b"{}"), Err(PushError::Shape(_))));
        assert!(matches!(parse(b"[]"), Err(PushError::Shape(_))));
    }

    #[test]
    fn the_answer_to_a_push_is_exact() {
        let ack = acknowledge(true);
        assert_eq!(
            (ack.status, &*ack.body),
            (200, r#"{"code":0,"msg":"success"}"#)
        );
        assert_eq!(acknowledge(false).status, 500);
    }

    #[test]
    fn a_fetch_that_brings_nothing_is_told_from_one_that_failed() {
        let report = r#"{"code":0,"msg":"ok","data":[{"msg_no":"1","mobile":"13800138000","status":"UNDELIV"}]}"#;
        assert_eq!(fetched(&answer(200, report)).unwrap().receipts.len(), 1);
        for none in [
            r#"{"code":0,"data":[]}"#,
            r#"{"code":"0","data":null}"#,
            r#"{"code":10004}"#,
        ] {
            assert!(fetched(&answer(200, none)).unwrap().is_empty(), "{none}");
        }
        let other = r#"{"code":0,"data":{"msg_no":"1","mobile":"13800138000","status":"UNDELIV"}}"#;
        assert_eq!(fetched(&answer(200, other)).unwrap().unreadable.len(), 1);
        for (status, body) in [
            (200, r#"{"code":1}"#),
            (200, "<html>"),
            (200, "{}"),
            (500, r#"{"code":0}"#),
        ] {
            assert!(fetched(&answer(status, body)).is_err(), "{status} {body}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _batch = parse(&body);
            let _batch = fetched(&Answer { status: 200, headers: HeaderMap::new(), body: body.into() });
        }

        #[test]
        fn no_field_makes_the_reader_panic(mobile in ".{0,20}", status in ".{0,20}", at in ".{0,24}", id in any::<i64>()) {
            let body = serde_json::json!({"data": [{"mobile": mobile, "status": status, "time": at, "msg_no": id}, id]});
            prop_assert_eq!(parse(body.to_string().as_bytes()).unwrap().len(), 2);
        }
    }
}
