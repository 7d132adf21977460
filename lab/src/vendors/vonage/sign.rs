//! The message signature, of requests and of webhooks. Pure.
//!
//! Source: fact sheet, "Message signature"; the shared vectors check both stages.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// An account's form of signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// The secret is hashed behind the text. UNCONFIRMED.
    Md5Hash,
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl Method {
    /// By its name in settings.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        match name {
            "md5hash" => Some(Self::Md5Hash),
            "md5" => Some(Self::Md5),
            "sha1" => Some(Self::Sha1),
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }
}

/// All parameters but `sig` in order of name, each `&name=value`, with `_` for `&` and `=` in values, which stand as they are.
#[must_use]
pub fn string_to_sign(parameters: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = parameters
        .iter()
        .filter(|(name, _)| name != "sig")
        .collect();
    sorted.sort();
    sorted
        .into_iter()
        .fold(String::new(), |text, (name, value)| {
            text + "&" + name + "=" + &value.replace(['&', '='], "_")
        })
}

macro_rules! hmac_hex {
    ($hash:ty, $secret:expr, $text:expr) => {{
        let Ok(mut mac) = Hmac::<$hash>::new_from_slice($secret.as_bytes()) else {
            return String::new();
        };
        mac.update($text.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }};
}

/// In lower hex.
#[must_use]
pub fn signature(method: Method, secret: &str, string_to_sign: &str) -> String {
    match method {
        Method::Md5Hash => hex::encode(Md5::digest(format!("{string_to_sign}{secret}"))),
        Method::Md5 => hmac_hex!(Md5, secret, string_to_sign),
        Method::Sha1 => hmac_hex!(Sha1, secret, string_to_sign),
        Method::Sha256 => hmac_hex!(Sha256, secret, string_to_sign),
        Method::Sha512 => hmac_hex!(Sha512, secret, string_to_sign),
    }
}
