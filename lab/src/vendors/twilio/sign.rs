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

fn encoded<M: Mac + KeyInit>(key: &str, text: &str) -> String {
    let mac = <M as KeyInit>::new_from_slice(key.as_bytes());
    mac.map(|mac| STANDARD.encode(mac.chain_update(text).finalize().into_bytes()))
        .unwrap_or_default()
}

/// Under the auth token, HMAC-SHA1 in base64.
#[must_use]
pub fn signature(auth_token: &str, string_to_sign: &str) -> String {
    encoded::<Hmac<Sha1>>(auth_token, string_to_sign)
}

/// Under a shared key, HMAC-SHA256 in base64.
#[must_use]
pub fn shared_key_signature(key: &str, string_to_sign: &str) -> String {
    encoded::<Hmac<Sha256>>(key, string_to_sign)
}
