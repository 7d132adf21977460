//! What follows what: failover, resends, ends.

use proptest::prelude::*;

use super::*;

#[test]
fn a_definite_refusal_fails_over_and_three_exhaust() {
    let mut e = entry(Lane::Notice);
    for n in 1..=3 {
        assert!(can_decide(&e));
        start(&mut e, n);
        assert!(!can_decide(&e));
        finish(&mut e, n, rejected(Disposition::RetryOther));
    }
    assert_eq!(next(&e), Step::End(Terminal::Failed, Reason::Exhausted));
}

#[test]
fn a_vendor_that_is_too_slow_uses_no_attempt_up() {
    let mut e = entry(Lane::Notice);
    let throttled = AttemptResult::Rejected {
        disposition: Disposition::RetrySame,
        blame: Blame::Capacity,
        vendor_code: "flow".into(),
        message: String::new(),
        retry_after_ms: None,
    };
    let most = (MAX_THROTTLED + MAX_STARTED) as u16;
    for n in 1..=most {
        assert!(can_decide(&e), "{n}");
        start(&mut e, n);
        finish(&mut e, n, throttled.clone());
    }
    assert_eq!(next(&e), Step::End(Terminal::Failed, Reason::Exhausted));
}

#[test]
fn an_unknown_attempt_is_resent_once_for_otp_and_never_for_others() {
    for lane in Lane::ALL {
        let mut e = entry(lane);
        start(&mut e, 1);
        finish(&mut e, 1, unknown());
        assert_eq!(can_decide(&e), lane == Lane::Otp, "{lane}");
        if lane == Lane::Otp {
            start(&mut e, 2);
            finish(&mut e, 2, unknown());
            assert!(!can_decide(&e));
        }
        assert_eq!(
            late(&e),
            Step::End(Terminal::Unknown, Reason::VendorUnknown)
        );
    }
}

#[test]
fn failed_is_never_said_while_another_attempt_may_have_been_taken() {
    let mut e = entry(Lane::Otp);
    start(&mut e, 1);
    finish(&mut e, 1, unknown());
    start(&mut e, 2);
    finish(&mut e, 2, rejected(Disposition::PermanentRecipient));
    assert!(matches!(next(&e), Step::Wait(Some(_))));
    assert_eq!(
        late(&e),
        Step::End(Terminal::Unknown, Reason::VendorUnknown)
    );
    report(&mut e, 1, ReceiptStatus::Delivered);
    assert_eq!(next(&e), Step::End(Terminal::Delivered, Reason::Delivered));
}

#[test]
fn the_first_claim_wins_and_a_result_counts_with_its_claim_only() {
    let mut e = entry(Lane::Otp);
    give_back(&mut e, 1, NotStartedCause::Withdrawn);
    assert!(!start(&mut e, 1));
    assert!(!finish(&mut e, 1, accepted()));
    assert!(can_decide(&e));
}

#[test]
fn a_late_answer_wins_over_unknown_but_nothing_wins_over_an_answer() {
    let mut e = entry(Lane::Notice);
    start(&mut e, 1);
    assert!(finish(&mut e, 1, unknown()));
    assert!(finish(&mut e, 1, accepted()));
    assert!(!finish(&mut e, 1, unknown()));
    assert!(!finish(&mut e, 1, rejected(Disposition::RetryOther)));
    assert_eq!(e.attempts[0].state(), AttemptState::Accepted);
}

#[test]
fn a_message_waits_for_a_channel_until_its_validity_ends() {
    let e = entry(Lane::Otp);
    assert_eq!(next(&e), Step::Decide(T0.plus_millis(300_000)));
    assert_eq!(
        e.next(T0.plus_millis(300_000), DEADLINES),
        Step::End(Terminal::Expired, Reason::NotAfterPassed)
    );
}

