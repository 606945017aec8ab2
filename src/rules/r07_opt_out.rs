//! R07 opt-out told (Art 19): the raw text ends with an accepted phrase whose keyword the gate honours.

use std::ops::RangeInclusive;

use jiff::SignedDuration;

use super::Code;
use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;
use crate::document::Section;
use crate::register::Port;

pub(super) const ABOUT: About = About {
    name: "opt-out-told",
    article: "Art 19",
    sentence: "A commercial message must end with a convenient, effective way to refuse it, such as 拒收请回复R.",
};

const OPT_OUT: Code = Code::Own(5);

/// Where the keyword stands in a phrase.
const KEYWORD: &str = "{keyword}";
/// The longest phrase that is looked for, in characters without blanks.
const LONGEST_PHRASE: usize = 64;
/// The longest keyword.
const LONGEST_KEYWORD: usize = 10;

/// How long a lost reply route may be borne.
const BOUNDS: RangeInclusive<SignedDuration> = SignedDuration::from_secs(1)..=SignedDuration::from_hours(31 * 24);

/// What a profile says about refusing.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    phrases: Vec<Phrase>,
    keywords: Vec<String>,
    /// How long a provider may have no bind that receives replies; no limit where none is set.
    dead_after: Option<SignedDuration>,
}

/// An accepted phrase, in the form in which ends of texts are compared.
#[derive(Clone, Debug)]
struct Phrase {
    before: Vec<char>,
    after: Vec<char>,
}

impl Settings {
    pub(super) fn read(&mut self, section: &Section<'_, '_>) {
        if let Some(phrases) = section.strings("opt_out_phrases") {
            self.phrases = phrases.into_iter().filter_map(|phrase| Phrase::read(section, phrase)).collect();
        }
        if let Some(keywords) = section.strings("opt_out_keywords") {
            self.keywords = keywords.into_iter().map(str::to_uppercase).collect();
        }
        let expected = "how long a provider may be without a bind that receives, like \"24h\" (1s to 744h), or \"off\"";
        let dead_after = section.parsed("reply_route_dead_after", expected, |text| match text {
            "off" => Some(None),
            text => text.parse().ok().filter(|time| BOUNDS.contains(time)).map(Some),
        });
        self.dead_after = dead_after.unwrap_or(self.dead_after);
    }

    /// How long a reply route may be lost before its keywords count as not honoured.
    pub fn dead_after(&self) -> Option<SignedDuration> {
        self.dead_after
    }

    /// The keywords of the profile.
    pub(super) fn keywords(&self) -> impl Iterator<Item = &String> {
        self.keywords.iter()
    }

    /// Whether a folded text offers this keyword anywhere as the way to refuse: who refuses is not held to where
    /// the offer stood.
    pub(super) fn offers(&self, folded: &str, keyword: &str) -> bool {
        let text: Vec<char> = folded.chars().filter_map(comparable).collect();
        let ends = (1..=text.len()).filter(|&end| !text.get(end).is_some_and(char::is_ascii_alphanumeric));
        ends.map(|end| &text[..end]).any(|text| {
            let mut found = self.phrases.iter().filter_map(|phrase| phrase.find(text));
            found.any(|(offered, _)| keyword.chars().eq(offered.iter().copied()))
        })
    }

    /// Whether a reply with this keyword is honoured on a port; `TD*` stands for TD and up to four more.
    fn honours(&self, port: Option<&Port>, keyword: &[char]) -> bool {
        let own = port.and_then(|port| port.opt_out.as_deref());
        port.is_none_or(|port| port.replies) && own.unwrap_or(&self.keywords).iter().any(|known| covers(known, keyword))
    }
}

pub(super) fn covers(known: &str, keyword: &[char]) -> bool {
    match known.strip_suffix('*') {
        Some(stem) => {
            let stem_length = stem.chars().count();
            keyword.len() <= stem_length + 4 && stem.chars().eq(keyword.iter().copied().take(stem_length))
        }
        None => known.chars().eq(keyword.iter().copied()),
    }
}

impl Phrase {
    fn read(section: &Section<'_, '_>, text: &str) -> Option<Self> {
        let Some((before, after)) = text.split_once(KEYWORD) else {
            section.fault("opt_out_phrases", format!("{text:?} does not say where the keyword stands: {KEYWORD}"));
            return None;
        };
        let form = |text: &str| text.chars().filter_map(comparable).collect();
        let phrase = Self { before: form(before), after: form(after) };
        if phrase.before.len() + phrase.after.len() < 2 || phrase.before.len() + phrase.after.len() > LONGEST_PHRASE / 2
        {
            section.fault("opt_out_phrases", format!("{text:?} must have 2 to {} characters", LONGEST_PHRASE / 2));
            return None;
        }
        Some(phrase)
    }

