//! R19 frequency (profile, and the consent's own term): no more messages to a number than were agreed to.
//!
//! Owns how a frequency is counted: in the calendar's own periods, in the profile's
//! time zone, by the time of delivery. Refuses to remember: the facts say what was sent before.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;
use super::{Code, Frequency, Period};
use crate::document::Section;

/// What it answers.
pub const EXCEEDED: Code = Code::Own(0xD);

/// How a finding begins that rests on what the recipient agreed to, and not on the profile.
pub const CONSENT: &str = "the consent";

pub(super) const ABOUT: About = About {
    name: "frequency",
    article: "profile; Order 31 Art 18 for the consent's own",
    sentence: "No more messages of a sender to a number, in a day or whatever the period is, than the profile and the consent allow.",
};

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
        let expected =
            "a number of messages, 1 to 255, and a period, like \"2/day\" or \"2/day, 10/month\", or \"off\"";
        let limits = section.parsed("frequency", expected, |text| match text {
            "off" => Some(Vec::new()),
            text => text.split(',').map(Frequency::parse).collect(),
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
    let exceeded = |limit: &Frequency| sent(*limit) >= usize::from(limit.count);
    let (limit, whose) = match facts.frequency.filter(exceeded) {
        Some(limit) => (limit, CONSENT),
        None => (case.profile.frequency.limits.iter().copied().find(exceeded)?, "the profile"),
    };
    let (sent, period) = (sent(limit), limit.per.name());
    let why = format!("{whose} allows {} a {period} and {sent} went to the recipient in this one", limit.count);
    Some(Flaw::reject(EXCEEDED, why))
}

/// The first day of the period that has this day; a week begins on Monday.
fn first_day(per: Period, day: Date) -> Date {
    match per {
        Period::Day => day,
        Period::Week => day.saturating_sub(Span::new().days(day.weekday().since(Weekday::Monday))),
        Period::Month => day.first_of_month(),
        Period::Quarter => Date::new(day.year(), (day.month() - 1) / 3 * 3 + 1, 1).unwrap_or(day),
        Period::Year => day.first_of_year(),
    }
}

/// When the longest of the periods began that this moment is in; `None` without limits.
pub fn begin(limits: &[Frequency], at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let day = zone.to_datetime(at).date();
    let first = limits.iter().map(|limit| first_day(limit.per, day)).min()?;
    Some(first.to_datetime(Time::midnight()).to_zoned_datetime(zone.clone()).ok()?.timestamp())
}

/// For how many days a message matters to a frequency, at the longest.
pub const fn days(per: Period) -> u16 {
    match per {
        Period::Day => 1,
        Period::Week => 7,
        Period::Month => 31,
        Period::Quarter => 92,
        Period::Year => 366,
    }
}

/// How many of these fall into the period of `at`.
fn count(sent: &[Timestamp], per: Period, at: Timestamp, zone: &TimeZone) -> usize {
    if sent.is_empty() {
        return 0;
    }
    let first_of = |at: Timestamp| first_day(per, zone.to_datetime(at).date());
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
    fn the_longest_period_begins_where_its_calendar_says() {
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        let limit = |text: &str| Frequency::parse(text).unwrap();
        let now = at("2026-11-25T00:30:00");
        assert_eq!(begin(&[], now, &zone), None);
        assert_eq!(begin(&[limit("2/day")], now, &zone), Some(at("2026-11-25T00:00:00")));
        assert_eq!(begin(&[limit("2/day"), limit("5/week")], now, &zone), Some(at("2026-11-23T00:00:00")));
        assert_eq!(begin(&[limit("9/year"), limit("1/month")], now, &zone), Some(at("2026-01-01T00:00:00")));
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
