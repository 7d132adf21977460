//! Recipients as vendors write them.

/// A recipient as it was sent, cut to the vendor's own form, and in E.164.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Number {
    /// As it stands in answers and receipts.
    pub(crate) written: String,
    /// `+` and digits, for the journal.
    pub(crate) e164: String,
}

impl Number {
    /// The 11 digits of a mainland mobile number, from these, or with `+86`, `86`, `0086` before them.
    pub(crate) fn mainland(text: &str) -> Option<Self> {
        let mobile = |digits: &str| {
            digits.len() == 11
                && digits.starts_with('1')
                && digits.as_bytes()[1] >= b'3'
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        ["", "+86", "0086", "86"].into_iter().find_map(|prefix| {
            let digits = text.strip_prefix(prefix).filter(|rest| mobile(rest))?;
            Some(Self {
                written: digits.to_owned(),
                e164: format!("+86{digits}"),
            })
        })
    }

    /// Its 11 digits and nothing else.
    pub(crate) fn bare_mainland(text: &str) -> Option<Self> {
        Self::mainland(text).filter(|number| number.written == text)
    }

    /// What cannot be read, where one bad number does not spoil a call.
    pub(crate) fn unread(text: &str) -> Self {
        Self {
            written: text.to_owned(),
            e164: journalled(text),
        }
    }

    /// `prefix`, country code and number: `+` or nothing, by the vendor. Written as it came.
    pub(crate) fn international(text: &str, prefix: &str) -> Option<Self> {
        let digits = text.strip_prefix(prefix)?;
        let fits = (8..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        // Under 86 only mobile numbers of the mainland exist.
        let real = !digits.starts_with("86") || Self::mainland(digits).is_some();
        (fits && real).then(|| Self {
            written: text.to_owned(),
            e164: format!("+{digits}"),
        })
    }
}

/// For the journal, whatever was sent: E.164 where it can be read.
pub(crate) fn journalled(text: &str) -> String {
    Number::mainland(text)
        .or_else(|| Number::international(text, "+"))
        .or_else(|| Number::international(text, "00"))
        .or_else(|| Number::international(text, ""))
        .map_or_else(|| text.to_owned(), |number| number.e164)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_vendors_write_them() {
        for text in [
            "13800138000",
            "+8613800138000",
            "8613800138000",
            "008613800138000",
        ] {
            let number = Number::mainland(text).unwrap();
            assert_eq!(
                (&*number.written, &*number.e164),
                ("13800138000", "+8613800138000")
            );
            assert_eq!(journalled(text), "+8613800138000");
        }
        let number = Number::international("+6581234567", "+").unwrap();
        assert_eq!(
            (&*number.written, &*number.e164),
            ("+6581234567", "+6581234567")
        );
        for text in ["+8612800138000", "6581234567", "+0658123456", "+1", "+abc"] {
            assert_eq!(Number::international(text, "+"), None, "{text}");
        }
        for text in ["", "1380013800", "12800138000"] {
            assert_eq!(Number::mainland(text), None, "{text}");
        }
        assert_eq!(journalled("x"), "x");
    }
}
