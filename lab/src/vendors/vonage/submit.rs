//! Parameters in, JSON out, and the rules of a message.
//!
//! Source: fact sheet, "Send", "Errors". The longest text is UNCONFIRMED. Stricter than the vendor in three points, on purpose:
//! an unknown parameter is refused (3), so that a misspelt optional one is noticed; so is a text without
//! `type=unicode` that is not of the GSM alphabet (6), which the vendor would spoil; and a sender that is not of the
//! account (15).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Uri;
use serde_json::{Value, json};

use super::codes;
use crate::account::Account;
use crate::codes::Code;
use crate::number::{self, Number};
use crate::vendor::{Answer, Arrival, Held, Refusal, Submit, Wanted};
use crate::wire::{form, gsm_parts, utf16_parts, value};

const LONGEST: usize = 3_200;
const LONGEST_REF: usize = 100;
const LONGEST_CALLBACK: usize = 100;
const LONGEST_SENDER: usize = 11;
const LONGEST_NUMBER: usize = 15;
/// Octets of a binary message and its header.
const OCTETS: usize = 140;
const TTL: std::ops::RangeInclusive<u64> = 20_000..=604_800_000;
const KNOWN: &[&str] = &[
    "api_key",
    "api_secret",
    "timestamp",
    "sig",
    "from",
    "to",
    "text",
    "type",
    "client-ref",
    "callback",
    "ttl",
    "status-report-req",
    "message-class",
    "body",
    "udh",
    "protocol-id",
    "account-ref",
    "entity-id",
    "content-id",
    "trusted-number",
];

/// Of a form or of a JSON object of plain values; `None` if it is neither.
pub(super) fn parameters(arrival: &Arrival<'_>) -> Option<Vec<(String, String)>> {
    let kind = arrival.header("content-type").unwrap_or_default();
    if !kind
        .to_ascii_lowercase()
        .trim_start()
        .starts_with("application/json")
    {
        return Some(form(arrival.body));
    }
    let object: serde_json::Map<String, Value> = serde_json::from_slice(arrival.body).ok()?;
    let plain = object.into_iter().map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Number(number) => Some((name, number.to_string())),
        Value::Bool(bool) => Some((name, bool.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    });
    plain.collect()
}

/// Free text is journalled under its parameter's name.
fn text_of(text: Option<&str>) -> Option<BTreeMap<String, String>> {
    text.map(|text| BTreeMap::from([("text".to_owned(), text.to_owned())]))
}

pub(super) fn held(arrival: &Arrival<'_>) -> Held {
    let given = parameters(arrival).unwrap_or_default();
    let of = |name: &str| value(&given, name).map(str::to_owned);
    Held {
        recipients: value(&given, "to")
            .map(number::journalled)
            .into_iter()
            .collect(),
        echo: of("client-ref"),
        sign_name: of("from"),
        params: text_of(value(&given, "text")),
        ..Held::default()
    }
}

fn invalid(name: &str) -> Refusal {
    Refusal::with(codes::INVALID, format!("Invalid parameter: {name}"))
}

pub(super) fn judge(arrival: &Arrival<'_>, account: &Account) -> Result<Submit, Refusal> {
    let given = parameters(arrival).ok_or(codes::INVALID_MESSAGE)?;
    let mut names = given.iter().map(|(name, _)| name.as_str());
    if let Some(name) = names.find(|name| !KNOWN.contains(name)) {
        return Err(invalid(name));
    }
    let of = |name: &str| value(&given, name);
    let required = |name: &str| {
        let detail = || Refusal::with(codes::MISSING, format!("Missing parameter: {name}"));
        of(name).ok_or_else(detail)
    };
    let (from, to) = (required("from")?, required("to")?);
    let to = Number::international(to, "").ok_or_else(|| invalid("to"))?;
    if !is_sender(from) {
        return Err(invalid("from"));
    }
    optional(&of)?;
    let parts = match of("type").unwrap_or("text") {
        "text" => {
            let text = bounded(required("text")?)?;
            let detail = "The text wants type=unicode";
            gsm_parts(text).ok_or_else(|| Refusal::with(codes::INVALID_MESSAGE, detail))?
        }
        "unicode" => utf16_parts(bounded(required("text")?)?),
        "binary" => {
            let (body, header) = (required("body")?, required("udh")?);
            if !is_hex(body) || !is_hex(header) {
                return Err(invalid("body"));
            }
            if (body.len() + header.len()) / 2 > OCTETS {
                return Err(codes::TOO_LONG.into());
            }
            1
        }
        _ => return Err(invalid("type")),
    };
    if !account.sign_names.iter().any(|own| own == from) {
        return Err(codes::SENDER.into());
    }
    let wanted = Wanted {
        sign_name: Some(from.to_owned()),
        params: text_of(of("text")),
        notes: Arc::from([("from", from.to_owned())]),
        parts,
        ..Wanted::to(to)
    };
    Ok(Submit {
        echo: of("client-ref").map(Arc::from),
        callback: of("callback").map(Arc::from),
        wanted: vec![wanted],
    })
}

