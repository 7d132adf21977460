//! Delivery reports and messages from handsets of Montnets, pushed or fetched. Pure.
//!
//! Source: the manual V5.7.2. A push is a form with `cmd` RPT_REQ and `rpts`, at most 500, or MO_REQ and `mos`, at most 100;
//! both are JSON lists whose percent-encoding as a form may be missing. It is answered with the same `seqid` and `result` 0;
//! anything else is not accepted (when it is pushed again is not confirmed). Times are Beijing's.

use std::fmt;

use jixinda_schemas::{
    Phone,
    vendor::{Blame, ReceiptStatus},
};
use percent_encoding::percent_decode;
use serde_json::{Value, json};

use super::{
    charset,
    codes::CATALOGUE,
    json,
    wire::{code, whole_id},
};
use crate::{
    vendor::{Ack, Batch, InboundItem, ParsedItem, ReceiptItem, Reported, UnreadableItem},
    vendors::{answer::lenient_text, times::beijing},
};

/// The form of a push.
#[derive(Clone, Copy)]
pub struct Form<'a>(&'a [u8]);

impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Form({} bytes)", self.0.len())
    }
}

impl<'a> Form<'a> {
    /// Of the body of a push.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    /// The body from the value of a field on, and the bytes of that value as they came.
    fn bare(&self, name: &str) -> Option<(&'a [u8], &'a [u8])> {
        let mut rest = self.0;
        loop {
            let end = rest.iter().position(|b| *b == b'&');
            let field = &rest[..end.unwrap_or(rest.len())];
            let value = field.strip_prefix(name.as_bytes());
            if let Some(value) = value.and_then(|value| value.strip_prefix(b"=")) {
                return Some((&rest[name.len() + 1..], value));
            }
            rest = &rest[end? + 1..];
        }
    }

    /// A field, decoded; nothing when it is absent or empty.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        let (_, value) = self.bare(name)?;
        let value: Vec<u8> = value.iter().map(space).collect();
        let bytes: Vec<u8> = percent_decode(&value).collect();
        let text = charset::text(&bytes).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// A list, whether the form encoded it or not.
    fn list(&self, name: &str) -> Option<Vec<Value>> {
        let (rest, _) = self.bare(name)?;
        // A list that was not encoded may hold what looks like the end of a field: it goes to the last bracket.
        let clear = || {
            let end = rest.iter().rposition(|b| *b == b']')?;
            array(&charset::text(&rest[..=end]))
        };
        let encoded = || array(&self.field(name)?);
        if rest.trim_ascii_start().starts_with(b"[") {
            clear().or_else(encoded)
        } else {
            encoded().or_else(clear)
        }
    }
}

fn space(byte: &u8) -> u8 {
    if *byte == b'+' { b' ' } else { *byte }
}

