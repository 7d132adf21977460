//! The business rules of the three actions, in the order in which they are judged. Pure.
//!
//! Source: fact sheet, "SendSms", "SendBatchSms", "QuerySendDetails". Stricter than the vendor in one point, on purpose: an
//! unknown parameter is refused (`isv.INVALID_PARAMETERS`) instead of ignored, so that a misspelt optional one is noticed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{codes, gate, wire};
use crate::account::{Account, Template};
use crate::number::{self, Number};
use crate::vendor::{Action, Arrival, Held, Query, Refusal, Submit, Wanted};
use crate::wire::{mainland_parts, value};

const MAX_NUMBERS: usize = 1000;
/// UNCONFIRMED in the SDK's text.
const MAX_BATCH: usize = 100;
const MAX_OUT_ID: usize = 255;
/// Of the account, of the RPC form, and what all actions may have.
const COMMON: &[&str] = &[
    "Action",
    "Version",
    "Format",
    "AccessKeyId",
    "SignatureMethod",
    "SignatureVersion",
    "SignatureNonce",
    "Signature",
    "Timestamp",
    "SecurityToken",
    "RegionId",
    "OwnerId",
    "ResourceOwnerAccount",
    "ResourceOwnerId",
];
const SEND: &[&str] = &[
    "PhoneNumbers",
    "SignName",
    "TemplateCode",
    "TemplateParam",
    "OutId",
    "SmsUpExtendCode",
];
const BATCH: &[&str] = &[
    "PhoneNumberJson",
    "SignNameJson",
    "TemplateCode",
    "TemplateParamJson",
    "SmsUpExtendCodeJson",
    "OutId",
];
const QUERY: &[&str] = &[
    "PhoneNumber",
    "BizId",
    "SendDate",
    "PageSize",
    "CurrentPage",
];

fn split(numbers: &str) -> impl Iterator<Item = &str> {
    numbers.split(',').filter(|number| !number.is_empty())
}

/// A JSON array of texts.
fn list(text: Option<&str>) -> Option<Vec<String>> {
    serde_json::from_str(text?).ok()
}

pub(super) fn held(arrival: &Arrival<'_>) -> Held {
    let given = wire::parameters(arrival);
    let of = |name: &str| value(&given, name).map(str::to_owned);
    let batch = list(value(&given, "PhoneNumberJson")).unwrap_or_default();
    let single = split(value(&given, "PhoneNumbers").unwrap_or_default());
    let numbers = single.chain(batch.iter().map(String::as_str));
    Held {
        recipients: numbers.map(number::journalled).collect(),
        echo: of("OutId"),
        template_code: of("TemplateCode"),
        sign_name: of("SignName"),
        params: value(&given, "TemplateParam").and_then(|text| serde_json::from_str(text).ok()),
    }
}

/// Mainland numbers as [`Number::mainland`]; others as digits with country code and without plus.
fn number(text: &str) -> Option<Number> {
    Number::mainland(text).or_else(|| {
        // Country code 1 has numbers of 11 digits; from 13 up they read as mainland ones.
        let american = text.starts_with('1');
        let fits = !american || text.len() == 11 && text.starts_with("12");
        Number::international(text, "").filter(|_| fits)
    })
}

pub(super) fn judge(arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
    let given = wire::parameters(arrival);
    match gate::action(arrival).as_deref() {
        Some("SendBatchSms") => batch(&given, account).map(Action::Submit),
        Some("QuerySendDetails") => query(&given).map(Action::Query),
        _ => send(&given, account).map(Action::Submit),
    }
}

fn known(given: &[(String, String)], names: &[&str]) -> Result<(), Refusal> {
    let unknown = given.iter().find(|(name, _)| {
        let name = name.as_str();
        !COMMON.contains(&name) && !names.contains(&name)
    });
    match unknown {
        Some((name, _)) => Err(Refusal::with(
            codes::INVALID_PARAMETERS,
            format!("unknown parameter {name}"),
        )),
        None => Ok(()),
    }
}

fn echo(given: &[(String, String)]) -> Result<Option<Arc<str>>, Refusal> {
    let out_id = value(given, "OutId");
    if out_id.is_some_and(|id| id.chars().count() > MAX_OUT_ID) {
        let detail = "OutId is too long";
        return Err(Refusal::with(codes::INVALID_PARAMETERS, detail));
    }
    Ok(out_id.map(Arc::from))
}

fn template<'a>(account: &'a Account, code: &str) -> Result<&'a Template, Refusal> {
    let template = account.templates.get(code);
    template.ok_or_else(|| codes::SMS_TEMPLATE_ILLEGAL.into())
}

fn signed(account: &Account, name: &str) -> Result<(), Refusal> {
    let known = account.sign_names.iter().any(|sign| sign == name);
    known
        .then_some(())
        .ok_or_else(|| codes::SMS_SIGNATURE_ILLEGAL.into())
}

