//! Receipts before, after and beside what they are about.

use jixinda_schemas::{
    AttemptId, CallId,
    codec::{self, Event},
    event::{
        AttemptFinished, AttemptResult, AttemptStarted, DeadLetter, RawReceipt, Terminal, kind,
    },
};

use super::{log::phone, *};
use crate::message::{State, Step};

const CHANNEL: &str = "a";
const DAY_MS: i64 = 24 * 3_600_000;

/// A partition that reads what is written, at once.
struct Bench {
    log: Log,
    p: Partition,
}

impl Bench {
    fn new() -> Self {
        let mut log = Log::new();
        let mut p = log.partition(Marks::new());
        p.restored();
        p.caught_up();
        Self { log, p }
    }

    fn read(&mut self) {
        let stored = self.log.records.last().unwrap().clone();
        self.log.fold(&mut self.p, &stored);
    }

    /// A message to recipient 0, decided.
    fn routed(&mut self, key: usize) -> MessageId {
        let id = self.log.request_as(0, key);
        self.read();
        self.log.routed(0, id);
        self.read();
        id
    }

    fn started(&mut self, id: MessageId, call: u64) {
        let payload = AttemptStarted {
            n: 1,
            attempt_id: AttemptId::new(id, &self.log.requests[&id], 1),
            lane: Lane::Otp,
            recipient: phone(0),
            channel: CHANNEL.parse().unwrap(),
            vendor: "aliyun".into(),
            call_id: CallId(call),
            started_at: Timestamp(self.log.at),
        };
        self.log
            .write(Topic::Attempts, kind::ATTEMPT_STARTED, 0, Some(id), payload);
        self.read();
    }

    fn accepted(&mut self, id: MessageId, call: u64, vendor_id: &str) {
        let vendor_id = vendor_id.into();
        let submitted_at = Some(Timestamp(self.log.at));
        self.finished(
            id,
            call,
            AttemptResult::Accepted { vendor_id },
            submitted_at,
        );
    }

    fn finished(
        &mut self,
        id: MessageId,
        call: u64,
        result: AttemptResult,
        submitted_at: Option<Timestamp>,
    ) {
        let payload = AttemptFinished {
            n: 1,
            attempt_id: AttemptId::new(id, &self.log.requests[&id], 1),
            lane: Lane::Otp,
            recipient: phone(0),
            channel: CHANNEL.parse().unwrap(),
            call_id: CallId(call),
            result,
            submitted_at,
            elapsed_ms: submitted_at.map(|_| 1),
        };
        self.log.write(
            Topic::Attempts,
            kind::ATTEMPT_FINISHED,
            0,
            Some(id),
            payload,
        );
        self.read();
    }

    /// A message that the vendor took.
    fn sent(&mut self, key: usize, vendor_id: &str) -> MessageId {
        let id = self.routed(key);
        self.started(id, key as u64);
        self.accepted(id, key as u64, vendor_id);
        id
    }

    fn receipt(&mut self, receipt: RawReceipt) {
        self.log
            .write(Topic::ReceiptsRaw, kind::RAW_RECEIPT, 0, None, receipt);
        self.read();
    }

    /// Writes what the state says next of the message, and reads it back.
    fn end(&mut self, id: MessageId) -> &'static str {
        let entry = &self.p.entries[&id].entry;
        let far = Timestamp(self.log.at + 3 * DAY_MS);
        let (Step::End(terminal, reason) | Step::Correct(terminal, reason)) =
            entry.next(far, self.log.shared.config.deadlines())
        else {
            panic!("{:?} has not ended", entry.state());
        };
        let record = emit::outcome(entry, (terminal, reason), &self.p.writer, far);
        let event = codec::decode(None, &record.value.unwrap()).unwrap();
        let name = match event {
            Event::Outcome(e) => {
                let payload = e.payload;
                self.log
                    .write(Topic::Outcomes, kind::OUTCOME, 0, Some(id), payload);
                kind::OUTCOME
            }
            Event::OutcomeCorrected(e) => {
                let (name, payload) = (kind::OUTCOME_CORRECTED, e.payload);
                self.log.write(Topic::Outcomes, name, 0, Some(id), payload);
                name
            }
            other => panic!("{other:?}"),
        };
        self.read();
        name
    }

    fn state(&self, id: MessageId) -> State {
        self.p.entries[&id].entry.state()
    }

    fn waiting(&self) -> usize {
        self.p.unmatched.values().map(Vec::len).sum()
    }
}

