//! Tencent Cloud SMS 2021-01-11: SendSms and PullSmsSendStatus, signed by TC3-HMAC-SHA256, and the pushes of receipts and of
//! messages from handsets.
//!
//! Source of the protocol facts: the project's Tencent fact sheet (`tencentcloud-sdk-python-sms` 3.1.153,
//! cloud.tencent.com 382/59178). The shape of the message push is UNCONFIRMED there. TC3 has no nonce: the same bytes are
//! good for as long as the clock allows.

mod codes;
pub mod sign;
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

const ACTIONS: [&str; 2] = ["SendSms", "PullSmsSendStatus"];
const VERSION: &str = "2021-01-11";
/// Two more pushes; the pauses between are not documented.
const RETRIES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(300)];

#[derive(Debug)]
pub(crate) struct Tencent;

impl Vendor for Tencent {
    fn kind(&self) -> &'static str {
        "tencent"
    }

    fn habits(&self) -> Habits {
        Habits {
            batch: 100,
            retries: &RETRIES,
            fetched: true,
            per_number: true,
            per_part: false,
        }
    }

    fn takes(&self, parts: &Parts) -> bool {
        parts.uri.path() == "/" && parts.headers.contains_key("x-tc-action")
    }

    fn key(&self, arrival: &Arrival<'_>) -> Option<String> {
        let parsed = sign::parse_authorization(arrival.header("authorization")?)?;
        Some(parsed.secret_id.to_owned())
    }

    fn held(&self, arrival: &Arrival<'_>) -> Held {
        wire::held(arrival)
    }

    fn admit(&self, arrival: &Arrival<'_>, gate: Gate<'_>) -> Result<Arc<Live>, Refusal> {
        let action = arrival.header("x-tc-action").unwrap_or_default();
        if !ACTIONS.contains(&action) {
            return Err(codes::INVALID_ACTION.into());
        }
        if arrival.header("x-tc-version") != Some(VERSION) {
            return Err(codes::NO_SUCH_VERSION.into());
        }
        if arrival.header("x-tc-region").is_none_or(str::is_empty) {
            return Err(codes::MISSING_REGION.into());
        }
        let authorization = arrival
            .header("authorization")
            .and_then(sign::parse_authorization)
            .ok_or(codes::INVALID_AUTHORIZATION)?;
        let timestamp: i64 = arrival
            .header("x-tc-timestamp")
            .and_then(|text| text.parse().ok())
            .ok_or(codes::INVALID_AUTHORIZATION)?;
        let live = gate
            .account(authorization.secret_id)
            .ok_or(codes::SECRET_ID_NOT_FOUND)?;
        if arrival.seconds_off(timestamp) > gate.skew() {
            return Err(codes::SIGNATURE_EXPIRE.into());
        }
        let names: Vec<&str> = authorization.signed_headers.split(';').collect();
        if !names.contains(&"content-type") || !names.contains(&"host") || !names.is_sorted() {
            return Err(codes::SIGNATURE_FAILURE.into());
        }
        let signed: Option<Vec<_>> = names
            .iter()
            .map(|name| Some((*name, arrival.header(name)?)))
            .collect();
        let signed = signed.ok_or(codes::SIGNATURE_FAILURE)?;
        let canonical = sign::canonical_request(&signed, arrival.body);
        let account = live.account();
        let mut proved = false;
        for secret in &account.secrets {
            let signature = sign::signature(
                secret.expose(),
                timestamp,
                authorization.service,
                &canonical,
            );
            proved |= crate::wire::same(&signature, authorization.signature);
        }
        let of_day = authorization.date == sign::date(timestamp);
        if !proved || !of_day || authorization.service != "sms" {
            return Err(codes::SIGNATURE_FAILURE.into());
        }
        Ok(live)
    }

    fn judge(&self, arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
        wire::judge(arrival, account)
    }

    fn code(&self, condition: Condition) -> &'static Code {
        match condition {
            Condition::BadNumber => codes::INCORRECT_PHONE_NUMBER,
            Condition::Blacklisted => codes::PHONE_NUMBER_IN_BLACKLIST,
            Condition::FrequencyCap => codes::PHONE_NUMBER_DAILY_LIMIT,
            Condition::OutOfBalance => codes::INSUFFICIENT_BALANCE,
            Condition::Throttled => codes::REQUEST_LIMIT_EXCEEDED,
            Condition::SystemError => codes::OTHER_ERROR,
            Condition::TemplateNotApproved => codes::TEMPLATE_UNAPPROVED,
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
        let count = u64::try_from(submit.wanted.len()).unwrap_or(0);
        (first..first + count)
            .map(|number| format!("5000:{number}"))
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
        _arrival: &Arrival<'_>,
        _account: Option<&Account>,
        refusal: &Refusal,
    ) -> Answer {
        wire::failure(refusal)
    }

    fn garbage(&self) -> &'static str {
        "{\"Response\":{\"SendStatusSet\":[{\"Ser"
    }

    fn push(&self, account: &Account, url: &str, items: &[Item], now: Stamp) -> Outgoing {
        // The echo is in receipts only where Tencent has opened it.
        let echoes = account.setting("echo_in_receipts") == Some("true");
        wire::push(url, items, now, echoes)
    }

    fn is_ack(&self, status: u16, body: &[u8]) -> bool {
        wire::is_ack(status, body)
    }

    fn fetched(&self, _arrival: &Arrival<'_>, items: &[Item], now: Stamp) -> Answer {
        wire::fetched(items, now)
    }

    fn inbound(&self, _account: &Account, url: &str, mo: &Mo) -> Option<Outgoing> {
        Some(wire::inbound(url, mo))
    }

    fn fetched_inbound(&self, _arrival: &Arrival<'_>, _mos: &[Mo]) -> Answer {
        crate::vendor::nothing_there()
    }
}
