//! Rows of one message to what its app is shown. Pure.
//!
//! Of an id that was used again after its window, the newest request counts. Of several claims of a decision the first
//! counts, and a result counts when its claim does.

use std::collections::BTreeMap;

use jixinda_schemas::{AppId, MessageId, Timestamp};
use serde::Serialize;

use super::read::{Attempt, Lines, Outcome, Routing};

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    pub message_id: MessageId,
    pub app: AppId,
    /// `routed`, `sent`, or one of the six outcomes.
    pub status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Corrections since the outcome.
    pub seq: u32,
    pub lane: String,
    pub template: String,
    pub signature: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub campaign: String,
    /// Masked.
    pub recipient: String,
    pub carrier: String,
    pub region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// The vendor's or carrier's last code.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    pub segments: u32,
    pub cost_micros: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// In order of time.
    pub timeline: Vec<Step>,
}

/// One thing that happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    pub at: Timestamp,
    /// `accepted`, `routed`, `started`, `not_started`, `finished`, `receipt`, or `outcome`.
    pub event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u16>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// What it led to: the result, the status of the receipt, the outcome, the cause.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub result: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub blame: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u32>,
}

/// Why a message went the way it did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decisions {
    pub message_id: MessageId,
    pub app: AppId,
    pub decisions: Vec<Decision>,
}

/// One decision and all that went into it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    pub n: u16,
    pub channel: String,
    pub vendor: String,
    pub decided_at: Timestamp,
    pub not_after: Timestamp,
    pub segments: u32,
    pub price_micros: u64,
    pub directory_offset: i64,
    pub health_offset: i64,
    /// As text: it has 64 bits.
    pub seed: String,
    /// Every channel with its gate, or with its score and delivered rate.
    pub considered: serde_json::Value,
}

pub(super) fn decisions(message_id: MessageId, app: &AppId, lines: Lines) -> Option<Decisions> {
    let lines = newest(lines)?;
    let decisions = lines.routings.into_iter().map(decision).collect();
    Some(Decisions {
        message_id,
        app: app.clone(),
        decisions,
    })
}

fn decision(r: Routing) -> Decision {
    Decision {
        n: r.n,
        channel: r.channel,
        vendor: r.vendor,
        decided_at: Timestamp(r.decided_at),
        not_after: Timestamp(r.not_after),
        segments: r.segments,
        price_micros: r.price_micros,
        directory_offset: r.directory_offset,
        health_offset: r.health_offset,
        seed: r.seed.to_string(),
        considered: serde_json::from_str(&r.considered).unwrap_or_default(),
    }
}

pub(super) fn status(message_id: MessageId, app: &AppId, lines: Lines) -> Option<Status> {
    let mut lines = newest(lines)?;
    lines.attempts = counting(lines.attempts);
    let timeline = timeline(&lines);
    if let Some(outcome) = lines.outcomes.pop() {
        return Some(ended(message_id, app, outcome, timeline));
    }
    let last = lines.routings.pop()?;
    let given_up = |a: &Attempt| matches!(a.result.as_str(), "rejected" | "not_called");
    let of_last = || lines.attempts.iter().filter(|a| a.n == last.n);
    let sent = of_last().any(|a| a.kind == "started") && !of_last().any(given_up);
    Some(Status {
        message_id,
        app: app.clone(),
        status: if sent { "sent" } else { "routed" }.to_owned(),
        reason: String::new(),
        detail: String::new(),
        seq: 0,
        lane: last.lane,
        template: last.template,
        signature: last.signature,
        campaign: String::new(),
        recipient: last.phone_masked,
        carrier: last.carrier,
        region: last.region,
        channel: last.channel,
        code: String::new(),
        segments: last.segments,
        cost_micros: 0,
        accepted_at: None,
        ended_at: None,
        timeline,
    })
}

fn ended(message_id: MessageId, app: &AppId, o: Outcome, timeline: Vec<Step>) -> Status {
    Status {
        message_id,
        app: app.clone(),
        status: o.outcome,
        reason: o.reason,
        detail: o.detail,
        seq: o.seq,
        lane: o.lane,
        template: o.template,
        signature: o.signature,
        campaign: o.campaign,
        recipient: o.phone_masked,
        carrier: o.carrier,
        region: o.region,
        channel: o.channel,
        code: o.code,
        segments: o.segments,
        cost_micros: o.cost_micros,
        accepted_at: Some(Timestamp(o.accepted_at)),
        ended_at: Some(Timestamp(o.ended_at)),
        timeline,
    }
}

