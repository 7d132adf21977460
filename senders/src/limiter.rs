//! What this instance may send to a channel now: its share of the rate and of the concurrency, which adapts to
//! throttling (additive increase, multiplicative decrease).

use std::{collections::HashMap, time::Duration};

use jixinda_runtime::{kafka::owner::Share, pacer::Pacer};
use jixinda_schemas::{ChannelId, Lane, directory::Channel};

/// Pause after a throttling answer that names none.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Clone, Debug)]
struct State {
    all: Pacer,
    lanes: [Pacer; 3],
    calls: Pacer,
    in_flight: usize,
    /// Concurrency that the vendor seems to bear.
    window: f64,
    paused_until: Duration,
}

/// All channels of this instance.
#[derive(Clone, Debug, Default)]
pub struct Limiter {
    channels: HashMap<ChannelId, State>,
}

impl Limiter {
    fn state(&mut self, channel: &ChannelId) -> &mut State {
        self.channels
            .entry(channel.clone())
            .or_insert_with(|| State {
                all: Pacer::default(),
                lanes: Default::default(),
                calls: Pacer::default(),
                in_flight: 0,
                window: f64::INFINITY,
                paused_until: Duration::ZERO,
            })
    }

    /// Takes a place for one message of `lane`, if there is one now.
    pub fn try_start(
        &mut self,
        channel: &Channel,
        lane: Lane,
        share: Share,
        now: Duration,
    ) -> bool {
        let rate = f64::from(channel.rate_per_second) * share.fraction();
        let room = (f64::from(channel.max_in_flight) * share.fraction()).ceil();
        let state = self.state(&channel.id);
        let fits = (state.in_flight as f64) < room.min(state.window)
            && now >= state.paused_until
            && state.all.fits(now, rate)
            && state.lanes[lane.index()].fits(now, rate * lane.rate_part());
        if fits {
            state.in_flight += 1;
            state.all.take(now, rate);
            state.lanes[lane.index()].take(now, rate * lane.rate_part());
        }
        fits
    }

    /// Whether a call of `count` messages that have their places may begin now. Claims come back from the log in
    /// bunches, so that their own pace is not that of the calls. One of several goes as soon as its first may, and
    /// those after it wait for all.
    pub fn try_call(
        &mut self,
        channel: &Channel,
        share: Share,
        count: usize,
        now: Duration,
    ) -> bool {
        let rate = f64::from(channel.rate_per_second) * share.fraction();
        let state = self.state(&channel.id);
        let fits = state.calls.fits(now, rate);
        if fits {
            (0..count).for_each(|_| state.calls.take(now, rate));
        }
        fits
    }

    /// The place is free again.
    pub fn ended(&mut self, channel: &ChannelId) {
        let state = self.state(channel);
        state.in_flight = state.in_flight.saturating_sub(1);
    }

    /// The vendor answered without throttling.
    pub fn fine(&mut self, channel: &ChannelId) {
        let state = self.state(channel);
        if state.window.is_finite() {
            state.window += 1.0 / state.window;
        }
    }

    /// The vendor throttled.
    pub fn throttled(&mut self, channel: &ChannelId, pause: Option<Duration>, now: Duration) {
        let state = self.state(channel);
        let until = now + pause.unwrap_or(PAUSE);
        if now >= state.paused_until {
            // Answers to calls of the same moment are one signal.
            state.window = (state.window.min(state.in_flight as f64 + 1.0) / 2.0).max(1.0);
        }
        state.paused_until = state.paused_until.max(until);
    }

    /// How long the channel wants to be left alone.
    #[must_use]
    pub fn pause_left(&self, channel: &ChannelId, now: Duration) -> Option<Duration> {
        let left = self.channels.get(channel)?.paused_until.saturating_sub(now);
        (!left.is_zero()).then_some(left)
    }

    /// Messages in calls and claims open on this instance.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.channels.values().map(|state| state.in_flight).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Share = Share { held: 1, total: 1 };

    fn channel(rate: u32, room: u32) -> Channel {
        serde_json::from_value(serde_json::json!({
            "id": "a", "vendor": "aliyun", "rate_per_second": rate, "max_in_flight": room
        }))
        .unwrap()
    }

    #[test]
    fn a_throttled_channel_pauses_halves_its_concurrency_and_recovers() {
        let (mut l, c) = (Limiter::default(), channel(100_000, 1_000));
        let mut now = Duration::from_secs(1);
        let fill = |l: &mut Limiter, now: &mut Duration| {
            let before = l.in_flight();
            for _ in 0..2_000 {
                *now += Duration::from_micros(100);
                l.try_start(&c, Lane::Otp, ALL, *now);
            }
            l.in_flight() - before
        };
        assert_eq!(fill(&mut l, &mut now), 1_000);
        l.throttled(&c.id, None, now);
        assert!(l.pause_left(&c.id, now).is_some());
        (0..1_000).for_each(|_| l.ended(&c.id));
        now += Duration::from_secs(1);
        let after = fill(&mut l, &mut now);
        assert!((499..=502).contains(&after), "{after}");
        (0..after).for_each(|_| {
            l.ended(&c.id);
            l.fine(&c.id);
        });
        assert_eq!(fill(&mut l, &mut now), after + 1);
    }

    #[test]
    fn calls_of_claims_that_come_back_in_a_bunch_keep_the_rate() {
        let (mut l, c) = (Limiter::default(), channel(100, 1_000));
        let begun = |l: &mut Limiter, ms: std::ops::Range<u64>| {
            ms.filter(|ms| l.try_call(&c, ALL, 1, Duration::from_millis(*ms)))
                .count()
        };
        // Eager from the first moment on, as after a stall.
        let first = begun(&mut l, 5_000..6_000);
        assert!((108..=110).contains(&first), "{first}");
        let second = begun(&mut l, 6_000..7_000);
        assert!((99..=101).contains(&second), "{second}");
    }

    #[test]
    fn an_instance_uses_its_share_only() {
        let (mut l, c) = (Limiter::default(), channel(100, 1_000));
        let half = Share { held: 3, total: 6 };
        let started = (0..10_000)
            .filter(|ms| l.try_start(&c, Lane::Otp, half, Duration::from_millis(*ms)))
            .count();
        assert!((500..=506).contains(&started), "{started}");
    }
}
