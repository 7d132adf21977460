//! The business rules of SendSms, in the order in which they are judged. Pure.
//!
//! Source: fact sheet, "SendSms". Stricter than the vendor in one point, on purpose: an unknown parameter is
//! refused (`isv.INVALID_PARAMETERS`) instead of ignored, so that a misspelt optional one is noticed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::codes::{self, Code};
use crate::account::{Account, Template};

const MAX_NUMBERS: usize = 1000;
const MAX_OUT_ID: usize = 255;
const OPTIONAL: &[&str] = &[
    "OutId",
    "SmsUpExtendCode",
    "OwnerId",
    "ResourceOwnerAccount",
    "ResourceOwnerId",
];

/// The parameters as sent, unjudged, so that refused calls are journalled with what they held.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) phone_numbers: Option<String>,
    pub(crate) sign_name: Option<String>,
    pub(crate) template_code: Option<String>,
    pub(crate) template_param: Option<String>,
    pub(crate) out_id: Option<String>,
    unknown: Option<String>,
}

impl Fields {
    pub(crate) fn collect(pairs: Vec<(String, String)>) -> Self {
        let mut fields = Self::default();
        for (name, value) in pairs {
            let slot = match name.as_str() {
                "PhoneNumbers" => &mut fields.phone_numbers,
                "SignName" => &mut fields.sign_name,
                "TemplateCode" => &mut fields.template_code,
                "TemplateParam" => &mut fields.template_param,
                "OutId" => &mut fields.out_id,
                known if OPTIONAL.contains(&known) => continue,
                _ => {
                    fields.unknown = Some(name);
                    continue;
                }
            };
            *slot = Some(value);
        }
        fields
    }

    /// The numbers for the journal: E.164 where they can be read, else as sent.
    pub(crate) fn recipients(&self) -> Vec<String> {
        split(self.phone_numbers.as_deref().unwrap_or_default())
            .map(|number| match Number::parse(number) {
                Some(number) => number.e164(),
                None => number.to_owned(),
            })
            .collect()
    }

    pub(crate) fn params(&self) -> Option<BTreeMap<String, String>> {
        serde_json::from_str(self.template_param.as_deref()?).ok()
    }
}

fn split(numbers: &str) -> impl Iterator<Item = &str> {
    numbers.split(',').filter(|number| !number.is_empty())
}

/// A recipient as the vendor writes it in receipts: 11 digits for the mainland, else country code and number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Number(String);

impl Number {
    /// Mainland with or without `+86`, `86`, `0086`; foreign as digits with country code and without plus.
    fn parse(text: &str) -> Option<Self> {
        let mainland = |digits: &str| {
            digits.len() == 11
                && digits.starts_with('1')
                && digits.as_bytes()[1] >= b'3'
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        for prefix in ["", "+86", "0086", "86"] {
            if let Some(digits) = text.strip_prefix(prefix).filter(|rest| mainland(rest)) {
                return Some(Self(digits.to_owned()));
            }
        }
        let foreign = (7..=15).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && !text.starts_with('0')
            && !text.starts_with("86")
            // Country code 1 has numbers of 11 digits; from 13 up they read as mainland ones.
            && (!text.starts_with('1') || text.len() == 11 && text.starts_with("12"));
        foreign.then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_sent(&self) -> &str {
        &self.0
    }

    pub(crate) fn e164(&self) -> String {
        // A foreign number of 11 digits from 13 up would be North American; the vendor reads it as mainland.
        if self.0.len() == 11 && self.0.as_bytes()[0] == b'1' && self.0.as_bytes()[1] >= b'3' {
            format!("+86{}", self.0)
        } else {
            format!("+{}", self.0)
        }
    }
}

/// A call that the rules let through.
#[derive(Debug)]
pub(crate) struct Submit {
    pub(crate) numbers: Vec<Number>,
    pub(crate) sms_size: usize,
}

/// Why not, with a message of its own where one helps.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: &'static Code,
    pub(crate) detail: Option<String>,
}

impl From<&'static Code> for Refusal {
    fn from(code: &'static Code) -> Self {
        Self { code, detail: None }
    }
}

