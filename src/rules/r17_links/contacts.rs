//! Links and contact ids in a text.

use std::fmt;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// A way to reach somebody other than by phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Contact<'t> {
    /// Host and what follows, without the scheme.
    Url(&'t str),
    /// A QQ number.
    Qq(&'t str),
    /// A WeChat id.
    WeChat(&'t str),
}

impl Contact<'_> {
    /// What stands in the text.
    pub(in crate::rules) fn as_str(&self) -> &str {
        match self {
            Self::Url(text) | Self::Qq(text) | Self::WeChat(text) => text,
        }
    }

    /// Whether a registered link covers it: a host covers its subdomains and paths, a path what is below it.
    pub(super) fn is(&self, registered: &str) -> bool {
        match self {
            Self::Qq(id) | Self::WeChat(id) => {
                registered.rsplit([':', '：', ' ']).next().is_some_and(|own| own.eq_ignore_ascii_case(id))
            }
            Self::Url(url) => {
                let registered = without_scheme(registered).trim_end_matches('/');
                let (own_host, own_path) = split(registered);
                let (host, path) = split(url);
                let same_host = host.eq_ignore_ascii_case(own_host) || is_subdomain(host, own_host);
                let below = path
                    .strip_prefix(own_path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
                same_host && (own_path.is_empty() || below)
            }
        }
    }
}

impl fmt::Display for Contact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Qq(id) => write!(f, "QQ {id}"),
            Self::WeChat(id) => write!(f, "WeChat {id}"),
        }
    }
}

/// Top-level domains that make a bare host a link; others need a scheme, `www.` or a path.
const COMMON_DOMAINS: [&str; 40] = [
    "com", "cn", "net", "org", "top", "xyz", "cc", "vip", "shop", "club", "info", "me", "io", "co", "app", "link",
    "site", "online", "store", "live", "fun", "ltd", "ink", "pro", "biz", "tv", "hk", "tw", "mobi", "wang", "ren",
    "website", "tech", "icu", "win", "gg", "ly", "example", "test", "gov",
];

/// Every link in a folded text, without its scheme: found by the points within words.
pub(super) fn urls(text: &str) -> impl Iterator<Item = &str> {
    let octets = text.as_bytes();
    let mut searched = 0;
    std::iter::from_fn(move || {
        loop {
            let point = searched + text.get(searched..)?.find('.')?;
            let word = |at: usize| octets.get(at).is_some_and(u8::is_ascii_alphanumeric);
            if point == 0 || !word(point - 1) || !word(point + 1) {
                searched = point + 1;
                continue;
            }
            let start = octets[..point].iter().rposition(|&octet| !is_of_url(octet)).map_or(0, |at| at + 1);
            let end = octets[point..].iter().position(|&octet| !is_of_url(octet)).map_or(octets.len(), |at| point + at);
            searched = end;
            let token = text[start..end].trim_matches(['.', ',', ';', ':', '!', '?', ')', '(', '\'', '*']);
            let url = without_scheme(token);
            if is_url(url, url.len() < token.len()) {
                return Some(url);
            }
        }
    })
}

const fn is_of_url(octet: u8) -> bool {
    const NOT: &[u8] = b"\"<>\\^`{|}[]";
    let mut index = 0;
    while index < NOT.len() {
        if NOT[index] == octet {
            return false;
        }
        index += 1;
    }
    octet.is_ascii_graphic()
}

fn is_url(url: &str, schemed: bool) -> bool {
    let (host, path) = split(url);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let Some((labels, domain)) = host.rsplit_once('.') else { return false };
    let well_formed = labels
        .split('.')
        .all(|label| !label.is_empty() && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-'));
    let named = domain.len() >= 2 && domain.bytes().all(|octet| octet.is_ascii_alphabetic());
    let numeric = host.split('.').count() == 4 && host.split('.').all(|part| part.parse::<u8>().is_ok());
    let lengthy = path.len() > 1;
    let common = || COMMON_DOMAINS.iter().any(|common| common.eq_ignore_ascii_case(domain));
    let www = host.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."));
    well_formed && (named && (schemed || www || lengthy || common()) || numeric && (schemed || lengthy))
}

fn without_scheme(url: &str) -> &str {
    let at = url.find("://").filter(|&at| url[..at].bytes().all(|octet| octet.is_ascii_alphanumeric()));
    at.map_or(url, |at| &url[at + 3..])
}

/// Host, and path with query.
fn split(url: &str) -> (&str, &str) {
    url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()))
}

