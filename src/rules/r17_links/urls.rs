//! Links in a folded text, in whichever shape they are written.
//!
//! Owns the telling of a host from other dots: with a scheme or without, punycode and names in ideographs,
//! addresses, ports, user parts, dots that are written as something else (t。cn, t点cn, t[.]cn). Refuses to
//! know whose a link is. Driven by R17.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memchr2_iter;

use super::domains;
use crate::rules::signature::is_east_asian;

/// What is written for a dot, in any case; the first [`EXPLICIT_DOTS`] of them are nothing else.
pub(in crate::rules) const WRITTEN_DOTS: [&str; 16] = [
    "[.]",
    "(.)",
    "{.}",
    "（.）",
    "[dot]",
    "(dot)",
    "{dot}",
    "（dot）",
    " dot ",
    "点",
    "丶",
    "。",
    "·",
    "•",
    "・",
    "∙",
];
const EXPLICIT_DOTS: usize = 8;

static STAND_INS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).ascii_case_insensitive(true).build(WRITTEN_DOTS).ok()
});

/// Every link in a folded text, without its scheme; `dots` tells whether to look for written ones.
pub(super) fn urls(text: &str, dots: bool) -> impl Iterator<Item = Cow<'_, str>> {
    let plain = has_any(text).then(|| plain(text).chain(without_dot(text))).into_iter().flatten();
    let written = dots.then(|| written(text)).into_iter().flatten();
    plain.map(Cow::Borrowed).chain(written.map(Cow::Owned))
}

/// Whether there is a dot within a word, or two slashes: most texts have neither.
fn has_any(text: &str) -> bool {
    memchr2_iter(b'.', b'/', text.as_bytes()).any(|at| match text.as_bytes()[at] {
        b'.' => is_between_words(text, at, at + 1),
        _ => text.as_bytes().get(at + 1) == Some(&b'/'),
    })
}

/// Links with plain dots: found by the dots within words.
fn plain(text: &str) -> impl Iterator<Item = &str> {
    let mut searched = 0;
    std::iter::from_fn(move || {
        loop {
            let dot = searched + text.get(searched..)?.find('.')?;
            searched = dot + 1;
            if !is_between_words(text, dot, dot + 1) {
                continue;
            }
            let (start, mut end) = labels(text, dot);
            let host = &text[start..end];
            let behind = &text[end..];
            searched = end;
            let port = port(behind);
            let user = behind.strip_prefix(COLONS).map_or(behind, |rest| rest.trim_start_matches(is_of_secret));
            // A name before @ is a user's, and what follows is the host, or the place of a mailbox.
            let scheme = scheme(&text[..start]);
            if user.starts_with('@') && (port.is_empty() || behind[port.len()..].starts_with('@')) {
                continue;
            }
            if text[..start].ends_with('@') && !scheme {
                continue;
            }
            let path = path(&behind[port.len()..]);
            if scheme || !port.is_empty() || path.len() > 1 {
                if !may_be_host(host) {
                    continue;
                }
                end += port.len() + path.len();
            } else if is_bare_host(&text[..start], host, behind) {
                end += path.len();
            } else if let Some(shorter) = before_a_sentence(host) {
                end = start + shorter.len();
            } else {
                continue;
            }
            searched = end;
            return Some(text[start..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'', '*']));
        }
    })
}

/// Links with something that stands for a dot between two words of Latin letters: t。cn, t点cn/x, t[.]cn.
fn written(text: &str) -> impl Iterator<Item = String> {
    STAND_INS.iter().flat_map(move |dots| dots.find_iter(text)).filter_map(move |dot| {
        let before = text[..dot.start()].rsplit(|c: char| !is_ascii_of_host(c)).next()?;
        let behind = &text[dot.end()..];
        let domain = &behind[..behind.find(|c: char| !is_ascii_of_host(c)).unwrap_or(behind.len())];
        let path = path(&behind[domain.len()..]);
        // "Ends at 9点VIP", "day 20。Net weight": a domain has a letter before its dot, and ends there.
        let named = before.bytes().any(|octet| octet.is_ascii_alphabetic()) || before.len() > 2;
        let ends = behind[domain.len()..].chars().next().is_none_or(|c| !matches!(c, '@' | '\'' | '%'));
        let is_explicit = dot.pattern().as_usize() < EXPLICIT_DOTS;
        let certain = domains::is_certain(domain) && (is_explicit || !domains::is_word_with_a_capital(domain));
        let lengthy = path.len() > 1 && (2..=6).contains(&domain.len());
        let alphabetic = domain.bytes().all(|octet| octet.is_ascii_alphabetic());
        let is_host = named && ends && alphabetic && !before.is_empty() && (certain || lengthy);
        is_host.then(|| format!("{before}.{domain}{path}"))
    })
}

