//! One-time passwords that carry a link beside the code.
//!
//! Owns telling such a text, and which links in it drive traffic: not the origin that binds the
//! code to a site, and not the one for who did not ask for it. Driven by R10 where the profile
//! says that they are commercial.

use std::borrow::Cow;

use crate::rules::latin::is_word;
use crate::rules::r17_links::links;

/// Words for a code that is good once.
const CODES: [&str; 22] = [
    "验证码",
    "校验码",
    "动态码",
    "动态密码",
    "随机码",
    "确认码",
    "授权码",
    "登录码",
    "短信码",
    "验证密码",
    "一次性密码",
    "口令",
    "verification code",
    "security code",
    "login code",
    "sign-in code",
    "access code",
    "confirmation code",
    "passcode",
    "one-time",
    "otp",
    "your code",
];

/// What a sentence says that is for those who did not ask for the code.
const FOR_OTHERS: [&str; 12] = [
    "非本人",
    "不是本人",
    "不是您",
    "不是你",
    "未发起",
    "冻结",
    "举报",
    "not you",
    "wasn't you",
    "didn't request",
    "did not request",
    "report",
];

/// How many digits or letters a code has.
const LENGTH: std::ops::RangeInclusive<usize> = 4..=8;

/// The first link of a one-time password that drives traffic; the text is folded.
pub(super) fn driving_link(text: &str) -> Option<Cow<'_, str>> {
    let link = links(text).find(|link| drives(text, link))?;
    is_otp(text).then_some(link)
}

/// Whether the text names a code, and holds one.
fn is_otp(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let named = CODES.iter().any(|word| lower.match_indices(word).any(|(at, _)| is_word(&lower, at, at + word.len())));
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    named && words.any(|word| LENGTH.contains(&word.len()) && word.bytes().any(|octet| octet.is_ascii_digit()))
}

fn drives(text: &str, link: &str) -> bool {
    // One whose dot is written in some other way is none that anybody had a reason to write so.
    let Some((before, after)) = text.split_once(link) else { return true };
    // An origin-bound code: a last line of `@host #code`.
    if before.ends_with('@') && after.trim_start().starts_with('#') {
        return false;
    }
    let end = |c: char| matches!(c, '。' | '！' | '？' | '!' | '?' | '\n');
    let sentence = before.rsplit(end).next().unwrap_or_default().to_ascii_lowercase();
    !FOR_OTHERS.iter().any(|words| sentence.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_beside_a_code_drives_traffic_unless_it_has_its_reason() {
        for text in [
            "您的验证码是482913，新人礼包请到 https://t.example/a 领取",
            "Your code is 482913. See what's new: t.example/new",
            "验证码482913，下载客户端 www.t.example",
        ] {
            assert!(driving_link(text).is_some(), "{text}");
        }
        for text in [
            "您的验证码是482913，5分钟内有效。",
            "Your code is 482913.\n\n@login.example.com #482913",
            "验证码482913。如非本人操作请到 https://t.example/lock 冻结账户",
            "Your code is 482913. If this was not you, visit t.example/lock",
            "您的订单已发货，查看 https://t.example/o/482913",
            "忘记密码？到 https://t.example/help 获取验证码",
        ] {
            assert!(driving_link(text).is_none(), "{text}");
        }
    }
}
