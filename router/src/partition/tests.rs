//! Reading the log again from the floors gives the same open work as reading all of it, in whatever order the topics
//! come.

use std::collections::BTreeSet;

use jixinda_runtime::{clock::ManualClock, directory::View};
use jixinda_schemas::{
    AttemptId, CallId, Envelope, Position,
    codec::{About, encode, envelope},
    event::{
        AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, NotStartedCause,
        RawReceipt, Request, Routed, Terminal, kind,
    },
    headers::Headers,
    template::Content,
    vendor::ReceiptStatus,
};
use proptest::prelude::*;
use serde::Serialize;

use super::*;

const NOW: i64 = 1_000_000_000;

#[derive(Clone, Debug)]
struct Stored {
    topic: Topic,
    offset: i64,
    at: Timestamp,
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Headers,
}

/// A log of one partition, written as the roles would write it.
struct Log {
    shared: Arc<Shared>,
    writer: WriterId,
    records: Vec<Stored>,
    ends: BTreeMap<Topic, i64>,
    at: i64,
}

fn shared() -> Arc<Shared> {
    Arc::new(Shared {
        config: Config {
            receipt_deadline: std::time::Duration::from_secs(3600),
            claim_deadline: std::time::Duration::from_secs(15),
            health_half_life: std::time::Duration::from_secs(60),
            account_pause: std::time::Duration::from_secs(300),
            correction_window: std::time::Duration::from_secs(3600),
        },
        key: PlatformKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap(),
        directory: Directory::fixed(View::default()),
        health: SharedHealth::default(),
        clock: Arc::new(ManualClock::at(Timestamp(NOW))),
        partitions: 1,
    })
}

fn phone(i: usize) -> Phone {
    format!("+86138{i:08}").parse().unwrap()
}

impl Log {
    fn new() -> Self {
        Self {
            shared: shared(),
            writer: "router:0000000000000001".parse().unwrap(),
            records: Vec::new(),
            ends: BTreeMap::new(),
            at: NOW - 1_000_000,
        }
    }

    fn write<P: Serialize>(
        &mut self,
        topic: Topic,
        name: &str,
        i: usize,
        id: Option<MessageId>,
        payload: P,
    ) {
        self.at += 1;
        let about = About {
            message_id: id,
            app_id: Some("shop".parse().unwrap()),
            ..About::default()
        };
        let event: Envelope<P> = envelope(name, about, Timestamp(self.at), payload);
        let end = self.ends.entry(topic).or_default();
        self.records.push(Stored {
            topic,
            offset: *end,
            at: Timestamp(self.at),
            key: phone(i).expose().as_bytes().to_vec(),
            value: encode(&event),
            headers: Headers {
                writer: Some(self.writer.clone()),
                ..Headers::of(name)
            },
        });
        *end += 1;
    }

    fn request(&mut self, i: usize) -> MessageId {
        let id =
            MessageId::from_idempotency_key(&"shop".parse().unwrap(), &i.to_string(), 0, &phone(i));
        let payload = Request {
            recipient: phone(i),
            template: "login".parse().unwrap(),
            signature: None,
            params: BTreeMap::new(),
            not_before: None,
            not_after: None,
            valid_for_ms: None,
            idempotency_key: Some(i.to_string()),
            index: 0,
            campaign: None,
        };
        self.write(Topic::RequestsOtp, kind::REQUEST, i, Some(id), payload);
        id
    }

    fn routed(&mut self, i: usize, id: MessageId) {
        let payload = Routed {
            n: 1,
            attempt_id: AttemptId::new(id, 1),
            request: Position {
                topic: Topic::RequestsOtp,
                partition: 0,
                offset: 0,
            },
            lane: Lane::Otp,
            recipient: phone(i),
            channel: "a".parse().unwrap(),
            vendor: "aliyun".into(),
            pool: "default".into(),
            template: "login".parse().unwrap(),
            signature: "acme".parse().unwrap(),
            sign_name: "ACME".into(),
            content: Content::FullText { text: "x".into() },
            text: "x".into(),
            segments: 1,
            price_micros: 1,
            not_after: Timestamp(NOW + 60_000),
            directory_offset: 0,
            health_offset: 0,
            seed: 0,
            decided_at: Timestamp(self.at),
            considered: Vec::new(),
        };
        self.write(Topic::DispatchOtp, kind::ROUTED, i, Some(id), payload);
    }

    fn claim(&mut self, i: usize, id: MessageId, give_back: bool) {
        let (attempt_id, channel) = (AttemptId::new(id, 1), "a".parse::<ChannelId>().unwrap());
        if give_back {
            let payload = AttemptNotStarted {
                n: 1,
                attempt_id,
                lane: Lane::Otp,
                channel,
                cause: NotStartedCause::Capacity,
                retry_after_ms: None,
            };
            self.write(
                Topic::Attempts,
                kind::ATTEMPT_NOT_STARTED,
                i,
                Some(id),
                payload,
            );
        } else {
            let payload = AttemptStarted {
                n: 1,
                attempt_id,
                lane: Lane::Otp,
                recipient: phone(i),
                channel,
                vendor: "aliyun".into(),
                call_id: CallId(i as u64 + 1),
                started_at: Timestamp(self.at),
            };
            self.write(Topic::Attempts, kind::ATTEMPT_STARTED, i, Some(id), payload);
        }
    }

