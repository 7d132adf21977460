//! From a record of `requests.*` to a message, a move to its right partition, or a dead letter.

use jixinda_runtime::{
    directory::View,
    kafka::{Record, partitioner},
    telemetry,
};
use jixinda_schemas::{
    AppId, Envelope, Lane, MessageId, Phone, Reason, Timestamp,
    codec::{self, Event},
    directory::{Direct, credential_place},
    event::Request,
    seal::{self, PlatformKey},
    validate::{self, MAX_REQUEST_BYTES, Problem},
};
use serde::{Deserialize, Serialize};

use crate::message::Entry;

/// How a request proved where it comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Proof {
    /// It came through ingest, which had checked who sends.
    Ingest,
    /// Produced directly; what is needed to check a record signature.
    Direct {
        signature: Option<String>,
        #[serde(with = "in_base64")]
        value: Box<[u8]>,
        /// When its producer made it, by the producer's clock.
        made_at: Timestamp,
        /// It names its message by id or key, so that a copy is known as one.
        named: bool,
        /// It says that it was moved here: broker time is that of the move.
        moved: bool,
    },
}

/// What a record is.
#[derive(Debug)]
pub(crate) enum Intake {
    Message {
        entry: Box<Entry>,
        proof: Proof,
        fingerprint: u64,
    },
    /// It belongs to another partition, or carries no key: written again under its recipient.
    Rehome(Phone),
    /// No message can be made of it. Where app, id and recipient can be read, it also gets a `rejected` outcome.
    Bad {
        reason: Reason,
        detail: String,
        rejected: Option<Box<Entry>>,
    },
}

/// Reads a record. Depends on the record, the platform key and the partition count only.
pub(crate) fn read(record: &Record<'_>, key: &PlatformKey, partitions: i32) -> Intake {
    let value = record.value.unwrap_or_default();
    let bad = |reason, detail: String| Intake::Bad {
        reason,
        detail,
        rejected: None,
    };
    if value.len() > MAX_REQUEST_BYTES {
        return bad(
            Reason::BodyTooLarge,
            format!("a request has at most {MAX_REQUEST_BYTES} bytes"),
        );
    }
    let Some(lane) = record.topic.lane() else {
        return bad(Reason::BadField, "not a requests topic".to_owned());
    };
    let mut envelope = match codec::decode(record.kind(), value) {
        Ok(Event::Request(envelope)) if envelope.kind == "request" => envelope,
        Ok(_) => {
            return bad(
                Reason::UnknownVersion,
                "only `request` events belong here".to_owned(),
            );
        }
        Err(e) => {
            let rejected = salvage(record, value, lane).map(Box::new);
            return Intake::Bad {
                reason: e.reason(),
                detail: e.to_string(),
                rejected,
            };
        }
    };
    let Some(app) = envelope.app_id.clone() else {
        return bad(Reason::MissingField, "app_id is absent".to_owned());
    };
    let recipient = &envelope.payload.recipient;
    let home = partitioner::partition(recipient.expose().as_bytes(), partitions);
    if record.partition != home {
        return Intake::Rehome(recipient.clone());
    }
    let sealed = record
        .headers
        .ingest_seal
        .as_deref()
        .is_some_and(|s| key.is_from_ingest(value, s));
    let proof = if sealed {
        Proof::Ingest
    } else {
        // Only an operator sends again for another message; a direct producer cannot make it look so.
        envelope.payload.redrive_of = None;
        Proof::Direct {
            signature: record.headers.signature.clone(),
            value: value.into(),
            made_at: envelope.at,
            named: envelope.message_id.is_some() || envelope.payload.idempotency_key.is_some(),
            moved: record.headers.rehomed_from.is_some(),
        }
    };
    let fingerprint = envelope.payload.fingerprint();
    let entry = entry(record, lane, app, envelope);
    let derived = keyed_id(&entry.app, &entry.request);
    if matches!(proof, Proof::Direct { .. }) && derived.is_some_and(|id| id != entry.id) {
        // Ids that follow from keys are known to whoever knows the key: nobody may take another app's.
        let detail = "message_id does not follow from idempotency_key; leave it out".to_owned();
        return bad(Reason::BadField, detail);
    }
    Intake::Message {
        entry: Box::new(entry),
        proof,
        fingerprint,
    }
}

