//! X-WSSE and SDK-HMAC-SHA256, from the verifier's side, and of signed pushes from the signer's. Pure.
//!
//! Source: fact sheet, "Auth A", "Auth B"; the shared vectors check each stage.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::wire::{hmac_sha256, percent, sha256_hex};

pub const ALGORITHM: &str = "SDK-HMAC-SHA256";
/// In place of a body's hash.
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// The pairs of `Scheme name="value",name="value"`; `None` if the value is not of that form.
#[must_use]
pub fn attributes<'a>(value: &'a str, scheme: &str) -> Option<Vec<(&'a str, &'a str)>> {
    let rest = value.strip_prefix(scheme)?.strip_prefix(' ')?;
    rest.split(',')
        .map(|part| {
            let (name, quoted) = part.trim().split_once('=')?;
            Some((name, quoted.strip_prefix('"')?.strip_suffix('"')?))
        })
        .collect()
}

/// The password digest: base64 of the hash in hex.
#[must_use]
pub fn digest_hex(secret: &str, nonce: &str, created: &str) -> String {
    STANDARD.encode(sha256_hex(format!("{nonce}{created}{secret}").as_bytes()))
}

/// The password digest as the prose of the API reference has it: base64 of the bytes of the hash. UNCONFIRMED.
#[must_use]
pub fn digest_raw(secret: &str, nonce: &str, created: &str) -> String {
    STANDARD.encode(Sha256::digest(format!("{nonce}{created}{secret}")))
}

/// The parts of `SDK-HMAC-SHA256 Access=…, SignedHeaders=…, Signature=…`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Authorization<'a> {
    pub access: &'a str,
    pub signed_headers: &'a str,
    pub signature: &'a str,
}

/// `None` if the value is not of the documented form.
#[must_use]
pub fn parse_authorization(value: &str) -> Option<Authorization<'_>> {
    let rest = value.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
    let mut parts = rest.split(", ");
    let mut next = |name: &str| {
        let value = parts.next()?.strip_prefix(name)?.strip_prefix('=')?;
        (!value.is_empty()).then_some(value)
    };
    let parsed = Authorization {
        access: next("Access")?,
        signed_headers: next("SignedHeaders")?,
        signature: next("Signature")?,
    };
    parts.next().is_none().then_some(parsed)
}

/// `20250102T030405Z` as seconds since 1970.
#[must_use]
pub fn parse_date(text: &str) -> Option<i64> {
    let moment = PrimitiveDateTime::parse(text, DATE).ok()?;
    Some(moment.assume_utc().unix_timestamp())
}

/// `20250102T030405Z`.
#[must_use]
pub fn date(unix_seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix_seconds)
        .ok()
        .and_then(|moment| moment.format(DATE).ok())
        .unwrap_or_default()
}

/// The last line of the canonical request; `claimed` is the header `X-Sdk-Content-Sha256`.
#[must_use]
pub fn payload_line(claimed: Option<&str>, body: &[u8]) -> String {
    match claimed {
        Some(UNSIGNED) => UNSIGNED.to_owned(),
        _ => sha256_hex(body),
    }
}

/// Each segment percent-encoded, and always a slash at the end.
fn canonical_path(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        percent(&decoded)
    });
    let mut path = segments.collect::<Vec<_>>().join("/");
    if !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// `query` is canonical; `signed` has names in lower case, in their order, with their values.
#[must_use]
pub fn canonical_request(
    method: &str,
    path: &str,
    query: &str,
    signed: &[(&str, &str)],
    payload_line: &str,
) -> String {
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let lines: String = signed
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    let (path, names) = (canonical_path(path), names.join(";"));
    format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{payload_line}")
}

#[must_use]
pub fn string_to_sign(date: &str, canonical_request: &str) -> String {
    let hash = sha256_hex(canonical_request.as_bytes());
    format!("{ALGORITHM}\n{date}\n{hash}")
}

/// In hex.
#[must_use]
pub fn signature(secret: &str, string_to_sign: &str) -> String {
    hex::encode(hmac_sha256(secret.as_bytes(), string_to_sign.as_bytes()))
}
