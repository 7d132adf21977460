//! Forms in, JSON out, callbacks.
//!
//! Source: fact sheet, "Send", "Receipts". Stricter than the vendor in one point, on purpose: an unknown parameter is
//! refused, so that a misspelt optional one is noticed.

use serde_json::json;

use super::{codes, sign};
use crate::account::Account;
use crate::number::{self, Number};
use crate::receipts::Item;
use crate::vendor::{Answer, Arrival, Held, Mo, Outgoing, Refusal, Submit, Wanted};
use crate::wire::{form, value};

const LONGEST: usize = 1_600;
const KNOWN: &[&str] = &[
    "To",
    "From",
    "MessagingServiceSid",
    "Body",
    "StatusCallback",
    "ValidityPeriod",
    "SmartEncoded",
    "MaxPrice",
];

/// `/2010-04-01/Accounts/{sid}/Messages.json`.
pub(super) fn account_of(path: &str) -> Option<&str> {
    path.strip_prefix("/2010-04-01/Accounts/")?
        .strip_suffix("/Messages.json")
}

/// What the callback carries of the caller's, in its query.
fn echo(callback: &str) -> Option<String> {
    let (_, query) = callback.split_once('?')?;
    let pairs = crate::wire::pairs(query)?;
    value(&pairs, "mid").map(str::to_owned)
}

pub(super) fn held(arrival: &Arrival<'_>) -> Held {
    let given = form(arrival.body);
    Held {
        recipients: value(&given, "To")
            .map(number::journalled)
            .into_iter()
            .collect(),
        echo: value(&given, "StatusCallback").and_then(echo),
        sign_name: value(&given, "From").map(str::to_owned),
        ..Held::default()
    }
}

pub(super) fn judge(arrival: &Arrival<'_>, account: &Account) -> Result<Submit, Refusal> {
    let given = form(arrival.body);
    let stranger = given
        .iter()
        .find(|(name, _)| !KNOWN.contains(&name.as_str()));
    if let Some((name, _)) = stranger {
        let detail = format!("{name} is not known");
        return Err(Refusal::with(codes::BODY_REQUIRED, detail));
    }
    let to = value(&given, "To").and_then(|text| Number::international(text, "+"));
    let to = to.ok_or(codes::INVALID_TO)?;
    let (from, service) = (value(&given, "From"), value(&given, "MessagingServiceSid"));
    match (from, service) {
        (Some(from), None) if account.sign_names.iter().any(|own| own == from) => {}
        (None, Some(sid)) if account.setting("messaging_service_sid") == Some(sid) => {}
        (None, Some(_)) => return Err(codes::SERVICE_NOT_OWNED.into()),
        _ => return Err(codes::FROM_NOT_OWNED.into()),
    }
    let body = value(&given, "Body").ok_or(codes::BODY_REQUIRED)?;
    let characters = body.chars().count();
    if characters > LONGEST {
        return Err(codes::BODY_TOO_LONG.into());
    }
    let callback = value(&given, "StatusCallback");
    let wanted = Wanted {
        sign_name: from.map(str::to_owned),
        parts: crate::wire::parts(body),
        ..Wanted::to(to)
    };
    Ok(Submit {
        echo: callback.and_then(echo).map(Into::into),
        callback: callback.map(Into::into),
        wanted: vec![wanted],
    })
}

pub(super) fn taken(account: &Account, submit: &Submit, ids: &[String]) -> Answer {
    let parts = submit.wanted.first().map_or(1, |wanted| wanted.parts);
    let body = json!({
        "sid": ids.first(),
        "account_sid": account.access_key_id,
        "status": "queued",
        "num_segments": parts.to_string(),
        "error_code": null,
        "error_message": null,
    });
    Answer::json(201, body.to_string())
}

pub(super) fn failure(refusal: &Refusal) -> Answer {
    let code: u32 = refusal.code.code.parse().unwrap_or_default();
    let body = json!({
        "code": code,
        "message": refusal.message(),
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": refusal.code.status,
    });
    Answer::json(refusal.code.status, body.to_string())
}

/// A form that the account's token signs, over the URL that is called.
fn signed(account: &Account, url: &str, form: Vec<(String, String)>) -> Outgoing {
    let token = account.secrets.first().map_or("", |secret| secret.expose());
    let signature = sign::signature(token, &sign::string_to_sign(url, &form));
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let mut outgoing = Outgoing::post(url, "application/x-www-form-urlencoded", body);
    outgoing.headers.push(("x-twilio-signature", signature));
    outgoing
}

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

pub(super) fn status(account: &Account, url: &str, items: &[Item]) -> Outgoing {
    let mut form = vec![
        pair("AccountSid", &*account.access_key_id),
        pair("ApiVersion", "2010-04-01"),
        pair(
            "From",
            account.sign_names.first().map_or("", String::as_str),
        ),
    ];
    for item in items {
        form.extend([
            pair("MessageSid", &*item.id),
            pair("SmsSid", &*item.id),
            pair("MessageStatus", item.code.state),
            pair("SmsStatus", item.code.state),
            pair("To", &*item.number.e164),
        ]);
        if !item.code.code.is_empty() {
            form.push(pair("ErrorCode", item.code.code));
        }
    }
    signed(account, url, form)
}

pub(super) fn inbound(account: &Account, url: &str, mo: &Mo) -> Outgoing {
    let id = format!("SM{:032x}", mo.id);
    let form = vec![
        pair("MessageSid", &*id),
        pair("SmsSid", &*id),
        pair("SmsStatus", "received"),
        pair("AccountSid", &*account.access_key_id),
        pair("From", &*mo.from),
        pair("To", &*mo.to),
        pair("Body", &*mo.text),
        pair("NumMedia", "0"),
    ];
    signed(account, url, form)
}
