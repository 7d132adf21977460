//! A log of one partition, written as the roles would write it.

use jixinda_runtime::{clock::ManualClock, directory::View};
use jixinda_schemas::{
    AttemptId, CallId, Envelope, Position,
    codec::{About, encode, envelope},
    event::{
        AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, AttemptState,
        NotStartedCause, RawReceipt, Request, Routed, Terminal, kind,
    },
    headers::Headers,
    template::Content,
    vendor::ReceiptStatus,
};
use serde::Serialize;

use jixinda_runtime::kafka::owner::Floor;
use jixinda_schemas::Lane;

use super::super::*;

pub(super) const NOW: i64 = 1_000_000_000;

#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) topic: Topic,
    pub(super) offset: i64,
    pub(super) at: Timestamp,
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Headers,
}

/// A log of one partition, written as the roles would write it.
pub(super) struct Log {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: WriterId,
    pub(super) records: Vec<Stored>,
    pub(super) ends: BTreeMap<Topic, i64>,
    /// Number of the decision that is written about.
    pub(super) n: u16,
    /// First request of each message.
    pub(super) requests: BTreeMap<MessageId, Position>,
    pub(super) at: i64,
}

pub(super) fn shared() -> Arc<Shared> {
    Arc::new(Shared {
        config: Config {
            receipt_deadline: std::time::Duration::from_secs(3600),
            claim_deadline: std::time::Duration::from_secs(15),
            health_half_life: std::time::Duration::from_secs(60),
            account_pause: std::time::Duration::from_secs(300),
            correction_window: std::time::Duration::from_secs(3600),
            park_after: std::time::Duration::ZERO,
        },
        key: PlatformKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap(),
        directory: Directory::fixed(View::default()),
        health: SharedHealth::default(),
        clock: Arc::new(ManualClock::at(Timestamp(NOW))),
        partitions: 1,
    })
}

