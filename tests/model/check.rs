//! The invariants I1 to I7 of docs/reliability.md, judged by a plain reader and by what the vendor knows.

use jixinda_router::message::Claim;
use jixinda_schemas::{Lane, event::Terminal};

use super::{
    explorer::Broken,
    log::{self, Kind, Rec, T},
    owner::{Call, Owner, Reply},
    reader::{self, Claimed, View},
    world::{Model, State},
};

/// What a plain reader finds in the log up to `ends`.
pub(crate) fn view(model: &Model, state: &State, ends: impl Fn(T) -> usize) -> View {
    let topics = T::ALL.map(|topic| {
        let mut records = model.records(state, topic);
        records.truncate(ends(topic));
        records
    });
    let setup = model.setup();
    reader::read(
        |topic| &topics[topic as usize],
        setup.rules.fence,
        setup.id_window(),
    )
}

/// I1, I2 and I7, when a vendor is called.
pub(crate) fn called(model: &Model, state: &State, call: &Call) -> Result<(), Broken> {
    let before = || {
        let calls = state.calls.iter();
        calls.filter(|c| c.key.request == call.key.request)
    };
    if before().any(|c| c.key == call.key) {
        return Err(format!("I1: the vendor is called twice for {:?}", call.key));
    }
    let lane = model.setup().lane;
    let behind = before().filter(|c| c.reply != Reply::Rejects).count();
    if behind > lane.unknown_allowed() {
        return Err(format!(
            "I2: {} calls that may have been taken stand before {:?}",
            behind, call.key
        ));
    }
    let outcomes = view(model, state, |_| usize::MAX).outcomes;
    let ended = outcomes.iter().find(|e| {
        e.request == call.key.request
            && matches!(
                e.terminal,
                Terminal::Failed | Terminal::Rejected | Terminal::Expired
            )
    });
    match ended {
        Some(e) => Err(format!("I7: a call for {:?} after {e:?}", call.key)),
        None => Ok(()),
    }
}

/// I5, I6 and the second half of I3, when a record that counts stands in the log.
pub(crate) fn appended(model: &Model, state: &State, rec: &Rec) -> Result<(), Broken> {
    let (topic, request) = match rec.kind {
        Kind::Routed { key, .. } => (T::Dispatch, key.request),
        Kind::Outcome { request, .. } => (T::Outcomes, request),
        _ => return Ok(()),
    };
    let records = model.records(state, topic);
    let last = records.len() - 1;
    let fenced = model.setup().rules.fence;
    let counts = reader::valid(&records, fenced)
        .last()
        .is_some_and(|rec| std::ptr::eq(rec, &records[last]));
    if !counts {
        return Ok(());
    }
    let view = view(model, state, |_| usize::MAX);
    match rec.kind {
        Kind::Routed { key, .. } => route(&view, key, model.setup().lane),
        _ => outcome(&view, request),
    }
}

fn route(view: &View, key: log::Key, lane: Lane) -> Result<(), Broken> {
    let before = || view.of(key.request).filter(|(k, _)| k.n < key.n);
    let open = before().find(|(_, seen)| seen.is_open() || (seen.routed && seen.claim.is_none()));
    if let Some((other, _)) = open {
        return Err(format!("I6: {key:?} is routed while {other:?} is open"));
    }
    let taken = before().filter(|(_, seen)| seen.may_be_taken()).count();
    if taken > lane.unknown_allowed() {
        return Err(format!(
            "I6: {key:?} is routed though {taken} attempts may have been taken"
        ));
    }
    Ok(())
}

fn outcome(view: &View, request: u8) -> Result<(), Broken> {
    let mut said = view.outcomes.iter().filter(|e| e.request == request);
    let last = said.clone().next_back();
    if let Some(double) = said
        .clone()
        .enumerate()
        .find(|(i, e)| usize::from(e.seq) != *i)
    {
        return Err(format!(
            "I5: outcomes of one message are numbered {double:?}"
        ));
    }
    let last = last.map(|e| e.terminal);
    let corrected = said.nth(1).is_some();
    if corrected && !matches!(last, Some(Terminal::Delivered | Terminal::Undelivered)) {
        return Err(format!("I5: an outcome is corrected to {last:?}"));
    }
    let taken = view.of(request).find(|(_, seen)| seen.may_be_taken());
    match (last, taken) {
        (Some(Terminal::Failed | Terminal::Expired), Some((key, seen))) => Err(format!(
            "I6: {last:?} is said though {key:?} may have been taken: {seen:?}"
        )),
        _ => Ok(()),
    }
}

/// I4: what an owner that acts knows of claims is what a plain reader finds in the same part of the log.
pub(crate) fn same_winner(model: &Model, state: &State, process: u8) -> Result<(), Broken> {
    let Some(p) = &state.processes[usize::from(process)] else {
        return Ok(());
    };
    let owner = model.tables.owner(p.owner);
    let seat = owner.seat();
    if !seat.seat.may_act() || !model.setup().rules.claim_order {
        return Ok(());
    }
    let judged = judge(model, state, owner);
    judged.map_err(|broken| {
        let next = &seat.next;
        let logs = [T::Dispatch, T::Attempts].map(|t| model.records(state, t));
        format!("{broken}; it has read {next:?} of {logs:?}")
    })
}

fn judge(model: &Model, state: &State, owner: &Owner) -> Result<(), Broken> {
    let seat = owner.seat();
    let view = view(model, state, |topic| {
        seat.next.get(&topic).map_or(0, |next| *next as usize)
    });
    match owner {
        Owner::Router(router) => {
            router_agrees(&view, router)?;
            let opened = |rec: &Rec| rec.kind == Kind::Opened;
            let last = model.records(state, T::State).into_iter().rfind(opened);
            if last.and_then(|rec| rec.writer) == Some(seat.writer) {
                holds_what_is_open(&view, router)?;
            }
            Ok(())
        }
        Owner::Sender(sender) => {
            for (key, seen) in view.decisions.iter().filter(|(_, seen)| seen.routed) {
                let free = sender.claims.is_free(&key.attempt_id(model.setup().lane));
                if free && seen.claim.is_some() {
                    return Err(format!("I4: a sender takes {key:?} as free: {seen:?}"));
                }
            }
            Ok(())
        }
    }
}

fn router_agrees(view: &View, router: &super::router_owner::Router) -> Result<(), Broken> {
    for held in router.held.values() {
        for (key, seen) in view.of(held.entry.position.offset as u8) {
            let attempt = held.entry.attempts.iter().find(|a| a.n == u16::from(key.n));
            let known = attempt.and_then(|a| a.claim.as_ref()).map(|c| match c {
                Claim::Started { call_id, .. } => Claimed::Call(call_id.0 as u16),
                Claim::NotStarted { .. } => Claimed::Back,
            });
            if known != seen.claim {
                return Err(format!(
                    "I4: a router knows {known:?} of {key:?}, a plain reader {seen:?}"
                ));
            }
        }
    }
    Ok(())
}

/// Asked of the last owner: the copies that a former one has not read may be compacted under its newer ones, and what
/// it writes does not count.
fn holds_what_is_open(view: &View, router: &super::router_owner::Router) -> Result<(), Broken> {
    for (message, request) in &view.requests {
        if !view.has_ended(*request) && !router.holds(*message, *request) {
            return Err(format!(
                "I3: a router does not hold the open m{message}@{request}"
            ));
        }
    }
    Ok(())
}
