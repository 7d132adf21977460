//! Recipients. A number is personal data: it masks itself wherever it is shown, and is clear only through
//! [`Phone::expose`] and in the event payload.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A telephone number in E.164: `+`, country code, subscriber number; 8 to 15 digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(Arc<str>);

/// Why a text is not a recipient. Never holds the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePhoneError {
    /// Something other than digits after the plus, or no plus.
    #[error(
        "not a number in E.164: write `+`, country code and number without spaces, such as +8613800138000"
    )]
    Format,
    /// Fewer than 8 or more than 15 digits.
    #[error("an E.164 number has 8 to 15 digits")]
    Length,
    /// A number under +86 that is no mobile number.
    #[error("not a mobile number of mainland China: 11 digits from 13 to 19")]
    NotMobile,
}

impl Phone {
    /// Reads what people write: E.164, and for mainland China also 11 digits, `86…` and `0086…`.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse_lenient(text: &str) -> Result<Self, ParsePhoneError> {
        let text = text.trim();
        if text.starts_with('+') {
            return text.parse();
        }
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParsePhoneError::Format);
        }
        let national = match text.len() {
            11 if text.starts_with('1') => text,
            13 => text.strip_prefix("86").ok_or(ParsePhoneError::Format)?,
            15 => text.strip_prefix("0086").ok_or(ParsePhoneError::Format)?,
            _ => return Err(ParsePhoneError::Format),
        };
        format!("+86{national}").parse()
    }

    /// The number in clear. Only for the wire and for keys.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The 11 digits of a mainland number; `None` for any other.
    #[must_use]
    pub fn china_national(&self) -> Option<&str> {
        self.0.strip_prefix("+86")
    }

    /// `138****8000` for mainland numbers; elsewhere the first digits and the last two.
    #[must_use]
    pub fn masked(&self) -> String {
        if let Some(n) = self.china_national() {
            return format!("{}****{}", &n[..3], &n[7..]);
        }
        let n = self.0.len();
        format!("{}****{}", &self.0[..3], &self.0[n - 2..])
    }

    /// The original carrier by prefix; numbers are portable, so it is a prior, never truth.
    ///
    /// Source: libphonenumber carrier data, region CN (longest prefix wins).
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.china_national().map_or(Carrier::Other, china_carrier)
    }

    /// The country that issued the number, as ISO 3166-1 alpha-2: `CN` for mainland China, `HK`, `US`. `INTL` for what
    /// belongs to no country (+870, +883) or is not assigned. Where countries share a code (+1, +7, +44), by
    /// libphonenumber's ranges.
    #[must_use]
    pub fn region(&self) -> String {
        const NONE: &str = "INTL";
        if self.china_national().is_some() {
            return "CN".to_owned();
        }
        phonenumber::parse(None, self.expose())
            .ok()
            .and_then(|number| number.country().id())
            .map_or_else(|| NONE.to_owned(), |id| id.as_ref().to_owned())
    }
}

/// Who first issued the number.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// China Mobile.
    Mobile,
    /// China Unicom.
    Unicom,
    /// China Telecom.
    Telecom,
    /// China Broadnet.
    Broadnet,
    /// Unknown, or outside mainland China.
    Other,
}

impl Carrier {
    /// Lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Unicom => "unicom",
            Self::Telecom => "telecom",
            Self::Broadnet => "broadnet",
            Self::Other => "other",
        }
    }
}

fn china_carrier(national: &str) -> Carrier {
    match &national[..4] {
        "1703" | "1705" | "1706" => return Carrier::Mobile,
        "1704" | "1707" | "1708" | "1709" => return Carrier::Unicom,
        "1700" | "1701" | "1702" => return Carrier::Telecom,
        "1349" => return Carrier::Other,
        _ => {}
    }
    match &national[..3] {
        "134" | "135" | "136" | "137" | "138" | "139" | "147" | "150" | "151" | "152" | "157"
        | "158" | "159" | "172" | "178" | "182" | "183" | "184" | "187" | "188" | "195" | "197"
        | "198" => Carrier::Mobile,
        "130" | "131" | "132" | "145" | "155" | "156" | "166" | "167" | "171" | "175" | "176"
        | "185" | "186" | "196" => Carrier::Unicom,
        "133" | "153" | "173" | "174" | "177" | "180" | "181" | "189" | "190" | "191" | "193"
        | "199" => Carrier::Telecom,
        "192" | "161" => Carrier::Broadnet,
        _ => Carrier::Other,
    }
}

