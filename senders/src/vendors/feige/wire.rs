//! Calls of both APIs on the wire: bodies out, answers in. Pure.
//!
//! Source: feige.cn/dev/dev26 and a copy of the new documentation (JSON; `{"code":0,"msg":"…","msg_no":"…","count":1}`), the
//! vendor's demo of the old API (forms; `{"SendId":"…","InvalidCount":0,"SuccessCount":1,"BlackCount":0,"Code":0,
//! "Message":"OK"}`). Business failures come with HTTP 200. What `count` of the new API counts is not said: fewer than the
//! numbers of the call cannot be all of them.

use jixinda_runtime::secret::Secret;
use jixinda_schemas::{
    event::AttemptResult,
    template::Content,
    vendor::{Blame, Disposition},
};
use serde_json::{Value, json};

use super::codes::{BLACK, CATALOGUE, INVALID};
use crate::{
    vendor::{Item, ItemResult, not_sent, unknown},
    vendors::{
        answer::{Refusal, Verdict, by_status, is_the_vendors, lenient_text, refuse},
        exchange::Answer,
        several::{Share, each, mainland, one_text, share, wrong_form},
    },
};

/// Reports asked for at once: the most of each API.
const REPORTS_NEW: &str = "200";
const REPORTS_OLD: &str = "20";

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    New,
    Old,
}

/// What stands in each body: `apikey` and `secret`, or `Account` and `Pwd`.
#[derive(Clone, Debug)]
pub struct Keys {
    pub user: Secret,
    pub secret: Secret,
}

/// Path and body of one call, for items of one text: [`fits`] tells which go together.
///
/// # Errors
/// The result of every item when the text cannot be put on this wire.
pub fn body(api: Api, keys: &Keys, items: &[Item]) -> Result<(&'static str, String), ItemResult> {
    let form =
        || wrong_form("this vendor takes a template with values joined by ||, or the text itself");
    let first = items.first().ok_or_else(form)?;
    let mobile = mainland(items)?.join(",");
    let sign = id(
        &first.sign_name,
        "the number of the signature is needed as its code",
    )?;
    let (template, content) = match &first.content {
        Content::Separated { code, params } => {
            let template = id(code, "the template's code must be its number")?;
            (Some(template), params.as_str())
        }
        Content::FullText { text } => (None, without_signature(text)),
        Content::Named { .. } | Content::Positional { .. } => return Err(form()),
    };
    let (user, secret) = (keys.user.expose(), keys.secret.expose());
    Ok(match api {
        Api::New => {
            let mut body = json!({
                "apikey": user, "secret": secret, "sign_id": sign, "mobile": mobile, "content": content,
            });
            let path = match template {
                Some(template) => {
                    body["template_id"] = json!(template);
                    "sms/template"
                }
                None => "sms/send",
            };
            (path, body.to_string())
        }
        Api::Old => {
            let mut body = form_urlencoded::Serializer::new(String::new());
            body.append_pair("Account", user)
                .append_pair("Pwd", secret)
                .append_pair("Content", content)
                .append_pair("Mobile", &mobile)
                .append_pair("SignId", &sign.to_string());
            let path = match template {
                Some(template) => {
                    body.append_pair("TemplateId", &template.to_string());
                    "SmsService/Template"
                }
                None => "SmsService/Send",
            };
            (path, body.finish())
        }
    })
}

/// The vendor puts the signature of `sign_id` before the text.
fn without_signature(text: &str) -> &str {
    let signed = text.strip_prefix('【').and_then(|t| t.split_once('】'));
    signed.map_or(text, |(_, rest)| rest)
}

/// Signatures and templates go by number. A call with anything else would be refused as wrong for good, whereas another
/// channel may be set up rightly.
fn id(text: &str, cause: &str) -> Result<u64, ItemResult> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| not_sent(Disposition::RetryOther, Blame::App, "id", cause))
}

/// Whether two items may share a call: one text, and both of the mainland.
#[must_use]
pub fn fits(a: &Item, b: &Item) -> bool {
    one_text(a, b)
}

/// Path and body of a fetch of reports.
#[must_use]
pub fn report_query(api: Api, keys: &Keys, old_path: &'static str) -> (&'static str, String) {
    let (user, secret) = (keys.user.expose(), keys.secret.expose());
    match api {
        Api::New => {
            let body = json!({"apikey": user, "secret": secret, "count": REPORTS_NEW});
            ("sms/report", body.to_string())
        }
        Api::Old => {
            let body = form_urlencoded::Serializer::new(String::new())
                .append_pair("Account", user)
                .append_pair("Pwd", secret)
                .append_pair("Count", REPORTS_OLD)
                .finish();
            (old_path, body)
        }
    }
}

