//! How often a consent allows messages: "4/month".
//!
//! Owns the one spelling that is kept and the many that are understood. Refuses a frequency that
//! allows nothing. Driven by imports and grants, by the gate's facts, and by R24 for what a request named.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

use super::{fold, r24_mo_consent};

/// So many messages in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frequency {
    /// Messages, at least 1.
    pub count: u16,
    /// In each of these.
    pub per: Period,
}

/// A calendar period, in the gate's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
    /// From January, April, July or October.
    Quarter,
    /// From January.
    Year,
}

impl Period {
    /// The words that are understood; the first of each period is the one that is kept.
    const WORDS: [(&str, Self); 22] = [
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
        ("quarter", Self::Quarter),
        ("year", Self::Year),
        ("days", Self::Day),
        ("daily", Self::Day),
        ("天", Self::Day),
        ("日", Self::Day),
        ("weeks", Self::Week),
        ("wk", Self::Week),
        ("weekly", Self::Week),
        ("周", Self::Week),
        ("星期", Self::Week),
        ("months", Self::Month),
        ("mo", Self::Month),
        ("monthly", Self::Month),
        ("月", Self::Month),
        ("季", Self::Quarter),
        ("季度", Self::Quarter),
        ("years", Self::Year),
        ("年", Self::Year),
    ];

    fn parse(word: &str) -> Option<Self> {
        let known = Self::WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word.trim()));
        known.map(|&(_, period)| period)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }
}

impl Frequency {
    /// About how many messages a year it comes to.
    pub const fn a_year(self) -> u32 {
        let periods = match self.per {
            Period::Day => 365,
            Period::Week => 52,
            Period::Month => 12,
            Period::Quarter => 4,
            Period::Year => 1,
        };
        self.count as u32 * periods
    }

    /// Reads "4/month", "1 per week", "4条/月", "每月4条", "weekly".
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((count, period)) = text.split_once('/').or_else(|| text.split_once(" per ")) {
            return Self::of(count, period);
        }
        if let Some(rest) = text.strip_prefix('每').or_else(|| text.strip_prefix('一')) {
            let digits = rest.find(|c: char| c.is_ascii_digit())?;
            return Self::of(&rest[digits..], rest[..digits].trim_start_matches('个'));
        }
        Some(Self { count: 1, per: Period::parse(text).filter(|_| text.to_ascii_lowercase().ends_with("ly"))? })
    }

    fn of(count: &str, period: &str) -> Option<Self> {
        let count = count.trim().trim_end_matches(['条', '次', '则']).trim();
        let count = count.parse().ok().filter(|count| *count > 0)?;
        Some(Self { count, per: Period::parse(period)? })
    }

    /// What a consent request says about it: 每月不超过4条, "2 messages per month".
    pub fn named_in(text: &str) -> Option<Self> {
        let folded = fold::fold(text);
        let patterns = NAMED.as_ref()?;
        let of = |number: &str, period: &str| {
            let count = r24_mo_consent::count(number).or(if number == "once" { Some(1) } else { None })?;
            let count = u16::try_from(count).ok().filter(|count| *count > 0)?;
            Some(Self { count, per: Period::parse(period)? })
        };
        let found = patterns.iter().find_map(|pattern| pattern.captures(&folded));
        if let Some(found) = found {
            return of(&found["count"].to_lowercase(), &found["per"]);
        }
        let adverb = ADVERB.as_ref()?.captures(&folded)?;
        Some(Self { count: 1, per: Period::parse(&adverb[1])? })
    }
}

/// As R12 looks for it, with the parts named.
static NAMED: LazyLock<Option<[Regex; 3]>> = LazyLock::new(|| {
    Some([
        Regex::new(r"[每一]个?(?<per>天|日|周|星期|月|季度|季|年)[^，。；]{0,8}?(?<count>\d+|[一二两三四五六七八九十]+)\s*[条次则]").ok()?,
        Regex::new(r"(?<count>\d+|[一二两三四五六七八九十]+)\s*[条次则]\s*/\s*(?<per>天|日|周|月|季|年)").ok()?,
        Regex::new(r"(?i)(?<count>\d+|one|two|three|four|five|once)\s*(?:msgs?|messages?|texts?|sms|times?)?[^.;]{0,12}(?:per|a|each|every|/)\s*(?<per>day|week|month|quarter|year|mo|wk)\b").ok()?,
    ])
});

static ADVERB: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)\b(daily|weekly|monthly)\b").ok());

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_comes_to_the_one_that_is_kept() {
        for (text, kept) in [
            ("4/month", "4/month"),
            (" 1 / Week ", "1/week"),
            ("2 per day", "2/day"),
            ("4条/月", "4/month"),
            ("每月4条", "4/month"),
            ("每个月 12条", "12/month"),
            ("10次/年", "10/year"),
            ("1/quarter", "1/quarter"),
            ("weekly", "1/week"),
        ] {
            let read = Frequency::parse(text).map(|frequency| frequency.to_string());
            assert_eq!(read.as_deref(), Some(kept), "{text}");
        }
    }

    #[test]
    fn what_allows_nothing_or_says_nothing_is_refused() {
        for text in ["", "0/month", "4", "month", "-1/day", "4/moon", "70000/day", "often", "每月", "4/", "/month"] {
            assert_eq!(Frequency::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_request_names_it() {
        for (text, kept) in [
            ("我们拟向您发送促销短信，每月不超过4条，为期12个月。", "4/month"),
            ("拟发送新品资讯短信，1条/周，有效期半年", "1/week"),
            ("每周最多两条", "2/week"),
            ("promotional texts, 2 messages per month, for 6 months.", "2/month"),
            ("receive our weekly offers", "1/week"),
            ("once a week", "1/week"),
        ] {
            let read = Frequency::named_in(text).map(|frequency| frequency.to_string());
            assert_eq!(read.as_deref(), Some(kept), "{text}");
        }
        assert_eq!(Frequency::named_in("同意请回复Y"), None);
    }
}
