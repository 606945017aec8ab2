//! What goes when: the days on disk against the terms that hold for them and the holds that stand.
//!
//! Owns the decision, as a pure function of what there is and of the day that it is. Refuses to look, to delete and
//! to read a clock. Driven by the retention.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::holds::Hold;
use super::policies::Policies;
use crate::rules::retention::Kind;
use crate::store::journal::Day;

/// So many days may pass without a record until the clock is doubted.
const SILENCE: i32 = 7;

/// Something on disk that has a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its day.
    pub day: Day,
    /// What it is.
    pub what: Piece,
    /// Its size.
    pub octets: u64,
    /// When the day begins and ends at the utmost, whatever the zone; UTC milliseconds.
    pub span_ms: (i64, i64),
}

/// A part of the evidence that goes as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Piece {
    /// The signalling of a day's entries.
    Signalling,
    /// A day of the journal.
    Day,
    /// A day that could not be read and was set aside: the name of its folder.
    Aside(String),
}

/// One thing that will go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The day.
    pub day: Date,
    /// What of it.
    pub what: Piece,
    /// From which day on it may be gone.
    pub goes_on: Date,
    /// Whether that has come.
    pub due: bool,
    /// How many months it is kept.
    pub months: u8,
    /// By which profiles.
    pub profile: String,
    /// What it takes on disk; of signalling, the day's.
    pub octets: u64,
    /// The holds that may keep entries of it.
    pub holds: Vec<String>,
    /// Whether it is due, and all that is left of it is what these holds keep.
    pub held: bool,
}

/// What a purge has left of something, because it is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remainder {
    /// The day.
    pub day: Date,
    /// What of it.
    pub what: Piece,
    /// The holds that keep it.
    pub holds: Vec<String>,
}

/// What goes when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The day it is made for.
    pub as_of: Date,
    /// What there is, in the order in which it goes.
    pub items: Vec<Item>,
    /// The most days that go in one night without an operator's word.
    pub at_most: usize,
    /// Two days between which nothing is on record, though so many are: the clock may have jumped.
    #[serde(default)]
    pub silence: Option<(Date, Date)>,
}

/// What is known beside what is on disk.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    /// How long days are kept.
    pub policies: &'k Policies,
    /// The holds that stand.
    pub holds: &'k [Hold],
    /// What purges have left.
    pub remainders: &'k [Remainder],
    /// The last day of which it is certain that it came; none where the day of the plan is made up.
    pub vouched: Option<Date>,
}

impl Plan {
    /// What goes with what is on disk, on a day.
    pub fn new(as_of: Date, stored: &[Stored], known: Known<'_>, at_most: usize) -> Self {
        let mut items: Vec<Item> = stored.iter().filter_map(|stored| item(as_of, stored, known)).collect();
        items.sort_by(|a, b| (a.goes_on, a.day, &a.what).cmp(&(b.goes_on, b.day, &b.what)));
        // Of a day that goes, the signalling goes with it.
        let goes = |day: Date, items: &[Item]| items.iter().any(|i| i.due && i.day == day && i.what == Piece::Day);
        let with_day: Vec<bool> =
            items.iter().map(|item| item.what == Piece::Signalling && item.due && goes(item.day, &items)).collect();
        let mut with_day = with_day.into_iter();
        items.retain(|_| !with_day.next().unwrap_or_default());
        Self { as_of, items, at_most, silence: known.vouched.and_then(|vouched| silence(vouched, as_of, stored)) }
    }

    /// What is to go now, oldest first.
    pub fn due(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.due && !item.held)
    }

    /// Why it is not done without an operator's word, where it is not.
    pub fn doubt(&self) -> Option<String> {
        let days_of = |signalling| {
            let of = move |item: &&Item| (item.what == Piece::Signalling) == signalling;
            let mut days: Vec<Date> = self.due().filter(of).map(|item| item.day).collect();
            days.dedup();
            days.len()
        };
        let days = days_of(false).max(days_of(true));
        if let Some((from, until)) = self.silence.filter(|_| days <= self.at_most) {
            return Some(format!(
                "nothing is on record between {from} and {until}: is the clock right? `portcullis retention plan` shows \
                 what would go, `retention run --yes` believes it"
            ));
        }
        (days > self.at_most).then(|| {
            format!(
                "{days} days are due at once, and more than {} in a night ask for an operator's word: is the clock \
                 right, {}, and the profile? `portcullis retention plan` shows them, `retention run --yes` lets them go",
                self.at_most, self.as_of
            )
        })
    }
}

