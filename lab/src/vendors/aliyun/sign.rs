//! ACS3-HMAC-SHA256 and the RPC signature version 1, from the verifier's side. Pure.
//!
//! Source: fact sheet, "Auth A - RPC signature v1", "Auth B - ACS3-HMAC-SHA256 (V3)"; the shared vectors check each stage.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::wire::{hmac_sha256, percent, same, sha256_hex};

pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

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

pub fn string_to_sign(canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{}", sha256_hex(canonical_request.as_bytes()))
}

/// Hex HMAC with the raw secret as key.
#[must_use]
pub fn signature(secret: &str, string_to_sign: &str) -> String {
    hex::encode(hmac_sha256(secret.as_bytes(), string_to_sign.as_bytes()))
}

/// Compares in constant time.
#[must_use]
pub fn verify(secret: &str, string_to_sign: &str, claimed: &str) -> bool {
    same(&signature(secret, string_to_sign), claimed)
}

/// What the RPC signature version 1 signs: `query` is canonical, without the signature itself.
#[must_use]
pub fn rpc_string_to_sign(method: &str, query: &str) -> String {
    format!("{method}&%2F&{}", percent(query))
}

/// Base64 of HMAC-SHA1 under the secret and `&`.
#[must_use]
pub fn rpc_signature(secret: &str, string_to_sign: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(format!("{secret}&").as_bytes()) else {
        return String::new();
    };
    mac.update(string_to_sign.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}
