//! QQ and WeChat ids in a folded text.
//!
//! Owns the words that announce an id, what may stand between them and the id, and the forms of ids.
//! Refuses to take a word of the sentence for one. Driven by R17.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::contacts::Contact;

/// Words that an id follows; the first [`QQ_WORDS`] of them announce a QQ number.
pub(in crate::rules) const ACCOUNT_WORDS: [&str; 28] = [
    "qq",
    "q群",
    "加q",
    "企鹅",
    "扣扣",
    "扣群",
    "微信",
    "薇信",
    "威信",
    "徽信",
    "维信",
    "微芯",
    "薇芯",
    "微 信",
    "wechat",
    "we chat",
    "weixin",
    "wei xin",
    "vx",
    "v x",
    "wx",
    "v信",
    "加v",
    "+v",
    "加薇",
    "加薇信",
    "加微",
    "加微信",
];
const QQ_WORDS: usize = 6;

/// What may stand between the word and the id.
const BETWEEN: [&str; 30] = [
    "账号", "帐号", "号码", "客服", "好友", "搜索", "添加", "公众", "号", "群", "码", "搜", "加", "是", "为", "我",
    "请", "id", "number", "no.", "is", " ", ":", "：", "=", "“", "\"", "(", "（", "「",
];

static ANNOUNCED: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).ascii_case_insensitive(true).build(ACCOUNT_WORDS).ok()
});

/// Every account that a folded text names.
pub(super) fn accounts(text: &str) -> impl Iterator<Item = Contact<'_>> {
    let mut known = 0;
    ANNOUNCED.iter().flat_map(move |words| words.find_iter(text)).filter_map(move |word| {
        let glued = text[..word.start()].bytes().next_back().is_some_and(|octet| octet.is_ascii_alphanumeric());
        // An id may hold such a word itself: wxid_1234.
        if word.start() < known || glued && text.as_bytes()[word.start()].is_ascii_alphabetic() {
            return None;
        }
        let (id, announced) = id(&text[word.end()..]);
        let latin = word.len() > 2 && text[word.range()].is_ascii();
        let contact = account(word.pattern().as_usize() < QQ_WORDS, id, announced, latin)?;
        known = id.as_ptr() as usize - text.as_ptr() as usize + id.len();
        Some(contact)
    })
}

/// What follows the word, without what stands between; and whether that says that an id follows.
fn id(behind: &str) -> (&str, bool) {
    let mut rest = behind;
    let mut announced = false;
    while let Some(between) = BETWEEN.iter().find(|between| starts_with(rest, between)) {
        announced |= *between != " ";
        rest = &rest[between.len()..];
    }
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
    (&rest[..end], announced)
}

/// Whether the text starts with it; Latin words must end there.
fn starts_with(text: &str, word: &str) -> bool {
    let Some(head) = text.get(..word.len()) else { return false };
    let ends = !word.ends_with(|c: char| c.is_ascii_alphabetic())
        || !text[word.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    head.eq_ignore_ascii_case(word) && ends
}

/// The account that an id is, behind a word of QQ or of WeChat; behind a Latin one the next word need not be an id.
fn account(qq: bool, id: &str, announced: bool, latin: bool) -> Option<Contact<'_>> {
    let digits = id.bytes().all(|octet| octet.is_ascii_digit());
    if qq {
        return (digits && (5..=12).contains(&id.len())).then_some(Contact::Qq(id));
    }
    if digits {
        // By its phone, or by the QQ number it is bound to.
        return (id.len() == 11 || announced && (6..=12).contains(&id.len())).then_some(Contact::WeChat(id));
    }
    let formed = id.starts_with(|c: char| c.is_ascii_alphabetic()) && (6..=20).contains(&id.len());
    // "WeChat official account", "加VIPCLUB" are words.
    let marked = announced || id.bytes().any(|octet| !octet.is_ascii_alphabetic());
    let is_id = formed && (marked || !latin && !id.bytes().all(|octet| octet.is_ascii_uppercase()));
    is_id.then_some(Contact::WeChat(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        accounts(text).map(|contact| contact.to_string()).collect()
    }

    #[test]
    fn ids_are_found() {
        for (text, contact) in [
            ("加微信abc_1234领取", "WeChat abc_1234"),
            ("VX：qinghe888", "WeChat qinghe888"),
            ("vx qinghe888", "WeChat qinghe888"),
            ("客服QQ：12345678", "QQ 12345678"),
            ("QQ群 987654321", "QQ 987654321"),
            ("微信：did_12345", "WeChat did_12345"),
            ("微信号：wxid_abc123", "WeChat wxid_abc123"),
            ("微信ID: qinghefresh", "WeChat qinghefresh"),
            ("微信搜索“qinghe_999”", "WeChat qinghe_999"),
            ("微信（qinghe_999）", "WeChat qinghe_999"),
            ("徽信qinghe999", "WeChat qinghe999"),
            ("加薇：qinghe999", "WeChat qinghe999"),
            ("+V：qinghe999", "WeChat qinghe999"),
            ("微信号12345678", "WeChat 12345678"),
            ("加微信13800138000", "WeChat 13800138000"),
            ("Add WeChat ID: fresh_deals", "WeChat fresh_deals"),
            ("Add WeChat fresh_deals1", "WeChat fresh_deals1"),
            ("加Q群123456789", "QQ 123456789"),
        ] {
            assert_eq!(found(text), [contact], "{text}");
        }
    }

    #[test]
    fn other_words_are_none() {
        for text in [
            "微信支付成功",
            "关注微信公众号查询",
            "QQ音乐会员",
            "Follow our WeChat official account",
            "Paid by WeChat Payment",
            "微信红包8888元",
            "加VIP会员享8折",
            "加VIPCLUB享8折",
            "微信小程序qinghe",
            "BMWX5试驾",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }
}
