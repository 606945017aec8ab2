//! What stands around digits and makes them something else than a phone.

use super::form::Digits;
use crate::rules::latin::ends_with_word;

/// What may stand between a word and its digits.
const FILLERS: [char; 14] = [' ', ':', '：', '是', '为', '(', '（', '“', '"', '#', '\u{3000}', '=', '「', '\''];

/// Directly before: digits that identify or count.
const BEFORE: [&str; 32] = [
    "满",
    "减",
    "送",
    "返",
    "赠",
    "价",
    "共",
    "达",
    "超",
    "近",
    "逾",
    "约",
    "抢",
    "第",
    "领",
    "省",
    "订单",
    "运单",
    "快递",
    "工单",
    "包裹",
    "流水",
    "尾数",
    "金额",
    "人民币",
    "价值",
    "￥",
    "¥",
    "$",
    "仅需",
    "仅",
    "验证",
];

/// The same in English.
const BEFORE_ENGLISH: [&str; 16] = [
    "code",
    "otp",
    "pin",
    "password",
    "order",
    "order no",
    "order no.",
    "tracking",
    "account",
    "ref",
    "id",
    "rmb",
    "cny",
    "usd",
    "hkd",
    "invoice",
];

/// Words on 号 and 码 that do lead to a phone.
const NUMBER_OF_PHONE: [&str; 9] = ["电话", "热线", "客服", "座机", "手机", "联系", "服务", "咨询", "联络"];

/// Directly after: an amount, whatever its length.
const AMOUNT: [&str; 7] = ["元", "万", "亿", "%", "％", ".0", "块"];

/// Directly after: a count, or what a code is for.
const COUNT: [&str; 44] = [
    "减",
    "送",
    "返",
    "多",
    "余",
    "+",
    "分",
    "积",
    "年",
    "月",
    "日",
    "件",
    "个",
    "名",
    "人",
    "次",
    "米",
    "公里",
    "期",
    "张",
    "份",
    "平",
    "折",
    "号",
    "条",
    "位",
    "家",
    "步",
    "点积",
    "k",
    "m",
    "g",
    "为您的",
    "是您的",
    "（动态",
    "（验证",
    "（登录",
    "(验证",
    " is your",
    " yuan",
    " cny",
    " CNY",
    " RMB",
    " is the",
];

/// Whether digits between these can be a phone at all.
pub(super) fn allows(before: &str, after: &str, number: Digits, port: &[u8]) -> bool {
    let otherwise = number.equals(port)
        || is_glued(before)
        || is_identifier(before)
        || AMOUNT.iter().any(|unit| after.starts_with(unit))
        || number.is_brief() && is_counted(after);
    !otherwise
}

/// Digits that go on from a letter, a path or a decimal.
fn is_glued(before: &str) -> bool {
    let mut octets = before.bytes().rev();
    match (octets.next(), octets.next()) {
        (Some(b'/' | b'_' | b'@' | b'&' | b'*'), _) => true,
        (Some(b',' | b'.' | b':'), Some(b'0'..=b'9')) => true,
        (Some(letter), _) if letter.is_ascii_alphabetic() => !ends_with_word(before, &["tel", "call", "phone", "ph"]),
        _ => false,
    }
}

/// Digits that a word just before calls a code, a number of something, or an amount.
fn is_identifier(before: &str) -> bool {
    let before = before.trim_end_matches(FILLERS);
    if let Some(word) = before.strip_suffix('码') {
        let word = word.strip_suffix('号').unwrap_or(word);
        return !NUMBER_OF_PHONE.iter().any(|phone| word.ends_with(phone));
    }
    if let Some(word) = before.strip_suffix('号') {
        return !NUMBER_OF_PHONE.iter().any(|phone| word.ends_with(phone));
    }
    match before.bytes().next_back() {
        Some(b'a'..=b'z' | b'A'..=b'Z' | b'.') => ends_with_word(before, &BEFORE_ENGLISH),
        _ => BEFORE.iter().any(|word| before.ends_with(word)),
    }
}

fn is_counted(after: &str) -> bool {
    let letter = after.bytes().next().is_some_and(|octet| octet.is_ascii_alphabetic());
    letter || COUNT.iter().any(|unit| after.starts_with(unit)) && !after.starts_with("分机")
}