/// Rows of the newest request under this id; `None` when there are none that name a request.
fn newest(mut lines: Lines) -> Option<Lines> {
    let of_routing = |r: &Routing| {
        (
            r.request_topic.clone(),
            r.request_partition,
            r.request_offset,
        )
    };
    let of_outcome = |o: &Outcome| {
        (
            o.request_topic.clone(),
            o.request_partition,
            o.request_offset,
        )
    };
    let routed = lines.routings.iter().map(|r| (r.logged_at, of_routing(r)));
    let ended = lines.outcomes.iter().map(|o| (o.logged_at, of_outcome(o)));
    let (_, request) = routed.chain(ended).max()?;
    lines.routings.retain(|r| of_routing(r) == request);
    lines.outcomes.retain(|o| of_outcome(o) == request);
    let since = lines
        .routings
        .iter()
        .map(|r| r.logged_at)
        .chain(lines.outcomes.iter().map(|o| o.logged_at))
        .min()?;
    // They name no request; an earlier one under this id ended before.
    lines.attempts.retain(|a| a.logged_at >= since);
    lines.receipts.retain(|r| r.logged_at >= since);
    Some(lines)
}

/// The first claim of each decision, and the results that belong to it.
fn counting(attempts: Vec<Attempt>) -> Vec<Attempt> {
    let mut winners: BTreeMap<u16, (i64, u64)> = BTreeMap::new();
    for claim in attempts.iter().filter(|a| a.kind != "finished") {
        let winner = winners
            .entry(claim.n)
            .or_insert((claim.offset, claim.call_id));
        *winner = (*winner).min((claim.offset, claim.call_id));
    }
    let counts = |a: &Attempt| {
        winners
            .get(&a.n)
            .is_some_and(|(offset, call_id)| match a.kind.as_str() {
                "finished" => a.call_id == *call_id,
                _ => a.offset == *offset,
            })
    };
    attempts.into_iter().filter(counts).collect()
}

fn timeline(lines: &Lines) -> Vec<Step> {
    let accepted = lines.outcomes.first().map(|o| Step {
        at: Timestamp(o.accepted_at),
        event: "accepted",
        ..Step::default()
    });
    let routed = lines.routings.iter().map(|r| Step {
        at: Timestamp(r.decided_at),
        event: "routed",
        n: Some(r.n),
        channel: r.channel.clone(),
        ..Step::default()
    });
    let attempts = lines.attempts.iter().map(|a| Step {
        at: Timestamp(a.at),
        event: match a.kind.as_str() {
            "started" => "started",
            "not_started" => "not_started",
            _ => "finished",
        },
        n: Some(a.n),
        channel: a.channel.clone(),
        result: if a.cause.is_empty() {
            a.result.clone()
        } else {
            a.cause.clone()
        },
        code: a.vendor_code.clone(),
        blame: a.blame.clone(),
        detail: a.detail.clone(),
        elapsed_ms: a.elapsed_ms,
    });
    let receipts = lines.receipts.iter().map(|r| Step {
        at: Timestamp(r.received_at),
        event: "receipt",
        n: Some(r.n),
        channel: r.channel.clone(),
        result: r.status.clone(),
        code: r.code.clone(),
        ..Step::default()
    });
    let outcomes = lines.outcomes.iter().map(|o| Step {
        at: Timestamp(o.ended_at),
        event: "outcome",
        result: o.outcome.clone(),
        code: o.reason.clone(),
        detail: o.detail.clone(),
        ..Step::default()
    });
    let mut steps: Vec<Step> = accepted
        .into_iter()
        .chain(routed)
        .chain(attempts)
        .chain(receipts)
        .chain(outcomes)
        .collect();
    // Stable: what several machines say happened in one millisecond stays in the order of a message's life.
    steps.sort_by_key(|step| step.at);
    steps
}

#[cfg(test)]
mod tests;
