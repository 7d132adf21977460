//! Delivery reports and messages from handsets, pushed by Huawei Cloud SMS. Pure.
//!
//! Source: support.huaweicloud.com, sms_05_0003 (one report as a form, to the `statusCallback` of the call), sms_05_0063 (up to
//! 50 in `statusReportList`, to the URL of the application) and the samples for messages from handsets (a form). `to` comes
//! only with `extend`. Times are UTC. The documents ask for no certain body in the answer: HTTP 200 is taken for an
//! acknowledgement (not confirmed).

use jixinda_schemas::{
    Phone,
    vendor::{Blame, Disposition, ReceiptStatus},
};
use serde_json::Value;

use super::codes::CATALOGUE;
use crate::{
    vendor::{
        Ack, Batch, InboundItem, ParsedItem, PushError, ReceiptItem, Reported, UnreadableItem,
    },
    vendors::answer::lenient_text,
};

/// Reads a push: a form with one report or message, or JSON with a list of reports.
///
/// # Errors
/// When the body is neither.
pub fn parse(body: &[u8]) -> Result<Batch, PushError> {
    if body.trim_ascii_start().starts_with(b"{") {
        let mut list: Value = serde_json::from_slice(body).map_err(PushError::Json)?;
        return match list["statusReportList"].take() {
            Value::Array(items) => Ok(items.into_iter().map(item).collect()),
            _ => Err(PushError::Shape("an object with a statusReportList")),
        };
    }
    let form = Value::from_iter(form_urlencoded::parse(body));
    if form.get("smsMsgId").is_none() {
        return Err(PushError::Shape("a form with a smsMsgId"));
    }
    Ok(std::iter::once(item(form)).collect())
}

/// 200 without a body; otherwise an answer that may bring another push.
#[must_use]
pub fn acknowledge(stored: bool) -> Ack {
    Ack::plain(stored, "")
}

fn item(raw: Value) -> ParsedItem {
    let is_inbound = raw.get("body").is_some() && raw.get("status").is_none();
    let read = if is_inbound {
        inbound(&raw).map(Reported::Inbound)
    } else {
        report(&raw).map(Reported::Receipt)
    };
    read.map_err(|detail| UnreadableItem { detail, raw })
}

fn report(raw: &Value) -> Result<ReceiptItem, String> {
    let text = |name: &str| raw.get(name).and_then(lenient_text);
    let number = |name: &str| text(name).and_then(|n| n.parse::<u16>().ok());
    let code = text("status").ok_or("status is missing")?;
    let (status, blame) = verdict(&code);
    let total = number("total").filter(|n| *n > 0);
    // The number of the part says something only when there are several.
    let part = number("sequence").filter(|_| total != Some(1));
    Ok(ReceiptItem {
        recipient: phone(text("to"), "to")?,
        echo: text("extend"),
        vendor_id: text("smsMsgId"),
        part,
        parts: total.filter(|_| part.is_some()),
        status,
        code,
        blame,
        segments: total.map(u32::from),
        // Absent when the platform made the report itself.
        vendor_at: text("updateTime").and_then(|t| t.parse().ok()),
        raw: raw.clone(),
    })
}

fn inbound(raw: &Value) -> Result<InboundItem, String> {
    let text = |name: &str| raw.get(name).and_then(lenient_text);
    Ok(InboundItem {
        sender: phone(text("from"), "from")?,
        destination: text("to").unwrap_or_default(),
        text: text("body").unwrap_or_default(),
        sign_name: None,
        vendor_id: text("smsMsgId"),
        // Only when the application is set up for it.
        vendor_at: text("createTime").and_then(|t| t.parse().ok()),
        raw: raw.clone(),
    })
}

fn phone(number: Option<String>, name: &str) -> Result<Phone, String> {
    let number = number.ok_or_else(|| format!("{name} is missing"))?;
    Phone::parse_lenient(&number).map_err(|e| format!("{name}: {e}"))
}

