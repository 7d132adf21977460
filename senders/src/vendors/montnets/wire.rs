//! Calls of the v2/std API on the wire: bodies out, answer in. Pure.
//!
//! Source: the manual V5.7.2; the older names (`single_send` and so on) as published before it. Everything is JSON, whose
//! `content` is percent-encoded. `result` 0 is accepted, with one `msgid` for the call; anything else refuses all of it. A
//! bad number within an accepted call is told by a receipt.

use std::fmt;

use jixinda_schemas::{
    event::AttemptResult,
    template::Content,
    vendor::{Blame, Disposition},
};
use serde_json::{Map, Value, json};

use super::{
    charset::{self, Charset},
    codes::CATALOGUE,
    json,
};
use crate::{
    vendor::{Item, ItemResult, not_sent, unknown},
    vendors::{
        answer::{Refusal, Verdict, by_status, is_the_vendors, lenient_text, refuse},
        exchange::Answer,
        several::{alike, each},
    },
};

/// Numbers in one call with one text.
pub const MAX_NUMBERS: usize = 1_000;
/// Entries in one call with a text for each.
const MAX_ENTRIES: usize = 500;
/// Characters of a text, signature included.
const LONGEST: usize = 1_000;
/// From the id of one part of a message to that of the next.
const PART_STEP: i128 = 17_179_869_184;

/// Names of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// `send_single`, `send_batch`, `send_multi`.
    V5,
    /// `single_send`, `batch_send`, `multi_send`.
    Old,
}

impl Names {
    const fn single(self) -> &'static str {
        match self {
            Self::V5 => "send_single",
            Self::Old => "single_send",
        }
    }

    const fn batch(self) -> &'static str {
        match self {
            Self::V5 => "send_batch",
            Self::Old => "batch_send",
        }
    }

    const fn multi(self) -> &'static str {
        match self {
            Self::V5 => "send_multi",
            Self::Old => "multi_send",
        }
    }
}

/// What the items of a call have in common beside their texts.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub names: Names,
    pub charset: Charset,
    /// Kind of business.
    pub svrtype: Option<&'a str>,
    /// Extension of the channel number.
    pub exno: Option<&'a str>,
    /// `custid`: comes back in receipts.
    pub echo: &'a str,
}

/// A call without what proves whose it is.
#[derive(Clone, PartialEq)]
pub struct Outgoing {
    /// Last segment of the path.
    pub name: &'static str,
    pub fields: Map<String, Value>,
}

impl fmt::Debug for Outgoing {
    /// Without texts and numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({})", self.name)
    }
}

/// Whether two items may share a call: both are given as text, be it another one.
#[must_use]
pub fn fits(a: &Item, b: &Item) -> bool {
    let is_text = |item: &Item| matches!(item.content, Content::FullText { .. });
    is_text(a) == is_text(b)
}

/// How many of the first items one call takes.
#[must_use]
pub fn room(items: &[Item]) -> usize {
    let most = &items[..items.len().min(MAX_NUMBERS)];
    if alike(most) {
        most.len()
    } else {
        most.len().min(MAX_ENTRIES)
    }
}

/// The call for some items, as many as there is [`room`] for.
///
/// # Errors
/// The result of every item when a text cannot be put on this wire.
pub fn outgoing(items: &[Item], terms: &Terms<'_>) -> Result<Outgoing, ItemResult> {
    let abroad = items
        .iter()
        .any(|item| item.recipient.china_national().is_none());
    let number = |item: &Item| number(item, abroad);
    let names = terms.names;
    match items {
        [first, rest @ ..] if alike(items) => {
            let mut numbers = number(first);
            for item in rest {
                numbers.push(',');
                numbers.push_str(&number(item));
            }
            let name = match rest {
                [] => names.single(),
                _ => names.batch(),
            };
            let fields = entry(first, numbers, terms)?;
            Ok(Outgoing { name, fields })
        }
        items => {
            let entries: Result<Vec<Value>, ItemResult> = items
                .iter()
                .map(|item| entry(item, number(item), terms).map(Value::Object))
                .collect();
            Ok(Outgoing {
                name: names.multi(),
                fields: Map::from_iter([("multimt".to_owned(), json!(entries?))]),
            })
        }
    }
}

/// Mainland numbers go without a prefix, unless others go along.
fn number(item: &Item, abroad: bool) -> String {
    match item.recipient.china_national() {
        Some(national) if !abroad => national.to_owned(),
        _ => format!("00{}", item.recipient.expose().trim_start_matches('+')),
    }
}

