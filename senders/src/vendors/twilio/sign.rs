//! `X-Twilio-Signature`: what proves that a push comes from Twilio. Pure.
//!
//! Source: `twilio` 9.13.0 (`RequestValidator`): HMAC-SHA1 under the auth token of the URL that was called, followed, for
//! form posts, by each parameter's name and value in order of name; of a name that comes more than once each different
//! value once, sorted. The vectors under `tests/fixtures/vectors` were made with it.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

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

fn mac(auth_token: &str, text: &str) -> Option<Hmac<Sha1>> {
    // A key of any length is one.
    let mut mac = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}

/// The signature of a text, as it stands in the header.
#[must_use]
pub fn signature(auth_token: &str, text: &str) -> String {
    let mac = mac(auth_token, text);
    mac.map(|mac| STANDARD.encode(mac.finalize().into_bytes()))
        .unwrap_or_default()
}

/// Whether `signature` is that of the text; the comparison takes the same time wherever they differ.
#[must_use]
pub fn verify(auth_token: &str, text: &str, signature: &str) -> bool {
    let Ok(given) = STANDARD.decode(signature) else {
        return false;
    };
    mac(auth_token, text).is_some_and(|mac| mac.verify_slice(&given).is_ok())
}
