//! What is wrong is refused, moved or kept as a dead letter, each with its reason, and disturbs nothing else.

use jixinda_runtime::kafka::partitioner;
use jixinda_schemas::{
    Lane, MessageId, Phone, Reason, Topic, event::Terminal, headers::Headers, seal,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    audit,
    harness::{
        ALL_IN_ONE, Platform, SOON,
        client::{Answer, Client, event, message, now_seconds},
        eventually,
        load::{Accepted, Sent},
        recipient,
        world::World,
    },
};

fn sent(recipient: &Phone, lane: Lane) -> Sent {
    Sent {
        recipient: recipient.expose().to_owned(),
        lane,
    }
}

fn refused_world() -> (World, Phone) {
    let mut world = World::new(&["good"]);
    let barred = recipient();
    world.directory["suppressions"] = json!([{ "recipient": barred.expose(), "note": "operator" }]);
    (world, barred)
}

/// A request signed with these.
async fn signed(client: &Client, body: &Value, ts: i64, nonce: &str) -> Answer {
    let body = body.to_string().into_bytes();
    let authorization = client.authorization(&Method::POST, "/v1/messages", &body, ts, nonce);
    client
        .raw(Method::POST, "/v1/messages", &authorization, body)
        .await
        .unwrap()
}

async fn garbage(client: &Client) -> Answer {
    let body = b"{ no JSON".to_vec();
    let nonce = "0123456789abcdef";
    let authorization =
        client.authorization(&Method::POST, "/v1/messages", &body, now_seconds(), nonce);
    client
        .raw(Method::POST, "/v1/messages", &authorization, body)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_requests_with_a_fault_are_refused_by_name_and_reach_no_vendor() {
    let (world, barred) = refused_world();
    let platform = Platform::start(world, ALL_IN_ONE).await;
    let client = platform.client("all", "shop");
    let number = recipient();
    let good = message("otp", number.expose());
    let nonce = || format!("{:032x}", rand::random::<u128>());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        body
    };

    let forger = Client {
        secret: "x".repeat(32),
        ..client.clone()
    };
    let stranger = Client {
        key: "nobody".into(),
        ..client.clone()
    };
    let now = now_seconds();
    let cases = [
        (
            signed(&forger, &good, now, &nonce()).await,
            (401, "unauthorized"),
        ),
        (
            signed(&stranger, &good, now, &nonce()).await,
            (401, "unauthorized"),
        ),
        (
            signed(&client, &good, now - 301, &nonce()).await,
            (401, "stale_timestamp"),
        ),
        (
            signed(&client, &good, now + 310, &nonce()).await,
            (401, "stale_timestamp"),
        ),
        (
            client
                .send(&with(&|b| b["template"] = json!("nothing")))
                .await,
            (422, "unknown_template"),
        ),
        (
            client
                .send(&with(&|b| b["template"] = json!("bank-login")))
                .await,
            (422, "unknown_template"),
        ),
        (
            client.send(&with(&|b| b["params"] = json!({}))).await,
            (422, "missing_variable"),
        ),
        (
            client.send(&with(&|b| b["params"]["x"] = json!("1"))).await,
            (422, "unknown_variable"),
        ),
        (
            client
                .send(&with(&|b| b["params"]["code"] = json!("1".repeat(40))))
                .await,
            (422, "variable_too_long"),
        ),
        (
            client
                .send(&with(&|b| b["recipient"] = json!("12345")))
                .await,
            (422, "bad_recipient"),
        ),
        (
            client
                .send(&with(&|b| b["recipient"] = json!(barred.expose())))
                .await,
            (422, "suppressed"),
        ),
        (
            client.send(&with(&|b| b["valid_for"] = json!("25h"))).await,
            (422, "bad_validity"),
        ),
        (
            client.send(&with(&|b| b["to"] = json!("1"))).await,
            (422, "unknown_field"),
        ),
        (
            client
                .send(&with(&|b| b["campaign"] = json!("x".repeat(20_000))))
                .await,
            (413, "body_too_large"),
        ),
        (client.send(&json!([1, 2])).await, (422, "bad_field")),
        (garbage(&client).await, (400, "bad_json")),
    ];
    for (answer, wanted) in &cases {
        assert_eq!(answer.code(), *wanted, "{}", answer.body);
        assert!(
            !answer.body.to_string().contains(&number.expose()[4..]),
            "{}",
            answer.body
        );
    }
    for (_, (_, reason)) in &cases {
        let label = format!("reason=\"{reason}\"");
        let counted = platform
            .metric("all", "jixinda_ingest_refused_total", &[&label])
            .await;
        assert!(counted >= 1.0, "{reason} is not counted");
    }

    // Nothing of that was written; what follows is sent as if nothing had been.
    let id = client.send(&good).await.accepted();
    audit::settle(
        &platform,
        &Accepted::from([(id, sent(&number, Lane::Otp))]),
        SOON,
    )
    .await;
    let requests: usize = [
        Topic::RequestsOtp,
        Topic::RequestsNotice,
        Topic::RequestsMarketing,
    ]
    .map(|topic| platform.log.topic(topic).len())
    .iter()
    .sum();
    assert_eq!(requests, 1);
    assert_eq!(platform.calls().len(), 1);
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_request_is_refused_and_after_a_restart_is_the_same_message() {
    let processes = [("door", "ingest"), ("rest", "router,senders,analytics")];
    let mut platform = Platform::start(World::new(&["good"]), &processes).await;
    let client = platform.client("door", "shop");
    let number = recipient();
    let (body, now) = (message("otp", number.expose()), now_seconds());
    let nonce = "3d1b7a6f5e9c4b21";

    let id = signed(&client, &body, now, nonce).await.accepted();
    let again = signed(&client, &body, now, nonce).await;
    assert_eq!(again.code(), (401, "nonce_replayed"), "{}", again.body);

    // What an instance remembers is gone; the log remembers.
    platform.stop("door").await;
    platform.restart("door");
    platform.process_ready("door").await;
    assert_eq!(signed(&client, &body, now, nonce).await.accepted(), id);

    let mut accepted = Accepted::from([(id, sent(&number, Lane::Otp))]);
    let later = recipient();
    accepted.insert(
        client
            .send(&message("otp", later.expose()))
            .await
            .accepted(),
        sent(&later, Lane::Otp),
    );
    audit::settle(&platform, &accepted, SOON).await;
    eventually("the repeat is counted", SOON, async || {
        let counted = platform
            .metric("rest", "jixinda_router_repeats_total", &[])
            .await;
        if counted >= 1.0 { Ok(()) } else { Err("0") }
    })
    .await;
    assert_eq!(platform.log.topic(Topic::RequestsOtp).len(), 3);
    assert_eq!(platform.calls_for(number.expose()).len(), 1);
    platform.end().await;
}

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
        let recipient = payload["recipient"].as_str().unwrap().to_owned();
        let value = event(app, &payload).to_string().into_bytes();
        let topic = Topic::RequestsOtp;
        let at = self
            .platform
            .produce(topic, Some(&recipient), &value, None, headers)
            .await;
        self.rejected.push((MessageId::from_position(&at), reason));
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

    direct.rehomed(None).await;
    direct.rehomed(Some("+8613900000000")).await;
    let number = recipient();
    direct.rehomed(Some(number.expose())).await;

    // Good ones among them, one signed by its app.
    let number = recipient();
    let mut payload = message("otp", number.expose());
    payload["template"] = json!("bank-login");
    let value = event("bank", &payload).to_string().into_bytes();
    let headers = signed_by("bank-1", &platform.world.secrets["bank"], &value);
    let at = platform
        .produce(
            Topic::RequestsOtp,
            Some(number.expose()),
            &value,
            None,
            headers,
        )
        .await;
    direct
        .accepted
        .insert(MessageId::from_position(&at), sent(&number, Lane::Otp));
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
