//! Working days as China's authorities count them: weekends, holidays, and the weekend days worked for them (调休).
//!
//! Owns the calendar, whose years are data. Refuses to guess: a year without a notice is counted by its
//! weekends alone, and whoever asks is told so. Pure. Driven by the terms of complaints.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Span;
use jiff::civil::{Date, Weekday};

use crate::document::{self, Complaints, Fault, Section};

/// The notices that come with the program.
const NOTICES: &str = include_str!("workdays/cn.toml");

/// How a day or a span of days is written.
const EXPECTED: &str = "a day of the year (\"10-01\") or a span (\"10-01..10-07\")";

/// Which days are worked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    years: BTreeSet<i16>,
    /// The days that are not as their weekday says, and whether they are worked.
    special: BTreeMap<Date, bool>,
}

impl Calendar {
    /// The notices that come with the program.
    pub fn built_in() -> Self {
        Self::parse(Path::new("cn.toml"), NOTICES).unwrap_or_default()
    }

    /// Reads notices; each year in them stands once.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Vec<Fault>> {
        let complaints = Complaints::new(path, text);
        let table = document::parse(text, &complaints);
        let top = Section::top(&table, &complaints);
        let mut calendar = Self::default();
        for section in top.sections("year") {
            calendar.read(&section);
            section.finish();
        }
        top.finish();
        match complaints.into_parts() {
            (faults, _) if faults.is_empty() => Ok(calendar),
            (faults, _) => Err(faults),
        }
    }

    /// Takes the years of another calendar in the place of its own.
    pub fn adopt(&mut self, other: Self) {
        self.special.retain(|date, _| !other.years.contains(&date.year()));
        self.special.extend(other.special);
        self.years.extend(other.years);
    }

    fn read(&mut self, section: &Section<'_, '_>) {
        if !section.contains("year") {
            section.fault("year", "is missing: which year these days are of");
        }
        let year = section.integer("year", 1949..=9998).and_then(|year| i16::try_from(year).ok());
        let Some(year) = year else { return };
        // Kept in the file for whoever checks it.
        section.required("notice");
        if !self.years.insert(year) {
            section.fault("year", format!("{year} stands here already"));
        }
        for (key, works) in [("off", false), ("worked", true)] {
            for text in section.strings(key).unwrap_or_default() {
                match days(year, text) {
                    Some(days) => days.into_iter().for_each(|day| self.set(section, key, day, works)),
                    None => section.fault(key, format!("{text:?} is no day of {year}: expected {EXPECTED}")),
                }
            }
        }
    }

    fn set(&mut self, section: &Section<'_, '_>, key: &str, day: Date, works: bool) {
        if works && !is_weekend(day) {
            section.fault(key, format!("{day} is no weekend day: it is worked anyway"));
        }
        if self.special.insert(day, works).is_some() {
            section.fault(key, format!("{day} stands here twice"));
        }
    }

    /// Whether there is a notice for that year.
    pub fn knows(&self, year: i16) -> bool {
        self.years.contains(&year)
    }

    /// Whether that day is worked.
    pub fn is_worked(&self, day: Date) -> bool {
        self.special.get(&day).copied().unwrap_or_else(|| !is_weekend(day))
    }

    /// The last day of a term of so many working days; the day it begins on is not counted.
    pub fn after(&self, begins: Date, working_days: u32) -> Date {
        let mut day = begins;
        let mut left = working_days;
        while left > 0 {
            let Ok(next) = day.tomorrow() else { return day };
            day = next;
            left -= u32::from(self.is_worked(day));
        }
        day
    }

    /// How many working days come after a day, up to another.
    pub fn between(&self, after: Date, until: Date) -> usize {
        let days = after.series(Span::new().days(1)).skip(1).take_while(|day| *day <= until);
        days.filter(|day| self.is_worked(*day)).count()
    }

    /// The years between two days that are counted by weekends alone, for want of a notice.
    pub fn unknown_between(&self, from: Date, until: Date) -> impl Iterator<Item = i16> + use<'_> {
        (from.year()..=until.year()).filter(|year| !self.knows(*year))
    }
}

fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// The days that a day or a span of a year names; none where it names none.
fn days(year: i16, text: &str) -> Option<Vec<Date>> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (day(year, first)?, day(year, last)?);
    let mut days = Vec::new();
    let mut next = first;
    while next <= last {
        days.push(next);
        next = next.tomorrow().ok()?;
    }
    (!days.is_empty()).then_some(days)
}

