use jixinda_schemas::{
    CallId, Lane, Reason, Topic, WriterId,
    codec::About,
    event::{AttemptSummary, Opened, Operator, OutcomeCorrected, RedriveOf, Redriven},
    headers::Headers,
    phone::Carrier,
};

use super::*;

const PARTITION: i32 = 2;

fn request(offset: i64) -> Position {
    Position {
        topic: Topic::RequestsOtp,
        partition: PARTITION,
        offset,
    }
}

fn writer(number: u64) -> WriterId {
    WriterId {
        role: "router".into(),
        number,
    }
}

fn attempt(state: AttemptState) -> AttemptSummary {
    AttemptSummary {
        n: 1,
        attempt_id: jixinda_schemas::AttemptId(MessageId::random().0),
        channel: "a".parse().unwrap(),
        vendor: "aliyun".into(),
        state,
        code: None,
        call_id: Some(CallId(1)),
        vendor_id: None,
        segments: 1,
        cost_micros: 0,
        routed_at: Timestamp(1),
        started_at: None,
        submitted_at: None,
        finished_at: None,
        receipt_at: None,
    }
}

fn outcome(offset: i64, end: Terminal, reason: Reason) -> Outcome {
    Outcome {
        outcome: end,
        reason,
        detail: None,
        seq: 0,
        request: request(offset),
        accepted_at: Timestamp(1),
        lane: Lane::Otp,
        recipient: Some("+8613800138000".parse().unwrap()),
        carrier: Carrier::Mobile,
        region: "CN".into(),
        template: Some("login".parse().unwrap()),
        signature: None,
        campaign: None,
        redrive_of: None,
        attempts: Vec::new(),
        ended_at: Timestamp(2),
    }
}

fn failed(offset: i64) -> Outcome {
    outcome(offset, Terminal::Failed, Reason::Exhausted)
}

fn message(offset: i64) -> MessageId {
    MessageId::from_position(&request(offset))
}

struct Reader {
    ends: Ends,
    offset: i64,
}

impl Reader {
    fn new(wanted: Wanted) -> Self {
        Self::with(wanted, Deeds::default(), BTreeMap::new(), 0)
    }

    fn with(wanted: Wanted, deeds: Deeds, base: BTreeMap<i32, Writers>, offset: i64) -> Self {
        Self {
            ends: Ends::new(wanted, Arc::new(deeds), base),
            offset,
        }
    }

    fn read(&mut self, kind: &str, by: &WriterId, value: &[u8]) {
        self.ends.take(&Record {
            topic: Topic::Outcomes,
            partition: PARTITION,
            offset: self.offset,
            at: Timestamp(self.offset),
            key: None,
            value: Some(value),
            headers: Headers {
                writer: Some(by.clone()),
                ..Headers::of(kind)
            },
        });
        self.offset += 1;
    }

    fn opened(&mut self, by: u64) {
        let payload = Opened {
            writer: writer(by),
            instance: "a".into(),
            at: Timestamp(1),
        };
        let event = codec::envelope(kind::OPENED, About::default(), Timestamp(1), payload);
        self.read(kind::OPENED, &writer(by), &codec::encode(&event));
    }

    fn ended(&mut self, by: u64, outcome: Outcome) {
        let about = about(&outcome);
        let event = codec::envelope(kind::OUTCOME, about, Timestamp(1), outcome);
        self.read(kind::OUTCOME, &writer(by), &codec::encode(&event));
    }

    fn corrected(&mut self, by: u64, current: Outcome) {
        let about = about(&current);
        let payload = OutcomeCorrected {
            previous: failed(current.request.offset),
            current,
        };
        let event = codec::envelope(kind::OUTCOME_CORRECTED, about, Timestamp(1), payload);
        self.read(kind::OUTCOME_CORRECTED, &writer(by), &codec::encode(&event));
    }

    /// Offsets of the requests that were found, oldest word first.
    fn found(self) -> Vec<i64> {
        let ends = self.ends.into_found();
        ends.iter().map(|end| end.outcome.request.offset).collect()
    }
}

