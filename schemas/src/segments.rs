//! How many billed segments a text takes.
//!
//! Mainland China: every character counts 1, signature brackets included; up to 70 is one message, more is
//! ceil(n / 67). Elsewhere: GSM 03.38 septets 160 / 153 (extension characters cost 2), else UCS-2 70 / 67 counted
//! in UTF-16 code units, never splitting a surrogate or escape pair.

use std::borrow::Cow;

use crate::Phone;

/// The printable part of the GSM 03.38 default alphabet, with LF and CR.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The extension table; each costs two septets.
const GSM_EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// Segments of the full text, signature included, to `recipient`.
#[must_use]
pub fn count(text: &str, recipient: &Phone) -> u32 {
    if recipient.china_national().is_some() {
        china(text)
    } else {
        international(text)
    }
}

/// Whether the text can be written in the GSM 03.38 alphabet, extension table included; what cannot takes UCS-2.
#[must_use]
pub fn is_gsm(text: &str) -> bool {
    text.chars().all(|c| septets(c).is_some())
}

fn china(text: &str) -> u32 {
    let n = text.chars().count();
    if n <= 70 { 1 } else { n.div_ceil(67) as u32 }
}

fn international(text: &str) -> u32 {
    measure(text).parts
}

/// How a text is written on the air abroad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// GSM 03.38, seven bits a character.
    Gsm7,
    /// UTF-16, in units of two octets.
    Ucs2,
}

impl Charset {
    /// `gsm7` or `ucs2`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "gsm7",
            Self::Ucs2 => "ucs2",
        }
    }
}

/// Size of a text abroad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The smallest that holds every character.
    pub charset: Charset,
    /// Septets, or UTF-16 units.
    pub units: usize,
    /// Billed segments.
    pub parts: u32,
}

/// Measures a text for a recipient outside of mainland China.
#[must_use]
pub fn measure(text: &str) -> Measured {
    let of = |charset, costs: &[usize], single, each| Measured {
        charset,
        units: costs.iter().sum(),
        parts: parts(costs, single, each),
    };
    match text.chars().map(septets).collect::<Option<Vec<usize>>>() {
        Some(costs) => of(Charset::Gsm7, &costs, 160, 153),
        None => {
            let costs: Vec<usize> = text.chars().map(char::len_utf16).collect();
            of(Charset::Ucs2, &costs, 70, 67)
        }
    }
}

/// The text with typographic characters replaced by plain ones, if that lets it be written in the GSM alphabet: one curly
/// quote makes 160 characters 70. Otherwise the text as it was.
///
/// Only what stands for the same in print is replaced: quotes, dashes, dots, spaces, and the brackets of a signature.
/// Letters are never touched.
#[must_use]
pub fn smart(text: &str) -> Cow<'_, str> {
    if is_gsm(text) {
        return Cow::Borrowed(text);
    }
    let plain: String = text.chars().fold(String::new(), |mut plain, c| {
        match plain_form(c) {
            Some(form) => plain.push_str(form),
            None => plain.push(c),
        }
        plain
    });
    if is_gsm(&plain) {
        Cow::Owned(plain)
    } else {
        Cow::Borrowed(text)
    }
}

/// What a typographic character becomes.
fn plain_form(c: char) -> Option<&'static str> {
    Some(match c {
        '‘' | '’' | '‚' | '‛' | '′' | 'ʼ' | '`' | '´' => "'",
        '“' | '”' | '„' | '‟' | '″' | '«' | '»' => "\"",
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' => "-",
        '…' => "...",
        '•' | '·' => "-",
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\t' => " ",
        '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => "",
        '‹' => "<",
        '›' => ">",
        '⁄' | '∕' => "/",
        '【' => "[",
        '】' => "]",
        _ => return None,
    })
}

/// Septets of a character of the GSM alphabet.
fn septets(c: char) -> Option<usize> {
    match c {
        _ if GSM.contains(c) => Some(1),
        _ if GSM_EXTENSION.contains(c) => Some(2),
        _ => None,
    }
}

fn parts(costs: &[usize], single: usize, each: usize) -> u32 {
    if costs.iter().sum::<usize>() <= single {
        return 1;
    }
    let (mut parts, mut used) = (1, 0);
    for cost in costs {
        if used + cost > each {
            parts += 1;
            used = 0;
        }
        used += cost;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Phone {
        "+8613800138000".parse().unwrap()
    }

    fn abroad() -> Phone {
        "+16502530000".parse().unwrap()
    }

    #[test]
    fn chinese_billing_counts_characters_with_the_signature() {
        let text = |body: usize| format!("【测试签名】{}", "字".repeat(body));
        assert_eq!(count(&text(64), &home()), 1);
        assert_eq!(count(&text(65), &home()), 2);
        assert_eq!(count(&text(128), &home()), 2);
        assert_eq!(count(&text(129), &home()), 3);
    }

    #[test]
    fn extension_characters_cost_two_septets() {
        assert_eq!(count(&"a".repeat(160), &abroad()), 1);
        assert_eq!(count(&"a".repeat(161), &abroad()), 2);
        assert_eq!(count(&"€".repeat(80), &abroad()), 1);
        assert_eq!(count(&"€".repeat(81), &abroad()), 2);
    }

    #[test]
    fn one_character_outside_the_alphabet_makes_the_text_unicode() {
        assert!(is_gsm("Your code is 123456 [€]\n"));
        for other in ["`", "\t", "ç", "验证码 123456", "😀"] {
            assert!(!is_gsm(other), "{other}");
        }
    }

    #[test]
    fn a_surrogate_pair_is_never_split() {
        assert_eq!(count(&"😀".repeat(35), &abroad()), 1);
        assert_eq!(count(&"😀".repeat(67), &abroad()), 3);
    }

    #[test]
    fn one_curly_quote_costs_more_than_half_of_a_segment_unless_it_is_replaced() {
        let text = format!("It’s {}", "x".repeat(150));
        assert_eq!(
            (measure(&text).charset, count(&text, &abroad())),
            (Charset::Ucs2, 3)
        );
        let plain = smart(&text);
        assert_eq!(&plain[..5], "It's ");
        let measured = measure(&plain);
        assert_eq!(
            (measured.charset, measured.units, measured.parts),
            (Charset::Gsm7, 155, 1)
        );
        assert_eq!(
            smart("【ACME】“Sale” – 50 %…\u{a0}now"),
            "[ACME]\"Sale\" - 50 %... now"
        );
    }

    #[test]
    fn a_text_that_stays_unicode_is_left_as_it_is() {
        for text in ["验证码 “1”", "naïve ‘café’", "plain"] {
            assert_eq!(smart(text), text);
        }
    }
}
