//! batchSendSms and batchSendDiffSms on the wire: bodies out, answer in. Pure.
//!
//! Source: `huaweicloudsdksmsapi` 3.1.219 and support.huaweicloud.com, sms_05_0001, sms_05_0002 (up to 500 numbers a call; the
//! groups of batchSendDiffSms up to 64 KB). Refusals of a whole call come with HTTP 400, 401 or 403 and `code`; when some
//! numbers are refused, `code` is E000510 and each number has a `status` of its own.

use std::mem::discriminant;

use jixinda_runtime::secret::Secret;
use jixinda_schemas::{
    Phone,
    event::AttemptResult,
    template::Content,
    vendor::{Blame, Disposition},
};
use serde_json::{Value, json};

use super::codes::CATALOGUE;
use crate::{
    vendor::{Item, ItemResult, not_sent, unknown},
    vendors::{
        answer::{Refusal, Verdict, by_status, is_the_vendors, lenient_text, refuse},
        exchange::Answer,
        several::{alike, each},
    },
};

/// Numbers in one call.
pub const MAX_NUMBERS: usize = 500;
/// Bytes of all groups of batchSendDiffSms: 64 KB, whichever KB is meant.
const MAX_GROUPS: usize = 64_000;

/// What the items of a call have in common beside their texts.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Channel number of the signature.
    pub from: &'a str,
    /// Where receipts are to be pushed.
    pub callback: Option<&'a Secret>,
    /// `extend`: comes back in receipts, which name the number only when it was sent.
    pub echo: &'a str,
}

/// Whether two items may share a call: both have a template, be it another one.
#[must_use]
pub fn fits(a: &Item, b: &Item) -> bool {
    discriminant(&a.content) == discriminant(&b.content)
}

/// How many of the first items one call takes; at least one, if there is any.
#[must_use]
pub fn room(items: &[Item]) -> usize {
    let most = &items[..items.len().min(MAX_NUMBERS)];
    if alike(most) {
        return most.len();
    }
    let mut size = 0;
    let fitting = most.iter().take_while(|item| {
        // In a group of its own, which is more than it takes beside others.
        let group = group(item, &[item.recipient.expose()]);
        size += group.map_or(0, |group| group.to_string().len() + 1);
        size <= MAX_GROUPS
    });
    fitting.count().max(1)
}

fn callback<'a>(terms: &Terms<'a>) -> Option<&'a str> {
    terms.callback.map(Secret::expose)
}

fn template(item: &Item) -> Result<(&str, &[String]), ItemResult> {
    let Content::Positional { code, params } = &item.content else {
        return Err(not_sent(
            Disposition::RetryOther,
            Blame::App,
            "content_form",
            "this vendor takes a template id with variables in order",
        ));
    };
    Ok((code, params))
}

/// The form of batchSendSms, for items of one text.
///
/// # Errors
/// The result of every item when the text cannot be put on this wire.
pub fn form(items: &[Item], terms: &Terms<'_>) -> Result<Vec<(&'static str, String)>, ItemResult> {
    let Some(first) = items.first() else {
        return Ok(Vec::new());
    };
    let (code, params) = template(first)?;
    let numbers: Vec<&str> = items.iter().map(|i| i.recipient.expose()).collect();
    let values = match params {
        [] => String::new(),
        params => json!(params).to_string(),
    };
    let mut form = vec![
        ("from", terms.from.to_owned()),
        ("to", numbers.join(",")),
        ("templateId", code.to_owned()),
        ("templateParas", values),
    ];
    form.extend(callback(terms).map(|url| ("statusCallback", url.to_owned())));
    form.push(("extend", terms.echo.to_owned()));
    if !first.sign_name.is_empty() {
        form.push(("signature", first.sign_name.clone()));
    }
    Ok(form)
}

/// The body of batchSendDiffSms: the numbers of one text in one group, in the order in which the texts first come.
///
/// # Errors
/// The result of every item when a text cannot be put on this wire.
pub fn body(items: &[Item], terms: &Terms<'_>) -> Result<Vec<u8>, ItemResult> {
    let mut groups: Vec<(&Item, Vec<&str>)> = Vec::new();
    for item in items {
        let number = item.recipient.expose();
        let same = |(of, _): &&mut (&Item, _)| {
            of.content == item.content && of.sign_name == item.sign_name
        };
        match groups.iter_mut().find(same) {
            Some((_, numbers)) => numbers.push(number),
            None => groups.push((item, vec![number])),
        }
    }
    let contents: Result<Vec<Value>, ItemResult> = groups
        .iter()
        .map(|(item, numbers)| group(item, numbers))
        .collect();
    let mut body = json!({"from": terms.from, "extend": terms.echo, "smsContent": contents?});
    if let Some(url) = callback(terms) {
        body["statusCallback"] = json!(url);
    }
    Ok(body.to_string().into_bytes())
}

