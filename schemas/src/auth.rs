//! Signed requests: `Authorization: JIXINDA-HMAC-SHA256 key=…, ts=…, nonce=…, sig=…`.
//!
//! The signature is lower-case hex HMAC-SHA256, under the app's secret, of these seven lines joined by `\n`, with
//! no line end after the last: method, path, sorted query, lower-case hex SHA-256 of the body, key id, ts, nonce.
//! The query is sorted by the bytes of each `name=value` as sent, still percent-encoded.
//! `ts` is Unix time in seconds; the server takes ±300 s. `schemas/json/auth/` has worked examples.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::seal::hmac_sha256;
use hmac::Mac;

/// The scheme name.
pub const SCHEME: &str = "JIXINDA-HMAC-SHA256";
/// How far `ts` may be from the server's clock, in seconds.
pub const MAX_SKEW_SECONDS: i64 = 300;

/// What a signature covers.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    /// `POST`.
    pub method: &'a str,
    /// Path as sent, still percent-encoded.
    pub path: &'a str,
    /// Raw query string without `?`, or empty.
    pub query: &'a str,
    /// The body's bytes.
    pub body: &'a [u8],
    /// Key id of the credential.
    pub key: &'a str,
    /// Unix time in seconds.
    pub ts: i64,
    /// 8 to 64 characters of `A-Z a-z 0-9 _ - .`.
    pub nonce: &'a str,
}

impl Signable<'_> {
    /// The text that is signed.
    #[must_use]
    pub fn string_to_sign(&self) -> String {
        let mut query: Vec<&str> = self
            .query
            .split('&')
            .filter(|part| !part.is_empty())
            .collect();
        query.sort_unstable();
        format!(
            "{}\n{}\n{}\n{}\n{}\n{}\n{}",
            self.method,
            self.path,
            query.join("&"),
            hex::encode(Sha256::digest(self.body)),
            self.key,
            self.ts,
            self.nonce
        )
    }

    /// Lower-case hex signature under `secret`.
    #[must_use]
    pub fn sign(&self, secret: &str) -> String {
        let mut mac = hmac_sha256(secret.as_bytes());
        mac.update(self.string_to_sign().as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    /// The whole header value.
    #[must_use]
    pub fn authorization(&self, secret: &str) -> String {
        format!(
            "{SCHEME} key={}, ts={}, nonce={}, sig={}",
            self.key,
            self.ts,
            self.nonce,
            self.sign(secret)
        )
    }

    /// Compares in constant time.
    #[must_use]
    pub fn verify(&self, secret: &str, signature: &str) -> bool {
        self.sign(secret)
            .as_bytes()
            .ct_eq(signature.as_bytes())
            .into()
    }
}

/// The parts of the header value.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Key id.
    pub key: String,
    /// Unix time in seconds.
    pub ts: i64,
    /// Used once.
    pub nonce: String,
    /// Lower-case hex.
    pub signature: String,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization")
            .field("key", &self.key)
            .field("ts", &self.ts)
            .finish_non_exhaustive()
    }
}

/// Names the part of the header that is absent or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Authorization: `{0}` is absent or malformed; write {SCHEME} key=…, ts=…, nonce=…, sig=…")]
pub struct ParseError(pub &'static str);

impl Authorization {
    /// Reads the header value.
    ///
    /// # Errors
    /// Names the part that is absent or malformed.
    pub fn parse(value: &str) -> Result<Self, ParseError> {
        let rest = value.strip_prefix(SCHEME).ok_or(ParseError("scheme"))?;
        let (mut key, mut ts, mut nonce, mut sig) = (None, None, None, None);
        for part in rest.split(',') {
            let (name, value) = part
                .trim()
                .split_once('=')
                .ok_or(ParseError("name=value"))?;
            let slot = match name {
                "key" => &mut key,
                "ts" => &mut ts,
                "nonce" => &mut nonce,
                "sig" => &mut sig,
                _ => return Err(ParseError("name")),
            };
            if slot.replace(value).is_some() {
                return Err(ParseError("name given twice"));
            }
        }
        let word = |s: Option<&str>, what, range: std::ops::RangeInclusive<usize>| {
            s.filter(|s| range.contains(&s.len()))
                .filter(|s| {
                    s.bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
                })
                .map(ToOwned::to_owned)
                .ok_or(ParseError(what))
        };
        Ok(Self {
            key: word(key, "key", 1..=64)?,
            ts: ts.and_then(|v| v.parse().ok()).ok_or(ParseError("ts"))?,
            nonce: word(nonce, "nonce", 8..=64)?,
            signature: word(sig, "sig", 64..=64)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signable(body: &[u8]) -> Signable<'_> {
        Signable {
            method: "POST",
            path: "/v1/messages",
            query: "b=2&a=1",
            body,
            key: "k1",
            ts: 1_735_787_045,
            nonce: "0f8fad5bd9cb469f",
        }
    }

    #[test]
    fn the_query_is_signed_in_sorted_order() {
        assert!(
            signable(b"{}")
                .string_to_sign()
                .starts_with("POST\n/v1/messages\na=1&b=2\n44136fa3")
        );
    }

    #[test]
    fn a_header_round_trips_and_an_altered_body_does_not_verify() {
        let header = signable(b"{}").authorization("secret");
        let parsed = Authorization::parse(&header).unwrap();
        assert!(signable(b"{}").verify("secret", &parsed.signature));
        assert!(!signable(b"{ }").verify("secret", &parsed.signature));
        assert!(!signable(b"{}").verify("Secret", &parsed.signature));
    }

    #[test]
    fn a_malformed_header_names_the_part() {
        assert_eq!(Authorization::parse("Basic x"), Err(ParseError("scheme")));
        let no_ts = format!("{SCHEME} key=a, nonce=12345678, sig={}", "0".repeat(64));
        assert_eq!(Authorization::parse(&no_ts), Err(ParseError("ts")));
        assert_eq!(
            Authorization::parse(&format!("{SCHEME} key=a, key=b")),
            Err(ParseError("name given twice"))
        );
    }
}
