use jixinda_schemas::Topic;

use super::*;
use crate::commands::verify::log::{CallResult, Claim, End, Request};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn at(topic: Topic, offset: i64) -> Position {
    Position {
        topic,
        partition: 0,
        offset,
    }
}

fn id(n: i64) -> MessageId {
    MessageId::from_position(&at(Topic::RequestsNotice, n))
}

fn end(n: i64, outcome: &str) -> End {
    End {
        outcome: outcome.to_owned(),
        request: at(Topic::RequestsNotice, n),
        accepted_at: NOW,
        lane: "notice".to_owned(),
        template: "order".to_owned(),
    }
}

fn said(result: &str) -> CallResult {
    CallResult {
        taken: result == "accepted",
        refused: result.ends_with("not_called"),
        unknown: result.starts_with("unknown"),
    }
}

fn cell(outcome: &str) -> Cell {
    let minute = NOW.millis() / 60_000 * 60;
    let text = str::to_owned;
    (
        minute,
        text("shop"),
        text("order"),
        text("notice"),
        text(outcome),
    )
}

/// Three messages, delivered, each with its row, and a dead letter.
fn good() -> (Log, Tables) {
    let (mut log, mut tables) = (Log::default(), Tables::default());
    for n in 0..3 {
        let request = Request {
            id: Some(id(n)),
            at: NOW,
            moved_from: None,
            redriven: false,
        };
        log.requests.insert(at(Topic::RequestsNotice, n), request);
        log.outcomes.push((id(n), end(n, "delivered")));
        log.deltas.push(("shop".to_owned(), 1, end(n, "delivered")));
        let claim = Claim {
            call_id: Some(n as u64),
            lane: "notice".to_owned(),
        };
        log.claims.insert((id(n), 1), claim);
        log.results.insert(n as u64, said("accepted"));
        let place = (Topic::Outcomes, 0);
        log.rows.entry(place).or_default().insert(n + 1, (1, NOW));
        tables.rows.entry(place).or_default().insert(n + 1, 1);
    }
    log.read.insert((Topic::RequestsNotice, 0), (0, 2));
    log.read.insert((Topic::Outcomes, 0), (0, 3));
    tables.sums = Some([(cell("delivered"), 3)].into());
    (log, tables)
}

fn limits(settled: bool) -> Limits {
    Limits {
        now: NOW,
        longest_ms: 1_000,
        settled,
        since: None,
        until: None,
    }
}

fn faults(settled: bool, plant: impl FnOnce(&mut Log, &mut Tables)) -> Vec<Fault> {
    let (mut log, mut tables) = good();
    plant(&mut log, &mut tables);
    judge(&log, &tables, limits(settled)).faults
}

fn record(topic: Topic, offset: i64) -> String {
    at(topic, offset).to_string()
}

#[test]
fn what_agrees_has_no_fault() {
    let (log, tables) = good();
    let report = judge(&log, &tables, limits(true));
    assert_eq!(report.faults, []);
    assert_eq!((report.requests.ended, report.rows, report.sums), (3, 3, 1));
}

#[test]
fn a_message_without_an_outcome_is_unresolved_while_young_and_lost_later_or_when_all_has_settled() {
    let forget = |log: &mut Log, tables: &mut Tables| {
        log.outcomes.pop();
        log.deltas.pop();
        log.rows.get_mut(&(Topic::Outcomes, 0)).unwrap().remove(&3);
        tables
            .rows
            .get_mut(&(Topic::Outcomes, 0))
            .unwrap()
            .remove(&3);
        tables.sums = Some([(cell("delivered"), 2)].into());
    };
    let lost = [Fault::Lost {
        message: Some(id(2)),
        request: record(Topic::RequestsNotice, 2),
    }];
    assert_eq!(faults(false, forget), []);
    assert_eq!(faults(true, forget), lost);
    let old = |log: &mut Log, tables: &mut Tables| {
        forget(log, tables);
        let request = log.requests.get_mut(&at(Topic::RequestsNotice, 2));
        request.unwrap().at = NOW.plus_millis(-1_001);
    };
    assert_eq!(faults(false, old), lost);
}

#[test]
fn repeats_moved_records_and_dead_letters_need_no_outcome_of_their_own() {
    let others = |log: &mut Log, _: &mut Tables| {
        let mut add = |offset, request| {
            log.requests
                .insert(at(Topic::RequestsNotice, offset), request);
        };
        let repeat = Request {
            id: Some(id(0)),
            at: NOW,
            moved_from: None,
            redriven: false,
        };
        add(10, repeat);
        let unread = Request { id: None, ..repeat };
        add(11, unread);
        let moved = Request {
            id: Some(id(11)),
            ..repeat
        };
        add(12, moved);
        let place = at(Topic::RequestsNotice, 2);
        log.requests.get_mut(&place).unwrap().moved_from = Some(at(Topic::RequestsNotice, 12));
        log.buried.insert(at(Topic::RequestsNotice, 11));
    };
    assert_eq!(faults(true, others), []);
}