fn group(item: &Item, numbers: &[&str]) -> Result<Value, ItemResult> {
    let (code, params) = template(item)?;
    let mut group = json!({"to": numbers, "templateId": code, "templateParas": params});
    if !item.sign_name.is_empty() {
        group["signature"] = json!(item.sign_name);
    }
    Ok(group)
}

/// Reads an answer: one verdict for each item, in their order.
#[must_use]
pub fn interpret(answer: &Answer, items: &[Item]) -> Vec<Verdict> {
    let status = answer.status;
    let all = |verdict: Verdict| vec![verdict; items.len()];
    if !is_the_vendors(status) {
        return all(by_status(status));
    }
    let Ok(reply) = serde_json::from_slice::<Value>(&answer.body) else {
        return all(by_status(status));
    };
    let Some(code) = reply.get("code").and_then(lenient_text) else {
        return all(by_status(status));
    };
    let message = reply.get("description").and_then(lenient_text);
    let message = message.unwrap_or_default();
    let of_numbers = reply["result"].as_array().filter(|list| !list.is_empty());
    match of_numbers {
        Some(list) => items
            .iter()
            .map(|item| of_number(list, item, &message, status))
            .collect(),
        None if is_success(&code) => all(match status {
            200 => unknown("ok_without_id").into(),
            _ => by_status(status),
        }),
        None => each(refused(&code, &message, status), items.len(), alike(items)),
    }
}

fn is_success(code: &str) -> bool {
    code == "000000"
}

fn refused(code: &str, message: &str, status: u16) -> Verdict {
    let refusal = Refusal {
        code,
        message,
        status,
        retry_after_ms: None,
    };
    refuse(&CATALOGUE, refusal)
}

fn of_number(list: &[Value], item: &Item, message: &str, status: u16) -> Verdict {
    let mut of_number = list.iter().filter(|said| is_of(said, &item.recipient));
    let (Some(said), None) = (of_number.next(), of_number.next()) else {
        return unknown("no_status_of_the_number").into();
    };
    let id = said.get("smsMsgId").and_then(lenient_text);
    match (said.get("status").and_then(lenient_text), id) {
        (None, _) => unknown("no_status_of_the_number").into(),
        (Some(code), Some(vendor_id)) if is_success(&code) && status == 200 => {
            AttemptResult::Accepted { vendor_id }.into()
        }
        (Some(code), _) if is_success(&code) => unknown("ok_without_id").into(),
        (Some(code), id) => match refused(&code, message, status) {
            // What has an id may have been taken.
            verdict if verdict.undocumented && id.is_some() => Verdict {
                result: unknown(code.chars().take(64).collect::<String>()),
                undocumented: true,
            },
            verdict => verdict,
        },
    }
}