    /// The keyword in a text's end that has this phrase, and where the phrase starts.
    fn find<'e>(&self, end: &'e [char]) -> Option<(&'e [char], usize)> {
        let head = without_end(end, &self.after)?;
        // No more than matter.
        let last = head.iter().rev().take(LONGEST_KEYWORD + 1);
        let run = last.take_while(|c| c.is_ascii_alphanumeric()).count();
        // Behind a letter the keyword may start anywhere in the run, behind an ideograph only with it.
        let shortest = if self.before.last().is_some_and(char::is_ascii_alphanumeric) { 1 } else { run.max(1) };
        (shortest..=run.min(LONGEST_KEYWORD)).find_map(|length| {
            let (rest, keyword) = head.split_at(head.len() - length);
            without_end(rest, &self.before).map(|rest| (keyword, rest.len()))
        })
    }
}

/// What stands before an ending. Compares from the last character, where most phrases differ already.
fn without_end<'c>(text: &'c [char], ending: &[char]) -> Option<&'c [char]> {
    let rest = text.len().checked_sub(ending.len())?;
    text.iter().rev().zip(ending.iter().rev()).all(|(left, right)| left == right).then(|| &text[..rest])
}

/// How a text tells the way to refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Not, or not at its end.
    No,
    /// With a keyword that does nothing.
    InVain(String),
    /// As it should; the text before the phrase is this long.
    Yes(usize),
}

/// Looks for an accepted phrase at the end of a text.
pub(super) fn told(text: &str, settings: &Settings, port: Option<&Port>) -> Told {
    look(
        text,
        settings,
        port,
        |start, keyword, is_honoured| {
            if is_honoured { Told::Yes(start) } else { Told::InVain(keyword.iter().collect()) }
        },
    )
    .unwrap_or(Told::No)
}

/// An accepted phrase as it stands at the end of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) keyword: String,
    pub(super) is_honoured: bool,
}

/// The same, with where it stands and what it asks to be sent: for who wants to see it.
pub(super) fn offer(text: &str, settings: &Settings, port: Option<&Port>) -> Option<Offer> {
    let end = text.trim_end_matches(is_closing).len();
    look(text, settings, port, |start, keyword, is_honoured| {
        let keyword = keyword.iter().collect();
        Offer { start, end, keyword, is_honoured }
    })
}

/// Makes something of the phrase whose keyword is honoured, or else of the last that is there in vain.
fn look<T>(
    text: &str,
    settings: &Settings,
    port: Option<&Port>,
    make: impl Fn(usize, &[char], bool) -> T,
) -> Option<T> {
    let mut ending = ['\0'; LONGEST_PHRASE];
    let mut starts = [0; LONGEST_PHRASE];
    let mut free = LONGEST_PHRASE;
    for (at, c) in text.trim_end_matches(is_closing).char_indices().rev() {
        if free == 0 {
            break;
        }
        if let Some(c) = comparable(c) {
            free -= 1;
            ending[free] = c;
            starts[free] = at;
        }
    }
    let ending = &ending[free..];
    let mut in_vain = None;
    for phrase in &settings.phrases {
        let Some((keyword, start)) = phrase.find(ending) else { continue };
        let start = starts[free + start];
        if settings.honours(port, keyword) {
            return Some(make(start, keyword, true));
        }
        in_vain = Some(make(start, keyword, false));
    }
    in_vain
}

/// What may follow the phrase.
fn is_closing(c: char) -> bool {
    c.is_whitespace() || "。.!！~～;；,，、)）]”\"’'」…".contains(c)
}

/// A character as it is compared: full-width as ASCII, upper case, blanks and light punctuation left out.
fn comparable(c: char) -> Option<char> {
    match c {
        'a'..='z' => Some(c.to_ascii_uppercase()),
        'Ａ'..='Ｚ' | '０'..='９' => char::from_u32(u32::from(c) - 0xFEE0),
        'ａ'..='ｚ' => char::from_u32(u32::from(c) - 0xFEE0 - 0x20),
        '“' | '”' | '"' | '‘' | '’' | '\'' | '「' | '」' | ':' | '：' | ',' | '，' | '-' | '(' | ')' | '（' | '）' => {
            None
        }
        c if c.is_whitespace() => None,
        c => Some(c),
    }
}

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    case.text().filter(|_| case.is_marketing())?;
    let identity = &case.facts.identity;
    match case.told() {
        Told::Yes(_) => dead_route(case),
        Told::No => Some(Flaw::reject(OPT_OUT, "the text does not end with an accepted way to refuse")),
        Told::InVain(_) if identity.port.is_some_and(|port| !port.replies) => {
            Some(Flaw::reject(OPT_OUT, "replies to this port do not reach the gate, so no refusal would be honoured"))
        }
        Told::InVain(keyword) => {
            Some(Flaw::reject(OPT_OUT, format!("the keyword {keyword} is not honoured on this port")))
        }
    }
}

