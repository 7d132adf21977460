//! `outcomes`: how a message ended; for a correction also, with `delta` -1, how it was thought to have ended.

use clickhouse::Row;
use jixinda_schemas::{
    Envelope,
    event::{self, AttemptState, AttemptSummary, Terminal},
    seal::PlatformKey,
};
use serde::Serialize;
use uuid::Uuid;

use super::{Misfit, Place, Recipient, elapsed, instant, text};

#[derive(Clone, Debug, Row, Serialize)]
pub struct Outcome {
    #[serde(with = "clickhouse::serde::uuid")]
    pub message_id: Uuid,
    pub app: String,
    pub seq: u32,
    pub delta: i8,
    pub outcome: &'static str,
    pub reason: &'static str,
    pub detail: String,
    pub lane: &'static str,
    pub template: String,
    pub signature: String,
    pub campaign: String,
    /// The message that this one was sent again for.
    #[serde(with = "clickhouse::serde::uuid::option")]
    pub redrive_of: Option<Uuid>,
    pub carrier: &'static str,
    pub region: String,
    pub phone_hash: String,
    pub phone_masked: String,
    /// Of the attempt that decided, as are vendor, code and the times; empty when there was none.
    pub channel: String,
    pub vendor: String,
    pub code: String,
    /// Of all attempts that may have been taken, as is the cost.
    pub segments: u32,
    pub cost_micros: u64,
    pub attempts: u16,
    pub first_channel: String,
    pub accepted_at: i64,
    /// 1970 when there was no decision.
    pub first_routed_at: i64,
    pub routed_at: Option<i64>,
    pub submitted_at: Option<i64>,
    pub receipt_at: Option<i64>,
    pub ended_at: i64,
    /// From acceptance to the vendor call.
    pub submit_ms: Option<u32>,
    /// From acceptance to the receipt.
    pub handset_ms: Option<u32>,
    /// From the vendor call to the receipt.
    pub receipt_ms: Option<u32>,
    pub request_topic: &'static str,
    pub request_partition: i32,
    pub request_offset: i64,
    pub topic: &'static str,
    pub partition: i32,
    pub offset: i64,
    pub logged_at: i64,
}

impl Outcome {
    pub(super) fn new<P>(
        event: &Envelope<P>,
        outcome: &event::Outcome,
        delta: i8,
        (place, key): (Place, &PlatformKey),
    ) -> Result<Self, Misfit> {
        let recipient = Recipient::new(outcome.recipient.as_ref(), key);
        let deciding = deciding(outcome);
        let taken = || outcome.attempts.iter().filter(|a| may_be_taken(a.state));
        let first = outcome.attempts.first();
        let accepted = outcome.accepted_at;
        let submitted = deciding.and_then(|a| a.submitted_at);
        let receipt = deciding.and_then(|a| a.receipt_at);
        Ok(Self {
            message_id: event.message_id.ok_or(Misfit)?.0,
            app: text(event.app_id.as_ref()),
            seq: outcome.seq,
            delta,
            outcome: outcome.outcome.as_str(),
            reason: outcome.reason.as_str(),
            detail: outcome.detail.clone().unwrap_or_default(),
            lane: outcome.lane.as_str(),
            template: text(outcome.template.as_ref()),
            signature: text(outcome.signature.as_ref()),
            campaign: outcome.campaign.clone().unwrap_or_default(),
            redrive_of: outcome.redrive_of.map(|of| of.message_id.0),
            carrier: outcome.carrier.as_str(),
            region: outcome.region.clone(),
            phone_hash: recipient.hash,
            phone_masked: recipient.masked,
            channel: text(deciding.map(|a| &a.channel)),
            vendor: deciding.map_or_else(String::new, |a| a.vendor.clone()),
            code: deciding.and_then(|a| a.code.clone()).unwrap_or_default(),
            segments: taken().map(|a| a.segments).fold(0, u32::saturating_add),
            cost_micros: outcome
                .attempts
                .iter()
                .map(|a| a.cost_micros)
                .fold(0, u64::saturating_add),
            attempts: u16::try_from(outcome.attempts.len()).unwrap_or(u16::MAX),
            first_channel: text(first.map(|a| &a.channel)),
            accepted_at: instant(accepted),
            first_routed_at: first.map_or(0, |a| instant(a.routed_at)),
            routed_at: deciding.map(|a| instant(a.routed_at)),
            submitted_at: submitted.map(instant),
            receipt_at: receipt.map(instant),
            ended_at: instant(outcome.ended_at),
            submit_ms: submitted.map(|at| elapsed(accepted, at)),
            handset_ms: receipt.map(|at| elapsed(accepted, at)),
            receipt_ms: submitted.zip(receipt).map(|(from, to)| elapsed(from, to)),
            request_topic: outcome.request.topic.as_str(),
            request_partition: outcome.request.partition,
            request_offset: outcome.request.offset,
            topic: place.topic.as_str(),
            partition: place.partition,
            offset: place.offset,
            logged_at: instant(place.at),
        })
    }
}

const fn may_be_taken(state: AttemptState) -> bool {
    match state {
        AttemptState::Started
        | AttemptState::Accepted
        | AttemptState::Unknown
        | AttemptState::Delivered
        | AttemptState::Undelivered => true,
        AttemptState::Routed
        | AttemptState::NotStarted
        | AttemptState::NotCalled
        | AttemptState::Rejected => false,
    }
}

/// The one that arrived; else the last that may have been taken; else the last refusal; else the last decision.
fn deciding(outcome: &event::Outcome) -> Option<&AttemptSummary> {
    let last =
        |which: fn(AttemptState) -> bool| outcome.attempts.iter().rev().find(|a| which(a.state));
    let arrived = (outcome.outcome == Terminal::Delivered)
        .then(|| last(|state| state == AttemptState::Delivered))
        .flatten();
    arrived
        .or_else(|| last(may_be_taken))
        .or_else(|| last(|state| state == AttemptState::Rejected))
        .or_else(|| outcome.attempts.last())
}
