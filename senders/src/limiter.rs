//! What this instance may send to a channel now: its share of the rate and of the concurrency, which adapts to
//! throttling (additive increase, multiplicative decrease).

use std::{collections::HashMap, time::Duration};

use jixinda_runtime::{
    kafka::owner::Share,
    pacer::{CallTime, Pacer},
};
use jixinda_schemas::{ChannelId, Lane, directory::Channel};

/// Pause after a throttling answer that names none.
const PAUSE: Duration = Duration::from_millis(200);
/// From the claim's write until it has been read back.
const WAY: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
struct State {
    all: Pacer,
    lanes: [Pacer; 3],
    calls: Pacer,
    call_time: CallTime,
    /// Messages that are claimed or in calls.
    in_flight: usize,
    in_calls: usize,
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
                call_time: CallTime::default(),
                in_flight: 0,
                in_calls: 0,
                window: f64::INFINITY,
                paused_until: Duration::ZERO,
            })
    }

    /// Whether one message of `lane` may be claimed now: there is a place in a call for it, or will be when the claim
    /// has been read back.
    pub fn try_start(
        &mut self,
        channel: &Channel,
        lane: Lane,
        share: Share,
        now: Duration,
    ) -> bool {
        let rate = f64::from(channel.rate_per_second) * share.fraction();
        let room = share.places(channel.max_in_flight);
        let state = self.state(&channel.id);
        let room = room.min(state.window);
        let room = room + state.call_time.ahead(room, rate, WAY);
        let fits = (state.in_flight as f64) < room
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

    /// Whether a call of `count` claimed messages may begin now, and if so, its messages are in it. Claims come back
    /// from the log in bunches, so that their own pace is not that of the calls. One of several goes by the rate as soon
    /// as its first may, and those after it wait for all. None begins in a pause.
    pub fn try_call(
        &mut self,
        channel: &Channel,
        share: Share,
        count: usize,
        now: Duration,
    ) -> bool {
        let rate = f64::from(channel.rate_per_second) * share.fraction();
        let room = share.places(channel.max_in_flight);
        let state = self.state(&channel.id);
        let room = room.min(state.window).ceil();
        let fits = (state.in_calls == 0 && room > 0.0 || (state.in_calls + count) as f64 <= room)
            && now >= state.paused_until
            && state.calls.fits(now, rate);
        if fits {
            state.in_calls += count;
            (0..count).for_each(|_| state.calls.take(now, rate));
        }
        fits
    }

    /// A claimed message will be in no call.
    pub fn let_go(&mut self, channel: &ChannelId) {
        let state = self.state(channel);
        state.in_flight = state.in_flight.saturating_sub(1);
    }

    /// A call of `count` messages ended; its answer is told beforehand.
    pub fn ended(&mut self, channel: &ChannelId, count: usize) {
        let state = self.state(channel);
        state.in_flight = state.in_flight.saturating_sub(count);
        state.in_calls = state.in_calls.saturating_sub(count);
    }

    /// The vendor answered without throttling, after so long.
    pub fn fine(&mut self, channel: &ChannelId, elapsed: Duration) {
        let state = self.state(channel);
        state.call_time.took(elapsed);
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
            state.window = (state.window.min(state.in_calls as f64) / 2.0).max(1.0);
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
            let tries = (0..2_000).filter(|_| {
                *now += Duration::from_micros(100);
                l.try_start(&c, Lane::Otp, ALL, *now) && l.try_call(&c, ALL, 1, *now)
            });
            tries.count()
        };
        assert_eq!(fill(&mut l, &mut now), 1_000);
        l.throttled(&c.id, None, now);
        assert!(l.pause_left(&c.id, now).is_some());
        assert!(!l.try_call(&c, ALL, 1, now));
        l.ended(&c.id, 1_000);
        now += Duration::from_secs(1);
        let after = fill(&mut l, &mut now);
        assert!((499..=502).contains(&after), "{after}");
        // Of slow calls, so that none sets out early.
        (0..after).for_each(|_| l.fine(&c.id, Duration::from_secs(3_600)));
        l.ended(&c.id, after);
        assert_eq!(fill(&mut l, &mut now), after + 1);
    }

    #[test]
    fn claims_set_out_for_places_that_become_free_while_they_are_read_back() {
        let (mut l, c) = (Limiter::default(), channel(10_000, 10));
        let mut now = Duration::from_secs(1);
        let mut claim = |l: &mut Limiter| {
            now += Duration::from_millis(1);
            l.try_start(&c, Lane::Otp, ALL, now)
        };
        let mut claims = |l: &mut Limiter| (0..100).filter(|_| claim(l)).count();
        let calls = |l: &mut Limiter| {
            let at = |ms: u64| Duration::from_millis(2_000 + ms);
            (0..100)
                .filter(|ms| l.try_call(&c, ALL, 1, at(*ms)))
                .count()
        };
        assert_eq!(claims(&mut l), 10);
        assert_eq!(calls(&mut l), 10);
        l.fine(&c.id, Duration::from_millis(100));
        l.ended(&c.id, 10);
        // 10 places of 100 ms each make 100 calls a second, and 5 in 50 ms.
        assert_eq!(claims(&mut l), 15);
        assert_eq!(calls(&mut l), 10);
        assert_eq!(l.in_flight(), 15);
        (0..5).for_each(|_| l.let_go(&c.id));
        assert_eq!(l.in_flight(), 10);
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
