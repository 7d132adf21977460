//! reply: messages from handsets, listed by day. Pure.
//!
//! Source: the API reference and `jdcloud_sdk` 1.6.354: asked with `{appId, dataDate}`, `result.data` is a list of `{appId,
//! signId, phoneNum, dataTime (yyyy-MM-dd HH:mm:ss), content}`. Nothing is drained, a day is listed whole each time, and a
//! message has no id. The form of `dataDate` is not documented; days and times are taken for Beijing's.

use std::collections::{BTreeMap, HashMap, HashSet};

use jixinda_schemas::{Phone, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::receipt::list;
use crate::{
    vendor::{Batch, FetchError, InboundItem, ParsedItem, Reported, UnreadableItem},
    vendors::{answer::lenient_text, exchange::Answer, times},
};

/// Items of a day that are remembered. A day that has more is told again from its beginning.
const MOST: usize = 200_000;
const FIELDS: [&str; 5] = ["appId", "signId", "phoneNum", "dataTime", "content"];
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// How `dataDate` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateForm {
    /// `2025-01-02`.
    Dashes,
    /// `20250102`.
    Compact,
}

/// The days to ask about: yesterday, for what was listed late, and today.
#[must_use]
pub fn days(now: Timestamp, form: DateForm) -> [String; 2] {
    [now.plus_millis(-DAY_MS), now].map(|at| {
        let compact = times::beijing_compact(at);
        let (year, month, day) = (
            compact.get(..4).unwrap_or_default(),
            compact.get(4..6).unwrap_or_default(),
            compact.get(6..8).unwrap_or_default(),
        );
        match form {
            DateForm::Dashes => format!("{year}-{month}-{day}"),
            DateForm::Compact => format!("{year}{month}{day}"),
        }
    })
}

/// The body of one question.
#[must_use]
pub fn query(app_id: &str, day: &str, region: &str) -> Vec<u8> {
    json!({"regionId": region, "appId": app_id, "dataDate": day})
        .to_string()
        .into_bytes()
}

/// What was listed before, so that it is told once.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<String, HashSet<[u8; 16]>>);

impl Seen {
    /// Forgets all other days.
    pub fn keep(&mut self, days: &[String]) {
        self.0.retain(|day, _| days.contains(day));
    }

    fn is_new(&mut self, day: &str, id: [u8; 16]) -> bool {
        let ids = self.0.entry(day.to_owned()).or_default();
        if ids.len() >= MOST && !ids.contains(&id) {
            ids.clear();
        }
        ids.insert(id)
    }
}

/// Reads the answer to the question about `day`: what is new in it, under an id that follows from what it says, and is the
/// same when it is told again by another process.
///
/// # Errors
/// When it brings no list.
pub fn fetched(answer: &Answer, day: &str, seen: &mut Seen) -> Result<Batch, FetchError> {
    // Two that say the same, in the same second, are two.
    let mut alike: HashMap<String, usize> = HashMap::new();
    let mut new = Vec::new();
    for raw in list(answer)? {
        let said = said(&raw);
        let count = alike.entry(said.clone()).or_default();
        *count += 1;
        let id = id(&said, *count);
        if seen.is_new(day, id) {
            new.push(item(raw, hex::encode(id)));
        }
    }
    Ok(new.into_iter().collect())
}

fn said(raw: &Value) -> String {
    match raw.as_object() {
        Some(fields) => json!(FIELDS.map(|name| fields.get(name))).to_string(),
        None => raw.to_string(),
    }
}

fn id(said: &str, count: usize) -> [u8; 16] {
    let digest = Sha256::digest(format!("{count} {said}"));
    std::array::from_fn(|i| digest[i])
}

fn item(raw: Value, id: String) -> ParsedItem {
    let read = read(&raw, id).map(Reported::Inbound);
    read.map_err(|detail| UnreadableItem { detail, raw })
}