fn entry(item: &Item, mobile: String, terms: &Terms<'_>) -> Result<Map<String, Value>, ItemResult> {
    let Content::FullText { text } = &item.content else {
        return Err(not_sent(
            Disposition::RetryOther,
            Blame::App,
            "content_form",
            "this vendor takes the text itself",
        ));
    };
    if text.chars().count() > LONGEST {
        return Err(not_sent(
            Disposition::PermanentContent,
            Blame::Content,
            "text_too_long",
            "this vendor takes at most 1,000 characters",
        ));
    }
    let content = terms.charset.encode(text).ok_or_else(|| {
        not_sent(
            Disposition::RetryOther,
            Blame::Content,
            "charset",
            "the text has characters that GBK lacks, and the account writes GBK",
        )
    })?;
    let fields = [
        ("mobile", Some(mobile.as_str())),
        ("content", Some(&content)),
        ("svrtype", terms.svrtype),
        ("exno", terms.exno),
        ("custid", Some(terms.echo)),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| {
        let value = value?;
        Some((name.to_owned(), Value::from(value)))
    });
    Ok(given.collect())
}

/// The id of part `part` of the message at `position`, both from 1, in a call that was given `msgid`.
#[must_use]
pub fn derived_id(msgid: i128, position: u64, part: u64) -> i128 {
    let steps = |n: u64| i128::from(n.saturating_sub(1));
    msgid
        .saturating_add(steps(position))
        .saturating_add(steps(part) * PART_STEP)
}

/// The id of the message that the part with the id `msgid` belongs to. An id that is no number stays as it is.
#[must_use]
pub(super) fn whole_id(msgid: &str, part: Option<u16>) -> String {
    let steps = i128::from(part.unwrap_or(1).saturating_sub(1));
    match msgid.parse::<i128>() {
        Ok(id) => id.saturating_sub(steps * PART_STEP).to_string(),
        Err(_) => msgid.to_owned(),
    }
}

/// A result or a code without its sign; nothing when it is no number.
#[must_use]
pub(super) fn code(result: &Value) -> Option<String> {
    let text = lenient_text(result)?;
    let digits = text.trim_start_matches('-');
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.to_owned())
}

/// Reads an answer: one verdict for each item, in their order.
#[must_use]
pub fn interpret(answer: &Answer, items: &[Item]) -> Vec<Verdict> {
    let status = answer.status;
    let all = |verdict: Verdict| vec![verdict; items.len()];
    let reply = json::parse(&String::from_utf8_lossy(&answer.body));
    let Some(reply) = reply.filter(|_| is_the_vendors(status)) else {
        return all(by_status(status));
    };
    let Some(code) = reply.get("result").and_then(code) else {
        return all(by_status(status));
    };
    let id = reply.get("msgid").and_then(lenient_text);
    let id = id.filter(|id| id != "0");
    if code.bytes().all(|b| b == b'0') {
        return match id {
            Some(id) if status == 200 => (1..=items.len()).map(|n| accepted(&id, n)).collect(),
            Some(_) => all(by_status(status)),
            None => all(unknown("ok_without_id").into()),
        };
    }
    let message = reply.get("desc").and_then(lenient_text).unwrap_or_default();
    let refusal = Refusal {
        code: &code,
        message: &charset::decode(&message),
        status,
        retry_after_ms: None,
    };
    match refuse(&CATALOGUE, refusal) {
        // What has an id may have been taken.
        verdict if verdict.undocumented && id.is_some() => all(Verdict {
            result: unknown(code),
            undocumented: true,
        }),
        verdict => each(verdict, items.len(), alike(items)),
    }
}

