//! Top-level domains: which of them make a bare host a link.
//!
//! Owns the list of all that are delegated, and the telling of a domain from the first word of a sentence whose
//! full stop has no blank behind it. Refuses to find hosts: `urls` does. With a scheme, a port, a path or
//! `www.` before it any name is a domain, and nobody asks here.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::rules::fold;

/// Those that make a bare host a link in whichever case, and whatever follows.
const COMMON: [&str; 38] = [
    "com", "cn", "net", "org", "top", "xyz", "cc", "vip", "shop", "club", "info", "me", "io", "co", "app", "link",
    "site", "online", "store", "live", "fun", "ink", "pro", "biz", "tv", "hk", "tw", "mobi", "ren", "website", "tech",
    "icu", "win", "gg", "ly", "example", "test", "gov",
];

/// Those that are no accident behind a 。, a 点 or an ideograph.
const CERTAIN: [&str; 7] = ["com", "cn", "org", "xyz", "net", "top", "cc"];

/// Those of them that are words where they start with a capital: "day 20。Net weight".
const WORDS_WITH_A_CAPITAL: [&str; 3] = ["net", "top", "cc"];

/// What a full stop ends without ending a sentence: "mr.wang", "no.one", "co.ltd".
const ABBREVIATIONS: [&str; 34] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "co", "corp", "inc", "pty", "pvt", "dept", "no", "nos", "vs",
    "etc", "eg", "ie", "al", "est", "approx", "min", "max", "hr", "hrs", "am", "pm", "ext", "ref", "vol", "pls", "plz",
];

/// Right before a host of ideographs whose domain is a word, what says that one is coming.
const LEADS: [&str; 9] = ["点击", "登录", "登陆", "访问", "打开", "进入", "网址", "官网", "链接"];

/// The same right before a host of Latin letters, whose domain may then be in capitals, or before another word.
const LATIN_LEADS: [&str; 6] = ["visit", "click", "goto", "browse", "website", "url"];

/// What follows those words and is no host: "visit us.today only".
const NO_HOSTS: [&str; 12] =
    ["us", "me", "it", "here", "there", "this", "that", "now", "today", "again", "soon", "online"];

/// Domains that a sentence starts with, or ends with and an exclamation mark: "order.now!".
const STARTERS: [&str; 20] = [
    "today", "now", "new", "one", "open", "save", "call", "buy", "free", "you", "how", "play", "watch", "try", "best",
    "here", "meet", "book", "read", "deals",
];

/// What a top-level domain is taken for where nothing but its name speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A domain.
    Common,
    /// A domain where it is written small.
    Rare,
    /// A domain where it is written small and no word follows.
    Word,
}

/// Every name, folded as the texts are, in order. One or two fold to Latin letters altogether: .рус reads as .pyc.
static TABLE: LazyLock<Vec<(Cow<'static, str>, Kind)>> = LazyLock::new(|| {
    let mut table: Vec<_> = COMMON.iter().map(|name| (Cow::Borrowed(*name), Kind::Common)).collect();
    let mut kind = Kind::Rare;
    for line in include_str!("domains.txt").lines().filter(|line| !line.starts_with('#')) {
        match line {
            "== rare" => kind = Kind::Rare,
            "== words" => kind = Kind::Word,
            names => table.extend(names.split_ascii_whitespace().map(|name| (fold::fold(name), kind))),
        }
    }
    table.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    table
});

fn kind(domain: &str) -> Option<Kind> {
    let index = TABLE.binary_search_by(|(name, _)| name.as_ref().cmp(domain)).ok()?;
    Some(TABLE[index].1)
}

/// Whether labels of ASCII, the last of them `domain`, are a host with nothing but these names to tell by.
pub(super) fn is_host(before: &str, labels: &str, domain: &str, behind: &str) -> bool {
    if COMMON.iter().any(|common| common.eq_ignore_ascii_case(domain)) {
        return true;
    }
    let label = labels.rsplit('.').next().unwrap_or(labels);
    if !label.bytes().any(|octet| octet.is_ascii_alphabetic()) {
        return false;
    }
    let starts = is_any(&STARTERS, domain);
    let is_led = || !starts && is_led(before) && !is_any(&NO_HOSTS, label);
    if !is_small(domain) {
        // "Visit Paris.Travel now" is two sentences.
        let shouts = !labels.bytes().chain(domain.bytes()).any(|octet| octet.is_ascii_lowercase());
        return shouts && is_led() && kind(&domain.to_ascii_lowercase()).is_some();
    }
    match kind(domain) {
        Some(Kind::Common | Kind::Rare) => true,
        Some(Kind::Word) if is_abbreviated(labels) => false,
        Some(Kind::Word) => is_led() || !(goes_on(behind) || starts && behind.starts_with('!')),
        None => false,
    }
}