fn send(given: &[(String, String)], account: &Account) -> Result<Submit, Refusal> {
    let phone_numbers = wire::required(given, "PhoneNumbers")?;
    let sign_name = wire::required(given, "SignName")?;
    let code = wire::required(given, "TemplateCode")?;
    known(given, SEND)?;
    let echo = echo(given)?;
    if split(phone_numbers).count() > MAX_NUMBERS {
        return Err(codes::MOBILE_COUNT_OVER_LIMIT.into());
    }
    let numbers = phone_numbers.split(',').map(number);
    let numbers: Option<Vec<_>> = numbers.collect();
    let numbers = numbers.ok_or(codes::MOBILE_NUMBER_ILLEGAL)?;
    signed(account, sign_name)?;
    let template = template(account, code)?;
    let params = read_params(value(given, "TemplateParam"))?;
    complete(template, &params)?;
    let first = Wanted {
        template_code: Some(code.to_owned()),
        sign_name: Some(sign_name.to_owned()),
        parts: sms_size(template, sign_name, &params),
        params: Some(params),
        ..Wanted::to(numbers[0].clone())
    };
    let wanted = numbers.into_iter().map(|number| Wanted {
        number,
        ..first.clone()
    });
    Ok(Submit {
        echo,
        callback: None,
        wanted: wanted.collect(),
    })
}

fn batch(given: &[(String, String)], account: &Account) -> Result<Submit, Refusal> {
    let code = wire::required(given, "TemplateCode")?;
    let lists = [
        wire::required(given, "PhoneNumberJson")?,
        wire::required(given, "SignNameJson")?,
        wire::required(given, "TemplateParamJson")?,
    ];
    known(given, BATCH)?;
    let echo = echo(given)?;
    let [numbers, signs] = [lists[0], lists[1]].map(|text| list(Some(text)));
    let params: Option<Vec<BTreeMap<String, String>>> = serde_json::from_str(lists[2]).ok();
    let (Some(numbers), Some(signs), Some(params)) = (numbers, signs, params) else {
        return Err(codes::INVALID_JSON_PARAM.into());
    };
    if numbers.len() > MAX_BATCH {
        return Err(codes::MOBILE_COUNT_OVER_LIMIT.into());
    }
    if numbers.is_empty() || numbers.len() != signs.len() || numbers.len() != params.len() {
        let detail = "the lists are not of one length";
        return Err(Refusal::with(codes::INVALID_PARAMETERS, detail));
    }
    let template = template(account, code)?;
    let mut wanted = Vec::with_capacity(numbers.len());
    for ((text, sign), params) in numbers.iter().zip(signs).zip(params) {
        let number = number(text).ok_or(codes::MOBILE_NUMBER_ILLEGAL)?;
        signed(account, &sign)?;
        complete(template, &params)?;
        wanted.push(Wanted {
            template_code: Some(code.to_owned()),
            parts: sms_size(template, &sign, &params),
            sign_name: Some(sign),
            params: Some(params),
            ..Wanted::to(number)
        });
    }
    Ok(Submit {
        echo,
        callback: None,
        wanted,
    })
}

fn query(given: &[(String, String)]) -> Result<Query, Refusal> {
    known(given, QUERY)?;
    let number = wire::required(given, "PhoneNumber")?;
    wire::required(given, "SendDate")?;
    wire::required(given, "PageSize")?;
    wire::required(given, "CurrentPage")?;
    let number = Number::mainland(number).ok_or(codes::MOBILE_NUMBER_ILLEGAL)?;
    Ok(Query {
        id: value(given, "BizId").map(str::to_owned),
        recipient: Some(number.e164),
    })
}

fn complete(template: &Template, params: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let mut needed = template.variables.iter();
    match needed.find(|name| !params.contains_key(*name)) {
        Some(name) => Err(Refusal::with(
            codes::TEMPLATE_MISSING_PARAMETERS,
            format!("模板变量缺少对应参数值: {name}"),
        )),
        None => Ok(()),
    }
}

fn read_params(text: Option<&str>) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(text) = text else {
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

/// Domestic billing: 【signature】 with both brackets and the text.
fn sms_size(template: &Template, sign_name: &str, params: &BTreeMap<String, String>) -> usize {
    let Some(body) = &template.body else {
        return 1;
    };
    let mut text = body.clone();
    for (name, value) in params {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    mainland_parts(text.chars().count() + sign_name.chars().count() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_abroad_are_digits_without_a_plus() {
        assert_eq!(number("85251234567").unwrap().e164, "+85251234567");
        assert_eq!(number("12025550123").unwrap().e164, "+12025550123");
        for text in ["", "1380013800", "+85251234567", "8612800138000", "abc"] {
            assert_eq!(number(text), None, "{text}");
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