fn is_of(said: &Value, recipient: &Phone) -> bool {
    let number = said.get("originTo").and_then(lenient_text);
    number.is_some_and(|text| Phone::parse_lenient(&text).is_ok_and(|phone| phone == *recipient))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    use super::*;

    const TERMS: Terms<'_> = Terms {
        from: "csms12345678",
        callback: None,
        echo: "100000000000001",
    };

    fn item(number: &str, value: &str) -> Item {
        Item {
            recipient: number.parse().unwrap(),
            sign_name: "测试签名".into(),
            content: Content::Positional {
                code: "8ff55eac1d0b478ab3c06c3c6a492300".into(),
                params: vec![value.into()],
            },
            text: String::new(),
        }
    }

    fn two() -> Vec<Item> {
        vec![item("+8613800138000", "1"), item("+8613900139000", "1")]
    }

    fn results(status: u16, body: &str) -> Vec<ItemResult> {
        let answer = Answer {
            status,
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        };
        let verdicts = interpret(&answer, &two());
        verdicts.into_iter().map(|v| v.result).collect()
    }

    fn disposition(result: &ItemResult) -> Disposition {
        match result {
            AttemptResult::Rejected { disposition, .. } => *disposition,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_of_one_text_share_a_group() {
        let mut items = two();
        items.push(item("+8613700137000", "2"));
        items.push(item("+8613600136000", "1"));
        let body: Value = serde_json::from_slice(&body(&items, &TERMS).unwrap()).unwrap();
        let groups = body["smsContent"].as_array().unwrap();
        assert_eq!(groups.len(), 2);
        assert_eq!(
            groups[0]["to"],
            json!(["+8613800138000", "+8613900139000", "+8613600136000"])
        );
        assert_eq!(groups[1]["templateParas"], json!(["2"]));
        assert_eq!(body["extend"], "100000000000001");
    }

    #[test]
    fn a_template_without_variables_has_empty_values() {
        let mut one = item("+8613800138000", "");
        one.content = Content::Positional {
            code: "8ff5".into(),
            params: vec![],
        };
        let form = form(&[one], &TERMS).unwrap();
        assert!(form.contains(&("templateParas", String::new())));
        let text = Item {
            content: Content::FullText { text: "x".into() },
            ..item("+8613800138000", "")
        };
        assert!(!fits(&text, &two()[0]) && fits(&two()[0], &item("+6581234567", "2")));
        let refused = super::form(&[text], &TERMS).unwrap_err();
        assert_eq!(disposition(&refused), Disposition::RetryOther);
    }

    #[test]
    fn a_call_has_room_for_500_numbers_or_64_kb_of_texts() {
        let numbered = |n: usize| format!("+861380013{n:04}");
        let same: Vec<Item> = (0..600).map(|n| item(&numbered(n), "1")).collect();
        assert_eq!(room(&same), 500);
        let differ = |n: usize| item(&numbered(n), &format!("{n:0>400}"));
        let differing: Vec<Item> = (0..600).map(differ).collect();
        let room = room(&differing);
        assert!((64..200).contains(&room), "{room}");
        assert!(body(&differing[..room], &TERMS).unwrap().len() < 65_000);
        assert_eq!(super::room(&[]), 0);
    }

    #[test]
    fn each_number_has_a_result_of_its_own() {
        let body = r#"{"code":"E000510","description":"The SMS fails to be sent. For details, see status.","result":[
            {"originTo":"+8613900139000","status":"E200028","smsMsgId":"x_2","total":1},
            {"originTo":"+8613800138000","createTime":"2018-05-25T16:34:34Z","from":"1069","smsMsgId":"d6e3cdd0_1",
             "status":"000000","countryId":"CN","total":1}]}"#;
        let got = results(200, body);
        let vendor_id = "d6e3cdd0_1".to_owned();
        assert_eq!(got[0], AttemptResult::Accepted { vendor_id });
        assert_eq!(disposition(&got[1]), Disposition::PermanentContent);
    }

    #[test]
    fn a_refusal_of_the_call_is_that_of_every_number() {
        for (status, code, want) in [
            (401, "E000101", Disposition::Account),
            (403, "E000112", Disposition::Account),
            (400, "E000503", Disposition::PermanentContent),
            (400, "E000000", Disposition::RetrySame),
            (400, "E999999", Disposition::RetryOther),
        ] {
            let body = format!(r#"{{"code":"{code}","description":"to 13800138000"}}"#);
            for result in results(status, &body) {
                assert_eq!(disposition(&result), want, "{code}");
                assert!(!format!("{result:?}").contains("13800138000"));
            }
        }
    }

    #[test]
    fn what_proves_neither_acceptance_nor_refusal_is_unknown() {
        let one = |said: &str| format!(r#"{{"code":"000000","result":[{said}]}}"#);
        for (status, body) in [
            (200, "<html>".to_owned()),
            (200, "{}".to_owned()),
            (200, r#"{"code":"000000","result":[]}"#.to_owned()),
            (200, r#"{"code":"E000510"}"#.to_owned()),
            (
                200,
                one(r#"{"originTo":"+8613800138000","status":"000000"}"#),
            ),
            (200, one(r#"{"originTo":"+8613800138000","smsMsgId":"1"}"#)),
            (200, one(r#"{"smsMsgId":"1","status":"000000"}"#)),
            (
                200,
                one(r#"{"originTo":"+8613800138000","smsMsgId":"1","status":"E999999"}"#),
            ),
            (500, String::new()),
            (500, r#"{"code":"E999999"}"#.to_owned()),
            (502, r#"{"code":"E000101"}"#.to_owned()),
            (302, String::new()),
        ] {
            for result in results(status, &body) {
                assert!(
                    matches!(result, AttemptResult::Unknown { .. }),
                    "{status} {body}: {result:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(status in 100_u16..1000, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let answer = Answer { status, headers: HeaderMap::new(), body: body.into() };
            prop_assert_eq!(interpret(&answer, &two()).len(), 2);
        }

        #[test]
        fn no_field_makes_the_reader_panic(code in ".{0,90}", id in ".{0,20}", number in ".{0,20}") {
            let body = json!({"code": code, "result": [{"status": code, "smsMsgId": id, "originTo": number}]});
            prop_assert_eq!(results(200, &body.to_string()).len(), 2);
        }
    }
}
