//! The life of one message as records.

use jixinda_runtime::kafka::OwnedRecord;
use jixinda_schemas::{
    AttemptId, CallId, Lane, MessageId, Phone, Position, Reason, Timestamp, Topic, WriterId,
    codec::{About, encode, envelope},
    event::{
        AttemptFinished, AttemptResult, AttemptStarted, AttemptState, AttemptSummary, Considered,
        DeadLetter, Gate, Opened, Outcome, OutcomeCorrected, Receipt, Routed, Terminal, kind,
    },
    headers::Headers,
    phone::Carrier,
    template::Content,
    vendor::ReceiptStatus,
};
use serde::Serialize;

/// 2026-01-01T10:00:00Z
pub(crate) const START: i64 = 1_767_261_600_000;

fn at(millis: i64) -> Timestamp {
    Timestamp(START + millis)
}

fn writer(role: &str, number: u64) -> WriterId {
    WriterId {
        role: role.into(),
        number,
    }
}

fn phone() -> Phone {
    "+8613800138000".parse().unwrap()
}

struct Life {
    message: MessageId,
    request: Position,
    records: Vec<OwnedRecord>,
    /// Of the writer of the next record.
    clock: i64,
}

impl Life {
    fn add<P: Serialize>(&mut self, topic: Topic, kind: &str, by: Option<WriterId>, payload: P) {
        let about = About {
            message_id: Some(self.message),
            app_id: Some("shop".parse().unwrap()),
            ..About::default()
        };
        let value = encode(&envelope(kind, about, at(self.clock), payload));
        let headers = Headers {
            writer: by,
            ..Headers::of(kind)
        };
        let key = Some(phone().expose().as_bytes().to_vec());
        self.records.push(OwnedRecord {
            topic,
            partition: Some(0),
            key,
            value: Some(value),
            headers,
        });
    }

    fn opened(&mut self, topic: Topic, by: &WriterId) {
        let payload = Opened {
            writer: by.clone(),
            instance: "test".into(),
            at: at(0),
        };
        self.add(topic, kind::OPENED, Some(by.clone()), payload);
    }

    fn outcome(&self, outcome: Terminal, state: AttemptState, seq: u32) -> Outcome {
        Outcome {
            outcome,
            reason: if outcome == Terminal::Delivered {
                Reason::Delivered
            } else {
                Reason::NoReceipt
            },
            detail: None,
            seq,
            request: self.request,
            accepted_at: at(0),
            lane: Lane::Otp,
            recipient: Some(phone()),
            carrier: Carrier::Mobile,
            region: "CN".into(),
            template: Some("login".parse().unwrap()),
            signature: Some("jixinda".parse().unwrap()),
            campaign: None,
            redrive_of: None,
            attempts: vec![AttemptSummary {
                n: 1,
                attempt_id: AttemptId::new(self.message, &self.request, 1),
                channel: "channel-1".parse().unwrap(),
                vendor: "aliyun".into(),
                state,
                code: Some("DELIVERED".into()),
                call_id: Some(CallId(7)),
                vendor_id: Some("v-1".into()),
                segments: 1,
                cost_micros: 35_000,
                routed_at: at(5),
                started_at: Some(at(20)),
                submitted_at: Some(at(30)),
                finished_at: Some(at(60)),
                receipt_at: (seq > 0).then(|| at(2_000)),
            }],
            ended_at: at(1_000 + i64::from(seq) * 1_100),
        }
    }
}

fn routed(life: &Life) -> Routed {
    let considered = |channel: &str, gate| Considered {
        channel: channel.parse().unwrap(),
        gate,
        score: Some(0.5),
        delivered_rate: Some(0.9),
    };
    Routed {
        n: 1,
        attempt_id: AttemptId::new(life.message, &life.request, 1),
        request: life.request,
        lane: Lane::Otp,
        recipient: phone(),
        channel: "channel-1".parse().unwrap(),
        vendor: "aliyun".into(),
        pool: "default".into(),
        template: "login".parse().unwrap(),
        signature: "jixinda".parse().unwrap(),
        sign_name: "集信达".into(),
        content: Content::FullText {
            text: "482913".into(),
        },
        text: "482913".into(),
        segments: 1,
        price_micros: 35_000,
        not_after: at(300_000),
        directory_offset: 12,
        health_offset: 34,
        seed: u64::MAX,
        decided_at: at(5),
        considered: vec![
            considered("channel-1", None),
            considered("channel-2", Some(Gate::Breaker)),
        ],
    }
}

