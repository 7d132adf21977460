//! The ways into the platform, each to its end.

use jixinda_lab::journal::Outcome as CallOutcome;
use jixinda_schemas::{
    Lane, MessageId, Phone, Reason, Topic,
    codec::Event,
    event::{Terminal, outcome::Outcome},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    audit,
    harness::{
        ALL_IN_ONE, Platform, SOON, Settings,
        client::{event, message},
        eventually,
        load::{Accepted, Sent},
        recipient,
        world::World,
    },
};

struct Ways {
    accepted: Accepted,
}

impl Ways {
    fn add(&mut self, id: MessageId, recipient: &Phone, lane: Lane) {
        let sent = Sent::new(recipient.expose().to_owned(), lane);
        assert!(self.accepted.insert(id, sent).is_none(), "{id} twice");
    }
}

/// Status and explanation as the application sees them.
async fn check_reads(platform: &Platform, id: MessageId, recipient: &Phone) {
    let client = platform.client("all", "shop");
    let status = eventually("the status is delivered", SOON, async || {
        let answer = client.get(&format!("/v1/messages/{id}")).await;
        let status = answer.body["status"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if answer.status == 200 && status == "delivered" {
            return Ok(answer.body);
        }
        Err(format!("{} {}", answer.status, answer.body))
    })
    .await;
    let text = status.to_string();
    assert!(
        !text.contains(&recipient.expose()[3..]),
        "the number is shown: {text}"
    );
    assert!(
        text.contains(&recipient.masked()),
        "no masked number: {text}"
    );

    let decision = client.get(&format!("/v1/messages/{id}/decision")).await;
    assert_eq!(decision.status, 200, "{}", decision.body);
    let text = decision.body.to_string();
    for channel in ["good", "spare", "closed"] {
        assert!(
            text.contains(channel),
            "{channel} is not considered: {text}"
        );
    }
    assert!(text.contains("disabled"), "no gate is named: {text}");

    let stranger = platform
        .client("all", "bank")
        .get(&format!("/v1/messages/{id}"))
        .await;
    assert_eq!(stranger.code(), (404, "not_found"), "another app reads it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_by_http_batch_and_kafka_are_delivered_once_and_can_be_explained() {
    let mut world = World::new(&["good", "spare", "closed"]);
    world.channel("closed")["mode"] = json!("disabled");
    // Two segments: over 70 characters with the signature.
    let templates = world.directory["templates"].as_array_mut().unwrap();
    let login = templates.iter_mut().find(|t| t["id"] == "login").unwrap();
    login["body"] = json!(format!("验证码{{code}}{}", "请勿转告他人。".repeat(10)));
    let platform = Platform::start(world, ALL_IN_ONE).await;
    let client = platform.client("all", "shop");
    let mut ways = Ways {
        accepted: Accepted::new(),
    };

    let (signed, bearer) = (recipient(), recipient());
    let body = message("otp", signed.expose()).to_string().into_bytes();
    let authorization = format!("Bearer {}.{}", client.key, client.secret);
    let answer = client
        .raw(
            Method::POST,
            "/v1/messages?dry_run=true",
            &authorization,
            body,
        )
        .await
        .unwrap();
    assert_eq!(answer.body["segments"], 2, "{}", answer.body);
    let signed_id = client
        .send(&message("otp", signed.expose()))
        .await
        .accepted();
    ways.add(signed_id, &signed, Lane::Otp);

    let body = message("notice", bearer.expose()).to_string().into_bytes();
    let answer = client
        .raw(Method::POST, "/v1/messages", &authorization, body)
        .await
        .unwrap();
    ways.add(answer.accepted(), &bearer, Lane::Notice);

    let others: Vec<Phone> = (0..3).map(|_| recipient()).collect();
    let mut items: Vec<Value> = others
        .iter()
        .map(|r| message("marketing", r.expose()))
        .collect();
    // The second lacks its variable: it is refused by itself, and none is sent with the value of another.
    items[1]["params"] = json!({});
    let answer = client
        .batch(&json!({ "idempotency_key": "batch-1", "items": items }))
        .await;
    assert_eq!(answer.status, 207, "{}", answer.body);
    let results = answer.body["results"].as_array().unwrap();
    assert_eq!(results[1]["errors"][0]["code"], "missing_variable");
    for i in [0, 2] {
        let id = results[i]["message_id"].as_str().unwrap().parse().unwrap();
        ways.add(id, &others[i], Lane::Marketing);
    }

    // A value with `$` and `\` arrives as it is.
    let direct = recipient();
    let mut payload = message("notice", direct.expose());
    payload["params"]["name"] = json!(r"$1\王 ${order}");
    payload["idempotency_key"] = json!("direct-1");
    let app = "shop".parse().unwrap();
    let direct_id = MessageId::from_idempotency_key(&app, "direct-1", 0, &direct);
    for _ in 0..2 {
        platform
            .produce_direct(Topic::RequestsNotice, &event("shop", &payload))
            .await;
    }
    ways.add(direct_id, &direct, Lane::Notice);

    // The same key by HTTP is the same message.
    assert_eq!(client.send(&payload).await.accepted(), direct_id);

    let outcomes = audit::settle(&platform, &ways.accepted, SOON).await;
    for (id, outcome) in &outcomes {
        assert_eq!(outcome.outcome, Terminal::Delivered, "{id}: {outcome:#?}");
        check_call(&platform, id, outcome);
    }
    let counted: Vec<u32> = platform
        .log
        .topic(Topic::DispatchOtp)
        .iter()
        .filter_map(|record| match record.event() {
            Event::Routed(e) => Some(e.payload.segments),
            _ => None,
        })
        .collect();
    assert_eq!(counted, [2]);
    assert_eq!(outcomes[&signed_id].attempts[0].segments, 2);
    let call = &platform.calls_for(direct.expose())[0];
    assert_eq!(call.params.as_ref().unwrap()["name"], r"$1\王 ${order}");
    assert!(platform.calls_for(others[1].expose()).is_empty());

    check_reads(&platform, signed_id, &signed).await;
    let delivered = platform
        .metric(
            "all",
            "jixinda_router_outcomes_total",
            &["outcome=\"delivered\""],
        )
        .await;
    assert!(
        (delivered - outcomes.len() as f64).abs() < 0.5,
        "{delivered}"
    );
    platform.end().await;
}

/// Exactly one call, by the channel and under the call id that the outcome names.
fn check_call(platform: &Platform, id: &MessageId, outcome: &Outcome) {
    let recipient = outcome.recipient.as_ref().unwrap();
    let calls = platform.calls_for(recipient.expose());
    assert_eq!(calls.len(), 1, "{id}: {calls:#?}");
    let attempt = outcome.attempts.last().unwrap();
    assert_eq!(calls[0].account.as_deref(), Some(attempt.channel.as_str()));
    assert_eq!(calls[0].out_id, attempt.call_id.map(|c| c.to_string()));
    let CallOutcome::Accepted { biz_id } = &calls[0].outcome else {
        panic!("{id}: {calls:#?}");
    };
    assert_eq!(attempt.vendor_id.as_deref(), Some(biz_id.as_str()));
}

/// Defect (o) of the system that this replaces: its delivery rate was what vendors had accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_vendor_accepts_counts_as_delivered_only_by_its_receipt() {
    let mut world = World::new(&["silent"]);
    world.lab_account("silent")["behaviour"]["receipt_loss"] = json!(1.0);
    let settings = Settings::default().with("ROUTER__RECEIPT_DEADLINE", "3s");
    let platform = Platform::start_with(world, ALL_IN_ONE, settings).await;
    let mut ways = Ways {
        accepted: Accepted::new(),
    };
    for lane in ["otp", "notice"] {
        let number = recipient();
        let id = platform
            .client("all", "shop")
            .send(&message(lane, number.expose()))
            .await
            .accepted();
        ways.add(id, &number, lane.parse().ok().unwrap());
    }
    let outcomes = audit::settle(&platform, &ways.accepted, SOON).await;
    for outcome in outcomes.values() {
        assert_eq!(
            (outcome.outcome, outcome.reason),
            (Terminal::Unknown, Reason::NoReceipt),
            "{outcome:#?}"
        );
    }
    assert_eq!(platform.calls().len(), 2);
    let rows = platform
        .clickhouse("SELECT count() AS n FROM outcomes WHERE outcome = 'delivered'")
        .await
        .unwrap();
    assert_eq!(rows[0]["n"].to_string().trim_matches('"'), "0");
    platform.end().await;
}