impl FromStr for Phone {
    type Err = ParsePhoneError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let digits = s.strip_prefix('+').ok_or(ParsePhoneError::Format)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) || digits.starts_with('0') {
            return Err(ParsePhoneError::Format);
        }
        if !(8..=15).contains(&digits.len()) {
            return Err(ParsePhoneError::Length);
        }
        if let Some(national) = digits.strip_prefix("86") {
            let b = national.as_bytes();
            if b.len() != 11 || b[0] != b'1' || !(b'3'..=b'9').contains(&b[1]) {
                return Err(ParsePhoneError::NotMobile);
            }
        }
        Ok(Self(s.into()))
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for Phone {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Phone {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = std::borrow::Cow::<'de, str>::deserialize(d)?;
        s.parse().map_err(de::Error::custom)
    }
}

impl schemars::JsonSchema for Phone {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Phone".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^\\+[1-9][0-9]{7,14}$",
            "description": "E.164; also the Kafka record key"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_the_ways_to_write_a_mainland_number_are_one_number() {
        let want: Phone = "+8613800138000".parse().unwrap();
        for text in [
            "13800138000",
            "8613800138000",
            "008613800138000",
            " +8613800138000 ",
        ] {
            assert_eq!(Phone::parse_lenient(text).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_mobile_number_is_refused_with_the_cause() {
        assert_eq!(
            "+8601012345678".parse::<Phone>(),
            Err(ParsePhoneError::NotMobile)
        );
        assert_eq!("13800138000".parse::<Phone>(), Err(ParsePhoneError::Format));
        assert_eq!("+1234567".parse::<Phone>(), Err(ParsePhoneError::Length));
        assert_eq!(
            "+1 650 555 0100".parse::<Phone>(),
            Err(ParsePhoneError::Format)
        );
        assert_eq!(
            Phone::parse_lenient("１３８００１３８０００"),
            Err(ParsePhoneError::Format)
        );
    }

    #[test]
    fn a_number_masks_itself_when_shown() {
        let phone: Phone = "+8613800138000".parse().unwrap();
        assert_eq!(format!("{phone} {phone:?}"), "138****8000 138****8000");
        assert_eq!(
            "+16505550100".parse::<Phone>().unwrap().to_string(),
            "+16****00"
        );
    }

    #[test]
    fn carriers_follow_the_longest_prefix() {
        let carrier = |n: &str| Phone::parse_lenient(n).unwrap().carrier();
        assert_eq!(carrier("13800138000"), Carrier::Mobile);
        assert_eq!(carrier("17030138000"), Carrier::Mobile);
        assert_eq!(carrier("17000138000"), Carrier::Telecom);
        assert_eq!(carrier("17100138000"), Carrier::Unicom);
        assert_eq!(carrier("19200138000"), Carrier::Broadnet);
    }

    #[test]
    fn a_number_tells_its_country() {
        let region = |n: &str| n.parse::<Phone>().unwrap().region();
        for (number, country) in [
            ("+8613800138000", "CN"),
            ("+85261234567", "HK"),
            ("+85366123456", "MO"),
            ("+886912345678", "TW"),
            ("+16502530000", "US"),
            ("+16042530000", "CA"),
            ("+447400123456", "GB"),
            ("+79123456789", "RU"),
            ("+77710009998", "KZ"),
            ("+6581234567", "SG"),
            ("+870773111632", "INTL"),
            ("+99912345678", "INTL"),
        ] {
            assert_eq!(region(number), country, "{number}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_number_has_a_country_or_none(digits in "[1-9][0-9]{7,14}") {
            if let Ok(phone) = format!("+{digits}").parse::<Phone>() {
                let region = phone.region();
                let iso = region.len() == 2 && region.bytes().all(|b| b.is_ascii_uppercase());
                proptest::prop_assert!(iso || region == "INTL", "{}", region);
            }
        }
    }
}