fn delivered(echo: Option<&str>, vendor_id: Option<&str>) -> RawReceipt {
    RawReceipt {
        channel: CHANNEL.parse().unwrap(),
        vendor: "aliyun".into(),
        recipient: phone(0),
        echo: echo.map(Into::into),
        vendor_id: vendor_id.map(Into::into),
        part: None,
        parts: None,
        status: ReceiptStatus::Delivered,
        code: "DELIVERED".into(),
        blame: None,
        segments: None,
        vendor_at: None,
        received_at: Timestamp(NOW),
        raw: serde_json::Value::Null,
    }
}

#[test]
fn a_call_whose_sender_died_is_no_news_of_the_channel() {
    for (submitted, faults) in [(false, 0), (true, 1)] {
        let mut t = Bench::new();
        let id = t.routed(1);
        t.started(id, 1);
        let at = submitted.then_some(Timestamp(t.log.at));
        let detail = "owner_died or timeout".to_owned();
        t.finished(id, 1, AttemptResult::Unknown { detail }, at);
        let fault = |n: &&ChannelNews| matches!(n, ChannelNews::Submitted { fault: true, .. });
        assert_eq!(t.p.news.iter().filter(fault).count(), faults);
        let cells = t.p.book.report(true, Timestamp(t.log.at), 60_000);
        assert_eq!(cells.iter().filter(|c| c.failed > 0.0).count(), faults);
    }
}

#[test]
fn a_receipt_that_is_read_before_its_claim_or_answer_joins_when_that_comes() {
    let mut b = Bench::new();
    let id = b.routed(1);
    b.receipt(delivered(Some("1"), None));
    assert_eq!((b.waiting(), b.state(id)), (1, State::Routed));
    b.started(id, 1);
    assert_eq!((b.waiting(), b.state(id)), (0, State::Arrived));

    let id = b.routed(2);
    b.receipt(delivered(None, Some("biz-2")));
    b.started(id, 2);
    assert_eq!((b.waiting(), b.state(id)), (1, State::Claimed));
    b.accepted(id, 2, "BIZ-2");
    assert_eq!((b.waiting(), b.state(id)), (0, State::Arrived));
}

#[test]
fn a_receipt_that_is_read_before_its_request_joins_with_it() {
    let mut b = Bench::new();
    b.receipt(delivered(Some("1"), None));
    let id = b.sent(1, "v");
    assert_eq!((b.waiting(), b.state(id)), (0, State::Arrived));
}

#[test]
fn repeated_receipts_lead_to_one_receipt_event_and_count_once() {
    let mut b = Bench::new();
    let id = b.sent(1, "v");
    for _ in 0..3 {
        b.receipt(delivered(Some("1"), None));
    }
    assert_eq!((b.p.receipts.len(), b.waiting()), (1, 0));
    assert_eq!(b.state(id), State::Arrived);
    assert!((cell(&mut b).delivered - 1.0).abs() < 0.01);
}

fn cell(b: &mut Bench) -> jixinda_schemas::event::HealthCell {
    let half_life = b.log.shared.config.half_life_ms();
    let at = Timestamp(b.log.at);
    b.p.book.report(true, at, half_life).remove(0)
}

#[test]
fn parts_are_receipts_of_their_own_but_one_delivery_of_the_channel() {
    let mut b = Bench::new();
    let id = b.sent(1, "v");
    for part in [2, 1] {
        assert_ne!(b.state(id), State::Arrived);
        b.receipt(RawReceipt {
            part: Some(part),
            parts: Some(2),
            ..delivered(Some("1"), None)
        });
    }
    assert_eq!(b.state(id), State::Arrived);
    let told: Vec<_> =
        b.p.receipts
            .iter()
            .map(|(record, _)| part_of(record))
            .collect();
    assert_eq!(told, [(Some(2), Some(2)), (Some(1), Some(2))]);
    assert!((cell(&mut b).delivered - 1.0).abs() < 0.01);
}

