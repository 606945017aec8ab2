//! Which retention held when: a profile may change while days are kept that were judged under another.
//!
//! Owns the list of what held from which day on, and what it means for a day of the journal: the longer of what
//! held on that day and what holds now. A day's name was given by the zone of its time, so a zone that changed counts,
//! too. Pure; driven by the retention, which keeps the list in its file.

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::rules::retention::{Kind, Retention};

/// What holds from a day on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The first day of it.
    pub since: Date,
    /// The zone whose midnights end the days.
    pub zone: String,
    /// The profile.
    pub profile: String,
    /// Its months.
    pub months: Retention,
}

/// Everything that held since the oldest day that is kept, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Policies(Vec<Policy>);

/// What holds for one day of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Months of each kind.
    pub months: Retention,
    /// The profiles they come from.
    pub profile: String,
    /// The last day, in the zone of now, on which an entry of it can have happened.
    last: Date,
}

impl Policies {
    /// Takes note of what holds now; true where it is not what held before.
    pub fn note(&mut self, now: Policy) -> bool {
        // What a clock that was ahead has noted did not begin in the future.
        self.0.iter_mut().for_each(|policy| policy.since = policy.since.min(now.since));
        let same = |policy: &Policy| Policy { since: now.since, ..policy.clone() } == now;
        if self.0.last().is_some_and(same) {
            return false;
        }
        // One tried twice on a day is one.
        self.0.retain(|policy| policy.since != now.since || !same(policy));
        self.0.push(now);
        true
    }

    /// Lets go of what no day from `oldest` on needs; true where there was something.
    pub fn forget_before(&mut self, oldest: Date) -> bool {
        let before = self.0.len();
        let needed = self.0.partition_point(|policy| policy.since < yesterday(oldest)).saturating_sub(1);
        self.0.drain(..needed);
        self.0.len() != before
    }

    /// What holds for a day of the journal; `None` where nothing was ever noted.
    pub fn term(&self, day: Date) -> Option<Term> {
        let now = self.0.last()?;
        let mut term = Term { months: now.months, profile: now.profile.clone(), last: day };
        for policy in self.in_force(day) {
            term.months = term.months.longest(&policy.months);
            if policy.profile != now.profile && !term.profile.contains(&policy.profile) {
                term.profile = format!("{}, {}", term.profile, policy.profile);
            }
            if policy.zone != now.zone {
                term.last = term.last.max(last_moment(day, &zone_of(&policy.zone), &zone_of(&now.zone)));
            }
        }
        Some(term)
    }

    /// What held on a day, on the day before or on the day after: zones may be that far apart.
    fn in_force(&self, day: Date) -> impl Iterator<Item = &Policy> {
        let ends = self.0.iter().skip(1).map(|next| next.since).chain([Date::MAX]);
        let (first, last) = (yesterday(day), day.saturating_add(1.day()));
        let before_all = self.0.first().filter(|policy| policy.since > last);
        let within = self.0.iter().zip(ends).filter(move |(policy, end)| policy.since <= last && *end >= first);
        within.map(|(policy, _)| policy).chain(before_all)
    }
}

impl Term {
    /// The first day on which a kind may be gone.
    pub fn gone_from(&self, kind: Kind) -> Date {
        self.months.gone_from(self.last, kind)
    }
}

fn yesterday(day: Date) -> Date {
    day.saturating_sub(1.day())
}

/// One that this machine knows no longer had the offset of China, as the default has.
fn zone_of(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::fixed(jiff::tz::offset(8)))
}

