//! Delivery receipts and messages from handsets.
//!
//! Source: fact sheet, "Delivery receipt webhook", "Message signature"; of messages from handsets, general knowledge.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::sign::{self, Method};
use super::{gate, submit};
use crate::account::Account;
use crate::clock::{self, Stamp};
use crate::receipts::Item;
use crate::vendor::{Mo, Outgoing};

const FORM: &str = "application/x-www-form-urlencoded";
const SCTS: &[BorrowedFormatItem<'_>] =
    format_description!("[year repr:last_two][month][day][hour][minute]");
const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

type Pairs = Vec<(String, String)>;

fn moment(at_ms: u64, form: &[BorrowedFormatItem<'_>]) -> String {
    let seconds = i64::try_from(at_ms / 1_000).unwrap_or_default();
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|moment| moment.format(form).ok())
        .unwrap_or_default()
}

/// With hyphens, or as the account has it: `errCode` for `err-code`.
fn named(account: &Account, name: &str) -> String {
    if account.setting("dlr_names") != Some("camel") {
        return name.to_owned();
    }
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let (head, tail) = word.split_at(1);
        text + &head.to_uppercase() + tail
    })
}

pub(super) fn receipt(account: &Account, url: &str, items: &[Item], now: Stamp) -> Outgoing {
    let mut pairs = Pairs::new();
    let mut put = |name: &str, value: &str| pairs.push((named(account, name), value.to_owned()));
    for item in items {
        let from = item.notes.first().map_or("", |(_, from)| from.as_str());
        put("msisdn", &item.number.written);
        put("to", from);
        put("network-code", submit::network(&item.number));
        put("messageId", &submit::part_id(&item.id, item.part));
        put("price", "0.03000000");
        put("status", item.code.state);
        put("scts", &moment(now.at_ms, SCTS));
        put("err-code", item.code.code);
        put("api-key", &account.access_key_id);
        if let Some(echo) = &item.echo {
            put("client-ref", echo);
        }
        put("message-timestamp", &moment(now.at_ms, TIMESTAMP));
    }
    webhook(account, url, pairs, now)
}

pub(super) fn inbound(account: &Account, url: &str, mo: &Mo) -> Outgoing {
    let mut pairs = Pairs::new();
    let mut put = |name: &str, value: &str| pairs.push((named(account, name), value.to_owned()));
    put("msisdn", mo.from.trim_start_matches('+'));
    put("to", mo.to.trim_start_matches('+'));
    put("messageId", &submit::message_id(mo.id));
    put("text", &mo.text);
    let plain = crate::wire::gsm_parts(&mo.text).is_some();
    put("type", if plain { "text" } else { "unicode" });
    let keyword = mo.text.split_whitespace().next().unwrap_or_default();
    put("keyword", &keyword.to_uppercase());
    put("api-key", &account.access_key_id);
    put("message-timestamp", &moment(mo.at_ms, TIMESTAMP));
    webhook(account, url, pairs, clock::now())
}

fn webhook(account: &Account, url: &str, mut pairs: Pairs, now: Stamp) -> Outgoing {
    if let Some(method) = account.setting("signature_method").and_then(Method::find) {
        let nonce = uuid::Uuid::new_v4().to_string();
        pairs.push(("timestamp".to_owned(), now.unix_seconds().to_string()));
        pairs.push(("nonce".to_owned(), nonce));
        let to_sign = sign::string_to_sign(&pairs);
        let sig = sign::signature(method, gate::signature_secret(account), &to_sign);
        pairs.push(("sig".to_owned(), sig));
    }
    let form = || {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&pairs)
            .finish()
    };
    match account.setting("dlr_method") {
        Some("get") => {
            let and = if url.contains('?') { '&' } else { '?' };
            Outgoing {
                method: "GET",
                url: format!("{url}{and}{}", form()),
                headers: Vec::new(),
                body: Vec::new(),
            }
        }
        Some("json") => {
            let fields = pairs.into_iter();
            let fields = fields.map(|(name, value)| (name, json!(value)));
            let body = Value::Object(fields.collect());
            Outgoing::post(url, "application/json", body.to_string())
        }
        _ => Outgoing::post(url, FORM, form()),
    }
}
