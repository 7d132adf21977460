use jixinda_schemas::{Lane, headers::INGEST_SEAL, seal::sign_record};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp(1_767_323_045_000);
const MINUTE: i64 = 60_000;

fn key() -> PlatformKey {
    PlatformKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap()
}

fn directory() -> Snapshot {
    let mut snapshot = Snapshot::default();
    let place = credential_place(&"bank".parse().unwrap(), "bank-1");
    let secret = key().seal(&place, "s3cret");
    let bank = json!({
        "type": "app", "id": "bank", "direct": "signed",
        "credentials": [{ "key_id": "bank-1", "secret": secret }],
    });
    let template = |id: &str, app: &str, lane: &str| {
        let variables = json!([{ "name": "code", "kind": "digits", "max_length": 6 }]);
        let template = json!({
            "type": "template", "id": id, "app": app, "lane": lane, "signature": "acme", "body": "code {code}",
            "variables": variables,
        });
        (format!("template/{id}"), template)
    };
    let entities = [
        (
            "app/shop".to_owned(),
            json!({ "type": "app", "id": "shop", "direct": "allowed" }),
        ),
        (
            "app/mute".to_owned(),
            json!({ "type": "app", "id": "mute" }),
        ),
        ("app/bank".to_owned(), bank),
        (
            "signature/acme".to_owned(),
            json!({ "type": "signature", "id": "acme", "text": "ACME" }),
        ),
        template("login", "shop", "otp"),
        template("news", "shop", "notice"),
        template("mute-login", "mute", "otp"),
        template("bank-login", "bank", "otp"),
        (
            "revision".to_owned(),
            json!({ "type": "revision", "revision": 1, "changed": 8 }),
        ),
    ];
    for (i, (key, entity)) in entities.iter().enumerate() {
        let bytes = entity.to_string().into_bytes();
        snapshot.apply(key, Some(&bytes), i as i64).unwrap();
    }
    snapshot
}

fn event(app: &str, payload: Value) -> Vec<u8> {
    let event = json!({
        "type": "request", "version": 1, "at": NOW.plus_millis(-MINUTE), "app_id": app, "payload": payload,
    });
    event.to_string().into_bytes()
}

fn login() -> Value {
    json!({ "recipient": "+8613800138000", "template": "login", "params": { "code": "482913" } })
}

fn original(value: Vec<u8>) -> Original {
    Original {
        position: "requests.otp/2/17".parse().unwrap(),
        accepted_at: NOW.plus_millis(-MINUTE),
        value,
        headers: Headers::of(kind::REQUEST),
    }
}

fn renew(original: &Original, renewal: Renewal) -> Result<Renewed, String> {
    let (directory, suppressions, key) = (directory(), HashMap::new(), key());
    let rules = Rules {
        directory: &directory,
        suppressions: &suppressions,
        key: &key,
        now: NOW,
    };
    original.renew(&renewal, &rules)
}

fn payload(renewed: &Renewed) -> Request {
    match codec::decode(None, renewed.record.value.as_deref().unwrap()).unwrap() {
        Event::Request(envelope) => envelope.payload,
        other => panic!("{other:?}"),
    }
}

fn valid_for(minutes: i64) -> Renewal {
    Renewal {
        valid_for: Some(minutes * MINUTE),
        ..Renewal::default()
    }
}

#[test]
fn the_new_request_is_the_old_one_under_a_new_id_linked_to_it_and_sealed() {
    let mut given = login();
    given["idempotency_key"] = json!("order-1");
    given["index"] = json!(3);
    given["campaign"] = json!("spring");
    given["valid_for_ms"] = json!(10 * MINUTE);
    let original = original(event("shop", given));
    let renewed = renew(&original, Renewal::default()).unwrap();

    let phone = "+8613800138000".parse().unwrap();
    let app = "shop".parse().unwrap();
    let old = MessageId::from_idempotency_key(&app, "order-1", 3, &phone);
    assert_eq!(renewed.old, old);
    let new = payload(&renewed);
    let of = new.redrive_of.unwrap();
    assert_eq!((of.message_id, of.request), (old, original.position));
    assert_eq!(renewed.new, MessageId::redrive(&of));
    assert_ne!(renewed.new, old);
    assert_eq!(
        (new.idempotency_key, new.index, new.valid_for_ms),
        (None, 0, None)
    );
    assert_eq!(new.campaign.as_deref(), Some("spring"));
    assert_eq!(new.params["code"], "482913");
    // Its own end of validity goes on.
    assert_eq!(new.not_after, Some(NOW.plus_millis(9 * MINUTE)));

    let record = &renewed.record;
    assert_eq!(record.topic, Topic::RequestsOtp);
    assert_eq!(record.key.as_deref(), Some(b"+8613800138000".as_slice()));
    let pairs = record.headers.pairs();
    let (_, seal) = pairs.iter().find(|(name, _)| *name == INGEST_SEAL).unwrap();
    assert!(key().is_from_ingest(record.value.as_deref().unwrap(), seal));
}

