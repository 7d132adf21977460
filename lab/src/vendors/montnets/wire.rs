//! Answers, receipts and messages from handsets.
//!
//! Source: fact sheet, "Response", "Matching receipts", "Receipts". The fields of messages from handsets are UNCONFIRMED.

use serde_json::{Value, json};

use super::sign::{self, Pwd};
use super::text::Charset;
use crate::account::Account;
use crate::clock::{self, Stamp};
use crate::codes::Code;
use crate::receipts::Item;
use crate::vendor::{Answer, Mo, Outgoing, Submit};
use crate::wire::{beijing_time, form, value};

const FORM: &str = "application/x-www-form-urlencoded";
/// The channel's number; an exno is put behind it.
const CHANNEL: &str = "100045789";
/// Numbers of pushes and messages have nine digits here.
const NINE_DIGITS: u64 = 1_000_000_000;

/// The call's id. Those of the vendor have 64 bits: some are negative, some are above the greatest signed one.
pub(super) fn msgid(first: u64) -> i128 {
    let base = if first.is_multiple_of(2) {
        i128::from(i64::MIN)
    } else {
        i128::from(i64::MAX)
    };
    base + i128::from(first)
}

/// A number of JSON. What a forger made up may be none: its digits are.
fn number(id: i128) -> Value {
    let signed = i64::try_from(id).map(Value::from);
    let number = signed.or_else(|_| u64::try_from(id).map(Value::from));
    number.unwrap_or_else(|_| json!(u64::MAX))
}

fn part_id(item: &Item) -> Value {
    let digits = || item.id.replace('-', "");
    let id = item.id.parse().or_else(|_| digits().parse());
    number(sign::part_id(id.unwrap_or_default(), 1, item.part))
}

/// `desc` is percent-encoded UTF-8. The manual prints it without quotes, which is not JSON, and older replies lack it.
fn answer(account: Option<&Account>, code: &str, desc: &str, msgid: i128, custid: &str) -> Answer {
    let desc = Charset::Utf8.percent(desc);
    let desc = match account.and_then(|account| account.setting("desc")) {
        Some("unquoted") => format!("\"desc\":{desc},"),
        Some("absent") => String::new(),
        _ => format!("\"desc\":\"{desc}\","),
    };
    let custid = json!(custid);
    let body = format!("{{\"result\":{code},{desc}\"msgid\":{msgid},\"custid\":{custid}}}");
    Answer::json(200, body)
}

pub(super) fn taken(account: &Account, submit: &Submit, ids: &[String]) -> Answer {
    let first = submit.wanted.first();
    if let Some(code) = first.and_then(|wanted| wanted.refused) {
        return failure(Some(account), code, code.message);
    }
    let id = ids.first().and_then(|id| id.parse().ok());
    let own = first.and_then(|wanted| wanted.echo.as_deref());
    let custid = submit.echo.as_deref().or(own);
    let custid = custid.unwrap_or_default();
    answer(Some(account), "0", "成功", id.unwrap_or_default(), custid)
}

pub(super) fn failure(account: Option<&Account>, code: &Code, message: &str) -> Answer {
    answer(account, code.code, message, 0, "")
}

/// Country code and the number without it. The lab knows the mainland's; others come as one digit, or two.
fn split(e164: &str) -> (u32, &str) {
    let Some(digits) = e164.strip_prefix('+') else {
        // One that could not be read.
        return (86, e164);
    };
    let length = if digits.starts_with(['1', '7']) { 1 } else { 2 };
    let (country, national) = digits.split_at_checked(length).unwrap_or(("", digits));
    (country.parse().unwrap_or_default(), national)
}

