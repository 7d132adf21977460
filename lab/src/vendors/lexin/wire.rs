//! Forms in; JSON, XML or strings out, as the call asks.
//!
//! Source: fact sheet, "Endpoints", "Response", "Receipts".

use serde_json::{Value, json};

use crate::account::Account;
use crate::receipts::Item;
use crate::vendor::{Answer, Arrival, Mo, Refusal, Submit};
use crate::wire::{beijing_time, form, pairs, value};

const FORM: &str = "application/x-www-form-urlencoded";
const SEND: &[&str] = &[
    "aimcodes", "content", "schTime", "dataType", "msgId", "bizId", "extNo",
];
/// The last three UNCONFIRMED, but without them there are no receipts.
const TEMPLATE: &[&str] = &[
    "SignName",
    "TemplateCode",
    "Format",
    "TemplateParam",
    "msgId",
    "bizId",
    "extNo",
    "schTime",
];
/// Of a message, in 1/1000 yuan, as in the sheet's example.
const PRICE: u64 = 60;
/// Messages that an account without a set balance has.
const PLENTY: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Method {
    Send,
    Template,
    Reports,
    Inbound,
}

/// Who it is proved by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Auth {
    Password,
    Seeded,
    App,
}

pub(super) fn method(path: &str) -> Option<(Auth, Method)> {
    if let Some(method) = path.strip_prefix("/msgpool/sdk/") {
        let method = match method {
            "send" => Method::Send,
            "sendByTemplate" => Method::Template,
            "qryReport" => Method::Reports,
            "receiveSms" => Method::Inbound,
            _ => return None,
        };
        return Some((Auth::App, method));
    }
    Some(match path.strip_prefix("/sdk/")? {
        "send" => (Auth::Password, Method::Send),
        "send2" => (Auth::Seeded, Method::Send),
        "qryReport" => (Auth::Password, Method::Reports),
        "qryReport2" => (Auth::Seeded, Method::Reports),
        "receiveSms" => (Auth::Password, Method::Inbound),
        "receiveSms2" => (Auth::Seeded, Method::Inbound),
        _ => return None,
    })
}

#[derive(Debug)]
pub(super) struct Request {
    auth: Auth,
    pub(super) method: Method,
    given: Vec<(String, String)>,
}

impl Request {
    /// Of the query and of a form together: GET works.
    pub(super) fn read(arrival: &Arrival<'_>) -> Option<Self> {
        let (auth, method) = method(arrival.path())?;
        let mut given = pairs(arrival.query())?;
        let kind = arrival.header("content-type").unwrap_or_default();
        if kind.starts_with(FORM) {
            given.extend(form(arrival.body));
        }
        Some(Self {
            auth,
            method,
            given,
        })
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        value(&self.given, name)
    }

    pub(super) fn is_new(&self) -> bool {
        self.auth == Auth::App
    }

    pub(super) fn is_seeded(&self) -> bool {
        self.auth == Auth::Seeded
    }

    /// The field that names the account.
    pub(super) fn name(&self) -> &'static str {
        if self.is_new() { "AppID" } else { "accName" }
    }

    /// The field that proves it.
    pub(super) fn proof(&self) -> &'static str {
        if self.is_new() { "AppSecret" } else { "accPwd" }
    }

    /// A field that the method does not have.
    pub(super) fn stranger(&self) -> Option<&str> {
        let own = match self.method {
            Method::Send => SEND,
            Method::Template => TEMPLATE,
            Method::Reports | Method::Inbound => &[],
        };
        let known = |name: &str| {
            name == self.name()
                || name == self.proof()
                || own.contains(&name)
                || self.is_seeded() && name == "seed"
        };
        let mut names = self.given.iter().map(|(name, _)| name.as_str());
        names.find(|name| !known(name))
    }
}

fn plain(body: String) -> Answer {
    Answer {
        status: 200,
        headers: vec![("content-type", "text/plain;charset=utf-8".to_owned())],
        body: body.into_bytes(),
    }
}

/// What a call is answered, whatever the form.
#[derive(Debug)]
struct Said<'a> {
    is_good: bool,
    message: &'a str,
    succeeded: usize,
    failed: usize,
    /// Billed parts.
    charged: usize,
}

