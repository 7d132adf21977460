use super::{super::read::Receipt, *};

fn routing(n: u16, request_offset: i64, at: i64) -> Routing {
    Routing {
        n,
        request_offset,
        channel: format!("channel-{n}"),
        phone_masked: "138****8000".into(),
        considered: r#"[{"channel":"channel-2","gate":"breaker"}]"#.into(),
        seed: u64::MAX,
        decided_at: at,
        logged_at: at,
        ..Routing::default()
    }
}

fn attempt(kind: &str, n: u16, call_id: u64, offset: i64) -> Attempt {
    Attempt {
        kind: kind.into(),
        n,
        call_id,
        offset,
        at: 100 + offset,
        logged_at: 100 + offset,
        ..Attempt::default()
    }
}

fn outcome(name: &str, seq: u32, request_offset: i64, at: i64) -> Outcome {
    Outcome {
        outcome: name.into(),
        seq,
        request_offset,
        ended_at: at,
        logged_at: at,
        ..Outcome::default()
    }
}

fn show(lines: Lines) -> Option<Status> {
    status(MessageId::random(), &"shop".parse().unwrap(), lines)
}

#[test]
fn a_message_is_routed_then_sent_then_what_its_newest_outcome_says() {
    let lines = || Lines {
        routings: vec![routing(1, 5, 100)],
        ..Lines::default()
    };
    assert_eq!(show(Lines::default()), None);
    let routed = show(lines()).unwrap();
    assert_eq!(
        (routed.status.as_str(), routed.recipient.as_str()),
        ("routed", "138****8000")
    );
    let sent = Lines {
        attempts: vec![attempt("started", 1, 7, 1)],
        ..lines()
    };
    assert_eq!(show(sent).unwrap().status, "sent");
    let ended = Lines {
        outcomes: vec![
            outcome("unknown", 0, 5, 300),
            outcome("delivered", 1, 5, 400),
        ],
        ..lines()
    };
    let ended = show(ended).unwrap();
    assert_eq!((ended.status.as_str(), ended.seq), ("delivered", 1));
    let events: Vec<_> = ended.timeline.iter().map(|s| s.event).collect();
    assert_eq!(events, ["accepted", "routed", "outcome", "outcome"]);
}

#[test]
fn a_refused_call_is_no_longer_sent() {
    let mut refused = attempt("finished", 1, 7, 2);
    refused.result = "rejected".into();
    let lines = Lines {
        routings: vec![routing(1, 5, 100)],
        attempts: vec![attempt("started", 1, 7, 1), refused],
        ..Lines::default()
    };
    assert_eq!(show(lines).unwrap().status, "routed");
}

#[test]
fn the_first_claim_counts_and_only_its_results() {
    let attempts = vec![
        attempt("started", 1, 7, 1),
        attempt("started", 1, 8, 2),
        attempt("finished", 1, 8, 3),
        attempt("finished", 1, 7, 4),
        attempt("not_started", 2, 0, 5),
        attempt("started", 2, 9, 6),
        attempt("finished", 2, 9, 7),
        attempt("finished", 3, 1, 8),
    ];
    let kept: Vec<i64> = counting(attempts).iter().map(|a| a.offset).collect();
    assert_eq!(kept, [1, 4, 5]);
}

#[test]
fn of_an_id_that_was_used_again_the_newest_request_counts() {
    let lines = Lines {
        routings: vec![routing(1, 5, 100), routing(1, 90, 5_000)],
        attempts: vec![attempt("started", 1, 7, 1)],
        receipts: vec![Receipt {
            logged_at: 5_500,
            received_at: 5_500,
            ..Receipt::default()
        }],
        outcomes: vec![outcome("delivered", 0, 5, 300)],
    };
    let status = show(lines).unwrap();
    assert_eq!(status.status, "routed");
    let events: Vec<_> = status.timeline.iter().map(|s| s.event).collect();
    assert_eq!(events, ["routed", "receipt"]);
}

#[test]
fn decisions_show_the_gates_and_a_seed_of_64_bits() {
    let lines = Lines {
        routings: vec![routing(1, 5, 100)],
        ..Lines::default()
    };
    let shown = decisions(MessageId::random(), &"shop".parse().unwrap(), lines).unwrap();
    assert_eq!(shown.decisions[0].considered[0]["gate"], "breaker");
    assert_eq!(shown.decisions[0].seed, "18446744073709551615");
}
