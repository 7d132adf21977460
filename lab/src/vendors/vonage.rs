//! Vonage SMS API, `/sms/json`: one message a call under HTTP Basic, key and secret in the body, or a message signature;
//! delivery receipts and messages from handsets, signed where the account has that on.
//!
//! Source of the protocol facts: the project's Vonage fact sheet (`vonage-sms` 1.2.0, `vonage-http-client` 1.5.2,
//! `@vonage/sms` 1.24.1). UNCONFIRMED there, and so here: the hyphens in the names of receipts, the meaning of `err-code`,
//! when an unacknowledged webhook comes again, how old a timestamp may be, the method `md5hash`. What messages from
//! handsets hold is not there at all. There is no nonce in requests: the same bytes are good for as long as the clock
//! allows. Left out: `status-report-req` is judged, and receipts follow in any case.
//!
//! Settings of an account: `signature_method`, one of `md5hash`, `md5`, `sha1`, `sha256`, `sha512`: signed calls are taken, and
//! webhooks are signed; `signature_secret`, for both (absent: the first of `secrets`); `dlr_method`, one of `get`,
//! `post` (the default, a form) and `json`, for all webhooks; `dlr_names` = `camel` for `errCode` in place of `err-code`.
//! Senders are the account's `sign_names`.

mod codes;
mod gate;
pub mod sign;
mod submit;
mod webhook;

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

/// For up to 24 h, which the sheet has as UNCONFIRMED; the pauses are the lab's own.
const RETRIES: [Duration; 5] = [
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(3_600),
    Duration::from_secs(21_600),
    Duration::from_secs(43_200),
];

#[derive(Debug)]
pub(crate) struct Vonage;

impl Vendor for Vonage {
    fn kind(&self) -> &'static str {
        "vonage"
    }

    fn habits(&self) -> Habits {
        Habits {
            batch: 1,
            retries: &RETRIES,
            fetched: false,
            per_number: false,
            per_part: true,
        }
    }

    fn takes(&self, parts: &Parts) -> bool {
        parts.method == Method::POST && parts.uri.path() == "/sms/json"
    }

    fn key(&self, arrival: &Arrival<'_>) -> Option<String> {
        gate::key(arrival)
    }

    fn held(&self, arrival: &Arrival<'_>) -> Held {
        submit::held(arrival)
    }

    fn admit(&self, arrival: &Arrival<'_>, gate: Gate<'_>) -> Result<Arc<Live>, Refusal> {
        gate::admit(arrival, gate)
    }

    fn judge(&self, arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
        submit::judge(arrival, account).map(Action::Submit)
    }

    fn code(&self, condition: Condition) -> &'static Code {
        match condition {
            Condition::BadNumber => codes::DEACTIVATED,
            Condition::Blacklisted | Condition::FrequencyCap => codes::BARRED,
            Condition::OutOfBalance => codes::NO_CREDIT,
            Condition::Throttled => codes::THROTTLED,
            Condition::SystemError => codes::INTERNAL,
            Condition::TemplateNotApproved => codes::SENDER,
        }
    }

    fn codes(&self) -> &'static [&'static Code] {
        codes::ALL
    }

    fn end(&self, end: End) -> &'static ReceiptCode {
        match end {
            End::Delivered => codes::DELIVERED,
            End::NotOnService => codes::ABSENT_PERMANENT,
            End::Keyword => codes::ANTI_SPAM,
            End::CarrierFailure => codes::GENERAL,
        }
    }

    fn ends(&self) -> &'static [&'static ReceiptCode] {
        codes::ALL_ENDS
    }

    fn ids(&self, first: u64, _submit: &Submit) -> Vec<String> {
        vec![submit::message_id(first)]
    }

    fn taken(
        &self,
        _arrival: &Arrival<'_>,
        _account: &Account,
        submit: &Submit,
        ids: &[String],
    ) -> Answer {
        submit::taken(submit, ids)
    }

    fn refused(
        &self,
        arrival: &Arrival<'_>,
        _account: Option<&Account>,
        refusal: &Refusal,
    ) -> Answer {
        submit::failure(arrival, refusal)
    }

    fn garbage(&self) -> &'static str {
        "{\"message-count\":\"1\",\"messages\":[{\"to\""
    }

    fn push(&self, account: &Account, url: &str, items: &[Item], now: Stamp) -> Outgoing {
        webhook::receipt(account, url, items, now)
    }

    fn is_ack(&self, status: u16, _body: &[u8]) -> bool {
        matches!(status, 200 | 204)
    }

    fn fetched(&self, _arrival: &Arrival<'_>, _items: &[Item], _now: Stamp) -> Answer {
        crate::vendor::nothing_there()
    }

    fn inbound(&self, account: &Account, url: &str, mo: &Mo) -> Option<Outgoing> {
        Some(webhook::inbound(account, url, mo))
    }

    fn fetched_inbound(&self, _arrival: &Arrival<'_>, _mos: &[Mo]) -> Answer {
        crate::vendor::nothing_there()
    }
}
