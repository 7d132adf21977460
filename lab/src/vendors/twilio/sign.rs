//! `X-Twilio-Signature`, from the signer's side. Pure.
//!
//! Source: fact sheet, "X-Twilio-Signature"; the shared vectors check both stages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

/// The URL that is called, and the parameters of the form in order of name and value, each value of a name once.
#[must_use]
pub fn string_to_sign(url: &str, form: &[(String, String)]) -> String {
    let mut sorted: Vec<&(String, String)> = form.iter().collect();
    sorted.sort();
    sorted.dedup();
    sorted
        .into_iter()
        .fold(url.to_owned(), |text, (name, value)| text + name + value)
}

/// In base64.
#[must_use]
pub fn signature(auth_token: &str, string_to_sign: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()) else {
        return String::new();
    };
    mac.update(string_to_sign.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Under a shared key, HMAC-SHA256 in base64.
#[must_use]
pub fn shared_key_signature(key: &str, string_to_sign: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else {
        return String::new();
    };
    mac.update(string_to_sign.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}
