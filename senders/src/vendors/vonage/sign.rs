//! What proves whose a call is, and that a push comes from Vonage. Pure.
//!
//! Source: `vonage-http-client` 1.5.2 (`Auth.sign_params`), with which the vectors under `tests/fixtures/vectors` were made:
//! each parameter but `sig` in order of name as `&name=value`, `&` and `=` in values replaced by `_`, under HMAC. The older
//! hash without HMAC has the secret at the end of the text (not confirmed by the SDK).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jixinda_runtime::secret::Secret;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// Name of the parameter that holds the signature.
pub const SIG: &str = "sig";

/// How the account signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// MD5 of the text and the secret.
    Md5Hash,
    /// The others are HMACs.
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

/// Every method by its name.
pub const METHODS: [(&str, Method); 5] = [
    ("md5hash", Method::Md5Hash),
    ("md5", Method::Md5),
    ("sha1", Method::Sha1),
    ("sha256", Method::Sha256),
    ("sha512", Method::Sha512),
];

/// The text that is signed.
#[must_use]
pub fn string_to_sign<N: AsRef<str>, V: AsRef<str>>(params: &[(N, V)]) -> String {
    let mut sorted: Vec<(&str, &str)> = params
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_ref()))
        .filter(|(name, _)| *name != SIG)
        .collect();
    sorted.sort_by_key(|(name, _)| *name);
    let mut text = String::new();
    for (name, value) in sorted {
        text.push('&');
        text.push_str(name);
        text.push('=');
        text.push_str(&value.replace(['&', '='], "_"));
    }
    text
}

/// The signature of a text, in lower case.
#[must_use]
pub fn signature(method: Method, secret: &str, text: &str) -> String {
    // A key of any length is one.
    macro_rules! hmac {
        ($hash:ty) => {
            Hmac::<$hash>::new_from_slice(secret.as_bytes())
                .map(|mac| hex::encode(mac.chain_update(text).finalize().into_bytes()))
                .unwrap_or_default()
        };
    }
    match method {
        Method::Md5Hash => hex::encode(Md5::digest(format!("{text}{secret}"))),
        Method::Md5 => hmac!(Md5),
        Method::Sha1 => hmac!(Sha1),
        Method::Sha256 => hmac!(Sha256),
        Method::Sha512 => hmac!(Sha512),
    }
}

/// Whether `given` is the signature of the text, letter case aside; the comparison takes the same time wherever they differ.
#[must_use]
pub fn verify(method: Method, secret: &str, text: &str, given: &str) -> bool {
    Secret::new(signature(method, secret, text)).matches(&given.to_ascii_lowercase())
}

/// `Authorization` of a call that is not signed.
#[must_use]
pub fn basic(api_key: &str, api_secret: &str) -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!("{api_key}:{api_secret}"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_text_under_the_same_secret_has_the_signature() {
        let text = string_to_sign(&[("b", "x=1&y"), ("sig", "old"), ("a", "2")]);
        assert_eq!(text, "&a=2&b=x_1_y");
        for (name, method) in METHODS {
            let sig = signature(method, "s", &text);
            assert!(verify(method, "s", &text, &sig.to_uppercase()), "{name}");
            assert!(!verify(method, "t", &text, &sig), "{name}");
            assert!(!verify(method, "s", "&a=3", &sig), "{name}");
            assert!(!verify(method, "s", &text, ""), "{name}");
        }
    }
}
