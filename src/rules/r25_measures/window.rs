//! What was counted lately: two counts over a window that slides.
//!
//! Owns the slots that the window is cut into. What is older than the window falls out a slot
//! at a time, so that no entry is kept for each message.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Slots of a window: the finer, the smoother it slides.
const SLOTS: usize = 16;

/// Two counts that belong together (judged and rejected, sent and complained of) over a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    width_ms: i64,
    /// Each with its number since 1970; the place is that number modulo the slots.
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Slot {
    number: i64,
    counts: [u64; 2],
}

impl Window {
    /// Nothing counted yet.
    pub fn new(length: Duration) -> Self {
        let width_ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX) / SLOTS as i64;
        Self { width_ms: width_ms.max(1), slots: [Slot::default(); SLOTS] }
    }

    /// Counts at a moment, in milliseconds since 1970.
    pub fn add(&mut self, now_ms: i64, counts: [u64; 2]) {
        let number = now_ms.div_euclid(self.width_ms);
        let place = usize::try_from(number.rem_euclid(SLOTS as i64)).unwrap_or_default();
        let slot = &mut self.slots[place];
        if slot.number != number {
            // A clock set back counts on in the slot it finds.
            *slot = Slot {
                number: number.max(slot.number),
                counts: if number > slot.number { [0; 2] } else { slot.counts },
            };
        }
        slot.counts[0] = slot.counts[0].saturating_add(counts[0]);
        slot.counts[1] = slot.counts[1].saturating_add(counts[1]);
    }

    /// What the window holds at a moment.
    pub fn sums(&self, now_ms: i64) -> [u64; 2] {
        let oldest = now_ms.div_euclid(self.width_ms) - SLOTS as i64;
        let within = self.slots.iter().filter(|slot| slot.number > oldest);
        within
            .fold([0, 0], |sums, slot| [sums[0].saturating_add(slot.counts[0]), sums[1].saturating_add(slot.counts[1])])
    }

    /// Whether this was counted over a window of the same length.
    pub fn is_as_long_as(&self, other: &Self) -> bool {
        self.width_ms == other.width_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_falls_out() {
        let mut window = Window::new(Duration::from_secs(16));
        for second in 0..40 {
            window.add(second * 1000, [1, u64::from(second % 2 == 0)]);
        }
        assert_eq!(window.sums(39_999), [16, 8]);
        assert_eq!(window.sums(47_000), [8, 4]);
        assert_eq!(window.sums(60_000), [0, 0]);
    }

    #[test]
    fn a_clock_that_is_set_back_loses_no_count() {
        let mut window = Window::new(Duration::from_secs(16));
        window.add(100_000, [5, 0]);
        window.add(84_000, [1, 1]);
        assert_eq!(window.sums(100_000), [6, 1]);
    }

    #[test]
    fn the_shortest_window_has_slots_of_a_millisecond() {
        let mut window = Window::new(Duration::ZERO);
        window.add(5, [1, 1]);
        assert_eq!((window.sums(5), window.sums(30)), ([1, 1], [0, 0]));
    }
}
