//! Delivery reports and messages from handsets of Tencent Cloud SMS, pushed or fetched. Pure.
//!
//! Source: cloud.tencent.com 382/59178 (push: a JSON array of at most 100 reports, answered with `{"result":0,"errmsg":"OK"}`
//! and pushed twice more otherwise) and `tencentcloud-sdk-python-sms` 3.1.153 (`PullSmsSendStatus`). Times of pushes carry no
//! offset; Beijing time is assumed (not confirmed). The shape of the push of a handset's message is not confirmed either.

use jixinda_schemas::{
    Phone, Timestamp,
    vendor::{Blame, ReceiptStatus},
};
use serde_json::Value;

use super::codes::CATALOGUE;
use crate::{
    vendor::{
        Ack, Batch, InboundItem, ParsedItem, PushError, ReceiptItem, Reported, UnreadableItem,
    },
    vendors::{answer::lenient_text, times},
};

/// Reads a push: an array of reports, or one message from a handset.
///
/// # Errors
/// When the body is neither.
pub fn parse(body: &[u8]) -> Result<Batch, PushError> {
    match serde_json::from_slice(body).map_err(PushError::Json)? {
        Value::Array(items) => Ok(items.into_iter().map(pushed).collect()),
        item @ Value::Object(_) => Ok(std::iter::once(pushed(item)).collect()),
        _ => Err(PushError::Shape("an array of reports or one message")),
    }
}