#[test]
fn a_routing_that_no_one_claims_is_withdrawn_before_anything_else_happens() {
    let mut e = entry(Lane::Otp);
    route(&mut e, 1);
    assert!(matches!(next(&e), Step::Wait(Some(_))));
    assert_eq!(e.next(T0.plus_millis(30_000), DEADLINES), Step::Withdraw(1));
    assert_eq!(late(&e), Step::Withdraw(1));
    give_back(&mut e, 1, NotStartedCause::Withdrawn);
    assert_eq!(
        late(&e),
        Step::End(Terminal::Expired, Reason::NotAfterPassed)
    );
}

#[test]
fn a_busy_channel_may_be_tried_again_and_others_not() {
    let mut e = entry(Lane::Otp);
    start(&mut e, 1);
    finish(&mut e, 1, rejected(Disposition::RetrySame));
    assert_eq!(e.attempts[0].retry_same_at(), Some(T0.plus_millis(1_000)));
    start(&mut e, 2);
    finish(&mut e, 2, rejected(Disposition::RetryOther));
    assert_eq!(e.attempts[1].retry_same_at(), None);
}

#[derive(Clone, Copy, Debug)]
enum Fact {
    Route,
    Start,
    GiveBack,
    Accept,
    Reject(Disposition),
    Unknown,
    Receipt(ReceiptStatus),
}

fn fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        Just(Fact::Route),
        Just(Fact::Start),
        Just(Fact::GiveBack),
        Just(Fact::Accept),
        Just(Fact::Reject(Disposition::RetryOther)),
        Just(Fact::Reject(Disposition::PermanentRecipient)),
        Just(Fact::Unknown),
        Just(Fact::Receipt(ReceiptStatus::Delivered)),
        Just(Fact::Receipt(ReceiptStatus::Undelivered)),
    ]
}

fn apply(e: &mut Entry, n: u16, fact: Fact) {
    match fact {
        Fact::Route => route(e, n),
        Fact::Start => {
            start(e, n);
        }
        Fact::GiveBack => give_back(e, n, NotStartedCause::Capacity),
        Fact::Accept => {
            finish(e, n, accepted());
        }
        Fact::Reject(d) => {
            finish(e, n, rejected(d));
        }
        Fact::Unknown => {
            finish(e, n, unknown());
        }
        Fact::Receipt(status) => {
            let r = receipt(n, status);
            if let Some(i) = target(e, &r) {
                e.reported(i, &r, T0);
            }
        }
    }
}

proptest! {
    /// I2, I6 and I7 over any facts: no attempt after one that may have been taken beyond what the lane allows, and
    /// no `failed` or `expired` beside one.
    #[test]
    fn no_step_breaks_the_promise(
        lane in prop::sample::select(Lane::ALL.to_vec()),
        facts in prop::collection::vec((1_u16..4, fact()), 0..14),
        after in 0_i64..100_000_000,
    ) {
        let mut e = entry(lane);
        for (n, fact) in facts {
            apply(&mut e, n, fact);
        }
        let states: Vec<AttemptState> = e.attempts.iter().map(Attempt::state).collect();
        let open = states.iter().filter(|s| matches!(s, AttemptState::Routed | AttemptState::Started | AttemptState::Accepted)).count();
        let unknown = states.iter().filter(|s| **s == AttemptState::Unknown).count();
        match e.next(T0.plus_millis(after), DEADLINES) {
            Step::Decide(_) => {
                prop_assert_eq!(open, 0);
                prop_assert!(unknown <= lane.unknown_allowed());
                prop_assert!(!states.contains(&AttemptState::Delivered));
                prop_assert!(e.counted() < MAX_STARTED);
            }
            Step::End(Terminal::Failed | Terminal::Expired, _) => {
                prop_assert_eq!(open + unknown, 0);
                prop_assert!(!states.contains(&AttemptState::Delivered));
            }
            Step::End(Terminal::Delivered, _) => prop_assert!(states.contains(&AttemptState::Delivered)),
            Step::End(..) | Step::Wait(_) | Step::Withdraw(_) => {}
            Step::Correct(..) => prop_assert!(false, "a correction needs an outcome"),
        }
        // Whatever happened, waiting long enough ends the message, once nothing unclaimed is left.
        if !states.contains(&AttemptState::Routed) {
            prop_assert!(matches!(late(&e), Step::End(..)), "{:?}", late(&e));
        }
    }
}