/// Links whose host has no dot: http://3232235777/x.
fn without_dot(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("//").filter_map(|(at, slashes)| {
        let (before, rest) = text.split_at(at + slashes.len());
        let end =
            rest.find(|c: char| !is_ascii_of_host(c) && c != '.' && !matches!(c, ':' | '@')).unwrap_or(rest.len());
        let host = &rest[..end];
        let is_host = scheme(before) && !host.is_empty() && !host.contains('.');
        is_host.then(|| &rest[..end + path(&rest[end..]).len()])
    })
}

/// Where the labels around a dot start and end. One that touches the dot in ASCII is ASCII: ideographs
/// beside it are the sentence's ("点t.cn领取"), but not letters of another script, which may fold to Latin ones in part.
fn labels(text: &str, dot: usize) -> (usize, usize) {
    let of_label = |beside: Option<char>| {
        let is_latin = beside.is_some_and(|c| c.is_ascii());
        move |c: char| is_ascii_of_host(c) || c.is_alphanumeric() && !(is_latin && is_east_asian(c))
    };
    let of_first = of_label(text[..dot].chars().next_back());
    let first = &text[text[..dot].trim_end_matches(of_first).len()..dot];
    let start = dot - first.trim_start_matches('-').len();
    let mut end = dot;
    while text[end..].starts_with('.') && is_between_words(text, end, end + 1) {
        let rest = &text[end + 1..];
        let of_next = of_label(rest.chars().next());
        end = text.len() - rest.trim_start_matches(of_next).len();
    }
    (start, end)
}

/// Whether labels with dots can be a host, where a scheme, a port or a path says that they are.
fn may_be_host(run: &str) -> bool {
    let Some((_, domain)) = run.rsplit_once('.') else { return false };
    if !run.is_ascii() {
        return !domain.bytes().all(|octet| octet.is_ascii_digit());
    }
    is_name(domain)
        || is_punycode(domain)
        || run.split('.').count() == 4 && run.split('.').all(|part| part.parse::<u8>().is_ok())
}

/// Whether they are one with nothing else to say so, and not a number or two sentences.
fn is_bare_host(before: &str, run: &str, behind: &str) -> bool {
    let Some((labels, domain)) = run.rsplit_once('.') else { return false };
    if !run.is_ascii() {
        return domains::is_foreign_host(before, labels, domain);
    }
    let www = labels.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("www"));
    is_punycode(domain) || is_name(domain) && (www || domains::is_host(before, labels, domain, behind))
}

/// The host in front of a sentence whose full stop has no blank behind it: "visit evil.com.Call us".
fn before_a_sentence(run: &str) -> Option<&str> {
    let (host, _) = run.rsplit_once('.').filter(|_| run.is_ascii())?;
    let (_, domain) = host.rsplit_once('.')?;
    domains::is_certain(domain).then_some(host)
}

fn is_name(domain: &str) -> bool {
    domain.len() >= 2 && domain.bytes().all(|octet| octet.is_ascii_alphabetic())
}

fn is_punycode(domain: &str) -> bool {
    domain.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
}

fn is_between_words(text: &str, start: usize, end: usize) -> bool {
    let octets = text.as_bytes();
    let of_word = |octet: &u8| octet.is_ascii_alphanumeric() || !octet.is_ascii();
    let before = start.checked_sub(1).and_then(|at| octets.get(at)).is_some_and(of_word);
    before && octets.get(end).is_some_and(of_word)
}

/// Whether a link starts here: a scheme, and perhaps a user, stand before.
fn scheme(before: &str) -> bool {
    let before = match before.strip_suffix('@') {
        Some(user) => user.trim_end_matches(|c| is_of_secret(c) || matches!(c, ':' | '：' | '.' | '-')),
        None => before,
    };
    let before = before.strip_suffix("//").and_then(|before| before.strip_suffix(COLONS));
    before.is_some_and(|before| before.ends_with(|c: char| c.is_ascii_alphanumeric()))
}

/// The port with its colon; nothing where there is none.
fn port(behind: &str) -> &str {
    let Some(rest) = behind.strip_prefix(COLONS) else { return "" };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let ends = !rest[digits..].starts_with(|c: char| c.is_ascii_alphabetic());
    if (1..=5).contains(&digits) && ends { &behind[..behind.len() - rest.len() + digits] } else { "" }
}

