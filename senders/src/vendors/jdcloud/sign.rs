//! JDCLOUD2-HMAC-SHA256 and JDCLOUD3-HMAC-SHA256, the signatures of JD Cloud's API. Pure.
//!
//! Source: `jdcloud_sdk` 1.6.354 (3) and 1.6.26 (2); the vectors under `tests/fixtures/vectors` were made with them, one is
//! of its own tests. Both are one algorithm with different literals, but for the encoding of path and query. The SDK of 3
//! signs `content-type` and `host` only, unless the date and the nonce are set beforehand, as its tests do; we sign all four.
//! `authorization` and `user-agent` are never signed.

use hmac::{Hmac, KeyInit, Mac};
use jixinda_schemas::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros};

const DATE: &[BorrowedFormatItem<'_>] =
    macros::format_description!("[year][month][day]T[hour][minute][second]Z");
/// RFC 3986: all but the unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const ENCODED_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    Two,
    Three,
}

impl Generation {
    /// As it stands in the string to sign and in `Authorization`.
    #[must_use]
    pub const fn algorithm(self) -> &'static str {
        match self {
            Self::Two => "JDCLOUD2-HMAC-SHA256",
            Self::Three => "JDCLOUD3-HMAC-SHA256",
        }
    }

    /// Before the secret, where the key begins.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Two => "JDCLOUD2",
            Self::Three => "JDCLOUD3",
        }
    }

    /// At the end of the scope and of the key.
    const fn terminator(self) -> &'static str {
        match self {
            Self::Two => "jdcloud2_request",
            Self::Three => "jdcloud3_request",
        }
    }
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub generation: Generation,
    pub method: &'a str,
    /// Path of the URL, as it is sent.
    pub path: &'a str,
    /// Query string, as it is sent, without `?`.
    pub query: &'a str,
    /// Headers to sign, in any order; `host` with its port unless that is the default.
    pub headers: &'a [(&'a str, &'a str)],
    /// The exact bytes that are sent.
    pub body: &'a [u8],
    /// `20250102T030405Z`, as in `x-jdcloud-date`.
    pub date: &'a str,
    pub region: &'a str,
    /// `sms`.
    pub service: &'a str,
}

/// A signature and the stages that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub canonical_request: String,
    pub string_to_sign: String,
    /// Value of the header `authorization`.
    pub authorization: String,
}

/// Signs a request.
#[must_use]
pub fn sign(request: &Request<'_>, access_key: &str, secret_key: &str) -> Signed {
    let Request {
        generation,
        date,
        region,
        service,
        ..
    } = *request;
    let mut headers: Vec<(String, &str)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.trim()))
        .filter(|(name, _)| name != "authorization" && name != "user-agent")
        .collect();
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(n, v)| format!("{n}:{v}\n")).collect();
    let canonical_request = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{}",
        request.method,
        path(request.path, generation),
        query(request.query, generation),
        body_hash(request.body)
    );
    let algorithm = generation.algorithm();
    let day = date.get(..8).unwrap_or(date);
    let scope = format!("{day}/{region}/{service}/{}", generation.terminator());
    let string_to_sign = format!(
        "{algorithm}\n{date}\n{scope}\n{}",
        hex::encode(Sha256::digest(&canonical_request))
    );
    let key = [day, region, service, generation.terminator()]
        .into_iter()
        .fold(
            format!("{}{secret_key}", generation.prefix()).into_bytes(),
            |key, part| hmac(&key, part),
        );
    let signature = hex::encode(hmac(&key, &string_to_sign));
    let authorization = format!(
        "{algorithm} Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    Signed {
        canonical_request,
        string_to_sign,
        authorization,
    }
}

/// Encoded but for slashes; 3 decodes first and makes several slashes one. Never empty.
fn path(path: &str, generation: Generation) -> String {
    let encoded = match generation {
        Generation::Two => percent_encode(path.as_bytes(), ENCODED_PATH).to_string(),
        Generation::Three => {
            let mut decoded = decoded(path);
            decoded.dedup_by(|a, b| *a == b'/' && *b == b'/');
            percent_encode(&decoded, ENCODED_PATH).to_string()
        }
    };
    if encoded.starts_with('/') {
        encoded
    } else {
        format!("/{encoded}")
    }
}

/// Sorted pairs; 3 encodes them anew and leaves out what has no `=`.
fn query(query: &str, generation: Generation) -> String {
    let anew = |text: &str| percent_encode(&decoded(text), ENCODED).to_string();
    let parts = query.split('&').filter(|part| !part.is_empty());
    let mut pairs: Vec<(String, String)> = match generation {
        Generation::Two => parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect(),
        Generation::Three => parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (anew(name), anew(value)))
            .filter(|(name, _)| !name.is_empty())
            .collect(),
    };
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
    pairs.join("&")
}

/// A plus is a space here, in paths as well.
fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(&text.replace('+', " ")).collect()
}

/// Lower-case hex SHA-256 of the exact body, for the header `x-jdcloud-content-sha256`.
#[must_use]
pub fn body_hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// `x-jdcloud-date`: UTC to the second.
#[must_use]
pub fn date(now: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp(now.millis().div_euclid(1_000))
        .ok()
        .and_then(|at| at.format(DATE).ok())
        .unwrap_or_default()
}

/// `x-jdcloud-nonce`: random bits in the form of a UUID.
#[must_use]
pub fn nonce(bits: u128) -> String {
    // The version and the variant of a random one.
    let bits = bits & !(0xf000 << 64) & !(0xc000 << 48) | 0x4000 << 64 | 0x8000 << 48;
    let hex = format!("{bits:032x}");
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_the_form_of_a_random_uuid() {
        assert_eq!(nonce(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(nonce(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(date(Timestamp(1_735_787_045_678)), "20250102T030405Z");
    }

    #[test]
    fn path_and_query_are_encoded_anew_by_3_and_not_by_2() {
        assert_eq!(path("/a//b%20c~", Generation::Three), "/a/b%20c~");
        assert_eq!(path("/a//b c", Generation::Two), "/a//b%20c");
        assert_eq!(path("", Generation::Three), "/");
        assert_eq!(query("b=2&a=%2f+&c&", Generation::Three), "a=%2F%20&b=2");
        assert_eq!(query("a-b=2&a=%2f&c", Generation::Two), "a=%2f&a-b=2&c=");
    }

    #[test]
    fn headers_and_query_are_sorted_and_two_headers_are_never_signed() {
        let request = Request {
            generation: Generation::Two,
            method: "GET",
            path: "/",
            query: "b=2&a=1",
            headers: &[
                ("X-Jdcloud-Date", " 20250102T030405Z "),
                ("Host", "h:8000"),
                ("User-Agent", "u"),
                ("Authorization", "a"),
            ],
            body: b"",
            date: "20250102T030405Z",
            region: "cn-north-1",
            service: "sms",
        };
        let signed = sign(&request, "ak", "sk");
        let canonical = "GET\n/\na=1&b=2\nhost:h:8000\nx-jdcloud-date:20250102T030405Z\n\nhost;x-jdcloud-date\n";
        assert!(signed.canonical_request.starts_with(canonical));
        let begin = "JDCLOUD2-HMAC-SHA256 Credential=ak/20250102/cn-north-1/sms/jdcloud2_request, \
            SignedHeaders=host;x-jdcloud-date, Signature=";
        assert!(signed.authorization.starts_with(begin));
    }
}
