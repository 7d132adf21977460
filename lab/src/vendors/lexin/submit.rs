//! The rules of the methods, in the order in which they are judged. Pure.
//!
//! Source: fact sheet, "send fields". Stricter than the vendor in one point, on purpose: an unknown field is refused, so that
//! a misspelt optional one is noticed.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::codes;
use super::wire::{Method, Request};
use crate::account::Account;
use crate::number::{self, Number};
use crate::places::{by_place, parts, text_parts};
use crate::vendor::{Action, Arrival, Held, Refusal, Submit, Wanted};

const MAX_NUMBERS: usize = 5_000;
const MAX_TEMPLATED: usize = 2_000;
const MAX_ID: usize = 15;
const MAX_EXTENSION: usize = 6;
/// Of one fetch; the lab's own.
const MAX_FETCHED: usize = 2_000;
const SCHEDULE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

/// Numbers and their joined variables, `{"13800138000":"v1##v2"}`.
fn templated(request: &Request) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(request.value("TemplateParam")?).ok()
}

fn variables(joined: &str) -> Vec<String> {
    if joined.is_empty() {
        return Vec::new();
    }
    joined.split("##").map(str::to_owned).collect()
}

/// The id of a call; older examples call it bizId.
fn id(request: &Request) -> Option<&str> {
    request.value("msgId").or_else(|| request.value("bizId"))
}

pub(super) fn held(arrival: &Arrival<'_>) -> Held {
    let Some(request) = Request::read(arrival) else {
        return Held::default();
    };
    let of_template = templated(&request).unwrap_or_default();
    let numbers = request.value("aimcodes").into_iter();
    let numbers = numbers.flat_map(|numbers| numbers.split(','));
    let numbers = numbers.chain(of_template.keys().map(String::as_str));
    Held {
        recipients: numbers.map(number::journalled).collect(),
        echo: id(&request).map(str::to_owned),
        template_code: request.value("TemplateCode").map(str::to_owned),
        sign_name: request.value("SignName").map(str::to_owned),
        params: of_template
            .values()
            .next()
            .map(|joined| by_place(&variables(joined))),
    }
}

fn wrong(name: &str) -> Refusal {
    Refusal::with(codes::PARAMETER, format!("参数错误: {name}"))
}

pub(super) fn judge(arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
    let request = Request::read(arrival).ok_or(codes::PARAMETER)?;
    if let Some(name) = request.stranger() {
        return Err(wrong(name));
    }
    let wanted = match request.method {
        Method::Reports => return Ok(Action::Fetch { most: MAX_FETCHED }),
        Method::Inbound => return Ok(Action::FetchInbound { most: MAX_FETCHED }),
        Method::Send => {
            common(&request)?;
            alike(&request, account)?
        }
        Method::Template => {
            common(&request)?;
            each(&request, account)?
        }
    };
    Ok(Action::Submit(Submit {
        echo: id(&request).map(Arc::from),
        callback: None,
        wanted,
    }))
}

fn common(request: &Request) -> Result<(), Refusal> {
    let digits = |text: &str, most: usize| {
        text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if id(request).is_some_and(|id| !digits(id, MAX_ID)) {
        return Err(wrong("msgId"));
    }
    if let Some(extension) = request.value("extNo")
        && !digits(extension, MAX_EXTENSION)
    {
        return Err(wrong("extNo"));
    }
    if let Some(at) = request.value("schTime")
        && PrimitiveDateTime::parse(at, SCHEDULE).is_err()
    {
        return Err(wrong("schTime"));
    }
    match (request.value("dataType"), request.value("Format")) {
        (None | Some("json" | "xml" | "string"), None | Some("JSON")) => Ok(()),
        (_, None | Some("JSON")) => Err(wrong("dataType")),
        _ => Err(wrong("Format")),
    }
}

/// A number that is none is counted, and the others go on.
fn to(text: &str) -> Wanted {
    let read = Number::bare_mainland(text);
    let refused = read.is_none().then_some(codes::BAD_NUMBER);
    Wanted {
        refused,
        ..Wanted::to(read.unwrap_or_else(|| Number::unread(text)))
    }
}

/// One text, its signature in it: at its end, or before it.
fn alike(request: &Request, account: &Account) -> Result<Vec<Wanted>, Refusal> {
    let numbers = request.value("aimcodes").ok_or(codes::NO_NUMBER)?;
    if numbers.split(',').count() > MAX_NUMBERS {
        return Err(codes::TOO_MANY.into());
    }
    let content = request.value("content").ok_or(codes::EMPTY)?;
    let sign = account.sign_names.iter().find(|sign| {
        let bracketed = format!("【{sign}】");
        content.starts_with(&bracketed) || content.ends_with(&bracketed)
    });
    let sign = sign.ok_or(codes::SIGNATURE)?;
    let parts = text_parts(content, None);
    let wanted = numbers.split(',').map(|text| Wanted {
        sign_name: Some(sign.clone()),
        parts,
        ..to(text)
    });
    Ok(wanted.collect())
}

/// Variables for each.
fn each(request: &Request, account: &Account) -> Result<Vec<Wanted>, Refusal> {
    if request.value("TemplateParam").is_none() {
        return Err(codes::NO_NUMBER.into());
    }
    let given = templated(request).ok_or_else(|| wrong("TemplateParam"))?;
    if given.is_empty() {
        return Err(codes::NO_NUMBER.into());
    }
    if given.len() > MAX_TEMPLATED {
        return Err(codes::TOO_MANY.into());
    }
    let sign = request.value("SignName").ok_or(codes::SIGNATURE)?;
    if !account.sign_names.iter().any(|known| known == sign) {
        return Err(codes::SIGNATURE.into());
    }
    let code = request.value("TemplateCode").ok_or(codes::TEMPLATE)?;
    let template = account.templates.get(code).ok_or(codes::TEMPLATE)?;
    given
        .iter()
        .map(|(text, joined)| {
            let values = variables(joined);
            if values.len() != template.variables.len() {
                return Err(codes::VARIABLES.into());
            }
            Ok(Wanted {
                template_code: Some(code.to_owned()),
                sign_name: Some(sign.to_owned()),
                params: Some(by_place(&values)),
                parts: parts(template, Some(sign), &values),
                ..to(text)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_keep_their_places() {
        assert_eq!(variables("a##b"), ["a", "b"]);
        assert_eq!(variables("a####b"), ["a", "", "b"]);
        assert!(variables("").is_empty());
    }
}
