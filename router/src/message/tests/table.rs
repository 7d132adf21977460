//! `docs/message-states.md`, made by running the shipped rules over every history that `explore` finds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

use super::{
    explore::{Fact, Node, explored},
    *,
};

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Routed,
    Started,
    GivenBack,
    GivenBackLate,
    Accepted,
    Refused,
    RefusedForGood,
    Doubtful,
    NotCalled,
    OnItsWay,
    Delivered,
    NotDelivered,
    RequestRefused,
    NoRoute,
    Defect,
    ClaimOverdue,
    ValidityOver,
    ReceiptOverdue,
}

const EVENTS: [(Event, &str); 18] = [
    (Event::Routed, "decision read back"),
    (Event::Started, "claimed for a call"),
    (
        Event::GivenBack,
        "given back (no capacity, channel gone, withdrawn)",
    ),
    (Event::GivenBackLate, "given back as too late"),
    (Event::Accepted, "answer: taken"),
    (Event::Refused, "answer: refused, another may take it"),
    (Event::RefusedForGood, "answer: refused for good"),
    (Event::Doubtful, "no answer that can be read"),
    (Event::NotCalled, "claimed too late, not called"),
    (Event::OnItsWay, "receipt: on its way, unknown"),
    (Event::Delivered, "receipt: delivered"),
    (
        Event::NotDelivered,
        "receipt: undelivered, expired, rejected",
    ),
    (Event::RequestRefused, "request refused when to be decided"),
    (Event::NoRoute, "no channel can ever take it"),
    (Event::Defect, "a record of it met a defect"),
    (Event::ClaimOverdue, "no claim in time"),
    (Event::ValidityOver, "validity ended"),
    (Event::ReceiptOverdue, "no receipt in time"),
];

/// A section: the state, and whether it may be decided.
type Place = (State, bool);

const PLACES: [(Place, &str, &str); 11] = [
    (
        (State::Waiting, true),
        "waiting",
        "Not sent yet, or everything sent was definitely refused. It is decided as soon as a channel has room.",
    ),
    (
        (State::Routed, false),
        "routed",
        "A decision is written that no sender has claimed.",
    ),
    (
        (State::Claimed, false),
        "claimed",
        "A sender has it and calls the vendor.",
    ),
    (
        (State::Accepted, false),
        "accepted",
        "A vendor took it; the receipt is awaited.",
    ),
    (
        (State::InDoubt, true),
        "in doubt, to be sent again",
        "It cannot be known whether the vendor took it. Only `otp` is sent once more.",
    ),
    (
        (State::InDoubt, false),
        "in doubt",
        "The same, and it is not sent again: only a receipt or a late answer can tell.",
    ),
    (
        (State::Ended(Terminal::Unknown), false),
        "ended unknown",
        "No receipt came in time.",
    ),
    (
        (State::Ended(Terminal::Undelivered), false),
        "ended undelivered",
        "A receipt says that it did not arrive.",
    ),
    (
        (State::Ended(Terminal::Failed), false),
        "ended failed",
        "Every allowed attempt was definitely refused, or none was possible.",
    ),
    (
        (State::Ended(Terminal::Expired), false),
        "ended expired",
        "Its validity ended before a vendor took it.",
    ),
    (
        (State::Ended(Terminal::Delivered), false),
        "ended delivered",
        "A receipt says that it arrived. Nothing takes that back.",
    ),
];

/// `ended rejected` has no section: nothing was ever sent, so there is nothing to hear of it.
fn place(node: &Node) -> Place {
    let decides = matches!(node.step(), Step::Decide(_));
    (node.e.state(), decides)
}

fn name(place: Place) -> &'static str {
    let found = PLACES.iter().find(|(p, ..)| *p == place);
    found.map_or("ended rejected", |(_, name, _)| name)
}

