//! Each rule against good evidence in which one thing is planted.

use jixinda_schemas::Topic;

use super::*;

fn place(n: i64) -> Position {
    Position {
        topic: Topic::RequestsOtp,
        partition: 0,
        offset: n,
    }
}

fn id(n: i64) -> MessageId {
    MessageId::from_position(&place(n))
}

fn number(n: i64) -> String {
    format!("+86138000000{n:02}")
}

/// The first attempt of message `n`, well ended.
fn attempt(n: i64) -> Attempt {
    Attempt {
        n: 1,
        call: CallId(n as u64),
        offset: 100 + n,
        interrupted: false,
        own: Some(false),
        unknown_at: None,
    }
}

/// The second one, of another call.
fn second(n: i64) -> Attempt {
    Attempt {
        n: 2,
        call: CallId(1_000 + n as u64),
        offset: 200 + n,
        ..attempt(n)
    }
}

fn call(attempt: &Attempt) -> Call {
    Call {
        id: Some(attempt.call),
        taken: true,
        ambiguous: false,
    }
}

/// Ten messages, sent once, delivered, and told so everywhere.
fn good(lane: Lane) -> Evidence {
    let mut evidence = Evidence::default();
    for n in 0..10 {
        let recipient = number(n);
        let sent = Sent {
            script: Script::Delivered,
            ..Sent::new(recipient.clone(), lane)
        };
        evidence.accepted.insert(id(n), sent);
        evidence.requests.insert(recipient.clone(), vec![place(n)]);
        evidence.outcomes.push((id(n), Terminal::Delivered));
        evidence.rows.push((id(n), Terminal::Delivered, 1));
        let word = Vendor {
            calls: vec![call(&attempt(n))],
            delivered: true,
            ..Vendor::default()
        };
        evidence.vendor.insert(recipient, word);
        evidence.attempts.insert(id(n), vec![attempt(n)]);
    }
    evidence
}

fn planted(lane: Lane, plant: impl FnOnce(&mut Evidence)) -> Vec<Fault> {
    let mut evidence = good(lane);
    plant(&mut evidence);
    judge(&evidence).faults
}

#[test]
fn good_evidence_has_no_fault() {
    assert_eq!(planted(Lane::Notice, |_| {}), []);
}

#[test]
fn a_lost_message_is_found() {
    let lose = |e: &mut Evidence| {
        e.outcomes.remove(3);
        e.rows.remove(3);
    };
    assert_eq!(planted(Lane::Notice, lose), [Fault::Lost(id(3))]);
}

#[test]
fn a_message_that_was_accepted_and_is_not_in_the_log_is_found() {
    let unstored = |e: &mut Evidence| drop(e.requests.remove(&number(3)));
    assert_eq!(planted(Lane::Notice, unstored), [Fault::NotStored(id(3))]);
    let acked = |at| {
        planted(Lane::Notice, |e| {
            e.accepted.get_mut(&id(3)).unwrap().acked = Some(place(at));
        })
    };
    assert_eq!(acked(3), []);
    assert_eq!(acked(4), [Fault::NotStored(id(3))]);
}

#[test]
fn a_second_send_is_found_unless_the_lane_allows_it_and_the_log_bears_witness() {
    let twice = |e: &mut Evidence, first: Attempt| {
        e.attempts.insert(id(4), vec![first, second(4)]);
        let word = e.vendor.get_mut(&number(4)).unwrap();
        word.calls = vec![call(&first), call(&second(4))];
    };
    let open = Attempt {
        own: None,
        interrupted: true,
        unknown_at: Some(150),
        ..attempt(4)
    };
    let bad = [Fault::SentTwice(id(4))];
    assert_eq!(planted(Lane::Otp, |e| twice(e, open)), []);
    assert_eq!(planted(Lane::Notice, |e| twice(e, open)), bad);
    assert_eq!(planted(Lane::Marketing, |e| twice(e, open)), bad);
    assert_eq!(planted(Lane::Otp, |e| twice(e, attempt(4))), bad);
    // The log called the first unknown only after the second was claimed.
    let late = Attempt {
        unknown_at: Some(250),
        ..open
    };
    assert_eq!(planted(Lane::Otp, |e| twice(e, late)), bad);
    let thrice = |e: &mut Evidence| {
        twice(e, open);
        let third = Attempt {
            n: 3,
            call: CallId(5_000),
            offset: 300,
            ..attempt(4)
        };
        e.attempts.get_mut(&id(4)).unwrap().push(third);
        e.vendor
            .get_mut(&number(4))
            .unwrap()
            .calls
            .push(call(&third));
    };
    assert_eq!(planted(Lane::Otp, thrice), bad);
}