/// Reads an answer: one verdict for each of `count` items.
///
/// Numbers that were not taken are counted, not named. The counts are definite when they are of the whole call.
#[must_use]
pub fn interpret(api: Api, answer: &Answer, count: usize) -> Vec<Verdict> {
    let status = answer.status;
    let all = |verdict: Verdict| vec![verdict; count];
    if !is_the_vendors(status) {
        return all(by_status(status));
    }
    let Ok(Value::Object(reply)) = serde_json::from_slice(&answer.body) else {
        return all(by_status(status));
    };
    let text = |names: &[&str]| {
        names
            .iter()
            .find_map(|n| reply.get(*n).and_then(lenient_text))
    };
    let number = |name: &str| text(&[name]).and_then(|n| n.parse::<u64>().ok());
    let (code, id) = match api {
        Api::New => (text(&["code"]), text(&["msg_no"])),
        Api::Old => (text(&["Code"]), text(&["SendId", "SendID"])),
    };
    let Some(code) = code else {
        return all(by_status(status));
    };
    let message = text(&["msg", "Message"]).unwrap_or_default();
    let refusal = |code: &str| {
        let refusal = Refusal {
            code,
            message: &message,
            status,
            retry_after_ms: None,
        };
        refuse(&CATALOGUE, refusal)
    };
    let taken = number("SuccessCount").or_else(|| number("count"));
    if code != "0" {
        if id.is_some() {
            return all(unknown("refused_with_id").into());
        }
        if number("SuccessCount").is_some_and(|taken| taken > 0) {
            return all(unknown("partly_taken").into());
        }
        let verdict = match api {
            Api::New => refusal(&code),
            Api::Old => refusal(&format!("old.{code}")),
        };
        // A wrong parameter may be one of the numbers.
        return each(verdict, count, false);
    }
    if !(200..=299).contains(&status) {
        return all(by_status(status));
    }
    let (invalid, black) = (number(INVALID).unwrap_or(0), number(BLACK).unwrap_or(0));
    match (share(count, taken, invalid.saturating_add(black)), id) {
        (Share::All, Some(vendor_id)) => all(AttemptResult::Accepted { vendor_id }.into()),
        (Share::All, None) => all(unknown("ok_without_id").into()),
        // Of both kinds, each is refused for good all the same.
        (Share::Nothing, _) => all(refusal(if black > 0 { BLACK } else { INVALID })),
        (Share::Part, _) => all(unknown("partly_taken").into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    use super::*;

    fn item(number: &str) -> Item {
        Item {
            recipient: number.parse().unwrap(),
            sign_name: "100001".into(),
            content: Content::Separated {
                code: "200001".into(),
                params: "张三||123456".into(),
            },
            text: String::new(),
        }
    }

    fn two() -> [Item; 2] {
        [item("+8613800138000"), item("+8613900139000")]
    }

    fn keys() -> Keys {
        Keys {
            user: Secret::new("N0000000000".to_owned()),
            secret: Secret::new("0000".to_owned()),
        }
    }

    fn results(api: Api, status: u16, body: &str, count: usize) -> Vec<ItemResult> {
        let answer = Answer {
            status,
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        };
        let verdicts = interpret(api, &answer, count);
        assert_eq!(verdicts.len(), count);
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

    fn accepted(id: &str) -> ItemResult {
        let vendor_id = id.to_owned();
        AttemptResult::Accepted { vendor_id }
    }

    #[test]
    fn both_apis_get_their_fields_and_ids_are_numbers() {
        let (path, sent) = body(Api::New, &keys(), &two()).unwrap();
        let wanted = json!({
            "apikey": "N0000000000", "secret": "0000", "sign_id": 100001, "template_id": 200001,
            "mobile": "13800138000,13900139000", "content": "张三||123456",
        });
        assert_eq!(path, "sms/template");
        assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), wanted);

        let mut whole = item("+8613800138000");
        // The vendor is told whose signature to put before it.
        whole.content = Content::FullText {
            text: "【集信达】a b".into(),
        };
        let (path, sent) = body(Api::Old, &keys(), &[whole.clone()]).unwrap();
        assert_eq!(path, "SmsService/Send");
        assert_eq!(
            sent,
            "Account=N0000000000&Pwd=0000&Content=a+b&Mobile=13800138000&SignId=100001"
        );
        assert!(!fits(&whole, &item("+8613800138000")));
        assert!(!fits(&item("+6581234567"), &item("+8613800138000")));
        whole.sign_name = "集信达".into();
        let refusal = body(Api::New, &keys(), &[whole]).unwrap_err();
        assert_eq!(refused(&refusal).0, Disposition::RetryOther);
        let abroad = body(Api::New, &keys(), &[item("+6581234567")]).unwrap_err();
        assert_eq!(refused(&abroad).2, "abroad");
    }

    #[test]
    fn a_refusal_of_several_may_be_about_one_of_them() {
        let wrong = r#"{"code":10002,"msg":"x"}"#;
        for (count, want) in [
            (1, Disposition::PermanentContent),
            (2, Disposition::RetrySame),
        ] {
            for result in results(Api::New, 200, wrong, count) {
                assert_eq!(refused(&result).0, want);
            }
        }
        let some = r#"{"Code":10002,"Message":"x","SuccessCount":1}"#;
        for result in results(Api::Old, 200, some, 2) {
            assert_eq!(result, unknown("partly_taken"));
        }
    }

    #[test]
    fn a_call_that_was_taken_whole_is_accepted_with_its_id() {
        let new = r#"{"code":0,"msg":"ok","msg_no":"20210618180040311663","count":1}"#;
        assert_eq!(
            results(Api::New, 200, new, 1),
            [accepted("20210618180040311663")]
        );
        let old = r#"{"SendId":"2016","InvalidCount":0,"SuccessCount":2,"BlackCount":0,"Code":0,"Message":"OK"}"#;
        let both = [accepted("2016"), accepted("2016")];
        assert_eq!(results(Api::Old, 200, old, 2), both);
    }

    #[test]
    fn counts_are_definite_for_one_number_or_for_all_and_unknown_otherwise() {
        let answer = |invalid, taken, black| {
            format!(
                r#"{{"SendId":"9","InvalidCount":{invalid},"SuccessCount":{taken},"BlackCount":{black},"Code":0}}"#
            )
        };
        let one = results(Api::Old, 200, &answer(1, 0, 0), 1);
        let number = (Disposition::PermanentRecipient, Blame::Recipient);
        assert_eq!(refused(&one[0]), (number.0, number.1, "InvalidCount"));
        for result in results(Api::Old, 200, &answer(1, 0, 1), 2) {
            assert_eq!(refused(&result), (number.0, number.1, "BlackCount"));
        }
        for (body, count) in [
            (answer(1, 1, 0), 2),
            (answer(0, 1, 0), 2),
            (answer(1, 1, 0), 1),
            (answer(0, 0, 0), 1),
        ] {
            for result in results(Api::Old, 200, &body, count) {
                assert_eq!(result, unknown("partly_taken"), "{body}");
            }
        }
    }

    #[test]
    fn codes_are_those_of_their_api() {
        for (api, code, want) in [
            (Api::New, "10008", Disposition::RetrySame),
            (Api::Old, "10008", Disposition::PermanentContent),
            (Api::New, "15", Disposition::Account),
            (Api::Old, "15", Disposition::RetryOther),
            (Api::New, "77777", Disposition::RetryOther),
        ] {
            let body = format!(r#"{{"code":"{code}","Code":{code},"msg":"x"}}"#);
            assert_eq!(
                refused(&results(api, 200, &body, 1)[0]).0,
                want,
                "{api:?} {code}"
            );
        }
    }

    #[test]
    fn what_proves_neither_acceptance_nor_refusal_is_unknown() {
        for (status, body) in [
            (200, "<html>"),
            (200, "{}"),
            (200, "[]"),
            (200, r#"{"code":0,"msg":"ok","count":2}"#),
            (200, r#"{"code":0,"msg_no":"1","count":1}"#),
            (200, r#"{"code":15,"msg_no":"1"}"#),
            (200, r#"{"code":10004,"msg":"x"}"#),
            (500, r#"{"code":0,"msg_no":"1","count":2}"#),
            (500, r#"{"code":77777}"#),
            (502, r#"{"code":15}"#),
            (302, ""),
        ] {
            for result in results(Api::New, status, body, 2) {
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
            prop_assert_eq!(interpret(Api::New, &answer, 2).len(), 2);
            prop_assert_eq!(interpret(Api::Old, &answer, 2).len(), 2);
        }

        #[test]
        fn no_field_makes_the_reader_panic(code in ".{0,90}", id in ".{0,20}", n in any::<i64>(), m in any::<u64>()) {
            let body = json!({"code": code, "Code": 0, "msg_no": id, "SendId": id, "InvalidCount": m, "BlackCount": m,
                "count": n}).to_string();
            prop_assert_eq!(results(Api::New, 200, &body, 3).len(), 3);
            prop_assert_eq!(results(Api::Old, 200, &body, 3).len(), 3);
        }
    }
}
