//! The names of days and entries.
//!
//! Owns how they are written and read, and where a day begins and ends in a time zone.
//! Driven by the journal; printed and parsed by the command line.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A calendar day in the journal's time zone, written `20261124`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Day(pub Date);

/// An entry's name, the same for as long as it is kept: `20261124-000000123`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntryId {
    /// The day it is kept with.
    pub day: Day,
    /// Its place in that day, from 0.
    pub number: u64,
}

/// Not an entry's or a day's name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no entry name: expected day and number, as in 20261124-000000123")]
pub struct InvalidEntryId(pub String);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}{:02}{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:09}", self.day, self.number)
    }
}

impl FromStr for Day {
    type Err = InvalidEntryId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidEntryId(text.to_owned());
        if text.len() != 8 || !text.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(invalid());
        }
        let year = text[..4].parse().map_err(|_| invalid())?;
        let month = text[4..6].parse().map_err(|_| invalid())?;
        let day = text[6..].parse().map_err(|_| invalid())?;
        Date::new(year, month, day).map(Day).map_err(|_| invalid())
    }
}

impl FromStr for EntryId {
    type Err = InvalidEntryId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidEntryId(text.to_owned());
        let (day, number) = text.split_once('-').ok_or_else(invalid)?;
        if number.is_empty() || !number.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(invalid());
        }
        let day = day.parse().map_err(|_| invalid())?;
        Ok(Self { day, number: number.parse().map_err(|_| invalid())? })
    }
}

/// A day and the milliseconds it spans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) day: Day,
    pub(super) from_ms: i64,
    pub(super) until_ms: i64,
}

impl Span {
    /// The day a moment falls on; moments beyond the calendar count to its ends.
    pub(super) fn of(at_ms: i64, zone: &TimeZone) -> Self {
        let bounds = Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond();
        let at = Timestamp::from_millisecond(at_ms.clamp(*bounds.start(), *bounds.end())).unwrap_or_default();
        let date = zone.to_datetime(at).date();
        let start = |date: Date| zone.to_timestamp(date.at(0, 0, 0, 0)).map(Timestamp::as_millisecond);
        Self {
            day: Day(date),
            from_ms: start(date).unwrap_or(i64::MIN),
            until_ms: date.checked_add(1.day()).and_then(start).unwrap_or(i64::MAX),
        }
    }

    pub(super) fn holds(&self, at_ms: i64) -> bool {
        (self.from_ms..self.until_ms).contains(&at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn names_read_back() {
        let id = EntryId { day: day("20261124"), number: 123 };
        assert_eq!(id.to_string(), "20261124-000000123");
        assert_eq!(id.to_string().parse(), Ok(id));
        let large = EntryId { day: day("20240229"), number: u64::MAX };
        assert_eq!(large.to_string().parse(), Ok(large));
        for wrong in ["", "20261124", "20261124-", "20261124-+1", "20230229-1", "2026112-1", "２０２６-1", "20261124-x"]
        {
            assert_eq!(wrong.parse::<EntryId>(), Err(InvalidEntryId(wrong.to_owned())));
        }
    }

    #[test]
    fn a_day_ends_at_midnight_of_its_zone() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let midnight: Timestamp = "2026-11-23T16:00:00Z".parse().unwrap();
        let midnight = midnight.as_millisecond();
        let before = Span::of(midnight - 1, &zone);
        let after = Span::of(midnight, &zone);
        assert_eq!((before.day, after.day), (day("20261123"), day("20261124")));
        assert_eq!((before.until_ms, after.from_ms), (midnight, midnight));
        assert!(before.holds(midnight - 1) && !before.holds(midnight) && after.holds(midnight));
    }

    #[test]
    fn a_day_of_summer_time_has_its_own_length() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let at: Timestamp = "2026-03-29T12:00:00Z".parse().unwrap();
        let span = Span::of(at.as_millisecond(), &zone);
        assert_eq!(span.until_ms - span.from_ms, 23 * 3_600_000);
    }

    #[test]
    fn moments_beyond_the_calendar_have_a_day() {
        for at in [i64::MIN, i64::MAX] {
            let span = Span::of(at, &TimeZone::UTC);
            assert!(span.from_ms < span.until_ms);
        }
    }
}
