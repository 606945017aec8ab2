//! How long each kind of evidence is kept, in calendar months, and the day from which it may be gone (rulebook §1).
//!
//! Owns the months of a profile, the law's least ones, and the calendar: a term of months begins the day after the
//! event and lasts to the end of the day that has the same number in its last month, or of that month where it has no
//! such day (Civil Code Art 201-203). Refuses to read a clock and to know what is on disk. Driven by the profile
//! (reading) and by the gate's retention (deciding).

use jiff::civil::Date;
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize};

use crate::document::Section;

/// The longest that can be set, in months.
const LONGEST: u64 = 240;

/// What is kept for a time of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// How a message travelled: addresses, sessions, sequence numbers.
    Signalling,
    /// The send record with the text, its outcome, receipts and replies.
    Content,
    /// What proves a consent.
    ConsentEvidence,
    /// Consents and refusals, after the relationship ended.
    Subscriptions,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Signalling, Self::Content, Self::ConsentEvidence, Self::Subscriptions];

    /// As settings and plans name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signalling => "signalling",
            Self::Content => "content",
            Self::ConsentEvidence => "consent-evidence",
            Self::Subscriptions => "subscriptions",
        }
    }

    /// Its key in `[retention]`.
    const fn key(self) -> &'static str {
        match self {
            Self::ConsentEvidence => "consent_evidence",
            other => other.name(),
        }
    }
}

/// How long evidence is kept, in calendar months.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Signalling.
    pub signalling: u8,
    /// Send records with their text, outcomes, receipts and replies.
    pub content: u8,
    /// What proves a consent.
    pub consent_evidence: u8,
    /// Consents and refusals, after the relationship ended.
    pub subscriptions: u8,
}

impl Retention {
    /// What holds where a profile says nothing: the draft's months.
    pub const DRAFT: Self = Self { signalling: 1, content: 5, consent_evidence: 5, subscriptions: 5 };

    /// How many months a kind is kept.
    pub const fn months(&self, kind: Kind) -> u8 {
        match kind {
            Kind::Signalling => self.signalling,
            Kind::Content => self.content,
            Kind::ConsentEvidence => self.consent_evidence,
            Kind::Subscriptions => self.subscriptions,
        }
    }

    /// The last day on which what happened on `day` is kept.
    pub fn last_day(&self, day: Date, kind: Kind) -> Date {
        day.saturating_add(Span::new().months(self.months(kind)))
    }

    /// The first day on which what happened on `day` may be gone, from its midnight on.
    pub fn gone_from(&self, day: Date, kind: Kind) -> Date {
        self.last_day(day, kind).saturating_add(1.day())
    }

    /// Of each kind the longer of two.
    pub fn longest(&self, other: &Self) -> Self {
        Self {
            signalling: self.signalling.max(other.signalling),
            content: self.content.max(other.content),
            consent_evidence: self.consent_evidence.max(other.consent_evidence),
            subscriptions: self.subscriptions.max(other.subscriptions),
        }
    }

    fn place(&mut self, kind: Kind) -> &mut u8 {
        match kind {
            Kind::Signalling => &mut self.signalling,
            Kind::Content => &mut self.content,
            Kind::ConsentEvidence => &mut self.consent_evidence,
            Kind::Subscriptions => &mut self.subscriptions,
        }
    }
}

/// The months of a profile, and the least that its law allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is kept how long.
    pub months: Retention,
    least: Retention,
    /// Which articles say so, by kind.
    articles: [String; Kind::ALL.len()],
}

impl Default for Settings {
    fn default() -> Self {
        let of_draft = || "Art 8 of the draft of 2020".to_owned();
        Self {
            months: Retention::DRAFT,
            least: Retention::DRAFT,
            articles: [of_draft(), of_draft(), "Art 19 of the draft of 2020".to_owned(), of_draft()],
        }
    }
}

impl Settings {
    /// Takes over what `[retention]` says. A table with `articles` is a law's own: what it sets is the least from then on.
    pub(super) fn read(&mut self, section: &Section<'_, '_>) {
        let Some(table) = section.section("retention") else { return };
        let of_law = table.section("articles");
        for kind in Kind::ALL {
            let months = table.integer(kind.key(), 1..=LONGEST).and_then(|months| u8::try_from(months).ok());
            let article = of_law.as_ref().and_then(|articles| articles.string(kind.key()));
            if let (Some(months), Some(article)) = (months, article) {
                *self.least.place(kind) = months;
                article.clone_into(&mut self.articles[kind as usize]);
            }
            let Some(months) = months else { continue };
            self.check(kind, months, &table);
            *self.months.place(kind) = months;
        }
        if let Some(articles) = of_law {
            articles.finish();
        }
        table.finish();
    }

