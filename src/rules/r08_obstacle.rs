//! R08 no obstacle (Art 19): refusing must not ask for a login, a form, a call, money, papers or haste.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::Code;
use super::case::Case;
use super::latin::is_word;
use super::r07_opt_out::Told;
use super::rule::About;
use super::scorer::normal_form;
use super::verdict::Flaw;

pub(super) const ABOUT: About = About {
    name: "no-obstacle",
    article: "Art 19",
    sentence: "Refusing must be easy: no login, form, call, fee, identity paper, time limit or chain of steps.",
};

const OBSTACLE: Code = Code::Own(6);

/// How far from its topic an obstacle may stand, in octets: keeps the longest of texts cheap.
const REACH: usize = 360;

/// Words that speak of refusing.
pub(super) const TOPICS: [&str; 19] = [
    "退订",
    "拒收",
    "取消订阅",
    "取消接收",
    "不再接收",
    "不想接收",
    "不想收到",
    "不愿接收",
    "停止接收",
    "拒绝接收",
    "屏蔽本",
    "unsubscrib",
    "opt out",
    "opt-out",
    "optout",
    "stop receiving",
    "stop these messages",
    "stop getting",
    "to be removed",
];

/// Words that speak of refusing something else: a booking, an order.
const OTHER_MATTERS: [&str; 12] =
    ["酒店", "房间", "客房", "机票", "车票", "门票", "订单", "行程", "入住", "航班", "booking", "reservation"];

/// What a refusal must not ask for.
const OBSTACLES: [&str; 82] = [
    "登录",
    "登陆",
    "官网",
    "网站",
    "网址",
    "填写",
    "填表",
    "申请",
    "表格",
    "书面",
    "致电",
    "拨打",
    "电话",
    "来电",
    "客服",
    "审核",
    "邮寄",
    "寄回",
    "寄送",
    "传真",
    "邮件",
    "身份证",
    "证件",
    "证明",
    "复印件",
    "收费",
    "付费",
    "扣费",
    "手续费",
    "支付",
    "缴纳",
    "资费",
    "费用",
    "#元",
    "#角",
    "到店",
    "柜台",
    "前往",
    "营业厅",
    "门店",
    "现场",
    "本人",
    "工作日",
    "工作时间",
    "#小时内",
    "#分钟内",
    "#天内",
    "#日内",
    "#日前",
    "连续回复",
    "先回复",
    "再回复",
    "再次回复",
    "再发送",
    "依次",
    "步骤",
    "下载",
    "app",
    "小程序",
    "公众号",
    "密码",
    "log in",
    "login",
    "log on",
    "sign in",
    "visit",
    "website",
    "form",
    "call",
    "phone",
    "email",
    "write to",
    "fax",
    "id card",
    "fee",
    "pay",
    "within # days",
    "first reply",
    "then confirm",
    "then reply",
    "business days",
    "download",
];

/// What sounds like an obstacle and is none.
const REASSURANCES: [&str; 14] = [
    "#小时内生效",
    "#天内生效",
    "#日内生效",
    "#个工作日内生效",
    "工作日内生效",
    "免费用",
    "不收费",
    "不收取费用",
    "不收取任何费用",
    "免手续费",
    "app消息",
    "free of charge",
    "no fee",
    "paypal",
];

/// How a clause goes on with the one before it.
const CONTINUATIONS: [&str; 22] = [
    "#", "仅", "限", "请", "需", "须", "并", "再", "然后", "且", "后", "凭", "提供", "应", "或", "先", "and", "then",
    "please", "or", "you must", "you need",
];

/// How a clause starts that names the wish, before the way.
const CONDITIONS: [&str; 6] = ["to", "if", "如", "若", "要", "想"];

/// Words that take an obstacle back.
const NEGATIONS: [&str; 11] =
    ["无需", "不需", "不用", "无须", "不必", "免", "不收", "不会", "no need to", "without", "no"];

struct Words {
    topics: AhoCorasick,
    others: AhoCorasick,
    obstacles: AhoCorasick,
}

impl Words {
    /// Where the first obstacle in a scope stands that nothing takes back.
    fn obstacle(&self, scope: &str) -> Option<Range<usize>> {
        let found = self.obstacles.find_iter(scope).filter(|found| found.pattern().as_usize() < OBSTACLES.len());
        let is_one = |span: &Range<usize>| !is_negated(&scope[..span.start]) && is_word(scope, span.start, span.end);
        found.map(|found| found.range()).find(is_one)
    }
}