#[test]
fn a_call_without_a_claim_and_a_claim_with_two_calls_are_found() {
    let foreign = |e: &mut Evidence| e.vendor.get_mut(&number(4)).unwrap().calls[0].id = None;
    assert_eq!(
        planted(Lane::Otp, foreign),
        [Fault::CalledWithoutClaim(id(4))]
    );
    let again = |e: &mut Evidence| {
        let refused = Call {
            taken: false,
            ..call(&attempt(4))
        };
        e.vendor.get_mut(&number(4)).unwrap().calls.push(refused);
    };
    assert_eq!(planted(Lane::Otp, again), [Fault::CalledTwice(id(4))]);
    let resent = |e: &mut Evidence| {
        let calls = &mut e.vendor.get_mut(&number(4)).unwrap().calls;
        calls.push(call(&attempt(4)));
    };
    assert_eq!(
        planted(Lane::Otp, resent),
        [Fault::SentTwice(id(4)), Fault::CalledTwice(id(4))]
    );
}

#[test]
fn a_duplicate_a_missing_and_a_wrong_row_are_found() {
    let twice = |e: &mut Evidence| e.rows.push((id(5), Terminal::Delivered, 1));
    assert_eq!(planted(Lane::Notice, twice), [Fault::RowTooMany(id(5))]);
    let missing = |e: &mut Evidence| e.rows.truncate(9);
    assert_eq!(planted(Lane::Notice, missing), [Fault::RowMissing(id(9))]);
    let wrong = |e: &mut Evidence| e.rows[5].1 = Terminal::Failed;
    assert_eq!(
        planted(Lane::Notice, wrong),
        [Fault::RowMissing(id(5)), Fault::RowTooMany(id(5))]
    );
}

fn ends(e: &mut Evidence, n: usize, outcome: Terminal) {
    e.outcomes[n].1 = outcome;
    e.rows[n].1 = outcome;
}

#[test]
fn an_outcome_that_the_vendor_contradicts_is_found() {
    for wrong in [
        Terminal::Undelivered,
        Terminal::Failed,
        Terminal::Rejected,
        Terminal::Expired,
    ] {
        let plant = |e: &mut Evidence| {
            ends(e, 6, wrong);
            e.accepted.get_mut(&id(6)).unwrap().script = Script::Free;
        };
        let faults = planted(Lane::Notice, plant);
        assert_eq!(faults, [Fault::WrongOutcome(id(6), wrong)]);
    }
    let unsent = |e: &mut Evidence| e.vendor.retain(|number, _| !number.ends_with("06"));
    assert_eq!(
        planted(Lane::Notice, unsent),
        [Fault::WrongOutcome(id(6), Terminal::Delivered)]
    );
}

#[test]
fn a_receipt_that_had_no_answer_bears_an_outcome_out_and_no_other() {
    let said = |outcome, success| {
        planted(Lane::Notice, |e| {
            ends(e, 6, outcome);
            e.accepted.get_mut(&id(6)).unwrap().script = Script::Free;
            let word = e.vendor.get_mut(&number(6)).unwrap();
            word.delivered = false;
            word.unanswered.insert(success);
        })
    };
    use Terminal::{Delivered, Undelivered};
    assert_eq!(said(Delivered, true), []);
    assert_eq!(said(Undelivered, false), []);
    for (outcome, success) in [(Delivered, false), (Undelivered, true)] {
        assert_eq!(
            said(outcome, success),
            [Fault::WrongOutcome(id(6), outcome)]
        );
    }
}

#[test]
fn an_outcome_that_the_script_does_not_lead_to_is_found() {
    let as_scripted = |script, outcome: Terminal, word: Vendor| {
        planted(Lane::Notice, |e| {
            ends(e, 6, outcome);
            e.accepted.get_mut(&id(6)).unwrap().script = script;
            e.vendor.insert(number(6), word);
        })
    };
    let refused = Vendor {
        calls: vec![Call {
            taken: false,
            ..call(&attempt(6))
        }],
        ..Vendor::default()
    };
    let undelivered = Vendor {
        calls: vec![call(&attempt(6))],
        undelivered: BTreeSet::from([attempt(6).call]),
        ..Vendor::default()
    };
    let silent = Vendor {
        undelivered: BTreeSet::new(),
        ..undelivered.clone()
    };
    use Script::{Delivered, Free, Refused, Silent, Undelivered};
    assert_eq!(as_scripted(Refused, Terminal::Failed, refused.clone()), []);
    assert_eq!(
        as_scripted(Undelivered, Terminal::Undelivered, undelivered.clone()),
        []
    );
    assert_eq!(as_scripted(Silent, Terminal::Unknown, silent.clone()), []);
    assert_eq!(as_scripted(Free, Terminal::Unknown, silent.clone()), []);
    let bad = |outcome| vec![Fault::NotAsScripted(id(6), outcome)];
    // Refused or never tried: both agree with the journal, and neither with the script.
    assert_eq!(
        as_scripted(Delivered, Terminal::Failed, refused.clone()),
        bad(Terminal::Failed)
    );
    assert_eq!(
        as_scripted(Refused, Terminal::Expired, refused),
        bad(Terminal::Expired)
    );
    assert_eq!(
        as_scripted(Delivered, Terminal::Undelivered, undelivered),
        bad(Terminal::Undelivered)
    );
    let lost_receipt = as_scripted(Delivered, Terminal::Unknown, silent);
    assert_eq!(
        lost_receipt,
        [
            Fault::NotAsScripted(id(6), Terminal::Unknown),
            Fault::UnexplainedUnknown(id(6))
        ]
    );
}

