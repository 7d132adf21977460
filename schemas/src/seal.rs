//! Secrets at rest: XChaCha20-Poly1305 with a key id and associated data.
//!
//! Text form `v1.<key id>.<base64url(nonce ‖ ciphertext ‖ tag)>`. The associated data names the place of the secret
//! (`channel/aliyun-a/access_key_secret`), so a sealed value that is copied elsewhere does not open.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Generate, Payload},
};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A sealed secret as it stands in a topic. Its text form is safe to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Sealed(pub String);

/// Why a sealed value does not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not the text form.
    #[error("not a sealed secret")]
    Format,
    /// Sealed under a key that is not configured.
    #[error("sealed under key `{0}`, which is not configured")]
    UnknownKey(String),
    /// Altered, or moved from another place.
    #[error("the sealed secret was altered, moved, or sealed under another key of the same id")]
    Rejected,
    /// The key is not 32 bytes of base64.
    #[error("the platform key must be 32 bytes in base64")]
    Key,
}

/// The platform key: seals secrets, and proves to the router that a record came through ingest.
#[derive(Clone)]
pub struct PlatformKey {
    id: String,
    cipher: XChaCha20Poly1305,
    ingest: Hmac<Sha256>,
    hash: [u8; 32],
}

impl fmt::Debug for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlatformKey({})", self.id)
    }
}

fn subkey(key: &[u8; 32], purpose: &str) -> [u8; 32] {
    let mut mac = hmac_sha256(key);
    mac.update(purpose.as_bytes());
    mac.finalize().into_bytes().into()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
pub(crate) fn hmac_sha256(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("any key length")
}

impl PlatformKey {
    /// From 32 bytes in standard base64. The id is derived from the key.
    ///
    /// # Errors
    /// [`Error::Key`] when it is not that.
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text.trim())
            .map_err(|_| Error::Key)?;
        let key: [u8; 32] = bytes.try_into().map_err(|_| Error::Key)?;
        let id = hex::encode(&Sha256::digest(subkey(&key, "key id"))[..4]);
        let cipher = XChaCha20Poly1305::new(&subkey(&key, "seal").into());
        Ok(Self {
            id,
            cipher,
            ingest: hmac_sha256(&subkey(&key, "ingest")),
            hash: subkey(&key, "phone hash"),
        })
    }

    /// Seals `secret` for the place `place`.
    #[must_use]
    #[expect(clippy::expect_used, reason = "fails only for inputs over 256 GiB")]
    pub fn seal(&self, place: &str, secret: &str) -> Sealed {
        let nonce = XNonce::generate();
        let text = self
            .cipher
            .encrypt(
                &nonce,
                Payload {
                    msg: secret.as_bytes(),
                    aad: place.as_bytes(),
                },
            )
            .expect("a secret is short");
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&text);
        Sealed(format!("v1.{}.{}", self.id, URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Opens what was sealed for the same `place`.
    ///
    /// # Errors
    /// When the value is not sealed under this key for this place.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<String, Error> {
        let mut parts = sealed.0.splitn(3, '.');
        let (Some("v1"), Some(id), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Error::Format);
        };
        if id != self.id {
            return Err(Error::UnknownKey(id.to_owned()));
        }
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| Error::Format)?;
        let (nonce, text) = bytes.split_at_checked(24).ok_or(Error::Format)?;
        let nonce: [u8; 24] = nonce.try_into().map_err(|_| Error::Format)?;
        let clear = self
            .cipher
            .decrypt(
                &nonce.into(),
                Payload {
                    msg: text,
                    aad: place.as_bytes(),
                },
            )
            .map_err(|_| Error::Rejected)?;
        String::from_utf8(clear).map_err(|_| Error::Rejected)
    }

    /// The value of the header [`crate::headers::INGEST_SEAL`] for a record value.
    #[must_use]
    pub fn ingest_seal(&self, value: &[u8]) -> String {
        let mut mac = self.ingest.clone();
        mac.update(value);
        hex::encode(&mac.finalize().into_bytes()[..16])
    }

    /// Whether `seal` is what ingest writes for `value`, compared in constant time.
    #[must_use]
    pub fn is_from_ingest(&self, value: &[u8], seal: &str) -> bool {
        self.ingest_seal(value)
            .as_bytes()
            .ct_eq(seal.as_bytes())
            .into()
    }

    /// Keyed hash that stands for a phone number in analytics, 32 hex digits.
    #[must_use]
    pub fn phone_hash(&self, phone: &crate::Phone) -> String {
        let mut mac = hmac_sha256(&self.hash);
        mac.update(phone.expose().as_bytes());
        hex::encode(&mac.finalize().into_bytes()[..16])
    }
}

/// Checks the header [`crate::headers::SIGNATURE`] of a direct record: `<key id>:<hex HMAC-SHA256 of the value>`.
/// `secrets` are the app's active (key id, secret) pairs.
#[must_use]
pub fn record_signature_matches(
    signature: &str,
    value: &[u8],
    secrets: &[(String, String)],
) -> bool {
    let Some((key_id, given)) = signature.split_once(':') else {
        return false;
    };
    secrets.iter().any(|(id, secret)| {
        id == key_id
            && bool::from(
                sign_record(secret, value)
                    .as_bytes()
                    .ct_eq(given.as_bytes()),
            )
    })
}

/// Lower-case hex HMAC-SHA256 of a record value, as a direct producer writes it after `<key id>:` into
/// [`crate::headers::SIGNATURE`].
#[must_use]
pub fn sign_record(secret: &str, value: &[u8]) -> String {
    let mut mac = hmac_sha256(secret.as_bytes());
    mac.update(value);
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> PlatformKey {
        PlatformKey::from_base64(&base64::engine::general_purpose::STANDARD.encode([byte; 32]))
            .unwrap()
    }

    #[test]
    fn a_secret_opens_only_with_its_key_at_its_place_unaltered() {
        let sealed = key(1).seal("channel/a/secret", "hunter2");
        assert!(!sealed.0.contains("hunter2"));
        assert_eq!(key(1).open("channel/a/secret", &sealed).unwrap(), "hunter2");
        assert!(matches!(
            key(1).open("channel/b/secret", &sealed),
            Err(Error::Rejected)
        ));
        assert!(matches!(
            key(2).open("channel/a/secret", &sealed),
            Err(Error::UnknownKey(_))
        ));
        let mut altered = sealed.0.clone();
        altered.pop();
        assert!(key(1).open("channel/a/secret", &Sealed(altered)).is_err());
    }

    #[test]
    fn a_record_is_from_ingest_only_under_the_platform_key() {
        let seal = key(1).ingest_seal(b"value");
        assert!(key(1).is_from_ingest(b"value", &seal));
        assert!(!key(1).is_from_ingest(b"valu3", &seal));
        assert!(!key(2).is_from_ingest(b"value", &seal));
    }

    #[test]
    fn a_signed_record_matches_one_active_secret() {
        let secrets = [
            ("k1".to_owned(), "one".to_owned()),
            ("k2".to_owned(), "two".to_owned()),
        ];
        let good = format!("k2:{}", sign_record("two", b"v"));
        assert!(record_signature_matches(&good, b"v", &secrets));
        assert!(!record_signature_matches(&good, b"w", &secrets));
        assert!(!record_signature_matches("k3:00", b"v", &secrets));
    }
}
