//! Feige 飞鸽传书: the old API (`/SmsService/…`, `/ReportMo/…`, forms) and the new one (`/sms/…`, JSON), both under a pair of
//! secrets in clear, the receipt push in both its shapes, and receipts and messages that are fetched.
//!
//! Source of the protocol facts: the project's Feige fact sheet (vendor demo and public clients, excerpts of the vendor's
//! pages). UNCONFIRMED there and the lab's own guess here: every code of the old API but 10008, the most numbers of a call,
//! what a call is answered when no number of it is good, all of the push but its envelope, its acknowledgement and retries,
//! the fields of `/ReportMo/Mo`. `/sms/variable`, `/inter/send` and `/Account/Balance` are not played, and a number's share
//! of the day is not counted.
//!
//! An account's `access_key_id` is Account or apikey, its `sign_names` are the ids of signatures. Settings:
//! `sign.<id>`: the text of a signature, for billed parts; `push_shape`: `data` (the default) or `reports`, as the white
//! label documents; `report_every`: seconds, counted in windows of the clock, in which `/sms/report` may be called once (5,
//! 0 for no limit); `max_numbers` of a call (5,000).

mod codes;
pub mod content;
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

/// Two more pushes; UNCONFIRMED.
const RETRIES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(300)];
/// Source: fact sheet, "New API", from a public client.
const REPORT_EVERY: u64 = 5;

#[derive(Debug)]
pub(crate) struct Feige;

impl Vendor for Feige {
    fn kind(&self) -> &'static str {
        "feige"
    }

    fn habits(&self) -> Habits {
        Habits {
            batch: 200,
            retries: &RETRIES,
            fetched: true,
            per_number: true,
            per_part: false,
        }
    }

    fn takes(&self, parts: &Parts) -> bool {
        wire::method(parts.uri.path()).is_some()
    }

    fn key(&self, arrival: &Arrival<'_>) -> Option<String> {
        let request = wire::Request::read(arrival)?;
        request.value(request.names.account).map(str::to_owned)
    }

    fn held(&self, arrival: &Arrival<'_>) -> Held {
        submit::held(arrival)
    }

    fn admit(&self, arrival: &Arrival<'_>, gate: Gate<'_>) -> Result<Arc<Live>, Refusal> {
        let unreadable = || Refusal::with(codes::BAD_PARAMETER, "the body cannot be read");
        let request = wire::Request::read(arrival).ok_or_else(unreadable)?;
        let named = request.required(request.names.account)?;
        let secret = request.required(request.names.secret)?;
        let live = gate.account(named).ok_or(codes::AUTH)?;
        let account = live.account();
        let mut proved = false;
        for known in &account.secrets {
            proved |= crate::wire::same(known.expose(), secret);
        }
        if !proved {
            return Err(codes::AUTH.into());
        }
        if request.method == wire::Method::Report && !request.is_old() {
            let every = account.setting("report_every");
            let every = every.and_then(|text| text.parse().ok());
            let window = arrival
                .at
                .unix_seconds()
                .checked_div(every.unwrap_or(REPORT_EVERY));
            let in_time = |window| live.take_nonce(&format!("report {window}"), arrival.at);
            if !window.is_none_or(in_time) {
                return Err(codes::TOO_OFTEN.into());
            }
        }
        Ok(live)
    }

    fn judge(&self, arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
        submit::judge(arrival, account)
    }

    fn code(&self, condition: Condition) -> &'static Code {
        match condition {
            Condition::BadNumber => codes::INVALID,
            Condition::Blacklisted => codes::BLACK,
            Condition::FrequencyCap => codes::TOO_OFTEN,
            Condition::OutOfBalance => codes::NO_BALANCE,
            Condition::Throttled => codes::FLOW,
            Condition::SystemError => codes::INTERNAL,
            Condition::TemplateNotApproved => codes::TEMPLATE,
        }
    }

    fn codes(&self) -> &'static [&'static Code] {
        codes::ALL
    }

    fn end(&self, end: End) -> &'static ReceiptCode {
        match end {
            End::Delivered => codes::DELIVRD,
            End::NotOnService => codes::UNDELIV,
            End::Keyword => codes::REJECTD,
            End::CarrierFailure => codes::MB_1026,
        }
    }

    fn ends(&self) -> &'static [&'static ReceiptCode] {
        codes::ALL_ENDS
    }

    fn ids(&self, first: u64, submit: &Submit) -> Vec<String> {
        // One for the call, of 20 digits as in the new API's example.
        vec![format!("{first:020}"); submit.wanted.len()]
    }

    fn taken(
        &self,
        arrival: &Arrival<'_>,
        _account: &Account,
        submit: &Submit,
        ids: &[String],
    ) -> Answer {
        wire::taken(arrival, submit, ids)
    }

    fn refused(
        &self,
        arrival: &Arrival<'_>,
        _account: Option<&Account>,
        refusal: &Refusal,
    ) -> Answer {
        let numbers = submit::held(arrival).recipients.len();
        wire::failure(arrival, refusal, numbers)
    }

    fn garbage(&self) -> &'static str {
        "{\"SendId\":\"20160729"
    }

    fn push(&self, account: &Account, url: &str, items: &[Item], now: Stamp) -> Outgoing {
        let white_label = account.setting("push_shape") == Some("reports");
        wire::push(url, items, now, white_label)
    }

    fn is_ack(&self, status: u16, body: &[u8]) -> bool {
        wire::is_ack(status, body)
    }

    fn fetched(&self, arrival: &Arrival<'_>, items: &[Item], now: Stamp) -> Answer {
        wire::fetched(arrival, items, now)
    }

    fn inbound(&self, _account: &Account, _url: &str, _mo: &Mo) -> Option<Outgoing> {
        None
    }

    fn fetched_inbound(&self, arrival: &Arrival<'_>, mos: &[Mo]) -> Answer {
        wire::fetched_inbound(arrival, mos)
    }
}