fn say(arrival: &Arrival<'_>, account: Option<&Account>, said: &Said<'_>) -> Answer {
    let request = Request::read(arrival);
    let asked = |name: &str| request.as_ref().and_then(|request| request.value(name));
    let deduction = PRICE * said.charged as u64;
    // What the account began with; the lab does not tell here what is left.
    let began = account.and_then(|account| account.behaviour.balance);
    let balance = PRICE * began.unwrap_or(PLENTY);
    let fields = [
        ("replyCode", json!(u8::from(said.is_good))),
        ("replyMsg", json!(said.message)),
        ("succeedNum", json!(said.succeeded)),
        ("failedNum", json!(said.failed)),
        ("chargCount", json!(said.charged)),
        ("deduction", json!(deduction.to_string())),
        ("balance", json!(balance.to_string())),
    ];
    let text = |value: &Value| {
        let text = value.as_str().map(str::to_owned);
        text.unwrap_or_else(|| value.to_string())
    };
    if asked("dataType") == Some("xml") {
        let lines = fields
            .iter()
            .map(|(name, value)| format!("<{name}>{}</{name}>", escaped(&text(value))));
        let lines: String = lines.collect();
        let mut answer = plain(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SendSmsReply>{lines}</SendSmsReply>"
        ));
        answer.headers = vec![("content-type", "text/xml;charset=utf-8".to_owned())];
        return answer;
    }
    if asked("dataType") == Some("json") || asked("Format") == Some("JSON") {
        let as_text = account.and_then(|account| account.setting("numbers_as_text"));
        let fields = fields.into_iter().map(|(name, value)| {
            let shown = match as_text {
                Some("true") => json!(text(&value)),
                _ => value,
            };
            (name.to_owned(), shown)
        });
        let object: serde_json::Map<String, Value> = fields.collect();
        return Answer::json(200, Value::Object(object).to_string());
    }
    let values = fields.iter().map(|(_, value)| text(value) + ";");
    plain(values.collect())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// `failedNum` tells how many numbers are not good, not which.
pub(super) fn taken(arrival: &Arrival<'_>, account: &Account, submit: &Submit) -> Answer {
    let good = submit
        .wanted
        .iter()
        .filter(|wanted| wanted.refused.is_none());
    let (succeeded, charged) = (
        good.clone().count(),
        good.map(|wanted| wanted.parts).sum::<usize>(),
    );
    let refused = submit.wanted.iter().find_map(|wanted| wanted.refused);
    let message = match refused {
        Some(code) if succeeded == 0 => code.message,
        _ => "发送成功!",
    };
    let said = Said {
        is_good: succeeded > 0,
        message,
        succeeded,
        failed: submit.wanted.len() - succeeded,
        charged,
    };
    say(arrival, Some(account), &said)
}

/// Of a call with so many numbers.
pub(super) fn failure(
    arrival: &Arrival<'_>,
    account: Option<&Account>,
    refusal: &Refusal,
    numbers: usize,
) -> Answer {
    let said = Said {
        is_good: false,
        message: refusal.message(),
        succeeded: 0,
        failed: numbers,
        charged: 0,
    };
    say(arrival, account, &said)
}

/// `msgId,mobile,state;…`. One without a msgId can be matched by nobody, but the lab has told it.
pub(super) fn fetched(items: &[Item]) -> Answer {
    let records = items
        .iter()
        .map(|item| format!("{},{},{}", item.id, item.number.written, item.code.code));
    plain(records.collect::<Vec<_>>().join(";"))
}

/// `signature$$$$mobile$$$$text$$$$time`, with `####` between.
pub(super) fn fetched_inbound(mos: &[Mo]) -> Answer {
    let records = mos.iter().map(|mo| {
        let mobile = mo.from.strip_prefix("+86").unwrap_or(&mo.from);
        [&*mo.to, mobile, &*mo.text, &*beijing_time(mo.at_ms)].join("$$$$")
    });
    plain(records.collect::<Vec<_>>().join("####"))
}