fn keyed_id(app: &AppId, request: &Request) -> Option<MessageId> {
    let key = request.idempotency_key.as_ref()?;
    let (index, recipient) = (request.index, &request.recipient);
    Some(MessageId::from_idempotency_key(app, key, index, recipient))
}

fn entry(record: &Record<'_>, lane: Lane, app: AppId, envelope: Envelope<Request>) -> Entry {
    let request = envelope.payload;
    let id = envelope
        .message_id
        .or_else(|| keyed_id(&app, &request))
        .unwrap_or_else(|| by_position(record));
    Entry {
        id,
        app,
        lane,
        position: record.position(),
        accepted_at: record.at,
        request,
        traceparent: record
            .headers
            .traceparent
            .clone()
            .filter(|text| telemetry::is_traceparent(text)),
        attempts: Vec::new(),
        refused: None,
        no_route: false,
        outcome: None,
        superseded: false,
    }
}

/// A moved record keeps the identity of its first place.
fn by_position(record: &Record<'_>) -> MessageId {
    let first = record.headers.rehomed_from.as_deref();
    let first = first.and_then(|text| text.parse().ok());
    MessageId::from_position(&first.unwrap_or_else(|| record.position()))
}

/// Enough of a record that does not decode to tell its sender that it was rejected.
fn salvage(record: &Record<'_>, value: &[u8], lane: Lane) -> Option<Entry> {
    let json: serde_json::Value = serde_json::from_slice(value).ok()?;
    let app: AppId = json.get("app_id")?.as_str()?.parse().ok()?;
    let id: MessageId = json.get("message_id")?.as_str()?.parse().ok()?;
    let payload = json.get("payload")?;
    let recipient = Phone::parse_lenient(payload.get("recipient")?.as_str()?).ok()?;
    let template = payload
        .get("template")
        .and_then(|t| t.as_str())
        .and_then(|t| t.parse().ok());
    let request = Request {
        recipient,
        template: template.or_else(|| "unknown".parse().ok())?,
        signature: None,
        params: Default::default(),
        not_before: None,
        not_after: None,
        valid_for_ms: None,
        idempotency_key: None,
        index: 0,
        campaign: None,
        redrive_of: None,
    };
    Some(Entry {
        id,
        app,
        lane,
        position: record.position(),
        accepted_at: record.at,
        request,
        traceparent: None,
        attempts: Vec::new(),
        refused: None,
        no_route: false,
        outcome: None,
        superseded: false,
    })
}

/// Whether the directory that the router has may lag behind the one that accepted the request.
const DIRECTORY_LAG_MS: i64 = 3_000;

/// How far a signed record's `at` may lie from broker time: less than any lane remembers ids.
const SIGNED_SKEW_MS: i64 = 300_000;

/// The verdict on a message by the directory of now.
pub(crate) enum Verdict {
    Accepted(Box<validate::Accepted>),
    /// Looks wrong, but the directory may be about to change: ask again then.
    AskAgain(Timestamp),
    Refused(Problem),
}

/// Applies the request rules and, for direct records, checks who may produce.
pub(crate) fn judge(
    entry: &Entry,
    proof: &Proof,
    view: &View,
    key: &PlatformKey,
    now: Timestamp,
) -> Verdict {
    let context = validate::Context {
        directory: &view.snapshot,
        suppressions: &view.suppressions,
        app: &entry.app,
        lane: Some(entry.lane),
        now: entry.accepted_at,
    };
    let verdict = may_produce(entry, proof, view, key).and_then(|()| {
        validate::check(&entry.request, &context).map_err(|mut problems| problems.swap_remove(0))
    });
    match verdict {
        Ok(accepted) => Verdict::Accepted(Box::new(accepted)),
        Err(problem) => {
            let settled = entry.accepted_at.plus_millis(DIRECTORY_LAG_MS);
            if now < settled
                && problem.reason != Reason::Suppressed
                && problem.reason != Reason::BadValidity
            {
                Verdict::AskAgain(settled)
            } else {
                Verdict::Refused(problem)
            }
        }
    }
}

