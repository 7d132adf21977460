//! Direct records with a fault are rejected, moved or kept as dead letters, each with its reason.

use jixinda_runtime::kafka::partitioner;
use jixinda_schemas::{Lane, MessageId, Reason, Topic, event::Terminal, headers::Headers, seal};
use serde_json::{Value, json};

use crate::{
    audit,
    bad_input::{refused_world, sent},
    harness::{
        ALL_IN_ONE, Platform, SOON,
        client::{event, message},
        eventually,
        load::Accepted,
        recipient,
    },
};

/// Direct records with a fault, and what is to become of each.
struct Direct<'a> {
    platform: &'a Platform,
    accepted: Accepted,
    /// Message → the reason of its rejection.
    rejected: Vec<(MessageId, Reason)>,
    /// Value → the reason of its dead letter.
    buried: Vec<(Vec<u8>, Reason)>,
}

impl Direct<'_> {
    /// Breaks a rule: a rejected outcome.
    async fn rejected(&mut self, app: &str, payload: Value, headers: Headers, reason: Reason) {
        let value = event(app, &payload).to_string().into_bytes();
        let id = self.produce(&payload, &value, headers).await;
        self.rejected.push((id, reason));
    }

    /// The id that follows from its place.
    async fn produce(&self, payload: &Value, value: &[u8], headers: Headers) -> MessageId {
        let (topic, recipient) = (Topic::RequestsOtp, payload["recipient"].as_str());
        let at = self
            .platform
            .produce(topic, recipient, value, None, headers)
            .await;
        MessageId::from_position(&at)
    }

    /// Records of an app that has to sign: one good, copied once; one that does not name its message; one made too
    /// long ago.
    async fn signed(&mut self) {
        let secret = self.platform.world.secrets["bank"].clone();
        let number = recipient();
        let mut payload = message("otp", number.expose());
        payload["template"] = json!("bank-login");
        payload["idempotency_key"] = json!("signed");
        let value = event("bank", &payload).to_string().into_bytes();
        for _ in 0..2 {
            let headers = signed_by("bank-1", &secret, &value);
            self.produce(&payload, &value, headers).await;
        }
        let id = MessageId::from_idempotency_key(&"bank".parse().unwrap(), "signed", 0, &number);
        self.accepted.insert(id, sent(&number, Lane::Otp));

        payload["recipient"] = json!(recipient().expose());
        payload["idempotency_key"] = Value::Null;
        let value = event("bank", &payload).to_string().into_bytes();
        let headers = signed_by("bank-1", &secret, &value);
        let id = self.produce(&payload, &value, headers).await;
        self.rejected.push((id, Reason::MissingField));

        let number = recipient();
        payload["recipient"] = json!(number.expose());
        payload["idempotency_key"] = json!("stale");
        let mut old = event("bank", &payload);
        old["at"] = json!("2026-01-02T03:04:05Z");
        let value = old.to_string().into_bytes();
        let headers = signed_by("bank-1", &secret, &value);
        self.produce(&payload, &value, headers).await;
        let id = MessageId::from_idempotency_key(&"bank".parse().unwrap(), "stale", 0, &number);
        self.rejected.push((id, Reason::StaleTimestamp));
    }

    /// Cannot be read: a dead letter.
    async fn buried(&mut self, value: Vec<u8>, headers: Headers, reason: Reason) {
        let topic = Topic::RequestsOtp;
        self.platform
            .produce(topic, Some("+8613800138000"), &value, None, headers)
            .await;
        self.buried.push((value, reason));
    }

    /// In the wrong place: moved there and delivered, once, under the id of its first place.
    async fn rehomed(&mut self, key: Option<&str>) {
        let number = recipient();
        let partitions = self.platform.kafka.config().partitions;
        let home = partitioner::partition(number.expose().as_bytes(), partitions);
        let value = event("shop", &message("otp", number.expose()))
            .to_string()
            .into_bytes();
        let away = Some((home + 1) % partitions);
        let (topic, headers) = (Topic::RequestsOtp, Headers::of("request"));
        let at = self
            .platform
            .produce(topic, key, &value, away, headers)
            .await;
        self.accepted
            .insert(MessageId::from_position(&at), sent(&number, Lane::Otp));
    }
}

fn signed_by(key_id: &str, secret: &str, value: &[u8]) -> Headers {
    Headers {
        signature: Some(format!("{key_id}:{}", seal::sign_record(secret, value))),
        ..Headers::of("request")
    }
}