/// Path, query and fragment.
fn path(behind: &str) -> &str {
    if !behind.starts_with(['/', '?', '#']) {
        return "";
    }
    let end = behind.find(|c: char| !c.is_ascii_graphic() || "\"<>\\^`{|}[]".contains(c)).unwrap_or(behind.len());
    &behind[..end]
}

/// A colon, and the one of Chinese text, which folding leaves.
const COLONS: [char; 2] = [':', '：'];

const fn is_ascii_of_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

const fn is_of_secret(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '~' | '!' | '$' | '&' | '*' | '+' | '=' | '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        urls(text, true).map(Cow::into_owned).collect()
    }

    #[test]
    fn links_are_found_in_every_shape() {
        for (text, url) in [
            ("限时抢购，点 t.example/ab 领取", "t.example/ab"),
            ("点https://a.b.cn/x?y=1领取", "a.b.cn/x?y=1"),
            ("详见www.qinghe.example。", "www.qinghe.example"),
            ("Visit qinghe.com. Reply TD", "qinghe.com"),
            ("http://192.0.2.1/a", "192.0.2.1/a"),
            ("连接192.0.2.1:8080领取", "192.0.2.1:8080"),
            ("http://3232235777/x", "3232235777/x"),
            ("http：//3232235777/x", "3232235777/x"),
            ("连接192.0.2.1：8080领取", "192.0.2.1：8080"),
            ("http://qinghe.example@evil.top/x", "evil.top/x"),
            ("http://qinghe.example:80@evil.top/x", "evil.top/x"),
            ("URL:t.cn/x", "t.cn/x"),
            ("gift=evil.top/x", "evil.top/x"),
            ("8折,evil.top/x", "evil.top/x"),
            ("hxxp://evil.abc", "evil.abc"),
            ("登录xn--fiqs8s.xn--fiqs8s领取", "xn--fiqs8s.xn--fiqs8s"),
            ("青禾.com领取", "青禾.com"),
            ("点击 青禾.中国 领取", "青禾.中国"),
            ("https://例え.テスト/あ", "例え.テスト/"),
            ("t。cn/abc领取", "t.cn/abc"),
            ("www。qinghe。com", "qinghe.com"),
            ("t点cn/abc", "t.cn/abc"),
            ("打开qinghe点com领取", "qinghe.com"),
            ("qinghe[.]com", "qinghe.com"),
            ("visit qinghe dot com now", "qinghe.com"),
            ("Visit Qinghe Dot Com. Call", "Qinghe.Com"),
            ("VISIT QINGHE DOT COM", "QINGHE.COM"),
            ("qinghe(DOT)NET", "qinghe.NET"),
            ("打开qinghe（.）cn", "qinghe.cn"),
            ("打开qinghe·com", "qinghe.com"),
            ("qinghe.com.", "qinghe.com"),
            ("Visit qinghe.com.Call us", "qinghe.com"),
            ("Visit qinghe.com.today we open", "qinghe.com"),
            ("Visit qinghe.pizza", "qinghe.pizza"),
            ("VISIT QINGHE.TRAVEL NOW", "QINGHE.TRAVEL"),
            ("(t.cn/x)", "t.cn/x"),
            ("T.CN/X", "T.CN/X"),
        ] {
            assert_eq!(found(text), [url], "{text}");
        }
    }

    #[test]
    fn other_dots_are_none() {
        for text in [
            "本月水费86.40元",
            "版本v2.0已发布",
            "Call 400.000.0000. Thank you",
            "今日10.30至11.20",
            "See you today.Call us",
            "mail a@b.example",
            "mail first.last@qq.com",
            "欢迎光临.VIP会员专享",
            "早上9点VIP专场，晚8点cc见",
            "每月20。Net weight 5kg",
            "拒收回T。Call us",
            "IP 192.0.2.1 已登录",
            "Ver.2.1.0.3",
            "您好.请查收.谢谢",
            "2026.11.23",
            "e.g. this",
            "Half price,order.now! Reply TD",
            "点点滴滴点com",
            "玛丽·居里com·Net",
            "Polka Dot Top 20% off",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }

    #[test]
    fn several_are_all_found() {
        assert_eq!(found("qinghe.example,evil.top/x和t。cn"), ["qinghe.example", "evil.top/x", "t.cn"]);
    }
}
