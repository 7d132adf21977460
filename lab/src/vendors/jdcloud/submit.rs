//! The rules of the three methods, in the order in which they are judged. Pure.
//!
//! Source: fact sheet, "batchSend body", "Receipts". Stricter than the vendor in one point, on purpose: an unknown field is
//! refused, so that a misspelt optional one is noticed.

use serde_json::Value;
use time::Date;
use time::macros::format_description;

use super::codes;
use super::wire::{self, Method};
use crate::account::Account;
use crate::number::{self, Number};
use crate::places::{by_place, parts, signature};
use crate::vendor::{Action, Arrival, Held, Query, Refusal, Submit, Wanted};
use crate::wire::text_of;

const MAX_NUMBERS: usize = 100;
const REGION: &str = "cn-north-1";

/// What a report or a reply is asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) app: String,
    pub(super) day: String,
    /// As written; all, if empty.
    pub(super) numbers: Vec<String>,
}

fn body(arrival: &Arrival<'_>) -> Value {
    serde_json::from_slice(arrival.body).unwrap_or(Value::Null)
}

/// `None` if it is there and not a list of texts.
fn texts(body: &Value, name: &str) -> Option<Vec<String>> {
    match body.get(name) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(list) => serde_json::from_value(list.clone()).ok(),
    }
}

pub(super) fn held(arrival: &Arrival<'_>) -> Held {
    let body = body(arrival);
    let numbers = texts(&body, "phoneList").unwrap_or_default();
    Held {
        recipients: numbers
            .iter()
            .map(|text| number::journalled(text))
            .collect(),
        template_code: text_of(&body, "templateId"),
        sign_name: text_of(&body, "signId"),
        params: texts(&body, "params").map(|values| by_place(&values)),
        ..Held::default()
    }
}

pub(super) fn asked(arrival: &Arrival<'_>) -> Asked {
    let body = body(arrival);
    Asked {
        app: text_of(&body, "appId").unwrap_or_default(),
        day: text_of(&body, "dataDate").unwrap_or_default(),
        numbers: texts(&body, "phoneList").unwrap_or_default(),
    }
}

fn wrong(detail: impl Into<String>) -> Refusal {
    Refusal::with(codes::INVALID_ARGUMENT, detail)
}

fn required(body: &Value, name: &str) -> Result<String, Refusal> {
    let text = body.get(name).and_then(Value::as_str);
    let text = text.filter(|text| !text.is_empty());
    text.map(str::to_owned)
        .ok_or_else(|| wrong(format!("{name} is required")))
}

pub(super) fn judge(arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
    let (region, method) = wire::method(arrival.path()).ok_or(codes::INVALID_ARGUMENT)?;
    let body: Value = serde_json::from_slice(arrival.body).map_err(|_| codes::INVALID_ARGUMENT)?;
    let object = body.as_object().ok_or(codes::INVALID_ARGUMENT)?;
    let own: &[&str] = match method {
        Method::Send => &["templateId", "signId", "phoneList", "params"],
        Method::Reports => &["sequenceNumber", "phoneList"],
        Method::Replies => &["appId", "dataDate", "phoneList"],
    };
    let known = |name: &str| name == "regionId" || own.contains(&name);
    if let Some(name) = object.keys().find(|name| !known(name)) {
        return Err(wrong(format!("{name} is not known")));
    }
    let is_region = region == account.setting("region").unwrap_or(REGION);
    if !is_region || body.get("regionId").is_some_and(|id| id != region) {
        return Err(wrong("regionId is not valid"));
    }
    let numbers = texts(&body, "phoneList").ok_or_else(|| wrong("phoneList is no list"))?;
    if numbers.len() > MAX_NUMBERS {
        return Err(wrong("phoneList has more than 100 numbers"));
    }
    let read = numbers.iter().map(|text| Number::bare_mainland(text));
    let read: Option<Vec<Number>> = read.collect();
    let numbers = read.ok_or(codes::PHONE_LIST)?;
    match method {
        Method::Send => send(&body, numbers, account).map(Action::Submit),
        Method::Reports => Ok(Action::Query(Query {
            id: Some(required(&body, "sequenceNumber")?),
            recipient: None,
        })),
        Method::Replies => {
            let app = required(&body, "appId")?;
            let day = required(&body, "dataDate")?;
            // UNCONFIRMED.
            if Date::parse(&day, format_description!("[year]-[month]-[day]")).is_err() {
                return Err(wrong("dataDate is not of the form yyyy-MM-dd"));
            }
            if account.setting("app_id").is_some_and(|own| own != app) {
                return Err(codes::APP.into());
            }
            Ok(Action::QueryInbound)
        }
    }
}

fn send(body: &Value, numbers: Vec<Number>, account: &Account) -> Result<Submit, Refusal> {
    if numbers.is_empty() {
        return Err(wrong("phoneList is required"));
    }
    let (code, sign) = (required(body, "templateId")?, required(body, "signId")?);
    let values = texts(body, "params").ok_or_else(|| wrong("params is no list of texts"))?;
    if !account.sign_names.contains(&sign) {
        return Err(codes::SIGN.into());
    }
    let template = account.templates.get(&code).ok_or(codes::TEMPLATE)?;
    if values.len() != template.variables.len() {
        return Err(wrong("params do not match the template"));
    }
    let parts = parts(template, signature(account, &sign), &values);
    let wanted = numbers.into_iter().map(|number| Wanted {
        template_code: Some(code.clone()),
        sign_name: Some(sign.clone()),
        params: Some(by_place(&values)),
        parts,
        ..Wanted::to(number)
    });
    Ok(Submit {
        echo: None,
        callback: None,
        wanted: wanted.collect(),
    })
}