fn about(outcome: &Outcome) -> About {
    About {
        message_id: Some(message(outcome.request.offset)),
        app_id: Some("shop".parse().unwrap()),
        ..About::default()
    }
}

fn every(filter: EndFilter) -> Wanted {
    let mut filter = filter;
    filter.span.limit = filter.span.limit.max(100);
    Wanted::Filter {
        filter,
        handled: false,
    }
}

#[test]
fn the_last_word_decides() {
    let mut reader = Reader::new(every(EndFilter::default()));
    reader.opened(1);
    reader.ended(1, failed(5));
    reader.ended(1, outcome(6, Terminal::Unknown, Reason::NoReceipt));
    reader.ended(1, failed(7));
    reader.corrected(1, outcome(5, Terminal::Delivered, Reason::Delivered));
    reader.corrected(1, failed(6));
    assert_eq!(reader.found(), [7, 6]);
}

#[test]
fn the_word_of_an_owner_that_was_succeeded_does_not_count() {
    let mut reader = Reader::new(every(EndFilter::default()));
    reader.ended(1, failed(4));
    reader.opened(1);
    reader.opened(2);
    reader.ended(1, failed(5));
    reader.ended(2, outcome(5, Terminal::Delivered, Reason::Delivered));
    reader.ended(2, failed(6));
    reader.corrected(1, outcome(6, Terminal::Delivered, Reason::Delivered));
    assert_eq!(reader.found(), [6]);
}

#[test]
fn what_retention_leaves_undecided_is_doubtful_unless_the_commit_names_the_owner() {
    let base = BTreeMap::from([(PARTITION, Writers::from([("router".into(), 1)]))]);
    let mut reader = Reader::with(every(EndFilter::default()), Deeds::default(), base, 900);
    reader.ended(1, failed(5));
    reader.ended(7, failed(6));
    reader.opened(2);
    reader.ended(7, failed(8));
    let ends = reader.ends.into_found();
    let judged: Vec<_> = ends
        .iter()
        .map(|end| (end.outcome.request.offset, end.judged))
        .collect();
    assert_eq!(judged, [(5, true), (6, false)]);
    assert!(ends[0].may_be_redriven(false).is_ok());
    assert!(
        ends[1]
            .may_be_redriven(false)
            .unwrap_err()
            .contains("--may-send-twice")
    );
}

#[test]
fn only_failed_ones_are_chosen_unless_others_are_asked_for() {
    let all = |filter: EndFilter| {
        let mut reader = Reader::new(every(filter));
        reader.opened(1);
        for (offset, end) in Terminal::ALL.into_iter().enumerate() {
            let reason = match end {
                Terminal::Delivered => Reason::Delivered,
                _ => Reason::Exhausted,
            };
            reader.ended(1, outcome(offset as i64, end, reason));
            let mut redriven = outcome(offset as i64 + 10, end, reason);
            redriven.redrive_of = Some(RedriveOf {
                message_id: message(99),
                request: request(99),
            });
            reader.ended(1, redriven);
        }
        let mut found: Vec<_> = reader.ends.into_found();
        found.sort_by_key(|end| end.outcome.request);
        found
            .iter()
            .map(|end| (end.outcome.outcome, end.outcome.redrive_of.is_some()))
            .collect::<Vec<_>>()
    };
    // A redrive that came to nothing has to be seen to, whatever it is called.
    assert_eq!(
        all(EndFilter::default()),
        [
            (Terminal::Failed, false),
            (Terminal::Failed, true),
            (Terminal::Rejected, true),
            (Terminal::Expired, true)
        ]
    );
    let expired = EndFilter {
        outcome: vec![Terminal::Expired],
        ..EndFilter::default()
    };
    assert_eq!(
        all(expired),
        [(Terminal::Expired, false), (Terminal::Expired, true)]
    );
}

