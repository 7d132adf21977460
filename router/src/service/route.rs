//! Routing what waits: judge, decide, admit, write.

use std::{cmp::Reverse, sync::Arc};

use jixinda_runtime::{
    directory::View,
    kafka::owner::{Outbox, Share},
};
use jixinda_schemas::{
    AttemptId, Lane, MessageId, Timestamp, directory::Channel, event::Routed, segments,
    template::Content, validate,
};
use sha2::{Digest, Sha256};
use tracing::debug;

use super::Router;
use crate::{
    decide::{self, Inputs},
    emit,
    intake::{self, Proof, Verdict},
    message::{Entry, Step},
    metrics,
    partition::{Partition, Written},
    queue::Offer,
};

impl Router {
    /// Routes what can go, oldest first; what cannot does not block those behind it.
    pub(super) fn route(
        &mut self,
        state: &mut Partition,
        lane: Lane,
        share: Share,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        if !state.queues[lane.index()].is_due(now) {
            return;
        }
        let view = self.shared.directory.view();
        let mut queue = std::mem::take(&mut state.queues[lane.index()]);
        queue.look(now, |id| {
            if !out.has_room() {
                return Offer::Stop;
            }
            if self.route_one(state, id, &view, share, now, out) {
                return Offer::Taken;
            }
            let room = self.any_room(&view, lane, share);
            Offer::Blocked { room }
        });
        state.queues[lane.index()] = queue;
    }

    /// Whether any channel takes a message of the lane now.
    fn any_room(&self, view: &View, lane: Lane, share: Share) -> bool {
        let uptime = self.shared.clock.uptime();
        let mut channels = view.snapshot.channels.values();
        channels.any(|c| self.admission.gate(c, lane, share, uptime).is_none())
    }

    /// Returns false when the message must wait for a channel.
    fn route_one(
        &mut self,
        state: &mut Partition,
        id: MessageId,
        view: &View,
        share: Share,
        now: Timestamp,
        out: &mut Outbox,
    ) -> bool {
        let shared = Arc::clone(&self.shared);
        let Some(held) = state.entries.get_mut(&id) else {
            return true;
        };
        held.queued = false;
        if held.written != Written::Nothing
            || !matches!(
                held.entry.next(now, shared.config.deadlines()),
                Step::Decide(_)
            )
        {
            state.touched.push(id);
            return true;
        }
        let accepted = match intake::judge(&held.entry, &held.proof, view, &shared.key, now) {
            Verdict::Accepted(accepted) => accepted,
            Verdict::AskAgain(at) => {
                state.timers.push(Reverse((at, id)));
                return true;
            }
            Verdict::Refused(problem) => {
                metrics::refused(problem.reason);
                held.entry.refused = Some((
                    problem.reason,
                    format!("{}: {}", problem.field, problem.detail),
                ));
                state.touched.push(id);
                return true;
            }
        };
        // The proof was good; its copy of the record is not needed any more.
        held.proof = Proof::Ingest;
        let (n, health) = (held.entry.next_n(), shared.health.load());
        let seed = seed(id, n, view.snapshot.offset, health.offset);
        let (lane, uptime) = (held.entry.lane, shared.clock.uptime());
        let decision = decide::decide(&Inputs {
            directory: &view.snapshot,
            request: &accepted,
            params: &held.entry.request.params,
            recipient: held.entry.recipient(),
            previous: &held.entry.attempts,
            rate: &|channel, lane| health.rate(channel, lane),
            local: &|channel| self.admission.gate(channel, lane, share, uptime),
            seed,
            now,
        });
        let Some(choice) = &decision.choice else {
            if decision.may_wait() {
                held.queued = true;
                return false;
            }
            held.entry.no_route = true;
            state.touched.push(id);
            return true;
        };
        let Some(channel) = view.snapshot.channels.get(&choice.channel) else {
            held.queued = true;
            return false;
        };
        let attempt = AttemptId::new(id, &held.entry.position, n);
        self.admission
            .admitted(channel, (lane, share), (attempt, n), uptime);
        let routed = make(
            &held.entry,
            &accepted,
            &decision,
            channel,
            (n, seed, view.snapshot.offset, health.offset),
            now,
        );
        metrics::decision(lane, channel.id.as_str());
        let traceparent = held.entry.traceparent.as_deref();
        debug!(message_id = %id, attempt = n, channel = %channel.id, traceparent, "message routed");
        out.owned(emit::routed(&held.entry, routed, &state.writer, now));
        held.written = Written::Routing(channel.id.clone());
        state.sync_in_flight(id);
        self.hear(state);
        true
    }
}

fn seed(id: MessageId, n: u16, directory: i64, health: i64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(id.0.as_bytes());
    hash.update(n.to_be_bytes());
    hash.update(directory.to_be_bytes());
    hash.update(health.to_be_bytes());
    let digest = hash.finalize();
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    // 53 bits survive readers whose numbers are doubles.
    u64::from_be_bytes(first) >> 11
}

fn make(
    entry: &Entry,
    accepted: &validate::Accepted,
    decision: &decide::Decision,
    channel: &Channel,
    basis: (u16, u64, i64, i64),
    now: Timestamp,
) -> Routed {
    let (n, seed, directory_offset, health_offset) = basis;
    let recipient = entry.recipient();
    let segments = segments::count(&accepted.text, recipient);
    let (content, sign_name) = decision
        .choice
        .as_ref()
        .map(|c| (c.content.clone(), c.sign_name.clone()))
        .unwrap_or((
            Content::FullText {
                text: accepted.text.clone(),
            },
            String::new(),
        ));
    Routed {
        n,
        attempt_id: entry.attempt_id(n),
        request: entry.position,
        lane: entry.lane,
        recipient: recipient.clone(),
        channel: channel.id.clone(),
        vendor: channel.vendor.clone(),
        pool: channel.pool.clone(),
        template: accepted.template.id.clone(),
        signature: accepted.signature.id.clone(),
        sign_name,
        content,
        text: accepted.text.clone(),
        segments,
        price_micros: u64::from(segments) * channel.price_micros(recipient.expose(), entry.lane),
        not_after: entry.not_after(),
        directory_offset,
        health_offset,
        seed,
        decided_at: now,
        considered: decision.considered.clone(),
    }
}
