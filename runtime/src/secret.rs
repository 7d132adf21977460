//! Secrets in configuration: hidden in Debug, Display and Serialize.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A secret text. In a configuration file it is the text itself, or `{ file = "/path" }` to read it from a file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text in clear: only for where it is used.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this secret; takes the same time wherever they differ. An unset secret matches nothing.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        // Digests have one length, so not even the length of the secret shows.
        let equal: bool = Sha256::digest(&self.0)
            .as_slice()
            .ct_eq(Sha256::digest(given).as_slice())
            .into();
        equal && !self.0.is_empty()
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "(not set)"
        } else {
            "(hidden)"
        })
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            File { file: std::path::PathBuf },
        }
        match Form::deserialize(deserializer)
            .map_err(|_| de::Error::custom("a secret is a text or { file = \"/path\" }"))?
        {
            Form::Text(text) => Ok(Self(text)),
            Form::File { file } => std::fs::read_to_string(&file)
                .map(|text| Self(text.trim_end_matches(['\r', '\n']).to_owned()))
                .map_err(|e| {
                    de::Error::custom(format!("cannot read secret file {}: {e}", file.display()))
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_itself() {
        let s = Secret::new("hunter2");
        let shown = format!("{s} {s:?} {}", serde_json::to_string(&s).unwrap());
        assert!(!shown.contains("hunter2"));
    }

    #[test]
    fn only_the_same_text_matches_and_nothing_matches_an_unset_secret() {
        assert!(Secret::new("hunter2").matches("hunter2"));
        assert!(!Secret::new("hunter2").matches("hunter"));
        assert!(!Secret::default().matches(""));
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let path = std::env::temp_dir().join(format!("jixinda-secret-{}", std::process::id()));
        std::fs::write(&path, "hunter2\n").unwrap();
        let s: Secret = serde_json::from_value(serde_json::json!({"file": path})).unwrap();
        assert_eq!(s.expose(), "hunter2");
        std::fs::remove_file(path).unwrap();
    }
}
