//! The gateway's part: which API, who calls, is it fresh, is it signed.
//!
//! Source: fact sheet, "Auth A", "Auth B" and the account class of "Errors". Which check comes first is not documented;
//! here: API version and action, form of the signature, key, time, signature, nonce.

use std::sync::Arc;

use axum::http::HeaderMap;

use super::{codes, sign, wire};
use crate::live::Live;
use crate::vendor::{Arrival, Gate, Refusal};
use crate::wire::{canonical_query, parse_utc, same, sha256_hex, value};

const ACTIONS: [&str; 3] = ["SendSms", "SendBatchSms", "QuerySendDetails"];
const VERSION: &str = "2017-05-25";

/// What is called, by either form.
pub(super) fn action(arrival: &Arrival<'_>) -> Option<String> {
    let named = arrival.header("x-acs-action").map(str::to_owned);
    named.or_else(|| {
        let given = wire::parameters(arrival);
        value(&given, "Action").map(str::to_owned)
    })
}

/// The access key that the request names.
pub(super) fn key(arrival: &Arrival<'_>) -> Option<String> {
    if let Some(authorization) = arrival.header("authorization") {
        return Some(
            sign::parse_authorization(authorization)?
                .credential
                .to_owned(),
        );
    }
    let given = wire::parameters(arrival);
    value(&given, "AccessKeyId").map(str::to_owned)
}

fn required<'a>(arrival: &Arrival<'a>, name: &str) -> Result<&'a str, Refusal> {
    let header = arrival.header(name).filter(|value| !value.is_empty());
    header.ok_or_else(|| wire::missing(name))
}

pub(super) fn admit(arrival: &Arrival<'_>, gate: Gate<'_>) -> Result<Arc<Live>, Refusal> {
    let given = wire::parameters(arrival);
    let by_rpc = arrival.header("authorization").is_none() && value(&given, "Signature").is_some();
    if by_rpc {
        return admit_rpc(arrival, gate, &given);
    }
    let headers = arrival.headers();
    check_api(
        required(arrival, "x-acs-version")?,
        required(arrival, "x-acs-action")?,
    )?;
    let date = required(arrival, "x-acs-date")?;
    let nonce = required(arrival, "x-acs-signature-nonce")?;
    let claimed_hash = required(arrival, "x-acs-content-sha256")?;
    let authorization = sign::parse_authorization(required(arrival, "authorization")?)
        .ok_or(codes::INCOMPLETE_SIGNATURE)?;
    check_coverage(headers, authorization.signed_headers)?;
    let live = account(gate, authorization.credential)?;
    check_clock(arrival, gate, date)?;
    let body_hash = sha256_hex(arrival.body);
    if claimed_hash != body_hash {
        let detail = "x-acs-content-sha256 is not the hash of the body";
        return Err(Refusal::with(codes::SIGNATURE_DOES_NOT_MATCH, detail));
    }
    let signed = authorization
        .signed_headers
        .split(';')
        .map(|name| Some((name, arrival.header(name)?)))
        .collect::<Option<Vec<_>>>()
        .ok_or(codes::INCOMPLETE_SIGNATURE)?;
    let in_query = crate::wire::pairs(arrival.query()).unwrap_or_default();
    let query = canonical_query(in_query.iter().map(|(name, value)| (&**name, &**value)));
    let canonical = sign::canonical_request(
        arrival.parts.method.as_str(),
        &query,
        signed,
        authorization.signed_headers,
        &body_hash,
    );
    let to_sign = sign::string_to_sign(&canonical);
    prove(&live, &to_sign, |secret| {
        sign::verify(secret, &to_sign, authorization.signature)
    })?;
    fresh(arrival, live, nonce)
}

/// RPC signature version 1: parameters of the query and of the form are signed together.
fn admit_rpc(
    arrival: &Arrival<'_>,
    gate: Gate<'_>,
    given: &[(String, String)],
) -> Result<Arc<Live>, Refusal> {
    check_api(
        wire::required(given, "Version")?,
        wire::required(given, "Action")?,
    )?;
    for (name, wanted) in [
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
    ] {
        if wire::required(given, name)? != wanted {
            return Err(codes::INCOMPLETE_SIGNATURE.into());
        }
    }
    let nonce = wire::required(given, "SignatureNonce")?;
    let live = account(gate, wire::required(given, "AccessKeyId")?)?;
    check_clock(arrival, gate, wire::required(given, "Timestamp")?)?;
    let signature = wire::required(given, "Signature")?;
    let signed = given.iter().filter(|(name, _)| name != "Signature");
    let query = canonical_query(signed.map(|(name, value)| (&**name, &**value)));
    let to_sign = sign::rpc_string_to_sign(arrival.parts.method.as_str(), &query);
    prove(&live, &to_sign, |secret| {
        same(&sign::rpc_signature(secret, &to_sign), signature)
    })?;
    fresh(arrival, live, nonce)
}

fn check_api(version: &str, action: &str) -> Result<(), Refusal> {
    if version != VERSION {
        return Err(codes::INVALID_VERSION.into());
    }
    if !ACTIONS.contains(&action) {
        return Err(codes::INVALID_ACTION_NOT_FOUND.into());
    }
    Ok(())
}

fn account(gate: Gate<'_>, key: &str) -> Result<Arc<Live>, Refusal> {
    let live = gate.account(key);
    live.ok_or_else(|| codes::INVALID_ACCESS_KEY_ID_NOT_FOUND.into())
}

fn check_clock(arrival: &Arrival<'_>, gate: Gate<'_>, date: &str) -> Result<(), Refusal> {
    let sent = parse_utc(date).ok_or(codes::INVALID_TIME_STAMP_FORMAT)?;
    if arrival.seconds_off(sent) > gate.skew() {
        return Err(codes::INVALID_TIME_STAMP_EXPIRED.into());
    }
    Ok(())
}

fn prove(live: &Live, to_sign: &str, verify: impl Fn(&str) -> bool) -> Result<(), Refusal> {
    let account = live.account();
    let mut proved = false;
    for secret in &account.secrets {
        proved |= verify(secret.expose());
    }
    if proved {
        return Ok(());
    }
    // As the vendor does: without the server's reading, a wrong signature cannot be debugged.
    let detail = format!(
        "Specified signature is not matched with our calculation. server string to sign is:{to_sign}"
    );
    Err(Refusal::with(codes::SIGNATURE_DOES_NOT_MATCH, detail))
}

fn fresh(arrival: &Arrival<'_>, live: Arc<Live>, nonce: &str) -> Result<Arc<Live>, Refusal> {
    if live.take_nonce(nonce, arrival.at) {
        return Ok(live);
    }
    Err(codes::SIGNATURE_NONCE_USED.into())
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
