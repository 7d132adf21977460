//! Delivery reports and messages from handsets of Lexin, fetched. Pure.
//!
//! Source: a public client: `qryReport` gives `msgId,mobile,state;…` with state 1 for delivered and 0 for failed,
//! `receiveSms` gives `signature$$$$mobile$$$$text$$$$time` records joined by `####`. How an error is told from reports is not
//! documented: an answer that is JSON or XML, or whose first record lacks its separators, brought nothing.

use jixinda_schemas::{
    Phone,
    vendor::{Blame, ReceiptStatus},
};
use serde_json::Value;

use super::codes::CATALOGUE;
use crate::{
    vendor::{Batch, FetchError, InboundItem, ReceiptItem, Reported, UnreadableItem, brief},
    vendors::{answer::lenient_text, exchange::Answer, times},
};

const FIELDS: &str = "$$$$";
const RECORDS: &str = "####";

/// Reads the answer of `qryReport`.
///
/// # Errors
/// When it is no list of reports.
pub fn reports(answer: &Answer) -> Result<Batch, FetchError> {
    let text = list(answer)?;
    collect(text.split([';', '\n']), ",", |record| {
        report(record).map(Reported::Receipt)
    })
}

/// Reads the answer of `receiveSms`.
///
/// # Errors
/// When it is no list of messages.
pub fn messages(answer: &Answer) -> Result<Batch, FetchError> {
    let text = list(answer)?;
    collect(text.split(RECORDS), FIELDS, |record| {
        message(record).map(Reported::Inbound)
    })
}

/// The text of an answer that can be a list.
fn list(answer: &Answer) -> Result<String, FetchError> {
    let status = answer.status;
    let text = String::from_utf8_lossy(&answer.body).trim().to_owned();
    if status != 200 || text.starts_with('<') {
        return Err(FetchError(format!("http {status}, no list")));
    }
    if let Ok(reply @ Value::Object(_)) = serde_json::from_str(&text) {
        let said = reply.get("replyMsg").and_then(lenient_text);
        let said = said.unwrap_or_else(|| "an object instead of a list".to_owned());
        return Err(FetchError(brief(&said)));
    }
    Ok(text)
}

fn collect<'a>(
    records: impl Iterator<Item = &'a str>,
    separator: &str,
    read: impl Fn(&str) -> Result<Reported, String>,
) -> Result<Batch, FetchError> {
    let records = records.map(str::trim).filter(|record| !record.is_empty());
    let records: Vec<&str> = records.collect();
    // One that cannot be read does not lose the others.
    if !records.is_empty() && !records.iter().any(|record| record.contains(separator)) {
        return Err(FetchError("no list of records".to_owned()));
    }
    let item = |record: &str| {
        read(record).map_err(|detail| UnreadableItem {
            detail,
            raw: record.into(),
        })
    };
    Ok(records.into_iter().map(item).collect())
}

fn report(record: &str) -> Result<ReceiptItem, String> {
    let mut fields = record.split(',').map(str::trim);
    let (Some(id), Some(mobile), Some(state)) = (fields.next(), fields.next(), fields.next())
    else {
        return Err("not an id, a number and a state".to_owned());
    };
    let (status, blame) = match CATALOGUE.receipt(state) {
        Some(row) => (row.status, row.blame),
        None => (ReceiptStatus::Unknown, Blame::None),
    };
    Ok(ReceiptItem {
        recipient: Phone::parse_lenient(mobile).map_err(|e| format!("mobile: {e}"))?,
        // The only id there is: the one that we gave.
        echo: (!id.is_empty()).then(|| id.to_owned()),
        vendor_id: None,
        part: None,
        parts: None,
        status,
        code: state.to_owned(),
        blame,
        segments: None,
        vendor_at: None,
        raw: record.into(),
    })
}

