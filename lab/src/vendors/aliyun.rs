//! Aliyun Dysmsapi 2017-05-25: SendSms, SendBatchSms and QuerySendDetails, signed by ACS3-HMAC-SHA256 or by the RPC signature
//! version 1, and the receipt push SmsReport with the message push SmsUp.
//!
//! Source of the protocol facts: the project's Aliyun fact sheet (official SDK alibabacloud-dysmsapi20170525
//! 4.6.0 and the help.aliyun.com pages smsreport-http, message-rules, 101346, 101347). What it marks
//! UNCONFIRMED is marked so here.

pub(crate) mod codes;
mod gate;
pub mod sign;
mod submit;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;

use crate::account::Account;
use crate::clock::Stamp;
use crate::codes::{Code, Condition, End, ReceiptCode};
use crate::live::Live;
use crate::receipts::Item;
use crate::vendor::{
    Action, Answer, Arrival, Gate, Habits, Held, Mo, Outgoing, Refusal, Submit, Vendor,
};

/// Source: fact sheet, receipt push: after 1, 5, 10 min, three retries in all.
const RETRIES: [Duration; 3] = [
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(600),
];

#[derive(Debug)]
pub(crate) struct Aliyun;

impl Vendor for Aliyun {
    fn kind(&self) -> &'static str {
        "aliyun"
    }

    fn habits(&self) -> Habits {
        Habits {
            batch: 100,
            retries: &RETRIES,
            // By QuerySendDetails, for accounts without a push URL.
            fetched: true,
            per_number: false,
            per_part: false,
        }
    }

    fn takes(&self, parts: &Parts) -> bool {
        parts.uri.path() == "/" && !parts.headers.contains_key("x-tc-action")
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
        submit::judge(arrival, account)
    }

    fn code(&self, condition: Condition) -> &'static Code {
        match condition {
            Condition::BadNumber => codes::MOBILE_NUMBER_ILLEGAL,
            Condition::Blacklisted => codes::BLACK_KEY_CONTROL_LIMIT,
            Condition::FrequencyCap => codes::BUSINESS_LIMIT_CONTROL,
            Condition::OutOfBalance => codes::AMOUNT_NOT_ENOUGH,
            Condition::Throttled => codes::THROTTLING_USER,
            Condition::SystemError => codes::SYSTEM_ERROR,
            Condition::TemplateNotApproved => codes::SMS_TEMPLATE_ILLEGAL,
        }
    }

    fn codes(&self) -> &'static [&'static Code] {
        codes::ALL
    }

    fn end(&self, end: End) -> &'static ReceiptCode {
        match end {
            End::Delivered => codes::DELIVERED,
            End::NotOnService => codes::MOBILE_NOT_ON_SERVICE,
            End::Keyword => codes::CONTENT_KEYWORD,
            End::CarrierFailure => codes::SP_UNKNOWN_ERROR,
        }
    }

    fn ends(&self) -> &'static [&'static ReceiptCode] {
        codes::ALL_ENDS
    }

    fn ids(&self, first: u64, submit: &Submit) -> Vec<String> {
        // One for the call.
        vec![format!("{first}^0"); submit.wanted.len()]
    }

    fn taken(
        &self,
        _arrival: &Arrival<'_>,
        _account: &Account,
        _submit: &Submit,
        ids: &[String],
    ) -> Answer {
        wire::success(ids.first().map_or("", String::as_str))
    }

    fn refused(
        &self,
        _arrival: &Arrival<'_>,
        account: Option<&Account>,
        refusal: &Refusal,
    ) -> Answer {
        wire::failure(account, refusal)
    }

    fn garbage(&self) -> &'static str {
        "{\"Code\":\"OK\",\"Mess"
    }

    fn push(&self, _account: &Account, url: &str, items: &[Item], now: Stamp) -> Outgoing {
        wire::push(url, items, now)
    }

    fn is_ack(&self, status: u16, body: &[u8]) -> bool {
        wire::is_ack(status, body)
    }

    fn fetched(&self, arrival: &Arrival<'_>, items: &[Item], now: Stamp) -> Answer {
        wire::details(arrival, items, now)
    }

    fn inbound(&self, _account: &Account, url: &str, mo: &Mo) -> Option<Outgoing> {
        Some(wire::inbound(url, mo))
    }

    fn fetched_inbound(&self, _arrival: &Arrival<'_>, _mos: &[Mo]) -> Answer {
        crate::vendor::nothing_there()
    }
}