/// Whether the word before says that a host comes.
fn is_led(before: &str) -> bool {
    let before = before.trim_end().trim_end_matches([':', '：']);
    let word = before.rsplit(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    is_any(&LATIN_LEADS, word)
}

fn is_any(words: &[&str], word: &str) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// The same of labels with others than ASCII among them. A domain in Latin letters stands right behind an
/// ideograph, as the first word of a sentence may.
pub(super) fn is_foreign_host(before: &str, labels: &str, domain: &str) -> bool {
    if domain.is_ascii() {
        return is_certain(domain);
    }
    // "Food.health.travel" in ideographs is a list.
    let is_led = || LEADS.iter().any(|lead| labels.starts_with(lead) || before.trim_end().ends_with(lead));
    match kind(domain) {
        Some(Kind::Rare) => true,
        Some(Kind::Word) => is_led(),
        Some(Kind::Common) | None => false,
    }
}

/// Whether it is one of those that are no accident wherever they stand.
pub(super) fn is_certain(domain: &str) -> bool {
    CERTAIN.iter().any(|certain| certain.eq_ignore_ascii_case(domain))
}

/// Whether it may be the first word of a sentence.
pub(super) fn is_word_with_a_capital(domain: &str) -> bool {
    !is_small(domain) && WORDS_WITH_A_CAPITAL.iter().any(|word| word.eq_ignore_ascii_case(domain))
}

fn is_small(domain: &str) -> bool {
    domain.bytes().all(|octet| octet.is_ascii_lowercase())
}

/// Whether the full stop is an abbreviation's: "mr.wang", "9 a.m.to".
fn is_abbreviated(labels: &str) -> bool {
    let is_letter = |label: &str| label.len() == 1;
    ABBREVIATIONS.iter().any(|known| known.eq_ignore_ascii_case(labels))
        || labels.contains('.') && labels.split('.').all(is_letter)
}

/// Whether a sentence goes on: "see you.today only", "see you.today's".
fn goes_on(behind: &str) -> bool {
    let is_more = |c: char| c.is_ascii_alphanumeric();
    match behind.strip_prefix(['\'', '’']) {
        Some(rest) => rest.starts_with(is_more),
        None => behind.starts_with(char::is_whitespace) && behind.trim_start().starts_with(is_more),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_says_one_thing_of_each_name() {
        assert!(TABLE.len() > 1300, "{} names", TABLE.len());
        for pair in TABLE.windows(2) {
            // Traditional and simplified characters fold to one name.
            assert!(pair[0].0 < pair[1].0 || pair[0] == pair[1] && !pair[0].0.is_ascii(), "{pair:?}");
        }
        assert!(TABLE.iter().all(|(name, _)| name.chars().all(|c| !c.is_ascii_uppercase() && c != '.')));
        for ending in ["zip", "mov", "rs", "py", "sh", "md", "pl", "ps", "cab", "java", "dot", "html", "pdf"] {
            assert_eq!(kind(ending), None, "{ending}");
        }
    }

    #[test]
    fn a_word_that_leads_to_a_host_speaks_for_it_and_an_exclamation_mark_against() {
        for (before, labels, domain, behind) in [
            ("VISIT ", "BAKERY", "TRAVEL", " NOW"),
            ("VISIT ", "BAKERY", "DE", ""),
            ("Please visit ", "bakery", "travel", " now"),
            ("URL: ", "shop.bakery", "pizza", " for more"),
            ("visit ", "bakery", "now", ""),
            ("", "bakery", "pizza", "!"),
        ] {
            assert!(is_host(before, labels, domain, behind), "{before}{labels}.{domain}{behind}");
        }
        for (before, labels, domain, behind) in [
            ("", "BAKERY", "TRAVEL", " NOW"),
            ("Visit ", "Paris", "Travel", " now"),
            ("visit ", "us", "today", " only"),
            ("VISIT ", "US", "TODAY", ""),
            ("VISIT ", "SHANGHAI", "TODAY", " ONLY"),
            ("visit our ", "store", "travel", " now"),
            ("Do not wait,", "order", "now", "!"),
            ("click ", "here", "travel", " now"),
        ] {
            assert!(!is_host(before, labels, domain, behind), "{before}{labels}.{domain}{behind}");
        }
    }

    #[test]
    fn what_speaks_for_a_host_depends_on_its_domain() {
        let alone = |labels, domain, behind| is_host("", labels, domain, behind);
        assert!(alone("Evil", "Com", " now") && alone("evil", "de", " now") && alone("evil", "pizza", ". Now"));
        assert!(!alone("evil", "De", "") && !alone("evil", "pizza", " now") && !alone("2", "de", ""));
        assert!(!alone("mr", "wang", "") && !alone("a.m", "to", "") && alone("evil", "wang", ""));
        assert!(is_foreign_host("", "青禾", "网站") && !is_foreign_host("", "美食", "购物"));
        assert!(is_foreign_host("", "登录青禾", "购物") && is_foreign_host("打开 ", "青禾", "购物"));
        assert!(is_foreign_host("", "青禾", "com") && !is_foreign_host("", "青禾", "de"));
    }
}
