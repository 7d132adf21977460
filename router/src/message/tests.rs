//! What the tests of messages share.

mod explore;
mod history;
mod receipts;
mod rules;
mod table;

use jixinda_schemas::{
    CallId, Topic,
    event::{AttemptState, NotStartedCause},
    template::Content,
    vendor::{Blame, Disposition, ReceiptStatus},
};

use super::*;

pub(super) const T0: Timestamp = Timestamp(1_000_000);
const DEADLINES: Deadlines = Deadlines {
    receipt_ms: 60_000,
    claim_ms: 30_000,
};

pub(super) fn entry(lane: Lane) -> Entry {
    Entry {
        id: MessageId::random(),
        app: "shop".parse().unwrap(),
        lane,
        position: Position {
            topic: Topic::requests(lane),
            partition: 0,
            offset: 7,
        },
        accepted_at: T0,
        request: Request {
            recipient: "+8613800138000".parse().unwrap(),
            template: "login".parse().unwrap(),
            signature: None,
            params: Default::default(),
            not_before: None,
            not_after: None,
            valid_for_ms: None,
            idempotency_key: None,
            index: 0,
            campaign: None,
            redrive_of: None,
        },
        traceparent: None,
        attempts: Vec::new(),
        refused: None,
        no_route: false,
        outcome: None,
        superseded: false,
    }
}

pub(super) fn channel(n: u16) -> ChannelId {
    format!("c{n}").parse().unwrap()
}

pub(super) fn routed_event(e: &Entry, n: u16, at: Timestamp) -> Routed {
    Routed {
        n,
        attempt_id: e.attempt_id(n),
        request: e.position,
        lane: e.lane,
        recipient: e.recipient().clone(),
        channel: channel(n),
        vendor: "v".into(),
        pool: "default".into(),
        template: "login".parse().unwrap(),
        signature: "acme".parse().unwrap(),
        sign_name: "ACME".into(),
        content: Content::FullText { text: "x".into() },
        text: "x".into(),
        segments: 1,
        price_micros: 1,
        not_after: e.not_after(),
        directory_offset: 0,
        health_offset: 0,
        seed: 0,
        decided_at: at,
        considered: Vec::new(),
    }
}

pub(super) fn started_event(e: &Entry, n: u16, at: Timestamp) -> AttemptStarted {
    AttemptStarted {
        n,
        attempt_id: e.attempt_id(n),
        lane: e.lane,
        recipient: e.recipient().clone(),
        channel: channel(n),
        vendor: "v".into(),
        call_id: CallId(u64::from(n)),
        started_at: at,
    }
}

pub(super) fn not_started_event(e: &Entry, n: u16, cause: NotStartedCause) -> AttemptNotStarted {
    AttemptNotStarted {
        n,
        attempt_id: e.attempt_id(n),
        lane: e.lane,
        channel: channel(n),
        cause,
        retry_after_ms: None,
    }
}

pub(super) fn finished_event(
    e: &Entry,
    n: u16,
    result: AttemptResult,
    at: Timestamp,
) -> AttemptFinished {
    AttemptFinished {
        n,
        attempt_id: e.attempt_id(n),
        lane: e.lane,
        recipient: e.recipient().clone(),
        channel: channel(n),
        call_id: CallId(u64::from(n)),
        result,
        submitted_at: Some(at),
        elapsed_ms: Some(5),
    }
}

pub(super) fn route(e: &mut Entry, n: u16) {
    e.routed(&routed_event(e, n, T0));
}

pub(super) fn start(e: &mut Entry, n: u16) -> bool {
    route(e, n);
    e.started(&started_event(e, n, T0))
}

pub(super) fn give_back(e: &mut Entry, n: u16, cause: NotStartedCause) {
    route(e, n);
    e.not_started(&not_started_event(e, n, cause), T0);
}

pub(super) fn finish(e: &mut Entry, n: u16, result: AttemptResult) -> bool {
    e.finished(&finished_event(e, n, result, T0), T0)
}

pub(super) fn accepted() -> AttemptResult {
    AttemptResult::Accepted {
        vendor_id: "Biz^0".into(),
    }
}

pub(super) fn unknown() -> AttemptResult {
    AttemptResult::Unknown {
        detail: "timeout".into(),
    }
}

pub(super) fn rejected(disposition: Disposition) -> AttemptResult {
    AttemptResult::Rejected {
        disposition,
        blame: Blame::Channel,
        vendor_code: "X".into(),
        message: String::new(),
        retry_after_ms: None,
    }
}

pub(super) fn receipt(n: u16, status: ReceiptStatus) -> RawReceipt {
    RawReceipt {
        channel: channel(n),
        vendor: "v".into(),
        recipient: "+8613800138000".parse().unwrap(),
        echo: Some(n.to_string()),
        vendor_id: None,
        part: None,
        parts: None,
        status,
        code: "C".into(),
        blame: None,
        segments: None,
        vendor_at: None,
        received_at: T0,
        raw: serde_json::Value::Null,
    }
}

fn target(e: &Entry, r: &RawReceipt) -> Option<usize> {
    join(std::iter::once(e), r, None).map(|(_, i)| i)
}

fn report(e: &mut Entry, n: u16, status: ReceiptStatus) -> bool {
    let r = receipt(n, status);
    let i = target(e, &r).unwrap();
    e.reported(i, &r, T0)
}

fn next(e: &Entry) -> Step {
    e.next(T0, DEADLINES)
}

fn late(e: &Entry) -> Step {
    e.next(T0.plus_millis(24 * 3_600_000), DEADLINES)
}

fn can_decide(e: &Entry) -> bool {
    matches!(next(e), Step::Decide(_))
}