fn accepted(id: &str, position: usize) -> Verdict {
    let vendor_id = match id.parse::<i128>() {
        Ok(id) => derived_id(id, position as u64, 1).to_string(),
        Err(_) => id.to_owned(),
    };
    AttemptResult::Accepted { vendor_id }.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    use super::*;

    const TERMS: Terms<'_> = Terms {
        names: Names::Old,
        charset: Charset::Gbk,
        svrtype: Some("SMS001"),
        exno: None,
        echo: "100000000000001",
    };

    fn item(number: &str, text: &str) -> Item {
        Item {
            recipient: number.parse().unwrap(),
            sign_name: String::new(),
            content: Content::FullText { text: text.into() },
            text: String::new(),
        }
    }

    fn two() -> [Item; 2] {
        [item("+8613800138000", "a"), item("+8613900139000", "a")]
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

    fn fields(items: &[Item], terms: &Terms<'_>) -> (&'static str, Value) {
        let outgoing = outgoing(items, terms).unwrap();
        (outgoing.name, Value::Object(outgoing.fields))
    }

    #[test]
    fn one_text_goes_once_and_others_one_by_one() {
        let (a, b) = (
            item("+8613800138000", "测试"),
            item("+8613900139000", "测试"),
        );
        let one = json!({"mobile": "13800138000", "content": "%b2%e2%ca%d4", "svrtype": "SMS001", "custid": "100000000000001"});
        assert_eq!(
            fields(std::slice::from_ref(&a), &TERMS),
            ("single_send", one.clone())
        );
        let (name, both) = fields(&[a.clone(), b.clone()], &TERMS);
        assert_eq!(
            (name, both["mobile"].as_str()),
            ("batch_send", Some("13800138000,13900139000"))
        );
        let other = item("+8613700137000", "x");
        let terms = Terms {
            names: Names::V5,
            ..TERMS
        };
        let (name, multi) = fields(&[a.clone(), other], &terms);
        assert_eq!((name, &multi["multimt"][0]), ("send_multi", &one));
        assert_eq!(multi["multimt"][1]["content"], "x");

        let (_, mixed) = fields(&[a.clone(), item("+6581234567", "测试")], &TERMS);
        assert_eq!(mixed["mobile"], "008613800138000,006581234567");
        assert!(fits(&a, &b));
    }

    #[test]
    fn a_call_has_room_for_1000_numbers_or_500_texts() {
        let numbered = |n: usize| format!("+861380013{n:04}");
        let same: Vec<Item> = (0..1_100).map(|n| item(&numbered(n), "a")).collect();
        let differ = |n: usize| item(&numbered(n), &n.to_string());
        let differing: Vec<Item> = (0..1_100).map(differ).collect();
        assert_eq!((room(&same), room(&differing)), (1_000, 500));
        assert_eq!(room(&differing[..3]), 3);
    }

    #[test]
    fn what_cannot_be_written_is_refused_without_a_call() {
        for (text, code) in [("😀", "charset"), (&*"字".repeat(1_001), "text_too_long")] {
            let refused = outgoing(&[item("+8613800138000", text)], &TERMS).unwrap_err();
            let AttemptResult::Rejected { vendor_code, .. } = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(vendor_code, code);
        }
    }

    #[test]
    fn each_number_has_an_id_of_its_own() {
        let body =
            r#"{"result":0,"desc":%e6%88%90%e5%8a%9f,"msgid":9223372036854775808,"custid":"1"}"#;
        let ids = ["9223372036854775808", "9223372036854775809"];
        let wanted = ids.map(|id| AttemptResult::Accepted {
            vendor_id: id.to_owned(),
        });
        assert_eq!(results(200, body), wanted);
        assert_eq!(results(200, &body.replace(":0,", ":\"0\",")), wanted);
        let second = derived_id(9_223_372_036_854_775_808, 2, 3).to_string();
        assert_eq!(whole_id(&second, Some(3)), ids[1]);
        assert_eq!(whole_id("abc", Some(3)), "abc");
    }

    #[test]
    fn a_refusal_is_that_of_every_number_with_or_without_a_sign() {
        for (result, want) in [
            ("-100001", Disposition::Account),
            ("100003", Disposition::Account),
            ("\"-100011\"", Disposition::PermanentContent),
            // Of one of the numbers, which is not said.
            ("-100012", Disposition::RetrySame),
            ("-100999", Disposition::RetrySame),
            ("-100888", Disposition::RetryOther),
        ] {
            let body = format!(
                r#"{{"result":{result},"desc":%e5%8f%b7%e7%a0%8113800138000,"msgid":0,"custid":""}}"#
            );
            for got in results(200, &body) {
                let AttemptResult::Rejected {
                    disposition,
                    message,
                    ..
                } = got
                else {
                    panic!("{result}: {got:?}");
                };
                assert_eq!(disposition, want, "{result}");
                assert!(message.ends_with("号码138****00"), "{message}");
            }
        }
    }

    #[test]
    fn what_proves_neither_acceptance_nor_refusal_is_unknown() {
        for (status, body) in [
            (200, "<html>"),
            (200, "{}"),
            (200, r#"{"result":0,"msgid":0}"#),
            (200, r#"{"result":0}"#),
            (200, r#"{"result":"busy"}"#),
            (200, r#"{"result":-100888,"msgid":7}"#),
            (500, r#"{"result":0,"msgid":7}"#),
            (500, r#"{"result":-100888,"msgid":0}"#),
            (502, r#"{"result":-100001}"#),
            (302, ""),
        ] {
            for result in results(status, body) {
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
        fn no_field_makes_the_reader_panic(result in any::<i64>(), id in any::<i128>(), desc in ".{0,30}") {
            let body = format!(r#"{{"result":{result},"msgid":{id},"desc":{desc}}}"#);
            prop_assert_eq!(results(200, &body).len(), 2);
            prop_assert_eq!(results(200, &format!(r#"{{"result":0,"msgid":{id}}}"#)).len(), 2);
        }
    }
}
