//! SendSms on the wire: body out, answer in. Pure.
//!
//! Source: `tencentcloud-sdk-python-sms` 3.1.153 (`SendSmsRequest`, `SendStatus`). Failures of the whole call come with
//! HTTP 200 and `Response.Error`; each number has a code of its own in `SendStatusSet`.

use jixinda_schemas::{
    Phone,
    event::AttemptResult,
    template::Content,
    vendor::{Blame, Disposition},
};
use serde_json::{Value, json};

use super::codes::CATALOGUE;
use crate::{
    vendor::{Call, Item, ItemResult, not_sent, unknown},
    vendors::{
        answer::{Refusal, Verdict, by_status, is_the_vendors, lenient_text, refuse},
        exchange::Answer,
        several::each,
    },
};

/// The body of one SendSms, for items of one text: [`fits`] tells which go together.
///
/// # Errors
/// The result of every item when the text cannot be put on this wire.
pub fn body(call: &Call, app_id: &str) -> Result<Vec<u8>, ItemResult> {
    let form = || {
        not_sent(
            Disposition::RetryOther,
            Blame::App,
            "content_form",
            "this vendor takes a template id with variables in order",
        )
    };
    let Some(first) = call.items.first() else {
        return Err(form());
    };
    let Content::Positional { code, params } = &first.content else {
        return Err(form());
    };
    let numbers: Vec<&str> = call.items.iter().map(|i| i.recipient.expose()).collect();
    let mut body = json!({
        "PhoneNumberSet": numbers,
        "SmsSdkAppId": app_id,
        "TemplateId": code,
        "SessionContext": call.call_id.to_string(),
    });
    if !first.sign_name.is_empty() {
        body["SignName"] = json!(first.sign_name);
    }
    if !params.is_empty() {
        body["TemplateParamSet"] = json!(params);
    }
    Ok(body.to_string().into_bytes())
}

/// Whether two items may share a call: one text, and both of the mainland or both of abroad.
#[must_use]
pub fn fits(a: &Item, b: &Item) -> bool {
    let mainland = |item: &Item| item.recipient.china_national().is_some();
    a.content == b.content && a.sign_name == b.sign_name && mainland(a) == mainland(b)
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
    let response = &reply["Response"];
    let refused = |of: &Value| {
        let code = of.get("Code").and_then(lenient_text)?;
        let message = of.get("Message").and_then(lenient_text);
        Some(refuse(
            &CATALOGUE,
            Refusal {
                code: &code,
                message: &message.unwrap_or_default(),
                status,
                retry_after_ms: None,
            },
        ))
    };
    if let Some(verdict) = response.get("Error").and_then(refused) {
        return each(verdict, items.len(), true);
    }
    let (Some(set), 200) = (response["SendStatusSet"].as_array(), status) else {
        return all(by_status(status));
    };
    let of = |item: &Item| {
        let mut of_number = set.iter().filter(|s| is_of(s, &item.recipient));
        let (Some(said), None) = (of_number.next(), of_number.next()) else {
            return unknown("no_status_of_the_number").into();
        };
        let code = said.get("Code").and_then(lenient_text).unwrap_or_default();
        if !code.eq_ignore_ascii_case("ok") {
            return refused(said).unwrap_or_else(|| by_status(status));
        }
        match said.get("SerialNo").and_then(lenient_text) {
            Some(vendor_id) => AttemptResult::Accepted { vendor_id }.into(),
            None => unknown("ok_without_id").into(),
        }
    };
    items.iter().map(of).collect()
}

