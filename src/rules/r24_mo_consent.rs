//! R24 mo-consent (Art 16): a reply that answers a pending request with yes grants consent.
//!
//! The yes is the whole reply: a confirming word of the profile or the code the request names. The
//! consent holds for the term the request asked for, counted from the reply.

use std::sync::LazyLock;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ToSpan};
use regex::{Captures, Regex};

use super::reply::{Last, Word};
use super::rule::About;
use super::{Profile, fold, r12_consent_request};

pub(super) const ABOUT: About = About {
    name: "mo-consent",
    article: "Art 16",
    sentence: "A reply that confirms a pending consent request grants consent for the term the request named; both texts are kept.",
};

/// Whether the word says yes to whatever is asked.
pub(super) fn agrees(word: &Word, profile: &Profile) -> bool {
    profile.replies.consents.contains(&word.whole)
}

/// Until when the word grants consent; `None` where it does not.
pub(super) fn granted(word: &Word, last: &Last<'_>, profile: &Profile, now: Timestamp) -> Option<Timestamp> {
    let is_pending = !last.answered && last.at <= now && now.duration_since(last.at) <= profile.replies.request_window;
    if !is_pending {
        return None;
    }
    let request = fold::fold(&last.text);
    if !r12_consent_request::is_complete(&request) {
        return None;
    }
    let is_code = || r12_consent_request::codes(&request).any(|code| code == word.whole);
    (agrees(word, profile) || is_code()).then(|| expiry(&request, profile, now))
}

fn expiry(request: &str, profile: &Profile, now: Timestamp) -> Timestamp {
    let zone = &profile.time_zone;
    let unclear = || now.saturating_add(SignedDuration::from_hours(24 * profile.replies.unclear_term_days));
    let named = length(request)
        .and_then(|term| now.to_zoned_datetime(zone.clone()).checked_add(term).ok())
        .map(|end| end.timestamp())
        .or_else(|| last_moment(request, zone));
    named.filter(|end| *end > now).unwrap_or_else(|| unclear().unwrap_or(now))
}

static LENGTH: LazyLock<Option<[Regex; 2]>> = LazyLock::new(|| {
    Some([
        Regex::new(
            r"(?:为期|有效期|期限|持续|时长)[^，。；]{0,6}?(\d+|[一二两三四五六七八九十半]+)\s*个?(天|日|周|月|季度|年)",
        )
        .ok()?,
        Regex::new(
            r"(?i)\bfor (\d+|a|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve) (day|week|month|year)s?\b",
        )
        .ok()?,
    ])
});

/// How long the request says: 为期12个月, "for six months".
fn length(request: &str) -> Option<Span> {
    let found = LENGTH.as_ref()?.iter().find_map(|pattern| pattern.captures(request))?;
    span(&found[1], &found[2].to_lowercase())
}

fn span(number: &str, unit: &str) -> Option<Span> {
    if number == "半" {
        return match unit {
            "年" => Some(6.months()),
            "月" => Some(15.days()),
            _ => None,
        };
    }
    let number = count(number).filter(|number| (1..=1200).contains(number))?;
    Some(match unit {
        "天" | "日" | "day" => number.days(),
        "周" | "week" => number.weeks(),
        "月" | "month" => number.months(),
        "季度" => (3 * number).months(),
        _ => number.years(),
    })
}

/// A number in digits, in Chinese up to ninety-nine, or in English up to twelve.
pub(super) fn count(text: &str) -> Option<i64> {
    const ENGLISH: [&str; 12] =
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    let text = text.to_lowercase();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    if text == "a" {
        return Some(1);
    }
    if let Some(at) = ENGLISH.iter().position(|word| *word == text) {
        return i64::try_from(at + 1).ok();
    }
    let digit = |c: char| "零一二三四五六七八九".chars().position(|known| known == if c == '两' { '二' } else { c });
    let (tens, ones) = match text.split_once('十') {
        Some((tens, ones)) => (if tens.is_empty() { 1 } else { digit(single(tens)?)? }, ones),
        None => (0, text.as_str()),
    };
    let ones = if ones.is_empty() { 0 } else { digit(single(ones)?)? };
    i64::try_from(10 * tens + ones).ok()
}

fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

static UNTIL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:至|到|截止)\s*(\d{4})\s*(?:年底?|[./-])\s*(?:(\d{1,2})\s*(?:月底?|[./-])?\s*(?:(\d{1,2})\s*日?)?)?")
        .ok()
});

/// The end of the day, month or year the request names: 有效期至2027年6月.
fn last_moment(request: &str, zone: &TimeZone) -> Option<Timestamp> {
    let found = UNTIL.as_ref()?.captures(request)?;
    let number = |at| part(&found, at);
    let year = i16::try_from(number(1)?).ok()?;
    let next = match (number(2), number(3)) {
        (Some(month), Some(day)) => date(year, month, day)?.checked_add(1.day()),
        (Some(month), None) => date(year, month, 1)?.checked_add(1.month()),
        (None, _) => date(year, 1, 1)?.checked_add(1.year()),
    };
    DateTime::from(next.ok()?).to_zoned_datetime(zone.clone()).ok().map(|end| end.timestamp())
}

fn part(found: &Captures<'_>, at: usize) -> Option<i64> {
    found.get(at)?.as_str().parse().ok()
}

fn date(year: i16, month: i64, day: i64) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(request: &str) -> String {
        let now: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
        let zone = Profile::default().time_zone;
        expiry(request, &Profile::default(), now).to_zoned_datetime(zone).strftime("%Y-%m-%d %H:%M").to_string()
    }

    #[test]
    fn the_term_is_reckoned_in_calendar_months_from_the_reply() {
        for (request, expected) in [
            ("每月不超过4条，为期12个月。", "2027-11-24 16:00"),
            ("为期十二个月", "2027-11-24 16:00"),
            ("有效期半年", "2027-05-24 16:00"),
            ("为期两个季度", "2027-05-24 16:00"),
            ("期限30天", "2026-12-24 16:00"),
            ("2 messages per month, for six months.", "2027-05-24 16:00"),
            ("有效期至2027年6月30日", "2027-07-01 00:00"),
            ("截至2027-06", "2027-07-01 00:00"),
            ("有效期到2027年底", "2028-01-01 00:00"),
        ] {
            assert_eq!(end(request), expected, "{request}");
        }
    }

    #[test]
    fn a_term_that_is_over_or_unclear_lasts_as_the_profile_says() {
        for request in ["有效期至2026年6月30日", "until Christmas", "为期0天"] {
            assert_eq!(end(request), "2026-12-24 16:00", "{request}");
        }
    }

    #[test]
    fn the_patterns_compile() {
        assert!(LENGTH.is_some() && UNTIL.is_some());
    }
}