/// The node after the event, once for each attempt that it may be about.
fn happen(node: &Node, event: Event) -> Vec<Node> {
    let decides = matches!(node.step(), Step::Decide(_));
    let known = || node.e.attempts.iter().map(|a| a.n);
    // A claim may be read before its decision.
    let claims = || known().chain(decides.then(|| node.e.next_n()));
    let claim = |fact: fn(u16) -> Fact| claims().map(|n| node.with(&fact(n))).collect();
    let answer = |result: AttemptResult| -> Vec<Node> {
        let facts = known().map(|n| Fact::Finished(n, result.clone()));
        facts.map(|fact| node.with(&fact)).collect()
    };
    let report = |status| {
        let facts = known().map(|n| Fact::Receipt(receipt(n, status)));
        facts.map(|fact| node.with(&fact)).collect()
    };
    let later = |at: Option<Timestamp>| at.map(|at| node.at(at)).into_iter().collect();
    match event {
        Event::Routed if decides => vec![node.with(&Fact::Routed(node.e.next_n()))],
        Event::RequestRefused if decides => vec![node.refused(Reason::UnknownTemplate)],
        Event::NoRoute if decides => vec![node.without_route()],
        Event::Routed | Event::RequestRefused | Event::NoRoute => Vec::new(),
        Event::Started => claim(Fact::Started),
        Event::GivenBack => claim(|n| Fact::NotStarted(n, NotStartedCause::Capacity)),
        Event::GivenBackLate => claim(|n| Fact::NotStarted(n, NotStartedCause::Expired)),
        Event::Accepted => answer(accepted()),
        Event::Refused => answer(rejected(Disposition::RetryOther)),
        Event::RefusedForGood => answer(rejected(Disposition::PermanentRecipient)),
        Event::Doubtful => answer(unknown()),
        Event::NotCalled => answer(AttemptResult::NotCalled),
        Event::OnItsWay => report(ReceiptStatus::Pending),
        Event::Delivered => report(ReceiptStatus::Delivered),
        Event::NotDelivered => report(ReceiptStatus::Undelivered),
        Event::Defect => vec![node.refused(Reason::InternalPanic)],
        Event::ClaimOverdue => later(node.claim_until()),
        Event::ValidityOver => later(Some(node.dead())),
        Event::ReceiptOverdue => later(node.receipts_until()),
    }
}

/// What became of it, its outcome read back; `None` when nothing changed.
fn change(before: &Node, mut after: Node) -> Option<String> {
    let step = after.step();
    match (&step, after.writes()) {
        (Step::End(terminal, reason), Some(outcome)) => {
            outcome.fold(&mut after.e, after.now);
            Some(format!("**{}** (`{reason}`)", terminal.as_str()))
        }
        (Step::Correct(terminal, _), Some(outcome)) => {
            outcome.fold(&mut after.e, after.now);
            Some(format!("corrected to **{}**", terminal.as_str()))
        }
        (Step::Withdraw(_), _) => Some("withdrawn, then as given back".to_owned()),
        _ if place(before) != place(&after) => Some(name(place(&after)).to_owned()),
        _ if states(before) != states(&after) => Some("noted".to_owned()),
        _ => None,
    }
}

fn states(node: &Node) -> Vec<AttemptState> {
    node.e.attempts.iter().map(Attempt::state).collect()
}

/// Why nothing changes.
fn why_ignored(place: Place, event: Event) -> Option<&'static str> {
    let (state, _) = place;
    let ended = matches!(state, State::Ended(_));
    Some(match event {
        Event::Routed | Event::RequestRefused | Event::NoRoute => "nothing is decided then",
        Event::Started | Event::GivenBack | Event::GivenBackLate => {
            "the first claim of a decision counts"
        }
        Event::ClaimOverdue => "no decision is open",
        Event::Accepted
        | Event::Refused
        | Event::RefusedForGood
        | Event::Doubtful
        | Event::NotCalled => "no call is without its answer; of two answers the first counts",
        Event::OnItsWay => "not final",
        Event::Delivered if state == State::Ended(Terminal::Delivered) => "it is known",
        Event::NotDelivered if state == State::Ended(Terminal::Delivered) => {
            "delivered is never taken back"
        }
        Event::NotDelivered if ended => "the outcome says as much",
        Event::NotDelivered if state == State::Waiting => "the vendor's refusal says as much",
        Event::Defect | Event::ValidityOver | Event::ReceiptOverdue if ended => {
            "it has its outcome"
        }
        Event::ValidityOver => "a vendor has or may have it",
        Event::ReceiptOverdue => "no receipt is awaited, or something else is under way",
        Event::Defect => "it is followed to its end as it is",
        Event::Delivered | Event::NotDelivered => return None,
    })
}

type Cells = BTreeMap<(Place, Event), BTreeSet<String>>;

/// What can happen in each cell, from every node where the router has nothing to write but a decision.
fn cells(lane: Lane) -> Cells {
    let mut cells = Cells::new();
    for node in &explored(lane).nodes {
        let calm = matches!(node.step(), Step::Wait(_) | Step::Decide(_));
        // One that was refused already is told of in words.
        if !calm || node.written.is_some() || node.e.refused.is_some() {
            continue;
        }
        for (event, _) in EVENTS {
            let cell = cells.entry((place(node), event)).or_default();
            let after = happen(node, event).into_iter();
            cell.extend(after.filter_map(|after| change(node, after)));
        }
    }
    cells
}

fn text(cell: Option<&BTreeSet<String>>) -> String {
    match cell {
        Some(cell) if !cell.is_empty() => cell.iter().cloned().collect::<Vec<_>>().join("; "),
        _ => "—".to_owned(),
    }
}

