//! What this instance may admit to a channel now: its share of rate and concurrency, and the breaker.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use jixinda_runtime::{
    kafka::owner::Share,
    pacer::{CallTime, Pacer},
};
use jixinda_schemas::{AttemptId, ChannelId, Lane, directory::Channel, event::Gate};

/// Submit results that the breaker looks at, and how many of them open it.
const WINDOW: usize = 20;
const OPENS_AT: usize = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A probe that brought no news for so long is replaced.
const PROBE_PATIENCE: Duration = Duration::from_secs(15);
/// From a decision to the vendor call and from its end to here, by way of the log; the calls' own time is not in it.
const WAY: Duration = Duration::from_millis(100);

/// Breaker of one channel on one instance: healthy, ejected, probing.
#[derive(Clone, Debug, Default)]
struct Breaker {
    recent: VecDeque<bool>,
    /// Closed when `None`.
    open: Option<Open>,
}

#[derive(Clone, Debug)]
struct Open {
    until: Duration,
    pause: Duration,
    probe: Option<Probe>,
}

/// A message that goes to an ejected channel.
#[derive(Clone, Copy, Debug)]
struct Probe {
    attempt: AttemptId,
    /// Number of the decision: from 2 it was refused elsewhere.
    n: u16,
    at: Duration,
}

/// All channels of this instance.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    channels: HashMap<ChannelId, State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    all: Pacer,
    lanes: [Pacer; 3],
    in_flight: usize,
    calls: CallTime,
    breaker: Breaker,
}

impl Admission {
    fn state(&mut self, channel: &ChannelId) -> &mut State {
        if !self.channels.contains_key(channel) {
            self.channels.insert(channel.clone(), State::default());
        }
        self.channels.entry(channel.clone()).or_default()
    }

    /// What keeps the channel from taking one more message of `lane` now.
    #[must_use]
    pub fn gate(&self, channel: &Channel, lane: Lane, share: Share, now: Duration) -> Option<Gate> {
        let rate = f64::from(channel.rate_per_second) * share.fraction();
        let room = share.places(channel.max_in_flight);
        let Some(state) = self.channels.get(&channel.id) else {
            return (room == 0.0).then_some(Gate::Capacity);
        };
        if let Some(open) = &state.breaker.open {
            let probing = open
                .probe
                .is_some_and(|probe| now < probe.at + PROBE_PATIENCE);
            if now < open.until || probing {
                return Some(Gate::Breaker);
            }
        }
        let room = room + state.calls.ahead(room, rate, WAY);
        let fits = (state.in_flight as f64) < room
            && state.all.fits(now, rate)
            && state.lanes[lane.index()].fits(now, rate * lane.rate_part());
        (!fits).then_some(Gate::Capacity)
    }

    /// A message of `lane` was routed to the channel, by its decision number `n`.
    pub fn admitted(
        &mut self,
        channel: &Channel,
        (lane, share): (Lane, Share),
        (attempt, n): (AttemptId, u16),
        now: Duration,
    ) {
        let rate = f64::from(channel.rate_per_second) * share.fraction();
        let state = self.state(&channel.id);
        state.all.take(now, rate);
        state.lanes[lane.index()].take(now, rate * lane.rate_part());
        if let Some(open) = &mut state.breaker.open {
            open.probe = Some(Probe {
                attempt,
                n,
                at: now,
            });
        }
    }

    /// One more, or one less, message between decision and vendor's answer.
    pub fn in_flight(&mut self, channel: &ChannelId, change: i64) {
        let state = self.state(channel);
        state.in_flight = state.in_flight.saturating_add_signed(change as isize);
    }

    /// A vendor call took so long.
    pub fn took(&mut self, channel: &ChannelId, elapsed: Duration) {
        self.state(channel).calls.took(elapsed);
    }

    /// A vendor call ended; `fault` when the channel is to blame. `jitter` is 0 to 1.
    pub fn submitted(
        &mut self,
        channel: &ChannelId,
        (attempt, fault): (AttemptId, bool),
        now: Duration,
        jitter: f64,
    ) {
        let breaker = &mut self.state(channel).breaker;
        if let Some(open) = &mut breaker.open {
            // Only the probe's result moves an open breaker; stragglers from before do not.
            let Some(probe) = open.probe.filter(|probe| probe.attempt == attempt) else {
                return;
            };
            if !fault {
                *breaker = Breaker::default();
                return;
            }
            // What is refused wherever it goes says little of this channel.
            if probe.n == 1 {
                open.pause = (open.pause * 2).min(LONGEST_PAUSE);
            }
            open.until = now + open.pause.mul_f64(1.0 + 0.2 * jitter);
            open.probe = None;
            return;
        }
        breaker.recent.push_back(fault);
        if breaker.recent.len() > WINDOW {
            breaker.recent.pop_front();
        }
        if breaker.recent.iter().filter(|fault| **fault).count() >= OPENS_AT {
            breaker.recent.clear();
            let until = now + FIRST_PAUSE.mul_f64(1.0 + 0.2 * jitter);
            breaker.open = Some(Open {
                until,
                pause: FIRST_PAUSE,
                probe: None,
            });
        }
    }

