//! Delivery receipts and messages from handsets of Vonage. Pure.
//!
//! Source: developer.vonage.com, delivery receipts and inbound SMS. They come as a query, a form or JSON, as the account is set
//! up, with names with hyphens or without (both are taken). A receipt speaks of one part and does not say which. 200 is an
//! acknowledgement; otherwise it comes again for up to 24 hours.

use jixinda_schemas::{
    Phone,
    vendor::{Blame, ReceiptStatus},
};
use serde_json::Value;

use super::codes::CATALOGUE;
use crate::{
    vendor::{
        Ack, Batch, InboundItem, ParsedItem, PushError, ReceiptItem, Reported, UnreadableItem,
    },
    vendors::times::utc,
};

/// The parameters of a push, from query and body, as they are signed.
///
/// # Errors
/// When the body looks like JSON and is none.
pub fn params(query: &str, body: &[u8]) -> Result<Vec<(String, String)>, PushError> {
    let mut params: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    if !body.trim_ascii_start().starts_with(b"{") {
        params.extend(form_urlencoded::parse(body).into_owned());
        return Ok(params);
    }
    let body: Value = serde_json::from_slice(body).map_err(PushError::Json)?;
    for (name, value) in body.as_object().into_iter().flatten() {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        params.push((name.clone(), value));
    }
    Ok(params)
}

/// The first value of a parameter, in either spelling; nothing when it is absent or empty.
pub(super) fn param<'a>(params: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let is_named = |other: &str| letters(other) == letters(name);
    let mut values = params
        .iter()
        .filter(|(other, _)| is_named(other))
        .map(|(_, value)| value.trim());
    values.find(|value| !value.is_empty())
}

/// A name without what the spellings differ in.
fn letters(name: &str) -> String {
    let kept = name.chars().filter(|c| !matches!(c, '-' | '_'));
    kept.collect::<String>().to_ascii_lowercase()
}

/// Reads the parameters of a push.
///
/// # Errors
/// When they are neither a receipt nor a message.
pub fn parse(params: &[(String, String)]) -> Result<Batch, PushError> {
    let is_one = |name| param(params, name).is_some();
    if !is_one("msisdn") || !(is_one("messageId") || is_one("status")) {
        return Err(PushError::Shape("a receipt or a message of Vonage"));
    }
    Ok(std::iter::once(item(params)).collect())
}

/// 200 without a body; otherwise an answer that brings another push.
#[must_use]
pub fn acknowledge(stored: bool) -> Ack {
    Ack::plain(stored, "")
}

fn item(params: &[(String, String)]) -> ParsedItem {
    // What proves whose it is, is of no use to whoever reads it later.
    let is_proof = |name: &str| matches!(letters(name).as_str(), "sig" | "apikey");
    let kept = params.iter().filter(|(name, _)| !is_proof(name));
    let raw = Value::from_iter(kept.map(|(n, v)| (n.as_str(), v.as_str())));
    read(params, &raw).map_err(|detail| UnreadableItem { detail, raw })
}

fn read(params: &[(String, String)], raw: &Value) -> Result<Reported, String> {
    let text = |name: &str| param(params, name).map(ToOwned::to_owned);
    let number = text("msisdn").unwrap_or_default();
    let phone: Result<Phone, String> = format!("+{}", number.trim_start_matches('+'))
        .parse()
        .map_err(|e| format!("msisdn: {e}"));
    let vendor_at = text("message-timestamp").and_then(|t| utc(&t).or_else(|| t.parse().ok()));
    let vendor_id = text("messageId");
    let Some(status) = text("status") else {
        return Ok(Reported::Inbound(InboundItem {
            sender: phone?,
            destination: text("to").unwrap_or_default(),
            text: text("text").unwrap_or_default(),
            sign_name: None,
            vendor_id,
            vendor_at,
            raw: raw.clone(),
        }));
    };
    let code = text("err-code").unwrap_or_default();
    let (state, blame) = verdict(&status, &code)?;
    Ok(Reported::Receipt(ReceiptItem {
        recipient: phone?,
        echo: text("client-ref"),
        vendor_id,
        part: None,
        parts: None,
        status: state,
        code: match code.as_str() {
            "" | "0" => status,
            _ => code,
        },
        blame,
        segments: None,
        vendor_at,
        raw: raw.clone(),
    }))
}