    fn check(&self, kind: Kind, months: u8, table: &Section<'_, '_>) {
        let least = self.least.months(kind);
        if months < least {
            let article = &self.articles[kind as usize];
            table.fault(kind.key(), format!("must be at least {least} months: {article} asks for that"));
        }
        if kind == Kind::Content && months < self.months.signalling {
            table.fault(kind.key(), "must be at least as long as signalling, which is of no use without it");
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::document::{self, Complaints};

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn kept(months: u8) -> Retention {
        Retention { signalling: months, content: months, consent_evidence: months, subscriptions: months }
    }

    #[test]
    fn months_end_with_the_calendar() {
        for (day, months, gone_from) in [
            ("2026-11-23", 1, "2026-12-24"),
            ("2026-01-31", 1, "2026-03-01"),
            ("2024-01-31", 1, "2024-03-01"),
            ("2024-01-29", 1, "2024-03-01"),
            ("2026-01-28", 1, "2026-03-01"),
            ("2026-02-28", 1, "2026-03-29"),
            ("2024-02-29", 12, "2025-03-01"),
            ("2026-03-31", 6, "2026-10-01"),
            ("2026-09-30", 5, "2027-03-01"),
            ("2026-12-31", 5, "2027-06-01"),
            ("2026-07-15", 5, "2026-12-16"),
        ] {
            let found = kept(months).gone_from(date(day), Kind::Content);
            assert_eq!(found, date(gone_from), "{day} and {months} months");
        }
    }

    #[test]
    fn five_months_can_be_153_days_and_six_184() {
        let length = |day: &str, months| date(day).until(kept(months).last_day(date(day), Kind::Content)).unwrap();
        assert_eq!(length("2026-05-01", 5).get_days(), 153);
        assert_eq!(length("2026-03-01", 6).get_days(), 184);
    }

    /// Zones with and without summer time, with half hours, on both sides of the date line, and one that left out a day.
    const ZONES: [&str; 8] = [
        "Asia/Shanghai",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Pacific/Kiritimati",
        "UTC",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) })]

        /// The entry is kept until its own time of day has come round in its last month, and is gone a day later.
        #[test]
        fn nothing_goes_early_and_nothing_stays_later_than_a_day(
            second in 0_i64..4_000_000_000,
            zone in prop::sample::select(&ZONES[..]),
            months in 1_u8..=24,
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let at = zone.to_datetime(Timestamp::from_second(second).unwrap());
            let expired = at.checked_add(i32::from(months).months()).unwrap();
            let gone_from = kept(months).gone_from(at.date(), Kind::Content);
            let gone = zone.to_datetime(zone.to_timestamp(gone_from.at(0, 0, 0, 0)).unwrap());
            prop_assert!(gone > expired, "{at}: {gone} is early");
            let longest = expired.checked_add(1.day()).unwrap();
            // The day that Samoa left out cannot be purged on.
            let skipped = gone.date() > gone_from;
            prop_assert!(gone <= longest || skipped, "{at}: {gone} is late");
        }

        /// A later day never goes before an earlier one, so that days can be purged from the oldest on.
        #[test]
        fn days_go_in_their_order(offset in 0_i32..40_000, step in 1_i32..60, months in 1_u8..=240) {
            let day = date("1990-01-01").checked_add(offset.days()).unwrap();
            let later = day.checked_add(step.days()).unwrap();
            let gone_from = |day| kept(months).gone_from(day, Kind::Content);
            prop_assert!(gone_from(day) <= gone_from(later));
            prop_assert!(kept(months).gone_from(day, Kind::Signalling) > day);
        }
    }

    fn read(settings: &mut Settings, text: &str) -> Vec<String> {
        let complaints = Complaints::new(std::path::Path::new("p.toml"), text);
        let table = document::parse(text, &complaints);
        let top = Section::top(&table, &complaints);
        settings.read(&top);
        top.finish();
        complaints.into_parts().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_shorter_than_the_law_names_its_article() {
        let mut settings = Settings::default();
        let law = "[retention]\ncontent = 6\nsignalling = 1\n[retention.articles]\ncontent = \"Art 21 of Order 74\"\n";
        assert_eq!(read(&mut settings, law), Vec::<String>::new());
        assert_eq!(settings.months.content, 6);
        let faults = read(&mut settings, "[retention]\ncontent = 5\nsignaling = 1\n");
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("p.toml:2: retention.content:") && faults[0].contains("Art 21 of Order 74"));
        assert!(faults[1].contains("did you mean \"signalling\""), "{faults:?}");
        let faults = read(&mut settings, "[retention]\nconsent_evidence = 4\n");
        assert!(faults[0].contains("Art 19"), "{faults:?}");
        assert_eq!(read(&mut settings, "[retention]\ncontent = 7\nsignalling = 2\n"), Vec::<String>::new());
        let faults = read(&mut settings, "[retention]\nsignalling = 8\ncontent = 7\n");
        assert!(faults[0].contains("as long as signalling"), "{faults:?}");
    }
}