#[test]
fn an_expired_message_needs_a_new_validity_within_the_rules() {
    let mut late = original(event("shop", login()));
    late.accepted_at = NOW.plus_millis(-5 * MINUTE);
    let error = renew(&late, Renewal::default()).unwrap_err();
    assert!(
        error.starts_with("not_after") && error.contains("--valid-for 10m"),
        "{error}"
    );

    let renewed = renew(&late, valid_for(10)).unwrap();
    assert_eq!(
        payload(&renewed).not_after,
        Some(NOW.plus_millis(10 * MINUTE))
    );
    let error = renew(&late, valid_for(61)).unwrap_err();
    assert!(error.contains("at most 60 minutes"), "{error}");
    let past = Renewal {
        not_after: Some(NOW),
        ..Renewal::default()
    };
    assert!(renew(&late, past).unwrap_err().contains("bad_validity"));
}

#[test]
fn the_rules_of_now_apply() {
    let mut given = login();
    given["params"] = json!({});
    given["template"] = json!("gone");
    let error = renew(&original(event("shop", given)), Renewal::default()).unwrap_err();
    assert!(
        error.starts_with("template") && error.contains("unknown_template"),
        "{error}"
    );
    let error = renew(&original(event("ghost", login())), Renewal::default()).unwrap_err();
    assert!(error.contains("unknown_app"), "{error}");
}

#[test]
fn a_template_that_has_moved_to_another_lane_takes_its_message_along() {
    let mut given = login();
    given["template"] = json!("news");
    let renewed = renew(&original(event("shop", given)), valid_for(10)).unwrap();
    assert_eq!(renewed.record.topic, Topic::RequestsNotice);
    assert_eq!(renewed.record.headers.lane, Some(Lane::Notice));
}

#[test]
fn what_may_not_produce_directly_is_not_smuggled_in() {
    let mut given = login();
    given["template"] = json!("mute-login");
    let mut mute = original(event("mute", given.clone()));
    let error = renew(&mute, Renewal::default()).unwrap_err();
    assert!(error.contains("direct_not_allowed"), "{error}");
    mute.headers.ingest_seal = Some(key().ingest_seal(b"another value"));
    assert!(renew(&mute, Renewal::default()).is_err());
    mute.headers.ingest_seal = Some(key().ingest_seal(&mute.value));
    assert!(renew(&mute, Renewal::default()).is_ok());

    given["template"] = json!("bank-login");
    let mut bank = original(event("bank", given));
    let error = renew(&bank, Renewal::default()).unwrap_err();
    assert!(error.contains("bad_record_signature"), "{error}");
    bank.headers.signature = Some(format!("bank-1:{}", sign_record("other", &bank.value)));
    assert!(renew(&bank, Renewal::default()).is_err());
    bank.headers.signature = Some(format!("bank-1:{}", sign_record("s3cret", &bank.value)));
    assert!(renew(&bank, Renewal::default()).is_ok());
}

#[test]
fn what_cannot_be_read_says_so_and_shows_no_number() {
    let error = renew(&original(b"13812345678 {".to_vec()), Renewal::default()).unwrap_err();
    assert!(
        error.contains("cannot read") && !error.contains("13812345678"),
        "{error}"
    );
    let mut nobody: Value = serde_json::from_slice(&event("shop", login())).unwrap();
    nobody["app_id"] = Value::Null;
    let error = renew(
        &original(nobody.to_string().into_bytes()),
        Renewal::default(),
    )
    .unwrap_err();
    assert!(error.starts_with("app_id"), "{error}");
}

#[test]
fn a_moved_record_keeps_the_id_of_its_first_place() {
    let mut moved = original(event("shop", login()));
    moved.headers.rehomed_from = Some("requests.otp/5/3".to_owned());
    let first = "requests.otp/5/3".parse().unwrap();
    assert_eq!(
        renew(&moved, Renewal::default()).unwrap().old,
        MessageId::from_position(&first)
    );
}

proptest! {
    #[test]
    fn a_message_is_redriven_under_one_id_whatever_is_asked_and_no_two_share_it(
        offsets in proptest::collection::btree_set(0_i64..1_000_000, 2..6),
        minutes in 1_i64..60,
    ) {
        let mut seen = std::collections::BTreeSet::new();
        for offset in &offsets {
            let mut original = original(event("shop", login()));
            original.position.offset = *offset;
            let once = renew(&original, Renewal::default()).unwrap();
            let again = renew(&original, valid_for(minutes)).unwrap();
            prop_assert_eq!(once.new, again.new);
            // The router compares the content of repeats.
            prop_assert_eq!(payload(&once).fingerprint(), payload(&again).fingerprint());
            prop_assert!(seen.insert(once.new));
        }
        prop_assert_eq!(seen.len(), offsets.len());
    }
}
