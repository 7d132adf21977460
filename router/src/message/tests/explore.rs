//! Every history of up to three decisions that the rules allow: what the router writes, when it is read back, what
//! senders, vendors and time do meanwhile.

use std::{collections::HashSet, sync::LazyLock};

use super::*;

/// As in operation: a receipt may come long after the end of every validity.
pub(super) const REAL: Deadlines = Deadlines {
    receipt_ms: 72 * 3_600_000,
    claim_ms: 15_000,
};
/// After `not_after`, so long that no claim is expected any more.
pub(super) const GRACE_MS: i64 = 10_000;
const MOST: u16 = 3;

/// A record about one message.
#[derive(Clone, Debug)]
pub(super) enum Fact {
    Routed(u16),
    Started(u16),
    NotStarted(u16, NotStartedCause),
    Finished(u16, AttemptResult),
    Receipt(RawReceipt),
    Outcome(Box<Outcome>),
}

impl Fact {
    /// Folds it; false when it is a receipt that joins nothing yet.
    pub(super) fn fold(&self, e: &mut Entry, at: Timestamp) -> bool {
        match self {
            Self::Routed(n) => e.routed(&routed_event(e, *n, at)),
            Self::Started(n) => drop_bool(e.started(&started_event(e, *n, at))),
            Self::NotStarted(n, cause) => e.not_started(&not_started_event(e, *n, *cause), at),
            Self::Finished(n, result) => {
                drop_bool(e.finished(&finished_event(e, *n, result.clone(), at), at));
            }
            Self::Outcome(outcome) => drop_bool(e.ended((**outcome).clone())),
            Self::Receipt(r) => match target(e, r) {
                Some(i) => drop_bool(e.reported(i, r, at)),
                None => return false,
            },
        }
        true
    }
}

/// What changed is seen in the entry.
fn drop_bool(_: bool) {}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) e: Entry,
    pub(super) now: Timestamp,
    /// What the router wrote and has not read back: until then it decides nothing more.
    pub(super) written: Option<Fact>,
}

impl Node {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            e: entry(lane),
            now: T0,
            written: None,
        }
    }

    pub(super) fn step(&self) -> Step {
        self.e.next(self.now, REAL)
    }

    pub(super) fn with(&self, fact: &Fact) -> Self {
        let mut node = self.clone();
        fact.fold(&mut node.e, node.now);
        node
    }

    pub(super) fn at(&self, now: Timestamp) -> Self {
        let now = now.max(self.now);
        Self {
            now,
            ..self.clone()
        }
    }

    /// What the router writes now.
    pub(super) fn writes(&self) -> Option<Fact> {
        match self.step() {
            Step::Wait(_) => None,
            Step::Decide(_) => Some(Fact::Routed(self.e.next_n())),
            Step::Withdraw(n) => Some(Fact::NotStarted(n, NotStartedCause::Withdrawn)),
            Step::End(terminal, reason) | Step::Correct(terminal, reason) => {
                let outcome = self.e.outcome_event(terminal, reason, self.now);
                Some(Fact::Outcome(Box::new(outcome)))
            }
        }
    }

    pub(super) fn refused(&self, reason: Reason) -> Self {
        let mut node = self.clone();
        node.e.refused = Some((reason, String::new()));
        node
    }

    pub(super) fn without_route(&self) -> Self {
        let mut node = self.clone();
        node.e.no_route = true;
        node
    }

    /// When the wait for receipts ends, if any is awaited.
    pub(super) fn receipts_until(&self) -> Option<Timestamp> {
        let taken = self.e.attempts.iter().filter(|a| a.may_be_taken());
        let last = taken.map(Attempt::since).max()?;
        Some(last.plus_millis(REAL.receipt_ms))
    }

    /// When the open decision is overdue.
    pub(super) fn claim_until(&self) -> Option<Timestamp> {
        let mut open = self.e.attempts.iter();
        let open = open.find(|a| a.state() == AttemptState::Routed)?;
        Some(open.routed_at.plus_millis(REAL.claim_ms))
    }

    pub(super) fn dead(&self) -> Timestamp {
        self.e.not_after().plus_millis(GRACE_MS)
    }

    /// All that may happen next.
    fn successors(&self) -> Vec<Self> {
        let mut all = Vec::new();
        match &self.written {
            Some(fact) => all.push(Self {
                written: None,
                ..self.with(fact)
            }),
            None => {
                let written = self.writes();
                if matches!(written, Some(Fact::Routed(_))) {
                    all.extend([self.refused(Reason::UnknownTemplate), self.without_route()]);
                }
                if written.is_some() && !matches!(written, Some(Fact::Routed(n)) if n > MOST) {
                    all.push(Self {
                        written,
                        ..self.clone()
                    });
                }
            }
        }
        let calm = self.e.outcome.is_none() && self.e.refused.is_none();
        // With the third decision nothing new would be met, only more.
        if calm && self.e.attempts.len() < usize::from(MOST) {
            all.push(self.refused(Reason::InternalPanic));
        }
        for a in &self.e.attempts {
            all.extend(others_do(a).iter().map(|fact| self.with(fact)));
        }
        let times = [self.claim_until(), self.receipts_until(), Some(self.dead())];
        let later = times.into_iter().flatten().filter(|t| *t > self.now);
        all.extend(later.map(|t| self.at(t)));
        all
    }

    /// What tells histories apart: those that have it in common go on alike.
    fn key(&self) -> Vec<u8> {
        let e = &self.e;
        let mut key = match (&e.outcome, &self.written) {
            (Some(said), None) => vec![said.outcome as u8, 0],
            (Some(said), Some(_)) => vec![said.outcome as u8, 1],
            (None, written) => vec![
                u8::from(self.now >= self.dead()),
                u8::from(self.claim_until().is_some_and(|t| self.now >= t)),
                u8::from(self.receipts_until().is_some_and(|t| self.now >= t)),
                u8::from(e.no_route),
                match e.refused {
                    None => 0,
                    Some((Reason::InternalPanic, _)) => 1,
                    Some(_) => 2,
                },
                match written {
                    None => 0,
                    Some(Fact::Outcome(o)) => 10 + o.outcome as u8,
                    Some(Fact::NotStarted(..)) => 2,
                    Some(_) => 1,
                },
            ],
        };
        let last = e.attempts.len();
        for (i, a) in e.attempts.iter().enumerate() {
            let late = i + 1 == last && e.outcome.is_none();
            let answer = match (&a.claim, a.finish.as_ref().map(|f| &f.result)) {
                (None, _) => 0,
                (Some(Claim::NotStarted { cause, .. }), _) => {
                    1 + u8::from(late && *cause == NotStartedCause::Expired)
                }
                (Some(Claim::Started { .. }), None) => 3,
                (_, Some(AttemptResult::Unknown { .. })) => 4,
                // After the outcome an answer is an answer.
                (_, Some(_)) if e.outcome.is_some() => 5,
                (_, Some(AttemptResult::Accepted { .. })) => 6,
                (_, Some(AttemptResult::NotCalled)) => 7,
                (_, Some(AttemptResult::Rejected { disposition, .. })) => 10 + *disposition as u8,
            };
            key.extend([answer, a.state() as u8]);
        }
        key
    }
}

