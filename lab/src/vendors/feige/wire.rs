//! Bodies in and out: forms of the old API, JSON of the new one.
//!
//! Source: fact sheet, "Old API", "New API", "Receipt push".

use serde_json::{Value, json};

use super::codes;
use crate::clock::Stamp;
use crate::receipts::Item;
use crate::vendor::{Answer, Arrival, Mo, Outgoing, Refusal, Submit};
use crate::wire::{form, value};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Method {
    Template,
    /// A full text.
    Send,
    /// A text for each number.
    Each,
    Abroad,
    Report,
    Inbound,
}

/// What an API calls its fields.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Names {
    pub(super) account: &'static str,
    pub(super) secret: &'static str,
    pub(super) content: &'static str,
    pub(super) mobile: &'static str,
    pub(super) template: &'static str,
    pub(super) sign: &'static str,
    pub(super) count: &'static str,
}

const OLD: &Names = &Names {
    account: "Account",
    secret: "Pwd",
    content: "Content",
    mobile: "Mobile",
    template: "TemplateId",
    sign: "SignId",
    count: "Count",
};
const NEW: &Names = &Names {
    account: "apikey",
    secret: "secret",
    content: "content",
    mobile: "mobile",
    template: "template_id",
    sign: "sign_id",
    count: "count",
};

pub(super) fn method(path: &str) -> Option<(&'static Names, Method)> {
    Some(match path {
        "/SmsService/Template" => (OLD, Method::Template),
        "/SmsService/Send" => (OLD, Method::Send),
        "/SmsService/Gx" => (OLD, Method::Each),
        "/SmsService/InterSms" => (OLD, Method::Abroad),
        "/ReportMo/Rep" | "/ReportMo/Report" => (OLD, Method::Report),
        "/ReportMo/Mo" => (OLD, Method::Inbound),
        "/sms/template" => (NEW, Method::Template),
        "/sms/send" => (NEW, Method::Send),
        "/sms/report" => (NEW, Method::Report),
        _ => return None,
    })
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) names: &'static Names,
    given: Vec<(String, String)>,
}

impl Request {
    /// `None` if the body is not what the API takes.
    pub(super) fn read(arrival: &Arrival<'_>) -> Option<Self> {
        let (names, method) = method(arrival.path())?;
        let kind = arrival.header("content-type")?;
        let given = if names == OLD {
            kind.starts_with("application/x-www-form-urlencoded")
                .then(|| form(arrival.body))?
        } else {
            kind.starts_with("application/json")
                .then(|| fields(arrival.body))??
        };
        Some(Self {
            method,
            names,
            given,
        })
    }

    pub(super) fn is_old(&self) -> bool {
        self.names == OLD
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        value(&self.given, name)
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.value(name).ok_or_else(|| self.empty(name))
    }

    pub(super) fn empty(&self, name: &str) -> Refusal {
        Refusal::with(codes::EMPTY_PARAMETER, format!("{name} 参数为空"))
    }

    /// A field that the method does not have.
    pub(super) fn stranger(&self) -> Option<&str> {
        let names = self.names;
        let own: &[&str] = match self.method {
            Method::Template => &[names.content, names.mobile, names.template, names.sign],
            Method::Send => &[names.content, names.mobile, names.sign],
            Method::Each => &[names.content, names.sign],
            Method::Abroad => &[names.content, names.mobile, names.sign, "CountryCode"],
            Method::Report => &[names.count],
            Method::Inbound => &[],
        };
        let timed = self.is_old()
            && matches!(
                self.method,
                Method::Template | Method::Send | Method::Abroad
            );
        let known = |name: &str| {
            name == names.account
                || name == names.secret
                || own.contains(&name)
                || timed && name == "SendTime"
        };
        let mut given = self.given.iter().map(|(name, _)| name.as_str());
        given.find(|name| !known(name))
    }
}

/// Of a JSON object of texts and numbers; ids come as either.
fn fields(body: &[u8]) -> Option<Vec<(String, String)>> {
    let object: serde_json::Map<String, Value> = serde_json::from_slice(body).ok()?;
    object
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            Value::Number(number) => Some((name, number.to_string())),
            _ => None,
        })
        .collect()
}

fn is_old(arrival: &Arrival<'_>) -> bool {
    method(arrival.path()).is_some_and(|(names, _)| names == OLD)
}

fn answer(body: &Value) -> Answer {
    Answer::json(200, body.to_string())
}