static WORDS: LazyLock<Option<Words>> = LazyLock::new(|| {
    let build = |words: &mut dyn Iterator<Item = &str>| {
        let longest = MatchKind::LeftmostLongest;
        AhoCorasick::builder().match_kind(longest).ascii_case_insensitive(true).build(words).ok()
    };
    Some(Words {
        topics: build(&mut TOPICS.into_iter())?,
        others: build(&mut OTHER_MATTERS.into_iter())?,
        obstacles: build(&mut OBSTACLES.into_iter().chain(REASSURANCES))?,
    })
});

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let first = case.text().filter(|_| case.is_marketing()).and(case.hints().refusing)?;
    // The accepted phrase itself is no topic: a phone that stands before it is no condition of it.
    let body = case.folded_body();
    let (body, condition) = match case.told_when_folded() {
        Told::Yes(start) => body.get(..*start).map_or((body, ""), |body| (body, condition(body))),
        Told::No | Told::InVain(_) => (body, ""),
    };
    // In most texts it is the first to speak of refusing, and nothing before it needs a closer look.
    let is_spoken_of = first < body.as_ptr() as usize - case.folded().as_ptr() as usize + body.len();
    let obstacle = is_spoken_of.then(|| obstacle(body)).flatten().or_else(|| words_in(condition))?;
    Some(Flaw::reject(OBSTACLE, format!("refusing is made to depend on {obstacle:?}")))
}

/// What right before the accepted phrase says that something comes first: 登录官网后退订回T.
fn condition(body: &str) -> &str {
    const LINKS: [&str; 9] = ["后", "再", "并", "可", "才能", "凭", "须", "需", "then "];
    let leads = LINKS.iter().any(|link| body.ends_with(link));
    let clause = || body.rsplit(|c| is_boundary(c) || matches!(c, '。' | '！' | '!' | '.')).next();
    leads.then(clause).flatten().unwrap_or_default()
}

/// The first obstacle in a clause.
fn words_in(clause: &str) -> Option<String> {
    if clause.is_empty() {
        return None;
    }
    let clause = normal_form(clause);
    WORDS.as_ref()?.obstacle(&clause).map(|found| clause[found].to_owned())
}

/// The first thing that a text makes refusing depend on.
fn obstacle(text: &str) -> Option<String> {
    let words = WORDS.as_ref()?;
    if !words.topics.is_match(text) {
        return None;
    }
    let text = normal_form(text);
    words.topics.find_iter(&text).find_map(|topic| {
        let near = text.floor_char_boundary(topic.start().saturating_sub(REACH));
        let far = text.ceil_char_boundary(text.len().min(topic.end() + REACH));
        let scope = scope(&text[near..far], topic.start() - near, topic.end() - near);
        if words.others.is_match(scope) {
            return None;
        }
        words.obstacle(scope).map(|found| scope[found].to_owned())
    })
}

/// The clause that a topic stands in, and those that go on with it.
fn scope(text: &str, start: usize, end: usize) -> &str {
    let first =
        text[..start].rfind(is_boundary).map_or(0, |at| at + text[at..].chars().next().map_or(0, char::len_utf8));
    // "To unsubscribe, …": what comes next is the way.
    let mut awaited = CONDITIONS.iter().any(|word| starts_with(text[first..start].trim_start(), word));
    let mut last = end;
    loop {
        last += text[last..].find(is_boundary).unwrap_or(text.len() - last);
        let mut rest = text[last..].chars();
        let goes_on = |rest: &str| CONTINUATIONS.iter().any(|word| starts_with(rest.trim_start(), word));
        match rest.next() {
            // "No more of these? Please …": a question goes on as well.
            Some(c) if (c != '\n' || last == end) && goes_on(rest.as_str()) => last += c.len_utf8(),
            Some(c) if c != '\n' && awaited => last += c.len_utf8(),
            _ => return &text[first..last],
        }
        awaited = false;
    }
}

const fn is_boundary(c: char) -> bool {
    matches!(c, '\n' | '，' | ',' | '；' | ';' | '、')
}

fn starts_with(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)) && is_word(text, 0, word.len())
}

fn is_negated(before: &str) -> bool {
    let near = before.char_indices().rev().nth(10).map_or(before, |(at, _)| &before[at..]).to_ascii_lowercase();
    NEGATIONS.iter().any(|word| near.rfind(word).is_some_and(|at| is_word(&near, at, at + word.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_of_refusing_are_found() {
        for text in [
            "如需退订请登录官网填写申请表并邮寄身份证复印件",
            "退订请致电客服",
            "退订请拨打 400-000-0000",
            "回复R退订需支付0.1元/条",
            "退订请在3天内回复T",
            "如不想接收，请下载APP设置",
            "拒收请先关注公众号，再点击取消",
            "拒收请回复R（短信费0.1元由您承担）",
            "退订请到营业厅办理",
            "To unsubscribe, log in to your account",
            "To opt out please call 400-000-0000",
            "Opt out by sending your ID card copy",
            "Unsubscribe fee: $1",
        ] {
            assert!(obstacle(text).is_some(), "{text}");
        }
    }

    #[test]
    fn ways_to_refuse_and_other_matters_pass() {
        for text in [
            "登录小程序领取，退订回T",
            "客服400-000-0000，拒收请回复R",
            "退订回复TD，24小时内生效",
            "回复T退订，本短信免费",
            "退订无需登录，回复T即可",
            "酒店入住前3天内可免费退订，电话预订",
            "Call 400-000-0000. Reply TD to unsubscribe",
            "Visit our website. Txt STOP to opt out",
            "Reply TD to unsubscribe, no fee",
        ] {
            assert_eq!(obstacle(text), None, "{text}");
        }
    }
}
