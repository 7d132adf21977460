//! `X-Twilio-Signature`: what proves that a push comes from Twilio. Pure.
//!
//! Source: `twilio` 9.13.0 (`RequestValidator`): HMAC-SHA1 under the auth token of the URL that was called, followed, for
//! form posts, by each parameter's name and value in order of name; of a name that comes more than once each different
//! value once, sorted. The vectors under `tests/fixtures/vectors` were made with it. Pushes that name an algorithm in
//! `X-Twilio-Webhooks-Signature-Settings` (`key=webhooks_sharedkey_…,algorithm=HMAC_SHA256`) are signed by HMAC-SHA256 under
//! the shared key's secret.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

/// What a push is signed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA1 under the auth token.
    Sha1,
    /// HMAC-SHA256 under a shared key.
    Sha256,
}

impl Algorithm {
    /// By the header `X-Twilio-Webhooks-Signature-Settings`; nothing for a name that is not known.
    #[must_use]
    pub fn of(settings: Option<&str>) -> Option<Self> {
        let parts = settings.unwrap_or_default().split(',');
        let mut named = parts.filter_map(|part| {
            let (name, value) = part.split_once('=')?;
            (name.trim() == "algorithm" && !value.trim().is_empty()).then(|| value.trim())
        });
        match named.next() {
            None => Some(Self::Sha1),
            Some(name) if name.eq_ignore_ascii_case("HMAC_SHA1") => Some(Self::Sha1),
            Some(name) if name.eq_ignore_ascii_case("HMAC_SHA256") => Some(Self::Sha256),
            Some(_) => None,
        }
    }
}

/// The text that is signed.
#[must_use]
pub fn string_to_sign(url: &str, params: &[(String, String)]) -> String {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in params {
        sorted.entry(name).or_default().insert(value);
    }
    let mut text = url.to_owned();
    for (name, values) in sorted {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    text
}

// A key of any length is one.
fn mac<M: Mac + KeyInit>(key: &str, text: &str) -> Option<M> {
    let mac = <M as KeyInit>::new_from_slice(key.as_bytes()).ok();
    mac.map(|mac| mac.chain_update(text))
}

/// The signature of a text, as it stands in the header.
#[must_use]
pub fn signature(algorithm: Algorithm, key: &str, text: &str) -> String {
    fn encoded<M: Mac + KeyInit>(key: &str, text: &str) -> Option<String> {
        mac::<M>(key, text).map(|mac| STANDARD.encode(mac.finalize().into_bytes()))
    }
    let signature = match algorithm {
        Algorithm::Sha1 => encoded::<Hmac<Sha1>>(key, text),
        Algorithm::Sha256 => encoded::<Hmac<Sha256>>(key, text),
    };
    signature.unwrap_or_default()
}

/// Whether `signature` is that of the text; the comparison takes the same time wherever they differ.
#[must_use]
pub fn verify(algorithm: Algorithm, key: &str, text: &str, signature: &str) -> bool {
    fn is_right<M: Mac + KeyInit>(key: &str, text: &str, given: &[u8]) -> bool {
        mac::<M>(key, text).is_some_and(|mac| mac.verify_slice(given).is_ok())
    }
    let Ok(given) = STANDARD.decode(signature) else {
        return false;
    };
    match algorithm {
        Algorithm::Sha1 => is_right::<Hmac<Sha1>>(key, text, &given),
        Algorithm::Sha256 => is_right::<Hmac<Sha256>>(key, text, &given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_algorithm_is_the_one_that_is_named() {
        for (settings, want) in [
            (None, Some(Algorithm::Sha1)),
            (Some(""), Some(Algorithm::Sha1)),
            (Some("key=webhooks_sharedkey_1"), Some(Algorithm::Sha1)),
            (
                Some("key=webhooks_sharedkey_1, algorithm=HMAC_SHA256"),
                Some(Algorithm::Sha256),
            ),
            (Some("algorithm=hmac_sha1"), Some(Algorithm::Sha1)),
            (Some("algorithm=HMAC_MD5"), None),
        ] {
            assert_eq!(Algorithm::of(settings), want, "{settings:?}");
        }
    }

    /// Made with `twilio` 9.13.0, `RequestValidator.compute_signature`.
    #[test]
    fn a_shared_key_signs_as_the_sdk_does() {
        let params = [("MessageSid", "SMb"), ("MessageStatus", "delivered")];
        let params = params.map(|(n, v)| (n.to_owned(), v.to_owned()));
        let text = string_to_sign("https://cb.example.com/s?mid=1", &params);
        let wanted = "9BcZ3hWdwhrGkVc+xScBCqapMUVf5hDxFUGlLDAGLQk=";
        assert_eq!(signature(Algorithm::Sha256, "sharedSecret", &text), wanted);
        assert!(verify(Algorithm::Sha256, "sharedSecret", &text, wanted));
        assert!(!verify(Algorithm::Sha1, "sharedSecret", &text, wanted));
        assert!(!verify(Algorithm::Sha256, "another", &text, wanted));
    }
}
