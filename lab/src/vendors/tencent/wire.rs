//! Bodies in and out, and the rules of SendSms.
//!
//! Source: fact sheet, "SendSms", "Receipts". Stricter than the vendor in one point, on purpose: an unknown parameter is
//! refused, so that a misspelt optional one is noticed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::codes;
use crate::account::{Account, Template};
use crate::clock::Stamp;
use crate::number::{self, Number};
use crate::receipts::Item;
use crate::vendor::{Action, Answer, Arrival, Held, Mo, Outgoing, Refusal, Submit, Wanted};
use crate::wire::{beijing_time, mainland_parts, text_of};

const MAX_NUMBERS: usize = 200;
const MAX_CONTEXT: usize = 511;
const MAX_FETCHED: usize = 100;
const SEND: &[&str] = &[
    "PhoneNumberSet",
    "SmsSdkAppId",
    "TemplateId",
    "SignName",
    "TemplateParamSet",
    "SessionContext",
    "ExtendCode",
    "SenderId",
];

fn body(arrival: &Arrival<'_>) -> Value {
    serde_json::from_slice(arrival.body).unwrap_or(Value::Null)
}

fn texts(body: &Value, name: &str) -> Vec<String> {
    let list = body.get(name).and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// Variables have no names here: they are journalled under their places, from 1.
fn by_place(values: &[String]) -> BTreeMap<String, String> {
    let numbered = values.iter().enumerate();
    numbered
        .map(|(index, value)| ((index + 1).to_string(), value.clone()))
        .collect()
}

pub(super) fn held(arrival: &Arrival<'_>) -> Held {
    let body = body(arrival);
    let numbers = texts(&body, "PhoneNumberSet");
    Held {
        recipients: numbers
            .iter()
            .map(|text| number::journalled(text))
            .collect(),
        echo: text_of(&body, "SessionContext"),
        template_code: text_of(&body, "TemplateId"),
        sign_name: text_of(&body, "SignName"),
        params: Some(by_place(&texts(&body, "TemplateParamSet"))),
    }
}

pub(super) fn judge(arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
    let body: Value = serde_json::from_slice(arrival.body).map_err(|_| codes::INVALID_PARAMETER)?;
    let app = text_of(&body, "SmsSdkAppId").ok_or(codes::MISSING_PARAMETER)?;
    if account.setting("sdk_app_id").is_some_and(|id| id != app) {
        return Err(codes::SDK_APP_ID_NOT_EXIST.into());
    }
    if arrival.header("x-tc-action") == Some("PullSmsSendStatus") {
        let most = body.get("Limit").and_then(Value::as_u64);
        let most = most.ok_or(codes::MISSING_PARAMETER)?;
        let most = usize::try_from(most).unwrap_or(0);
        if most == 0 || most > MAX_FETCHED {
            return Err(Refusal::with(codes::INVALID_PARAMETER, "Limit is 1 to 100"));
        }
        return Ok(Action::Fetch { most });
    }
    send(&body, account).map(Action::Submit)
}

fn send(body: &Value, account: &Account) -> Result<Submit, Refusal> {
    let object = body.as_object().ok_or(codes::INVALID_PARAMETER)?;
    if let Some(name) = object.keys().find(|name| !SEND.contains(&name.as_str())) {
        let detail = format!("{name} is not known");
        return Err(Refusal::with(codes::UNKNOWN_PARAMETER, detail));
    }
    let given = texts(body, "PhoneNumberSet");
    if given.is_empty() {
        return Err(codes::MISSING_PARAMETER.into());
    }
    if given.len() > MAX_NUMBERS {
        return Err(codes::PHONE_NUMBER_COUNT_LIMIT.into());
    }
    let echo = text_of(body, "SessionContext");
    if echo.as_ref().is_some_and(|text| text.len() > MAX_CONTEXT) {
        return Err(codes::SESSION_CONTEXT_TOO_LONG.into());
    }
    let code = text_of(body, "TemplateId").ok_or(codes::MISSING_PARAMETER)?;
    let template = account
        .templates
        .get(&code)
        .ok_or(codes::TEMPLATE_UNAPPROVED)?;
    let params = texts(body, "TemplateParamSet");
    if params.len() != template.variables.len() {
        return Err(codes::PARAMS_DO_NOT_MATCH.into());
    }
    let sign = text_of(body, "SignName");
    let mainland = |text: &str| Number::mainland(text).is_some();
    let domestic = given.iter().filter(|text| mainland(text)).count();
    let abroad = given
        .iter()
        .any(|text| text.starts_with('+') && !text.starts_with("+86"));
    if domestic > 0 && abroad {
        return Err(codes::MIXED_NUMBERS.into());
    }
    match &sign {
        None if !abroad => return Err(codes::MISSING_SIGNATURE.into()),
        Some(sign) if !account.sign_names.contains(sign) => {
            return Err(codes::SIGNATURE_UNAPPROVED.into());
        }
        _ => {}
    }
    let parts = parts(template, sign.as_deref().unwrap_or_default(), &params);
    let wanted = given.iter().map(|text| {
        let read = Number::mainland(text).map(|number| Number {
            // Written with its country code, as it is answered.
            written: number.e164.clone(),
            ..number
        });
        let read = read.or_else(|| Number::international(text, "+"));
        let refused = read.is_none().then_some(codes::INCORRECT_PHONE_NUMBER);
        let number = read.unwrap_or_else(|| Number {
            written: text.clone(),
            e164: text.clone(),
        });
        Wanted {
            template_code: Some(code.clone()),
            sign_name: sign.clone(),
            params: Some(by_place(&params)),
            parts,
            refused,
            ..Wanted::to(number)
        }
    });
    Ok(Submit {
        wanted: wanted.collect(),
        echo: echo.map(Arc::from),
        callback: None,
    })
}

/// The template's places are `{1}`, `{2}`, …
fn parts(template: &Template, sign: &str, params: &[String]) -> usize {
    let Some(body) = &template.body else { return 1 };
    let mut text = body.clone();
    for (index, value) in params.iter().enumerate() {
        text = text.replace(&format!("{{{}}}", index + 1), value);
    }
    mainland_parts(text.chars().count() + sign.chars().count() + 2)
}

fn response(mut inner: Value) -> Answer {
    inner["RequestId"] = json!(uuid::Uuid::new_v4().to_string());
    Answer::json(200, json!({ "Response": inner }).to_string())
}

pub(super) fn failure(refusal: &Refusal) -> Answer {
    response(json!({ "Error": { "Code": refusal.code.code, "Message": refusal.message() } }))
}

pub(super) fn taken(submit: &Submit, ids: &[String]) -> Answer {
    let statuses: Vec<Value> = submit
        .wanted
        .iter()
        .zip(ids)
        .map(|(wanted, id)| {
            let (code, message) = wanted
                .refused
                .map_or(("Ok", "send success"), |code| (code.code, code.message));
            json!({
                "SerialNo": id,
                "PhoneNumber": wanted.number.written,
                "Fee": if wanted.refused.is_some() { 0 } else { wanted.parts },
                "SessionContext": submit.echo.as_deref().unwrap_or_default(),
                "Code": code,
                "Message": message,
                "IsoCode": if wanted.number.e164.starts_with("+86") { "CN" } else { "" },
            })
        })
        .collect();
    response(json!({ "SendStatusSet": statuses }))
}

/// Country code and the number without it. The lab knows the mainland's; others come as one digit, or two.
fn split(e164: &str) -> (&str, &str) {
    if let Some(national) = e164.strip_prefix("+86") {
        return ("86", national);
    }
    let digits = e164.trim_start_matches('+');
    digits.split_at(if digits.starts_with(['1', '7']) { 1 } else { 2 })
}

pub(super) fn push(url: &str, items: &[Item], now: Stamp, echoes: bool) -> Outgoing {
    let reports: Vec<Value> = items
        .iter()
        .map(|item| {
            let (nation, mobile) = split(&item.number.e164);
            let mut report = json!({
                "user_receive_time": beijing_time(now.at_ms),
                "nationcode": nation,
                "mobile": mobile,
                "report_status": item.code.state,
                "errmsg": item.code.code,
                "description": item.code.message,
                "sid": &*item.id,
            });
            if echoes && let Some(echo) = &item.echo {
                report["ext"] = json!(&**echo);
            }
            report
        })
        .collect();
    Outgoing::post(url, "application/json", json!(reports).to_string())
}

/// `{"result":0,"errmsg":"OK"}`.
pub(super) fn is_ack(status: u16, body: &[u8]) -> bool {
    status == 200
        && serde_json::from_slice::<Value>(body).is_ok_and(|answer| answer["result"] == json!(0))
}

pub(super) fn fetched(items: &[Item], now: Stamp) -> Answer {
    let reports: Vec<Value> = items
        .iter()
        .map(|item| {
            let (nation, mobile) = split(&item.number.e164);
            json!({
                "UserReceiveTime": now.unix_seconds(),
                "CountryCode": nation,
                "SubscriberNumber": mobile,
                "PhoneNumber": item.number.e164,
                "SerialNo": &*item.id,
                "ReportStatus": item.code.state,
                "Description": item.code.code,
                "SessionContext": item.echo.as_deref().unwrap_or_default(),
            })
        })
        .collect();
    response(json!({ "PullSmsSendStatusSet": reports }))
}

pub(super) fn inbound(url: &str, mo: &Mo) -> Outgoing {
    let (nation, mobile) = split(&mo.from);
    let message = json!({
        "extend": mo.to,
        "mobile": mobile,
        "nationcode": nation,
        "sign": "",
        "text": mo.text,
        "time": mo.at_ms / 1_000,
    });
    Outgoing::post(url, "application/json", message.to_string())
}