impl Refusal {
    pub(crate) fn with(code: &'static Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
        }
    }
}

pub(crate) fn judge(fields: &Fields, account: &Account) -> Result<Submit, Refusal> {
    let required = |name: &str, value: &'_ Option<String>| match value.as_deref() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(Refusal::with(
            codes::MISSING_PARAMETER,
            format!("{name} is mandatory for this action."),
        )),
    };
    let phone_numbers = required("PhoneNumbers", &fields.phone_numbers)?;
    let sign_name = required("SignName", &fields.sign_name)?;
    let template_code = required("TemplateCode", &fields.template_code)?;
    if let Some(name) = &fields.unknown {
        let detail = format!("unknown parameter {name}");
        return Err(Refusal::with(codes::INVALID_PARAMETERS, detail));
    }
    let out_id = fields.out_id.as_deref().unwrap_or_default();
    if out_id.chars().count() > MAX_OUT_ID {
        return Err(Refusal::with(
            codes::INVALID_PARAMETERS,
            "OutId is too long",
        ));
    }
    if split(&phone_numbers).count() > MAX_NUMBERS {
        return Err(codes::MOBILE_COUNT_OVER_LIMIT.into());
    }
    let numbers = phone_numbers
        .split(',')
        .map(Number::parse)
        .collect::<Option<Vec<_>>>()
        .ok_or(codes::MOBILE_NUMBER_ILLEGAL)?;
    if !account.sign_names.contains(&sign_name) {
        return Err(codes::SMS_SIGNATURE_ILLEGAL.into());
    }
    let template = account
        .templates
        .get(&template_code)
        .ok_or(codes::SMS_TEMPLATE_ILLEGAL)?;
    let params = read_params(fields.template_param.as_deref())?;
    if let Some(name) = template
        .variables
        .iter()
        .find(|name| !params.contains_key(*name))
    {
        let detail = format!("模板变量缺少对应参数值: {name}");
        return Err(Refusal::with(codes::TEMPLATE_MISSING_PARAMETERS, detail));
    }
    Ok(Submit {
        numbers,
        sms_size: sms_size(template, &sign_name, &params),
    })
}

fn read_params(text: Option<&str>) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(BTreeMap::new());
    };
    let Ok(Value::Object(object)) = serde_json::from_str(text) else {
        return Err(codes::INVALID_JSON_PARAM.into());
    };
    object
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            _ => Err(codes::INVALID_JSON_PARAM.into()),
        })
        .collect()
}

/// Domestic billing: 【signature】 with both brackets and the text; up to 70 characters are 1, else 67 each.
fn sms_size(template: &Template, sign_name: &str, params: &BTreeMap<String, String>) -> usize {
    let Some(body) = &template.body else {
        return 1;
    };
    let mut text = body.clone();
    for (name, value) in params {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    match text.chars().count() + sign_name.chars().count() + 2 {
        0..=70 => 1,
        length => length.div_ceil(67),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_documented() {
        for text in [
            "13800138000",
            "+8613800138000",
            "8613800138000",
            "008613800138000",
        ] {
            let number = Number::parse(text).unwrap();
            assert_eq!(
                (number.as_sent(), &*number.e164()),
                ("13800138000", "+8613800138000")
            );
        }
        assert_eq!(Number::parse("85251234567").unwrap().e164(), "+85251234567");
        for text in [
            "",
            "1380013800",
            "+85251234567",
            "8612800138000",
            "abc",
            "01380013800",
        ] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn segments_count_signature_and_brackets() {
        let template = |length: usize| Template {
            variables: Vec::new(),
            body: Some("字".repeat(length)),
        };
        for (length, segments) in [(64, 1), (65, 2), (128, 2), (129, 3)] {
            assert_eq!(
                sms_size(&template(length), "四字签名", &BTreeMap::new()),
                segments
            );
        }
    }
}