/// A number without a plus, or letters and digits.
fn is_sender(text: &str) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = text.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ');
    is_number && text.len() <= LONGEST_NUMBER || is_name && text.len() <= LONGEST_SENDER
}

fn is_hex(text: &str) -> bool {
    text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn bounded(text: &str) -> Result<&str, &'static Code> {
    let fits = text.chars().count() <= LONGEST;
    fits.then_some(text).ok_or(codes::TOO_LONG)
}

fn optional<'a>(of: &impl Fn(&str) -> Option<&'a str>) -> Result<(), Refusal> {
    if of("client-ref").is_some_and(|text| text.chars().count() > LONGEST_REF) {
        return Err(invalid("client-ref"));
    }
    let is_url = |text: &str| {
        text.len() <= LONGEST_CALLBACK
            && text.parse::<Uri>().is_ok_and(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
            })
    };
    if !of("callback").is_none_or(is_url) {
        return Err(codes::CALLBACK.into());
    }
    let is_ttl = |text: &str| text.parse().is_ok_and(|ttl: u64| TTL.contains(&ttl));
    let is_flag = |text: &str| matches!(text, "0" | "1" | "true" | "false");
    let is_class = |text: &str| matches!(text, "0" | "1" | "2" | "3");
    for (name, fits) in [
        ("ttl", of("ttl").is_none_or(is_ttl)),
        (
            "status-report-req",
            of("status-report-req").is_none_or(is_flag),
        ),
        ("trusted-number", of("trusted-number").is_none_or(is_flag)),
        ("message-class", of("message-class").is_none_or(is_class)),
        ("protocol-id", of("protocol-id").is_none_or(is_hex)),
    ] {
        if !fits {
            return Err(invalid(name));
        }
    }
    Ok(())
}

pub(super) fn message_id(number: u64) -> String {
    format!("{number:016X}")
}

/// Each part has an id of its own, counted on from the first one's. What a forger made up counts as well.
pub(super) fn part_id(id: &str, part: usize) -> String {
    let first = u128::from_str_radix(id, 16).unwrap_or_default();
    let after = u128::try_from(part.saturating_sub(1)).unwrap_or_default();
    format!("{:016X}", first + after)
}

pub(super) fn network(number: &Number) -> &'static str {
    // The mainland's first one. Others are not known here.
    if number.e164.starts_with("+86") {
        "46000"
    } else {
        "00000"
    }
}

fn answer(messages: &[Value]) -> Answer {
    let body = json!({
        "message-count": messages.len().to_string(),
        "messages": messages,
    });
    Answer::json(200, body.to_string())
}

/// An element for each part.
pub(super) fn taken(submit: &Submit, ids: &[String]) -> Answer {
    let of_each = submit.wanted.iter().zip(ids);
    let messages = of_each.flat_map(|(wanted, id)| {
        (1..=wanted.parts).map(|part| {
            let mut message = json!({
                "to": wanted.number.written,
                "message-id": part_id(id, part),
                "status": "0",
                "remaining-balance": "3.14",
                "message-price": "0.03000000",
                "network": network(&wanted.number),
            });
            if let Some(echo) = &submit.echo {
                message["client-ref"] = json!(**echo);
            }
            message
        })
    });
    answer(&messages.collect::<Vec<_>>())
}

pub(super) fn failure(arrival: &Arrival<'_>, refusal: &Refusal) -> Answer {
    let given = parameters(arrival).unwrap_or_default();
    answer(&[json!({
        "to": value(&given, "to").unwrap_or_default(),
        "status": refusal.code.code,
        "error-text": refusal.message(),
    })])
}
