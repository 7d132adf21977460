//! How many billed segments a text takes.
//!
//! Mainland China: every character counts 1, signature brackets included; up to 70 is one message, more is
//! ceil(n / 67). Elsewhere: GSM 03.38 septets 160 / 153 (extension characters cost 2), else UCS-2 70 / 67 counted
//! in UTF-16 code units, never splitting a surrogate or escape pair.

/// The printable part of the GSM 03.38 default alphabet, with LF and CR.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The extension table; each costs two septets.
const GSM_EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// Segments of the full text, signature included, for a recipient in `region` (`CN` or other).
#[must_use]
pub fn count(text: &str, region: &str) -> u32 {
    if region == "CN" {
        china(text)
    } else {
        international(text)
    }
}

fn china(text: &str) -> u32 {
    let n = text.chars().count();
    if n <= 70 { 1 } else { n.div_ceil(67) as u32 }
}

fn international(text: &str) -> u32 {
    let cost = |c: char| match c {
        _ if GSM.contains(c) => Some(1),
        _ if GSM_EXTENSION.contains(c) => Some(2),
        _ => None,
    };
    match text.chars().map(cost).collect::<Option<Vec<usize>>>() {
        Some(costs) => parts(&costs, 160, 153),
        None => parts(
            &text.chars().map(char::len_utf16).collect::<Vec<_>>(),
            70,
            67,
        ),
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
    use super::count;

    #[test]
    fn chinese_billing_counts_characters_with_the_signature() {
        let text = |body: usize| format!("【测试签名】{}", "字".repeat(body));
        assert_eq!(count(&text(64), "CN"), 1);
        assert_eq!(count(&text(65), "CN"), 2);
        assert_eq!(count(&text(128), "CN"), 2);
        assert_eq!(count(&text(129), "CN"), 3);
    }

    #[test]
    fn extension_characters_cost_two_septets() {
        assert_eq!(count(&"a".repeat(160), "INTL"), 1);
        assert_eq!(count(&"a".repeat(161), "INTL"), 2);
        assert_eq!(count(&"€".repeat(80), "INTL"), 1);
        assert_eq!(count(&"€".repeat(81), "INTL"), 2);
    }

    #[test]
    fn a_surrogate_pair_is_never_split() {
        assert_eq!(count(&"😀".repeat(35), "INTL"), 1);
        assert_eq!(count(&"😀".repeat(67), "INTL"), 3);
    }
}
