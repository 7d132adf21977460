//! Receipts after, before and against the outcome.

use super::*;

#[test]
fn no_receipt_before_the_deadline_is_unknown_and_a_late_one_corrects() {
    let mut e = entry(Lane::Notice);
    start(&mut e, 1);
    finish(&mut e, 1, accepted());
    assert_eq!(late(&e), Step::End(Terminal::Unknown, Reason::NoReceipt));
    e.outcome = Some(e.outcome_event(Terminal::Unknown, Reason::NoReceipt, T0));
    assert_eq!(late(&e), Step::Wait(None));
    report(&mut e, 1, ReceiptStatus::Undelivered);
    assert_eq!(
        late(&e),
        Step::Correct(Terminal::Undelivered, Reason::ReceiptUndelivered)
    );
    report(&mut e, 1, ReceiptStatus::Delivered);
    assert_eq!(
        late(&e),
        Step::Correct(Terminal::Delivered, Reason::Delivered)
    );
    assert_eq!(
        e.outcome_event(Terminal::Delivered, Reason::Delivered, T0)
            .seq,
        1
    );
}

#[test]
fn delivered_is_never_downgraded_and_repeats_change_nothing() {
    let mut e = entry(Lane::Notice);
    start(&mut e, 1);
    assert!(report(&mut e, 1, ReceiptStatus::Pending));
    assert!(report(&mut e, 1, ReceiptStatus::Delivered));
    assert!(!report(&mut e, 1, ReceiptStatus::Delivered));
    assert!(!report(&mut e, 1, ReceiptStatus::Undelivered));
    assert_eq!(next(&e), Step::End(Terminal::Delivered, Reason::Delivered));
}

fn ended(e: &mut Entry, terminal: Terminal, reason: Reason) {
    let outcome = e.outcome_event(terminal, reason, T0);
    assert!(e.ended(outcome));
}

/// An `otp` whose first attempt is unknown and whose second was taken.
fn sent_twice() -> Entry {
    let mut e = entry(Lane::Otp);
    start(&mut e, 1);
    finish(&mut e, 1, unknown());
    start(&mut e, 2);
    finish(&mut e, 2, accepted());
    e
}

#[test]
fn receipts_of_two_attempts_join_their_own_and_one_delivery_is_enough() {
    let mut e = sent_twice();
    report(&mut e, 2, ReceiptStatus::Undelivered);
    let states: Vec<_> = e.attempts.iter().map(Attempt::state).collect();
    assert_eq!(states, [AttemptState::Unknown, AttemptState::Undelivered]);
    assert!(
        matches!(next(&e), Step::Wait(Some(_))),
        "the first may arrive"
    );
    report(&mut e, 1, ReceiptStatus::Delivered);
    assert_eq!(next(&e), Step::End(Terminal::Delivered, Reason::Delivered));
}

#[test]
fn unknown_becomes_undelivered_only_when_no_other_attempt_may_be_taken() {
    let mut e = sent_twice();
    ended(&mut e, Terminal::Unknown, Reason::NoReceipt);
    report(&mut e, 2, ReceiptStatus::Rejected);
    assert_eq!(late(&e), Step::Wait(None));
    report(&mut e, 1, ReceiptStatus::Expired);
    // The last attempt that failed says why.
    let undelivered = Step::Correct(Terminal::Undelivered, Reason::ReceiptRejected);
    assert_eq!(late(&e), undelivered);
    ended(&mut e, Terminal::Undelivered, Reason::ReceiptRejected);
    assert_eq!(late(&e), Step::Wait(None));
    report(&mut e, 1, ReceiptStatus::Delivered);
    assert_eq!(
        late(&e),
        Step::Correct(Terminal::Delivered, Reason::Delivered)
    );
    ended(&mut e, Terminal::Delivered, Reason::Delivered);
    assert_eq!(e.outcome.as_ref().unwrap().seq, 2);
    report(&mut e, 2, ReceiptStatus::Undelivered);
    assert_eq!(late(&e), Step::Wait(None));
}

#[test]
fn a_delivered_receipt_wins_over_an_answer_that_said_refused_and_over_expiry() {
    for (terminal, reason) in [
        (Terminal::Failed, Reason::RecipientRefused),
        (Terminal::Expired, Reason::NotAfterPassed),
    ] {
        let mut e = entry(Lane::Notice);
        start(&mut e, 1);
        finish(&mut e, 1, rejected(Disposition::PermanentRecipient));
        ended(&mut e, terminal, reason);
        report(&mut e, 1, ReceiptStatus::Undelivered);
        assert_eq!(late(&e), Step::Wait(None), "{terminal:?} says as much");
        report(&mut e, 1, ReceiptStatus::Delivered);
        assert_eq!(
            late(&e),
            Step::Correct(Terminal::Delivered, Reason::Delivered)
        );
    }
}

#[test]
fn a_refused_attempt_fails_over_also_when_a_receipt_says_that_it_did_not_arrive() {
    let mut e = entry(Lane::Notice);
    start(&mut e, 1);
    finish(&mut e, 1, rejected(Disposition::RetryOther));
    report(&mut e, 1, ReceiptStatus::Rejected);
    assert!(can_decide(&e));
}

#[test]
fn a_pending_receipt_of_a_later_attempt_does_not_hide_why_the_first_failed() {
    let mut e = entry(Lane::Otp);
    start(&mut e, 1);
    finish(&mut e, 1, unknown());
    start(&mut e, 2);
    finish(&mut e, 2, rejected(Disposition::RetryOther));
    report(&mut e, 1, ReceiptStatus::Expired);
    report(&mut e, 2, ReceiptStatus::Pending);
    assert_eq!(
        next(&e),
        Step::End(Terminal::Undelivered, Reason::ReceiptExpired)
    );
}

#[test]
fn an_outcome_of_an_earlier_request_under_the_same_id_ends_nothing() {
    let mut e = entry(Lane::Otp);
    let mut earlier = e.outcome_event(Terminal::Delivered, Reason::Delivered, T0);
    earlier.request.offset -= 1;
    assert!(!e.ended(earlier));
    assert_eq!(e.state(), State::Waiting);
}

#[test]
fn a_lower_or_equal_seq_never_replaces_an_outcome() {
    let mut e = sent_twice();
    ended(&mut e, Terminal::Unknown, Reason::NoReceipt);
    let first = e.outcome.clone().unwrap();
    ended(&mut e, Terminal::Delivered, Reason::Delivered);
    assert!(!e.ended(first));
    assert_eq!(e.state(), State::Ended(Terminal::Delivered));
}
