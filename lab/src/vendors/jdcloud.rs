//! JD Cloud sms v1: batchSend, statusReport and reply, signed by JDCLOUD2-HMAC-SHA256 or JDCLOUD3-HMAC-SHA256. Receipts are
//! asked for by sequence number, messages from handsets by day; both stay.
//!
//! Source of the protocol facts: the project's JD Cloud fact sheet (`jdcloud_sdk` 1.6.26 and 1.6.354, the API reference).
//! UNCONFIRMED there and the lab's own guess here: which generation the gateway takes, which of the headers beside date and
//! nonce it wants (those that come have to be right, and none but `host` and `content-type` has to be signed, as 1.6.354
//! does not sign the others), every business code but 11572106 and every gateway code but INVALID_ARGUMENT and INTERNAL, the
//! integers of `status` and the words of `code` in a report, the form of `dataDate`.
//!
//! An account's `sign_names` are the ids of signatures, and `to` of an inbound message is the one that it answers. Settings:
//! `signature`: the generation that is taken, `2` or `3` (both, without it); `region` (`cn-north-1`); `app_id`: the only
//! one that `reply` takes; `sign.<id>`: the text of a signature, for billed parts; `codes_as_text` (`true`: codes of refusals
//! are strings, as documented, else numbers, as seen).

mod codes;
pub mod sign;
mod submit;
mod wire;

use std::sync::Arc;

use axum::http::request::Parts;

use crate::account::Account;
use crate::clock::Stamp;
use crate::codes::{Code, Condition, End, ReceiptCode};
use crate::live::Live;
use crate::receipts::Item;
use crate::vendor::{
    Action, Answer, Arrival, Gate, Habits, Held, Mo, Outgoing, Refusal, Submit, Vendor,
};

#[derive(Debug)]
pub(crate) struct Jdcloud;

impl Vendor for Jdcloud {
    fn kind(&self) -> &'static str {
        "jdcloud"
    }

    fn habits(&self) -> Habits {
        Habits {
            batch: 1,
            retries: &[],
            fetched: true,
            per_number: false,
            per_part: true,
        }
    }

    fn pushes(&self) -> bool {
        false
    }

    fn takes(&self, parts: &Parts) -> bool {
        wire::method(parts.uri.path()).is_some()
    }

    fn key(&self, arrival: &Arrival<'_>) -> Option<String> {
        let parsed = sign::parse_authorization(arrival.header("authorization")?)?;
        Some(parsed.access_key.to_owned())
    }

    fn held(&self, arrival: &Arrival<'_>) -> Held {
        submit::held(arrival)
    }

    fn admit(&self, arrival: &Arrival<'_>, gate: Gate<'_>) -> Result<Arc<Live>, Refusal> {
        let authorization = arrival
            .header("authorization")
            .and_then(sign::parse_authorization)
            .ok_or(codes::NO_AUTHORIZATION)?;
        let live = gate
            .account(authorization.access_key)
            .ok_or(codes::NO_SUCH_KEY)?;
        let account = live.account();
        let generation = authorization.generation;
        let taken = account.setting("signature");
        if taken.is_some_and(|taken| taken != generation.digit()) {
            return Err(codes::GENERATION.into());
        }
        let date = arrival.header("x-jdcloud-date").ok_or(codes::NO_DATE)?;
        let at = sign::time(date).ok_or(codes::NO_DATE)?;
        if arrival.seconds_off(at) > gate.skew() {
            return Err(codes::OLD_DATE.into());
        }
        let nonce = arrival.header("x-jdcloud-nonce");
        let nonce = nonce
            .filter(|nonce| !nonce.is_empty())
            .ok_or(codes::NO_NONCE)?;
        let (region, _) = wire::method(arrival.path()).ok_or(codes::INVALID_ARGUMENT)?;
        let scoped = date.starts_with(authorization.date)
            && authorization.date.len() == 8
            && authorization.region == region
            && authorization.service == "sms";
        if !scoped {
            return Err(codes::SCOPE.into());
        }
        check_headers(arrival, generation)?;
        let canonical = canonical(arrival, &authorization).ok_or(codes::SIGNED_HEADERS)?;
        let mut proved = false;
        for secret in &account.secrets {
            let signature = sign::signature(secret.expose(), &authorization, date, &canonical);
            proved |= crate::wire::same(&signature, authorization.signature);
        }
        if !proved {
            return Err(codes::SIGNATURE.into());
        }
        if !live.take_nonce(nonce, arrival.at) {
            return Err(codes::NONCE_USED.into());
        }
        Ok(live)
    }

    fn judge(&self, arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
        submit::judge(arrival, account)
    }

    fn code(&self, condition: Condition) -> &'static Code {
        match condition {
            Condition::BadNumber => codes::PHONE_LIST,
            Condition::Blacklisted => codes::BLACKLISTED,
            Condition::FrequencyCap => codes::NUMBER_TOO_OFTEN,
            Condition::OutOfBalance => codes::PACKAGE_USED_UP,
            Condition::Throttled => codes::TOO_MANY_REQUESTS,
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
        // One for the call.
        vec![first.to_string(); submit.wanted.len()]
    }

    fn taken(
        &self,
        _arrival: &Arrival<'_>,
        _account: &Account,
        _submit: &Submit,
        ids: &[String],
    ) -> Answer {
        wire::taken(ids.first().map_or("", String::as_str))
    }

    fn refused(
        &self,
        _arrival: &Arrival<'_>,
        account: Option<&Account>,
        refusal: &Refusal,
    ) -> Answer {
        let as_text = account.and_then(|account| account.setting("codes_as_text"));
        wire::failure(refusal, as_text == Some("true"))
    }

    fn garbage(&self) -> &'static str {
        "{\"requestId\":\"c0\",\"result\":{\"sta"
    }

    fn push(&self, _account: &Account, url: &str, _items: &[Item], _now: Stamp) -> Outgoing {
        // Never asked for, since `pushes` is false.
        Outgoing::post(url, "application/json", "")
    }

    fn is_ack(&self, _status: u16, _body: &[u8]) -> bool {
        false
    }

    fn fetched(&self, arrival: &Arrival<'_>, items: &[Item], now: Stamp) -> Answer {
        wire::reports(items, &submit::asked(arrival), now)
    }

    fn inbound(&self, _account: &Account, _url: &str, _mo: &Mo) -> Option<Outgoing> {
        None
    }

    fn fetched_inbound(&self, arrival: &Arrival<'_>, mos: &[Mo]) -> Answer {
        wire::replies(mos, &submit::asked(arrival))
    }
}

