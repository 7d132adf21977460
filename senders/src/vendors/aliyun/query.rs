//! QuerySendDetails: what became of one number of a call, for accounts that want to ask beside the pushes. Pure.
//!
//! Source: `alibabacloud-dysmsapi20170525` 4.6.0 (fields). What the numbers in `SendStatus` mean (1 waiting, 2 failed,
//! 3 delivered) is not in the SDK and not confirmed.

use jixinda_schemas::{
    Phone,
    event::AttemptResult,
    vendor::{Blame, ReceiptStatus},
};
use serde_json::Value;

use super::{receipt::verdict, wire};
use crate::{
    vendor::{Batch, FetchError, Item, ItemResult, ReceiptItem, Reported, UnreadableItem, brief},
    vendors::{
        answer::lenient_text,
        exchange::Answer,
        times::{beijing, beijing_compact},
        waiting::{Asked, Number, Waiting},
    },
};

/// The parameters of one question.
#[must_use]
pub fn params(asked: &Asked) -> Vec<(&'static str, String)> {
    let number = asked.numbers.first().map(|n| &n.recipient);
    let day = beijing_compact(asked.since);
    vec![
        ("BizId", asked.id.clone()),
        ("CurrentPage", "1".to_owned()),
        ("PageSize", "10".to_owned()),
        (
            "PhoneNumber",
            number.and_then(wire::number).unwrap_or_default().to_owned(),
        ),
        ("SendDate", day.get(..8).unwrap_or_default().to_owned()),
    ]
}

/// What was taken, to wait for.
pub(super) fn wait(
    waiting: &mut Waiting,
    items: &[Item],
    results: &[ItemResult],
    now: jixinda_schemas::Timestamp,
) {
    for (item, result) in items.iter().zip(results) {
        if let AttemptResult::Accepted { vendor_id } = result {
            let number = Number {
                recipient: item.recipient.clone(),
                parts: None,
            };
            waiting.add(vendor_id, vec![number], now);
        }
    }
}

/// Reads the answer to a question about a number of the call `id`.
///
/// # Errors
/// When it brings no list.
pub fn fetched(answer: &Answer, id: &str) -> Result<Batch, FetchError> {
    let status = answer.status;
    let nothing = || FetchError(format!("http {status}, no list"));
    let mut reply: Value = serde_json::from_slice(&answer.body).map_err(|_| nothing())?;
    match reply.get("Code").and_then(lenient_text) {
        Some(code) if code == "OK" && status == 200 => {}
        Some(code) if code != "OK" => return Err(FetchError(brief(&code))),
        _ => return Err(nothing()),
    }
    let list = reply.pointer_mut("/SmsSendDetailDTOs/SmsSendDetailDTO");
    match list.map(Value::take) {
        Some(Value::Array(items)) => Ok(items
            .into_iter()
            .map(|raw| {
                let read = read(&raw, id).map(Reported::Receipt);
                read.map_err(|detail| UnreadableItem { detail, raw })
            })
            .collect()),
        // Nothing is known of the number yet.
        None | Some(Value::Null) => Ok(Batch::default()),
        Some(_) => Err(nothing()),
    }
}

fn read(raw: &Value, id: &str) -> Result<ReceiptItem, String> {
    let text = |name: &str| raw.get(name).and_then(lenient_text);
    let mobile = text("PhoneNum").ok_or("PhoneNum is missing")?;
    let code = text("ErrCode").unwrap_or_default();
    let (status, blame) = match text("SendStatus").as_deref() {
        Some("1") => (ReceiptStatus::Pending, Blame::None),
        Some("2") => verdict(Some(false), &code),
        Some("3") => verdict(Some(true), &code),
        _ => return Err("SendStatus is none of 1, 2 and 3".to_owned()),
    };
    let recipient = Phone::parse_lenient(&mobile).or_else(|_| format!("+{mobile}").parse());
    Ok(ReceiptItem {
        recipient: recipient.map_err(|e| format!("PhoneNum: {e}"))?,
        echo: text("OutId"),
        vendor_id: Some(id.to_owned()),
        part: None,
        parts: None,
        status,
        code,
        blame,
        segments: None,
        vendor_at: text("ReceiveDate").and_then(|at| beijing(&at)),
        raw: raw.clone(),
    })
}

#[cfg(test)]
mod tests {
    use jixinda_schemas::Timestamp;
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &Value) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: body.to_string().into(),
        }
    }

    fn list(items: Value) -> Value {
        json!({"Code": "OK", "TotalCount": 1, "SmsSendDetailDTOs": {"SmsSendDetailDTO": items}})
    }

    #[test]
    fn a_question_is_about_one_number_on_the_day_of_beijing() {
        let asked = Asked {
            place: 0,
            id: "900619746936498440^0".into(),
            since: Timestamp(1_735_750_800_000),
            numbers: vec![Number {
                recipient: "+8613800138000".parse().unwrap(),
                parts: None,
            }],
        };
        let params = params(&asked);
        let wanted = ["900619746936498440^0", "1", "10", "13800138000", "20250102"];
        assert_eq!(params.iter().map(|(_, v)| v).collect::<Vec<_>>(), wanted);
        assert!(params.is_sorted());
    }

    #[test]
    fn status_and_code_decide_together() {
        use ReceiptStatus as S;
        for (status, code, want) in [
            (json!(1), "", S::Pending),
            (json!(2), "MOBILE_NOT_ON_SERVICE", S::Undelivered),
            (json!("3"), "DELIVERED", S::Delivered),
            (json!(3), "MOBILE_IN_BLACK", S::Unknown),
        ] {
            let item = json!({"PhoneNum": "13800138000", "SendStatus": status, "ErrCode": code,
                "ReceiveDate": "2025-01-02 11:04:09", "OutId": "100000000000001"});
            let batch = fetched(&answer(200, &list(json!([item]))), "1^0").unwrap();
            let item = &batch.receipts[0];
            assert_eq!(item.status, want, "{status} {code}");
            assert_eq!(item.vendor_id.as_deref(), Some("1^0"));
            assert_eq!(item.echo.as_deref(), Some("100000000000001"));
        }
    }

    #[test]
    fn what_is_no_list_is_an_error_and_nothing_yet_is_none() {
        let none = json!({"Code": "OK", "TotalCount": 0});
        assert!(fetched(&answer(200, &none), "1").unwrap().is_empty());
        assert!(
            fetched(&answer(200, &list(json!([]))), "1")
                .unwrap()
                .is_empty()
        );
        for (status, body) in [
            (200, json!([7])),
            (200, list(json!({}))),
            (500, none),
            (400, json!({"Code": "Throttling.User"})),
        ] {
            assert!(fetched(&answer(status, &body), "1").is_err(), "{body}");
        }
        let batch = fetched(&answer(200, &list(json!([7, {"PhoneNum": "1"}]))), "1").unwrap();
        assert_eq!(batch.unreadable.len(), 2);
    }

    proptest! {
        #[test]
        fn no_field_makes_the_reader_panic(mobile in ".{0,20}", status in ".{0,3}", code in ".{0,20}", at in ".{0,24}") {
            let item = json!({"PhoneNum": mobile, "SendStatus": status, "ErrCode": code, "ReceiveDate": at});
            prop_assert_eq!(fetched(&answer(200, &list(json!([item]))), "1").unwrap().len(), 1);
        }
    }
}