#[test]
fn each_filter_leaves_out_what_it_must() {
    let given = |change: &dyn Fn(&mut EndFilter)| {
        let mut filter = EndFilter::default();
        change(&mut filter);
        let mut reader = Reader::new(every(filter));
        reader.opened(1);
        reader.ended(1, failed(5));
        let mut other = failed(6);
        (other.lane, other.reason) = (Lane::Notice, Reason::NoRoute);
        reader.ended(1, other);
        reader.found()
    };
    assert_eq!(given(&|_| ()), [5, 6]);
    assert_eq!(given(&|f| f.lane = Some(Lane::Notice)), [6]);
    assert_eq!(given(&|f| f.reason = Some(Reason::Exhausted)), [5]);
    assert_eq!(given(&|f| f.app = "bank".parse().ok()), [] as [i64; 0]);
    assert_eq!(given(&|f| f.span.since = Some(Timestamp(2))), [6]);
    assert_eq!(given(&|f| f.span.until = Some(Timestamp(2))), [5]);
}

#[test]
fn the_newest_ones_are_kept_and_it_is_said_that_there_are_more() {
    let mut filter = EndFilter::default();
    filter.span.limit = 2;
    let mut reader = Reader::new(Wanted::Filter {
        filter,
        handled: false,
    });
    reader.opened(1);
    for offset in 5..9 {
        reader.ended(1, failed(offset));
    }
    assert!(reader.ends.more);
    assert_eq!(reader.found(), [7, 8]);
}

#[test]
fn a_redriven_message_is_hidden_and_its_new_end_is_known() {
    let mut deeds = Deeds::default();
    let payload = Redriven {
        of: request(5),
        dead_letter: None,
        outcome: None,
        topic: Topic::RequestsOtp,
        new_message_id: Some(message(50)),
        not_after: None,
        may_send_twice: false,
        written: Some(request(50)),
        by: Operator {
            name: "a".into(),
            host: "h".into(),
        },
        because: None,
    };
    let event = codec::envelope(kind::REDRIVEN, About::default(), Timestamp(1), payload);
    deeds.take(&Record {
        topic: Topic::DeadLetters,
        partition: PARTITION,
        offset: 0,
        at: Timestamp(1),
        key: None,
        value: Some(&codec::encode(&event)),
        headers: Headers::of(kind::REDRIVEN),
    });
    let mut reader = Reader::with(every(EndFilter::default()), deeds, BTreeMap::new(), 0);
    reader.opened(1);
    reader.ended(1, failed(5));
    let mut new = outcome(50, Terminal::Delivered, Reason::Delivered);
    new.redrive_of = Some(RedriveOf {
        message_id: message(5),
        request: request(5),
    });
    reader.ended(1, new);
    let became = reader.ends.became.get(&request(5)).copied();
    assert_eq!(became, Some((message(50), Terminal::Delivered)));
    assert_eq!(reader.found(), [] as [i64; 0]);
}

#[test]
fn what_was_delivered_is_never_sent_again_and_what_may_have_been_only_when_that_is_accepted() {
    let end = |outcome: Outcome| End {
        message: message(1),
        app: "shop".parse().unwrap(),
        at: Timestamp(1),
        position: request(1),
        judged: true,
        outcome,
    };
    let delivered = end(outcome(1, Terminal::Delivered, Reason::Delivered));
    assert!(delivered.may_be_redriven(true).is_err());
    let copy = end(outcome(1, Terminal::Rejected, Reason::StaleTimestamp));
    assert!(copy.may_be_redriven(true).is_err());
    for reason in [Reason::NoReceipt, Reason::VendorUnknown] {
        let unknown = end(outcome(1, Terminal::Unknown, reason));
        assert!(
            unknown
                .may_be_redriven(false)
                .unwrap_err()
                .contains("--may-send-twice")
        );
        assert!(unknown.may_be_redriven(true).is_ok());
    }
    // A defect may end a message as failed while a vendor has it.
    for (state, allowed) in [
        (AttemptState::Accepted, false),
        (AttemptState::Unknown, false),
        (AttemptState::Started, false),
        (AttemptState::Rejected, true),
        (AttemptState::NotCalled, true),
        (AttemptState::NotStarted, true),
        (AttemptState::Undelivered, true),
    ] {
        let mut failed = failed(1);
        failed.attempts.push(attempt(state));
        assert_eq!(
            end(failed).may_be_redriven(false).is_ok(),
            allowed,
            "{state:?}"
        );
    }
}
