use jixinda_schemas::{
    AttemptId, CallId, Envelope, Lane, MessageId, Position, Reason,
    codec::{self, About},
    event::{
        self, AttemptFinished, AttemptResult, AttemptState, AttemptSummary, Considered, Gate,
        OutcomeCorrected, Routed, Terminal, kind,
    },
    template::Content,
    vendor::{Blame, Disposition},
};
use proptest::prelude::*;

use super::*;

const PHONE: &str = "+8613800138000";

fn key() -> PlatformKey {
    PlatformKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap()
}

fn place(topic: Topic) -> Place {
    Place {
        topic,
        partition: 3,
        offset: 77,
        at: Timestamp(5_000),
    }
}

fn about() -> About {
    About {
        message_id: Some(MessageId::from_position(&request())),
        app_id: Some("shop".parse().unwrap()),
        ..About::default()
    }
}

fn request() -> Position {
    Position {
        topic: Topic::RequestsOtp,
        partition: 3,
        offset: 9,
    }
}

fn attempt(n: u16, state: AttemptState) -> AttemptSummary {
    AttemptSummary {
        n,
        attempt_id: AttemptId::new(MessageId::from_position(&request()), &request(), n),
        channel: format!("channel-{n}").parse().unwrap(),
        vendor: "aliyun".into(),
        state,
        code: Some(format!("code-{n}")),
        call_id: Some(CallId(1)),
        vendor_id: None,
        segments: 2,
        cost_micros: 10,
        routed_at: Timestamp(1_000 + i64::from(n)),
        started_at: None,
        submitted_at: Some(Timestamp(1_500)),
        finished_at: None,
        receipt_at: Some(Timestamp(4_000)),
    }
}

fn outcome(outcome: Terminal, attempts: Vec<AttemptSummary>) -> event::Outcome {
    event::Outcome {
        outcome,
        reason: Reason::Delivered,
        detail: None,
        seq: 0,
        request: request(),
        accepted_at: Timestamp(1_000),
        lane: Lane::Otp,
        recipient: Some(PHONE.parse().unwrap()),
        carrier: jixinda_schemas::phone::Carrier::Mobile,
        region: "CN".into(),
        template: Some("login".parse().unwrap()),
        signature: None,
        campaign: None,
        redrive_of: None,
        attempts,
        ended_at: Timestamp(4_100),
    }
}

fn outcome_row(payload: event::Outcome) -> Outcome {
    let mut rows = Rows::new(Table::Outcomes);
    let event = Event::Outcome(codec::envelope(
        kind::OUTCOME,
        about(),
        Timestamp(0),
        payload,
    ));
    rows.add(&event, place(Topic::Outcomes), &key()).unwrap();
    let Rows::Outcomes(mut list) = rows else {
        panic!("another table")
    };
    list.pop().unwrap()
}

fn routed() -> Envelope<Routed> {
    let payload = Routed {
        n: 1,
        attempt_id: AttemptId::new(MessageId::from_position(&request()), &request(), 1),
        request: request(),
        lane: Lane::Otp,
        recipient: PHONE.parse().unwrap(),
        channel: "channel-1".parse().unwrap(),
        vendor: "aliyun".into(),
        pool: "default".into(),
        template: "login".parse().unwrap(),
        signature: "jixinda".parse().unwrap(),
        sign_name: "集信达".into(),
        content: Content::FullText {
            text: "482913".into(),
        },
        text: "【集信达】 482913".into(),
        segments: 1,
        price_micros: 35_000,
        not_after: Timestamp(301_000),
        directory_offset: 12,
        health_offset: 34,
        seed: u64::MAX,
        decided_at: Timestamp(1_001),
        considered: vec![Considered {
            channel: "channel-2".parse().unwrap(),
            gate: Some(Gate::Breaker),
            score: None,
            delivered_rate: None,
        }],
    };
    codec::envelope(kind::ROUTED, about(), Timestamp(1_001), payload)
}