/// What senders, the vendor and the carrier may say of an attempt.
pub(super) fn others_do(a: &Attempt) -> Vec<Fact> {
    let n = a.n;
    if a.claim.is_none() {
        return vec![
            Fact::Started(n),
            Fact::NotStarted(n, NotStartedCause::Capacity),
            Fact::NotStarted(n, NotStartedCause::Expired),
        ];
    }
    if a.call_id().is_none() {
        return Vec::new();
    }
    let mut all = Vec::new();
    // A vendor that was never called reports nothing; one that refused may contradict itself.
    if a.state() != AttemptState::NotCalled {
        let statuses = [ReceiptStatus::Delivered, ReceiptStatus::Undelivered];
        all.extend(statuses.map(|status| Fact::Receipt(receipt(n, status))));
    }
    let answers = [
        accepted(),
        rejected(Disposition::RetryOther),
        rejected(Disposition::PermanentRecipient),
        AttemptResult::NotCalled,
        unknown(),
    ];
    all.extend(answers.map(|result| Fact::Finished(n, result)));
    all
}

#[derive(Default)]
pub(super) struct Explored {
    pub(super) nodes: Vec<Node>,
    corrections: HashSet<(Terminal, Terminal)>,
}

impl Explored {
    /// Every node that can be reached; outcomes are checked on the way from one to the next.
    fn of(lane: Lane) -> Self {
        let mut all = Self {
            nodes: vec![Node::new(lane)],
            ..Self::default()
        };
        let (mut seen, mut next) = (HashSet::new(), 0);
        while next < all.nodes.len() {
            for node in all.nodes[next].successors() {
                all.corrections.extend(correction(&all.nodes[next], &node));
                if seen.insert(node.key()) {
                    all.nodes.push(node);
                }
            }
            next += 1;
        }
        all
    }
}

/// Explored once for all tests.
pub(super) fn explored(lane: Lane) -> &'static Explored {
    static ALL: LazyLock<[Explored; 3]> = LazyLock::new(|| Lane::ALL.map(Explored::of));
    &ALL[lane.index()]
}