/// `status` decides; `err-code` says why it failed, and whose fault that is.
fn verdict(status: &str, code: &str) -> Result<(ReceiptStatus, Blame), String> {
    use ReceiptStatus as S;
    let row = CATALOGUE.receipt(code).filter(|r| r.status != S::Delivered);
    let blame = |default| row.map_or(default, |row| row.blame);
    Ok(match status.to_ascii_lowercase().as_str() {
        "delivered" => (S::Delivered, Blame::None),
        "accepted" | "buffered" => (S::Pending, Blame::None),
        "unknown" => (S::Unknown, Blame::None),
        "expired" => (S::Expired, blame(Blame::Recipient)),
        "rejected" => (S::Rejected, blame(Blame::Channel)),
        "failed" => (
            row.map_or(S::Undelivered, |row| row.status),
            blame(Blame::Channel),
        ),
        _ => return Err("status is not known".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DOCUMENTED: &str = r#"{"err-code":"0","message-timestamp":"2025-01-02 03:04:09","messageId":"0B00000127FDBC63",
        "msisdn":"8613800138000","network-code":"46000","price":"0.03330000","scts":"2501021104","status":"delivered",
        "to":"ACME","client-ref":"100000000000001","sig":"ab"}"#;

    fn batch(query: &str, body: &str) -> Batch {
        parse(&params(query, body.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn the_documented_receipt_is_read_from_query_form_and_json() {
        let query = "msisdn=8613800138000&to=ACME&message-id=0B00000127FDBC63&status=delivered&errCode=0\
            &clientRef=100000000000001&message-timestamp=2025-01-02+03%3A04%3A09";
        for (query, body) in [(query, ""), ("", query), ("", DOCUMENTED)] {
            let item = batch(query, body).receipts.remove(0);
            assert_eq!(item.recipient.expose(), "+8613800138000");
            assert_eq!(
                (item.status, item.code.as_str()),
                (ReceiptStatus::Delivered, "delivered")
            );
            assert_eq!(item.vendor_id.as_deref(), Some("0B00000127FDBC63"));
            assert_eq!(item.echo.as_deref(), Some("100000000000001"));
            assert_eq!(
                item.vendor_at.unwrap().to_string(),
                "2025-01-02T03:04:09.000Z"
            );
            assert!(item.raw.get("sig").is_none());
        }
    }

    #[test]
    fn status_decides_and_the_code_says_whose_fault_it_is() {
        use ReceiptStatus as S;
        for (status, code, want) in [
            ("delivered", "0", (S::Delivered, Blame::None)),
            ("failed", "3", (S::Undelivered, Blame::Recipient)),
            ("failed", "6", (S::Rejected, Blame::Content)),
            ("failed", "0", (S::Undelivered, Blame::Channel)),
            ("FAILED", "", (S::Undelivered, Blame::Channel)),
            ("rejected", "14", (S::Rejected, Blame::Recipient)),
            ("expired", "", (S::Expired, Blame::Recipient)),
            ("buffered", "0", (S::Pending, Blame::None)),
        ] {
            assert_eq!(verdict(status, code).unwrap(), want, "{status} {code}");
        }
        assert!(verdict("lost", "0").is_err());
    }

    #[test]
    fn a_message_from_a_handset_is_told_from_a_receipt() {
        let body = r#"{"msisdn":"6581234567","to":"6599990000","messageId":"0C1","text":"STOP","type":"text",
            "keyword":"STOP","message-timestamp":"2025-01-02 03:04:09","concat":true}"#;
        let item = batch("", body).inbound.remove(0);
        assert_eq!(
            (item.text.as_str(), item.destination.as_str()),
            ("STOP", "6599990000")
        );
        assert_eq!(item.sender.expose(), "+6581234567");
    }

    #[test]
    fn what_is_nothing_of_vonages_is_refused_and_a_strange_status_is_kept() {
        assert!(matches!(params("", b"{"), Err(PushError::Json(_))));
        assert!(matches!(parse(&[]), Err(PushError::Shape(_))));
        let strange = batch("msisdn=8613800138000&status=lost&messageId=1", "");
        assert_eq!(strange.unreadable.len(), 1);
        let short = batch("msisdn=12&status=delivered&messageId=1", "");
        assert_eq!(short.unreadable.len(), 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(query in ".{0,60}", body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _batch = params(&query, &body).map(|params| parse(&params));
        }

        #[test]
        fn no_field_makes_the_reader_panic(status in ".{0,12}", number in ".{0,20}", code in ".{0,8}", at in ".{0,24}") {
            let pairs = [("msisdn", &*format!("1{number}")), ("status", &status), ("messageId", "1"), ("err-code", &code),
                ("message-timestamp", &at)];
            let params: Vec<_> = pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
            prop_assert_eq!(parse(&params).unwrap().len(), 1);
        }
    }
}