#[test]
fn what_is_sent_again_without_an_announcement_is_found_once_that_must_be_there() {
    let plant = |announced: bool, age_ms: i64| {
        move |log: &mut Log, _: &mut Tables| {
            let place = at(Topic::RequestsNotice, 1);
            let request = log.requests.get_mut(&place).unwrap();
            (request.redriven, request.at) = (true, NOW.plus_millis(-age_ms));
            if announced {
                log.announced.insert(id(1));
            }
        }
    };
    let fault = [Fault::Unannounced {
        message: id(1),
        request: record(Topic::RequestsNotice, 1),
    }];
    assert_eq!(faults(true, plant(false, 0)), fault);
    assert_eq!(faults(false, plant(false, BEHIND_MS)), fault);
    assert_eq!(faults(false, plant(false, 0)), []);
    assert_eq!(faults(true, plant(true, 0)), []);
}

#[test]
fn a_second_outcome_and_one_of_nothing_are_found() {
    let second = |log: &mut Log, _: &mut Tables| log.outcomes.push((id(1), end(1, "failed")));
    let request = record(Topic::RequestsNotice, 1);
    let message = id(1);
    assert_eq!(
        faults(false, second),
        [Fault::DuplicateOutcome {
            message,
            request: request.clone()
        }]
    );
    let nothing = |log: &mut Log, _: &mut Tables| {
        log.requests.remove(&at(Topic::RequestsNotice, 1));
    };
    assert_eq!(
        faults(false, nothing),
        [Fault::UnaskedOutcome { message, request }]
    );
}

#[test]
fn a_second_call_that_may_have_been_taken_is_found_unless_the_lane_allows_it() {
    let again = |lane: &'static str, first: &'static str| {
        faults(false, |log, _| {
            let claim = |call| Claim {
                call_id: Some(call),
                lane: lane.to_owned(),
            };
            log.claims.insert((id(0), 1), claim(0));
            log.claims.insert((id(0), 2), claim(77));
            log.results.insert(0, said(first));
            log.results.insert(77, said("accepted"));
        })
    };
    let twice = [Fault::SentTwice {
        message: id(0),
        calls: 2,
    }];
    assert_eq!(again("notice", "accepted"), twice);
    assert_eq!(again("notice", "unknown"), twice);
    assert_eq!(again("otp", "accepted"), twice);
    assert_eq!(again("otp", "unknown"), []);
    assert_eq!(again("marketing", "rejected"), []);
    // Given up for dead, its sender came back and had never called.
    assert_eq!(again("notice", "unknown, then not_called"), []);
    // An answer that came after the call was taken for unknown.
    let late = faults(false, |log, _| {
        for (n, call) in [(1, 0), (2, 77)] {
            let claim = Claim {
                call_id: Some(call),
                lane: "otp".to_owned(),
            };
            log.claims.insert((id(0), n), claim);
            log.results.insert(call, said("accepted"));
        }
        log.results.get_mut(&0).unwrap().unknown = true;
    });
    assert_eq!(late, []);
}

#[test]
fn what_retention_has_cut_is_not_held_against_anyone() {
    let cut = |log: &mut Log, tables: &mut Tables| {
        let place = (Topic::Outcomes, 0);
        // The first outcome's writer had opened the partition before the log begins.
        log.read.insert(place, (1, 3));
        log.rows.get_mut(&place).unwrap().remove(&1);
        log.unjudged.entry(place).or_default().insert(1);
        log.outcomes.remove(0);
        log.deltas.remove(0);
        log.judged_since.insert(0, NOW);
        // One request more, whose outcome is gone altogether.
        let request = Request {
            id: Some(id(20)),
            at: NOW.plus_millis(-5_000),
            moved_from: None,
            redriven: false,
        };
        log.requests.insert(at(Topic::RequestsNotice, 20), request);
        tables.sums = Some(BTreeMap::new());
    };
    assert_eq!(faults(true, cut), []);
    // An outcome of what was written after the requests had been read.
    let newer = |log: &mut Log, tables: &mut Tables| {
        log.outcomes.push((id(50), end(50, "rejected")));
        tables.sums = None;
    };
    assert_eq!(faults(false, newer), []);
}