/// The platform's own codes mean that it passed the message on to nobody.
fn verdict(code: &str) -> (ReceiptStatus, Blame) {
    match (CATALOGUE.receipt(code), CATALOGUE.submit(code)) {
        (Some(row), _) => (row.status, row.blame),
        (None, Some(row)) if row.disposition == Disposition::Unknown => {
            (ReceiptStatus::Unknown, Blame::None)
        }
        (None, Some(row)) => (ReceiptStatus::Rejected, row.blame),
        (None, None) => (ReceiptStatus::Undelivered, Blame::Channel),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "sequence=1&total=1&updateTime=2025-01-02T03%3A04%3A09Z&source=2\
        &smsMsgId=d6e3cdd0-522b-4692-8304-a07553cdf591_8539659&status=DELIVRD&extend=100000000000001&to=%2B8613800138000";

    fn one(body: &str) -> ReceiptItem {
        parse(body.as_bytes()).unwrap().receipts.remove(0)
    }

    #[test]
    fn the_documented_report_is_read() {
        let item = one(GOOD);
        assert_eq!(item.recipient.expose(), "+8613800138000");
        assert_eq!(item.status, ReceiptStatus::Delivered);
        assert_eq!(
            item.vendor_id.as_deref(),
            Some("d6e3cdd0-522b-4692-8304-a07553cdf591_8539659")
        );
        assert_eq!(item.echo.as_deref(), Some("100000000000001"));
        assert_eq!(
            (item.part, item.parts, item.segments),
            (None, None, Some(1))
        );
        assert_eq!(
            item.vendor_at.unwrap().to_string(),
            "2025-01-02T03:04:09.000Z"
        );
        assert_eq!(item.raw["source"], "2");
    }

    #[test]
    fn a_list_is_read_item_by_item_and_parts_are_told() {
        let body = r#"{"statusReportList":[
            {"smsMsgId":"a","status":"MBBLACK","total":"3","sequence":2,"extend":"1","to":"+8613800138000"},
            {"smsMsgId":"b","status":"DELIVRD"},7,
            {"smsMsgId":"c","status":"E200028","to":"8613800138000"}]}"#;
        let batch = parse(body.as_bytes()).unwrap();
        assert_eq!((batch.receipts.len(), batch.unreadable.len()), (2, 2));
        let first = &batch.receipts[0];
        assert_eq!((first.part, first.parts), (Some(2), Some(3)));
        assert_eq!(
            (first.status, first.blame),
            (ReceiptStatus::Rejected, Blame::Recipient)
        );
        let last = &batch.receipts[1];
        assert_eq!(
            (last.status, last.blame),
            (ReceiptStatus::Rejected, Blame::Content)
        );
    }

    #[test]
    fn a_message_from_a_handset_is_told_from_a_report() {
        let body = "smsMsgId=9&from=%2B8613800138000&to=10690000&body=TD+%E9%80%80%E8%AE%A2&createTime=2025-01-02T03%3A04%3A09Z";
        let item = parse(body.as_bytes()).unwrap().inbound.remove(0);
        assert_eq!(
            (item.text.as_str(), item.destination.as_str()),
            ("TD 退订", "10690000")
        );
        assert!(item.vendor_at.is_some());
    }

    #[test]
    fn what_is_neither_form_nor_list_is_refused_as_a_whole() {
        assert!(matches!(parse(b"{"), Err(PushError::Json(_))));
        assert!(matches!(parse(b" {}"), Err(PushError::Shape(_))));
        assert!(matches!(parse(b"a=b"), Err(PushError::Shape(_))));
        assert!(matches!(parse(b""), Err(PushError::Shape(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _batch = parse(&body);
        }

        #[test]
        fn no_field_makes_the_reader_panic(to in ".{0,20}", code in ".{0,20}", part in ".{0,6}", at in ".{0,24}") {
            let item = serde_json::json!({"smsMsgId": "1", "to": to, "status": code, "sequence": part, "total": part,
                "updateTime": at});
            let list = serde_json::json!({"statusReportList": [item, item]}).to_string();
            prop_assert_eq!(parse(list.as_bytes()).unwrap().len(), 2);
        }
    }
}