/// The documented answer; otherwise one that asks for another push.
#[must_use]
pub fn acknowledge(stored: bool) -> Ack {
    let (status, body) = if stored {
        (200, r#"{"result":0,"errmsg":"OK"}"#)
    } else {
        (500, r#"{"result":1,"errmsg":"not stored, push again"}"#)
    };
    Ack {
        status,
        content_type: "application/json;charset=utf-8",
        body: body.into(),
    }
}

fn pushed(raw: Value) -> ParsedItem {
    let read = if raw.get("text").is_some() {
        inbound(&raw).map(Reported::Inbound)
    } else {
        report(&raw, "nationcode", "mobile").map(Reported::Receipt)
    };
    read.map_err(|detail| UnreadableItem { detail, raw })
}

/// An item of `PullSmsSendStatusSet`.
pub(super) fn fetched(raw: Value) -> ParsedItem {
    let read = fetched_report(&raw).map(Reported::Receipt);
    read.map_err(|detail| UnreadableItem { detail, raw })
}

fn report(raw: &Value, nation: &str, mobile: &str) -> Result<ReceiptItem, String> {
    let text = |name: &str| raw.get(name).and_then(lenient_text);
    let recipient = number(text(nation), text(mobile).ok_or("mobile is missing")?)?;
    let code = text("errmsg").unwrap_or_default();
    let (status, blame) = verdict(text("report_status").as_deref(), &code)?;
    Ok(ReceiptItem {
        recipient,
        echo: text("ext"),
        vendor_id: text("sid"),
        // One report per number, also for long messages.
        part: None,
        parts: None,
        status,
        code,
        blame,
        segments: None,
        vendor_at: text("user_receive_time").and_then(|t| times::beijing(&t)),
        raw: raw.clone(),
    })
}

fn fetched_report(raw: &Value) -> Result<ReceiptItem, String> {
    let text = |name: &str| raw.get(name).and_then(lenient_text);
    let full = text("PhoneNumber").ok_or("PhoneNumber is missing")?;
    let recipient = number(
        text("CountryCode"),
        text("SubscriberNumber").unwrap_or(full),
    )?;
    // The code stands in the description, such as `DELIVRD`.
    let code = text("Description").unwrap_or_default();
    let (status, blame) = verdict(text("ReportStatus").as_deref(), &code)?;
    let seconds = text("UserReceiveTime").and_then(|t| t.parse::<i64>().ok());
    Ok(ReceiptItem {
        recipient,
        echo: text("SessionContext"),
        vendor_id: text("SerialNo"),
        part: None,
        parts: None,
        status,
        code,
        blame,
        segments: None,
        vendor_at: seconds.and_then(|s| s.checked_mul(1_000)).map(Timestamp),
        raw: raw.clone(),
    })
}

fn inbound(raw: &Value) -> Result<InboundItem, String> {
    let text = |name: &str| raw.get(name).and_then(lenient_text);
    let seconds = text("time").and_then(|t| t.parse::<i64>().ok());
    Ok(InboundItem {
        sender: number(
            text("nationcode"),
            text("mobile").ok_or("mobile is missing")?,
        )?,
        destination: text("extend").unwrap_or_default(),
        text: text("text").unwrap_or_default(),
        sign_name: text("sign"),
        vendor_id: None,
        vendor_at: seconds.and_then(|s| s.checked_mul(1_000)).map(Timestamp),
        raw: raw.clone(),
    })
}

/// `report_status` decides; the carrier's word says whose fault it is. A success with the word of a failure, or the other
/// way round, proves nothing.
fn verdict(status: Option<&str>, code: &str) -> Result<(ReceiptStatus, Blame), String> {
    let success = match status {
        Some(s) if s.eq_ignore_ascii_case("SUCCESS") => true,
        Some(s) if s.eq_ignore_ascii_case("FAIL") => false,
        _ => return Err("report_status is neither SUCCESS nor FAIL".to_owned()),
    };
    Ok(match CATALOGUE.receipt(code) {
        Some(row) if row.status == ReceiptStatus::Pending => (row.status, row.blame),
        Some(row) if success != (row.status == ReceiptStatus::Delivered) => {
            (ReceiptStatus::Unknown, Blame::None)
        }
        Some(row) => (row.status, row.blame),
        None if success => (ReceiptStatus::Delivered, Blame::None),
        None => (ReceiptStatus::Undelivered, CATALOGUE.receipt_blame(code)),
    })
}

fn number(nation: Option<String>, mobile: String) -> Result<Phone, String> {
    let digits = mobile.trim_start_matches('+');
    let full = match nation {
        Some(nation) if !mobile.starts_with('+') => {
            format!("+{}{digits}", nation.trim_start_matches('+'))
        }
        _ if mobile.starts_with('+') => mobile.clone(),
        _ => return Phone::parse_lenient(&mobile).map_err(|e| format!("mobile: {e}")),
    };
    full.parse().map_err(|e| format!("mobile: {e}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = r#"{"user_receive_time":"2025-01-02 11:04:09","nationcode":"86","mobile":"13800138000",
        "report_status":"SUCCESS","errmsg":"DELIVRD","description":"用户短信送达成功",
        "sid":"5000:1045710669157053657849499619","ext":"100000000000001"}"#;

    fn batch(body: &str) -> Batch {
        parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn the_documented_report_is_read_with_its_time_in_beijing() {
        let item = batch(&format!("[{GOOD}]")).receipts.remove(0);
        assert_eq!(item.recipient.expose(), "+8613800138000");
        assert_eq!(item.status, ReceiptStatus::Delivered);
        assert_eq!(
            item.vendor_id.as_deref(),
            Some("5000:1045710669157053657849499619")
        );
        assert_eq!(item.echo.as_deref(), Some("100000000000001"));
        assert_eq!(
            item.vendor_at.unwrap().to_string(),
            "2025-01-02T03:04:09.000Z"
        );
    }

    #[test]
    fn a_fetched_report_says_the_same() {
        let raw = serde_json::json!({"UserReceiveTime": 1735787049, "CountryCode": "86", "SubscriberNumber": "13800138000",
            "PhoneNumber": "+8613800138000", "SerialNo": "5000:1", "ReportStatus": "FAIL", "Description": "MK:0001"});
        let Ok(Reported::Receipt(item)) = fetched(raw) else {
            panic!("not read");
        };
        assert_eq!(item.recipient.expose(), "+8613800138000");
        assert_eq!(
            (item.status, item.blame),
            (ReceiptStatus::Undelivered, Blame::Recipient)
        );
        assert_eq!(
            item.vendor_at.unwrap().to_string(),
            "2025-01-02T03:04:09.000Z"
        );
    }

    #[test]
    fn status_and_word_decide_together() {
        use ReceiptStatus as S;
        for (status, code, want) in [
            ("SUCCESS", "DELIVRD", S::Delivered),
            ("success", "0", S::Delivered),
            ("SUCCESS", "UNDELIV", S::Unknown),
            ("FAIL", "DELIVRD", S::Unknown),
            ("FAIL", "EXPIRED", S::Expired),
            ("FAIL", "MK:0001", S::Undelivered),
            ("SUCCESS", "ACCEPTD", S::Pending),
        ] {
            assert_eq!(
                verdict(Some(status), code).unwrap().0,
                want,
                "{status} {code}"
            );
        }
        assert!(verdict(None, "DELIVRD").is_err());
    }

    #[test]
    fn a_message_from_a_handset_is_told_from_a_report() {
        let mut batch = batch(
            r#"{"extend":"19","mobile":"13800138000","nationcode":"86","sign":"集信达","text":"R","time":1735787049}"#,
        );
        let item = batch.inbound.remove(0);
        assert_eq!((item.text.as_str(), item.destination.as_str()), ("R", "19"));
        assert_eq!(item.sign_name.as_deref(), Some("集信达"));
    }

    #[test]
    fn a_bad_item_does_not_lose_the_others() {
        let batch = batch(&format!(r#"[{{"mobile":"1"}},7,{GOOD}]"#));
        assert_eq!((batch.receipts.len(), batch.unreadable.len()), (1, 2));
        assert!(matches!(parse(b"{"), Err(PushError::Json(_))));
        assert!(matches!(parse(b"7"), Err(PushError::Shape(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _batch = parse(&body);
        }

        #[test]
        fn no_field_makes_the_reader_panic(nation in ".{0,6}", mobile in ".{0,20}", code in ".{0,20}", at in ".{0,24}") {
            let body = serde_json::json!([{"nationcode": nation, "mobile": mobile, "report_status": "FAIL", "errmsg": code,
                "user_receive_time": at}]).to_string();
            prop_assert_eq!(batch(&body).len(), 1);
        }
    }
}