#[test]
fn an_unknown_needs_a_death_between_claim_and_result_or_a_call_that_leaves_it_open() {
    let unknown = |attempt: Attempt, ambiguous: bool| {
        planted(Lane::Notice, |e| {
            ends(e, 7, Terminal::Unknown);
            e.accepted.get_mut(&id(7)).unwrap().script = Script::Free;
            e.attempts.insert(id(7), vec![attempt]);
            let calls = ambiguous.then(|| Call {
                taken: false,
                ambiguous,
                ..call(&attempt)
            });
            let word = Vendor {
                calls: calls.into_iter().collect(),
                ..Vendor::default()
            };
            e.vendor.insert(number(7), word);
        })
    };
    let bad = [Fault::UnexplainedUnknown(id(7))];
    let of = |own, interrupted| Attempt {
        own,
        interrupted,
        ..attempt(7)
    };
    assert_eq!(unknown(of(None, true), false), []);
    assert_eq!(unknown(of(None, false), false), bad);
    assert_eq!(unknown(of(None, false), true), bad);
    assert_eq!(unknown(of(Some(true), false), true), []);
    assert_eq!(unknown(of(Some(true), false), false), bad);
    // Stood still during the call.
    assert_eq!(unknown(of(Some(true), true), false), []);
    // Its own sender knows how it ended.
    assert_eq!(unknown(of(Some(false), true), true), bad);
}

#[test]
fn the_answer_to_another_call_explains_nothing() {
    let other = planted(Lane::Notice, |e| {
        ends(e, 7, Terminal::Unknown);
        e.accepted.get_mut(&id(7)).unwrap().script = Script::Garbage;
        let open = Attempt {
            own: Some(true),
            ..attempt(7)
        };
        e.attempts.insert(id(7), vec![open, second(7)]);
        let answer = Call {
            taken: false,
            ambiguous: true,
            ..call(&second(7))
        };
        let word = Vendor {
            calls: vec![answer],
            ..Vendor::default()
        };
        e.vendor.insert(number(7), word);
    });
    assert_eq!(other, [Fault::UnexplainedUnknown(id(7))]);
}

#[test]
fn a_second_outcome_and_what_nobody_asked_for_are_found() {
    let second = |e: &mut Evidence| {
        e.outcomes.push((id(8), Terminal::Delivered));
        e.rows.push((id(8), Terminal::Delivered, 1));
    };
    assert_eq!(
        planted(Lane::Notice, second),
        [Fault::SeveralOutcomes(id(8))]
    );
    let unasked = |e: &mut Evidence| e.accepted.retain(|of, _| *of != id(8));
    assert_eq!(
        planted(Lane::Notice, unasked),
        [Fault::Unasked(id(8)), Fault::SentToNobody(number(8))]
    );
}

#[test]
fn a_correction_leads_to_the_last_word() {
    let corrected = |e: &mut Evidence| {
        e.outcomes[9].1 = Terminal::Unknown;
        e.corrections
            .push((id(9), Terminal::Unknown, Terminal::Delivered));
        e.rows[9].1 = Terminal::Unknown;
        e.rows.push((id(9), Terminal::Unknown, -1));
        e.rows.push((id(9), Terminal::Delivered, 1));
    };
    assert_eq!(planted(Lane::Notice, corrected), []);
    let of_something_else = |e: &mut Evidence| {
        e.corrections
            .push((id(9), Terminal::Failed, Terminal::Delivered));
    };
    let faults = planted(Lane::Notice, of_something_else);
    assert!(faults.contains(&Fault::WrongOutcome(id(9), Terminal::Delivered)));
}

#[test]
fn of_two_attempts_the_vendor_may_know_the_end_of_one() {
    let unknown = |first: Attempt, known: &Attempt| {
        planted(Lane::Otp, |e| {
            ends(e, 7, Terminal::Unknown);
            e.accepted.get_mut(&id(7)).unwrap().script = Script::Undelivered;
            e.attempts.insert(id(7), vec![first, second(7)]);
            let word = Vendor {
                calls: vec![call(&first), call(&second(7))],
                undelivered: BTreeSet::from([known.call]),
                ..Vendor::default()
            };
            e.vendor.insert(number(7), word);
        })
    };
    let open = Attempt {
        own: None,
        interrupted: true,
        unknown_at: Some(150),
        ..attempt(7)
    };
    assert_eq!(unknown(open, &second(7)), []);
    // What was open has come to its end, and the other is settled.
    let wrong = unknown(open, &open);
    assert!(wrong.contains(&Fault::WrongOutcome(id(7), Terminal::Unknown)));
}