/// Where the days on record do not come up to today: a gate that is there writes each day, if only of its purge.
fn silence(vouched: Date, as_of: Date, stored: &[Stored]) -> Option<(Date, Date)> {
    let days = stored.iter().filter(|stored| stored.what == Piece::Day).map(|stored| stored.day.0);
    let mut since: Vec<Date> =
        days.filter(|day| (vouched..as_of).contains(day)).chain([vouched.min(as_of), as_of]).collect();
    since.sort_unstable();
    let is_long = |pair: &&[Date]| (pair[1] - pair[0]).get_days() > SILENCE;
    since.windows(2).find(is_long).map(|pair| (pair[0], pair[1]))
}

fn item(as_of: Date, stored: &Stored, known: Known<'_>) -> Option<Item> {
    let term = known.policies.term(stored.day.0)?;
    let kind = if stored.what == Piece::Signalling { Kind::Signalling } else { Kind::Content };
    let goes_on = term.gone_from(kind);
    let (from_ms, until_ms) = stored.span_ms;
    let touching = known.holds.iter().filter(|hold| hold.order.reaches(from_ms, until_ms));
    let stands = |id: &String| known.holds.iter().any(|hold| hold.id == *id);
    let is_left =
        |left: &Remainder| left.day == stored.day.0 && left.what == stored.what && left.holds.iter().all(stands);
    Some(Item {
        day: stored.day.0,
        what: stored.what.clone(),
        goes_on,
        due: goes_on <= as_of,
        months: term.months.months(kind),
        profile: term.profile,
        octets: stored.octets,
        holds: touching.map(|hold| hold.id.clone()).collect(),
        held: goes_on <= as_of && known.remainders.iter().any(is_left),
    })
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use proptest::prelude::*;

    use super::super::holds::HoldOrder;
    use super::super::policies::Policy;
    use super::*;
    use crate::rules::retention::Retention;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn policies() -> Policies {
        let mut policies = Policies::default();
        let (zone, profile) = ("Asia/Shanghai".to_owned(), "draft".to_owned());
        policies.note(Policy { since: date("2020-01-01"), zone, profile, months: Retention::DRAFT });
        policies
    }

    fn stored(day: Date, what: Piece) -> Stored {
        let at = |date: Date| jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).unwrap().as_millisecond();
        let span_ms = (at(day.saturating_sub(1.day())), at(day.saturating_add(2.days())));
        Stored { day: Day(day), what, octets: 10, span_ms }
    }

    fn hold(order: HoldOrder) -> Hold {
        Hold { id: "H1".into(), order, by: "me".into(), at: jiff::Timestamp::UNIX_EPOCH, lifted: None }
    }

    fn plan(as_of: Date, stored: &[Stored], holds: &[Hold], remainders: &[Remainder]) -> Plan {
        Plan::new(as_of, stored, Known { policies: &policies(), holds, remainders, vouched: None }, 7)
    }

    #[test]
    fn signalling_goes_at_its_own_time_and_else_with_its_day() {
        let day = date("2026-01-31");
        let stored = [stored(day, Piece::Day), stored(day, Piece::Signalling)];
        let due = |as_of: &str| {
            let plan = plan(date(as_of), &stored, &[], &[]);
            plan.due().map(|item| item.what.clone()).collect::<Vec<_>>()
        };
        assert_eq!(due("2026-02-28"), []);
        assert_eq!(due("2026-03-01"), [Piece::Signalling]);
        assert_eq!(due("2026-06-30"), [Piece::Signalling]);
        assert_eq!(due("2026-07-01"), [Piece::Day]);
    }

    #[test]
    fn too_many_days_at_once_ask_for_a_word_but_what_is_left_of_held_ones_does_not_count() {
        let days: Vec<Stored> = (0..10).map(|n| stored(date("2026-01-01") + n.days(), Piece::Day)).collect();
        let held = hold(HoldOrder { msisdn: Some(8_613_800_138_000), ..HoldOrder::default() });
        let left = |day: &Stored| Remainder { day: day.day.0, what: Piece::Day, holds: vec!["H1".into()] };
        let doubt =
            |as_of: &str, left: &[Remainder]| plan(date(as_of), &days, std::slice::from_ref(&held), left).doubt();
        assert_eq!(doubt("2026-06-08", &[]), None);
        assert!(doubt("2026-06-09", &[]).is_some_and(|why| why.starts_with("8 days are due at once")));
        assert!(doubt("2027-06-09", &[]).is_some_and(|why| why.starts_with("10 days")));
        let left: Vec<Remainder> = days[..4].iter().map(left).collect();
        assert_eq!(doubt("2027-06-09", &left), None);
        let due = |holds: &[Hold]| plan(date("2027-06-09"), &days, holds, &left).due().count();
        assert_eq!((due(std::slice::from_ref(&held)), due(&[])), (6, 10), "once it is lifted they go");
    }

    #[test]
    fn days_of_which_nothing_is_on_record_ask_for_a_word() {
        let days = |days: &[&str]| -> Vec<Stored> { days.iter().map(|day| stored(date(day), Piece::Day)).collect() };
        let doubt = |vouched: &str, as_of: &str, there: &[&str]| {
            let known = Known { policies: &policies(), holds: &[], remainders: &[], vouched: Some(date(vouched)) };
            Plan::new(date(as_of), &days(there), known, 7).doubt()
        };
        assert_eq!(doubt("2026-03-01", "2026-03-08", &[]), None);
        assert!(doubt("2026-03-01", "2026-03-09", &[]).is_some_and(|why| why.contains("2026-03-01 and 2026-03-09")));
        assert_eq!(doubt("2026-03-01", "2026-03-12", &["2026-02-01", "2026-03-05"]), None);
        // What the clock that jumped has written itself is no witness.
        let why = doubt("2026-03-01", "2036-01-02", &["2026-03-01", "2026-03-02", "2036-01-01"]).unwrap();
        assert!(why.contains("2026-03-02 and 2036-01-01"), "{why}");
        assert_eq!(doubt("2026-03-09", "2026-03-01", &[]), None, "a clock that was ahead");
    }

    #[test]
    fn a_hold_is_named_where_its_time_touches_the_day() {
        let day = date("2026-01-10");
        let at = |text: &str| Some(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let of = |since, until| {
            let order = HoldOrder { since_ms: since, until_ms: until, ..HoldOrder::default() };
            let plan = plan(day, &[stored(day, Piece::Day)], &[hold(order)], &[]);
            plan.items[0].holds.len()
        };
        assert_eq!(of(at("2026-01-10T05:00:00Z"), at("2026-01-10T06:00:00Z")), 1);
        assert_eq!(of(at("2026-01-13T00:00:00Z"), None), 0);
        assert_eq!(of(None, at("2026-01-08T00:00:00Z")), 1, "what came back after its end");
        assert_eq!(of(None, at("2025-12-07T00:00:00Z")), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

        /// A gate that plans every day lets each day go on the very day it may, oldest first, and never more than
        /// three days at once, which is what a month without a 29th, 30th and 31st comes to.
        #[test]
        fn night_after_night_each_day_goes_when_its_time_has_come(start in 0_i32..20_000) {
            let start = date("1995-01-01").checked_add(start.days()).unwrap();
            let mut kept: Vec<Date> = (0..120).map(|n| start.checked_add(n.days()).unwrap()).collect();
            let policies = policies();
            for night in 100..300 {
                let today = start.checked_add(night.days()).unwrap();
                let yesterday = today.checked_sub(1.day()).unwrap();
                let stored: Vec<Stored> = kept.iter().map(|day| stored(*day, Piece::Day)).collect();
                let known = Known { policies: &policies, holds: &[], remainders: &[], vouched: Some(yesterday) };
                let plan = Plan::new(today, &stored, known, 7);
                prop_assert!(plan.doubt().is_none());
                let due: Vec<Date> = plan.due().map(|item| item.day).collect();
                prop_assert!(due.len() <= 4, "{today}: {due:?}");
                prop_assert_eq!(&due[..], &kept[..due.len()]);
                for day in &due {
                    prop_assert_eq!(Retention::DRAFT.gone_from(*day, Kind::Content), today);
                }
                kept.drain(..due.len());
            }
            prop_assert!(kept.is_empty());
        }
    }
}