/// Why, what is read, in which states.
type Ignored = BTreeMap<(&'static str, String), Vec<&'static str>>;

fn section(out: &mut String, ignored: &mut Ignored, place: Place, lanes: &[Cells; 2]) {
    let lives = lanes.each_ref().map(|cells| {
        let mut of_place = cells.keys().map(|(p, _)| *p);
        of_place.any(|p| p == place)
    });
    let mut quiet = BTreeMap::<_, Vec<_>>::new();
    let mut rows = Vec::new();
    for (event, event_name) in EVENTS {
        let [otp, others] = lanes
            .each_ref()
            .map(|cells| text(cells.get(&(place, event))));
        if (&*otp, &*others) == ("—", "—") {
            let why = why_ignored(place, event);
            let why = why.unwrap_or_else(|| panic!("{place:?} {event:?} needs a word"));
            quiet.entry(why).or_default().push(event_name);
        } else {
            rows.push((event_name, otp, others));
        }
    }
    let same = lives == [true, true] && rows.iter().all(|(_, otp, others)| otp == others);
    let column = match lives {
        [true, false] => Some("`otp` (others never are here)"),
        _ if same => Some("all lanes"),
        _ => None,
    };
    match column {
        Some(column) => writeln!(out, "\n| what is read | {column} |\n|---|---|").unwrap(),
        None => writeln!(
            out,
            "\n| what is read | `otp` | `notice`, `marketing` |\n|---|---|---|"
        )
        .unwrap(),
    }
    for (event, otp, others) in rows {
        match column {
            Some(_) => writeln!(out, "| {event} | {otp} |").unwrap(),
            None => writeln!(out, "| {event} | {otp} | {others} |").unwrap(),
        }
    }
    for (why, events) in quiet {
        let states = ignored.entry((why, events.join(", "))).or_default();
        states.push(name(place));
    }
}

const TAIL: &str = "
## Ended rejected

The request broke a rule and was never sent: nothing more is heard of it.

## What changes nothing

| what is read | in state | why it is ignored |
|---|---|---|
";

const HEAD: &str = "\
# Message states

What becomes of a message, by its state and by what is read of it. Generated from `router/src/message/` by running the
rules over every history of up to three decisions (`UPDATE_DOCS=1 cargo test -p jixinda-router`); do not edit.

- **Bold** is an outcome that is written, in brackets its [reason](errors.md); a plain word is the next state. Where
  several are listed, the other attempts of the message decide: three were started, another is in doubt, and so on.
- *Noted*: kept with its attempt; the message stays where it is. *Withdrawn*: the decision is taken back, unless a sender
  claims it first.
- A message has one outcome. Later evidence is an `outcome_corrected`, never a second outcome.
- *Arrived* and *not arrived* are states too: they last from the receipt until the outcome is read back.
- A message that met a defect, or was refused when it was to be decided again, is sent no more: where it would wait for a
  decision it is **failed**, unless an attempt is in doubt.
- A receipt that joins no attempt waits 24 h, then is a dead letter. Several parts of one message are delivered when all
  are, and not delivered as soon as one is not.
";

#[test]
fn the_document_is_what_the_rules_do() {
    let lanes = Lane::ALL.map(cells);
    let [otp, notice, marketing] = lanes;
    assert_eq!(notice, marketing, "the document has one column for both");
    for (place, _) in otp.keys().chain(notice.keys()) {
        let rejected = *place == (State::Ended(Terminal::Rejected), false);
        assert!(
            rejected || PLACES.iter().any(|(p, ..)| p == place),
            "{place:?}"
        );
    }
    let (mut made, mut ignored) = (HEAD.to_owned(), Ignored::new());
    let lanes = [otp, notice];
    for (place, name, what) in PLACES {
        write!(
            made,
            "\n## {}{}\n\n{what}\n",
            name[..1].to_uppercase(),
            &name[1..]
        )
        .unwrap();
        section(&mut made, &mut ignored, place, &lanes);
    }
    made.push_str(TAIL);
    for ((why, events), states) in ignored {
        writeln!(made, "| {events} | {} | {why} |", states.join(", ")).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/message-states.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "docs/message-states.md is not what the rules do; run once with UPDATE_DOCS=1 and review the diff"
    );
}

/// No cell lets delivered go, and none ends twice.
#[test]
fn a_cell_of_an_ended_message_holds_corrections_only() {
    for lane in Lane::ALL {
        for ((place, event), cell) in cells(lane) {
            let (State::Ended(said), _) = place else {
                continue;
            };
            for what in cell {
                let correction = what.starts_with("corrected to ") && said != Terminal::Delivered;
                assert!(correction || what == "noted", "{place:?} {event:?}: {what}");
            }
        }
    }
}