fn started(life: &Life) -> AttemptStarted {
    AttemptStarted {
        n: 1,
        attempt_id: AttemptId::new(life.message, &life.request, 1),
        lane: Lane::Otp,
        recipient: phone(),
        channel: "channel-1".parse().unwrap(),
        vendor: "aliyun".into(),
        call_id: CallId(7),
        started_at: at(20),
    }
}

fn finished(life: &Life) -> AttemptFinished {
    AttemptFinished {
        n: 1,
        attempt_id: AttemptId::new(life.message, &life.request, 1),
        lane: Lane::Otp,
        recipient: phone(),
        channel: "channel-1".parse().unwrap(),
        call_id: CallId(7),
        result: AttemptResult::Accepted {
            vendor_id: "v-1".into(),
        },
        submitted_at: Some(at(30)),
        elapsed_ms: Some(30),
    }
}

fn receipt(life: &Life) -> Receipt {
    Receipt {
        n: 1,
        attempt_id: AttemptId::new(life.message, &life.request, 1),
        channel: "channel-1".parse().unwrap(),
        recipient: phone(),
        status: ReceiptStatus::Delivered,
        code: "DELIVERED".into(),
        vendor_id: Some("v-1".into()),
        part: None,
        parts: None,
        received_at: at(2_000),
        vendor_at: None,
    }
}

/// Decided, sent, taken, `unknown`, then delivered after all. Around it what must not count: records of an owner that
/// was succeeded, bytes that are no event.
pub(crate) fn life(number: i64) -> (MessageId, Vec<OwnedRecord>) {
    let request = Position {
        topic: Topic::RequestsOtp,
        partition: 0,
        offset: number,
    };
    let mut life = Life {
        message: MessageId::from_position(&request),
        request,
        records: Vec::new(),
        clock: 0,
    };
    let number = number.unsigned_abs() * 10;
    let (zombie, router) = (writer("router", number + 1), writer("router", number + 2));
    let sender = writer("senders.default", number + 3);
    for topic in [Topic::DispatchOtp, Topic::Receipts, Topic::Outcomes] {
        life.opened(topic, &zombie);
        life.opened(topic, &router);
    }
    life.opened(Topic::Attempts, &sender);
    life.clock = 5;
    for by in [&zombie, &router] {
        life.add(
            Topic::DispatchOtp,
            kind::ROUTED,
            Some(by.clone()),
            routed(&life),
        );
    }
    life.clock = 20;
    life.add(
        Topic::Attempts,
        kind::ATTEMPT_STARTED,
        Some(sender.clone()),
        started(&life),
    );
    life.clock = 60;
    life.add(
        Topic::Attempts,
        kind::ATTEMPT_FINISHED,
        Some(sender),
        finished(&life),
    );
    let unknown = life.outcome(Terminal::Unknown, AttemptState::Accepted, 0);
    for by in [&router, &zombie] {
        life.add(
            Topic::Outcomes,
            kind::OUTCOME,
            Some(by.clone()),
            unknown.clone(),
        );
    }
    life.add(
        Topic::Receipts,
        kind::RECEIPT,
        Some(router.clone()),
        receipt(&life),
    );
    let current = life.outcome(Terminal::Delivered, AttemptState::Delivered, 1);
    let corrected = OutcomeCorrected {
        previous: unknown,
        current,
    };
    life.add(
        Topic::Outcomes,
        kind::OUTCOME_CORRECTED,
        Some(router.clone()),
        corrected,
    );
    life.add(
        Topic::Receipts,
        kind::RECEIPT,
        Some(router),
        "not a receipt",
    );
    let letter = DeadLetter {
        source: None,
        reason: Reason::BadJson,
        detail: String::new(),
        step: "router.decode".into(),
        at: at(0),
        channel: None,
        key: None,
        value: "e30=".into(),
        headers: Vec::new(),
    };
    life.add(Topic::DeadLetters, kind::DEAD_LETTER, None, letter);
    (life.message, life.records)
}
