//! ACS3-HMAC-SHA256, the signature of Alibaba Cloud's V3 requests. Pure.
//!
//! Source: `alibabacloud-tea-openapi` 0.4.6 (`Utils.get_authorization`); the vectors under `tests/fixtures/vectors`
//! were made with it. Signing the host, the `x-acs-*` headers and the content type is enough; the SDK signs every
//! header that it sends.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// Name of the algorithm, as it stands in the string to sign and in `Authorization`.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// RFC 3986: all but the unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Path of the URL, as it is sent.
    pub path: &'a str,
    /// Query parameters, not encoded, in any order.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers to sign, by lower-case name.
    pub headers: &'a BTreeMap<&'a str, String>,
    pub body: &'a [u8],
}

/// A signature and the stages that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Query string to send.
    pub query: String,
    pub canonical_request: String,
    pub string_to_sign: String,
    /// Value of the header `authorization`.
    pub authorization: String,
}

/// Signs a request. The key is the raw secret; nothing is derived from it.
#[must_use]
pub fn sign(request: &Request<'_>, access_key_id: &str, access_key_secret: &str) -> Signed {
    let query = canonical_query(request.query);
    let mut headers = String::new();
    for (name, value) in request.headers {
        headers.push_str(name);
        headers.push(':');
        headers.push_str(value.trim());
        headers.push('\n');
    }
    let names: Vec<&str> = request.headers.keys().copied().collect();
    let names = names.join(";");
    let canonical_request = format!(
        "{}\n{}\n{query}\n{headers}\n{names}\n{}",
        request.method,
        request.path,
        body_hash(request.body)
    );
    let string_to_sign = format!(
        "{ALGORITHM}\n{}",
        hex::encode(Sha256::digest(&canonical_request))
    );
    let signature = hmac(access_key_secret, &string_to_sign);
    let authorization = format!(
        "{ALGORITHM} Credential={access_key_id},SignedHeaders={names},Signature={signature}"
    );
    Signed {
        query,
        canonical_request,
        string_to_sign,
        authorization,
    }
}

/// Lower-case hex SHA-256 of the exact body, for the header `x-acs-content-sha256`.
#[must_use]
pub fn body_hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// Sorted and encoded.
pub(super) fn canonical_query(query: &[(&str, &str)]) -> String {
    let mut pairs: Vec<(String, String)> = query
        .iter()
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
    pairs.join("&")
}

pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac(key: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key length");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_sorted_and_encoded_by_rfc_3986() {
        assert_eq!(
            canonical_query(&[("b", "a b+c*~"), ("a", "测'")]),
            "a=%E6%B5%8B%27&b=a%20b%2Bc%2A~"
        );
        assert_eq!(canonical_query(&[]), "");
    }

    #[test]
    fn an_empty_body_has_the_well_known_hash() {
        assert!(body_hash(b"").starts_with("e3b0c44298fc1c14"));
    }
}
