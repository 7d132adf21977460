//! Who calls, is it fresh, is it signed.
//!
//! Source: fact sheet, "Auth A", "Auth B" and the account class of "Errors". Which check comes first is not documented; here:
//! form of the headers, key, time, digest or signature, nonce. A nonce that comes again has no code of its own there:
//! E000101. SDK-HMAC has no nonce: the same bytes are good for as long as the clock allows.

use std::sync::Arc;

use super::{codes, sign};
use crate::codes::Code;
use crate::live::Live;
use crate::vendor::{Arrival, Gate, Refusal};
use crate::wire::{canonical_query, parse_utc, same};

const WSSE: &str = "WSSE";
const TOKEN: &str = "UsernameToken";
const LONGEST_NONCE: usize = 128;

fn find<'a>(attributes: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    let mut found = attributes.iter().filter(|(known, _)| *known == name);
    found
        .next()
        .map(|(_, value)| *value)
        .filter(|v| !v.is_empty())
}

/// The app key that the request names.
pub(super) fn key(arrival: &Arrival<'_>) -> Option<String> {
    let authorization = arrival.header("authorization")?;
    if let Some(parsed) = sign::parse_authorization(authorization) {
        return Some(parsed.access.to_owned());
    }
    let token = sign::attributes(arrival.header("x-wsse")?, TOKEN)?;
    find(&token, "Username").map(str::to_owned)
}

pub(super) fn admit(arrival: &Arrival<'_>, gate: Gate<'_>) -> Result<Arc<Live>, Refusal> {
    let authorization = arrival.header("authorization");
    let authorization = authorization.ok_or(codes::NO_AUTHORIZATION)?;
    if authorization.starts_with(sign::ALGORITHM) {
        by_signature(arrival, gate, authorization)
    } else {
        by_digest(arrival, gate, authorization)
    }
}

fn by_digest(
    arrival: &Arrival<'_>,
    gate: Gate<'_>,
    authorization: &str,
) -> Result<Arc<Live>, Refusal> {
    let form = sign::attributes(authorization, WSSE).ok_or(codes::NOT_WSSE)?;
    let fixed: [(&str, &str, &'static Code, &'static Code); 3] = [
        ("realm", "SDP", codes::NO_REALM, codes::WRONG_REALM),
        ("profile", TOKEN, codes::NO_PROFILE, codes::WRONG_PROFILE),
        ("type", "Appkey", codes::NO_TYPE, codes::WRONG_TYPE),
    ];
    for (name, wanted, missing, wrong) in fixed {
        if find(&form, name).ok_or(missing)? != wanted {
            return Err(wrong.into());
        }
    }
    let header = arrival.header("x-wsse").ok_or(codes::NO_X_WSSE)?;
    let token = sign::attributes(header, TOKEN).ok_or(codes::NO_USERNAME_TOKEN)?;
    let user = find(&token, "Username").ok_or(codes::NO_USERNAME)?;
    let nonce = find(&token, "Nonce").ok_or(codes::NO_NONCE)?;
    let created = find(&token, "Created").ok_or(codes::NO_CREATED)?;
    let digest = find(&token, "PasswordDigest").ok_or(codes::NO_DIGEST)?;
    if nonce.len() > LONGEST_NONCE || !nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(codes::NONCE_FORMAT.into());
    }
    let sent = parse_utc(created).ok_or(codes::CREATED_FORMAT)?;
    let live = known(arrival, gate, user, sent)?;
    let account = live.account();
    let mut proved = false;
    for secret in &account.secrets {
        let secret = secret.expose();
        proved |= same(&sign::digest_hex(secret, nonce, created), digest);
        proved |= same(&sign::digest_raw(secret, nonce, created), digest);
    }
    if !proved {
        return Err(codes::DIGEST_INVALID.into());
    }
    if live.take_nonce(nonce, arrival.at) {
        return Ok(live);
    }
    Err(Refusal::with(
        codes::AUTH_FAILED,
        "The Nonce was used already.",
    ))
}

fn by_signature(
    arrival: &Arrival<'_>,
    gate: Gate<'_>,
    authorization: &str,
) -> Result<Arc<Live>, Refusal> {
    let headers = |detail: &str| Refusal::with(codes::HEADERS, detail);
    let authorization = sign::parse_authorization(authorization)
        .ok_or_else(|| headers("The header Authorization is wrong."))?;
    let date = arrival
        .header("x-sdk-date")
        .ok_or_else(|| headers("The header X-Sdk-Date is missing."))?;
    let sent = sign::parse_date(date).ok_or_else(|| headers("The header X-Sdk-Date is wrong."))?;
    let live = known(arrival, gate, authorization.access, sent)?;
    let names: Vec<&str> = authorization.signed_headers.split(';').collect();
    // The hash rule hangs on its header, so that cannot be outside of what is signed.
    let claimed = arrival.header("x-sdk-content-sha256");
    let covered = ["host", "x-sdk-date"]
        .iter()
        .all(|name| names.contains(name))
        && (claimed.is_none() || names.contains(&"x-sdk-content-sha256"));
    let lower = names
        .iter()
        .all(|name| !name.contains('_') && !name.bytes().any(|byte| byte.is_ascii_uppercase()));
    if !covered || !lower || !names.is_sorted() {
        let detail = "SignedHeaders is not as documented.";
        return Err(Refusal::with(codes::SIGNATURE, detail));
    }
    let line = sign::payload_line(claimed, arrival.body);
    // Only forms go unsigned.
    let is_form = super::wire::is_form(arrival);
    if claimed.is_some_and(|claimed| claimed != line) || line == sign::UNSIGNED && !is_form {
        let detail = "X-Sdk-Content-Sha256 does not fit the body.";
        return Err(Refusal::with(codes::SIGNATURE, detail));
    }
    let signed: Option<Vec<_>> = names
        .iter()
        .map(|name| Some((*name, arrival.header(name)?)))
        .collect();
    let signed = signed.ok_or(codes::SIGNATURE)?;
    let in_query = crate::wire::pairs(arrival.query()).unwrap_or_default();
    let query = canonical_query(in_query.iter().map(|(name, value)| (&**name, &**value)));
    let method = arrival.parts.method.as_str();
    let canonical = sign::canonical_request(method, arrival.path(), &query, &signed, &line);
    let to_sign = sign::string_to_sign(date, &canonical);
    let account = live.account();
    let mut proved = false;
    for secret in &account.secrets {
        let signature = sign::signature(secret.expose(), &to_sign);
        proved |= same(&signature, authorization.signature);
    }
    if proved {
        return Ok(live);
    }
    Err(codes::SIGNATURE.into())
}

/// The account, if the time that the call claims is near.
fn known(
    arrival: &Arrival<'_>,
    gate: Gate<'_>,
    key: &str,
    sent: i64,
) -> Result<Arc<Live>, Refusal> {
    let live = gate.account(key).ok_or(codes::APP_KEY_INVALID)?;
    if arrival.seconds_off(sent) > gate.skew() {
        return Err(codes::TIME_LIMIT.into());
    }
    Ok(live)
}