fn report(item: &Item, now: Stamp) -> Value {
    let note = |name: &str| {
        let mut found = item.notes.iter().filter(|(known, _)| *known == name);
        found.next().map_or("", |(_, value)| value.as_str())
    };
    let (country, _) = split(&item.number.e164);
    json!({
        "msgid": part_id(item),
        "custid": item.echo.as_deref().unwrap_or_default(),
        "pknum": item.part,
        "pktotal": item.parts,
        "mobile": item.number.written,
        "countrycode": country,
        "spno": format!("{CHANNEL}{}", note("exno")),
        "exno": note("exno"),
        "stime": beijing_time(item.sent_at_ms),
        "rtime": beijing_time(now.at_ms),
        "status": if item.code.success { 0 } else { 1 },
        "errcode": item.code.code,
        "errdesc": item.code.message,
        "exdata": note("exdata"),
        "smstype": "0",
        "rpttype": "1",
    })
}

fn message(mo: &Mo, charset: Charset) -> Value {
    let (country, national) = split(&mo.from);
    let mobile = if country == 86 {
        national.to_owned()
    } else {
        format!("00{}", mo.from.trim_start_matches('+'))
    };
    json!({
        "msgid": mo.id % NINE_DIGITS,
        "mobile": mobile,
        "spno": format!("{CHANNEL}{}", mo.to),
        "exno": mo.to,
        "rtime": beijing_time(mo.at_ms),
        "content": charset.percent(&mo.text),
    })
}

pub(super) fn fetched(items: &[Item], now: Stamp) -> Answer {
    let reports: Vec<Value> = items.iter().map(|item| report(item, now)).collect();
    Answer::json(200, json!({ "result": 0, "rpts": reports }).to_string())
}

pub(super) fn fetched_inbound(mos: &[Mo]) -> Answer {
    let messages = mos.iter().map(|mo| message(mo, Charset::Utf8));
    let messages: Vec<Value> = messages.collect();
    Answer::json(200, json!({ "result": 0, "mos": messages }).to_string())
}

/// A form with the account's own proof, as in its requests.
fn pushed(
    account: &Account,
    url: &str,
    command: &str,
    number: u64,
    list: (&str, Value),
) -> Outgoing {
    let seconds = clock::now().unix_seconds();
    let timestamp = sign::timestamp(i64::try_from(seconds).unwrap_or_default());
    let userid = account.setting("userid").unwrap_or(&account.access_key_id);
    let password = account.secrets.first().map_or("", |secret| secret.expose());
    let method = Pwd::of(account.setting("pwd"));
    let pwd = sign::pwd(method, userid, password, &timestamp);
    let (name, list) = (list.0, list.1.to_string());
    let list = if account.setting("push_raw") == Some("true") {
        list
    } else {
        crate::wire::percent(&list)
    };
    let pwd = crate::wire::percent(&pwd);
    let body = format!(
        "userid={userid}&pwd={pwd}&timestamp={timestamp}&cmd={command}&seqid={}&{name}={list}",
        number % NINE_DIGITS
    );
    Outgoing::post(url, FORM, body)
}

pub(super) fn push(account: &Account, url: &str, items: &[Item], now: Stamp) -> Outgoing {
    let reports: Vec<Value> = items.iter().map(|item| report(item, now)).collect();
    let list = ("rpts", json!(reports));
    pushed(account, url, "RPT_REQ", now.at_ns, list)
}

pub(super) fn inbound(account: &Account, url: &str, mo: &Mo) -> Outgoing {
    let charset = account.setting("charset").and_then(Charset::find);
    let messages = json!([message(mo, charset.unwrap_or(Charset::Utf8))]);
    pushed(account, url, "MO_REQ", mo.id, ("mos", messages))
}

/// `{"cmd":"RPT_RESP","seqid":1004,"result":0}`, of the push that was sent.
pub(super) fn is_ack(status: u16, body: &[u8], sent: Option<&[u8]>) -> bool {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return false;
    };
    let of_push = sent.is_none_or(|sent| {
        let sent = form(sent);
        let command = value(&sent, "cmd").map(|command| command.replace("_REQ", "_RESP"));
        let seqid: Option<u64> = value(&sent, "seqid").and_then(|text| text.parse().ok());
        answer["cmd"].as_str() == command.as_deref() && answer["seqid"].as_u64() == seqid
    });
    status == 200 && answer["result"] == json!(0) && of_push
}