#[test]
fn a_row_never_shows_the_number_the_variables_or_the_text() {
    let mut rows = Rows::new(Table::Routings);
    rows.add(&Event::Routed(routed()), place(Topic::DispatchOtp), &key())
        .unwrap();
    let shown = format!(
        "{rows:?} {:?}",
        outcome_row(outcome(Terminal::Delivered, vec![]))
    );
    for secret in ["13800138000", "482913"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(
        shown.contains("138****8000") && shown.contains(&key().phone_hash(&PHONE.parse().unwrap()))
    );
    assert!(shown.contains("breaker"), "{shown}");
}

#[test]
fn the_attempt_that_arrived_decides_over_a_later_one() {
    let row = outcome_row(outcome(
        Terminal::Delivered,
        vec![
            attempt(1, AttemptState::Delivered),
            attempt(2, AttemptState::Accepted),
        ],
    ));
    assert_eq!(
        (row.channel.as_str(), row.code.as_str()),
        ("channel-1", "code-1")
    );
    assert_eq!((row.segments, row.cost_micros, row.attempts), (4, 20, 2));
    assert_eq!(
        (row.submit_ms, row.handset_ms, row.receipt_ms),
        (Some(500), Some(3_000), Some(2_500))
    );
}

#[test]
fn without_a_taken_attempt_the_last_refusal_decides() {
    let row = outcome_row(outcome(
        Terminal::Failed,
        vec![
            attempt(1, AttemptState::Rejected),
            attempt(2, AttemptState::NotStarted),
        ],
    ));
    assert_eq!(
        (
            row.channel.as_str(),
            row.first_channel.as_str(),
            row.segments
        ),
        ("channel-1", "channel-1", 0)
    );
    let row = outcome_row(outcome(Terminal::Rejected, vec![]));
    assert_eq!(
        (row.channel.as_str(), row.first_routed_at, row.routed_at),
        ("", 0, None)
    );
}

#[test]
fn a_correction_takes_the_old_row_back_and_adds_the_new_one() {
    let previous = outcome(Terminal::Unknown, vec![attempt(1, AttemptState::Accepted)]);
    let mut current = outcome(
        Terminal::Delivered,
        vec![attempt(1, AttemptState::Delivered)],
    );
    current.seq = 1;
    let corrected = OutcomeCorrected { previous, current };
    let event = codec::envelope(kind::OUTCOME_CORRECTED, about(), Timestamp(0), corrected);
    let mut rows = Rows::new(Table::Outcomes);
    rows.add(
        &Event::OutcomeCorrected(Box::new(event)),
        place(Topic::Outcomes),
        &key(),
    )
    .unwrap();
    let Rows::Outcomes(list) = &rows else {
        panic!("another table")
    };
    let short: Vec<_> = list
        .iter()
        .map(|r| (r.delta, r.seq, r.outcome, r.offset))
        .collect();
    assert_eq!(short, [(-1, 0, "unknown", 77), (1, 1, "delivered", 77)]);
    rows.retain(|offset| offset != 77);
    assert!(rows.is_empty());
}

#[test]
fn a_refusal_keeps_its_code_disposition_and_blame() {
    let payload = AttemptFinished {
        n: 2,
        attempt_id: AttemptId::new(MessageId::from_position(&request()), &request(), 2),
        lane: Lane::Otp,
        recipient: PHONE.parse().unwrap(),
        channel: "channel-2".parse().unwrap(),
        call_id: CallId(100_000_000_000_001),
        result: AttemptResult::Rejected {
            disposition: Disposition::RetryOther,
            blame: Blame::Channel,
            vendor_code: "isp.SYSTEM_ERROR".into(),
            message: String::new(),
            retry_after_ms: Some(250),
        },
        submitted_at: Some(Timestamp(1_500)),
        elapsed_ms: Some(40),
    };
    let event = Event::AttemptFinished(codec::envelope(
        kind::ATTEMPT_FINISHED,
        about(),
        Timestamp(1),
        payload,
    ));
    let row = Attempt::new(&event, place(Topic::Attempts)).unwrap();
    assert_eq!(
        (row.kind, row.result, row.disposition, row.blame),
        ("finished", "rejected", "retry_other", "channel")
    );
    assert_eq!(
        (row.vendor_code.as_str(), row.retry_after_ms, row.elapsed_ms),
        ("isp.SYSTEM_ERROR", Some(250), Some(40))
    );
}

#[test]
fn an_event_of_another_table_or_without_a_message_is_a_misfit() {
    let mut event = routed();
    let mut rows = Rows::new(Table::Outcomes);
    assert_eq!(
        rows.add(
            &Event::Routed(event.clone()),
            place(Topic::Outcomes),
            &key()
        ),
        Err(Misfit)
    );
    event.message_id = None;
    let mut rows = Rows::new(Table::Routings);
    assert_eq!(
        rows.add(&Event::Routed(event), place(Topic::DispatchOtp), &key()),
        Err(Misfit)
    );
    assert!(rows.is_empty());
}

proptest! {
    #[test]
    fn no_latency_is_negative_and_no_instant_leaves_the_column(a: i64, b: i64) {
        prop_assert!(elapsed(Timestamp(a), Timestamp(b)) == 0 || b > a);
        let at = instant(Timestamp(a));
        prop_assert!((-2_208_988_800_000..=10_413_791_999_999).contains(&at));
    }
}
