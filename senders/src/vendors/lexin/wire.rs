//! Calls of Lexin on the wire: form out, answer in. Pure.
//!
//! Source: the vendor's table of parameters for `send`; a public client for `sendByTemplate`, whose `TemplateParam` maps each
//! number to its values joined by `##`. The answer is `{"replyCode":1,"replyMsg":"…","succeedNum":61,"failedNum":0,…}`, 1 for
//! success and 0 for failure, numbers or strings; `send` answers so only when `dataType` asks for it.

use std::collections::BTreeMap;

use jixinda_schemas::{event::AttemptResult, template::Content};
use serde_json::{Value, json};

use super::codes::{CATALOGUE, FAILED};
use crate::{
    vendor::{Call, Item, ItemResult, unknown},
    vendors::{
        answer::{Refusal, Verdict, by_status, is_the_vendors, lenient_text, refuse},
        exchange::Answer,
        several::{Share, each, mainland, share, wrong_form},
    },
};

/// Which of the interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `send`.
    Send,
    /// `send2`, with a seed.
    Send2,
    /// `sendByTemplate` of the newer one.
    V2,
}

impl Api {
    pub(super) const fn send(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Send2 => "send2",
            Self::V2 => "sendByTemplate",
        }
    }

    pub(super) const fn reports(self) -> &'static str {
        match self {
            Self::Send2 => "qryReport2",
            Self::Send | Self::V2 => "qryReport",
        }
    }

    pub(super) const fn messages(self) -> &'static str {
        match self {
            Self::Send2 => "receiveSms2",
            Self::Send | Self::V2 => "receiveSms",
        }
    }
}

/// What differs from account to account.
#[derive(Clone, Debug)]
pub struct Style {
    /// Field of our id.
    pub echo_field: &'static str,
    pub ext_no: Option<String>,
    /// The signature goes behind the text.
    pub signature_last: bool,
}

/// The fields of one call without the account's, for items that go together: [`fits`] tells which do.
///
/// # Errors
/// The result of every item when it cannot be put on this wire.
pub fn fields(
    api: Api,
    style: &Style,
    call: &Call,
) -> Result<Vec<(&'static str, String)>, ItemResult> {
    let echo = (style.echo_field, call.call_id.to_string());
    let mut fields = match api {
        Api::Send | Api::Send2 => whole_text(style, call)?,
        Api::V2 => by_template(call)?,
    };
    fields.push(echo);
    fields.extend(style.ext_no.clone().map(|number| ("extNo", number)));
    Ok(fields)
}

fn whole_text(style: &Style, call: &Call) -> Result<Vec<(&'static str, String)>, ItemResult> {
    let Some(Content::FullText { text }) = call.items.first().map(|item| &item.content) else {
        return Err(wrong_form("this vendor takes the text itself"));
    };
    let text = if style.signature_last {
        signature_last(text)
    } else {
        text.clone()
    };
    Ok(vec![
        ("aimcodes", mainland(&call.items)?.join(",")),
        ("content", text),
        ("dataType", "json".to_owned()),
    ])
}

fn by_template(call: &Call) -> Result<Vec<(&'static str, String)>, ItemResult> {
    let form = || wrong_form("this interface takes a template with values joined by ##");
    let numbers = mainland(&call.items)?;
    let mut values = BTreeMap::new();
    let mut template = None;
    for (item, number) in call.items.iter().zip(numbers) {
        let Content::Separated { code, params } = &item.content else {
            return Err(form());
        };
        template = Some((code, &item.sign_name));
        values.insert(number, params);
    }
    let (code, sign_name) = template.ok_or_else(form)?;
    Ok(vec![
        ("SignName", sign_name.clone()),
        ("TemplateCode", code.clone()),
        ("Format", "JSON".to_owned()),
        ("TemplateParam", json!(values).to_string()),
    ])
}

/// `【name】text` as `text【name】`.
fn signature_last(text: &str) -> String {
    const END: char = '】';
    match text.find(END).map(|at| text.split_at(at + END.len_utf8())) {
        Some((signature, rest)) if signature.starts_with('【') => format!("{rest}{signature}"),
        _ => text.to_owned(),
    }
}

/// Whether two items may share a call: one text, or one template under one signature, and both of the mainland.
#[must_use]
pub fn fits(a: &Item, b: &Item) -> bool {
    let mainland = |item: &Item| item.recipient.china_national().is_some();
    let alike = match (&a.content, &b.content) {
        (Content::Separated { code: a, .. }, Content::Separated { code: b, .. }) => a == b,
        (a, b) => a == b,
    };
    alike && a.sign_name == b.sign_name && mainland(a) == mainland(b)
}

