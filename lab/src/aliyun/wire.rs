//! The bytes of the protocol: query string in, answers and receipt items out.
//!
//! Source: fact sheet, "SendSms" and "Receipt push - SmsReport over HTTP".

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde::Serialize;
use time::format_description::BorrowedFormatItem;
use time::macros::{format_description, offset};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::codes::Code;

const UTC: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const LOCAL: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

/// Names and values of a query string, decoded. `None` if one is not UTF-8.
pub(crate) fn decode_query(query: &str) -> Option<Vec<(String, String)>> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Option<String> {
    let spaced = if text.contains('+') {
        Cow::Owned(text.replace('+', " "))
    } else {
        Cow::Borrowed(text)
    };
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// `x-acs-date` as seconds since 1970.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    let moment = PrimitiveDateTime::parse(text, UTC).ok()?;
    Some(moment.assume_utc().unix_timestamp())
}

/// The receipt's local time. Beijing is the sheet's reading; the zone is UNCONFIRMED there.
pub(crate) fn beijing_time(at_ms: u64) -> String {
    i64::try_from(at_ms / 1000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|moment| moment.to_offset(offset!(+8)).format(LOCAL).ok())
        .unwrap_or_default()
}

pub(crate) fn success(request_id: &str, biz_id: &str) -> String {
    format!(r#"{{"Code":"OK","Message":"OK","BizId":"{biz_id}","RequestId":"{request_id}"}}"#)
}

/// Both failure forms; they differ in the HTTP status alone.
pub(crate) fn failure(request_id: &str, code: &Code, detail: Option<&str>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Failure<'a> {
        code: &'a str,
        message: &'a str,
        request_id: &'a str,
    }
    serde_json::to_string(&Failure {
        code: code.code,
        message: detail.unwrap_or(code.message),
        request_id,
    })
    .unwrap_or_default()
}

/// One element of the pushed array: strings throughout, except `success`.
#[derive(Debug, Serialize)]
pub(crate) struct ReportItem<'a> {
    pub(crate) phone_number: &'a str,
    pub(crate) send_time: String,
    pub(crate) report_time: String,
    pub(crate) success: bool,
    pub(crate) err_code: &'a str,
    pub(crate) err_msg: &'a str,
    pub(crate) sms_size: String,
    pub(crate) biz_id: &'a str,
    pub(crate) out_id: &'a str,
}

/// The vendor looks at nothing but HTTP 200 and a numeric `code`.
pub(crate) fn is_ack(status: u16, body: &[u8]) -> bool {
    status == 200
        && serde_json::from_slice::<serde_json::Value>(body)
            .is_ok_and(|answer| answer.get("code").is_some_and(serde_json::Value::is_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_queries_read_as_documented() {
        assert_eq!(parse_date("2025-01-02T03:04:05Z"), Some(1_735_787_045));
        assert_eq!(parse_date("2025-01-02T03:04:05+00:00"), None);
        assert_eq!(beijing_time(1_735_787_045_000), "2025-01-02 11:04:05");
        assert_eq!(
            decode_query("a=%E6%B5%8B+x%2B&b=&c"),
            Some(vec![
                ("a".into(), "测 x+".into()),
                ("b".into(), String::new()),
                ("c".into(), String::new())
            ])
        );
        assert_eq!(decode_query("a=%ff"), None);
    }

    #[test]
    fn only_a_numeric_code_acknowledges() {
        assert!(is_ack(200, br#"{"code":0,"msg":"ok"}"#));
        assert!(is_ack(200, br#"{"code":7}"#));
        assert!(!is_ack(200, br#"{"code":"0"}"#));
        assert!(!is_ack(200, b"ok"));
        assert!(!is_ack(204, br#"{"code":0}"#));
    }
}
