//! A secret in memory: hidden in Debug, clear only through [`Secret::expose`].

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A clear secret, as it came out of its seal.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the clear text.
    #[must_use]
    pub fn new(clear: impl Into<String>) -> Self {
        Self(clear.into())
    }

    /// The clear text. Only for signing and for the wire.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this secret; takes the same time wherever they differ. An empty secret matches nothing.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        // Digests have one length, so not even the length of the secret shows.
        let equal: bool = Sha256::digest(&self.0)
            .as_slice()
            .ct_eq(Sha256::digest(given).as_slice())
            .into();
        equal && !self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_and_matches_only_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert!(secret.matches("hunter2"));
        assert!(!secret.matches("hunter"));
        assert!(!Secret::new("").matches(""));
    }
}
