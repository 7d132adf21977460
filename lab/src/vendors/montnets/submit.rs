//! What each call wants, and the rules. Pure.
//!
//! Source: fact sheet, "Endpoints", "Send fields", "Errors". The sheet has no code for a wrong exno or retsize: -100098. An
//! illegal number among others is taken and reported. Stricter than the vendor in three points, on purpose: an unknown
//! field is refused (-100098), so that a misspelt optional one is noticed; so is the content of a form that is
//! percent-encoded twice, or not of its charset (-100091); and 1000 characters are for a content that has its
//! signature, 990 for others.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::given::Given;
use super::text::{Charset, unpercent};
use super::{Call, call, codes};
use crate::account::{Account, Template};
use crate::number::{self, Number};
use crate::vendor::{Action, Arrival, Held, Refusal, Submit, Wanted};
use crate::wire::mainland_parts;

const MAX_BATCH: usize = 1000;
const MAX_MULTI: usize = 500;
const LONGEST: usize = 1000;
const FOR_SIGNATURE: usize = 10;
const LONGEST_ECHO: usize = 64;
const LONGEST_SERVICE: usize = 32;
const LONGEST_EXNO: usize = 6;
const MAX_REPORTS: usize = 500;
const MAX_INBOUND: usize = 200;
const AUTH: &[&str] = &["apikey", "userid", "pwd", "timestamp"];
const SEND: &[&str] = &["mobile", "content", "exno", "svrtype", "custid", "exdata"];

fn known(given: &Given, names: &[&str], more: &[&str]) -> Result<(), Refusal> {
    let stranger = given.fields.iter().find(|(name, _)| {
        let name = name.as_str();
        !names.contains(&name) && !more.contains(&name)
    });
    match stranger {
        Some((name, _)) => Err(wrong(format!("{name} is not known"))),
        None => Ok(()),
    }
}

fn wrong(detail: impl Into<String>) -> Refusal {
    Refusal::with(codes::FIELD, detail)
}

fn entries(given: &Given) -> Option<Vec<Given>> {
    let list: Vec<serde_json::Map<String, Value>> =
        serde_json::from_slice(given.bytes("multimt")?).ok()?;
    Some(list.iter().map(Given::of_object).collect())
}

pub(super) fn held(arrival: &Arrival<'_>) -> Held {
    let Ok(given) = Given::read(arrival) else {
        return Held::default();
    };
    let entries = entries(&given).unwrap_or_default();
    let of = |name: &str| given.text(name);
    let all = std::iter::once(&given).chain(&entries);
    let mobiles = all.filter_map(|given| given.text("mobile"));
    let recipients = mobiles.flat_map(|text| {
        let each = text.split(',').map(number::journalled);
        each.collect::<Vec<_>>()
    });
    Held {
        recipients: recipients.collect(),
        echo: of("custid"),
        template_code: of("tmplid"),
        ..Held::default()
    }
}

pub(super) fn judge(arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
    let given = Given::read(arrival)?;
    let (call, old) = call(arrival.path()).ok_or(codes::NO_PERMISSION)?;
    let named = account.setting("charset").and_then(Charset::find);
    let charset = named.unwrap_or(if old { Charset::Gbk } else { Charset::Utf8 });
    match call {
        Call::Reports => {
            let most = most(&given, MAX_REPORTS)?;
            Ok(Action::Fetch { most })
        }
        Call::Inbound => {
            let most = most(&given, MAX_INBOUND)?;
            Ok(Action::FetchInbound { most })
        }
        Call::Multi => multi(&given, charset, account).map(Action::Submit),
        call => one(&given, call, charset, account).map(Action::Submit),
    }
}

/// More than the limit gives the limit.
fn most(given: &Given, limit: usize) -> Result<usize, Refusal> {
    known(given, AUTH, &["retsize"])?;
    let Some(text) = given.text("retsize") else {
        return Ok(limit);
    };
    let most: usize = text.parse().map_err(|_| wrong("retsize is not a number"))?;
    Ok(if most == 0 { limit } else { most.min(limit) })
}

/// Fields that every message has.
struct Fields {
    custid: Option<String>,
    notes: crate::vendor::Notes,
}

fn fields(given: &Given) -> Result<Fields, Refusal> {
    let echo = |name: &str| {
        let text = given.text(name);
        let fits = text.as_ref().is_none_or(|text| {
            text.len() <= LONGEST_ECHO
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        });
        if fits {
            Ok(text)
        } else {
            Err(Refusal::from(codes::ECHO_INVALID))
        }
    };
    let service = given.text("svrtype").unwrap_or_default();
    let plain = service.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if service.len() > LONGEST_SERVICE || !plain {
        return Err(codes::SERVICE_TYPE.into());
    }
    let exno = given.text("exno").unwrap_or_default();
    if exno.len() > LONGEST_EXNO || !exno.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("exno is not of 6 digits at most"));
    }
    let exdata = echo("exdata")?.unwrap_or_default();
    Ok(Fields {
        custid: echo("custid")?,
        notes: Arc::from([("exno", exno), ("exdata", exdata)]),
    })
}