fn read(raw: &Value, id: String) -> Result<InboundItem, String> {
    let text = |name: &str| raw.get(name).and_then(lenient_text);
    let mobile = text("phoneNum").ok_or("phoneNum is missing")?;
    Ok(InboundItem {
        sender: Phone::parse_lenient(&mobile).map_err(|e| format!("phoneNum: {e}"))?,
        // The id of the signature that it answers; there is no number.
        destination: text("signId").unwrap_or_default(),
        text: text("content").unwrap_or_default(),
        sign_name: None,
        vendor_id: Some(id),
        vendor_at: text("dataTime").and_then(|at| times::beijing(&at)),
        raw: raw.clone(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    use super::*;

    fn answer(body: Vec<u8>) -> Answer {
        Answer {
            status: 200,
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    fn listed(items: &[Value]) -> Answer {
        let body =
            json!({"requestId": "r", "result": {"status": true, "code": 200, "data": items}});
        answer(body.to_string().into_bytes())
    }

    fn reply(text: &str) -> Value {
        json!({"appId": "app-1", "signId": "qm_1", "phoneNum": "13800138000", "dataTime": "2025-01-02 11:04:09", "content": text})
    }

    #[test]
    fn a_message_is_told_once_and_with_the_same_id_by_whoever_tells_it() {
        let mut seen = Seen::default();
        let batch = fetched(&listed(&[reply("T")]), "d", &mut seen).unwrap();
        let item = &batch.inbound[0];
        assert_eq!(item.sender.expose(), "+8613800138000");
        assert_eq!((&*item.text, &*item.destination), ("T", "qm_1"));
        let at = item.vendor_at.unwrap().to_string();
        assert_eq!(at, "2025-01-02T03:04:09.000Z");
        let mut again = fetched(&listed(&[reply("T"), reply("R")]), "d", &mut seen).unwrap();
        assert_eq!(again.inbound.len(), 1);
        assert_eq!(again.inbound.remove(0).text, "R");
        let elsewhere = fetched(&listed(&[reply("T")]), "d", &mut Seen::default()).unwrap();
        assert_eq!(elsewhere.inbound[0].vendor_id, item.vendor_id);
    }

    #[test]
    fn two_that_say_the_same_are_two() {
        let mut seen = Seen::default();
        let two = listed(&[reply("T"), reply("T")]);
        let batch = fetched(&two, "d", &mut seen).unwrap();
        assert_eq!(batch.inbound.len(), 2);
        assert_ne!(batch.inbound[0].vendor_id, batch.inbound[1].vendor_id);
        assert!(fetched(&two, "d", &mut seen).unwrap().is_empty());
        let three = listed(&[reply("T"), reply("T"), reply("T")]);
        assert_eq!(fetched(&three, "d", &mut seen).unwrap().inbound.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_told_once_too_and_a_day_that_is_over_is_forgotten() {
        let mut seen = Seen::default();
        let bad = listed(&[json!(7), json!({"phoneNum": "x"}), reply("T")]);
        let batch = fetched(&bad, "d", &mut seen).unwrap();
        assert_eq!((batch.inbound.len(), batch.unreadable.len()), (1, 2));
        assert!(fetched(&bad, "d", &mut seen).unwrap().is_empty());
        seen.keep(&["e".to_owned(), "d".to_owned()]);
        assert!(fetched(&bad, "d", &mut seen).unwrap().is_empty());
        seen.keep(&["e".to_owned(), "f".to_owned()]);
        assert_eq!(fetched(&bad, "d", &mut seen).unwrap().len(), 3);
        assert!(fetched(&answer(b"{}".to_vec()), "d", &mut seen).is_err());
    }

    #[test]
    fn the_question_names_the_application_and_a_day_of_beijing() {
        let evening = Timestamp(1_735_750_800_000);
        assert_eq!(
            days(evening, DateForm::Dashes),
            ["2025-01-01", "2025-01-02"]
        );
        assert_eq!(days(evening, DateForm::Compact), ["20250101", "20250102"]);
        let sent: Value =
            serde_json::from_slice(&query("app-1", "2025-01-02", "cn-north-1")).unwrap();
        let wanted = json!({"regionId": "cn-north-1", "appId": "app-1", "dataDate": "2025-01-02"});
        assert_eq!(sent, wanted);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _batch = fetched(&answer(body), "d", &mut Seen::default());
        }

        #[test]
        fn no_field_makes_the_reader_panic(mobile in ".{0,20}", at in ".{0,24}", text in ".{0,20}") {
            let item = json!({"phoneNum": mobile, "dataTime": at, "content": text});
            let batch = fetched(&listed(&[item]), "d", &mut Seen::default()).unwrap();
            prop_assert_eq!(batch.len(), 1);
        }
    }
}