    /// Channels whose breaker is open.
    #[must_use]
    pub fn ejected(&self) -> Vec<ChannelId> {
        self.channels
            .iter()
            .filter(|(_, s)| s.breaker.open.is_some())
            .map(|(id, _)| id.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Share = Share { held: 6, total: 6 };

    fn channel(rate: u32, room: u32) -> Channel {
        serde_json::from_value(serde_json::json!({
            "id": "a", "vendor": "aliyun", "rate_per_second": rate, "max_in_flight": room
        }))
        .unwrap()
    }

    /// The one that is routed at a time.
    fn attempt(at: Duration) -> AttemptId {
        format!("{:032x}", at.as_millis()).parse().unwrap()
    }

    fn admit(a: &mut Admission, c: &Channel, lane: Lane, share: Share, now: Duration) -> bool {
        let open = a.gate(c, lane, share, now).is_none();
        if open {
            a.admitted(c, (lane, share), (attempt(now), 1), now);
        }
        open
    }

    fn count(lane: Lane, share: Share, seconds: u64) -> usize {
        let (mut a, c) = (Admission::default(), channel(100, 1_000_000));
        (0..seconds * 1000)
            .filter(|ms| admit(&mut a, &c, lane, share, Duration::from_millis(*ms)))
            .count()
    }

    #[test]
    fn each_lane_gets_its_part_and_an_instance_its_share() {
        assert!((1000..=1010).contains(&count(Lane::Otp, ALL, 10)));
        assert!((800..=810).contains(&count(Lane::Marketing, ALL, 10)));
        assert!((500..=510).contains(&count(Lane::Otp, Share { held: 3, total: 6 }, 10)));
        assert_eq!(count(Lane::Otp, Share { held: 0, total: 6 }, 10), 0);
    }

    #[test]
    fn no_second_sees_more_than_the_rate_and_one_burst() {
        let (mut a, c) = (Admission::default(), channel(100, 1_000_000));
        let times: Vec<u64> = (0..10_000)
            .filter(|ms| admit(&mut a, &c, Lane::Otp, ALL, Duration::from_millis(*ms)))
            .collect();
        for (i, start) in times.iter().enumerate() {
            assert!(times[i..].iter().take_while(|t| **t < start + 1000).count() <= 111);
        }
    }

    #[test]
    fn marketing_never_takes_the_room_of_login_codes() {
        let (mut a, c) = (Admission::default(), channel(100, 1_000_000));
        let mut otp = 0;
        for ms in 0..10_000 {
            let now = Duration::from_millis(ms);
            admit(&mut a, &c, Lane::Marketing, ALL, now);
            otp += usize::from(admit(&mut a, &c, Lane::Otp, ALL, now));
        }
        assert!(otp >= 180, "{otp}");
    }

    #[test]
    fn concurrency_is_bounded() {
        let (mut a, c) = (Admission::default(), channel(1000, 2));
        assert!(admit(&mut a, &c, Lane::Otp, ALL, Duration::ZERO));
        a.in_flight(&c.id, 2);
        assert_eq!(
            a.gate(&c, Lane::Otp, ALL, Duration::from_secs(1)),
            Some(Gate::Capacity)
        );
        a.in_flight(&c.id, -1);
        assert_eq!(a.gate(&c, Lane::Otp, ALL, Duration::from_secs(1)), None);
    }

    #[test]
    fn messages_on_their_way_over_the_log_take_no_place_of_the_vendor() {
        let (mut a, c) = (Admission::default(), channel(1000, 2));
        a.took(&c.id, Duration::from_millis(100));
        let gate = |a: &Admission| a.gate(&c, Lane::Otp, ALL, Duration::from_secs(1));
        a.in_flight(&c.id, 3);
        assert_eq!(gate(&a), None);
        a.in_flight(&c.id, 1);
        assert_eq!(gate(&a), Some(Gate::Capacity));
    }

    /// Defect (f): a tripped threshold called the vendor again and again without delay.
    #[test]
    fn an_ejected_channel_gets_one_probe_after_its_pause_and_then_a_longer_one() {
        let (mut a, c) = (Admission::default(), channel(1000, 100));
        let at = Duration::from_millis;
        for _ in 0..5 {
            a.submitted(&c.id, (attempt(at(0)), true), at(0), 0.0);
        }
        assert_eq!(a.gate(&c, Lane::Otp, ALL, at(4_999)), Some(Gate::Breaker));
        assert!(admit(&mut a, &c, Lane::Otp, ALL, at(5_000)));
        assert_eq!(a.gate(&c, Lane::Otp, ALL, at(5_100)), Some(Gate::Breaker));
        // Of a call that was under way before.
        for fault in [true, false] {
            a.submitted(&c.id, (attempt(at(1)), fault), at(5_100), 0.0);
            assert_eq!(a.gate(&c, Lane::Otp, ALL, at(5_100)), Some(Gate::Breaker));
        }
        a.submitted(&c.id, (attempt(at(5_000)), true), at(5_200), 0.0);
        assert_eq!(a.gate(&c, Lane::Otp, ALL, at(15_100)), Some(Gate::Breaker));
        assert!(admit(&mut a, &c, Lane::Otp, ALL, at(15_200)));
        a.submitted(&c.id, (attempt(at(15_200)), false), at(15_300), 0.0);
        assert_eq!(a.gate(&c, Lane::Otp, ALL, at(15_400)), None);
        assert!(a.ejected().is_empty());
    }

    #[test]
    fn a_probe_that_was_refused_elsewhere_does_not_lengthen_the_pause() {
        let (mut a, c) = (Admission::default(), channel(1000, 100));
        let at = Duration::from_millis;
        for _ in 0..5 {
            a.submitted(&c.id, (attempt(at(0)), true), at(0), 0.0);
        }
        a.admitted(&c, (Lane::Otp, ALL), (attempt(at(5_000)), 2), at(5_000));
        a.submitted(&c.id, (attempt(at(5_000)), true), at(5_200), 0.0);
        assert_eq!(a.gate(&c, Lane::Otp, ALL, at(10_100)), Some(Gate::Breaker));
        assert_eq!(a.gate(&c, Lane::Otp, ALL, at(10_200)), None);
    }
}
