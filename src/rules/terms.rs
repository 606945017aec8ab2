//! The clocks of a complaint (Art 29): 12321 forwards it within 3 working days, the company acts on it and
//! reports within 15, the user is answered within 3 more.
//!
//! Owns when each step is due, from what has happened so far. The day on which a term begins is not counted, and
//! it ends with its last working day, whatever the hour. Pure. Driven by `portcullis complaint`.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::workdays::Calendar;

/// Working days until 12321 has forwarded a complaint.
pub const FORWARD: u32 = 3;
/// Working days from then until the company has acted on it and reported.
pub const ACT: u32 = 15;
/// Working days from then until the user is answered.
pub const ANSWER: u32 = 3;

/// How a complaint came.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Channel {
    /// Through the reporting centre, which has a term of its own.
    #[serde(rename = "12321")]
    Hotline,
    /// Through the basic operator.
    #[serde(rename = "carrier")]
    Carrier,
    /// From the subscriber.
    #[default]
    #[serde(rename = "direct")]
    Direct,
}

impl Channel {
    /// The words for them.
    pub const WORDS: [(&'static str, Self); 3] =
        [("12321", Self::Hotline), ("carrier", Self::Carrier), ("direct", Self::Direct)];

    /// The word for it.
    pub fn name(self) -> &'static str {
        Self::WORDS.into_iter().find(|(_, channel)| *channel == self).map_or("direct", |(word, _)| word)
    }

    /// From its word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::WORDS.into_iter().find(|(word, _)| *word == name).map(|(_, channel)| channel)
    }
}

/// What happened to a complaint, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// How it came.
    pub channel: Channel,
    /// When it was made.
    pub received: Timestamp,
    /// When it reached whoever has to act on it; a hotline may still have to forward it.
    pub reached: Option<Timestamp>,
    /// When it was acted on and reported.
    pub acted: Option<Timestamp>,
    /// When the user was answered.
    pub answered: Option<Timestamp>,
    /// When it was closed: nothing is due any more.
    pub closed: Option<Timestamp>,
}

/// A step that has a term.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// 12321 passes it on.
    Forward,
    /// The company acts on it and reports.
    Act,
    /// The user is answered.
    Answer,
}

impl Stage {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Act => "act",
            Self::Answer => "answer",
        }
    }
}

/// One step's term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// The step.
    pub stage: Stage,
    /// The last day for it.
    pub due: Date,
    /// When it was done.
    pub done: Option<Timestamp>,
    /// Whether that was, or would be by now, after its last day.
    pub is_late: bool,
}

/// The terms of a complaint in their order, and what they rest on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Each step's.
    pub terms: Vec<Term>,
    /// The first step not done yet, while the complaint is open.
    pub next: Option<Term>,
    /// Years counted by weekends alone, for want of a notice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_years: Vec<i16>,
}

