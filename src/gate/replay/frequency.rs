//! How often a sender wrote to a number, counted again under another profile (R19).
//!
//! Owns the moments that count, as the walk through the journal meets them: a message that passes takes a place,
//! the carrier's refusal gives it back, the same again after an unknown end takes the same place. Keeps what the
//! longest period needs and no more than its bound. Refuses to judge. Driven by [`super::Replay`].

use std::collections::HashMap;

use jiff::Timestamp;

use crate::gate::record::{Name, Outcome};
use crate::rules::Profile;
use crate::rules::r19_frequency::begin;
use crate::store::sends::Pair;

/// Moments that are kept at once: at most about 200 MB.
const MOST: usize = 2_000_000;

/// For how long after its message an outcome may be told.
const OPEN_FOR_S: i64 = 3 * 86_400;

/// A message that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) pair: Pair,
    /// When it is delivered, in seconds since 1970 UTC.
    pub(super) at_s: i64,
    /// The same for the same text from the same port.
    pub(super) mark: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// On its way, or newly forwarded and so without an outcome.
    Open,
    Unknown,
    Taken,
}

/// What is counted.
pub(super) struct Tally<'r> {
    profile: &'r Profile,
    pairs: HashMap<Pair, Vec<(i64, u32, Fate)>>,
    /// Messages by their records, for the outcomes to come.
    open: HashMap<Name, Moment>,
    moments: usize,
    most: usize,
    /// When room was last made.
    cleared_s: i64,
    /// Messages that found no room.
    left_out: u64,
}

impl<'r> Tally<'r> {
    pub(super) fn new(profile: &'r Profile) -> Self {
        Self::within(profile, MOST)
    }

    fn within(profile: &'r Profile, most: usize) -> Self {
        let (pairs, open) = (HashMap::new(), HashMap::new());
        Self { profile, pairs, open, moments: 0, most, cleared_s: 0, left_out: 0 }
    }

    pub(super) const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// From when on messages count for one of this moment; `None` where the profile sets no limit.
    pub(super) fn counts_from(&self, at: Timestamp) -> Option<Timestamp> {
        begin(&self.profile.frequency.limits, at, &self.profile.time_zone)
    }

    /// When those were sent that count for this one, without the one that it repeats.
    pub(super) fn sent(&self, moment: &Moment, now: Timestamp) -> Vec<Timestamp> {
        let Some(moments) = self.pairs.get(&moment.pair) else { return Vec::new() };
        let again = self.repeated(moments, moment, now);
        let others = moments.iter().enumerate().filter(|(at, _)| Some(*at) != again);
        others.filter_map(|(_, (at_s, ..))| Timestamp::from_second(*at_s).ok()).collect()
    }

    /// A message passes, and counts from here on.
    pub(super) fn count(&mut self, record: Name, moment: Moment, now: Timestamp) {
        if self.profile.frequency.limits.is_empty() {
            return;
        }
        if self.moments >= self.most {
            self.make_room(now);
        }
        let again = self.pairs.get(&moment.pair).and_then(|moments| self.repeated(moments, &moment, now));
        if again.is_none() && self.moments >= self.most {
            self.left_out += 1;
            return;
        }
        let moments = self.pairs.entry(moment.pair).or_default();
        let counted = (moment.at_s, moment.mark, Fate::Open);
        match again {
            Some(at) => moments[at] = counted,
            None => {
                moments.push(counted);
                self.moments += 1;
            }
        }
        // What is never told of again must not pile up.
        if self.open.len() >= self.most {
            self.open.clear();
        }
        self.open.insert(record, moment);
    }

    /// How a message ended; of a long one, each part tells, and one that arrives counts.
    pub(super) fn end(&mut self, outcome: &Outcome<'_>, is_part: bool) {
        let known = if is_part { self.open.get(&outcome.of).copied() } else { self.open.remove(&outcome.of) };
        let Some(moment) = known else { return };
        let moments = self.pairs.entry(moment.pair).or_default();
        let place = moments.iter().position(|(at_s, mark, _)| (*at_s, *mark) == (moment.at_s, moment.mark));
        let fate = match (outcome.outcome.as_ref(), outcome.status) {
            ("answered", 0) => Some(Fate::Taken),
            ("answered" | "nacked" | "not-forwarded" | "refused", _) => None,
            _ => Some(Fate::Unknown),
        };
        match (place, fate) {
            (Some(at), _) if moments[at].2 == Fate::Taken && is_part => {}
            (Some(at), Some(fate)) => moments[at].2 = fate,
            (None, Some(fate)) => {
                moments.push((moment.at_s, moment.mark, fate));
                self.moments += 1;
            }
            (Some(at), None) => {
                moments.remove(at);
                self.moments -= 1;
            }
            (None, None) => {}
        }
        if moments.is_empty() {
            self.pairs.remove(&moment.pair);
        }
    }