#[test]
fn a_start_within_the_minute_is_waited_for_and_a_later_one_judged_at_once() {
    let mut e = entry(Lane::Notice);
    let near = T0.plus_millis(60_000);
    e.request.not_before = Some(near);
    assert_eq!(e.next(T0, DEADLINES), Step::Wait(Some(near)));
    assert!(matches!(e.next(near, DEADLINES), Step::Decide(_)));
    e.request.not_before = Some(T0.plus_millis(60_001));
    assert!(matches!(e.next(T0, DEADLINES), Step::Decide(_)));
}

#[test]
fn a_result_without_its_claim_makes_no_attempt() {
    let mut e = entry(Lane::Otp);
    let event = finished_event(&e, 1, accepted(), T0);
    assert!(!e.finished(&event, T0));
    assert!(e.attempts.is_empty(), "it would look like an open decision");
}

#[test]
fn a_message_refused_when_it_is_decided_again_waits_for_the_attempt_that_may_be_taken() {
    let refuse = |e: &mut Entry| e.refused = Some((Reason::UnknownTemplate, String::new()));
    let mut e = entry(Lane::Otp);
    start(&mut e, 1);
    finish(&mut e, 1, unknown());
    refuse(&mut e);
    assert!(matches!(next(&e), Step::Wait(Some(_))));
    assert_eq!(
        late(&e),
        Step::End(Terminal::Unknown, Reason::VendorUnknown)
    );
    // It reached a vendor, so it is not `rejected`.
    let mut e = entry(Lane::Otp);
    start(&mut e, 1);
    finish(&mut e, 1, rejected(Disposition::RetryOther));
    refuse(&mut e);
    assert_eq!(
        next(&e),
        Step::End(Terminal::Failed, Reason::UnknownTemplate)
    );
    let mut e = entry(Lane::Otp);
    refuse(&mut e);
    assert_eq!(
        next(&e),
        Step::End(Terminal::Rejected, Reason::UnknownTemplate)
    );
}

#[test]
fn a_decision_that_became_needless_is_withdrawn_before_the_outcome() {
    let mut e = entry(Lane::Otp);
    route(&mut e, 1);
    e.refused = Some((Reason::InternalPanic, String::new()));
    assert_eq!(next(&e), Step::Withdraw(1));
    give_back(&mut e, 1, NotStartedCause::Withdrawn);
    assert_eq!(next(&e), Step::End(Terminal::Failed, Reason::InternalPanic));

    let mut e = entry(Lane::Otp);
    start(&mut e, 1);
    finish(&mut e, 1, unknown());
    route(&mut e, 2);
    report(&mut e, 1, ReceiptStatus::Delivered);
    assert_eq!(next(&e), Step::Withdraw(2));
    give_back(&mut e, 2, NotStartedCause::Withdrawn);
    assert_eq!(next(&e), Step::End(Terminal::Delivered, Reason::Delivered));
}

#[test]
fn a_message_that_met_a_defect_is_not_sent_again() {
    let mut e = entry(Lane::Otp);
    start(&mut e, 1);
    e.refused = Some((Reason::InternalPanic, String::new()));
    finish(&mut e, 1, unknown());
    assert!(!can_decide(&e));
}

#[test]
fn a_late_refusal_for_good_stops_what_was_decided_again() {
    let mut e = entry(Lane::Otp);
    start(&mut e, 1);
    finish(&mut e, 1, unknown());
    give_back(&mut e, 2, NotStartedCause::Capacity);
    assert!(can_decide(&e));
    finish(&mut e, 1, rejected(Disposition::PermanentRecipient));
    assert_eq!(
        next(&e),
        Step::End(Terminal::Failed, Reason::RecipientRefused)
    );
}
