//! What the vendors' wires have in common: forms, percent-encoding, hashes, times of day.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::format_description::BorrowedFormatItem;
use time::macros::{format_description, offset};
use time::{OffsetDateTime, PrimitiveDateTime};

/// RFC 3986 unreserved characters stay, all else is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

const LOCAL: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
const UTC: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// Names and values of a form or query string, decoded. `None` if one is not UTF-8.
pub fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    text.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}

/// A form body; nothing when it is none.
pub(crate) fn form(body: &[u8]) -> Vec<(String, String)> {
    std::str::from_utf8(body)
        .ok()
        .and_then(pairs)
        .unwrap_or_default()
}

fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// User and password of HTTP Basic.
pub(crate) fn basic(header: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The first value of a name that is not empty.
pub(crate) fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = pairs.iter().filter(|(known, _)| known == name);
    values
        .next()
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

/// A string or a number of a JSON object, as text; nothing for an empty one.
pub(crate) fn text_of(object: &Value, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// RFC 3986.
pub fn percent(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Parameters sorted by name in byte order, names and values percent-encoded, joined by `&`.
pub fn canonical_query<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut sorted: Vec<_> = parameters.into_iter().collect();
    sorted.sort_unstable();
    let mut query = String::with_capacity(256);
    for (name, value) in sorted {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(utf8_percent_encode(name, RESERVED));
        query.push('=');
        query.extend(utf8_percent_encode(value, RESERVED));
    }
    query
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    // An HMAC takes a key of any length, so the error arm cannot be reached.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// Compares in constant time.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// `2025-01-02T03:04:05Z` as seconds since 1970.
pub(crate) fn parse_utc(text: &str) -> Option<i64> {
    let moment = PrimitiveDateTime::parse(text, UTC).ok()?;
    Some(moment.assume_utc().unix_timestamp())
}

fn moment(at_ms: u64) -> Option<OffsetDateTime> {
    let seconds = i64::try_from(at_ms / 1000).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

/// `2025-01-02T03:04:05Z`.
pub(crate) fn utc_time(at_ms: u64) -> String {
    moment(at_ms)
        .and_then(|moment| moment.format(UTC).ok())
        .unwrap_or_default()
}

/// `2025-01-02 11:04:05`, in Beijing.
pub(crate) fn beijing_time(at_ms: u64) -> String {
    moment(at_ms)
        .and_then(|moment| moment.to_offset(offset!(+8)).format(LOCAL).ok())
        .unwrap_or_default()
}

/// Billed parts of a text of the mainland, signature with its brackets included: up to 70 characters are one, else 67
/// each.
pub(crate) fn mainland_parts(characters: usize) -> usize {
    match characters {
        0..=70 => 1,
        more => more.div_ceil(67),
    }
}

/// The printable part of the GSM 03.38 alphabet that costs one septet, ASCII aside.
const GSM: &str = "£¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà\n\r";

/// Billed parts of a text abroad: in the GSM alphabet where it can be, else in UTF-16.
pub(crate) fn parts(text: &str) -> usize {
    gsm_parts(text).unwrap_or_else(|| utf16_parts(text))
}

/// 160 septets, or 153 in each of several; `None` where the alphabet lacks a character.
pub(crate) fn gsm_parts(text: &str) -> Option<usize> {
    let septets = text.chars().map(|c| match c {
        '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' | '€' | '\u{c}' => Some(2),
        '`' => None,
        ' '..='~' => Some(1),
        c => GSM.contains(c).then_some(1),
    });
    let septets: Option<Vec<usize>> = septets.collect();
    Some(packed(&septets?, 160, 153))
}

/// 70 UTF-16 units, or 67 in each of several.
pub(crate) fn utf16_parts(text: &str) -> usize {
    let units: Vec<usize> = text.chars().map(char::len_utf16).collect();
    packed(&units, 70, 67)
}

/// Parts that hold characters of these widths, none of which is split.
fn packed(widths: &[usize], single: usize, each: usize) -> usize {
    if widths.iter().sum::<usize>() <= single {
        return 1;
    }
    let (mut parts, mut held) = (1, 0);
    for width in widths {
        if held + width > each {
            (parts, held) = (parts + 1, 0);
        }
        held += width;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_forms_read_as_documented() {
        assert_eq!(parse_utc("2025-01-02T03:04:05Z"), Some(1_735_787_045));
        assert_eq!(parse_utc("2025-01-02T03:04:05+00:00"), None);
        assert_eq!(beijing_time(1_735_787_045_000), "2025-01-02 11:04:05");
        assert_eq!(utc_time(1_735_787_045_000), "2025-01-02T03:04:05Z");
        let read = pairs("a=%E6%B5%8B+x%2B&b=&c").unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read, [pair("a", "测 x+"), pair("b", ""), pair("c", "")]);
        assert_eq!(value(&read, "b"), None);
        assert_eq!(pairs("a=%ff"), None);
    }

    #[test]
    fn long_texts_have_parts_of_67() {
        for (characters, parts) in [(0, 1), (70, 1), (71, 2), (134, 2), (135, 3)] {
            assert_eq!(mainland_parts(characters), parts);
        }
    }

    #[test]
    fn no_character_is_split_between_parts() {
        for (text, expected) in [
            ("x".repeat(160), 1),
            ("x".repeat(161), 2),
            ("€".repeat(80), 1),
            ("€".repeat(153), 3),
            ("字".repeat(71), 2),
            ("😀".repeat(35), 1),
            ("😀".repeat(67), 3),
        ] {
            assert_eq!(parts(&text), expected, "{text}");
        }
        assert_eq!(gsm_parts("a`"), None);
        assert_eq!(utf16_parts(&"x".repeat(71)), 2);
    }
}