    /// The one whose end nobody knows, where this is the same again.
    fn repeated(&self, moments: &[(i64, u32, Fate)], moment: &Moment, now: Timestamp) -> Option<usize> {
        let window = self.profile.frequency.resubmission.as_secs();
        let is_near = |at_s: i64| (now.as_second() - at_s).abs() <= window;
        moments.iter().position(|(at_s, mark, fate)| *mark == moment.mark && *fate == Fate::Unknown && is_near(*at_s))
    }

    /// Forgets what is before every period that may be asked for. Looks through everything, so once a day at most.
    fn make_room(&mut self, now: Timestamp) {
        let now_s = now.as_second();
        if now_s - self.cleared_s < 86_400 {
            return;
        }
        self.cleared_s = now_s;
        let from_s = self.counts_from(now).map_or(now_s, Timestamp::as_second);
        self.pairs.retain(|_, moments| {
            moments.retain(|(at_s, ..)| *at_s >= from_s);
            !moments.is_empty()
        });
        self.moments = self.pairs.values().map(Vec::len).sum();
        self.open.retain(|_, moment| moment.at_s >= now_s - OPEN_FOR_S);
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::rules::Frequency;

    fn profile(limit: &str) -> Profile {
        let mut profile = Profile::default();
        profile.frequency.limits = vec![Frequency::parse(limit).unwrap()];
        profile.frequency.resubmission = SignedDuration::from_hours(1);
        profile
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-11-{text}+08:00").parse().unwrap()
    }

    fn moment(msisdn: u64, at: Timestamp, mark: u32) -> Moment {
        Moment { pair: Pair::new("qinghe", msisdn), at_s: at.as_second(), mark }
    }

    fn outcome(of: Name, outcome: &str, status: u32) -> Outcome<'_> {
        let (subscriber, port) = ("".into(), "".into());
        Outcome { at_ms: 0, subscriber, port, message_id: None, of, forwarded_ms: 0, outcome: outcome.into(), status }
    }

    const fn record(number: u64) -> Name {
        (2026, 11, 23, number)
    }

    #[test]
    fn what_the_carrier_refused_does_not_count_and_one_part_that_arrives_does() {
        let profile = profile("1/day");
        let mut tally = Tally::new(&profile);
        let now = at("23T10:00:00");
        let place = moment(1, now, 7);
        tally.count(record(1), place, now);
        assert_eq!(tally.sent(&place, now), [now]);
        tally.end(&outcome(record(1), "answered", 0x0B), false);
        assert!(tally.sent(&place, now).is_empty());

        tally.count(record(2), place, now);
        for (status, count) in [(0x0B, 0), (0, 1), (0x0B, 1)] {
            tally.end(&outcome(record(2), "answered", status), true);
            assert_eq!(tally.sent(&place, now).len(), count);
        }
        tally.end(&outcome(record(99), "answered", 0), false);
        assert_eq!(tally.moments, 1);
    }

    #[test]
    fn the_same_again_takes_the_place_of_one_whose_end_nobody_knows() {
        let profile = profile("1/day");
        let mut tally = Tally::new(&profile);
        let (first, soon, late) = (at("23T10:00:00"), at("23T10:30:00"), at("23T11:30:01"));
        tally.count(record(1), moment(1, first, 7), first);
        assert_eq!(tally.sent(&moment(1, soon, 7), soon).len(), 1, "it is on its way still");
        tally.end(&outcome(record(1), "timed-out", 8), false);
        assert!(tally.sent(&moment(1, soon, 7), soon).is_empty());
        assert_eq!(tally.sent(&moment(1, soon, 8), soon).len(), 1, "another text is another message");
        assert_eq!(tally.sent(&moment(1, late, 7), late).len(), 1, "and so is the same one much later");
        tally.count(record(2), moment(1, soon, 7), soon);
        assert_eq!(tally.moments, 1);
    }

    #[test]
    fn there_is_room_for_so_many_and_what_is_over_makes_room() {
        let profile = profile("2/day");
        let mut tally = Tally::within(&profile, 3);
        let (monday, tuesday) = (at("23T10:00:00"), at("24T10:00:00"));
        for msisdn in 1..=5 {
            tally.count(record(msisdn), moment(msisdn, monday, 1), monday);
        }
        assert_eq!((tally.moments, tally.left_out()), (3, 2));
        tally.count(record(6), moment(6, tuesday, 1), tuesday);
        assert_eq!((tally.moments, tally.left_out(), tally.pairs.len()), (1, 2, 1));
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let profile = Profile::default();
        let mut tally = Tally::new(&profile);
        tally.count(record(1), moment(1, at("23T10:00:00"), 1), at("23T10:00:00"));
        assert!(tally.pairs.is_empty() && tally.open.is_empty());
        assert_eq!(tally.counts_from(at("23T10:00:00")), None);
    }
}