    fn finished(&mut self, i: usize, id: MessageId) {
        let payload = AttemptFinished {
            n: 1,
            attempt_id: AttemptId::new(id, 1),
            lane: Lane::Otp,
            recipient: phone(i),
            channel: "a".parse().unwrap(),
            call_id: CallId(i as u64 + 1),
            result: AttemptResult::Accepted {
                vendor_id: format!("v{i}"),
            },
            submitted_at: Some(Timestamp(self.at)),
            elapsed_ms: Some(1),
        };
        self.write(
            Topic::Attempts,
            kind::ATTEMPT_FINISHED,
            i,
            Some(id),
            payload,
        );
    }

    fn receipt(&mut self, i: usize) {
        let payload = RawReceipt {
            channel: "a".parse().unwrap(),
            vendor: "aliyun".into(),
            recipient: phone(i),
            echo: Some((i + 1).to_string()),
            vendor_id: None,
            part: None,
            parts: None,
            status: ReceiptStatus::Delivered,
            code: "DELIVERED".into(),
            blame: None,
            segments: None,
            vendor_at: None,
            received_at: Timestamp(self.at),
            raw: serde_json::Value::Null,
        };
        self.write(Topic::ReceiptsRaw, kind::RAW_RECEIPT, i, None, payload);
    }

    fn outcome(&mut self, i: usize, id: MessageId, partition: &Partition) {
        let entry = &partition.entries[&id].entry;
        let payload =
            entry.outcome_event(Terminal::Delivered, Reason::Delivered, Timestamp(self.at));
        self.write(Topic::Outcomes, kind::OUTCOME, i, Some(id), payload);
    }

    fn fold(&self, partition: &mut Partition, stored: &Stored) {
        let record = Record {
            topic: stored.topic,
            partition: 0,
            offset: stored.offset,
            at: stored.at,
            key: Some(&stored.key),
            value: Some(&stored.value),
            headers: stored.headers.clone(),
        };
        partition.fold(&record, Standing::Valid);
    }

    fn partition(&self, marks: Marks) -> Partition {
        Partition::new(Arc::clone(&self.shared), 0, self.writer.clone(), marks)
    }
}

/// Closes what the router's settling would close.
fn settle(partition: &mut Partition) {
    let done: Vec<MessageId> = partition
        .entries
        .values()
        .filter(|h| h.entry.outcome.is_some() && !h.entry.may_be_corrected())
        .map(|h| h.entry.id)
        .collect();
    for id in done {
        partition.close(id);
    }
}

/// What is open, with all that is known of it.
fn open(partition: &Partition) -> BTreeSet<String> {
    let open = partition
        .entries
        .values()
        .filter(|h| h.entry.outcome.is_none());
    open.map(|h| format!("{} {:?}", h.entry.id, h.entry.attempts))
        .collect()
}

proptest! {
    #[test]
    fn a_takeover_from_the_floors_finds_the_same_open_work(
        steps in prop::collection::vec((0_usize..8, 0_u8..8), 1..60),
        order in prop::collection::vec(0_usize..5, 0..200),
    ) {
        let mut log = Log::new();
        let mut first = log.partition(Marks::new());
        first.caught_up();
        let mut progress = [0_u8; 8];
        let mut ids = BTreeMap::new();
        for (i, step) in steps {
            let before = log.records.len();
            match (progress[i], step) {
                (0, _) => { ids.insert(i, log.request(i)); }
                (_, 7) => log.receipt(i),
                (_, 6) => drop(log.request(i)),
                (1, _) => log.routed(i, ids[&i]),
                (2, s) => log.claim(i, ids[&i], s == 5),
                (3, _) => log.finished(i, ids[&i]),
                (4, _) => log.receipt(i),
                (5, _) if first.entries.contains_key(&ids[&i]) => log.outcome(i, ids[&i], &first),
                _ => {}
            }
            if !matches!(step, 6 | 7) || progress[i] == 0 {
                progress[i] = (progress[i] + 1).min(6);
            }
            let new: Vec<Stored> = log.records[before..].to_vec();
            for stored in &new {
                log.fold(&mut first, stored);
            }
            settle(&mut first);
        }

        let floors = first.floors();
        let marks: Marks = floors.iter().filter_map(|(t, f)| f.mark.map(|m| (*t, m))).collect();
        let mut second = log.partition(marks);
        // Each topic in its own order from its floor; topics interleaved as `order` says.
        let mut queues: Vec<VecDeque<Stored>> = [
            Topic::RequestsOtp, Topic::DispatchOtp, Topic::Attempts, Topic::ReceiptsRaw, Topic::Outcomes,
        ]
        .iter()
        .map(|topic| {
            let end = log.ends.get(topic).copied().unwrap_or(0);
            let from = floors.get(topic).and_then(|f| f.offset).unwrap_or(end);
            log.records.iter().filter(|r| r.topic == *topic && r.offset >= from).cloned().collect()
        })
        .collect();
        for pick in order.into_iter().chain((0..5).cycle().take(400)) {
            if let Some(stored) = queues[pick].pop_front() {
                log.fold(&mut second, &stored);
            }
        }
        prop_assert!(queues.iter().all(VecDeque::is_empty));
        second.caught_up();
        settle(&mut second);
        prop_assert_eq!(open(&first), open(&second));
        // And its floors are no further than they may be.
        let again = second.floors();
        for (topic, floor) in &floors {
            if let (Some(before), Some(after)) = (floor.offset, again.get(topic).and_then(|f| f.offset)) {
                prop_assert!(after >= before, "{} went back from {} to {}", topic, before, after);
            }
        }
    }
}
