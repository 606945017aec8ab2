//! R12 consent request (Order 31 Art 18): asking is allowed once, and only in full.
//!
//! A request names type, frequency and term of what it asks for, and that silence is a
//! refusal. It needs no consent itself (R09), which is why it must not advertise.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;
use super::{Code, Mode, Rule, scorer};

pub(super) const ABOUT: About = About {
    name: "consent-request",
    article: "Order 31 Art 18",
    sentence: "A message that asks for consent names type, frequency and term and says that silence is a refusal; it is sent once to a number.",
};

const REQUEST: Code = Code::Own(0xC);

/// Asking for an answer that agrees to messages; `code` is the answer.
const ASKS: [&str; 4] = [
    r"(同意|愿意|订阅|确认)[^，。；！？]{0,8}(请|可)?回复?\s*[“\x22]?\s*(?<code>[A-Za-z0-9]{1,6}|是|同意)",
    r"回复?\s*[“\x22]?(?<code>[A-Za-z0-9]{1,6}|是)[”\x22]?\s*(即可|表示|代表|确认)?(同意|订阅|接收|定制)",
    r"(?i)(reply|text|txt|send)( with)? \W?(?<code>y|yes|ok|agree)\W? [^.;!?]{0,24}(receiv|subscri|opt|agree|consent|get |sign up|messages|offers)",
    r"(?i)to (agree|subscribe|opt[ -]?in|consent|receive)[^.;!?]{0,40}(reply|text|txt|send)( with)? \W?(?<code>y|yes|ok|agree)\b",
];

/// Words one of which every request has.
pub(super) const HINTS: [&str; 11] =
    ["同意", "愿意", "订阅", "接收", "定制", "确认", " yes", "agree", " y ", " ok ", "opt"];

/// What the answer agrees to: messages, and of a type.
const TYPE: &str = r"(?i)(促销|优惠|营销|商业|广告|商品|活动|资讯|新品|特惠|推广|会员|福利|课程|产品|promotion|marketing|offer|deal|commercial|news|advert)";
const MESSAGES: &str = r"(?i)(短信|信息|消息|资讯|推送|通知|彩信|message|text|sms|offers|news)";

const FREQUENCY: [&str; 4] = [
    r"(每|一)个?(天|日|周|星期|月|季度?|年)[^，。；]{0,8}?(\d+|[一二两三四五六七八九十]+)\s*(条|次|则)",
    r"(\d+|[一二两三四五六七八九十]+)\s*(条|次|则)\s*/\s*(天|日|周|月|季|年)",
    r"(?i)(\d+|one|two|three|four|five|once|twice)\s*(msgs?|messages?|texts?|sms|times?)?[^.;]{0,12}(per|a|each|every|/)\s*(day|week|month|quarter|year|mo|wk)\b",
    r"(?i)\b(daily|weekly|monthly)\b",
];

const TERM: [&str; 4] = [
    r"(为期|有效期|期限|持续|时长)[^，。；]{0,6}?(\d+|[一二两三四五六七八九十半]+)\s*个?(天|日|周|月|季度|年)",
    r"(至|截至|截止到?|到)\s*\d{4}\s*[年./-]",
    r"(?i)\bfor (\d+|one|two|three|six|twelve|a) (days?|weeks?|months?|years?)\b",
    r"(?i)\b(until|till) \w+",
];

const SILENCE_REFUSES: [&str; 4] = [
    r"(不|未|没有?)(做|作|予)?回复[^，。；]{0,6}(视为|视作|视同|即为|则为|等同|即|则|将|我们)[^，。；]{0,6}(不同意|拒绝|拒收|不接收|不接受|不发送|不会|不再|不订阅|放弃|不开通)",
    r"(未|不|没有?)(收到|得到)?(您的)?(回复|同意)[^。；]{0,8}(不发送|不会发送|不再发送|不会再|不予)",
    r"(?i)no (reply|response|answer)[^.;]{0,24}\b(no|refus|declin|not)",
    r"(?i)(do not|don't|without)[^.;]{0,12}(reply|respond|answer|response)[^.;]{0,30}\b(no|not|nothing|refus|declin|won't)",
];

const SILENCE_AGREES: [&str; 3] = [
    r"回复[^。；]{0,10}(默认|自动)[^。；]{0,6}(同意|开通|订阅|接收|接受|生效|定制)",
    r"回复[^。；]{0,6}(视为|视作|即为|即|则)\s*(默认)?\s*(同意|订阅|接收|接受)",
    r"(?i)(no (reply|response)|don't reply|do not reply)[^.;]{0,24}(means|is|be|as)( taken as)? (yes|consent|agree|you agree)",
];

