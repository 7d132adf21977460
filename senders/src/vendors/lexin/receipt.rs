//! Delivery reports and messages from handsets of Lexin, fetched. Pure.
//!
//! Source: a public client: `qryReport` gives `msgId,mobile,state;…` with state 1 for delivered and 0 for failed,
//! `receiveSms` gives `signature$$$$mobile$$$$text$$$$time` records joined by `####`. How an error is told from reports is not
//! documented: an answer that is JSON or XML, or whose first record lacks its separators, brought nothing. A push exists,
//! of which nothing is documented: it is read by the names of fields that the account's operator gives.

use jixinda_schemas::{
    Phone,
    vendor::{Blame, ReceiptStatus},
};
use serde_json::Value;

use super::codes::CATALOGUE;
use crate::{
    vendor::{
        Batch, FetchError, InboundItem, Push, PushError, ReceiptItem, Reported, UnreadableItem,
        brief,
    },
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

/// What the fields of a pushed report are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushFields {
    pub id: String,
    pub mobile: String,
    pub state: String,
}

impl PushFields {
    /// Of `id,mobile,state` in the account's own words.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut names = text.split(',').map(|name| name.trim().to_owned());
        let mut next = || names.next().filter(|name| !name.is_empty());
        let fields = Self {
            id: next()?,
            mobile: next()?,
            state: next()?,
        };
        names.next().is_none().then_some(fields)
    }
}

/// Reads a push: one report as a query or a form, or one or a list of them as JSON.
///
/// # Errors
/// When no report in it has a field of the number's name.
pub fn pushed(push: &Push<'_>, names: &PushFields) -> Result<Batch, PushError> {
    let items = match serde_json::from_slice(push.body) {
        Ok(Value::Array(items)) => items,
        Ok(item @ Value::Object(_)) => vec![item],
        _ => {
            let query = form_urlencoded::parse(push.query.unwrap_or_default().as_bytes());
            let pairs = query.chain(form_urlencoded::parse(push.body));
            let pairs = pairs.map(|(name, value)| (name.into_owned(), value.into_owned()));
            vec![pairs.collect()]
        }
    };
    if !items.iter().any(|item| item.get(&names.mobile).is_some()) {
        return Err(PushError::Shape("with the fields of push_fields"));
    }
    let item = |raw: Value| {
        let text = |name: &str| raw.get(name).and_then(lenient_text).unwrap_or_default();
        let (id, mobile, state) = (text(&names.id), text(&names.mobile), text(&names.state));
        match receipt(&id, &mobile, &state, raw.clone()) {
            Ok(receipt) => Ok(Reported::Receipt(receipt)),
            Err(detail) => Err(UnreadableItem { detail, raw }),
        }
    };
    Ok(items.into_iter().map(item).collect())
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
    receipt(id, mobile, state, record.into())
}

fn receipt(id: &str, mobile: &str, state: &str, raw: Value) -> Result<ReceiptItem, String> {
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
        raw,
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

    fn push_of(query: Option<&str>, body: &[u8]) -> Result<Batch, PushError> {
        let names = PushFields::parse("bizId, phone,result").unwrap();
        let push = Push {
            method: "POST",
            target: "/",
            query,
            headers: &HeaderMap::new(),
            body,
            now: jixinda_schemas::Timestamp(0),
        };
        pushed(&push, &names)
    }

    #[test]
    fn a_push_is_read_by_the_names_that_are_given() {
        let form = "bizId=100000000000001&phone=13800138000&result=1";
        let one = r#"{"bizId":100000000000001,"phone":"13800138000","result":1}"#;
        for batch in [
            push_of(Some(form), b""),
            push_of(None, form.as_bytes()),
            push_of(None, one.as_bytes()),
            push_of(None, format!("[{one}]").as_bytes()),
        ] {
            let item = batch.unwrap().receipts.remove(0);
            assert_eq!(item.echo.as_deref(), Some("100000000000001"));
            assert_eq!(item.recipient.expose(), "+8613800138000");
            assert_eq!(item.status, ReceiptStatus::Delivered);
        }
        let some = format!("[{one},7,{{}}]");
        let batch = push_of(None, some.as_bytes()).unwrap();
        assert_eq!((batch.receipts.len(), batch.unreadable.len()), (1, 2));
        for body in [&b"msgId=1&mobile=13800138000"[..], b"", b"[]", b"7"] {
            assert!(matches!(push_of(None, body), Err(PushError::Shape(_))));
        }
        for bad in ["", "a,b", "a,,c", "a,b,c,d"] {
            assert_eq!(PushFields::parse(bad), None, "{bad}");
        }
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
            let _batch = push_of(None, &body);
        }

        #[test]
        fn every_record_is_counted(fields in proptest::collection::vec("[^;\n]{0,12},[^;\n]{0,12}", 1..6)) {
            let text = format!("x{}", fields.join(";x"));
            prop_assert_eq!(reports(&answer(200, text)).unwrap().len(), fields.len());
        }
    }
}
