//! ACS3-HMAC-SHA256, from the verifier's side. Pure.
//!
//! Source: fact sheet, "Auth B - ACS3-HMAC-SHA256 (V3)"; the shared vectors check each stage.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// RFC 3986 unreserved characters stay, all else is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The parts of `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Authorization<'a> {
    pub credential: &'a str,
    pub signed_headers: &'a str,
    pub signature: &'a str,
}

/// `None` if the value is not of the documented form (no spaces after commas, this order not required).
pub fn parse_authorization(value: &str) -> Option<Authorization<'_>> {
    let rest = value.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for part in rest.split(',') {
        let (name, value) = part.split_once('=')?;
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => return None,
        };
        if value.is_empty() || slot.replace(value).is_some() {
            return None;
        }
    }
    Some(Authorization {
        credential: credential?,
        signed_headers: signed_headers?,
        signature: signature?,
    })
}

/// Parameters sorted by name in byte order, names and values percent-encoded, joined by `&`.
pub fn canonical_query<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut sorted: Vec<_> = parameters.into_iter().collect();
    sorted.sort_unstable();
    let mut query = String::with_capacity(256);
    for (name, value) in sorted {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(utf8_percent_encode(name, RESERVED));
        query.push('=');
        query.extend(utf8_percent_encode(value, RESERVED));
    }
    query
}

/// `headers` are the signed ones, names in lower case, in the order of `signed_headers`.
pub fn canonical_request<'a>(
    method: &str,
    query: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    signed_headers: &str,
    body_hash: &str,
) -> String {
    let mut text = String::with_capacity(query.len() + 768);
    text.push_str(method);
    text.push_str("\n/\n");
    text.push_str(query);
    text.push('\n');
    for (name, value) in headers {
        text.push_str(name);
        text.push(':');
        text.push_str(value.trim());
        text.push('\n');
    }
    for part in ["\n", signed_headers, "\n", body_hash] {
        text.push_str(part);
    }
    text
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub fn string_to_sign(canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{}", sha256_hex(canonical_request.as_bytes()))
}

/// Hex HMAC with the raw secret as key.
#[must_use]
pub fn signature(secret: &str, string_to_sign: &str) -> String {
    // An HMAC takes a key of any length, so the error arm cannot be reached.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(string_to_sign.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Compares in constant time.
#[must_use]
pub fn verify(secret: &str, string_to_sign: &str, claimed: &str) -> bool {
    signature(secret, string_to_sign)
        .as_bytes()
        .ct_eq(claimed.as_bytes())
        .into()
}
