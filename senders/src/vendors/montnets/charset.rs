//! Texts as Montnets takes and gives them: the percent-encoded bytes of a charset. Pure.
//!
//! The manual V5.7.2 (`send_*`) writes UTF-8; the older API (`single_send` and so on) and its published examples write GBK.

use encoding_rs::{Encoding, GBK, UTF_8};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// How an account writes texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    Gbk,
    Utf8,
}

impl Charset {
    fn encoding(self) -> &'static Encoding {
        match self {
            Self::Gbk => GBK,
            Self::Utf8 => UTF_8,
        }
    }

    /// The text as it stands in a field, digits in lower case as in the examples; nothing when the charset lacks a
    /// character, such as an emoji in GBK.
    #[must_use]
    pub fn encode(self, text: &str) -> Option<String> {
        let (bytes, _, lacks) = self.encoding().encode(text);
        if lacks {
            return None;
        }
        let mut out = String::with_capacity(3 * bytes.len());
        for piece in percent_encode(&bytes, UNRESERVED) {
            match piece.strip_prefix('%') {
                Some(digits) => {
                    out.push('%');
                    out.push_str(&digits.to_ascii_lowercase());
                }
                None => out.push_str(piece),
            }
        }
        Some(out)
    }
}

/// Bytes as text: UTF-8 if they are, else GBK. Chinese in GBK is hardly ever valid UTF-8; the other way round it often is, so
/// the account's charset does not decide.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => GBK.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// The text of a field.
#[must_use]
pub fn decode(field: &str) -> String {
    let bytes: Vec<u8> = percent_decode_str(field).collect();
    text(&bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_written_in_the_charset_of_the_account() {
        assert_eq!(
            Charset::Gbk.encode("测试 1+1").unwrap(),
            "%b2%e2%ca%d4%201%2b1"
        );
        assert_eq!(Charset::Utf8.encode("测%").unwrap(), "%e6%b5%8b%25");
        assert_eq!(Charset::Gbk.encode("好😀"), None);
        assert_eq!(Charset::Utf8.encode("😀").unwrap(), "%f0%9f%98%80");
    }

    #[test]
    fn a_text_is_read_whatever_its_charset() {
        assert_eq!(decode("%b2%e2%ca%d4"), "测试");
        assert_eq!(decode("%e6%b5%8b%e8%af%95%21"), "测试!");
        assert_eq!(decode("TD"), "TD");
        assert_eq!(decode("%ff%"), "\u{fffd}%");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(text in ".{0,40}") {
            prop_assert_eq!(decode(&Charset::Utf8.encode(&text).unwrap()), text);
        }
    }
}
