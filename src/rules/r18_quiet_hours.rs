//! R18 quiet-hours: commercial messages are delivered only at decent hours, where a profile says which.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use portcullis_protocol::CommandStatus;

use super::Code;
use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;
use crate::document::Section;

pub(super) const ABOUT: About = About {
    name: "quiet-hours",
    article: "profile (no such window is in the law)",
    sentence: "Commercial messages wait outside the hours in which the profile lets them be delivered.",
};

/// A window of the day in which something is allowed, its end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first minute.
    pub from: Time,
    /// The minute after its last.
    pub until: Time,
}

impl Window {
    /// Reads `08:00-21:00`, to the second where it says so.
    fn parse(text: &str) -> Option<Self> {
        let (from, until) = text.split_once('-')?;
        let time = |text: &str| {
            let text = text.trim();
            Time::strptime("%H:%M", text).or_else(|_| Time::strptime("%H:%M:%S", text)).ok()
        };
        Some(Self { from: time(from)?, until: time(until)? }).filter(|window| window.from != window.until)
    }

    /// Whether a time of day lies within; a window may run over midnight.
    pub fn contains(&self, time: Time) -> bool {
        if self.from < self.until {
            self.from <= time && time < self.until
        } else {
            self.from <= time || time < self.until
        }
    }
}

impl Window {
    /// The first moment from this one on that lies within.
    pub fn opens(&self, from: Timestamp, zone: &TimeZone) -> Timestamp {
        let local = zone.to_datetime(from);
        if self.contains(local.time()) {
            return from;
        }
        let today = local.time() < self.from;
        let day = if today { local.date() } else { local.date().tomorrow().unwrap_or(local.date()) };
        let opens = day.to_datetime(self.from).to_zoned_datetime(zone.clone());
        opens.map_or(from, |opens| opens.timestamp().max(from))
    }
}

/// Takes over `quiet_hours`, which names the hours that are *not* quiet, or `off`.
pub(super) fn read(window: &mut Option<Window>, section: &Section<'_, '_>) {
    let expected = "the hours of delivery, like \"08:00-21:00\", or \"off\"";
    let parsed = section.parsed("quiet_hours", expected, |text| match text {
        "off" => Some(None),
        text => Window::parse(text).map(Some),
    });
    *window = parsed.unwrap_or(*window);
}

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let window = case.profile.quiet_hours.filter(|_| case.is_marketing())?;
    let delivery = case.profile.time_zone.to_datetime(case.submission.delivery(case.now)).time();
    let why = || format!("{} lies outside {} to {}", clock(delivery), clock(window.from), clock(window.until));
    (!window.contains(delivery)).then(|| Flaw::hold(Code::Fixed(CommandStatus::ESME_RTHROTTLED), why()))
}

fn clock(time: Time) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_run_over_midnight() {
        let window = Window::parse("20:00-06:00").unwrap();
        assert!(window.contains(Time::constant(23, 0, 0, 0)) && window.contains(Time::constant(5, 59, 0, 0)));
        assert!(!window.contains(Time::constant(6, 0, 0, 0)) && !window.contains(Time::constant(12, 0, 0, 0)));
    }

    #[test]
    fn a_window_opens_today_or_tomorrow() {
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        let opens = |window: &str, from: &str| {
            let from: Timestamp = format!("2026-11-24T{from}:00+08:00").parse().unwrap();
            let opens = Window::parse(window).unwrap().opens(from, &zone);
            opens.to_zoned_datetime(zone.clone()).strftime("%d %H:%M").to_string()
        };
        assert_eq!(opens("08:00-21:00", "07:59"), "24 08:00");
        assert_eq!(opens("08:00-21:00", "08:00"), "24 08:00");
        assert_eq!(opens("08:00-21:00", "12:34"), "24 12:34");
        assert_eq!(opens("08:00-21:00", "21:00"), "25 08:00");
        assert_eq!(opens("20:00-06:00", "06:00"), "24 20:00");
        assert_eq!(opens("20:00-06:00", "23:00"), "24 23:00");
    }

    #[test]
    fn a_window_needs_two_different_times() {
        assert_eq!(Window::parse("08:00-08:00"), None);
        assert_eq!(Window::parse("8-25"), None);
        assert_eq!(Window::parse("08:00:30-09:00").unwrap().from, Time::constant(8, 0, 30, 0));
        assert_eq!(Window::parse("08:00"), None);
    }
}
