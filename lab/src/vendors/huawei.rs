//! Huawei Cloud SMS: batchSendSms and batchSendDiffSms under X-WSSE or SDK-HMAC-SHA256, receipts to the call's callback as a form
//! each, or to the account's URL as a JSON list, and messages from handsets.
//!
//! Source of the protocol facts: the project's Huawei fact sheet (`huaweicloudsdksmsapi` and `huaweicloudsdkcore` 3.1.219,
//! api-msgsms sms_05_0003, 0046, 0063). UNCONFIRMED there, and so here: that the raw digest is taken as well, what
//! acknowledges a push beside HTTP 200, when an unacknowledged one comes again, how a pushed form is hashed when pushes are
//! signed. That a number on a blacklist or over its share is taken and reported is what the sheet's codes say. There is
//! nothing to fetch.
//!
//! Settings of an account: `from`, its channel numbers with commas between (absent: any is good); `generic_templates`, the
//! ids of those that want the field `signature`; `push_auth` = `true` signs the pushes; `push_payload` = `hashed` then
//! signs the body of a form, which is else `UNSIGNED-PAYLOAD`.

mod codes;
mod gate;
pub mod sign;
mod submit;
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

const SEND: &str = "/sms/batchSendSms/v1";
const SEND_DIFF: &str = "/sms/batchSendDiffSms/v1";
/// UNCONFIRMED.
const RETRIES: [Duration; 3] = [
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
];

#[derive(Debug)]
pub(crate) struct Huawei;

impl Vendor for Huawei {
    fn kind(&self) -> &'static str {
        "huawei"
    }

    fn habits(&self) -> Habits {
        Habits {
            // To the account's URL; a callback gets one.
            batch: 50,
            retries: &RETRIES,
            fetched: false,
            per_number: true,
            per_part: true,
        }
    }

    fn takes(&self, parts: &Parts) -> bool {
        parts.method == Method::POST && [SEND, SEND_DIFF].contains(&parts.uri.path())
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
            Condition::BadNumber => codes::PARAMETER_FORMAT,
            // The nearest of those about a number; scripts that refuse a call by them get it, see `late`.
            Condition::Blacklisted | Condition::FrequencyCap => codes::DUPLICATE_NUMBER,
            Condition::OutOfBalance => codes::FROZEN,
            Condition::Throttled => codes::CHANNEL_RATE,
            Condition::SystemError => codes::SYSTEM_ERROR,
            Condition::TemplateNotApproved => codes::TEMPLATE_INACTIVE,
        }
    }

    fn codes(&self) -> &'static [&'static Code] {
        codes::ALL
    }

    fn end(&self, end: End) -> &'static ReceiptCode {
        match end {
            End::Delivered => codes::DELIVRD,
            End::NotOnService => codes::EMPTY_NUMBER,
            End::Keyword => codes::KEYWORD,
            End::CarrierFailure => codes::UNDELIV,
        }
    }

    fn ends(&self) -> &'static [&'static ReceiptCode] {
        codes::ALL_ENDS
    }

    fn late(&self, condition: Condition, _numbers: usize) -> Option<&'static ReceiptCode> {
        match condition {
            Condition::Blacklisted => Some(codes::BLACK),
            Condition::FrequencyCap => Some(codes::MILIMIT),
            Condition::BadNumber
            | Condition::OutOfBalance
            | Condition::Throttled
            | Condition::SystemError
            | Condition::TemplateNotApproved => None,
        }
    }

    fn ids(&self, first: u64, submit: &Submit) -> Vec<String> {
        let numbers = first..;
        numbers
            .take(submit.wanted.len())
            .map(wire::message_id)
            .collect()
    }

    fn taken(
        &self,
        _arrival: &Arrival<'_>,
        _account: &Account,
        submit: &Submit,
        ids: &[String],
    ) -> Answer {
        wire::taken(submit, ids)
    }

    fn refused(
        &self,
        arrival: &Arrival<'_>,
        _account: Option<&Account>,
        refusal: &Refusal,
    ) -> Answer {
        wire::failure(arrival, refusal)
    }

    fn garbage(&self) -> &'static str {
        "{\"code\":\"000000\",\"result\":[{\"smsM"
    }

    fn push(&self, account: &Account, url: &str, items: &[Item], now: Stamp) -> Outgoing {
        wire::push(account, url, items, now)
    }

    fn is_ack(&self, status: u16, _body: &[u8]) -> bool {
        status == 200
    }

    fn fetched(&self, _arrival: &Arrival<'_>, _items: &[Item], _now: Stamp) -> Answer {
        crate::vendor::nothing_there()
    }

    fn inbound(&self, account: &Account, url: &str, mo: &Mo) -> Option<Outgoing> {
        Some(wire::inbound(account, url, mo))
    }

    fn fetched_inbound(&self, _arrival: &Arrival<'_>, _mos: &[Mo]) -> Answer {
        crate::vendor::nothing_there()
    }
}