/// Headers beside the signature that have to be right where they come.
fn check_headers(arrival: &Arrival<'_>, generation: sign::Generation) -> Result<(), Refusal> {
    let claimed = arrival.header("x-jdcloud-content-sha256");
    if claimed.is_some_and(|hash| hash != crate::wire::sha256_hex(arrival.body)) {
        return Err(codes::CONTENT_HASH.into());
    }
    let algorithm = generation.algorithm();
    let named = arrival.header(&algorithm.to_ascii_lowercase());
    if named.is_some_and(|value| value != algorithm) {
        return Err(codes::NO_AUTHORIZATION.into());
    }
    let content_type = arrival.header("content-type").unwrap_or_default();
    if !content_type.starts_with("application/json") {
        return Err(Refusal::with(
            codes::INVALID_ARGUMENT,
            "Content-Type is not application/json",
        ));
    }
    Ok(())
}

/// `None` if the list of signed headers is not as documented, or names one that did not come.
fn canonical(arrival: &Arrival<'_>, authorization: &sign::Authorization<'_>) -> Option<String> {
    let names: Vec<&str> = authorization.signed_headers.split(';').collect();
    let never = |name: &&str| matches!(*name, "authorization" | "user-agent");
    let is_good = names.is_sorted()
        && names.contains(&"host")
        && names.contains(&"content-type")
        && !names.iter().any(never)
        && !authorization
            .signed_headers
            .bytes()
            .any(|byte| byte.is_ascii_uppercase());
    if !is_good {
        return None;
    }
    let signed: Option<Vec<_>> = names
        .iter()
        .map(|name| Some((*name, arrival.header(name)?)))
        .collect();
    let request = sign::Request {
        method: arrival.parts.method.as_str(),
        path: arrival.path(),
        query: arrival.query(),
        body: arrival.body,
    };
    Some(sign::canonical_request(
        authorization.generation,
        &request,
        &signed?,
    ))
}
