//! SmsReport: delivery reports pushed over HTTP. Pure.
//!
//! Source: help.aliyun.com, smsreport-http: a JSON array, all values strings except `success`; the answer must be
//! 200 with a numeric `code`; anything else is pushed again after 1, 5 and 10 minutes, then never. Times carry no
//! offset; Beijing time is assumed (not confirmed).

use jixinda_schemas::{
    Phone,
    vendor::{Blame, ReceiptStatus},
};
use serde_json::Value;

use super::codes;
use crate::{
    vendor::{
        Ack, Batch, InboundItem, ParsedItem, PushError, ReceiptItem, Reported, UnreadableItem,
    },
    vendors::{answer::lenient_text, times::beijing},
};

/// Reads a push.
///
/// # Errors
/// When the body is not a JSON array.
pub fn parse(body: &[u8]) -> Result<Batch, PushError> {
    match serde_json::from_slice(body).map_err(PushError::Json)? {
        Value::Array(items) => Ok(items.into_iter().map(item).collect()),
        _ => Err(PushError::Shape("an array of reports")),
    }
}

/// The documented answer, to the byte; otherwise one that asks for another push.
#[must_use]
pub fn acknowledge(stored: bool) -> Ack {
    let (status, body) = if stored {
        (200, r#"{"code":0,"msg":"接收成功"}"#)
    } else {
        (500, r#"{"code":500,"msg":"请稍后重试"}"#)
    };
    Ack {
        status,
        content_type: "application/json;charset=utf-8",
        body: body.into(),
    }
}

fn item(raw: Value) -> ParsedItem {
    // Messages from handsets (SmsUp) come in the same envelope when both are set to one URL.
    let is_inbound = raw.get("dest_code").is_some() && raw.get("success").is_none();
    let read = if is_inbound {
        inbound(&raw).map(Reported::Inbound)
    } else {
        read(&raw).map(Reported::Receipt)
    };
    read.map_err(|detail| UnreadableItem { detail, raw })
}

/// SmsUp: `{phone_number, content, send_time, dest_code, sequence_id, sign_name?}`, numbers or strings.
fn inbound(raw: &Value) -> Result<InboundItem, String> {
    let text = |name: &str| raw.get(name).and_then(lenient_text);
    Ok(InboundItem {
        sender: phone(&text("phone_number").ok_or("phone_number is missing")?)?,
        destination: text("dest_code").unwrap_or_default(),
        text: text("content").unwrap_or_default(),
        sign_name: text("sign_name"),
        vendor_id: text("sequence_id"),
        vendor_at: text("send_time").and_then(|t| beijing(&t)),
        raw: raw.clone(),
    })
}

fn read(raw: &Value) -> Result<ReceiptItem, String> {
    let fields = raw.as_object().ok_or("not an object")?;
    let text = |name: &str| fields.get(name).and_then(lenient_text);
    let recipient = phone(&text("phone_number").ok_or("phone_number is missing")?)?;
    let success = fields.get("success").and_then(lenient_bool);
    let code = text("err_code");
    if success.is_none() && code.is_none() {
        return Err("not a delivery report: neither success nor err_code".to_owned());
    }
    let code = code.unwrap_or_default();
    let (status, blame) = verdict(success, &code);
    Ok(ReceiptItem {
        recipient,
        echo: text("out_id"),
        vendor_id: text("biz_id"),
        // One report per number, also for long messages.
        part: None,
        parts: None,
        status,
        code,
        blame,
        segments: text("sms_size").and_then(|n| n.parse().ok()),
        vendor_at: text("report_time").and_then(|t| beijing(&t)),
        raw: raw.clone(),
    })
}

/// `success` and the code's row together. Where they contradict each other, nothing is known: a wrong final status
/// could not be taken back by the vendor's silence.
pub(super) fn verdict(success: Option<bool>, code: &str) -> (ReceiptStatus, Blame) {
    match (success, codes::CATALOGUE.receipt(code)) {
        (_, Some(row)) if row.status == ReceiptStatus::Pending => (row.status, row.blame),
        (Some(success), Some(row)) if success != (row.status == ReceiptStatus::Delivered) => {
            (ReceiptStatus::Unknown, Blame::None)
        }
        (_, Some(row)) => (row.status, row.blame),
        (Some(true), None) => (ReceiptStatus::Delivered, Blame::None),
        (Some(false), None) => (
            ReceiptStatus::Undelivered,
            codes::CATALOGUE.receipt_blame(code),
        ),
        (None, None) => (ReceiptStatus::Unknown, Blame::None),
    }
}

/// As SendSms takes numbers, with or without prefix: 11 digits are the mainland, others start with a country code.
fn phone(text: &str) -> Result<Phone, String> {
    Phone::parse_lenient(text)
        .or_else(|_| {
            let digits = text.strip_prefix("00").unwrap_or(text);
            format!("+{}", digits.trim_start_matches('+')).parse()
        })
        .map_err(|e| format!("phone_number: {e}"))
}

fn lenient_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::String(s) if s.eq_ignore_ascii_case("true") => Some(true),
        Value::String(s) if s.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse_text(body: &str) -> Result<Batch, PushError> {
        parse(body.as_bytes())
    }

    fn one(body: &str) -> ReceiptItem {
        parse_text(body).unwrap().receipts.remove(0)
    }

    #[test]
    fn the_documented_report_is_read_with_its_time_in_beijing() {
        let item = one(
            r#"[{"phone_number":"13800138000","send_time":"2025-01-02 11:04:05",
            "report_time":"2025-01-02 11:04:09","success":true,"err_code":"DELIVERED","err_msg":"用户接收成功",
            "sms_size":"1","biz_id":"900619746936498440^0","out_id":"100000000000001"}]"#,
        );
        assert_eq!(item.recipient.expose(), "+8613800138000");
        assert_eq!(item.status, ReceiptStatus::Delivered);
        assert_eq!(item.vendor_id.as_deref(), Some("900619746936498440^0"));
        assert_eq!(item.echo.as_deref(), Some("100000000000001"));
        assert_eq!(item.segments, Some(1));
        assert_eq!(
            item.vendor_at.unwrap().to_string(),
            "2025-01-02T03:04:09.000Z"
        );
        assert_eq!(item.raw["err_msg"], "用户接收成功");
    }

    #[test]
    fn numbers_may_stand_for_strings_and_strings_for_booleans() {
        let item = one(
            r#"[{"phone_number":13800138000,"success":"false","err_code":"user_reject","sms_size":2,"biz_id":9}]"#,
        );
        assert_eq!(item.status, ReceiptStatus::Rejected);
        assert_eq!(item.code, "user_reject");
        assert_eq!(
            (item.segments, item.vendor_id.as_deref()),
            (Some(2), Some("9"))
        );
    }

    #[test]
    fn success_and_code_decide_together() {
        use ReceiptStatus as S;
        for (success, code, want) in [
            (Some(true), "DELIVERED", S::Delivered),
            (Some(true), "0", S::Delivered),
            (Some(false), "MK:0001", S::Undelivered),
            (Some(false), "MOBILE_IN_BLACK", S::Rejected),
            (Some(true), "REQUEST_SUCCESS", S::Pending),
            (Some(true), "MOBILE_IN_BLACK", S::Unknown),
            (Some(false), "DELIVERED", S::Unknown),
            (None, "DELIVERED", S::Delivered),
            (None, "MK:0001", S::Unknown),
        ] {
            assert_eq!(verdict(success, code).0, want, "{success:?} {code}");
        }
    }

    #[test]
    fn a_bad_item_does_not_lose_the_others() {
        let batch = parse_text(
            r#"[{"phone_number":"1380013","success":true},7,{"phone_number":"6581234567","success":true},
            {"phone_number":"13800138000","content":"TD","dest_code":"1069","sequence_id":1}]"#,
        )
        .unwrap();
        assert_eq!((batch.receipts.len(), batch.unreadable.len()), (1, 2));
        assert_eq!(batch.inbound[0].text, "TD");
        assert_eq!(batch.inbound[0].destination, "1069");
        assert!(!format!("{batch:?}").contains("1380013"));
    }

    #[test]
    fn a_body_that_is_no_array_is_refused_as_a_whole() {
        assert!(matches!(parse_text("{"), Err(PushError::Json(_))));
        assert!(matches!(parse_text("{}"), Err(PushError::Shape(_))));
        assert!(parse_text("[]").unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _items = parse(&body);
        }

        #[test]
        fn no_field_makes_the_reader_panic(phone in ".{0,20}", code in ".{0,20}", size in ".{0,12}", at in ".{0,24}") {
            let body = serde_json::json!([{"phone_number": phone, "success": true, "err_code": code,
                "sms_size": size, "report_time": at}]).to_string();
            let _items = parse_text(&body);
        }
    }
}