/// On which day in `now` the last moment falls that was `day` in `then`.
fn last_moment(day: Date, then: &TimeZone, now: &TimeZone) -> Date {
    let end = then.to_timestamp(day.saturating_add(1.day()).at(0, 0, 0, 0));
    end.map_or(day, |end| now.to_datetime(end.saturating_sub(1.millisecond()).unwrap_or(end)).date())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn policy(since: &str, zone: &str, profile: &str, content: u8) -> Policy {
        let months = Retention { content, ..Retention::DRAFT };
        Policy { since: date(since), zone: zone.into(), profile: profile.into(), months }
    }

    fn policies(rows: &[(&str, &str, &str, u8)]) -> Policies {
        let mut policies = Policies::default();
        for (since, zone, profile, content) in rows {
            policies.note(policy(since, zone, profile, *content));
        }
        policies
    }

    fn gone_from(policies: &Policies, day: &str) -> Date {
        policies.term(date(day)).unwrap().gone_from(Kind::Content)
    }

    #[test]
    fn a_day_keeps_the_longer_of_what_held_then_and_what_holds_now() {
        let zone = "Asia/Shanghai";
        let longer = policies(&[("2026-01-01", zone, "draft", 5), ("2026-05-01", zone, "order", 6)]);
        assert_eq!(gone_from(&longer, "2026-02-10"), date("2026-08-11"), "what holds now is longer");
        let shorter = policies(&[("2026-01-01", zone, "order", 6), ("2026-05-01", zone, "draft", 5)]);
        assert_eq!(gone_from(&shorter, "2026-02-10"), date("2026-08-11"), "it was promised then");
        assert_eq!(gone_from(&shorter, "2026-05-01"), date("2026-11-02"), "of the day of the change, too");
        assert_eq!(gone_from(&shorter, "2026-05-10"), date("2026-10-11"));
        let term = shorter.term(date("2026-02-10")).unwrap();
        assert_eq!(term.profile, "draft, order");
        assert_eq!(gone_from(&shorter, "2025-07-01"), date("2026-01-02"), "as the first that is known");
    }

    #[test]
    fn what_was_a_mistake_for_a_week_binds_only_the_days_of_that_week() {
        let zone = "Asia/Shanghai";
        let rows = [("2026-01-01", zone, "own", 5), ("2026-06-10", zone, "own", 60), ("2026-06-17", zone, "own", 5)];
        let policies = policies(&rows);
        assert_eq!(gone_from(&policies, "2026-05-01"), date("2026-10-02"));
        assert_eq!(gone_from(&policies, "2026-06-12"), date("2031-06-13"));
        assert_eq!(gone_from(&policies, "2026-07-01"), date("2026-12-02"));
    }

    #[test]
    fn noting_the_same_again_changes_nothing_and_old_policies_are_let_go() {
        let zone = "Asia/Shanghai";
        let mut policies = policies(&[("2026-01-01", zone, "a", 5), ("2026-02-01", zone, "b", 6)]);
        assert!(!policies.note(policy("2026-03-01", zone, "b", 6)));
        for content in [7, 6, 7, 6, 7] {
            assert!(policies.note(policy("2026-03-02", zone, "c", content)));
        }
        assert_eq!(policies.0.len(), 4, "two on the same day, however often");
        assert!(!policies.forget_before(date("2026-01-15")));
        assert!(policies.forget_before(date("2026-03-20")));
        assert_eq!(policies.0.len(), 1);
        policies.note(policy("2027-05-01", zone, "d", 5));
        assert!(policies.note(policy("2026-04-01", zone, "e", 5)), "the clock was a year ahead");
        assert_eq!(policies.term(date("2026-04-02")).unwrap().profile, "e, c, d");
        assert_eq!(policies.term(date("2026-04-05")).unwrap().profile, "e");
    }

    const ZONES: [&str; 5] =
        ["Asia/Shanghai", "America/Los_Angeles", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin"];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

        /// Whatever zone a day was named in: its last entry is not gone early by the calendar of now.
        #[test]
        fn nothing_goes_early_where_the_zone_has_changed(
            second in 1_700_000_000_i64..1_900_000_000,
            then in prop::sample::select(&ZONES[..]),
            now in prop::sample::select(&ZONES[..]),
            months in 5_u8..=12,
        ) {
            let at = Timestamp::from_second(second).unwrap();
            let (zone_then, zone_now) = (TimeZone::get(then).unwrap(), TimeZone::get(now).unwrap());
            let day = zone_then.to_datetime(at).date();
            let mut policies = Policies::default();
            let since = date("2020-01-01");
            let months = Retention { content: months, ..Retention::DRAFT };
            policies.note(Policy { since, zone: then.into(), profile: "p".into(), months });
            policies.note(Policy { since: day.saturating_add(9.days()), zone: now.into(), profile: "p".into(), months });
            let gone_from = policies.term(day).unwrap().gone_from(Kind::Content);
            let gone = zone_now.to_datetime(zone_now.to_timestamp(gone_from.at(0, 0, 0, 0)).unwrap());
            let expired = zone_now.to_datetime(at).checked_add(i32::from(months.content).months()).unwrap();
            prop_assert!(gone > expired, "{at} of {day}: {gone} is before {expired}");
            // Of a zone left behind, a day is up to two of the other, and between them a short month may end.
            prop_assert!(gone <= expired.checked_add(6.days()).unwrap(), "{at} of {day}: {gone} is late");
            prop_assert!(then != now || gone <= expired.checked_add(1.day()).unwrap(), "{at} of {day}: {gone} is late");
        }
    }
}
