//! Whether the clock can be believed when something is to be deleted by it.
//!
//! Owns the comparison of the wall clock with the time that has really passed. A clock that jumps ahead is believed
//! once it has stood for a day; until then what is deleted is what has expired by the time that passed. Refuses to
//! read a clock. Driven by the retention.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::gate::Moment;

/// How far the clocks may drift apart between two looks.
const SLACK: SignedDuration = SignedDuration::from_mins(10);

/// How long a gate may have been away without its clock being doubted.
const AWAY: SignedDuration = SignedDuration::from_hours(48);

/// How long a clock that jumped must stand to be believed.
const STAND: Duration = Duration::from_hours(24);

/// What is known of the clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    /// A moment that was believed.
    believed: Moment,
    /// Since when the clock has been ahead of that.
    ahead: Option<Instant>,
}

impl Watch {
    /// Begins with the clock of now, unless it is far from when it was last seen.
    pub(super) fn new(now: Moment, last_seen: Option<Timestamp>) -> Self {
        let away = last_seen.map(|seen| now.wall.duration_since(seen));
        match (last_seen, away) {
            (Some(seen), Some(away)) if away > AWAY => {
                Self { believed: Moment { wall: seen, ..now }, ahead: Some(now.monotonic) }
            }
            _ => Self { believed: now, ahead: None },
        }
    }

    /// The time to go by. Never ahead of the clock.
    pub(super) fn time(&mut self, now: Moment) -> Timestamp {
        let passed = now.monotonic.saturating_duration_since(self.believed.monotonic);
        let expected = self.believed.wall.saturating_add(passed).unwrap_or(Timestamp::MAX);
        let is_ahead = now.wall.duration_since(expected) > SLACK;
        let since = *self.ahead.get_or_insert(now.monotonic);
        if is_ahead && now.monotonic.saturating_duration_since(since) < STAND {
            return expected;
        }
        *self = Self { believed: now, ahead: None };
        now.wall
    }

    /// Whether the clock is not believed at present.
    pub(super) fn is_doubted(&self) -> bool {
        self.ahead.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const HOUR: u64 = 3600;

    struct Clocks {
        start: Moment,
        passed: Duration,
        step: i64,
    }

    impl Clocks {
        fn new() -> Self {
            let wall = "2026-11-24T03:00:00Z".parse().unwrap();
            Self { start: Moment { wall, monotonic: clock::monotonic() }, passed: Duration::ZERO, step: 0 }
        }

        fn now(&self) -> Moment {
            let wall = self.start.wall.saturating_add(self.passed).unwrap();
            let wall = wall.saturating_add(SignedDuration::from_secs(self.step)).unwrap();
            Moment { wall, monotonic: self.start.monotonic + self.passed }
        }

        fn pass(&mut self, hours: u64) -> Moment {
            self.passed += Duration::from_secs(hours * HOUR);
            self.now()
        }
    }

    #[test]
    fn a_clock_that_goes_is_believed() {
        let mut clocks = Clocks::new();
        let mut watch = Watch::new(clocks.now(), None);
        for hours in [1, 5, 24, 240, 9_000] {
            let now = clocks.pass(hours);
            assert_eq!(watch.time(now), now.wall);
        }
        assert!(!watch.is_doubted());
    }

    #[test]
    fn one_that_jumps_a_year_ahead_is_believed_a_day_later() {
        let mut clocks = Clocks::new();
        let mut watch = Watch::new(clocks.now(), None);
        clocks.step = 365 * 86_400;
        for _ in 0..24 {
            let now = clocks.pass(1);
            let time = watch.time(now);
            assert_eq!(time, clocks.start.wall.saturating_add(clocks.passed).unwrap());
            assert!(watch.is_doubted());
        }
        let now = clocks.pass(1);
        assert_eq!(watch.time(now), now.wall);
    }

    #[test]
    fn one_that_jumps_back_in_time_is_believed_and_so_is_its_return_within_a_day() {
        let mut clocks = Clocks::new();
        let mut watch = Watch::new(clocks.now(), None);
        clocks.step = 86_400;
        watch.time(clocks.pass(1));
        clocks.step = 0;
        let now = clocks.pass(1);
        assert_eq!(watch.time(now), now.wall);
        assert!(!watch.is_doubted());
        clocks.step = -86_400;
        let now = clocks.pass(1);
        assert_eq!(watch.time(now), now.wall);
    }

    #[test]
    fn after_a_long_absence_it_must_stand_for_a_day() {
        let mut clocks = Clocks::new();
        let seen = "2026-11-23T03:00:00Z".parse().unwrap();
        assert!(!Watch::new(clocks.now(), Some(seen)).is_doubted());
        let seen = "2026-11-01T03:00:00Z".parse().unwrap();
        let mut watch = Watch::new(clocks.now(), Some(seen));
        let now = clocks.pass(1);
        assert!(watch.time(now) < "2026-11-02T00:00:00Z".parse().unwrap());
        let now = clocks.pass(24);
        assert_eq!(watch.time(now), now.wall);
    }
}
