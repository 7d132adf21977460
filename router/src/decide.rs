//! Picks the channel for one message. Pure: no I/O, no clock, no counters; the same inputs give the same bytes.
//!
//! Precedence: the operator's word (disabled, drained, pinned) > what can carry the message at all > what can carry
//! it now (account, breaker, capacity) > priority among healthy channels > a draw by weight and health. The result
//! is published with every score and gate, so that each choice can be explained later.

use jixinda_schemas::{
    ChannelId, Lane, Phone, Timestamp,
    directory::{Channel, ChannelMode, Snapshot},
    event::{Considered, Gate},
    template::{self, Content},
    validate::Accepted,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::message::Attempt;

/// Health of a channel in a lane: delivered rate, 0 to 1.
pub type Rate<'a> = &'a dyn Fn(&ChannelId, Lane) -> f64;
/// A gate of this instance, `Breaker` or `Capacity`; `None` lets the channel through.
pub type LocalGate<'a> = &'a dyn Fn(&Channel) -> Option<Gate>;

/// Everything that a decision rests on.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub directory: &'a Snapshot,
    pub request: &'a Accepted,
    pub params: &'a std::collections::BTreeMap<String, String>,
    pub recipient: &'a Phone,
    pub previous: &'a [Attempt],
    pub rate: Rate<'a>,
    pub local: LocalGate<'a>,
    pub seed: u64,
    pub now: Timestamp,
}

impl std::fmt::Debug for Inputs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inputs")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// The choice, and what spoke for and against each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub choice: Option<Choice>,
    pub considered: Vec<Considered>,
}

/// A chosen channel with what the vendor is to be given.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub channel: ChannelId,
    pub content: Content,
    /// Signature as the vendor knows it.
    pub sign_name: String,
}

impl Decision {
    /// Whether waiting may lead to a choice.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.considered
            .iter()
            .any(|c| c.gate.is_some_and(Gate::is_temporary))
    }
}

/// Share of decisions that look at channels regardless of priority and health, so that recovery is seen.
const EXPLORE: f64 = 0.01;
/// How sharply the draw follows health.
const SHARPNESS: f64 = 4.0;
/// A channel below this part of the best rate gives up its priority.
const HEALTHY: f64 = 0.6;

struct Candidate<'a> {
    channel: &'a Channel,
    content: Content,
    sign_name: String,
    rate: f64,
    at: usize,
}

/// Decides.
#[must_use]
pub fn decide(inputs: &Inputs<'_>) -> Decision {
    let lane = inputs.request.lane;
    let mut considered = Vec::with_capacity(inputs.directory.channels.len());
    let mut candidates = Vec::new();
    let pinned = inputs
        .directory
        .channels
        .values()
        .any(|c| c.mode == ChannelMode::Pinned && carries(inputs, c).is_ok());
    for channel in inputs.directory.channels.values() {
        let judged = carries(inputs, channel).and_then(|(content, sign_name)| {
            gate_now(inputs, channel, pinned).map_or(Ok((content, sign_name)), Err)
        });
        let at = considered.len();
        let mut line = Considered {
            channel: channel.id.clone(),
            gate: None,
            score: None,
            delivered_rate: None,
        };
        match judged {
            Ok((content, sign_name)) => {
                let rate = (inputs.rate)(&channel.id, lane);
                line.delivered_rate = Some(rate);
                candidates.push(Candidate {
                    channel,
                    content,
                    sign_name,
                    rate,
                    at,
                });
            }
            Err(gate) => line.gate = Some(gate),
        }
        considered.push(line);
    }
    let choice = draw(inputs.seed, &candidates, &mut considered);
    let choice = choice.map(|i| {
        let c = candidates.swap_remove(i);
        Choice {
            channel: c.channel.id.clone(),
            content: c.content,
            sign_name: c.sign_name,
        }
    });
    Decision { choice, considered }
}

/// What the channel could be given for this message at all, or the gate that no waiting opens.
fn carries(inputs: &Inputs<'_>, channel: &Channel) -> Result<(Content, String), Gate> {
    let Inputs {
        request, recipient, ..
    } = inputs;
    if !channel.reaches(recipient.expose(), request.lane) {
        return Err(Gate::Unreachable);
    }
    let mapped = request
        .template
        .channels
        .get(&channel.id)
        .filter(|t| t.approved)
        .ok_or(Gate::TemplateNotMapped)?;
    let signed = request
        .signature
        .channels
        .get(&channel.id)
        .filter(|s| s.approved)
        .ok_or(Gate::SignatureNotMapped)?;
    let content = template::content(
        &mapped.form,
        mapped.code.as_deref(),
        inputs.params,
        &request.text,
    )
    .map_err(|_| Gate::ContentForm)?;
    let mut tried = inputs.previous.iter().filter(|a| a.channel == channel.id);
    if tried.any(|a| a.retry_same_at().is_none()) {
        return Err(Gate::Tried);
    }
    let sign_name = signed
        .code
        .clone()
        .unwrap_or_else(|| request.signature.text.clone());
    Ok((content, sign_name))
}

/// What keeps a channel from being used now.
fn gate_now(inputs: &Inputs<'_>, channel: &Channel, pinned: bool) -> Option<Gate> {
    match channel.mode {
        ChannelMode::Disabled => return Some(Gate::Disabled),
        ChannelMode::Drained => return Some(Gate::Drained),
        ChannelMode::Active if pinned => return Some(Gate::NotPinned),
        ChannelMode::Active | ChannelMode::Pinned => {}
    }
    if inputs.directory.is_taken_out(&channel.id, inputs.now) {
        return Some(Gate::Account);
    }
    let again = inputs
        .previous
        .iter()
        .filter(|a| a.channel == channel.id)
        .filter_map(Attempt::retry_same_at)
        .max();
    if again.is_some_and(|t| inputs.now < t) {
        return Some(Gate::Capacity);
    }
    (inputs.local)(channel)
}

/// Draws among the candidates; fills in their scores. A candidate of lower priority gets the gate `Priority`.
fn draw(seed: u64, candidates: &[Candidate<'_>], considered: &mut [Considered]) -> Option<usize> {
    let best = candidates.iter().map(|c| c.rate).fold(0.0, f64::max);
    let tier = candidates
        .iter()
        .filter(|c| c.rate >= HEALTHY * best)
        .map(|c| c.channel.priority)
        .min()?;
    let weight = |c: &Candidate<'_>| {
        if c.channel.priority > tier || best <= 0.0 {
            return 0.0;
        }
        f64::from(c.channel.weight) * libm::pow(c.rate / best, SHARPNESS)
    };
    let total: f64 = candidates.iter().map(weight).sum();
    let even = 1.0 / candidates.len() as f64;
    let share = |c: &Candidate<'_>| {
        if total > 0.0 {
            (1.0 - EXPLORE) * weight(c) / total + EXPLORE * even
        } else {
            even
        }
    };
    let mut left: f64 = ChaCha8Rng::seed_from_u64(seed).random();
    let mut choice = candidates.len() - 1;
    let mut found = false;
    for (i, c) in candidates.iter().enumerate() {
        let share = share(c);
        considered[c.at].score = Some(share);
        if !found {
            if left < share {
                choice = i;
                found = true;
            }
            left -= share;
        }
    }
    for (i, c) in candidates.iter().enumerate() {
        if i != choice && c.channel.priority > tier {
            considered[c.at].gate = Some(Gate::Priority);
        }
    }
    Some(choice)
}

#[cfg(test)]
mod tests;
