//! The gateway's part: which API, who calls, is it fresh, is it signed.
//!
//! Source: fact sheet, "Auth B" and the account class of "Errors". Which check comes first is not documented;
//! here: API version and action, form of the signature, key, time, signature, nonce.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::submit::Refusal;
use super::{codes, sign, wire};
use crate::clock::Stamp;
use crate::hub::Hub;
use crate::live::Live;

const ACTION: &str = "SendSms";
const VERSION: &str = "2017-05-25";

/// A request and what the gate learnt about it.
#[derive(Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) at: Stamp,
    pub(crate) parts: &'a Parts,
    pub(crate) body: &'a [u8],
    pub(crate) pairs: &'a [(String, String)],
}

/// The account that the request names, before anything is proved.
pub(crate) fn named_account(hub: &Hub, headers: &HeaderMap) -> Option<Arc<Live>> {
    let authorization = sign::parse_authorization(text(headers, "authorization")?)?;
    hub.by_key(authorization.credential)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn required<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refusal> {
    text(headers, name)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| {
            Refusal::with(
                codes::MISSING_PARAMETER,
                format!("{name} is mandatory for this action."),
            )
        })
}

pub(crate) fn admit(hub: &Hub, arrival: &Arrival<'_>) -> Result<Arc<Live>, Refusal> {
    let headers = &arrival.parts.headers;
    if !headers.contains_key(header::AUTHORIZATION)
        && arrival.pairs.iter().any(|(name, _)| name == "Signature")
    {
        let detail = "the lab verifies ACS3-HMAC-SHA256 only, not the RPC signature";
        return Err(Refusal::with(codes::INCOMPLETE_SIGNATURE, detail));
    }
    if required(headers, "x-acs-version")? != VERSION {
        return Err(codes::INVALID_VERSION.into());
    }
    if required(headers, "x-acs-action")? != ACTION {
        return Err(codes::INVALID_ACTION_NOT_FOUND.into());
    }
    let date = required(headers, "x-acs-date")?;
    let nonce = required(headers, "x-acs-signature-nonce")?;
    let claimed_hash = required(headers, "x-acs-content-sha256")?;
    let authorization = sign::parse_authorization(required(headers, "authorization")?)
        .ok_or(codes::INCOMPLETE_SIGNATURE)?;
    check_coverage(headers, authorization.signed_headers)?;
    let live = hub
        .by_key(authorization.credential)
        .ok_or(codes::INVALID_ACCESS_KEY_ID_NOT_FOUND)?;
    let sent = wire::parse_date(date).ok_or(codes::INVALID_TIME_STAMP_FORMAT)?;
    let off = i64::try_from(arrival.at.unix_seconds()).map_or(u64::MAX, |now| now.abs_diff(sent));
    if off > hub.config.clock_skew.as_secs() {
        return Err(codes::INVALID_TIME_STAMP_EXPIRED.into());
    }
    let body_hash = sign::sha256_hex(arrival.body);
    if claimed_hash != body_hash {
        let detail = "x-acs-content-sha256 is not the hash of the body";
        return Err(Refusal::with(codes::SIGNATURE_DOES_NOT_MATCH, detail));
    }
    let signed = authorization
        .signed_headers
        .split(';')
        .map(|name| Some((name, text(headers, name)?)))
        .collect::<Option<Vec<_>>>()
        .ok_or(codes::INCOMPLETE_SIGNATURE)?;
    let query = sign::canonical_query(
        arrival
            .pairs
            .iter()
            .map(|(name, value)| (&**name, &**value)),
    );
    let canonical = sign::canonical_request(
        arrival.parts.method.as_str(),
        &query,
        signed,
        authorization.signed_headers,
        &body_hash,
    );
    let to_sign = sign::string_to_sign(&canonical);
    let account = live.account();
    let mut proved = false;
    for secret in &account.secrets {
        proved |= sign::verify(secret.expose(), &to_sign, authorization.signature);
    }
    if !proved {
        // As the vendor does: without the server's reading, a wrong signature cannot be debugged.
        let detail = format!(
            "Specified signature is not matched with our calculation. server string to sign is:{to_sign}"
        );
        return Err(Refusal::with(codes::SIGNATURE_DOES_NOT_MATCH, detail));
    }
    if !live.take_nonce(nonce, arrival.at) {
        return Err(codes::SIGNATURE_NONCE_USED.into());
    }
    Ok(live)
}

/// `host`, every `x-acs-*` header and, if sent, `content-type` have to be signed, in lower case and sorted.
fn check_coverage(headers: &HeaderMap, signed_headers: &str) -> Result<(), Refusal> {
    let names: Vec<&str> = signed_headers.split(';').collect();
    if !names.is_sorted() || signed_headers.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let detail = "SignedHeaders is not sorted or not in lower case";
        return Err(Refusal::with(codes::INCOMPLETE_SIGNATURE, detail));
    }
    let uncovered = headers.keys().map(|name| name.as_str()).find(|name| {
        (*name == "host" || *name == "content-type" || name.starts_with("x-acs-"))
            && !names.contains(name)
    });
    match uncovered {
        Some(name) => Err(Refusal::with(
            codes::INCOMPLETE_SIGNATURE,
            format!("SignedHeaders does not cover {name}"),
        )),
        None if !names.contains(&"host") => Err(codes::INCOMPLETE_SIGNATURE.into()),
        None => Ok(()),
    }
}
