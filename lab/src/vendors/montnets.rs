//! Montnets v2/std: the sends of both name families, receipts and messages from handsets, pushed or fetched.
//!
//! Source of the protocol facts: the project's Montnets fact sheet (manual V5.7.2 and the older v2/std examples).
//! UNCONFIRMED there, and so here: the allowed skew of the clock, when an unacknowledged push comes again, the fields of
//! messages from handsets, the places of a template, and the codes of carriers beside DELIVRD. Left out: XML bodies
//! (-100100), SM3, and get_balance, whose answer the sheet does not describe. There is no nonce: the same bytes are good for
//! as long as the clock allows.
//!
//! An account's `access_key_id` is the userid in upper case, `secrets` its password; or an apikey of 32 hex digits, and the
//! password is then for pushes alone. Settings: `userid`, of an account with an apikey, for pushes; `pwd` = `sha256` or
//! `clear` in place of MD5; `charset` = `gbk` or `utf-8` of contents (absent: by the name of the method, GBK for the
//! `…_send` and UTF-8 for the others and for messages from handsets); `desc` = `unquoted` as the manual prints it, or
//! `absent` as in older replies; `push_raw` = `true` leaves the lists of pushes without percent-encoding.

mod codes;
mod given;
pub mod sign;
mod submit;
pub mod text;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use axum::http::request::Parts;

use crate::account::Account;
use crate::clock::Stamp;
use crate::codes::{Code, Condition, End, ReceiptCode};
use crate::live::Live;
use crate::receipts::Item;
use crate::vendor::{
    Action, Answer, Arrival, Gate, Habits, Held, Mo, Outgoing, Refusal, Submit, Vendor,
};
use given::Given;

/// UNCONFIRMED.
const RETRIES: [Duration; 3] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

#[derive(Debug)]
pub(crate) struct Montnets;

/// What is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Call {
    Single,
    Batch,
    Multi,
    Mixed,
    Template,
    Reports,
    Inbound,
}

/// And whether by a name of the older family.
fn call(path: &str) -> Option<(Call, bool)> {
    Some(match path.strip_prefix("/sms/v2/std/")? {
        "send_single" => (Call::Single, false),
        "single_send" => (Call::Single, true),
        "send_batch" => (Call::Batch, false),
        "batch_send" => (Call::Batch, true),
        "send_multi" => (Call::Multi, false),
        "multi_send" => (Call::Multi, true),
        "send_mixed" => (Call::Mixed, false),
        "send_template" => (Call::Template, false),
        "get_rpt" => (Call::Reports, false),
        "get_mo" => (Call::Inbound, false),
        _ => return None,
    })
}

