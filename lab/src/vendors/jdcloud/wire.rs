//! Paths in, JSON out.
//!
//! Source: fact sheet, "Endpoint", "Response", "Receipts".

use serde_json::{Value, json};

use super::submit::Asked;
use crate::clock::Stamp;
use crate::receipts::Item;
use crate::vendor::{Answer, Mo, Refusal};
use crate::wire::beijing_time;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Method {
    Send,
    Reports,
    Replies,
}

/// Region and method of `/v1/regions/{region}/{method}`.
pub(super) fn method(path: &str) -> Option<(&str, Method)> {
    let (region, method) = path.strip_prefix("/v1/regions/")?.split_once('/')?;
    let method = match method {
        "batchSend" => Method::Send,
        "statusReport" => Method::Reports,
        "reply" => Method::Replies,
        _ => return None,
    };
    Some((region, method))
}

fn answer(status: u16, mut body: Value) -> Answer {
    body["requestId"] = json!(uuid::Uuid::new_v4().simple().to_string());
    Answer::json(status, body.to_string())
}

fn good(data: &Value) -> Answer {
    let result = json!({ "status": true, "code": 200, "message": "成功", "data": data });
    answer(200, json!({ "result": result }))
}

pub(super) fn taken(id: &str) -> Answer {
    good(&json!({ "sequenceNumber": id }))
}

/// Of the service with 200, of the gateway with another status.
pub(super) fn failure(refusal: &Refusal, as_text: bool) -> Answer {
    let code = refusal.code;
    if code.status != 200 {
        let error = json!({
            "code": code.status, "status": code.code, "message": refusal.message(),
        });
        return answer(code.status, json!({ "error": error }));
    }
    let number: Option<u64> = code.code.parse().ok().filter(|_| !as_text);
    let shown = number.map_or_else(|| json!(code.code), |number| json!(number));
    let result = json!({
        "code": shown, "message": refusal.message(), "status": false, "data": null,
    });
    answer(200, json!({ "result": result }))
}

/// One for each part.
pub(super) fn reports(items: &[Item], asked: &Asked, now: Stamp) -> Answer {
    let wanted = items
        .iter()
        .filter(|item| asked.numbers.is_empty() || asked.numbers.contains(&item.number.written));
    let reports = wanted.map(|item| {
        json!({
            "phoneNum": item.number.written,
            "sequenceNumber": &*item.id,
            "sendTime": beijing_time(item.sent_at_ms),
            "reportTime": beijing_time(now.at_ms),
            "status": item.code.state.parse::<u32>().unwrap_or_default(),
            "code": item.code.code,
            "splitNum": item.part,
        })
    });
    good(&json!(reports.collect::<Vec<_>>()))
}

/// Those of the day, in Beijing.
pub(super) fn replies(mos: &[Mo], asked: &Asked) -> Answer {
    let replies = mos.iter().filter_map(|mo| {
        let number = mo.from.strip_prefix("+86").unwrap_or(&mo.from).to_owned();
        let at = beijing_time(mo.at_ms);
        let wanted = asked.numbers.is_empty() || asked.numbers.contains(&number);
        (wanted && at.starts_with(&asked.day)).then(|| {
            json!({
                "appId": asked.app,
                "signId": mo.to,
                "phoneNum": number,
                "dataTime": at,
                "content": mo.text,
            })
        })
    });
    good(&json!(replies.collect::<Vec<_>>()))
}