fn may_produce(
    entry: &Entry,
    proof: &Proof,
    view: &View,
    key: &PlatformKey,
) -> Result<(), Problem> {
    let Proof::Direct {
        signature,
        value,
        made_at,
        named,
        moved,
    } = proof
    else {
        return Ok(());
    };
    let Some(app) = view.snapshot.apps.get(&entry.app) else {
        return Ok(());
    };
    match app.direct {
        Direct::Allowed => Ok(()),
        Direct::Denied => Err(Problem::new(
            "app_id",
            Reason::DirectNotAllowed,
            format!("`{}` may not produce directly", entry.app),
        )),
        Direct::Signed => {
            let secrets: Vec<(String, String)> = app
                .credentials
                .iter()
                .filter(|c| c.enabled)
                .filter_map(|c| {
                    Some((
                        c.key_id.clone(),
                        key.open(&credential_place(&app.id, &c.key_id), &c.secret)
                            .ok()?,
                    ))
                })
                .collect();
            let good = signature
                .as_deref()
                .is_some_and(|s| seal::record_signature_matches(s, value, &secrets));
            if !good {
                return Err(Problem::new(
                    "signature header",
                    Reason::BadRecordSignature,
                    "absent or wrong",
                ));
            }
            // Whoever may write to the topic could copy it: a copy must be known as one, or be stale.
            if !named {
                return Err(Problem::new(
                    "idempotency_key",
                    Reason::MissingField,
                    "a signed record needs one, or a message_id",
                ));
            }
            // Anyone can claim to have been moved, so that must not outlast the memory of ids either.
            let skew = if *moved {
                entry.lane.id_window_ms() / 2
            } else {
                SIGNED_SKEW_MS
            };
            if entry.accepted_at.since(*made_at).abs() > skew {
                let limit = skew / 1_000;
                return Err(Problem::new(
                    "at",
                    Reason::StaleTimestamp,
                    format!(
                        "more than {limit} s away from the time at which the broker took the signed record"
                    ),
                ));
            }
            Ok(())
        }
    }
}

/// Bytes in JSON.
mod in_base64 {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Box<[u8]>, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use jixinda_schemas::{Topic, event::RedriveOf, headers::Headers};

    use super::*;

    #[test]
    fn only_under_the_seal_of_the_platform_is_a_request_one_that_is_sent_again() {
        let key = PlatformKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        let value = br#"{"type":"request","version":1,"at":"2026-01-02T03:04:05Z","app_id":"shop",
            "payload":{"recipient":"+8613800138000","template":"login","redrive_of":{
            "message_id":"1b3e02ae-c32e-8a99-a145-cf97befbe7d2",
            "request":{"topic":"requests.otp","partition":2,"offset":1043}}}}"#;
        let link = |ingest_seal: Option<String>| -> Option<RedriveOf> {
            let record = Record {
                topic: Topic::RequestsOtp,
                partition: 0,
                offset: 7,
                at: Timestamp(1),
                key: None,
                value: Some(value),
                headers: Headers {
                    ingest_seal,
                    ..Headers::of("request")
                },
            };
            match read(&record, &key, 1) {
                Intake::Message { entry, .. } => entry.request.redrive_of,
                other => panic!("{other:?}"),
            }
        };
        let of = link(Some(key.ingest_seal(value))).unwrap();
        assert_eq!(of.request.to_string(), "requests.otp/2/1043");
        assert_eq!(link(None), None);
        assert_eq!(link(Some(key.ingest_seal(b"another value"))), None);
    }
}