impl Vendor for Montnets {
    fn kind(&self) -> &'static str {
        "montnets"
    }

    fn habits(&self) -> Habits {
        Habits {
            batch: 500,
            retries: &RETRIES,
            fetched: true,
            per_number: true,
            per_part: true,
        }
    }

    fn takes(&self, parts: &Parts) -> bool {
        let method = parts.method == Method::POST || parts.method == Method::GET;
        method && call(parts.uri.path()).is_some()
    }

    fn key(&self, arrival: &Arrival<'_>) -> Option<String> {
        Given::read(arrival).ok()?.key()
    }

    fn held(&self, arrival: &Arrival<'_>) -> Held {
        submit::held(arrival)
    }

    fn admit(&self, arrival: &Arrival<'_>, gate: Gate<'_>) -> Result<Arc<Live>, Refusal> {
        let given = Given::read(arrival)?;
        let key = given.key().ok_or(codes::AUTH_FAILED)?;
        let live = gate.account(&key).ok_or(codes::AUTH_FAILED)?;
        let timestamp = given.text("timestamp");
        if given.text("apikey").is_some() {
            let alone = ["userid", "pwd", "timestamp"];
            let alone = alone.iter().all(|name| given.text(name).is_none());
            let detail = "apikey goes without userid, pwd and timestamp";
            return if alone {
                Ok(live)
            } else {
                Err(Refusal::with(codes::AUTH_FAILED, detail))
            };
        }
        let account = live.account();
        let method = sign::Pwd::of(account.setting("pwd"));
        let pwd = given.text("pwd").ok_or(codes::AUTH_FAILED)?;
        let timestamp = match (method, timestamp) {
            (sign::Pwd::Clear, timestamp) => timestamp.unwrap_or_default(),
            (_, timestamp) => timestamp.ok_or(codes::AUTH_FAILED)?,
        };
        if method != sign::Pwd::Clear {
            let now = i64::try_from(arrival.at.unix_seconds()).unwrap_or_default();
            let off = sign::seconds_off(&timestamp, now);
            if off.is_none_or(|off| off > gate.skew()) {
                let detail = "the timestamp is not of now";
                return Err(Refusal::with(codes::AUTH_FAILED, detail));
            }
        }
        let mut proved = false;
        for secret in &account.secrets {
            let wanted = sign::pwd(method, &key, secret.expose(), &timestamp);
            proved |= crate::wire::same(&wanted, &pwd);
        }
        if proved {
            return Ok(live);
        }
        Err(codes::AUTH_FAILED.into())
    }

    fn judge(&self, arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
        submit::judge(arrival, account)
    }

    fn code(&self, condition: Condition) -> &'static Code {
        match condition {
            // The nearest of those about a number; scripts that refuse a call by the latter two get it, see `late`.
            Condition::BadNumber | Condition::Blacklisted | Condition::FrequencyCap => {
                codes::BAD_NUMBER
            }
            Condition::OutOfBalance => codes::ARREARS,
            Condition::Throttled => codes::TOO_MANY_CONNECTIONS,
            Condition::SystemError => codes::DATABASE,
            Condition::TemplateNotApproved => codes::TEMPLATE_DISABLED,
        }
    }

    fn codes(&self) -> &'static [&'static Code] {
        codes::ALL
    }

    fn end(&self, end: End) -> &'static ReceiptCode {
        match end {
            End::Delivered => codes::DELIVRD,
            End::NotOnService => codes::MK_0001,
            End::Keyword => codes::REJECTD,
            End::CarrierFailure => codes::UNDELIV,
        }
    }

    fn ends(&self) -> &'static [&'static ReceiptCode] {
        codes::ALL_ENDS
    }

    fn late(&self, condition: Condition, numbers: usize) -> Option<&'static ReceiptCode> {
        match condition {
            Condition::BadNumber => (numbers > 1).then_some(codes::MN_0001),
            Condition::Blacklisted => Some(codes::BLACK),
            Condition::FrequencyCap => Some(codes::REJECTD),
            Condition::OutOfBalance
            | Condition::Throttled
            | Condition::SystemError
            | Condition::TemplateNotApproved => None,
        }
    }

    fn ids(&self, first: u64, submit: &Submit) -> Vec<String> {
        let first = wire::msgid(first);
        let positions = 1..=submit.wanted.len();
        positions
            .map(|position| sign::part_id(first, position, 1).to_string())
            .collect()
    }

    fn taken(
        &self,
        _arrival: &Arrival<'_>,
        account: &Account,
        submit: &Submit,
        ids: &[String],
    ) -> Answer {
        wire::taken(account, submit, ids)
    }

    fn refused(
        &self,
        _arrival: &Arrival<'_>,
        account: Option<&Account>,
        refusal: &Refusal,
    ) -> Answer {
        wire::failure(account, refusal.code, refusal.message())
    }

    fn garbage(&self) -> &'static str {
        "{\"result\":0,\"desc\":\"%e6%88%90%e5"
    }

    fn push(&self, account: &Account, url: &str, items: &[Item], now: Stamp) -> Outgoing {
        wire::push(account, url, items, now)
    }

    fn is_ack(&self, status: u16, body: &[u8]) -> bool {
        wire::is_ack(status, body, None)
    }

    fn acks(&self, sent: &[u8], status: u16, body: &[u8]) -> bool {
        wire::is_ack(status, body, Some(sent))
    }

    fn fetched(&self, _arrival: &Arrival<'_>, items: &[Item], now: Stamp) -> Answer {
        wire::fetched(items, now)
    }

    fn inbound(&self, account: &Account, url: &str, mo: &Mo) -> Option<Outgoing> {
        Some(wire::inbound(account, url, mo))
    }

    fn fetched_inbound(&self, _arrival: &Arrival<'_>, mos: &[Mo]) -> Answer {
        wire::fetched_inbound(mos)
    }
}