impl Terms {
    /// What a course comes to by `now`.
    pub fn of(course: &Course, calendar: &Calendar, zone: &TimeZone, now: Timestamp) -> Self {
        let day = |at: Timestamp| at.to_zoned_datetime(zone.clone()).date();
        // Of a closed complaint nothing becomes late any more.
        let until = day(course.closed.unwrap_or(now));
        let term =
            |stage, due, done: Option<Timestamp>| Term { stage, due, done, is_late: done.map_or(until, day) > due };
        let received = day(course.received);
        let mut terms = Vec::with_capacity(3);
        let mut reached = course.reached.map_or(received, day);
        if course.channel == Channel::Hotline {
            let due = calendar.after(received, FORWARD);
            terms.push(term(Stage::Forward, due, course.reached));
            reached = course.reached.map_or(due, day);
        }
        let act = calendar.after(reached, ACT);
        terms.push(term(Stage::Act, act, course.acted));
        let answer = calendar.after(course.acted.map_or(act, day), ANSWER);
        terms.push(term(Stage::Answer, answer, course.answered));
        let next = terms.iter().find(|term| term.done.is_none() && course.closed.is_none()).copied();
        let unknown_years = calendar.unknown_between(received, answer).collect();
        Self { terms, next, unknown_years }
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn zone() -> TimeZone {
        TimeZone::get("Asia/Shanghai").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn terms(course: &Course, now: &str) -> Terms {
        Terms::of(course, &Calendar::built_in(), &zone(), at(now))
    }

    fn due(terms: &Terms) -> Vec<(&'static str, Date)> {
        terms.terms.iter().map(|term| (term.stage.name(), term.due)).collect()
    }

    #[test]
    fn a_complaint_through_12321_has_three_terms() {
        // Friday before the National Day, 23:30 in Shanghai.
        let course =
            Course { channel: Channel::Hotline, received: at("2026-09-25T23:30:00+08:00"), ..Course::default() };
        let found = terms(&course, "2026-09-28T12:00:00+08:00");
        // 28, 29, 30 September; then from 8 October on, Saturday the 10th being worked.
        let expected = [("forward", date(2026, 9, 30)), ("act", date(2026, 10, 27)), ("answer", date(2026, 10, 30))];
        assert_eq!(due(&found), expected);
        assert_eq!(found.next.map(|term| term.stage), Some(Stage::Forward));
        assert!(found.terms.iter().all(|term| !term.is_late) && found.unknown_years.is_empty());
    }

    #[test]
    fn each_step_begins_when_the_one_before_was_done() {
        let mut course = Course {
            channel: Channel::Hotline,
            received: at("2026-11-02T09:00:00+08:00"),
            reached: Some(at("2026-11-03T09:00:00+08:00")),
            ..Course::default()
        };
        let found = terms(&course, "2026-11-25T09:00:00+08:00");
        assert_eq!(
            found.next.map(|term| (term.stage, term.due, term.is_late)),
            Some((Stage::Act, date(2026, 11, 24), true))
        );
        course.acted = Some(at("2026-11-10T18:00:00+08:00"));
        let found = terms(&course, "2026-11-13T23:59:59+08:00");
        assert_eq!(
            found.next.map(|term| (term.stage, term.due, term.is_late)),
            Some((Stage::Answer, date(2026, 11, 13), false))
        );
        assert!(terms(&course, "2026-11-14T00:00:00+08:00").next.is_some_and(|term| term.is_late));
        course.answered = Some(at("2026-11-12T10:00:00+08:00"));
        let found = terms(&course, "2027-11-25T09:00:00+08:00");
        assert!(found.next.is_none() && found.terms.iter().all(|term| !term.is_late));
    }

    #[test]
    fn the_day_is_that_of_the_zone_and_nothing_is_due_of_a_closed_one() {
        // 16:30 UTC of the 27th is the 28th in Shanghai, a Saturday.
        let mut course = Course { received: at("2026-11-27T16:30:00Z"), ..Course::default() };
        let now = at("2027-03-01T00:00:00Z");
        let here = Terms::of(&course, &Calendar::built_in(), &zone(), now);
        assert_eq!(due(&here)[0], ("act", date(2026, 12, 18)));
        let course_utc = Terms::of(&course, &Calendar::built_in(), &TimeZone::UTC, now);
        assert_eq!(due(&course_utc)[0], ("act", date(2026, 12, 18)), "from the Friday it is the same Monday on");
        course.closed = Some(at("2026-12-01T00:00:00Z"));
        let closed = terms(&course, "2027-03-01T00:00:00Z");
        assert!(closed.next.is_none() && closed.terms.iter().all(|term| !term.is_late));
    }

    #[test]
    fn a_term_into_a_year_without_a_notice_says_so() {
        let course = Course { received: at("2026-12-15T09:00:00+08:00"), ..Course::default() };
        assert_eq!(terms(&course, "2026-12-15T09:00:00+08:00").unknown_years, [2027]);
    }

    proptest! {
        /// Whatever the hour of a day, and however its zone lies, the terms are those of the day.
        #[test]
        fn the_hour_changes_nothing(day in 0..900_i64, hours in 0..24_i8, minutes in 0..60_i8, hotline: bool) {
            let zone = zone();
            let date = date(2024, 1, 1).checked_add(day.days()).unwrap();
            let channel = if hotline { Channel::Hotline } else { Channel::Direct };
            let moment = |hour, minute| date.at(hour, minute, 0, 0).to_zoned_datetime(zone.clone()).unwrap().timestamp();
            let of = |received| Terms::of(&Course { channel, received, ..Course::default() }, &Calendar::built_in(), &zone, received);
            prop_assert_eq!(of(moment(hours, minutes)), of(moment(0, 0)));
        }

        /// The steps are due in their order, none before its own term can be over.
        #[test]
        fn terms_are_in_order(day in 0..900_i64, acted in 0..30_i64) {
            let received = at("2024-01-01T10:00:00+08:00").checked_add((24 * day).hours()).unwrap();
            let acted = received.checked_add((24 * acted).hours()).unwrap();
            let calendar = Calendar::built_in();
            let course = Course { channel: Channel::Hotline, received, acted: Some(acted), ..Course::default() };
            let found = Terms::of(&course, &calendar, &zone(), acted);
            let received = received.to_zoned_datetime(zone()).date();
            prop_assert_eq!(found.terms[1].due, calendar.after(received, FORWARD + ACT));
            prop_assert_eq!(found.terms[2].due, calendar.after(acted.to_zoned_datetime(zone()).date(), ANSWER));
            prop_assert_eq!(found.terms[1].is_late, acted.to_zoned_datetime(zone()).date() > found.terms[1].due);
        }
    }
}
