//! RPC signature version 1 (HMAC-SHA1), the older of Alibaba Cloud's two. Pure.
//!
//! Source: `alibabacloud-openapi-util` 0.2.4 (`get_rpcsignature`) and `alibabacloud-tea-openapi` 0.4.6; the vectors under
//! `tests/fixtures/vectors` were made with them, one is Alibaba Cloud's own example. Parameters of the query and of the form
//! are signed together; the signature is one more parameter of the query.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::sign::{canonical_query, encode};

/// A signature and the stages that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// All parameters, sorted and encoded.
    pub canonical_query: String,
    pub string_to_sign: String,
    /// Value of the parameter `Signature`, not encoded.
    pub signature: String,
}

/// Signs a request to `/` with these parameters, not encoded, in any order.
#[must_use]
pub fn sign(method: &str, params: &[(&str, &str)], access_key_secret: &str) -> Signed {
    let canonical_query = canonical_query(params);
    let string_to_sign = format!("{method}&%2F&{}", encode(&canonical_query));
    let signature = STANDARD.encode(hmac(&format!("{access_key_secret}&"), &string_to_sign));
    Signed {
        canonical_query,
        string_to_sign,
        signature,
    }
}

/// The query string to send: those of the parameters that stand in the query, and the signature.
#[must_use]
pub fn query(params: &[(&str, &str)], signed: &Signed) -> String {
    let mut params = params.to_vec();
    params.push(("Signature", &signed.signature));
    canonical_query(&params)
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac(key: &str, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("any key length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_once_is_encoded_once_more_to_be_signed() {
        let signed = sign("POST", &[("b", "a b*"), ("A", "1")], "secret");
        assert_eq!(signed.canonical_query, "A=1&b=a%20b%2A");
        assert_eq!(signed.string_to_sign, "POST&%2F&A%3D1%26b%3Da%2520b%252A");
        let query = query(&[("A", "1")], &signed);
        assert!(query.starts_with("A=1&Signature=") && query.ends_with("%3D"));
    }
}