fn array(text: &str) -> Option<Vec<Value>> {
    match json::parse(text)? {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// Reads a push. One that has no list is an unreadable item, without what proves whose it is: with some accounts that is
/// the password.
#[must_use]
pub fn parse(form: &Form<'_>) -> Batch {
    let (list, detail) = match form.field("cmd").as_deref() {
        Some("RPT_REQ") => (form.list("rpts").map(reports), "no list of rpts"),
        Some("MO_REQ") => (form.list("mos").map(messages), "no list of mos"),
        _ => (None, "cmd is neither RPT_REQ nor MO_REQ"),
    };
    list.unwrap_or_else(|| {
        let fields = form_urlencoded::parse(form.0);
        let kept = fields.filter(|(name, _)| !matches!(&**name, "userid" | "pwd" | "timestamp"));
        let item = UnreadableItem {
            detail: detail.to_owned(),
            raw: Value::from_iter(kept),
        };
        Batch {
            unreadable: vec![item],
            ..Batch::default()
        }
    })
}

fn reports(list: Vec<Value>) -> Batch {
    list.into_iter().map(report).collect()
}

fn messages(list: Vec<Value>) -> Batch {
    list.into_iter().map(message).collect()
}

/// The documented answer; otherwise the one that says that nothing was accepted.
#[must_use]
pub fn acknowledge(form: &Form<'_>, stored: bool) -> Ack {
    let cmd = match form.field("cmd").as_deref() {
        Some("MO_REQ") => "MO_RESP",
        _ => "RPT_RESP",
    };
    let seqid = form.field("seqid").unwrap_or_default();
    // A number stays one, however long.
    let is_number = !seqid.is_empty()
        && seqid.bytes().all(|b| b.is_ascii_digit())
        && (seqid == "0" || !seqid.starts_with('0'));
    let seqid = if is_number {
        seqid
    } else {
        json!(seqid).to_string()
    };
    let (status, result) = if stored { (200, 0) } else { (500, -100_999) };
    Ack {
        status,
        content_type: "application/json;charset=utf-8",
        body: format!(r#"{{"cmd":"{cmd}","seqid":{seqid},"result":{result}}}"#).into(),
    }
}

/// An item of `rpts`.
pub(super) fn report(raw: Value) -> ParsedItem {
    let read = read_report(&raw).map(Reported::Receipt);
    read.map_err(|detail| UnreadableItem { detail, raw })
}

/// An item of `mos`.
pub(super) fn message(raw: Value) -> ParsedItem {
    let read = read_message(&raw).map(Reported::Inbound);
    read.map_err(|detail| UnreadableItem { detail, raw })
}

fn read_report(raw: &Value) -> Result<ReceiptItem, String> {
    let text = |name: &str| raw.get(name).and_then(lenient_text);
    let number = |name: &str| text(name).and_then(|n| n.parse::<u16>().ok());
    if text("rpttype").as_deref() == Some("2") {
        return Err("a report of a download, not of a message".to_owned());
    }
    let recipient = phone(raw)?;
    let number_of_status = raw
        .get("status")
        .and_then(code)
        .ok_or("status is missing")?;
    let success = number_of_status.bytes().all(|b| b == b'0');
    let word = text("errcode").unwrap_or(number_of_status);
    let (status, blame) = verdict(success, &word);
    let part = number("pknum");
    Ok(ReceiptItem {
        recipient,
        echo: text("custid"),
        vendor_id: text("msgid").map(|id| whole_id(&id, part)),
        part,
        parts: number("pktotal").filter(|n| *n > 0),
        status,
        code: word,
        blame,
        segments: number("pktotal").filter(|n| *n > 0).map(u32::from),
        vendor_at: text("rtime").and_then(|t| beijing(&t)),
        raw: raw.clone(),
    })
}

fn read_message(raw: &Value) -> Result<InboundItem, String> {
    let text = |name: &str| raw.get(name).and_then(lenient_text);
    Ok(InboundItem {
        sender: phone(raw)?,
        destination: text("spno").or_else(|| text("exno")).unwrap_or_default(),
        text: charset::decode(&text("content").unwrap_or_default()),
        sign_name: None,
        vendor_id: text("msgid"),
        vendor_at: text("rtime").and_then(|t| beijing(&t)),
        raw: raw.clone(),
    })
}

/// `status` decides; the carrier's word says whose fault it is. A success with the word of a failure, or the other way round,
/// proves nothing.
fn verdict(success: bool, word: &str) -> (ReceiptStatus, Blame) {
    match CATALOGUE.receipt(word) {
        Some(row) if row.status == ReceiptStatus::Pending => (row.status, row.blame),
        Some(row) if success != (row.status == ReceiptStatus::Delivered) => {
            (ReceiptStatus::Unknown, Blame::None)
        }
        Some(row) => (row.status, row.blame),
        None if success => (ReceiptStatus::Delivered, Blame::None),
        None => (ReceiptStatus::Undelivered, CATALOGUE.receipt_blame(word)),
    }
}

/// Mainland numbers have no prefix, others `00` and their country; whether `mobile` repeats the country without `00` is not
/// confirmed, so both are taken.
fn phone(raw: &Value) -> Result<Phone, String> {
    let text = |name: &str| raw.get(name).and_then(lenient_text);
    let mobile = text("mobile").ok_or("mobile is missing")?;
    let country = text("countrycode").filter(|c| c.bytes().all(|b| b.is_ascii_digit()));
    let full = match (mobile.strip_prefix("00"), country.as_deref()) {
        (Some(full), _) => format!("+{full}"),
        (None, None | Some("86" | "0")) => {
            return Phone::parse_lenient(&mobile).map_err(|e| format!("mobile: {e}"));
        }
        _ if mobile.starts_with('+') => mobile,
        (None, Some(country)) if mobile.starts_with(country) => format!("+{mobile}"),
        (None, Some(country)) => format!("+{country}{mobile}"),
    };
    full.parse().map_err(|e| format!("mobile: {e}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REPORT: &str = r#"{"msgid":9223372054034644992,"custid":"100000000000001","pknum":2,"pktotal":2,"mobile":"13800138000","countrycode":86,"spno":"1000457890006","exno":"0006","stime":"2025-01-02 11:04:05","rtime":"2025-01-02 11:04:09","status":0,"errcode":"DELIVRD","errdesc":"success","exdata":"campaign-7","smstype":"0","rpttype":"1"}"#;

    fn read(body: &str) -> Batch {
        parse(&Form::new(body.as_bytes()))
    }

    fn encoded(cmd: &str, name: &str, list: &str) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("cmd", cmd), ("seqid", "1004"), (name, list)])
            .finish()
    }

    #[test]
    fn the_documented_report_is_read_encoded_or_not() {
        let list = format!("[{REPORT}]");
        for body in [
            encoded("RPT_REQ", "rpts", &list),
            format!("cmd=RPT_REQ&seqid=1004&rpts={list}"),
        ] {
            let item = read(&body).receipts.remove(0);
            assert_eq!(item.recipient.expose(), "+8613800138000");
            assert_eq!(item.echo.as_deref(), Some("100000000000001"));
            // That of the first part, which the answer to the call had.
            assert_eq!(item.vendor_id.as_deref(), Some("9223372036854775808"));
            assert_eq!(item.raw["msgid"], "9223372054034644992");
            assert_eq!((item.part, item.parts), (Some(2), Some(2)));
            assert_eq!(item.status, ReceiptStatus::Delivered);
            assert_eq!(
                item.vendor_at.unwrap().to_string(),
                "2025-01-02T03:04:09.000Z"
            );
        }
    }

    #[test]
    fn a_message_from_a_handset_is_read_encoded_or_not() {
        let list = r#"[{"msgid":-7,"mobile":"0085256412345","countrycode":852,"spno":"1000457890006","exno":"0006",
            "rtime":"2016-08-04 17:38:59","content":"%cd%cb%b6%a9%26R"}]"#;
        for body in [
            encoded("MO_REQ", "mos", list),
            format!("cmd=MO_REQ&seqid=1003&mos={list}"),
        ] {
            let item = read(&body).inbound.remove(0);
            assert_eq!(item.sender.expose(), "+85256412345");
            assert_eq!(
                (item.text.as_str(), item.destination.as_str()),
                ("退订&R", "1000457890006")
            );
        }
    }

    #[test]
    fn status_and_word_decide_together() {
        use ReceiptStatus as S;
        for (success, word, want) in [
            (true, "DELIVRD", S::Delivered),
            (true, "", S::Delivered),
            (true, "UNDELIV", S::Unknown),
            (false, "DELIVRD", S::Unknown),
            (false, "EXPIRED", S::Expired),
            (false, "MK:0001", S::Undelivered),
            (true, "ACCEPTD", S::Pending),
        ] {
            assert_eq!(verdict(success, word).0, want, "{success} {word}");
        }
    }

    #[test]
    fn a_bad_item_does_not_lose_the_others() {
        let list = format!(
            r#"[{{"mobile":"1"}},7,{},{REPORT}]"#,
            REPORT.replace(r#""rpttype":"1""#, r#""rpttype":2"#)
        );
        let batch = read(&encoded("RPT_REQ", "rpts", &list));
        assert_eq!((batch.receipts.len(), batch.unreadable.len()), (1, 3));
        for body in [
            "",
            "cmd=RPT_REQ",
            "cmd=RPT_REQ&rpts={}",
            "cmd=X&rpts=[]&pwd=hunter2",
        ] {
            let batch = read(body);
            assert_eq!((batch.len(), batch.unreadable.len()), (1, 1), "{body}");
            assert_eq!(batch.unreadable[0].raw.get("pwd"), None);
        }
        assert!(read("cmd=RPT_REQ&rpts=[]").is_empty());
    }

    #[test]
    fn the_answer_repeats_the_number_of_the_push() {
        let answer = |body: &str, stored| {
            let ack = acknowledge(&Form::new(body.as_bytes()), stored);
            (ack.status, ack.body.into_owned())
        };
        let yes = (
            200,
            r#"{"cmd":"RPT_RESP","seqid":1004,"result":0}"#.to_owned(),
        );
        assert_eq!(answer("cmd=RPT_REQ&seqid=1004&rpts=[]", true), yes);
        let no = (
            500,
            r#"{"cmd":"MO_RESP","seqid":"a\"b","result":-100999}"#.to_owned(),
        );
        assert_eq!(answer("cmd=MO_REQ&seqid=a%22b", false), no);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut push = b"cmd=RPT_REQ&seqid=1&rpts=".to_vec();
            push.extend(&body);
            for body in [&body, &push] {
                let form = Form::new(body);
                let _batch = parse(&form);
                let _ack = acknowledge(&form, true);
            }
        }

        #[test]
        fn no_field_makes_the_reader_panic(mobile in ".{0,20}", word in ".{0,12}", part in ".{0,4}", id in any::<i128>()) {
            let item = serde_json::json!({"mobile": mobile, "status": 1, "errcode": word, "pknum": part, "countrycode": part,
                "msgid": id.to_string(), "content": word});
            let list = serde_json::json!([item, item]).to_string();
            prop_assert_eq!(read(&encoded("RPT_REQ", "rpts", &list)).len(), 2);
            prop_assert_eq!(read(&encoded("MO_REQ", "mos", &list)).len(), 2);
        }
    }
}
