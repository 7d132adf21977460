use std::collections::BTreeMap;

use super::*;
use crate::directory::Suppression;

const NOW: Timestamp = Timestamp(1_735_787_045_000);

fn directory() -> Snapshot {
    let mut s = Snapshot::default();
    let records: [(&str, &str); 6] = [
        ("app/shop", r#"{"type":"app","id":"shop"}"#),
        ("app/off", r#"{"type":"app","id":"off","enabled":false}"#),
        (
            "signature/acme",
            r#"{"type":"signature","id":"acme","text":"ACME"}"#,
        ),
        (
            "signature/theirs",
            r#"{"type":"signature","id":"theirs","app":"other","text":"X"}"#,
        ),
        (
            "template/login",
            r#"{"type":"template","id":"login","app":"shop","lane":"otp","signature":"acme",
                "body":"code {code}, {place}","variables":[{"name":"code","kind":"digits","max_length":6},{"name":"place"}]}"#,
        ),
        (
            "template/plain",
            r#"{"type":"template","id":"plain","app":"shop","lane":"otp","signature":"acme","smart_encoding":true,
                "body":"It’s {code}…","variables":[{"name":"code","kind":"digits","max_length":6}]}"#,
        ),
    ];
    for (i, (key, value)) in records.iter().enumerate() {
        s.apply(key, Some(value.as_bytes()), i as i64).unwrap();
    }
    s.apply(
        "revision",
        Some(br#"{"type":"revision","revision":1,"changed":6}"#),
        9,
    )
    .unwrap();
    s
}

fn request() -> Request {
    Request {
        recipient: "+8613800138000".parse().unwrap(),
        template: "login".parse().unwrap(),
        signature: None,
        params: BTreeMap::from([
            ("code".to_owned(), "123456".to_owned()),
            ("place".to_owned(), "a$1\\b".to_owned()),
        ]),
        not_before: None,
        not_after: None,
        valid_for_ms: None,
        idempotency_key: None,
        index: 0,
        campaign: None,
        redrive_of: None,
    }
}

fn judge(
    app: &str,
    lane: Option<Lane>,
    request: &Request,
) -> Result<Accepted, Vec<(String, Reason)>> {
    let suppressions = HashMap::from([(
        "+8613900139000".parse().unwrap(),
        Suppressions {
            entries: vec![Suppression {
                app: None,
                lane: Some(Lane::Otp),
                until: None,
                note: String::new(),
            }],
        },
    )]);
    let context = Context {
        directory: &directory(),
        suppressions: &suppressions,
        app: &app.parse().unwrap(),
        lane,
        now: NOW,
    };
    check(request, &context)
        .map_err(|problems| problems.into_iter().map(|p| (p.field, p.reason)).collect())
}

fn refusal(change: impl FnOnce(&mut Request)) -> Vec<(String, Reason)> {
    let mut r = request();
    change(&mut r);
    judge("shop", None, &r).unwrap_err()
}

#[test]
fn a_good_request_is_rendered_with_its_signature() {
    let accepted = judge("shop", Some(Lane::Otp), &request()).unwrap();
    assert_eq!(accepted.text, "【ACME】code 123456, a$1\\b");
    assert_eq!(accepted.not_after.since(NOW), 300_000);
}

#[test]
fn all_problems_are_named_at_once() {
    let got = refusal(|r| {
        r.params = BTreeMap::from([
            ("code".to_owned(), "12345678x".to_owned()),
            ("nope".to_owned(), "1".to_owned()),
        ]);
        r.not_before = Some(NOW.plus_millis(61_000));
        r.signature = Some("theirs".parse().unwrap());
    });
    assert_eq!(
        got,
        [
            ("signature".to_owned(), Reason::UnknownSignature),
            ("params.code".to_owned(), Reason::VariableTooLong),
            ("params.code".to_owned(), Reason::BadVariable),
            ("params.place".to_owned(), Reason::MissingVariable),
            ("params.nope".to_owned(), Reason::UnknownVariable),
            ("not_before".to_owned(), Reason::NotBeforeTooFar),
        ]
    );
}

#[test]
fn a_disabled_app_and_a_foreign_template_are_refused() {
    assert_eq!(
        judge("off", None, &request()).unwrap_err(),
        [("app_id".to_owned(), Reason::UnknownApp)]
    );
    let got = refusal(|r| r.template = "none".parse().unwrap());
    assert_eq!(got, [("template".to_owned(), Reason::UnknownTemplate)]);
}

#[test]
fn a_template_of_another_lane_than_the_topic_is_refused() {
    let got = judge("shop", Some(Lane::Marketing), &request()).unwrap_err();
    assert_eq!(got, [("template".to_owned(), Reason::LaneMismatch)]);
}

#[test]
fn validity_must_lie_ahead_and_within_the_window_of_remembered_ids() {
    let bad = |change: fn(&mut Request)| assert_eq!(refusal(change)[0].1, Reason::BadValidity);
    bad(|r| r.not_after = Some(NOW));
    bad(|r| r.valid_for_ms = Some(3_600_001));
    bad(|r| {
        r.not_before = Some(NOW.plus_millis(30_000));
        r.not_after = Some(NOW.plus_millis(20_000));
    });
}

/// Defect (l) of the system that this replaces: it read the whole list for each message.
#[test]
fn a_suppressed_recipient_is_found_by_its_number_alone() {
    let got = refusal(|r| r.recipient = "+8613900139000".parse().unwrap());
    assert_eq!(got, [("recipient".to_owned(), Reason::Suppressed)]);
}

#[test]
fn a_text_beyond_the_limit_is_refused() {
    let mut r = request();
    r.params.insert("place".to_owned(), "x".repeat(100));
    assert!(judge("shop", None, &r).is_ok());
    let got = refusal(|r| {
        r.idempotency_key = Some(String::new());
        r.campaign = Some("x".repeat(129));
    });
    assert_eq!(
        got,
        [
            ("idempotency_key".to_owned(), Reason::BadField),
            ("campaign".to_owned(), Reason::BadField)
        ]
    );
}

#[test]
fn smart_encoding_is_for_texts_abroad_only() {
    let to = |number: &str| Request {
        recipient: number.parse().unwrap(),
        template: "plain".parse().unwrap(),
        params: BTreeMap::from([("code".to_owned(), "1".to_owned())]),
        ..request()
    };
    let text = |number: &str| judge("shop", None, &to(number)).unwrap().text;
    assert_eq!(text("+6581234567"), "[ACME]It's 1...");
    assert_eq!(text("+8613800138000"), "【ACME】It’s 1…");
}