pub(super) fn taken(arrival: &Arrival<'_>, submit: &Submit, ids: &[String]) -> Answer {
    let id = ids.iter().find(|id| !id.is_empty());
    let id = id.map_or("", String::as_str);
    let refused = submit.wanted.iter().filter_map(|wanted| wanted.refused);
    let black = refused.clone().filter(|code| *code == codes::BLACK).count();
    let invalid = refused.clone().count() - black;
    let good = submit.wanted.len() - black - invalid;
    if is_old(arrival) {
        return answer(&json!({
            "SendId": id, "InvalidCount": invalid, "SuccessCount": good, "BlackCount": black,
            "Code": 0, "Message": "OK",
        }));
    }
    match refused.into_iter().next() {
        Some(code) if good == 0 => failure(arrival, &code.into(), 0),
        _ => answer(&json!({ "code": 0, "msg": "提交成功", "msg_no": id, "count": good })),
    }
}

/// Of a call with so many numbers.
pub(super) fn failure(arrival: &Arrival<'_>, refusal: &Refusal, numbers: usize) -> Answer {
    let (is_invalid, is_black) = (refusal.code == codes::INVALID, refusal.code == codes::BLACK);
    let code: u32 = refusal.code.code.parse().unwrap_or_default();
    if !is_old(arrival) {
        let code = if is_invalid || is_black { 10_002 } else { code };
        return answer(&json!({ "code": code, "msg": refusal.message() }));
    }
    // 10008 is taken there.
    let code = if refusal.code == codes::FLOW {
        10_007
    } else {
        code
    };
    if !matches!(
        method(arrival.path()),
        Some((_, Method::Report | Method::Inbound))
    ) {
        let message = if code == 0 { "OK" } else { refusal.message() };
        return answer(&json!({
            "SendId": "", "SuccessCount": 0,
            "InvalidCount": if is_invalid { numbers } else { 0 },
            "BlackCount": if is_black { numbers } else { 0 },
            "Code": code, "Message": message,
        }));
    }
    answer(&json!({ "Code": code, "Message": refusal.message() }))
}

/// In either shape: the newer one, or that of the white label.
pub(super) fn push(url: &str, items: &[Item], now: Stamp, white_label: bool) -> Outgoing {
    let time = now.unix_seconds();
    let reports = items.iter().map(|item| {
        let (id, status) = (&*item.id, item.code.code);
        if white_label {
            let mobile = item.number.e164.trim_start_matches('+');
            json!({ "times": time, "send_id": id, "status": status, "mobile": mobile })
        } else {
            json!({ "time": time, "msg_no": id, "status": status, "mobile": item.number.written })
        }
    });
    let reports: Vec<Value> = reports.collect();
    let body = if white_label {
        json!({ "counts": reports.len(), "reports": reports })
    } else {
        json!({ "count": reports.len(), "data": reports })
    };
    Outgoing::post(url, "application/json", body.to_string())
}

/// `{"code":0,"msg":"success"}`; UNCONFIRMED.
pub(super) fn is_ack(status: u16, body: &[u8]) -> bool {
    let code = serde_json::from_slice::<Value>(body).ok();
    let code = code.and_then(|answer| crate::wire::text_of(&answer, "code"));
    status == 200 && code.as_deref() == Some("0")
}

pub(super) fn fetched(arrival: &Arrival<'_>, items: &[Item], now: Stamp) -> Answer {
    if is_old(arrival) {
        let reports = items.iter().map(|item| {
            json!({
                "SendID": &*item.id, "Status": item.code.code, "Times": now.unix_seconds(),
                "Mobile": item.number.written,
            })
        });
        let reports: Vec<Value> = reports.collect();
        return answer(&json!({ "Rep": reports, "Code": 0, "Message": "OK" }));
    }
    if items.is_empty() {
        return failure(arrival, &codes::NO_REPORT.into(), 0);
    }
    let reports = items.iter().map(|item| {
        json!({
            "msg_no": &*item.id, "mobile": item.number.written, "status": item.code.code,
        })
    });
    let reports: Vec<Value> = reports.collect();
    answer(&json!({ "code": 0, "msg": "获取成功", "data": reports }))
}

/// Of the old API alone; fields and envelope UNCONFIRMED, after those of its reports.
pub(super) fn fetched_inbound(arrival: &Arrival<'_>, mos: &[Mo]) -> Answer {
    if mos.is_empty() {
        return failure(arrival, &codes::NO_MO.into(), 0);
    }
    let messages = mos.iter().map(|mo| {
        json!({
            "Mobile": mo.from.strip_prefix("+86").unwrap_or(&mo.from), "Content": mo.text,
            "ExtNo": mo.to, "Times": mo.at_ms / 1_000,
        })
    });
    let messages: Vec<Value> = messages.collect();
    answer(&json!({ "Mo": messages, "Code": 0, "Message": "OK" }))
}
