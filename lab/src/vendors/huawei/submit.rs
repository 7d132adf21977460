//! Both calls and their rules. Pure.
//!
//! Source: fact sheet, "batchSendSms fields", "batchSendDiffSms". The most groups of a diff call are UNCONFIRMED: here all its
//! numbers count against the 500. Stricter than the vendor in one point, on purpose: an unknown field is refused
//! (E000503), so that a misspelt optional one is noticed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::http::Uri;
use serde::Deserialize;
use serde_json::Value;

use super::{codes, wire};
use crate::account::Account;
use crate::number::{self, Number};
use crate::vendor::{Arrival, Held, Refusal, Submit, Wanted};
use crate::wire::{form, mainland_parts, value};

const MAX_NUMBERS: usize = 500;
const LONGEST_NUMBER: usize = 21;
const LONGEST_TEMPLATE: usize = 32;
const LONGEST_EXTEND: usize = 128;
const LONGEST_DIFF: usize = 64 * 1024;
const SEND: &[&str] = &[
    "from",
    "to",
    "templateId",
    "templateParas",
    "statusCallback",
    "extend",
    "signature",
];
const DIFF: &[&str] = &["from", "statusCallback", "extend", "smsContent"];
const GROUP: &[&str] = &["to", "templateId", "templateParas", "signature"];

/// A call of either form. Without judgement: what is of the wrong shape is empty.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) from: Option<String>,
    callback: Option<String>,
    extend: Option<String>,
    groups: Vec<Group>,
    /// What cannot be so, or a field that is not known.
    wrong: Option<String>,
}

#[derive(Debug, Default)]
struct Group {
    to: Vec<String>,
    template: Option<String>,
    params: Vec<String>,
    sign: Option<String>,
}

impl Given {
    pub(super) fn read(arrival: &Arrival<'_>) -> Self {
        if arrival.path() == super::SEND_DIFF {
            Self::of_json(arrival.body)
        } else {
            Self::of_form(arrival.body)
        }
    }

    /// As they were sent.
    pub(super) fn numbers(&self) -> impl Iterator<Item = &str> {
        let all = self.groups.iter().flat_map(|group| &group.to);
        all.map(String::as_str)
    }

    fn of_form(body: &[u8]) -> Self {
        let given = form(body);
        let of = |name: &str| value(&given, name).map(str::to_owned);
        let mut names = given.iter().map(|(name, _)| name.as_str());
        let params = of("templateParas").map(|text| serde_json::from_str::<Vec<String>>(&text));
        let mut wrong = names
            .find(|name| !SEND.contains(name))
            .map(|name| format!("{name} is not known"));
        if let Some(Err(_)) = params {
            wrong = Some("templateParas is not an array of strings".to_owned());
        }
        let to = of("to").unwrap_or_default();
        Self {
            from: of("from"),
            callback: of("statusCallback"),
            extend: of("extend"),
            wrong,
            groups: vec![Group {
                to: to.split(',').map(str::to_owned).collect(),
                template: of("templateId"),
                params: params.and_then(Result::ok).unwrap_or_default(),
                sign: of("signature"),
            }],
        }
    }

    fn of_json(body: &[u8]) -> Self {
        let mut given = Self::default();
        let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
            given.wrong = Some("the body is not a JSON object".to_owned());
            return given;
        };
        let object = Value::Object(object);
        given.wrong = stranger(&object, DIFF);
        given.from = given.text(&object, "from");
        given.callback = given.text(&object, "statusCallback");
        given.extend = given.text(&object, "extend");
        let Some(Value::Array(groups)) = object.get("smsContent") else {
            given.wrong = Some("smsContent is not an array".to_owned());
            return given;
        };
        for group in groups {
            given.wrong = given.wrong.or_else(|| stranger(group, GROUP));
            let group = Group {
                to: given.texts(group, "to"),
                template: given.text(group, "templateId"),
                params: given.texts(group, "templateParas"),
                sign: given.text(group, "signature"),
            };
            given.groups.push(group);
        }
        given
    }

    fn text(&mut self, object: &Value, name: &str) -> Option<String> {
        match object.get(name)? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            _ => {
                self.wrong = Some(format!("{name} is not a string"));
                None
            }
        }
    }

    fn texts(&mut self, object: &Value, name: &str) -> Vec<String> {
        let Some(value) = object.get(name) else {
            return Vec::new();
        };
        Vec::<String>::deserialize(value).unwrap_or_else(|_| {
            self.wrong = Some(format!("{name} is not an array of strings"));
            Vec::new()
        })
    }
}

fn stranger(object: &Value, known: &[&str]) -> Option<String> {
    let names = object.as_object()?.keys();
    let mut unknown = names.filter(|name| !known.contains(&name.as_str()));
    unknown.next().map(|name| format!("{name} is not known"))
}

/// Variables have no names here: they are journalled under their places, from 1.
fn by_place(values: &[String]) -> BTreeMap<String, String> {
    let numbered = values.iter().enumerate();
    numbered
        .map(|(index, value)| ((index + 1).to_string(), value.clone()))
        .collect()
}

pub(super) fn held(arrival: &Arrival<'_>) -> Held {
    let given = Given::read(arrival);
    let first = given.groups.first();
    Held {
        recipients: given.numbers().map(number::journalled).collect(),
        echo: given.extend.clone(),
        template_code: first.and_then(|group| group.template.clone()),
        sign_name: first.and_then(|group| group.sign.clone()),
        params: first.map(|group| by_place(&group.params)),
    }
}