struct Patterns {
    asks: RegexSet,
    kind: Regex,
    messages: Regex,
    frequency: RegexSet,
    term: RegexSet,
    refuses: RegexSet,
    agrees: RegexSet,
}

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    Some(Patterns {
        asks: RegexSet::new(ASKS).ok()?,
        kind: Regex::new(TYPE).ok()?,
        messages: Regex::new(MESSAGES).ok()?,
        frequency: RegexSet::new(FREQUENCY).ok()?,
        term: RegexSet::new(TERM).ok()?,
        refuses: RegexSet::new(SILENCE_REFUSES).ok()?,
        agrees: RegexSet::new(SILENCE_AGREES).ok()?,
    })
});

/// Whether the message is a consent request that this rule decides about in R09's place.
pub(super) fn speaks_for(case: &Case<'_>) -> bool {
    case.mode(Rule::R12) == Mode::Enforce && case.text().is_some() && case.hints().asking && is_request(case.folded())
}

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    case.text().filter(|_| case.is_marketing() && case.hints().asking)?;
    let text = case.folded();
    if !is_request(text) {
        return None;
    }
    if case.facts.asked_before {
        return Some(Flaw::reject(REQUEST, "the recipient has been asked for consent before"));
    }
    let missing = missing(text);
    if !missing.is_empty() {
        return Some(Flaw::reject(REQUEST, format!("the consent request lacks {}", missing.join(", "))));
    }
    let score = scorer::score(text);
    if score.points >= 2 * case.profile.thresholds.service {
        return Some(Flaw::reject(REQUEST, format!("the consent request advertises ({})", scorer::explain(&score))));
    }
    Some(Flaw::alert(REQUEST, "a consent request, complete"))
}

/// Whether a folded text is a request that may be answered with yes (R24).
pub(super) fn is_complete(folded: &str) -> bool {
    is_request(folded) && missing(folded).is_empty()
}

/// The answers that a folded request asks for, in upper case.
pub(super) fn codes(folded: &str) -> impl Iterator<Item = String> {
    static CODES: LazyLock<Vec<Regex>> =
        LazyLock::new(|| ASKS.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect());
    let all = CODES.iter().flat_map(move |pattern| pattern.captures_iter(folded));
    all.filter_map(|found| Some(found.name("code")?.as_str().to_uppercase()))
}

/// Whether a text asks for consent to messages.
fn is_request(text: &str) -> bool {
    PATTERNS.as_ref().is_some_and(|patterns| patterns.asks.is_match(text) && patterns.messages.is_match(text))
}

fn missing(text: &str) -> Vec<&'static str> {
    let Some(patterns) = PATTERNS.as_ref() else { return Vec::new() };
    let silence = patterns.refuses.is_match(text) && !patterns.agrees.is_match(text);
    let parts = [
        (patterns.kind.is_match(text), "the type of messages"),
        (patterns.frequency.is_match(text), "their frequency"),
        (patterns.term.is_match(text), "the term"),
        (silence, "that silence is a refusal"),
    ];
    parts.into_iter().filter(|(there, _)| !there).map(|(_, what)| what).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patterns_compile() {
        assert!(PATTERNS.is_some());
    }

    #[test]
    fn requests_are_told_from_other_questions() {
        for text in [
            "同意请回复Y",
            "愿意接收会员资讯的请回复“是”",
            "订阅新品信息请回复DY",
            "回复1同意接收优惠短信",
            "Reply YES to receive our weekly offers",
            "To opt in to marketing messages, reply Y",
        ] {
            assert!(is_request(&format!("我们拟发送优惠信息 messages {text}")) || is_request(text), "{text}");
        }
        for text in [
            "全场8折，拒收请回复R",
            "回复1参加抽奖",
            "Reply STOP to opt out of messages",
            "Big sale today! Reply TD to unsubscribe",
        ] {
            assert!(!is_request(text), "{text}");
        }
    }

    #[test]
    fn a_full_request_lacks_nothing() {
        for text in [
            "想收到每周特惠吗？我们拟向您发送促销短信，每月不超过4条，为期12个月。同意请回复Y，不回复视为不同意。",
            "拟发送新品资讯短信，1条/周，有效期半年，同意回复Y，未回复则不发送",
            "We would like to send you promotional texts, 2 messages per month, for 6 months. Reply YES to agree. No reply means no.",
        ] {
            assert_eq!(missing(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn the_answer_asked_for_is_known() {
        for (text, code) in [
            ("同意请回复DY", "DY"),
            ("愿意接收会员资讯的请回复“是”", "是"),
            ("回复1同意接收优惠短信，拒收请回复R", "1"),
            ("Reply YES to receive our weekly offers", "YES"),
            ("To opt in to marketing messages, reply y", "Y"),
        ] {
            assert_eq!(codes(text).collect::<Vec<_>>(), [code], "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let text = "想收到优惠信息吗？同意请回复Y，如不回复将默认为您开通。";
        assert_eq!(missing(text), ["their frequency", "the term", "that silence is a refusal"]);
        assert_eq!(missing("促销短信，每月4条，为期一年，同意回复Y，不回复视为同意"), ["that silence is a refusal"]);
    }
}