fn is_subdomain(host: &str, of: &str) -> bool {
    host.len().checked_sub(of.len() + 1).is_some_and(|dot| {
        host.is_char_boundary(dot) && host.as_bytes()[dot] == b'.' && host[dot + 1..].eq_ignore_ascii_case(of)
    })
}

/// Words that an id follows; the first [`QQ_WORDS`] of them announce a QQ number.
pub(in crate::rules) const ACCOUNT_WORDS: [&str; 12] =
    ["qq", "企鹅号", "扣扣", "微信", "薇信", "威信", "wechat", "weixin", "vx", "wx", "v信", "加v"];
const QQ_WORDS: usize = 3;

static ANNOUNCED: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().ascii_case_insensitive(true).build(ACCOUNT_WORDS).ok());

/// Every account that a folded text names.
pub(super) fn accounts(text: &str) -> impl Iterator<Item = Contact<'_>> {
    ANNOUNCED.iter().flat_map(move |words| words.find_iter(text)).filter_map(move |word| {
        if text[..word.start()].bytes().next_back().is_some_and(|octet| octet.is_ascii_alphanumeric()) {
            return None;
        }
        let rest = text[word.end()..]
            .trim_start_matches(['号', '群', '码', '是', '为', ' ', ':', '：', '客', '服', 'i', 'd', 'I', 'D']);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
        let id = &rest[..end];
        let digits = id.bytes().all(|octet| octet.is_ascii_digit());
        match word.pattern().as_usize() {
            ..QQ_WORDS => (digits && (5..=12).contains(&id.len())).then_some(Contact::Qq(id)),
            _ if digits => (id.len() == 11).then_some(Contact::WeChat(id)),
            _ => {
                let named = id.starts_with(|c: char| c.is_ascii_alphabetic()) && (6..=20).contains(&id.len());
                named.then_some(Contact::WeChat(id))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        urls(text).map(Contact::Url).chain(accounts(text)).map(|contact| contact.to_string()).collect()
    }

    #[test]
    fn links_and_ids_are_found() {
        for (text, contact) in [
            ("限时抢购，点 t.example/ab 领取", "t.example/ab"),
            ("点https://a.b.cn/x?y=1领取", "a.b.cn/x?y=1"),
            ("详见www.qinghe.example。", "www.qinghe.example"),
            ("Visit qinghe.com. Reply TD", "qinghe.com"),
            ("http://192.0.2.1/a", "192.0.2.1/a"),
            ("加微信abc_1234领取", "WeChat abc_1234"),
            ("VX：qinghe888", "WeChat qinghe888"),
            ("客服QQ：12345678", "QQ 12345678"),
            ("QQ群 987654321", "QQ 987654321"),
        ] {
            assert_eq!(found(text), [contact], "{text}");
        }
    }

    #[test]
    fn other_dots_and_words_are_none() {
        for text in [
            "本月水费86.40元",
            "版本v2.0已发布",
            "Call 400.000.0000. Thank you",
            "今日10.30至11.20",
            "微信支付成功",
            "关注微信公众号查询",
            "See you today.Call us",
            "QQ音乐会员",
            "mail a@b.example",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }

    #[test]
    fn a_registered_host_covers_what_is_below_it() {
        let url = Contact::Url("m.qinghe.example/app/x");
        assert!(url.is("qinghe.example") && url.is("https://m.qinghe.example/app/"));
        assert!(!url.is("m.qinghe.example/ap") && !url.is("he.example") && !url.is("evil.example/m.qinghe.example"));
        assert!(Contact::WeChat("abc_1234").is("wechat:ABC_1234") && !Contact::WeChat("abc_1234").is("abc_123"));
    }
}
