use jixinda_schemas::{
    AttemptId,
    event::{AttemptResult, NotStartedCause},
    template::Content,
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const SOURCE: Topic = Topic::DispatchOtp;

fn at(seconds: u64) -> Duration {
    SECOND * seconds as u32
}

const REQUEST: Position = Position {
    topic: Topic::RequestsOtp,
    partition: 0,
    offset: 1,
};

fn key(id: MessageId, n: u16) -> AttemptId {
    AttemptId::new(id, &REQUEST, n)
}

fn order(id: MessageId, n: u16) -> Order {
    Order {
        routed: Routed {
            n,
            attempt_id: key(id, n),
            request: REQUEST,
            lane: Lane::Otp,
            recipient: "+8613800138000".parse().unwrap(),
            channel: "a".parse().unwrap(),
            vendor: "aliyun".into(),
            pool: "default".into(),
            template: "login".parse().unwrap(),
            signature: "acme".parse().unwrap(),
            sign_name: "ACME".into(),
            content: Content::FullText { text: "x".into() },
            text: "x".into(),
            segments: 1,
            price_micros: 0,
            not_after: Timestamp(1),
            directory_offset: 0,
            health_offset: 0,
            seed: 0,
            decided_at: Timestamp(0),
            considered: Vec::new(),
        },
        message_id: id,
        app_id: None,
        traceparent: None,
        position: Position {
            topic: SOURCE,
            partition: 0,
            offset: 1,
        },
    }
}

fn started(id: MessageId, call: u64) -> AttemptStarted {
    AttemptStarted {
        n: 1,
        attempt_id: key(id, 1),
        lane: Lane::Otp,
        recipient: "+8613800138000".parse().unwrap(),
        channel: "a".parse().unwrap(),
        vendor: "aliyun".into(),
        call_id: CallId(call),
        started_at: Timestamp(0),
    }
}

fn given_back(id: MessageId) -> AttemptNotStarted {
    AttemptNotStarted {
        n: 1,
        attempt_id: key(id, 1),
        lane: Lane::Otp,
        channel: "a".parse().unwrap(),
        cause: NotStartedCause::Withdrawn,
        retry_after_ms: None,
    }
}

fn finished(id: MessageId, call: u64) -> AttemptFinished {
    AttemptFinished {
        n: 1,
        attempt_id: key(id, 1),
        lane: Lane::Otp,
        recipient: "+8613800138000".parse().unwrap(),
        channel: "a".parse().unwrap(),
        call_id: CallId(call),
        result: AttemptResult::NotCalled,
        submitted_at: None,
        elapsed_ms: None,
    }
}

fn with_routing() -> (Claims, MessageId) {
    let (mut c, id) = (Claims::default(), MessageId::random());
    c.caught_up();
    c.routed(SOURCE, 1, order(id, 1), at(0));
    (c, id)
}

fn read_start(c: &mut Claims, offset: i64, id: MessageId, call: u64, now: Duration) {
    c.started(
        (offset, Timestamp(offset)),
        id,
        None,
        started(id, call),
        now,
    );
}

#[test]
fn our_first_claim_wins_and_is_called_once() {
    let (mut c, id) = with_routing();
    assert!(c.is_free(&key(id, 1)));
    c.claimed(key(id, 1), CallId(7), at(0));
    assert!(!c.is_free(&key(id, 1)));
    read_start(&mut c, 5, id, 7, at(1));
    let won = c.next_won(at(1)).unwrap();
    assert_eq!((won.call_id, won.orders.len()), (CallId(7), 1));
    assert!(won.young);
    assert!(c.next_won(at(1)).is_none());
    assert_eq!(c.floors()[&Topic::Attempts], 5);
    c.finished(6, &finished(id, 7));
    assert!(c.floors().is_empty());
}

#[test]
fn a_claim_read_back_too_late_is_not_called() {
    let (mut c, id) = with_routing();
    c.claimed(key(id, 1), CallId(7), at(0));
    read_start(&mut c, 5, id, 7, at(5));
    assert!(!c.next_won(at(5)).unwrap().young);
}

#[test]
fn another_s_claim_is_never_acted_on_while_ours_is_on_its_way() {
    let (mut c, id) = with_routing();
    c.claimed(key(id, 1), CallId(7), at(0));
    read_start(&mut c, 5, id, 8, at(1));
    assert!(c.next_won(at(1)).is_none());
}

#[test]
fn a_claim_that_another_beat_is_never_called() {
    let (mut c, id) = with_routing();
    c.claimed(key(id, 1), CallId(7), at(0));
    read_start(&mut c, 5, id, 8, at(0));
    read_start(&mut c, 6, id, 7, at(0));
    assert!(c.next_won(at(0)).is_none());
    assert_eq!(c.lost.len(), 1);

    let (mut c, id) = with_routing();
    c.claimed(key(id, 1), CallId(7), at(0));
    c.not_started((5, Timestamp(5)), &given_back(id));
    read_start(&mut c, 6, id, 7, at(0));
    assert!(c.next_won(at(0)).is_none());
    assert_eq!(c.lost.len(), 1);
}

#[test]
fn what_another_settled_while_our_claim_was_on_its_way_frees_its_place() {
    let (mut c, id) = with_routing();
    c.claimed(key(id, 1), CallId(7), at(0));
    read_start(&mut c, 5, id, 8, at(0));
    c.finished(6, &finished(id, 8));
    read_start(&mut c, 7, id, 7, at(0));
    assert!(c.next_won(at(0)).is_none());
    assert_eq!(c.lost.len(), 1);

    // One that was called frees it when the call ends.
    let (mut c, id) = with_routing();
    c.claimed(key(id, 1), CallId(7), at(0));
    read_start(&mut c, 5, id, 7, at(0));
    assert!(c.next_won(at(0)).is_some());
    c.finished(6, &finished(id, 7));
    assert!(c.lost.is_empty());
}

#[test]
fn a_withdrawal_read_before_its_routing_is_not_forgotten() {
    let (mut c, id) = (Claims::default(), MessageId::random());
    c.caught_up();
    c.not_started((5, Timestamp(50)), &given_back(id));
    c.read_to(Lane::Otp, Timestamp(50));
    c.sweep();
    assert_eq!(c.floors()[&Topic::Attempts], 5);
    c.routed(SOURCE, 1, order(id, 1), at(0));
    assert!(!c.is_free(&key(id, 1)) && c.ready[0].is_empty());
    assert!(c.floors().is_empty());
}

#[test]
fn a_claim_of_settled_work_does_not_hold_the_floor_for_good() {
    let (mut c, id) = (Claims::default(), MessageId::random());
    c.caught_up();
    read_start(&mut c, 5, id, 7, at(0));
    assert!(!c.floors().is_empty());
    c.read_to(Lane::Otp, Timestamp(6));
    c.sweep();
    assert!(c.floors().is_empty());
}

#[test]
fn a_foreign_claim_without_a_result_is_abandoned_after_the_longest_call() {
    let (mut c, id) = (Claims::default(), MessageId::random());
    c.routed(SOURCE, 1, order(id, 1), at(0));
    read_start(&mut c, 5, id, 7, at(0));
    c.caught_up();
    assert!(c.abandoned(at(14), at(10)).is_empty());
    assert_eq!(c.abandoned(at(15), at(10)).len(), 1);
    assert!(c.abandoned(at(99), at(10)).is_empty());
    c.finished(6, &finished(id, 7));
    assert!(c.floors().is_empty());
}

#[test]
fn a_result_of_a_losing_claim_settles_nothing() {
    let (mut c, id) = with_routing();
    read_start(&mut c, 5, id, 7, at(0));
    c.finished(6, &finished(id, 8));
    assert!(!c.floors().is_empty());
}

#[test]
fn a_claim_of_the_message_that_had_the_id_before_takes_nothing() {
    let (mut c, id) = with_routing();
    let former = Position {
        offset: 0,
        ..REQUEST
    };
    let late = AttemptStarted {
        attempt_id: AttemptId::new(id, &former, 1),
        ..started(id, 7)
    };
    c.started((5, Timestamp(5)), id, None, late, at(0));
    assert!(c.is_free(&key(id, 1)));
}

/// What a fold knows of a partition.
fn open(c: &Claims) -> std::collections::BTreeSet<(AttemptId, bool)> {
    let jobs = c.jobs.iter().filter(|(_, job)| job.order.is_some());
    jobs.map(|(key, job)| (*key, job.claim.is_some())).collect()
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Routed(usize),
    Started(usize, u64),
    GivenBack(usize),
    Finished(usize, u64),
}

proptest::proptest! {
    /// I4: a takeover from the floors, with the two topics in any order, finds the same winner of every claim.
    #[test]
    fn a_takeover_from_the_floors_finds_the_same_claims(
        steps in proptest::collection::vec((0_usize..6, 0_u8..6), 1..60),
        picks in proptest::collection::vec(proptest::bool::ANY, 0..120),
    ) {
        let ids: Vec<MessageId> = (0..6).map(|_| MessageId::random()).collect();
        let (mut dispatch, mut attempts) = (Vec::new(), Vec::new());
        let (mut first, mut routed) = (Claims::default(), [false; 6]);
        first.caught_up();
        let mut at = 0;
        for (i, step) in steps {
            at += 1;
            let entry = match step {
                _ if !routed[i] => Entry::Routed(i),
                0 | 1 => Entry::Started(i, u64::from(step)),
                2 => Entry::GivenBack(i),
                _ => Entry::Finished(i, u64::from(step) - 3),
            };
            routed[i] = true;
            let log = if matches!(entry, Entry::Routed(_)) { &mut dispatch } else { &mut attempts };
            log.push((log.len() as i64, at, entry));
            fold(&mut first, &ids, *log.last().unwrap());
        }
        let floors = first.floors();
        let from = |topic, log: &Vec<(i64, i64, Entry)>| {
            let floor = floors.get(&topic).copied().unwrap_or(log.len() as i64);
            log.iter().filter(|(offset, ..)| *offset >= floor).copied().collect::<VecDeque<_>>()
        };
        let (mut d, mut a) = (from(SOURCE, &dispatch), from(Topic::Attempts, &attempts));
        let mut second = Claims::default();
        for pick in picks.into_iter().chain([true, false].into_iter().cycle().take(240)) {
            if let Some(stored) = if pick { d.pop_front() } else { a.pop_front() } {
                fold(&mut second, &ids, stored);
            }
        }
        second.caught_up();
        proptest::prop_assert_eq!(open(&first), open(&second));
    }
}

fn fold(c: &mut Claims, ids: &[MessageId], stored: (i64, i64, Entry)) {
    let (offset, at, entry) = stored;
    let place = (offset, Timestamp(at));
    match entry {
        Entry::Routed(i) => {
            c.read_to(Lane::Otp, Timestamp(at));
            c.routed(SOURCE, offset, order(ids[i], 1), Duration::ZERO);
        }
        Entry::Started(i, call) => {
            c.started(place, ids[i], None, started(ids[i], call), Duration::ZERO);
        }
        Entry::GivenBack(i) => c.not_started(place, &given_back(ids[i])),
        Entry::Finished(i, call) => c.finished(offset, &finished(ids[i], call)),
    }
}

/// A rebalance must leave nothing open that this process knows the end of.
#[test]
fn claims_without_a_call_are_known_by_their_call_ids() {
    let ids: Vec<_> = (0..4).map(|_| MessageId::random()).collect();
    let mut claims = Claims::default();
    for (i, id) in ids.iter().enumerate() {
        claims.routed(SOURCE, i as i64, order(*id, 1), at(0));
        if i < 3 {
            claims.claimed(key(*id, 1), CallId(i as u64), at(0));
        }
    }
    // 0: called; 1: read back and waiting for its turn; 2: not read back yet; 3: not claimed.
    for (i, id) in ids.iter().enumerate().take(2) {
        let place = (i as i64, Timestamp(0));
        claims.started(place, *id, None, started(*id, i as u64), at(0));
    }
    assert_eq!(claims.next_won(at(0)).unwrap().call_id, CallId(0));
    let second = claims.next_won(at(0)).unwrap();
    assert_eq!(second.call_id, CallId(1));
    claims.put_back(&second);
    let mut uncalled: Vec<_> = claims.mine_uncalled().map(|(_, call)| call.0).collect();
    uncalled.sort_unstable();
    assert_eq!(uncalled, [1, 2]);
}

/// Three routings, claimed for one call.
fn three_in_one_call() -> (Claims, Vec<MessageId>) {
    let ids: Vec<_> = (0..3).map(|_| MessageId::random()).collect();
    let mut claims = Claims::default();
    claims.caught_up();
    for (i, id) in ids.iter().enumerate() {
        claims.routed(SOURCE, i as i64, order(*id, 1), at(0));
        claims.claimed(key(*id, 1), CallId(7), at(i as u64));
    }
    (claims, ids)
}

fn called(won: &Won) -> Vec<MessageId> {
    won.orders.iter().map(|order| order.message_id).collect()
}

#[test]
fn a_call_of_several_waits_until_each_claim_is_read_back() {
    let (mut claims, ids) = three_in_one_call();
    read_start(&mut claims, 5, ids[0], 7, at(2));
    read_start(&mut claims, 6, ids[1], 7, at(2));
    assert!(claims.next_won(at(2)).is_none());
    read_start(&mut claims, 7, ids[2], 7, at(2));
    let won = claims.next_won(at(3)).unwrap();
    assert_eq!((called(&won), won.young), (ids.clone(), true));
    // The channel was full; it is the next one again, whole.
    claims.put_back(&won);
    assert_eq!(claims.mine_uncalled().count(), 3);
    let again = claims.next_won(at(4)).unwrap();
    assert_eq!(called(&again), ids);
    assert!(claims.next_won(at(4)).is_none());
    assert_eq!(claims.mine_uncalled().count(), 0);
}

/// The oldest claim counts: the others' age says nothing about whether another owner has given it up.
#[test]
fn a_call_of_several_is_as_old_as_its_first_claim() {
    let (mut claims, ids) = three_in_one_call();
    for (offset, id) in ids.iter().enumerate() {
        read_start(&mut claims, 5 + offset as i64, *id, 7, at(5));
    }
    let won = claims.next_won(at(5)).unwrap();
    assert_eq!((won.orders.len(), won.young), (3, false));
}

#[test]
fn a_claim_that_lost_leaves_the_call_of_the_others() {
    let (mut claims, ids) = three_in_one_call();
    read_start(&mut claims, 5, ids[0], 7, at(2));
    claims.not_started((6, Timestamp(6)), &given_back(ids[1]));
    assert!(claims.next_won(at(2)).is_none());
    read_start(&mut claims, 7, ids[2], 7, at(2));
    assert_eq!(called(&claims.next_won(at(3)).unwrap()), [ids[0], ids[2]]);
    assert_eq!(claims.lost.len(), 1);
}

/// Without this, one lost write would keep the other messages of its call waiting for good.
#[test]
fn a_claim_that_never_comes_lets_the_others_go_uncalled() {
    let (mut claims, ids) = three_in_one_call();
    read_start(&mut claims, 5, ids[0], 7, at(2));
    read_start(&mut claims, 6, ids[1], 7, at(2));
    assert!(claims.next_won(at(4)).is_none());
    let won = claims.next_won(at(5)).unwrap();
    assert_eq!((called(&won), won.young), (ids[..2].to_vec(), false));
    // Should it come after all, it is not called either.
    read_start(&mut claims, 9, ids[2], 7, at(6));
    let late = claims.next_won(at(6)).unwrap();
    assert_eq!((called(&late), late.young), (ids[2..].to_vec(), false));
}