fn is_of(status: &Value, recipient: &Phone) -> bool {
    let number = status.get("PhoneNumber").and_then(lenient_text);
    number.is_some_and(|text| {
        let parsed = text.parse().or_else(|_| Phone::parse_lenient(&text));
        parsed.is_ok_and(|phone| phone == *recipient)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jixinda_schemas::CallId;
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    use super::*;

    fn item(number: &str) -> Item {
        Item {
            recipient: number.parse().unwrap(),
            sign_name: "测试签名".into(),
            content: Content::Positional {
                code: "449739".into(),
                params: vec!["123456".into(), "5".into()],
            },
            text: String::new(),
        }
    }

    fn two() -> Vec<Item> {
        vec![item("+8613800138000"), item("+8613900139000")]
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        }
    }

    fn results(status: u16, body: &str) -> Vec<ItemResult> {
        let verdicts = interpret(&answer(status, body), &two());
        verdicts.into_iter().map(|v| v.result).collect()
    }

    #[test]
    fn the_body_has_the_fields_of_the_sdk() {
        let call = Call {
            call_id: CallId::from_random(1),
            items: two(),
            timeout: Duration::from_secs(1),
        };
        let body: Value = serde_json::from_slice(&body(&call, "1400006666").unwrap()).unwrap();
        let wanted = json!({
            "PhoneNumberSet": ["+8613800138000", "+8613900139000"], "SmsSdkAppId": "1400006666", "TemplateId": "449739",
            "SignName": "测试签名", "TemplateParamSet": ["123456", "5"], "SessionContext": call.call_id.to_string(),
        });
        assert_eq!(body, wanted);
        assert!(fits(&call.items[0], &call.items[1]));
        assert!(!fits(&call.items[0], &item("+6581234567")));
    }

    #[test]
    fn each_number_has_a_result_of_its_own() {
        let body = r#"{"Response":{"SendStatusSet":[
            {"SerialNo":"","PhoneNumber":"+8613900139000","Fee":0,"Code":"FailedOperation.PhoneNumberInBlacklist","Message":"x"},
            {"SerialNo":"5000:1045710669157053657849499619","PhoneNumber":"+8613800138000","Fee":1,"Code":"Ok","Message":"send success"}
            ],"RequestId":"r"}}"#;
        let got = results(200, body);
        let vendor_id = "5000:1045710669157053657849499619".to_owned();
        assert_eq!(got[0], AttemptResult::Accepted { vendor_id });
        let AttemptResult::Rejected {
            disposition, blame, ..
        } = &got[1]
        else {
            panic!("{got:?}");
        };
        assert_eq!(
            (*disposition, *blame),
            (Disposition::PermanentRecipient, Blame::Recipient)
        );
    }

    #[test]
    fn a_failure_of_the_call_is_that_of_every_number() {
        let got = results(
            200,
            r#"{"Response":{"Error":{"Code":"AuthFailure.SignatureFailure","Message":"to 13800138000"},"RequestId":"r"}}"#,
        );
        for result in got {
            let AttemptResult::Rejected {
                disposition,
                message,
                ..
            } = result
            else {
                panic!("not refused");
            };
            assert_eq!(
                (disposition, message.as_str()),
                (Disposition::Account, "to 138****00")
            );
        }
    }

    #[test]
    fn a_call_refused_for_a_number_does_not_say_which() {
        let body = r#"{"Response":{"Error":{"Code":"FailedOperation.PhoneNumberInBlacklist","Message":"x"}}}"#;
        for result in results(200, body) {
            let AttemptResult::Rejected { disposition, .. } = result else {
                panic!("not refused");
            };
            assert_eq!(disposition, Disposition::RetrySame);
        }
    }

    #[test]
    fn what_proves_neither_acceptance_nor_refusal_is_unknown() {
        for (status, body) in [
            (200, "<html>"),
            (200, "{}"),
            (200, r#"{"Response":{"SendStatusSet":[]}}"#),
            (
                200,
                r#"{"Response":{"SendStatusSet":[{"PhoneNumber":"+8613800138000","Code":"Ok"}]}}"#,
            ),
            (
                200,
                r#"{"Response":{"SendStatusSet":[{"SerialNo":"1","Code":"Ok"}]}}"#,
            ),
            (500, ""),
            (502, r#"{"Response":{"Error":{"Code":"AuthFailure"}}}"#),
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
        fn no_field_makes_the_reader_panic(code in ".{0,90}", id in ".{0,20}", number in ".{0,20}") {
            let body = json!({"Response": {"SendStatusSet": [{"Code": code, "SerialNo": id, "PhoneNumber": number}]}});
            prop_assert_eq!(results(200, &body.to_string()).len(), 2);
        }
    }
}
