//! R19 frequency (profile, and the consent's own term): no more messages to a number than were agreed to.
//!
//! Owns what a frequency is and how it is counted: in the calendar's own periods, in the profile's
//! time zone, by the time of delivery. Refuses to remember: the facts say what was sent before.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Code;
use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;
use crate::document::Section;

pub(super) const ABOUT: About = About {
    name: "frequency",
    article: "profile; Order 31 Art 18 for the consent's own",
    sentence: "No more messages of a sender to a number, in a day or whatever the period is, than the profile and the consent allow.",
};

/// So many messages in one period of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frequency {
    /// The most messages.
    pub times: u16,
    /// In each of these.
    pub per: Period,
}

/// A period of the calendar; a week begins on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Period {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Period {
    /// The words of the settings.
    const WORDS: [(&'static str, Self); 5] = [
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
        ("quarter", Self::Quarter),
        ("year", Self::Year),
    ];

    /// The first day of the period that has this day.
    fn first(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => {
                let since = day.weekday().since(Weekday::Monday);
                day.saturating_sub(jiff::Span::new().days(since))
            }
            Self::Month => day.first_of_month(),
            Self::Quarter => {
                let month = (day.month() - 1) / 3 * 3 + 1;
                Date::new(day.year(), month, 1).unwrap_or(day)
            }
            Self::Year => day.first_of_year(),
        }
    }

    /// How long what was sent has to be remembered, at the longest.
    pub const fn days(self) -> u16 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 31,
            Self::Quarter => 92,
            Self::Year => 366,
        }
    }

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, period)| *period == self).map_or("", |(word, _)| word)
    }
}

impl FromStr for Frequency {
    type Err = ();

    /// Reads `2/day`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (times, per) = text.split_once('/').ok_or(())?;
        let times = times.trim().parse().ok().filter(|times| (1..=10_000).contains(times)).ok_or(())?;
        let (_, per) = Period::WORDS.into_iter().find(|(word, _)| *word == per.trim()).ok_or(())?;
        Ok(Self { times, per })
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.times, self.per.word())
    }
}

/// What a profile says about frequency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// No more than each of these; none for no bound.
    pub limits: Vec<Frequency>,
    /// How long the same message that came again counts as the one whose fate was not known.
    pub resubmission: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { limits: Vec::new(), resubmission: SignedDuration::from_hours(24) }
    }
}

impl Settings {
    pub(super) fn read(&mut self, section: &Section<'_, '_>) {
        let expected = "a number of messages and a period, like \"2/day\" or \"2/day, 10/month\", or \"off\"";
        let limits = section.parsed("frequency", expected, |text| match text {
            "off" => Some(Vec::new()),
            text => text.split(',').map(|limit| limit.parse().ok()).collect(),
        });
        self.limits = limits.unwrap_or_else(|| std::mem::take(&mut self.limits));
        let Some(window) = section.duration("resubmission_window") else { return };
        match SignedDuration::try_from(window) {
            Ok(window) if window <= SignedDuration::from_hours(31 * 24) => self.resubmission = window,
            _ => section.fault("resubmission_window", "must be no longer than 744h"),
        }
    }
}

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    if !case.is_marketing() {
        return None;
    }
    let facts = case.facts;
    let at = case.submission.delivery(case.now);
    let sent = |limit: Frequency| count(&facts.sent, limit.per, at, &case.profile.time_zone);
    let exceeded = |limit: &Frequency| sent(*limit) >= usize::from(limit.times);
    let (limit, whose) = match facts.frequency.filter(exceeded) {
        Some(limit) => (limit, "the consent"),
        None => (case.profile.frequency.limits.iter().copied().find(exceeded)?, "the profile"),
    };
    let (sent, period) = (sent(limit), limit.per.word());
    let why = format!("{whose} allows {} a {period} and {sent} went to the recipient in this one", limit.times);
    Some(Flaw::reject(Code::Own(0xD), why))
}

/// How many of these fall into the period of `at`.
fn count(sent: &[Timestamp], per: Period, at: Timestamp, zone: &TimeZone) -> usize {
    if sent.is_empty() {
        return 0;
    }
    let first_of = |at: Timestamp| per.first(zone.to_datetime(at).date());
    let period = first_of(at);
    sent.iter().filter(|sent| first_of(**sent) == period).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("{text}+08:00").parse().unwrap()
    }

    fn counted(per: Period, now: &str, sent: &[&str]) -> usize {
        let sent: Vec<Timestamp> = sent.iter().map(|text| at(text)).collect();
        count(&sent, per, at(now), &TimeZone::fixed(jiff::tz::offset(8)))
    }

    #[test]
    fn a_frequency_is_a_number_and_a_period() {
        let parsed: Frequency = "2/day".parse().unwrap();
        assert_eq!(parsed, Frequency { times: 2, per: Period::Day });
        assert_eq!(" 10 / month".parse::<Frequency>().unwrap().to_string(), "10/month");
        for text in ["", "2", "0/day", "-1/day", "2/days", "2/fortnight", "99999/day"] {
            assert!(text.parse::<Frequency>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_ends_at_midnight_of_the_zone() {
        let sent = ["2026-11-23T23:59:59", "2026-11-24T00:00:00", "2026-11-24T12:00:00"];
        assert_eq!(counted(Period::Day, "2026-11-24T23:59:59", &sent), 2);
        assert_eq!(counted(Period::Day, "2026-11-23T00:00:00", &sent), 1);
        assert_eq!(counted(Period::Day, "2026-11-25T00:00:00", &sent), 0);
    }

    #[test]
    fn longer_periods_are_the_calendars() {
        // 2026-11-23 is a Monday.
        let sent = ["2026-11-22T12:00:00", "2026-11-23T12:00:00", "2026-10-01T00:00:00", "2026-01-01T00:00:00"];
        assert_eq!(counted(Period::Week, "2026-11-29T23:00:00", &sent), 1);
        assert_eq!(counted(Period::Month, "2026-11-30T23:00:00", &sent), 2);
        assert_eq!(counted(Period::Quarter, "2026-12-31T23:00:00", &sent), 3);
        assert_eq!(counted(Period::Year, "2026-12-31T23:00:00", &sent), 4);
        assert_eq!(counted(Period::Year, "2027-01-01T00:00:00", &sent), 0);
    }
}
