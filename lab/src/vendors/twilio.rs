//! Twilio Programmable Messaging, API 2010-04-01: creating a message under HTTP Basic, status callbacks and inbound messages
//! signed by `X-Twilio-Signature`.
//!
//! Source of the protocol facts: the project's Twilio fact sheet (`twilio` 9.13.0). The fields of callbacks beyond the ids,
//! the status and the error, and what follows a callback that is not acknowledged, are UNCONFIRMED there.

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

/// Once more, after a while.
const RETRIES: [Duration; 1] = [Duration::from_secs(15)];

#[derive(Debug)]
pub(crate) struct Twilio;

impl Vendor for Twilio {
    fn kind(&self) -> &'static str {
        "twilio"
    }

    fn habits(&self) -> Habits {
        Habits {
            batch: 1,
            retries: &RETRIES,
            fetched: false,
            per_number: false,
            per_part: false,
        }
    }

    fn takes(&self, parts: &Parts) -> bool {
        wire::account_of(parts.uri.path()).is_some()
    }

    fn key(&self, arrival: &Arrival<'_>) -> Option<String> {
        wire::account_of(arrival.path()).map(str::to_owned)
    }

    fn held(&self, arrival: &Arrival<'_>) -> Held {
        wire::held(arrival)
    }

    fn admit(&self, arrival: &Arrival<'_>, gate: Gate<'_>) -> Result<Arc<Live>, Refusal> {
        let wrong = || Refusal::from(codes::AUTHENTICATE);
        let named = wire::account_of(arrival.path()).ok_or_else(wrong)?;
        let (user, password) = arrival
            .header("authorization")
            .and_then(crate::wire::basic)
            .ok_or_else(wrong)?;
        let live = gate.account(named).ok_or_else(wrong)?;
        let account = live.account();
        // The account itself, or a key of it.
        let known = user == named || account.setting("api_key_sid") == Some(user.as_str());
        let mut proved = false;
        for secret in &account.secrets {
            proved |= crate::wire::same(secret.expose(), &password);
        }
        if known && proved {
            Ok(live)
        } else {
            Err(wrong())
        }
    }

    fn judge(&self, arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
        wire::judge(arrival, account).map(Action::Submit)
    }

    fn code(&self, condition: Condition) -> &'static Code {
        match condition {
            Condition::BadNumber => codes::INVALID_TO,
            Condition::Blacklisted => codes::UNSUBSCRIBED,
            Condition::FrequencyCap => codes::NOT_MOBILE,
            Condition::OutOfBalance => codes::NOT_ACTIVE,
            Condition::Throttled => codes::TOO_MANY_REQUESTS,
            Condition::SystemError => codes::QUEUE_OVERFLOW,
            Condition::TemplateNotApproved => codes::REGION,
        }
    }

    fn codes(&self) -> &'static [&'static Code] {
        codes::ALL
    }

    fn end(&self, end: End) -> &'static ReceiptCode {
        match end {
            End::Delivered => codes::DELIVERED,
            End::NotOnService => codes::UNREACHABLE,
            End::Keyword => codes::FILTERED,
            End::CarrierFailure => codes::UNKNOWN_ERROR,
        }
    }

    fn ends(&self) -> &'static [&'static ReceiptCode] {
        codes::ALL_ENDS
    }

    fn ids(&self, first: u64, _submit: &Submit) -> Vec<String> {
        vec![format!("SM{first:032x}")]
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
        _account: Option<&Account>,
        refusal: &Refusal,
    ) -> Answer {
        wire::failure(refusal)
    }

    fn garbage(&self) -> &'static str {
        "{\"sid\":\"SM"
    }

    fn push(&self, account: &Account, url: &str, items: &[Item], _now: Stamp) -> Outgoing {
        wire::status(account, url, items)
    }

    fn is_ack(&self, status: u16, _body: &[u8]) -> bool {
        (200..300).contains(&status)
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