/// One text, or one for each number, for what `mobile` lists.
fn one(given: &Given, call: Call, charset: Charset, account: &Account) -> Result<Submit, Refusal> {
    let more: &[&str] = if call == Call::Template {
        &["tmplid"]
    } else {
        &[]
    };
    known(given, AUTH, &[SEND, more].concat())?;
    let mobile = given.text("mobile").ok_or(codes::BAD_NUMBER)?;
    let mobiles: Vec<&str> = mobile.split(',').collect();
    let limit = match call {
        Call::Single => 1,
        Call::Mixed => MAX_MULTI,
        _ => MAX_BATCH,
    };
    if mobiles.len() > limit {
        return Err(codes::TOO_MANY_NUMBERS.into());
    }
    let fields = fields(given)?;
    let content = given.bytes("content").ok_or(codes::CONTENT_EMPTY)?;
    let first = match call {
        Call::Template => template(given, content, charset, account)?,
        Call::Mixed => Wanted::to(unread("")),
        _ => message(&text(given, content, charset)?, account)?,
    };
    let mut wanted = Vec::with_capacity(mobiles.len());
    if call == Call::Mixed {
        let contents: Vec<&[u8]> = content.split(|byte| *byte == b',').collect();
        if contents.len() != mobiles.len() {
            return Err(codes::LIST_SIZES.into());
        }
        for content in contents {
            let text = charset.read(&unpercent(content)).ok_or(codes::BODY)?;
            wanted.push(message(&text, account)?);
        }
    } else {
        wanted.resize(mobiles.len(), first);
    }
    for wanted in &mut wanted {
        wanted.notes = Arc::clone(&fields.notes);
    }
    address(&mut wanted, &mobiles)?;
    Ok(Submit {
        echo: Some(custid(fields.custid)),
        callback: None,
        wanted,
    })
}

/// A text for each entry.
fn multi(given: &Given, charset: Charset, account: &Account) -> Result<Submit, Refusal> {
    known(given, AUTH, &["multimt"])?;
    let entries = entries(given).ok_or(codes::BODY)?;
    if entries.is_empty() {
        return Err(codes::BODY.into());
    }
    if entries.len() > MAX_MULTI {
        return Err(codes::TOO_MANY_NUMBERS.into());
    }
    let (mut wanted, mut mobiles) = (Vec::new(), Vec::new());
    for entry in &entries {
        known(entry, SEND, &[])?;
        let fields = fields(entry)?;
        let content = entry.bytes("content").ok_or(codes::CONTENT_EMPTY)?;
        let text = text(entry, content, charset)?;
        mobiles.push(entry.text("mobile").ok_or(codes::BAD_NUMBER)?);
        wanted.push(Wanted {
            echo: Some(custid(fields.custid)),
            notes: fields.notes,
            ..message(&text, account)?
        });
    }
    let mobiles: Vec<&str> = mobiles.iter().map(String::as_str).collect();
    address(&mut wanted, &mobiles)?;
    let first = wanted.first().and_then(|wanted| wanted.echo.clone());
    let common = wanted.iter().all(|wanted| wanted.echo == first);
    if common {
        for wanted in &mut wanted {
            wanted.echo = None;
        }
    }
    Ok(Submit {
        echo: first.filter(|_| common),
        callback: None,
        wanted,
    })
}

/// The vendor's own where the caller has none.
fn custid(given: Option<String>) -> Arc<str> {
    let custid = given.unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
    Arc::from(custid)
}

/// The content of a form is decoded with the form; that of JSON is encoded text.
fn text(given: &Given, content: &[u8], charset: Charset) -> Result<String, Refusal> {
    let decoded = unpercent(content);
    if !given.of_form {
        return charset.read(&decoded).ok_or_else(|| codes::BODY.into());
    }
    let again = charset.read(&decoded);
    if content.is_ascii() && again.is_some_and(|text| !text.is_ascii()) {
        let detail = "content is encoded twice";
        return Err(Refusal::with(codes::BODY, detail));
    }
    charset.read(content).ok_or_else(|| codes::BODY.into())
}

