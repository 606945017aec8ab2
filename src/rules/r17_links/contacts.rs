//! What leads out of a message: a link or an account, and whether a registered one covers it.
//!
//! Owns the comparison with the register's entries. Refuses to find contacts: `urls` and
//! `accounts` do, in folded text. Driven by R17.

use std::borrow::Cow;
use std::fmt;

/// A way to reach somebody other than by phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Contact<'t> {
    /// Host and what follows, without the scheme.
    Url(Cow<'t, str>),
    /// A QQ number.
    Qq(&'t str),
    /// A WeChat id.
    WeChat(&'t str),
}

impl Contact<'_> {
    /// What stands in the text.
    pub(in crate::rules) fn as_str(&self) -> &str {
        match self {
            Self::Url(text) => text,
            Self::Qq(text) | Self::WeChat(text) => text,
        }
    }

    /// Whether a registered link covers it: a host covers its subdomains, ports and paths, a path what is below it.
    pub(super) fn is(&self, registered: &str) -> bool {
        match self {
            Self::Qq(id) | Self::WeChat(id) => {
                registered.rsplit([':', '：', ' ']).next().is_some_and(|own| own.eq_ignore_ascii_case(id))
            }
            Self::Url(url) => {
                let registered = without_scheme(registered).trim_end_matches('/');
                let (own_host, own_path) = split(registered);
                let (host, path) = split(url);
                let name = |host| split_port(host).0.trim_end_matches('.');
                let host = if split_port(own_host).1.is_empty() { name(host) } else { host };
                let same_host = same(host, own_host) || is_subdomain(host, own_host);
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

/// What may stand right before a host in ideographs, which has no border of its own.
const LEADS: [&str; 16] = [
    "点击", "戳", "点", "登录", "登陆", "访问", "详见", "打开", "至", "到", "上", "官网", "网址", "进入", "查看",
    "链接",
];

/// The same host, or the registered one behind a word that leads to it.
fn same(host: &str, own: &str) -> bool {
    let led = || {
        let before = host.strip_suffix(own).filter(|_| own.starts_with(|c: char| !c.is_ascii()));
        before.is_some_and(|before| LEADS.iter().any(|lead| before.ends_with(lead)))
    };
    host.eq_ignore_ascii_case(own) || led()
}

fn is_subdomain(host: &str, of: &str) -> bool {
    host.len().checked_sub(of.len() + 1).is_some_and(|dot| {
        host.is_char_boundary(dot) && host.as_bytes()[dot] == b'.' && host[dot + 1..].eq_ignore_ascii_case(of)
    })
}

fn without_scheme(url: &str) -> &str {
    let at = url.find("://").filter(|&at| url[..at].bytes().all(|octet| octet.is_ascii_alphanumeric()));
    at.map_or(url, |at| &url[at + 3..])
}

/// Host, and path with query.
fn split(url: &str) -> (&str, &str) {
    url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()))
}

/// Host, and the port with its colon.
fn split_port(host: &str) -> (&str, &str) {
    host.split_at(host.find([':', '：']).unwrap_or(host.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Contact<'_> {
        Contact::Url(text.into())
    }

    #[test]
    fn a_registered_host_covers_what_is_below_it() {
        let page = url("m.qinghe.example/app/x");
        assert!(page.is("qinghe.example") && page.is("https://m.qinghe.example/app/"));
        assert!(!page.is("m.qinghe.example/ap") && !page.is("he.example"));
        assert!(!url("evil.example/m.qinghe.example").is("m.qinghe.example"));
        assert!(url("qinghe.example:8443/x").is("qinghe.example") && url("QINGHE.example.").is("qinghe.example"));
        assert!(!url("qinghe.example:8443").is("qinghe.example:443"));
    }

    #[test]
    fn a_host_in_ideographs_may_have_a_word_before_it() {
        assert!(url("登录青禾.中国/x").is("青禾.中国") && url("青禾.中国").is("青禾.中国"));
        assert!(!url("假青禾.中国").is("青禾.中国"));
        assert!(!url("点evil.cn").is("il.cn"));
    }

    #[test]
    fn accounts_are_compared_without_regard_to_case() {
        assert!(Contact::WeChat("abc_1234").is("wechat:ABC_1234") && !Contact::WeChat("abc_1234").is("abc_123"));
    }
}