pub(super) fn phone(i: usize) -> Phone {
    format!("+86138{i:08}").parse().unwrap()
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            shared: shared(),
            writer: "router:0000000000000001".parse().unwrap(),
            records: Vec::new(),
            ends: BTreeMap::new(),
            n: 1,
            requests: BTreeMap::new(),
            at: NOW - 1_000_000,
        }
    }

    pub(super) fn write<P: Serialize>(
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
            value: Some(encode(&event)),
            headers: Headers {
                writer: Some(self.writer.clone()),
                ..Headers::of(name)
            },
        });
        *end += 1;
    }

    pub(super) fn request(&mut self, i: usize) -> MessageId {
        self.request_as(i, i)
    }

    /// A request to recipient `i` under a key.
    pub(super) fn request_as(&mut self, i: usize, key: usize) -> MessageId {
        let id = MessageId::from_idempotency_key(
            &"shop".parse().unwrap(),
            &key.to_string(),
            0,
            &phone(i),
        );
        let payload = Request {
            recipient: phone(i),
            template: "login".parse().unwrap(),
            signature: None,
            params: BTreeMap::new(),
            not_before: None,
            not_after: None,
            valid_for_ms: None,
            idempotency_key: Some(key.to_string()),
            index: 0,
            campaign: None,
            redrive_of: None,
        };
        let offset = self.ends.get(&Topic::RequestsOtp).copied().unwrap_or(0);
        self.requests.entry(id).or_insert(Position {
            topic: Topic::RequestsOtp,
            partition: 0,
            offset,
        });
        self.write(Topic::RequestsOtp, kind::REQUEST, i, Some(id), payload);
        id
    }

    pub(super) fn routed(&mut self, i: usize, id: MessageId) {
        let payload = Routed {
            n: self.n,
            attempt_id: AttemptId::new(id, &self.requests[&id], self.n),
            request: self.requests[&id],
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

    pub(super) fn claim(&mut self, i: usize, id: MessageId, give_back: bool) {
        let (attempt_id, channel) = (
            AttemptId::new(id, &self.requests[&id], self.n),
            "a".parse::<ChannelId>().unwrap(),
        );
        if give_back {
            let payload = AttemptNotStarted {
                n: self.n,
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
                n: self.n,
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

    pub(super) fn finished(&mut self, i: usize, id: MessageId) {
        let payload = AttemptFinished {
            n: self.n,
            attempt_id: AttemptId::new(id, &self.requests[&id], self.n),
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

    pub(super) fn receipt(&mut self, i: usize, status: ReceiptStatus) {
        let payload = RawReceipt {
            channel: "a".parse().unwrap(),
            vendor: "aliyun".into(),
            recipient: phone(i),
            echo: Some((i + 1).to_string()),
            vendor_id: None,
            part: None,
            parts: None,
            status,
            code: "CODE".into(),
            blame: None,
            segments: None,
            vendor_at: None,
            received_at: Timestamp(self.at),
            raw: serde_json::Value::Null,
        };
        self.write(Topic::ReceiptsRaw, kind::RAW_RECEIPT, i, None, payload);
    }

    pub(super) fn outcome(&mut self, i: usize, id: MessageId, partition: &Partition) {
        let Some(held) = partition.entries.get(&id) else {
            return;
        };
        let end = if held
            .entry
            .attempts
            .iter()
            .any(|a| a.state() == AttemptState::Delivered)
        {
            (Terminal::Delivered, Reason::Delivered)
        } else {
            (Terminal::Undelivered, Reason::ReceiptUndelivered)
        };
        self.ended(i, &held.entry, end);
    }

    pub(super) fn ended(&mut self, i: usize, entry: &Entry, end: (Terminal, Reason)) {
        let payload = entry.outcome_event(end.0, end.1, Timestamp(self.at));
        self.write(Topic::Outcomes, kind::OUTCOME, i, Some(entry.id), payload);
    }

    pub(super) fn fold(&self, partition: &mut Partition, stored: &Stored) {
        let record = Record {
            topic: stored.topic,
            partition: 0,
            offset: stored.offset,
            at: stored.at,
            key: Some(&stored.key),
            value: stored.value.as_deref(),
            headers: stored.headers.clone(),
        };
        partition.fold(&record, Standing::Valid);
    }

    pub(super) fn partition(&mut self, marks: Marks) -> Partition {
        self.writer.number += 1;
        Partition::new(Arc::clone(&self.shared), 0, self.writer.clone(), marks)
    }

    /// Appends what a partition wrote.
    pub(super) fn append(&mut self, record: OwnedRecord) -> Stored {
        self.at += 1;
        let end = self.ends.entry(record.topic).or_default();
        let stored = Stored {
            topic: record.topic,
            offset: *end,
            at: Timestamp(self.at),
            key: record.key.unwrap_or_default(),
            value: record.value,
            headers: record.headers,
        };
        self.records.push(stored.clone());
        *end += 1;
        stored
    }

    /// Records of a topic from an offset on.
    pub(super) fn from(&self, topic: Topic, offset: i64) -> VecDeque<Stored> {
        let of = self
            .records
            .iter()
            .filter(|r| r.topic == topic && r.offset >= offset);
        of.cloned().collect()
    }

    /// What compaction leaves of a topic.
    pub(super) fn compacted(&self, topic: Topic) -> VecDeque<Stored> {
        let mut all = self.from(topic, 0);
        let last: BTreeMap<Vec<u8>, i64> = all.iter().map(|r| (r.key.clone(), r.offset)).collect();
        all.retain(|r| last[&r.key] == r.offset && r.value.is_some());
        all
    }

    /// A takeover: state first, then each topic in its own order from its floor, interleaved as `order` says.
    pub(super) fn take_over(
        &mut self,
        floors: &BTreeMap<Topic, Floor>,
        order: &[usize],
        compacted: bool,
    ) -> Partition {
        let marks = floors
            .iter()
            .filter_map(|(t, f)| f.mark.map(|m| (*t, m)))
            .collect();
        let mut next = self.partition(marks);
        let kept = if compacted {
            self.compacted(Topic::State)
        } else {
            self.from(Topic::State, 0)
        };
        for stored in kept {
            self.fold(&mut next, &stored);
        }
        next.restored();
        let mut queues = READ.map(|topic| {
            let from = floors
                .get(&topic)
                .map_or(0, |f| f.offset.unwrap_or(i64::MAX));
            self.from(topic, from)
        });
        for pick in order
            .iter()
            .copied()
            .chain((0..READ.len()).cycle().take(2_000))
        {
            if let Some(stored) = queues[pick].pop_front() {
                self.fold(&mut next, &stored);
            }
        }
        assert!(queues.iter().all(VecDeque::is_empty));
        next.caught_up();
        settle(&mut next);
        next
    }
}

pub(super) const READ: [Topic; 5] = [
    Topic::RequestsOtp,
    Topic::DispatchOtp,
    Topic::Attempts,
    Topic::ReceiptsRaw,
    Topic::Outcomes,
];

/// A commit: absent floors are where reading stands.
pub(super) fn commit(partition: &mut Partition, log: &Log) -> BTreeMap<Topic, Floor> {
    let mut floors = partition.floors();
    for topic in READ {
        let end = log.ends.get(&topic).copied().unwrap_or(0);
        let floor = floors.entry(topic).or_default();
        floor.offset = Some(floor.offset.unwrap_or(end).min(end));
    }
    partition.committed();
    floors
}

/// Closes what the router's settling would close.
pub(super) fn settle(partition: &mut Partition) {
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