/// Reads an answer: one verdict for each item. Numbers that were not taken are counted, not named; the counts are definite
/// when they are of the whole call.
#[must_use]
pub fn interpret(answer: &Answer, call: &Call, one_text: bool) -> Vec<Verdict> {
    let (status, count) = (answer.status, call.items.len());
    let all = |verdict: Verdict| vec![verdict; count];
    if !is_the_vendors(status) || status >= 500 {
        return all(by_status(status));
    }
    let Ok(Value::Object(reply)) = serde_json::from_slice(&answer.body) else {
        return all(by_status(status));
    };
    let text = |name: &str| reply.get(name).and_then(lenient_text);
    let number = |name: &str| text(name).and_then(|n| n.parse::<u64>().ok());
    let message = text("replyMsg").unwrap_or_default();
    let refusal = |code: &str| {
        let refusal = Refusal {
            code,
            message: &message,
            status,
            retry_after_ms: None,
        };
        refuse(&CATALOGUE, refusal)
    };
    match (text("replyCode").as_deref(), status) {
        // Refused, and some were taken.
        (Some("0"), _) if number("succeedNum").is_some_and(|taken| taken > 0) => {
            all(unknown("partly_taken").into())
        }
        (Some("0"), _) => {
            let row = CATALOGUE.in_words(&message);
            each(refusal(row.map_or("0", |row| row.code)), count, one_text)
        }
        (Some("1"), 200..=299) => {
            match share(
                count,
                number("succeedNum"),
                number("failedNum").unwrap_or(0),
            ) {
                // There is no other id than the one that was sent along.
                Share::All => {
                    let vendor_id = call.call_id.to_string();
                    all(AttemptResult::Accepted { vendor_id }.into())
                }
                Share::Nothing => {
                    let row = CATALOGUE.in_words(&message);
                    let verdict = refusal(row.map_or(FAILED, |row| row.code));
                    each(verdict, count, one_text)
                }
                Share::Part => all(unknown("partly_taken").into()),
            }
        }
        _ => all(by_status(status)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jixinda_schemas::{
        CallId,
        vendor::{Blame, Disposition},
    };
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    use super::*;

    fn item(number: &str, content: Content) -> Item {
        Item {
            recipient: number.parse().unwrap(),
            sign_name: "集信达".into(),
            content,
            text: String::new(),
        }
    }

    fn whole(text: &str) -> Content {
        Content::FullText { text: text.into() }
    }

    fn template(params: &str) -> Content {
        Content::Separated {
            code: "T1".into(),
            params: params.into(),
        }
    }

    fn call(items: Vec<Item>) -> Call {
        Call {
            call_id: CallId::from_random(1),
            items,
            timeout: Duration::from_secs(1),
        }
    }

    fn two() -> Call {
        let content = whole("【集信达】你好");
        call(vec![
            item("+8613800138000", content.clone()),
            item("+8613900139000", content),
        ])
    }

    const STYLE: Style = Style {
        echo_field: "msgId",
        ext_no: None,
        signature_last: false,
    };

    fn results(status: u16, body: &str, call: &Call) -> Vec<ItemResult> {
        let answer = Answer {
            status,
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        };
        let verdicts = interpret(&answer, call, true);
        assert_eq!(verdicts.len(), call.items.len());
        verdicts.into_iter().map(|v| v.result).collect()
    }

    fn refused(result: &ItemResult) -> (Disposition, Blame, &str) {
        match result {
            AttemptResult::Rejected {
                disposition,
                blame,
                vendor_code,
                ..
            } => (*disposition, *blame, vendor_code),
            other => panic!("not a refusal: {other:?}"),
        }
    }

    #[test]
    fn one_text_goes_to_a_list_of_numbers_with_our_id() {
        let call = two();
        let id = call.call_id.to_string();
        assert_eq!(id.len(), 15);
        let sent = fields(Api::Send, &STYLE, &call).unwrap();
        let wanted = [
            ("aimcodes", "13800138000,13900139000"),
            ("content", "【集信达】你好"),
            ("dataType", "json"),
            ("msgId", &id),
        ];
        assert_eq!(sent, wanted.map(|(n, v)| (n, v.to_owned())));
        let style = Style {
            echo_field: "bizId",
            ext_no: Some("12".into()),
            signature_last: true,
        };
        let sent = fields(Api::Send2, &style, &call).unwrap();
        assert_eq!(sent[1].1, "你好【集信达】");
        assert_eq!(sent[3..], [("bizId", id), ("extNo", "12".to_owned())]);
        assert!(fields(Api::V2, &STYLE, &call).is_err());
        assert_eq!(signature_last("a【b】"), "a【b】");
    }

    #[test]
    fn a_template_takes_values_for_each_number() {
        let items = vec![
            item("+8613800138000", template("1##\"2")),
            item("+8613900139000", template("3##4")),
        ];
        assert!(fits(&items[0], &items[1]));
        let sent = fields(Api::V2, &STYLE, &call(items.clone())).unwrap();
        let values: Value = serde_json::from_str(&sent[3].1).unwrap();
        assert_eq!(
            values,
            json!({"13800138000": "1##\"2", "13900139000": "3##4"})
        );
        assert!(fields(Api::Send, &STYLE, &call(items.clone())).is_err());
        assert!(!fits(&items[0], &item("+6581234567", template("1"))));
        assert!(!fits(&items[0], &item("+8613900139000", whole("1"))));
        let abroad = call(vec![item("+6581234567", template("1"))]);
        assert_eq!(
            refused(&fields(Api::V2, &STYLE, &abroad).unwrap_err()).2,
            "abroad"
        );
    }

    #[test]
    fn accepted_is_our_own_id() {
        for body in [
            r#"{"replyCode":1,"replyMsg":"发送成功!","succeedNum":2,"failedNum":0}"#,
            r#"{"replyCode":"1","succeedNum":"2"}"#,
            r#"{"replyCode":1}"#,
        ] {
            for result in results(200, body, &two()) {
                let vendor_id = two().call_id.to_string();
                assert_eq!(result, AttemptResult::Accepted { vendor_id }, "{body}");
            }
        }
    }

    #[test]
    fn a_refusal_is_read_by_its_words() {
        let answer = |text: &str| format!(r#"{{"replyCode":0,"replyMsg":"{text}"}}"#);
        let one = call(two().items[..1].to_vec());
        let of = |text: &str| results(200, &answer(text), &one).remove(0);
        assert_eq!(
            refused(&of("余额不足")),
            (Disposition::Account, Blame::Account, "*余额*")
        );
        assert_eq!(refused(&of("号码有误")).0, Disposition::PermanentRecipient);
        assert_eq!(
            refused(&of("其它")),
            (Disposition::RetryOther, Blame::Channel, "0")
        );
        // Of several it is not said which.
        for result in results(200, &answer("号码有误"), &two()) {
            assert_eq!(refused(&result).0, Disposition::RetrySame);
        }
    }

    #[test]
    fn counts_are_definite_for_the_whole_call_only() {
        let answer = |taken, failed| {
            format!(r#"{{"replyCode":1,"succeedNum":"{taken}","failedNum":{failed}}}"#)
        };
        for result in results(200, &answer(0, 2), &two()) {
            let want = (Disposition::RetryOther, Blame::Recipient, "failedNum");
            assert_eq!(refused(&result), want);
        }
        let blacklisted = r#"{"replyCode":1,"replyMsg":"黑名单号码","succeedNum":0,"failedNum":1}"#;
        let one = call(two().items[..1].to_vec());
        let want = (
            Disposition::PermanentRecipient,
            Blame::Recipient,
            "*黑名单*",
        );
        assert_eq!(refused(&results(200, blacklisted, &one)[0]), want);
        let refused_and_taken = r#"{"replyCode":0,"replyMsg":"x","succeedNum":1}"#;
        for body in [answer(1, 1).as_str(), refused_and_taken] {
            for result in results(200, body, &two()) {
                assert_eq!(result, unknown("partly_taken"));
            }
        }
    }

    #[test]
    fn what_proves_neither_acceptance_nor_refusal_is_unknown() {
        for (status, body) in [
            (200, "1;发送成功!;1;0;1;60;12024380;"),
            (200, "<SendSmsReply><replyCode>1</replyCode></SendSmsReply>"),
            (200, "{}"),
            (200, r#"{"replyCode":7}"#),
            (400, r#"{"replyCode":1}"#),
            (500, r#"{"replyCode":0,"replyMsg":"余额不足"}"#),
            (503, ""),
            (502, r#"{"replyCode":0}"#),
            (302, ""),
        ] {
            for result in results(status, body, &two()) {
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
            prop_assert_eq!(interpret(&answer, &two(), false).len(), 2);
        }

        #[test]
        fn no_field_makes_the_reader_panic(code in 0..3, message in ".{0,90}", taken in any::<u64>(), failed in any::<i64>()) {
            let body = json!({"replyCode": code, "replyMsg": message, "succeedNum": taken, "failedNum": failed});
            prop_assert_eq!(results(200, &body.to_string(), &two()).len(), 2);
        }

        #[test]
        fn a_signature_is_moved_and_nothing_else(text in ".{0,20}") {
            prop_assert_eq!(signature_last(&text).chars().count(), text.chars().count());
        }
    }
}