/// Of a text; the number is filled in later.
fn message(text: &str, account: &Account) -> Result<Wanted, Refusal> {
    if text.is_empty() {
        return Err(codes::CONTENT_EMPTY.into());
    }
    let characters = text.chars().count();
    let own = signature(text);
    let limit = if own.is_some() {
        LONGEST
    } else {
        LONGEST - FOR_SIGNATURE
    };
    if characters > limit {
        return Err(codes::TOO_LONG.into());
    }
    let added = match own {
        Some(_) => 0,
        None => added(account),
    };
    let content = ("content".to_owned(), text.to_owned());
    Ok(Wanted {
        sign_name: own.map(str::to_owned),
        params: Some(BTreeMap::from([content])),
        parts: mainland_parts(characters + added),
        ..Wanted::to(unread(""))
    })
}

/// Characters of the signature that the vendor puts before a text without one.
fn added(account: &Account) -> usize {
    let sign = account.sign_names.first();
    sign.map_or(0, |sign| sign.chars().count() + 2)
}

/// What a text has in 【】 at its start or end.
fn signature(text: &str) -> Option<&str> {
    let first = text
        .strip_prefix('【')
        .and_then(|rest| rest.split_once('】'));
    let last = text
        .strip_suffix('】')
        .and_then(|rest| rest.rsplit_once('【'));
    first
        .map(|(sign, _)| sign)
        .or_else(|| last.map(|(_, sign)| sign))
}

/// `P1=…&P2=…`, each value encoded again.
fn template(
    given: &Given,
    content: &[u8],
    charset: Charset,
    account: &Account,
) -> Result<Wanted, Refusal> {
    let code = given.text("tmplid").ok_or(codes::TEMPLATE_MISSING)?;
    let template = account.templates.get(&code);
    let template = template.ok_or(codes::TEMPLATE_MISSING)?;
    let inner = if given.of_form {
        content.to_vec()
    } else {
        unpercent(content)
    };
    let mut params = BTreeMap::new();
    for pair in inner.split(|byte| *byte == b'&') {
        let at = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = pair.split_at(at.unwrap_or(pair.len()));
        let value = charset.read(&unpercent(value.get(1..).unwrap_or_default()));
        let name = String::from_utf8_lossy(name).into_owned();
        params.insert(name, value.ok_or(codes::BODY)?);
    }
    let places = (1..=template.variables.len()).map(|place| format!("P{place}"));
    if params.len() != template.variables.len() || !places.eq(sorted(&params)) {
        return Err(codes::PARAMETER_COUNT.into());
    }
    Ok(Wanted {
        template_code: Some(code),
        parts: parts(template, &params, account),
        params: Some(params),
        ..Wanted::to(unread(""))
    })
}

/// Names in order of their places.
fn sorted(params: &BTreeMap<String, String>) -> Vec<String> {
    let mut names: Vec<String> = params.keys().cloned().collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    names
}

/// The template's places are `#P_1#`, `#P_2#`, … UNCONFIRMED.
fn parts(template: &Template, params: &BTreeMap<String, String>, account: &Account) -> usize {
    let Some(body) = &template.body else { return 1 };
    let text = params.iter().fold(body.clone(), |text, (name, value)| {
        let place = name.trim_start_matches('P');
        text.replace(&format!("#P_{place}#"), value)
    });
    mainland_parts(text.chars().count() + added(account))
}

fn unread(text: &str) -> Number {
    Number {
        written: text.to_owned(),
        e164: text.to_owned(),
    }
}

/// 11 digits of the mainland, or `00`, country code and number. Written as it came.
fn number(text: &str) -> Option<Number> {
    let plain = text.len() == 11 || text.starts_with("00");
    let read = Number::mainland(text).filter(|_| plain);
    let read = read.or_else(|| Number::international(text, "00"))?;
    Some(Number {
        written: text.to_owned(),
        ..read
    })
}

/// Puts the numbers in. One illegal number refuses its call; among others it fails later.
fn address(wanted: &mut [Wanted], mobiles: &[&str]) -> Result<(), Refusal> {
    let numbers: Vec<Option<Number>> = mobiles.iter().map(|text| number(text)).collect();
    if numbers.iter().all(Option::is_none) {
        return Err(codes::BAD_NUMBER.into());
    }
    let abroad = |number: &Number| !number.e164.starts_with("+86");
    let short = mobiles.iter().any(|text| !text.starts_with("00"));
    if short && numbers.iter().flatten().any(abroad) {
        let detail = "numbers abroad and at home go with 00 all of them";
        return Err(Refusal::with(codes::BAD_NUMBER, detail));
    }
    for ((wanted, read), text) in wanted.iter_mut().zip(numbers).zip(mobiles) {
        wanted.ends = read.is_none().then_some(codes::MN_0001);
        wanted.number = read.unwrap_or_else(|| unread(text));
    }
    Ok(())
}
