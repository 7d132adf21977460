//! TC3-HMAC-SHA256, from the verifier's side. Pure.
//!
//! Source: fact sheet, "Auth TC3-HMAC-SHA256"; the shared vectors check each stage.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::wire::{hmac_sha256, sha256_hex};

const ALGORITHM: &str = "TC3-HMAC-SHA256";
const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// The parts of `TC3-HMAC-SHA256 Credential=<id>/<date>/<service>/tc3_request, SignedHeaders=…, Signature=…`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Authorization<'a> {
    pub secret_id: &'a str,
    pub date: &'a str,
    pub service: &'a str,
    pub signed_headers: &'a str,
    pub signature: &'a str,
}

/// `None` if the value is not of the documented form.
#[must_use]
pub fn parse_authorization(value: &str) -> Option<Authorization<'_>> {
    let rest = value.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
    let mut parts = rest.split(", ");
    let mut next = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
    let credential = next("Credential")?;
    let (signed_headers, signature) = (next("SignedHeaders")?, next("Signature")?);
    let mut credential = credential.rsplitn(4, '/');
    let (end, service, date, secret_id) = (
        credential.next()?,
        credential.next()?,
        credential.next()?,
        credential.next()?,
    );
    (end == "tc3_request" && !secret_id.is_empty()).then_some(Authorization {
        secret_id,
        date,
        service,
        signed_headers,
        signature,
    })
}

/// Of a POST to `/`; `signed` has names in lower case, in their order, with their values.
#[must_use]
pub fn canonical_request(signed: &[(&str, &str)], body: &[u8]) -> String {
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let lines: String = signed
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim().to_lowercase()))
        .collect();
    format!(
        "POST\n/\n\n{lines}\n{}\n{}",
        names.join(";"),
        sha256_hex(body)
    )
}

/// The day of a timestamp, UTC.
#[must_use]
pub fn date(timestamp: i64) -> String {
    OffsetDateTime::from_unix_timestamp(timestamp)
        .ok()
        .and_then(|moment| moment.format(DATE).ok())
        .unwrap_or_default()
}

#[must_use]
pub fn string_to_sign(timestamp: i64, service: &str, canonical_request: &str) -> String {
    let (date, hash) = (date(timestamp), sha256_hex(canonical_request.as_bytes()));
    format!("{ALGORITHM}\n{timestamp}\n{date}/{service}/tc3_request\n{hash}")
}

/// In hex.
#[must_use]
pub fn signature(secret: &str, timestamp: i64, service: &str, canonical_request: &str) -> String {
    let mut key = format!("TC3{secret}").into_bytes();
    for part in [&date(timestamp), service, "tc3_request"] {
        key = hmac_sha256(&key, part.as_bytes());
    }
    let to_sign = string_to_sign(timestamp, service, canonical_request);
    hex::encode(hmac_sha256(&key, to_sign.as_bytes()))
}