/// One outcome, then steps that the table allows.
fn correction(before: &Node, after: &Node) -> Option<(Terminal, Terminal)> {
    match (&before.e.outcome, &after.e.outcome) {
        (None, None) => None,
        (None, Some(first)) => {
            assert_eq!(first.seq, 0);
            None
        }
        (Some(was), None) => panic!("{was:?} was taken back"),
        (Some(was), Some(is)) if was.seq == is.seq => {
            assert_eq!(was, is);
            None
        }
        (Some(was), Some(is)) => {
            assert_eq!(is.seq, was.seq + 1);
            let step = (was.outcome, is.outcome);
            assert!(CORRECTIONS.contains(&step), "{step:?}");
            Some(step)
        }
    }
}

/// The promise at one node.
fn check(node: &Node) {
    let e = &node.e;
    let count = |of: &[AttemptState]| {
        let states = e.attempts.iter().map(Attempt::state);
        states.filter(|s| of.contains(s)).count()
    };
    let open = count(&[AttemptState::Routed, AttemptState::Started]);
    let taken = count(&[AttemptState::Accepted, AttemptState::Unknown]);
    let arrived = count(&[AttemptState::Delivered]);
    let failed = count(&[AttemptState::Undelivered]);
    let context = || format!("{node:#?}");
    match node.step() {
        Step::Decide(_) => {
            assert_eq!((open, arrived, failed), (0, 0, 0), "{}", context());
            assert_eq!(count(&[AttemptState::Accepted]), 0, "{}", context());
            assert!(taken <= e.lane.unknown_allowed(), "{}", context());
            assert!(e.counted() < MAX_STARTED, "{}", context());
            assert!(node.now < e.not_after(), "{}", context());
            assert!(e.refused.is_none() && e.outcome.is_none(), "{}", context());
        }
        Step::End(Terminal::Failed | Terminal::Expired, _) => {
            assert_eq!(open + taken + arrived + failed, 0, "{}", context());
        }
        Step::End(Terminal::Rejected, _) => {
            assert_eq!(open + e.started_count(), 0, "{}", context());
        }
        Step::End(Terminal::Undelivered, _) => {
            assert_eq!((open + taken + arrived, failed > 0), (0, true));
        }
        Step::End(Terminal::Delivered, _) | Step::Correct(Terminal::Delivered, _) => {
            assert!(arrived > 0, "{}", context());
        }
        Step::End(Terminal::Unknown, _) => {
            let started = count(&[AttemptState::Started]);
            assert!(taken + started > 0 && arrived == 0, "{}", context());
            assert!(node.receipts_until().is_some_and(|t| node.now >= t));
        }
        Step::Correct(Terminal::Undelivered, _) => {
            assert_eq!((open + taken + arrived, failed > 0), (0, true));
        }
        Step::Correct(..) => panic!("no such correction: {}", context()),
        Step::Wait(_) | Step::Withdraw(_) => {}
    }
    if e.outcome.is_some() {
        // Nothing may be sent after it.
        assert_eq!(count(&[AttemptState::Routed]), 0, "{}", context());
    }
}

/// Corrections that the table has.
const CORRECTIONS: [(Terminal, Terminal); 5] = [
    (Terminal::Unknown, Terminal::Delivered),
    (Terminal::Unknown, Terminal::Undelivered),
    (Terminal::Undelivered, Terminal::Delivered),
    (Terminal::Failed, Terminal::Delivered),
    (Terminal::Expired, Terminal::Delivered),
];

#[test]
fn no_history_breaks_the_promise() {
    for lane in Lane::ALL {
        let Explored { nodes, corrections } = explored(lane);
        println!("{lane}: {} nodes", nodes.len());
        assert!(nodes.len() > 500, "{lane}: only {} nodes", nodes.len());
        let mut states: Vec<State> = nodes.iter().map(|n| n.e.state()).collect();
        states.sort();
        states.dedup();
        assert_eq!(states.len(), 7 + Terminal::ALL.len(), "{lane}: {states:?}");
        nodes.iter().for_each(check);
        let seen: Vec<_> = CORRECTIONS
            .iter()
            .filter(|c| corrections.contains(c))
            .collect();
        assert_eq!(seen.len(), CORRECTIONS.len(), "{lane}: only {seen:?}");
    }
}

#[test]
fn every_history_ends_when_nothing_more_is_heard() {
    for lane in Lane::ALL {
        for node in &explored(lane).nodes {
            if node.e.outcome.is_some() {
                continue;
            }
            let mut node = node.clone();
            for _ in 0..6 {
                if let Some(fact) = node.written.take() {
                    fact.fold(&mut node.e, node.now);
                }
                node = node.at(node.receipts_until().unwrap_or(node.now).max(node.dead()));
                node.written = node.writes();
            }
            assert!(node.e.outcome.is_some(), "{node:#?}");
        }
    }
}