#[test]
fn rows_that_have_been_to_come_for_long_are_missing() {
    let stopped = |log: &mut Log, tables: &mut Tables| {
        let place = (Topic::Outcomes, 0);
        tables.rows.remove(&place);
        tables.sums = None;
        let long_ago = NOW.plus_millis(-BEHIND_MS);
        for (_, at) in log.rows.get_mut(&place).unwrap().values_mut() {
            *at = long_ago;
        }
    };
    assert_eq!(faults(false, stopped).len(), 3);
}

#[test]
fn an_id_that_is_used_again_after_its_window_is_another_message() {
    let again = |age: i64| {
        faults(true, |log, _| {
            let request = Request {
                id: Some(id(0)),
                at: NOW.plus_millis(age),
                moved_from: None,
                redriven: false,
            };
            log.requests.insert(at(Topic::RequestsNotice, 30), request);
        })
    };
    assert_eq!(again(1_000), []);
    let lost = Fault::Lost {
        message: Some(id(0)),
        request: record(Topic::RequestsNotice, 30),
    };
    assert_eq!(again(Lane::Notice.id_window_ms() + 1), [lost]);
}

#[test]
fn a_gap_a_duplicate_row_and_a_wrong_sum_are_found() {
    let place = (Topic::Outcomes, 0);
    let gap = |_: &mut Log, tables: &mut Tables| {
        tables.rows.get_mut(&place).unwrap().remove(&2);
    };
    let missing = |offset| Fault::MissingRow {
        record: record(Topic::Outcomes, offset),
    };
    assert_eq!(faults(false, gap), [missing(2)]);
    let tail = |_: &mut Log, tables: &mut Tables| {
        tables.rows.get_mut(&place).unwrap().remove(&3);
    };
    assert_eq!(faults(false, tail), []);
    assert_eq!(faults(true, tail), [missing(3)]);
    let extra = Fault::ExtraRow {
        record: record(Topic::Outcomes, 1),
    };
    let twice = |_: &mut Log, tables: &mut Tables| {
        tables.rows.get_mut(&place).unwrap().insert(1, 2);
    };
    assert_eq!(faults(false, twice), std::slice::from_ref(&extra));
    let uncounted = |log: &mut Log, _: &mut Tables| {
        log.rows.get_mut(&place).unwrap().remove(&1);
    };
    assert_eq!(faults(false, uncounted), [extra]);
    let sum = |_: &mut Log, tables: &mut Tables| {
        tables.sums = Some([(cell("delivered"), 4)].into());
    };
    let found = faults(false, sum);
    assert!(
        matches!(
            found[..],
            [Fault::WrongSum {
                log: 3,
                clickhouse: 4,
                ..
            }]
        ),
        "{found:?}"
    );
}

#[test]
fn a_range_is_judged_and_nothing_beside_it() {
    let later = |ms: i64| NOW.plus_millis(ms);
    // Everything that can be wrong, at one time.
    let (mut log, mut tables) = good();
    let again = log.outcomes[1].clone();
    log.outcomes.push(again);
    log.outcomes.retain(|(message, _)| *message != id(0));
    let claim = log.claims[&(id(2), 1)].clone();
    let second = Claim {
        call_id: Some(9),
        ..claim
    };
    log.claims.insert((id(2), 2), second);
    log.results.insert(9, said("accepted"));
    log.requests
        .get_mut(&at(Topic::RequestsNotice, 2))
        .unwrap()
        .redriven = true;
    let rows = tables.rows.get_mut(&(Topic::Outcomes, 0)).unwrap();
    rows.remove(&1);
    rows.insert(2, 2);
    tables.sums = Some([(cell("delivered"), 7)].into());
    let within = |since, until| {
        let limits = Limits {
            since,
            until,
            ..limits(true)
        };
        judge(&log, &tables, limits)
    };
    let all = within(None, None);
    assert_eq!(all.faults.len(), 7, "{:#?}", all.faults);
    for (since, until) in [
        (Some(later(-60_000)), Some(later(60_000))),
        (Some(later(-60_000)), None),
        (None, Some(later(60_000))),
    ] {
        assert_eq!(within(since, until).faults, all.faults);
    }
    for (since, until) in [(Some(later(1)), None), (None, Some(NOW))] {
        let report = within(since, until);
        assert_eq!(report.faults, []);
        assert_eq!((report.requests.ended, report.rows, report.sums), (0, 0, 0));
        assert!(report.outcomes.is_empty());
    }
    // Half a minute has no sum.
    let part = within(Some(NOW), Some(later(1)));
    let sums = |f: &&Fault| matches!(f, Fault::WrongSum { .. });
    assert_eq!(part.faults.iter().filter(sums).count(), 0);
}