fn message(record: &str) -> Result<InboundItem, String> {
    let wrong = "not a signature, a number, a text and a time";
    let (sign_name, rest) = record.split_once(FIELDS).ok_or(wrong)?;
    let (mobile, rest) = rest.split_once(FIELDS).ok_or(wrong)?;
    // The text is the handset's, and may hold anything.
    let (text, at) = rest.rsplit_once(FIELDS).ok_or(wrong)?;
    let sign_name = sign_name.trim().trim_matches(['【', '】']);
    Ok(InboundItem {
        sender: Phone::parse_lenient(mobile).map_err(|e| format!("mobile: {e}"))?,
        destination: String::new(),
        text: text.to_owned(),
        sign_name: (!sign_name.is_empty()).then(|| sign_name.to_owned()),
        vendor_id: None,
        vendor_at: times::beijing(at.trim()),
        raw: record.into(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    use super::*;

    fn answer(status: u16, body: impl AsRef<[u8]>) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: body.as_ref().to_vec().into(),
        }
    }

    #[test]
    fn a_report_joins_by_our_id() {
        let text = "100000000000001,13800138000,1;100000000000002,13900139000,0;\n";
        let batch = reports(&answer(200, text)).unwrap();
        let item = &batch.receipts[0];
        assert_eq!(item.echo.as_deref(), Some("100000000000001"));
        assert_eq!(item.recipient.expose(), "+8613800138000");
        assert_eq!(item.status, ReceiptStatus::Delivered);
        let failed = &batch.receipts[1];
        assert_eq!(
            (failed.status, failed.blame),
            (ReceiptStatus::Undelivered, Blame::Channel)
        );
        assert!(reports(&answer(200, "")).unwrap().is_empty());
    }

    #[test]
    fn a_message_from_a_handset_may_hold_anything() {
        let text = "【集信达】$$$$13800138000$$$$TD;a$$$$b$$$$2025-01-02 11:04:09####$$$$13900139000$$$$R$$$$";
        let batch = messages(&answer(200, text)).unwrap();
        let (first, second) = (&batch.inbound[0], &batch.inbound[1]);
        assert_eq!(first.text, "TD;a$$$$b");
        assert_eq!(first.sign_name.as_deref(), Some("集信达"));
        let at = first.vendor_at.unwrap().to_string();
        assert_eq!(at, "2025-01-02T03:04:09.000Z");
        assert_eq!((second.text.as_str(), &second.sign_name), ("R", &None));
    }

    #[test]
    fn a_bad_record_does_not_lose_the_others() {
        let text = "7;1,2,1;100000000000001,13800138000,9";
        let batch = reports(&answer(200, text)).unwrap();
        assert_eq!((batch.receipts.len(), batch.unreadable.len()), (1, 2));
        assert_eq!(batch.receipts[0].status, ReceiptStatus::Unknown);
        let batch = messages(&answer(200, "a$$$$b####$$$$13800138000$$$$R$$$$")).unwrap();
        assert_eq!((batch.inbound.len(), batch.unreadable.len()), (1, 1));
    }

    #[test]
    fn an_error_is_no_list() {
        for (status, text) in [
            (200, r#"{"replyCode":0,"replyMsg":"密码错误 13800138000"}"#),
            (200, "<reply/>"),
            (200, "0;密码错误;"),
            (500, "100000000000001,13800138000,1"),
        ] {
            let error = reports(&answer(status, text)).unwrap_err();
            assert!(!error.to_string().contains("13800138000"), "{error}");
            assert!(messages(&answer(status, text)).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _batch = reports(&answer(200, &body));
            let _batch = messages(&answer(200, &body));
        }

        #[test]
        fn every_record_is_counted(fields in proptest::collection::vec("[^;\n]{0,12},[^;\n]{0,12}", 1..6)) {
            let text = format!("x{}", fields.join(";x"));
            prop_assert_eq!(reports(&answer(200, text)).unwrap().len(), fields.len());
        }
    }
}