fn part_of(record: &OwnedRecord) -> (Option<u16>, Option<u16>) {
    match codec::decode(None, record.value.as_ref().unwrap()).unwrap() {
        Event::Receipt(e) => (e.payload.part, e.payload.parts),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_id_is_known_re_cased_and_padded() {
    let mut b = Bench::new();
    let id = b.sent(1, "Biz^0");
    b.receipt(delivered(None, Some(" bIZ^0 ")));
    assert_eq!(b.state(id), State::Arrived);
    let id = b.sent(2, "00042");
    b.receipt(delivered(None, Some("42")));
    assert_eq!(b.state(id), State::Arrived);
}

#[test]
fn a_nameless_receipt_joins_by_time_where_one_attempt_can_be_meant() {
    let mut b = Bench::new();
    let id = b.sent(1, "v1");
    b.receipt(delivered(None, None));
    assert_eq!((b.state(id), b.waiting()), (State::Arrived, 0));
    // That one is known now, so the next receipt is about the next message.
    let next = b.sent(2, "v2");
    b.receipt(delivered(None, None));
    assert_eq!((b.state(next), b.waiting()), (State::Arrived, 0));
}

#[test]
fn a_nameless_receipt_waits_where_two_attempts_can_be_meant() {
    let mut b = Bench::new();
    let ids = [b.sent(1, "v1"), b.sent(2, "v2")];
    b.receipt(delivered(None, None));
    assert_eq!(b.waiting(), 1);
    assert!(ids.iter().all(|id| b.state(*id) == State::Accepted));
    // Nor is it joined when a decision is out whose claim may not have been read.
    let mut b = Bench::new();
    let (sent, decided) = (b.sent(1, "v1"), b.routed(2));
    b.receipt(delivered(None, None));
    assert_eq!((b.waiting(), b.state(sent)), (1, State::Accepted));
    b.log.claim(0, decided, true);
    b.read();
    assert_eq!((b.waiting(), b.state(sent)), (0, State::Arrived));
}

#[test]
fn a_takeover_joins_nothing_by_time_before_it_has_read_everything() {
    let mut b = Bench::new();
    let (first, second) = (b.sent(1, "v1"), b.sent(2, "v2"));
    b.receipt(delivered(None, None));
    let mut taken_over = b.log.partition(Marks::new());
    // The receipt is read before the second message is known.
    let of_second = |r: &&Stored| r.topic == Topic::RequestsOtp && r.offset == 1;
    let records: Vec<Stored> = b
        .log
        .records
        .iter()
        .filter(|r| !of_second(r))
        .cloned()
        .collect();
    for stored in &records {
        b.log.fold(&mut taken_over, stored);
    }
    let last = b.log.records.iter().find(of_second).unwrap();
    b.log.fold(&mut taken_over, last);
    taken_over.caught_up();
    for id in [first, second] {
        assert_eq!(taken_over.entries[&id].entry.state(), State::Accepted);
    }
    assert_eq!(taken_over.unmatched.len(), 1);
}

#[test]
fn a_receipt_after_the_outcome_is_a_correction_and_one_after_delivered_is_only_counted() {
    let mut b = Bench::new();
    let id = b.sent(1, "Biz^7");
    assert_eq!(b.end(id), kind::OUTCOME);
    assert_eq!(b.state(id), State::Ended(Terminal::Unknown));
    b.receipt(RawReceipt {
        status: ReceiptStatus::Undelivered,
        ..delivered(Some("1"), None)
    });
    assert_eq!(b.end(id), kind::OUTCOME_CORRECTED);
    assert_eq!(b.state(id), State::Ended(Terminal::Undelivered));
    b.receipt(delivered(None, Some("biz^7")));
    assert_eq!(b.end(id), kind::OUTCOME_CORRECTED);
    let outcome = b.p.entries[&id].entry.outcome.clone().unwrap();
    assert_eq!((outcome.outcome, outcome.seq), (Terminal::Delivered, 2));

    settle(&mut b.p);
    assert!(b.p.entries.is_empty());
    for (echo, id) in [(Some("1"), None), (None, Some("BIZ^7 "))] {
        b.receipt(delivered(echo, id));
        assert_eq!(b.waiting(), 0, "{echo:?} {id:?}");
    }
    // By another name it may be another's.
    b.receipt(delivered(None, Some("Biz^8")));
    assert_eq!(b.waiting(), 1);
    // What was closed long ago is forgotten.
    b.p.sweep(Timestamp(NOW + 300_001));
    b.receipt(delivered(Some("1"), None));
    assert_eq!(b.waiting(), 2);
}

#[test]
fn a_receipt_that_names_nothing_of_ours_waits_a_day_and_is_a_dead_letter_then() {
    let mut b = Bench::new();
    let id = b.sent(1, "v1");
    b.receipt(delivered(Some("999"), None));
    b.receipt(delivered(None, Some("theirs")));
    b.receipt(RawReceipt {
        channel: "b".parse().unwrap(),
        ..delivered(Some("1"), None)
    });
    assert_eq!((b.waiting(), b.state(id)), (3, State::Accepted));
    b.p.sweep(Timestamp(b.log.at + DAY_MS - 10));
    assert_eq!((b.waiting(), b.p.chores.len()), (3, 0));
    b.p.sweep(Timestamp(b.log.at + DAY_MS + 10));
    assert_eq!(b.waiting(), 0);
    let reasons: Vec<Reason> = b.p.chores.iter().map(reason).collect();
    assert_eq!(reasons, [Reason::ReceiptUnmatched; 3]);
}

fn reason(chore: &Chore) -> Reason {
    let value = chore.record.value.as_ref().unwrap();
    match codec::decode(None, value).unwrap() {
        Event::DeadLetter(e) => {
            let DeadLetter { reason, .. } = e.payload;
            reason
        }
        other => panic!("{other:?}"),
    }
}
