//! The bytes of the protocol: parameters in, answers and receipt items out.
//!
//! Source: fact sheet, "SendSms" and "Receipt push - SmsReport over HTTP".

use serde_json::json;

use super::codes;
use crate::account::Account;
use crate::clock::Stamp;
use crate::receipts::Item;
use crate::vendor::{Answer, Arrival, Mo, Outgoing, Refusal};
use crate::wire::{beijing_time, form, pairs, value};

const JSON: &str = "application/json;charset=UTF-8";

/// Query and form parameters together.
pub(crate) fn parameters(arrival: &Arrival<'_>) -> Vec<(String, String)> {
    let mut all = pairs(arrival.query()).unwrap_or_default();
    if !arrival.body.is_empty() {
        all.extend(form(arrival.body));
    }
    all
}

fn answer(status: u16, mut body: serde_json::Value) -> Answer {
    let mut buffer = uuid::Uuid::encode_buffer();
    let id = uuid::Uuid::new_v4()
        .hyphenated()
        .encode_upper(&mut buffer)
        .to_owned();
    body["RequestId"] = json!(id);
    Answer::json(status, body.to_string()).with("x-acs-request-id", id)
}

pub(crate) fn success(biz_id: &str) -> Answer {
    answer(
        200,
        json!({ "Code": "OK", "Message": "OK", "BizId": biz_id }),
    )
}

/// Both failure forms; they differ in the HTTP status alone.
pub(crate) fn failure(account: Option<&Account>, refusal: &Refusal) -> Answer {
    let body = json!({ "Code": refusal.code.code, "Message": refusal.message() });
    let answer = answer(refusal.code.status, body);
    if refusal.code.status != 429 {
        return answer;
    }
    let pause = account.map_or(1, |account| account.throttle_retry_after);
    answer.with("x-acs-retry-after", pause.to_string())
}

/// An array of reports: strings throughout, except `success`.
pub(crate) fn push(url: &str, items: &[Item], now: Stamp) -> Outgoing {
    let reports: Vec<_> = items
        .iter()
        .map(|item| {
            json!({
                "phone_number": item.number.written,
                "send_time": beijing_time(item.sent_at_ms),
                "report_time": beijing_time(now.at_ms),
                "success": item.code.success,
                "err_code": item.code.code,
                "err_msg": item.code.message,
                "sms_size": item.parts.to_string(),
                "biz_id": &*item.id,
                "out_id": item.echo.as_deref().unwrap_or_default(),
            })
        })
        .collect();
    Outgoing::post(url, JSON, json!(reports).to_string())
}

/// QuerySendDetails: pages from 1. SendStatus 2 is failed and 3 delivered, both UNCONFIRMED.
pub(crate) fn details(arrival: &Arrival<'_>, items: &[Item], now: Stamp) -> Answer {
    let given = parameters(arrival);
    let number = |name: &str| value(&given, name).and_then(|text| text.parse::<usize>().ok());
    let size = number("PageSize").unwrap_or(10).clamp(1, 50);
    let page = number("CurrentPage").unwrap_or(1).max(1);
    let shown = items.iter().skip(size * (page - 1)).take(size);
    let details: Vec<_> = shown
        .map(|item| {
            json!({
                "PhoneNum": item.number.written,
                "SendStatus": if item.code.success { 3 } else { 2 },
                "ErrCode": item.code.code,
                "SendDate": beijing_time(item.sent_at_ms),
                "ReceiveDate": beijing_time(now.at_ms),
                "OutId": item.echo.as_deref().unwrap_or_default(),
            })
        })
        .collect();
    answer(
        200,
        json!({
            "Code": "OK", "Message": "OK", "TotalCount": items.len(),
            "SmsSendDetailDTOs": { "SmsSendDetailDTO": details },
        }),
    )
}

pub(crate) fn inbound(url: &str, mo: &Mo) -> Outgoing {
    let number = mo.from.strip_prefix("+86").unwrap_or(&mo.from);
    let items = json!([{
        "phone_number": number,
        "content": mo.text,
        "send_time": beijing_time(mo.at_ms),
        "dest_code": mo.to,
        "sequence_id": mo.id,
    }]);
    Outgoing::post(url, JSON, items.to_string())
}

/// The vendor looks at nothing but HTTP 200 and a numeric `code`.
pub(crate) fn is_ack(status: u16, body: &[u8]) -> bool {
    status == 200
        && serde_json::from_slice::<serde_json::Value>(body)
            .is_ok_and(|answer| answer.get("code").is_some_and(serde_json::Value::is_number))
}

/// A mandatory parameter.
pub(crate) fn required<'a>(
    parameters: &'a [(String, String)],
    name: &str,
) -> Result<&'a str, Refusal> {
    value(parameters, name).ok_or_else(|| missing(name))
}

pub(crate) fn missing(name: &str) -> Refusal {
    let detail = format!("{name} is mandatory for this action.");
    Refusal::with(codes::MISSING_PARAMETER, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_numeric_code_acknowledges() {
        assert!(is_ack(200, br#"{"code":0,"msg":"ok"}"#));
        assert!(is_ack(200, br#"{"code":7}"#));
        assert!(!is_ack(200, br#"{"code":"0"}"#));
        assert!(!is_ack(200, b"ok"));
        assert!(!is_ack(204, br#"{"code":0}"#));
    }
}