/// A keyword that nobody can send is not honoured.
fn dead_route(case: &Case<'_>) -> Option<Flaw> {
    let (limit, lost) = (case.profile.opt_out.dead_after?, case.facts.reply_route_lost?);
    let why = || {
        let provider = &case.facts.identity.provider.system_id;
        format!("no bind of {provider} has received replies since {lost:.0}, so no refusal would be honoured")
    };
    (case.now.duration_since(lost) >= limit).then(|| Flaw::reject(OPT_OUT, why()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Profile;

    fn tell(text: &str) -> Told {
        told(text, &Profile::default().opt_out, None)
    }

    #[test]
    fn accepted_phrases_in_all_their_spellings() {
        for phrase in [
            "拒收请回复R",
            "拒收请回复 R",
            "拒收请回复“R”。",
            "拒收请回复Ｒ",
            "拒收请回复r",
            "（拒收请回复R）",
            "退订回T",
            "退订回TD",
            "回T退订",
            "回TD退订",
            "退订回复N",
            "回复TD退订",
            "回复N退订",
            "回复TDZD退订本短信",
            "退订请回复TD！",
            "拒收，请回复R",
            "退订回TD12",
            "拒收请回复：R ",
            "Reply TD to unsubscribe",
            "Txt STOP to opt out",
            "Text STOP to opt-out.",
            "reply stop to unsubscribe",
            "To unsubscribe, reply STOP",
        ] {
            assert!(matches!(tell(phrase), Told::Yes(0..=3)), "{phrase}");
            let text = format!("全场特惠，客服400-000-0000，{phrase}");
            assert!(matches!(tell(&text), Told::Yes(_)), "{text}");
        }
    }

    #[test]
    fn what_is_not_at_the_end_or_obscured_is_not_told() {
        for text in [
            "拒收请回复R，客服400-000-0000",
            "退\u{200B}订回T",
            "退订回Т",
            "退訂回T",
            "退订回Ⓣ",
            "如需退订请登录官网",
            "回复R领券",
            "拒收请回复",
            "Reply to unsubscribe",
            "",
        ] {
            assert_eq!(tell(text), Told::No, "{text}");
        }
    }

    #[test]
    fn a_keyword_must_be_honoured() {
        assert_eq!(tell("拒收请回复X"), Told::InVain("X".into()));
        assert_eq!(tell("退订回TD12345"), Told::InVain("TD12345".into()));
    }

    #[test]
    fn an_offer_counts_wherever_it_stands() {
        let settings = Profile::default().opt_out;
        for text in [
            "拒收请回复R",
            "退订回r，客服400-000-0000",
            "全场8折。拒收请回复“Ｒ”【青禾鲜生】",
            "Reply R to opt out. Bye",
        ] {
            assert!(settings.offers(text, "R"), "{text}");
        }
        for text in ["退订回T", "拒收请回复RT", "回复R领券", "R", ""] {
            assert!(!settings.offers(text, "R"), "{text}");
        }
    }

    #[test]
    fn the_phrase_is_shown_with_its_keyword() {
        let text = "全场特惠，拒收请回复“Ｒ”。";
        let offer = offer(text, &Profile::default().opt_out, None).unwrap();
        assert_eq!(
            (&text[offer.start..offer.end], offer.keyword.as_str(), offer.is_honoured),
            ("拒收请回复“Ｒ", "R", true)
        );
    }

    #[test]
    fn the_phrase_start_is_told() {
        let text = "全场特惠，拒收请回复R。";
        assert_eq!(tell(text), Told::Yes(text.find("拒收").unwrap()));
    }

    #[test]
    fn the_time_a_route_may_be_lost_is_bounded() {
        let read = |value: &str| {
            let text = format!("reply_route_dead_after = \"{value}\"");
            Profile::parse("p", std::path::Path::new("p.toml"), &text).map(|profile| profile.opt_out.dead_after)
        };
        assert_eq!(read("24h").unwrap(), Some(SignedDuration::from_hours(24)));
        assert_eq!(read("off").unwrap(), None);
        for value in ["0s", "-1h", "745h", "soon"] {
            assert!(read(value).is_err_and(|faults| faults[0].key.contains("reply_route_dead_after")), "{value}");
        }
    }
}
