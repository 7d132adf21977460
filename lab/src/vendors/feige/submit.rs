//! The rules of both APIs, in the order in which they are judged. Pure.
//!
//! Source: fact sheet, "Old API", "New API". Stricter than the vendor in two points, on purpose: an unknown field is refused,
//! so that a misspelt optional one is noticed, and the new API takes JSON alone.

use super::wire::{Method, Request};
use super::{codes, content};
use crate::account::Account;
use crate::number::{self, Number};
use crate::places::{by_place, parts, signature, text_parts};
use crate::vendor::{Action, Arrival, Held, Refusal, Submit, Wanted};

/// The lab's own, for want of a documented one.
const MAX_NUMBERS: usize = 5_000;
/// Messages from handsets in one answer; the lab's own.
const MAX_INBOUND: usize = 100;

pub(super) fn held(arrival: &Arrival<'_>) -> Held {
    let Some(request) = Request::read(arrival) else {
        return Held::default();
    };
    let names = request.names;
    let content = request.value(names.content).unwrap_or_default();
    let numbers: Vec<&str> = match request.method {
        Method::Each => {
            let records = content::records(content).unwrap_or_default();
            records.into_iter().map(|(mobile, _)| mobile).collect()
        }
        Method::Template | Method::Send | Method::Abroad => request
            .value(names.mobile)
            .map(|mobile| mobile.split(',').collect())
            .unwrap_or_default(),
        Method::Report | Method::Inbound => Vec::new(),
    };
    let templated = request.method == Method::Template;
    Held {
        recipients: numbers
            .iter()
            .map(|text| number::journalled(text))
            .collect(),
        template_code: request.value(names.template).map(str::to_owned),
        sign_name: request.value(names.sign).map(str::to_owned),
        params: templated.then(|| by_place(&content::variables(content))),
        ..Held::default()
    }
}

fn wrong(detail: impl Into<String>) -> Refusal {
    Refusal::with(codes::BAD_PARAMETER, detail)
}

pub(super) fn judge(arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
    let request = Request::read(arrival).ok_or(codes::BAD_PARAMETER)?;
    if let Some(name) = request.stranger() {
        return Err(wrong(format!("{name} is not known")));
    }
    match request.method {
        Method::Report => report(&request).map(|most| Action::Fetch { most }),
        Method::Inbound => Ok(Action::FetchInbound { most: MAX_INBOUND }),
        _ => send(&request, account).map(Action::Submit),
    }
}

/// How many receipts are wanted: up to 20, and 10 unless told, of the old API; 10 to 200 of the new one.
fn report(request: &Request) -> Result<usize, Refusal> {
    let (given, range) = if request.is_old() {
        let given = request.value(request.names.count);
        (given.unwrap_or("10"), 1..=20)
    } else {
        (request.required(request.names.count)?, 10..=200)
    };
    let count = given.parse().ok().filter(|count| range.contains(count));
    count.ok_or_else(|| wrong(format!("{} is out of range", request.names.count)))
}

fn send(request: &Request, account: &Account) -> Result<Submit, Refusal> {
    let names = request.names;
    let sign = request.required(names.sign)?;
    if let Some(at) = request.value("SendTime")
        && at.parse::<u64>().is_err()
    {
        return Err(wrong("SendTime is not in seconds"));
    }
    if !account.sign_names.iter().any(|known| known == sign) {
        return Err(codes::SIGNATURE.into());
    }
    let mut wanted = match request.method {
        Method::Template => templated(request, account, sign)?,
        Method::Each => each(request, account, sign)?,
        _ => alike(request, account, sign)?,
    };
    let most = account.setting("max_numbers");
    let most = most.and_then(|text| text.parse().ok());
    if wanted.len() > most.unwrap_or(MAX_NUMBERS).min(MAX_NUMBERS) {
        return Err(codes::TOO_MANY_NUMBERS.into());
    }
    for wanted in &mut wanted {
        wanted.sign_name = Some(sign.to_owned());
    }
    Ok(Submit {
        echo: None,
        callback: None,
        wanted,
    })
}

/// A number that is none is counted, and the others go on.
fn to(read: Option<Number>, text: &str) -> Wanted {
    let refused = read.is_none().then_some(codes::INVALID);
    Wanted {
        refused,
        ..Wanted::to(read.unwrap_or_else(|| Number::unread(text)))
    }
}

fn templated(request: &Request, account: &Account, sign: &str) -> Result<Vec<Wanted>, Refusal> {
    let names = request.names;
    let code = match request.value(names.template) {
        None if request.is_old() => return Err(codes::NO_TEMPLATE_ID.into()),
        given => given.ok_or_else(|| request.empty(names.template))?,
    };
    let mobile = request.required(names.mobile)?;
    let template = account.templates.get(code).ok_or(codes::TEMPLATE)?;
    let values = if template.variables.is_empty() {
        content::variables(request.value(names.content).unwrap_or_default())
    } else {
        content::variables(request.required(names.content)?)
    };
    if values.len() != template.variables.len() {
        return Err(wrong("变量数量与模板不一致"));
    }
    let parts = parts(template, signature(account, sign), &values);
    let wanted = mobile.split(',').map(|text| Wanted {
        template_code: Some(code.to_owned()),
        params: Some(by_place(&values)),
        parts,
        ..to(Number::bare_mainland(text), text)
    });
    Ok(wanted.collect())
}

/// One text for all, here or abroad.
fn alike(request: &Request, account: &Account, sign: &str) -> Result<Vec<Wanted>, Refusal> {
    let names = request.names;
    let content = request.required(names.content)?;
    let mobile = request.required(names.mobile)?;
    let abroad = match request.method {
        Method::Abroad => Some(request.required("CountryCode")?),
        _ => None,
    };
    let parts = match abroad {
        Some(_) => crate::wire::parts(content),
        None => text_parts(content, signature(account, sign)),
    };
    let wanted = mobile.split(',').map(|text| {
        let read = match abroad {
            Some(country) => Number::international(&format!("{country}{text}"), ""),
            None => Number::bare_mainland(text),
        };
        Wanted {
            parts,
            ..to(read, text)
        }
    });
    Ok(wanted.collect())
}

/// A text for each.
fn each(request: &Request, account: &Account, sign: &str) -> Result<Vec<Wanted>, Refusal> {
    let records = content::records(request.required(request.names.content)?);
    let records = records.ok_or_else(|| wrong("Content is not of the documented form"))?;
    let wanted = records.into_iter().map(|(mobile, text)| Wanted {
        parts: text_parts(text, signature(account, sign)),
        ..to(Number::bare_mainland(mobile), mobile)
    });
    Ok(wanted.collect())
}
