//! Percent-encoded text in GBK or UTF-8. Pure.
//!
//! Source: fact sheet, "Send fields"; a shared vector checks both.

use std::fmt::Write as _;

use encoding_rs::{Encoding, GBK, UTF_8};
use percent_encoding::percent_decode;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Charset {
    Gbk,
    Utf8,
}

impl Charset {
    /// By its name in settings.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        match name {
            "gbk" => Some(Self::Gbk),
            "utf-8" => Some(Self::Utf8),
            _ => None,
        }
    }

    fn encoding(self) -> &'static Encoding {
        match self {
            Self::Gbk => GBK,
            Self::Utf8 => UTF_8,
        }
    }

    /// `None` if the bytes are not of this charset.
    #[must_use]
    pub fn read(self, bytes: &[u8]) -> Option<String> {
        let text = self
            .encoding()
            .decode_without_bom_handling_and_without_replacement(bytes)?;
        Some(text.into_owned())
    }

    /// Percent-encoded, in lower hex. GBK has what it lacks as numeric references.
    #[must_use]
    pub fn percent(self, text: &str) -> String {
        let (bytes, _, _) = self.encoding().encode(text);
        bytes.iter().fold(String::new(), |mut percent, byte| {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
                percent.push(char::from(*byte));
            } else {
                // Writing to a String cannot fail.
                let _: std::fmt::Result = write!(percent, "%{byte:02x}");
            }
            percent
        })
    }
}

/// The bytes of percent-encoded text, where `+` is a space.
#[must_use]
pub fn unpercent(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).collect()
}