/// Defect (f) of the system that this replaces: a record that did not decode came back for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_records_with_a_fault_are_rejected_moved_or_kept_as_dead_letters() {
    let (world, barred) = refused_world();
    let platform = Platform::start(world, ALL_IN_ONE).await;
    let plain = || Headers::of("request");
    let mut direct = Direct {
        platform: &platform,
        accepted: Accepted::new(),
        rejected: Vec::new(),
        buried: Vec::new(),
    };
    let fresh = || message("otp", recipient().expose());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut payload = fresh();
        change(&mut payload);
        payload
    };

    direct
        .rejected(
            "shop",
            message("otp", barred.expose()),
            plain(),
            Reason::Suppressed,
        )
        .await;
    direct
        .rejected(
            "shop",
            with(&|p| p["template"] = json!("nothing")),
            plain(),
            Reason::UnknownTemplate,
        )
        .await;
    direct
        .rejected(
            "shop",
            with(&|p| p["template"] = json!("order")),
            plain(),
            Reason::LaneMismatch,
        )
        .await;
    direct
        .rejected(
            "shop",
            with(&|p| p["params"] = json!({})),
            plain(),
            Reason::MissingVariable,
        )
        .await;
    direct
        .rejected("ghost", fresh(), plain(), Reason::UnknownApp)
        .await;
    let mute = with(&|p| p["template"] = json!("mute-login"));
    direct
        .rejected("mute", mute, plain(), Reason::DirectNotAllowed)
        .await;
    let bank = || with(&|p| p["template"] = json!("bank-login"));
    direct
        .rejected("bank", bank(), plain(), Reason::BadRecordSignature)
        .await;
    let forged = signed_by("bank-1", "not the secret of the bank", b"other bytes");
    direct
        .rejected("bank", bank(), forged, Reason::BadRecordSignature)
        .await;

    direct
        .buried(b"\xff\x00 no JSON".to_vec(), plain(), Reason::BadJson)
        .await;
    direct
        .buried(Vec::new(), Headers::default(), Reason::BadJson)
        .await;
    let mut newer = event("shop", &fresh());
    newer["version"] = json!(9);
    direct
        .buried(
            newer.to_string().into_bytes(),
            Headers::default(),
            Reason::UnknownVersion,
        )
        .await;
    let no_number = event("shop", &with(&|p| p["recipient"] = json!("13800")));
    direct
        .buried(no_number.to_string().into_bytes(), plain(), Reason::BadJson)
        .await;
    let large = event(
        "shop",
        &with(&|p| p["params"]["code"] = json!("1".repeat(20_000))),
    );
    direct
        .buried(
            large.to_string().into_bytes(),
            plain(),
            Reason::BodyTooLarge,
        )
        .await;
    // As large as a client lets through, by the key, by a header, and with both good otherwise.
    let (key, value) = ("9".repeat(600_000), vec![b'k'; 300_000]);
    let topic = Topic::RequestsOtp;
    platform
        .produce(topic, Some(&key), &value, None, plain())
        .await;
    direct.buried.push((value, Reason::BodyTooLarge));
    let long = Headers {
        signature: Some("f".repeat(900_000)),
        ..plain()
    };
    direct
        .buried(b"{ a long header".to_vec(), long, Reason::BadJson)
        .await;
    let number = recipient();
    let payload = message("otp", number.expose());
    let value = event("shop", &payload).to_string().into_bytes();
    let long = Headers {
        traceparent: Some("f".repeat(900_000)),
        ..plain()
    };
    let id = direct.produce(&payload, &value, long).await;
    direct.accepted.insert(id, sent(&number, Lane::Otp));

    direct.rehomed(None).await;
    direct.rehomed(Some("+8613900000000")).await;
    let number = recipient();
    direct.rehomed(Some(number.expose())).await;

    direct.signed().await;
    // Good ones among them.
    for _ in 0..20 {
        let number = recipient();
        let at = platform
            .produce_direct(
                Topic::RequestsOtp,
                &event("shop", &message("otp", number.expose())),
            )
            .await;
        direct
            .accepted
            .insert(MessageId::from_position(&at), sent(&number, Lane::Otp));
    }
    direct.check().await;
    platform.end().await;
}

impl Direct<'_> {
    async fn check(self) {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let Self {
            platform,
            accepted,
            rejected,
            buried,
        } = self;
        let mut all = accepted.clone();
        for (id, _) in &rejected {
            // It reaches no vendor, so the number does not matter.
            all.insert(*id, sent(&recipient(), Lane::Otp));
        }
        let outcomes = audit::settle(platform, &all, SOON).await;
        for id in accepted.keys() {
            assert_eq!(
                outcomes[id].outcome,
                Terminal::Delivered,
                "{:#?}",
                outcomes[id]
            );
        }
        for (id, reason) in &rejected {
            let found = (outcomes[id].outcome, outcomes[id].reason);
            assert_eq!(found, (Terminal::Rejected, *reason), "{:#?}", outcomes[id]);
        }
        eventually("the dead letters are written", SOON, async || {
            let letters = platform.log.dead_letters();
            for (value, reason) in &buried {
                let kept = STANDARD.encode(&value[..value.len().min(999)]);
                let found: Vec<_> = letters
                    .iter()
                    .filter(|l| {
                        l.reason == *reason && l.value.starts_with(kept.trim_end_matches('='))
                    })
                    .collect();
                if found.is_empty() {
                    let text = String::from_utf8_lossy(&value[..value.len().min(80)]).into_owned();
                    return Err(format!("{reason:?}: {text}: {letters:#?}"));
                }
            }
            Ok(())
        })
        .await;
        assert_eq!(
            platform.calls().len(),
            accepted.len(),
            "only the good ones are sent"
        );
        let reasons = rejected
            .iter()
            .map(|(_, reason)| reason)
            .chain(buried.iter().map(|(_, r)| r));
        for reason in reasons.chain([&Reason::Misplaced]) {
            let label = format!("reason=\"{}\"", reason.as_str());
            let counted = platform
                .metric("all", "jixinda_router_records_refused_total", &[&label])
                .await;
            assert!(counted >= 1.0, "{reason:?} is not counted");
        }
    }
}
