//! Answers, receipts and messages from handsets.
//!
//! Source: fact sheet, "Response", "Receipts". That a refused number has a `smsMsgId` as well is UNCONFIRMED there.

use axum::http::Uri;
use serde_json::{Value, json};
use uuid::Uuid;

use super::submit::Given;
use super::{codes, sign};
use crate::account::Account;
use crate::clock::{self, Stamp};
use crate::receipts::Item;
use crate::vendor::{Answer, Arrival, Mo, Outgoing, Refusal, Submit};
use crate::wire::{canonical_query, pairs, utc_time};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json;charset=utf-8";
/// Digits behind the UUID; an id has at most 50 characters.
const DIGITS: u64 = 10_000_000;

fn has_type(arrival: &Arrival<'_>, wanted: &str) -> bool {
    let given = arrival.header("content-type").unwrap_or_default();
    let (kind, _) = given.split_once(';').unwrap_or((given, ""));
    kind.trim().eq_ignore_ascii_case(wanted)
}

pub(super) fn is_form(arrival: &Arrival<'_>) -> bool {
    has_type(arrival, FORM)
}

pub(super) fn is_json(arrival: &Arrival<'_>) -> bool {
    has_type(arrival, "application/json")
}

/// `d6e3cdd0-522b-4692-8304-a07553cdf591_8539659`.
pub(super) fn message_id(number: u64) -> String {
    format!("{}_{}", Uuid::new_v4(), number % DIGITS)
}

fn answer(status: u16, code: &str, description: &str, results: Vec<Value>) -> Answer {
    let mut body = json!({ "code": code, "description": description });
    if !results.is_empty() {
        body["result"] = json!(results);
    }
    Answer::json(status, body.to_string())
}

fn result(to: &str, from: &str, id: &str, status: &str, parts: usize) -> Value {
    let home = to.starts_with("+86") || !to.starts_with('+');
    json!({
        "originTo": to,
        "createTime": utc_time(clock::now().at_ms),
        "from": from,
        "smsMsgId": if id.is_empty() { message_id(0) } else { id.to_owned() },
        "status": status,
        "countryId": if home { "CN" } else { "" },
        "total": parts,
    })
}

pub(super) fn taken(submit: &Submit, ids: &[String]) -> Answer {
    let results = submit.wanted.iter().zip(ids).map(|(wanted, id)| {
        let from = wanted.notes.first().map_or("", |(_, from)| from.as_str());
        let status = wanted.refused.map_or("000000", |code| code.code);
        result(&wanted.number.written, from, id, status, wanted.parts)
    });
    let results = results.collect();
    if submit.wanted.iter().all(|wanted| wanted.refused.is_none()) {
        return answer(200, "000000", "Success", results);
    }
    let some = codes::SOME_FAILED;
    answer(some.status, some.code, some.message, results)
}

pub(super) fn failure(arrival: &Arrival<'_>, refusal: &Refusal) -> Answer {
    let code = refusal.code;
    if !code.code.starts_with("E2") {
        return answer(code.status, code.code, refusal.message(), Vec::new());
    }
    let given = Given::read(arrival);
    let from = given.from.as_deref().unwrap_or_default();
    let results = given
        .numbers()
        .map(|to| result(to, from, "", code.code, 1))
        .collect();
    let some = codes::SOME_FAILED;
    answer(some.status, some.code, some.message, results)
}

/// Names and values of a report. What the platform made up has no time.
fn report(item: &Item, now: Stamp) -> Vec<(&'static str, String)> {
    let mut report = vec![
        ("smsMsgId", item.id.to_string()),
        ("status", item.code.code.to_owned()),
        ("statusDesc", item.code.message.to_owned()),
        ("total", item.parts.to_string()),
        ("sequence", item.part.to_string()),
        ("source", item.code.state.to_owned()),
    ];
    if item.code.state != "3" {
        report.push(("updateTime", utc_time(now.at_ms)));
    }
    if let Some(echo) = &item.echo {
        report.push(("extend", echo.to_string()));
        report.push(("to", item.number.written.clone()));
    }
    report
}

fn form(fields: &[(&'static str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

pub(super) fn push(account: &Account, url: &str, items: &[Item], now: Stamp) -> Outgoing {
    let outgoing = match items {
        [one] if one.called_back => Outgoing::post(url, FORM, form(&report(one, now))),
        items => {
            let list: Vec<Value> = items
                .iter()
                .map(|item| {
                    let fields = report(item, now).into_iter();
                    let fields = fields.map(|(name, value)| (name.to_owned(), json!(value)));
                    Value::Object(fields.collect())
                })
                .collect();
            let body = json!({ "statusReportList": list });
            Outgoing::post(url, JSON, body.to_string())
        }
    };
    signed(account, outgoing, now)
}

pub(super) fn inbound(account: &Account, url: &str, mo: &Mo) -> Outgoing {
    let fields = [
        ("smsMsgId", message_id(mo.id)),
        ("from", mo.from.clone()),
        ("to", mo.to.clone()),
        ("body", mo.text.clone()),
        ("createTime", utc_time(mo.at_ms)),
    ];
    let outgoing = Outgoing::post(url, FORM, form(&fields));
    signed(account, outgoing, clock::now())
}

/// As the API is signed, with the account's own key and secret, where the account has that on.
fn signed(account: &Account, mut outgoing: Outgoing, now: Stamp) -> Outgoing {
    let (true, Ok(uri)) = (
        account.setting("push_auth") == Some("true"),
        outgoing.url.parse::<Uri>(),
    ) else {
        return outgoing;
    };
    let date = sign::date(i64::try_from(now.unix_seconds()).unwrap_or_default());
    let mut headers = outgoing.headers.iter();
    let kind = headers.find(|(name, _)| *name == "content-type");
    let kind = kind.map_or("", |(_, kind)| kind.as_str());
    let hashed = kind != FORM || account.setting("push_payload") == Some("hashed");
    let claimed = (!hashed).then_some(sign::UNSIGNED);
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let mut headers = vec![("content-type", kind), ("host", host)];
    headers.extend(claimed.map(|claimed| ("x-sdk-content-sha256", claimed)));
    headers.push(("x-sdk-date", &date));
    let query = pairs(uri.query().unwrap_or_default()).unwrap_or_default();
    let query = canonical_query(query.iter().map(|(name, value)| (&**name, &**value)));
    let line = sign::payload_line(claimed, &outgoing.body);
    let canonical = sign::canonical_request("POST", uri.path(), &query, &headers, &line);
    let secret = account.secrets.first().map_or("", |secret| secret.expose());
    let signature = sign::signature(secret, &sign::string_to_sign(&date, &canonical));
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let authorization = format!(
        "{} Access={}, SignedHeaders={}, Signature={signature}",
        sign::ALGORITHM,
        account.access_key_id,
        names.join(";"),
    );
    let host = host.to_owned();
    outgoing.headers.extend([
        ("host", host),
        ("x-sdk-date", date),
        ("authorization", authorization),
    ]);
    let claimed = claimed.map(|claimed| ("x-sdk-content-sha256", claimed.to_owned()));
    outgoing.headers.extend(claimed);
    outgoing
}