fn wrong(detail: impl Into<String>) -> Refusal {
    Refusal::with(codes::PARAMETER_FORMAT, detail)
}

pub(super) fn judge(arrival: &Arrival<'_>, account: &Account) -> Result<Submit, Refusal> {
    let is_diff = arrival.path() == super::SEND_DIFF;
    if wire::is_form(arrival) == is_diff || is_diff && !wire::is_json(arrival) {
        let detail = "The header Content-Type does not fit the call.";
        return Err(Refusal::with(codes::HEADERS, detail));
    }
    if is_diff && arrival.body.len() > LONGEST_DIFF {
        return Err(wrong("the content is longer than 64 KB"));
    }
    let given = Given::read(arrival);
    if let Some(detail) = given.wrong {
        return Err(wrong(detail));
    }
    let from = given
        .from
        .as_deref()
        .ok_or_else(|| wrong("from is missing"))?;
    let count = given.numbers().count();
    if count == 0 || count > MAX_NUMBERS {
        return Err(wrong("to has 1 to 500 numbers"));
    }
    let readable = |text: &str| {
        (1..=LONGEST_NUMBER).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'+')
    };
    if !given.numbers().all(readable) {
        return Err(wrong("to holds what is not a number"));
    }
    if given
        .extend
        .as_ref()
        .is_some_and(|text| text.len() > LONGEST_EXTEND)
    {
        return Err(wrong("extend is longer than 128 bytes"));
    }
    if !given.callback.as_deref().is_none_or(is_url) {
        return Err(wrong("statusCallback is not a URL"));
    }
    let channels = account.setting("from");
    if channels.is_some_and(|channels| channels.split(',').all(|own| own != from)) {
        return Err(codes::CHANNEL_MISMATCH.into());
    }
    let mut seen = HashSet::new();
    let mut wanted = Vec::with_capacity(count);
    for group in &given.groups {
        let message = message(group, account)?;
        let notes = Arc::from([("from", from.to_owned())]);
        wanted.extend(group.to.iter().map(|text| Wanted {
            notes: Arc::clone(&notes),
            ..to(text, &message, &mut seen)
        }));
    }
    Ok(Submit {
        echo: given.extend.map(Arc::from),
        callback: given.callback.map(Arc::from),
        wanted,
    })
}

fn is_url(text: &str) -> bool {
    text.parse::<Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
}

/// What all numbers of a group get.
struct Message<'a> {
    template: &'a str,
    sign: Option<&'a str>,
    params: &'a [String],
    /// Parts on the mainland, and abroad.
    parts: (usize, usize),
}

fn message<'a>(group: &'a Group, account: &Account) -> Result<Message<'a>, Refusal> {
    let code = group.template.as_deref();
    let code = code.ok_or_else(|| wrong("templateId is missing"))?;
    if code.len() > LONGEST_TEMPLATE {
        return Err(wrong("templateId is longer than 32"));
    }
    let template = account.templates.get(code);
    let template = template.ok_or(codes::TEMPLATE_INACTIVE)?;
    if group.params.len() != template.variables.len() {
        return Err(codes::VARIABLE_CHECK.into());
    }
    let sign = group.sign.as_deref();
    if sign.is_some_and(|sign| !account.sign_names.iter().any(|own| own == sign)) {
        return Err(codes::SIGNATURE_MISMATCH.into());
    }
    let generic = account.setting("generic_templates").unwrap_or_default();
    if sign.is_none() && generic.split(',').any(|known| known == code) {
        return Err(wrong("the template is a generic one and wants a signature"));
    }
    // Without one in the call, the channel's own.
    let own = sign.or_else(|| account.sign_names.first().map(String::as_str));
    let parts = template.body.as_ref().map_or((1, 1), |body| {
        let text = rendered(body, &group.params);
        let signed = own.map_or(0, |sign| sign.chars().count() + 2);
        let mainland = mainland_parts(text.chars().count() + signed);
        (mainland, crate::wire::parts(&text))
    });
    Ok(Message {
        template: code,
        sign,
        params: &group.params,
        parts,
    })
}

/// The template's places are `${1}`, `${2}`, …
fn rendered(body: &str, params: &[String]) -> String {
    let numbered = params.iter().enumerate();
    numbered.fold(body.to_owned(), |text, (index, value)| {
        text.replace(&format!("${{{}}}", index + 1), value)
    })
}

fn to(text: &str, message: &Message<'_>, seen: &mut HashSet<String>) -> Wanted {
    let read = Number::mainland(text).or_else(|| Number::international(text, "+"));
    let refused = match &read {
        None => Some(codes::PARAMETER_FORMAT),
        Some(number) => {
            let again = !seen.insert(number.e164.clone());
            again.then_some(codes::DUPLICATE_NUMBER)
        }
    };
    // Answers and reports have it as it was sent.
    let number = Number {
        written: text.to_owned(),
        e164: read.map_or_else(|| text.to_owned(), |number| number.e164),
    };
    let (mainland, abroad) = message.parts;
    let at_home = number.e164.starts_with("+86");
    Wanted {
        template_code: Some(message.template.to_owned()),
        sign_name: message.sign.map(str::to_owned),
        params: Some(by_place(message.params)),
        parts: if at_home { mainland } else { abroad },
        refused,
        ..Wanted::to(number)
    }
}
