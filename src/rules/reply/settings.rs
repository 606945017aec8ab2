//! What a profile says about replies: the words, the sentences and the times.

use std::time::Duration;

use jiff::SignedDuration;
use regex::RegexSet;

use super::words::compact;
use crate::document::Section;
use crate::rules::fold;

/// The `[replies]` of a profile, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Words that refuse wherever they are sent, beside the profile's and the port's keywords.
    pub(in crate::rules) refusals: Vec<String>,
    /// Words that refuse every sender of the provider.
    pub(in crate::rules) refusals_of_all: Vec<String>,
    /// What a clause that refuses has in it.
    pub(in crate::rules) refusing: RegexSet,
    /// What a clause has in it that does not refuse all the same.
    pub(in crate::rules) not_refusing: RegexSet,
    /// Words that say yes to a request.
    pub(in crate::rules) consents: Vec<String>,
    /// How long a request may be answered.
    pub request_window: SignedDuration,
    /// How long a consent holds whose request names a term that cannot be reckoned with.
    pub(in crate::rules) unclear_term_days: i64,
    /// How far back the last message is looked for.
    pub look_back: SignedDuration,
}

const HOUR: u64 = 60 * 60;

impl Default for Settings {
    fn default() -> Self {
        Self {
            refusals: Vec::new(),
            refusals_of_all: Vec::new(),
            refusing: RegexSet::empty(),
            not_refusing: RegexSet::empty(),
            consents: Vec::new(),
            request_window: SignedDuration::from_hours(72),
            unclear_term_days: 30,
            look_back: SignedDuration::from_hours(31 * 24),
        }
    }
}

impl Settings {
    pub(in crate::rules) fn read(&mut self, section: &Section<'_, '_>) {
        let Some(table) = section.section("replies") else { return };
        words(&table, "refusals", &mut self.refusals);
        words(&table, "refusals_of_all", &mut self.refusals_of_all);
        words(&table, "consents", &mut self.consents);
        patterns(&table, "refusing", &mut self.refusing);
        patterns(&table, "not_refusing", &mut self.not_refusing);
        time(&table, "request_window", &mut self.request_window);
        time(&table, "look_back", &mut self.look_back);
        let days = table.integer("unclear_term_days", 1..=366).and_then(|days| i64::try_from(days).ok());
        self.unclear_term_days = days.unwrap_or(self.unclear_term_days);
        table.finish();
    }
}

fn words(table: &Section<'_, '_>, key: &str, place: &mut Vec<String>) {
    let Some(given) = table.strings(key) else { return };
    let words: Vec<String> = given.into_iter().map(|word| compact(&fold::fold(word))).collect();
    if words.iter().any(String::is_empty) {
        table.fault(key, "a word needs a letter or a digit");
        return;
    }
    *place = words;
}

fn patterns(table: &Section<'_, '_>, key: &str, place: &mut RegexSet) {
    let Some(given) = table.strings(key) else { return };
    match RegexSet::new(given) {
        Ok(patterns) => *place = patterns,
        Err(error) => table.fault(key, format!("is no list of regular expressions: {error}")),
    }
}

fn time(table: &Section<'_, '_>, key: &str, place: &mut SignedDuration) {
    let Some(duration) = table.duration(key) else { return };
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(366 * 24 * HOUR));
    match SignedDuration::try_from(duration) {
        Ok(signed) if (least..=most).contains(&duration) => *place = signed,
        _ => table.fault(key, "must be from 1s to 8784h, which is a year"),
    }
}