fn day(year: i16, text: &str) -> Option<Date> {
    let (month, day) = text.split_once('-')?;
    let is_plain = |text: &str| text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_digit());
    if !is_plain(month) || !is_plain(day) {
        return None;
    }
    Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let said = Calendar::parse(Path::new("own.toml"), text).unwrap_err();
        said.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_notices_are_read_and_have_as_many_days_as_they_say() {
        let calendar = Calendar::parse(Path::new("cn.toml"), NOTICES).unwrap();
        assert_eq!(calendar, Calendar::built_in());
        assert_eq!(calendar.years.iter().copied().collect::<Vec<_>>(), [2024, 2025, 2026]);
        // The days that the notices name, holidays and weekend days within them, and those worked for them.
        let count = |year, works| {
            calendar.special.iter().filter(|(day, worked)| day.year() == year && **worked == works).count()
        };
        assert_eq!([2024, 2025, 2026].map(|year| (count(year, false), count(year, true))), [(28, 8), (28, 5), (33, 6)]);
    }

    #[test]
    fn terms_pass_over_holidays_and_count_the_weekend_days_worked_for_them() {
        let calendar = Calendar::built_in();
        let terms = [
            // From a Monday, over nothing.
            (date(2026, 11, 23), 3, date(2026, 11, 26)),
            // Friday: Monday is the first.
            (date(2026, 11, 27), 3, date(2026, 12, 2)),
            // On a weekend: the same.
            (date(2026, 11, 28), 3, date(2026, 12, 2)),
            (date(2026, 11, 29), 3, date(2026, 12, 2)),
            // Saturday the 14th is worked, then nine days off: the 24th is the second.
            (date(2026, 2, 13), 1, date(2026, 2, 14)),
            (date(2026, 2, 13), 2, date(2026, 2, 24)),
            // The 28th, a Saturday, is worked.
            (date(2026, 2, 13), 6, date(2026, 2, 28)),
            (date(2026, 2, 13), 7, date(2026, 3, 2)),
            // Received on the National Day: the 8th is the first, and Saturday the 10th the third.
            (date(2026, 10, 1), 3, date(2026, 10, 10)),
            (date(2024, 9, 30), 5, date(2024, 10, 12)),
            (date(2025, 9, 26), 1, date(2025, 9, 28)),
        ];
        for (begins, days, ends) in terms {
            assert_eq!(calendar.after(begins, days), ends, "{days} working days from {begins}");
        }
    }

    #[test]
    fn a_year_without_a_notice_is_named() {
        let calendar = Calendar::built_in();
        let unknown = |from, until| calendar.unknown_between(from, until).collect::<Vec<_>>();
        assert_eq!(unknown(date(2026, 12, 20), date(2027, 1, 8)), [2027]);
        assert!(unknown(date(2025, 12, 20), date(2026, 1, 8)).is_empty());
    }

    #[test]
    fn a_file_of_ones_own_replaces_whole_years() {
        let mut calendar = Calendar::built_in();
        let own = "[[year]]\nyear = 2026\nnotice = \"own\"\noff = [\"12-24..12-25\"]\n\
                   [[year]]\nyear = 2027\nnotice = \"own\"\noff = [\"01-01\"]\nworked = [\"01-03\"]\n";
        calendar.adopt(Calendar::parse(Path::new("own.toml"), own).unwrap());
        assert!(calendar.knows(2027) && !calendar.is_worked(date(2027, 1, 1)) && calendar.is_worked(date(2027, 1, 3)));
        assert!(!calendar.is_worked(date(2026, 12, 24)));
        assert!(calendar.is_worked(date(2026, 10, 1)), "the notice of that year holds no longer");
        assert!(!calendar.is_worked(date(2025, 10, 1)));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_line() {
        let said = faults(
            "[[year]]\nyear = 2027\nnotice = \"own\"\noff = [\"02-30\", \"10-07..10-01\", \"1-1\"]\nworked = [\"02-15\"]\n\
             [[year]]\nyear = 2027\noff = [\"05-01\", \"05-01\"]\nholiday = 1\n",
        );
        let expected = [
            "\"02-30\" is no day of 2027",
            "\"10-07..10-01\" is no day",
            "\"1-1\" is no day",
            "2027-02-15 is no weekend day",
            "2027 stands here already",
            "2027-05-01 stands here twice",
            "notice",
            "holiday",
        ];
        for expected in expected {
            assert!(said.iter().any(|fault| fault.contains(expected)), "{expected}: {said:#?}");
        }
        assert!(said.iter().all(|fault| fault.contains("own.toml:")), "{said:#?}");
    }

    fn days_near() -> impl Strategy<Value = Date> {
        (0..1300_i64).prop_map(|after| date(2023, 12, 1).checked_add(after.days()).unwrap())
    }

    proptest! {
        #[test]
        fn a_term_ends_on_a_working_day_and_has_as_many_as_it_says(begins in days_near(), days in 1..40_u32) {
            let calendar = Calendar::built_in();
            let ends = calendar.after(begins, days);
            prop_assert!(calendar.is_worked(ends));
            let within = begins.series(1.day()).skip(1).take_while(|day| *day <= ends);
            prop_assert_eq!(within.filter(|day| calendar.is_worked(*day)).count(), days as usize);
        }

        #[test]
        fn who_begins_later_ends_no_sooner_and_terms_add_up(begins in days_near(), days in 1..20_u32, more in 1..20_u32) {
            let calendar = Calendar::built_in();
            let ends = calendar.after(begins, days);
            prop_assert!(calendar.after(begins.tomorrow().unwrap(), days) >= ends);
            prop_assert_eq!(calendar.after(ends, more), calendar.after(begins, days + more));
        }
    }

    #[test]
    fn the_end_of_the_calendar_ends_a_term() {
        assert_eq!(Calendar::default().after(Date::MAX, 15), Date::MAX);
    }
}
