//! Contact phones in a text, told from all the other numbers a message holds.
//!
//! Owns the forms of rulebook §4 (mobile, 400 and 800, 95xxx, 96xxx, 12xxx, 100xx, landline with
//! extension) and the contexts in which the same digits are a code, an amount or an order.
//! Refuses to fold: full-width digits are readable, everything else is as it stands.

mod context;
mod form;

use form::Digits;

/// A phone found in a text: its digits without country code and extension, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phone {
    digits: Digits,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Phone {
    /// Whether it is this registered number, which may have an extension.
    pub(super) fn is(&self, registered: &str) -> bool {
        let mut digits = [0; form::LONGEST];
        registered.as_bytes().starts_with(self.digits.write(&mut digits))
    }

    /// Whether it is still a phone where the text around it reads otherwise.
    pub(super) fn stands_between(&self, before: &str, after: &str, port: &[u8]) -> bool {
        context::allows(before, after, self.digits, port)
    }

    /// Whether it has no more digits than codes and order numbers often have.
    pub(super) const fn is_brief(&self) -> bool {
        self.digits.is_brief()
    }

    /// Its digits in writing.
    pub(super) fn number(&self) -> String {
        self.digits.write(&mut [0; form::LONGEST]).iter().map(|&digit| char::from(digit)).collect()
    }
}

/// Digits without anything between them.
#[derive(Clone, Copy)]
struct Group {
    digits: Digits,
    start: usize,
    end: usize,
    /// What stands between the group before and this one.
    gap: Gap,
}

/// What stands between two groups of digits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// Something that no number has within.
    Apart,
    /// A blank or a bracket: within a number, or between two.
    Loose,
    /// A hyphen or a point: within a number only.
    Tight,
}

/// The most groups a number is written in.
const MOST_GROUPS: usize = 6;

/// Every phone in the text, from left to right; `port`, the number it is sent from, is none.
pub(super) fn phones<'t>(text: &'t str, port: &'t [u8]) -> impl Iterator<Item = Phone> + use<'t> {
    let mut window: [Option<Group>; MOST_GROUPS + 1] = [None; MOST_GROUPS + 1];
    let mut scanner = Scanner { text, at: 0, last: 0 };
    for slot in &mut window {
        *slot = scanner.next();
    }
    std::iter::from_fn(move || {
        while window[0].is_some() {
            let found = at_head(&window, text, port);
            let used = found.map_or(1, |(_, used)| used);
            for _ in 0..used {
                window.rotate_left(1);
                window[MOST_GROUPS] = scanner.next();
            }
            if let Some((phone, _)) = found {
                return Some(phone);
            }
        }
        None
    })
}

/// The longest phone that starts with the window's first group, and how many groups it takes.
fn at_head(window: &[Option<Group>; MOST_GROUPS + 1], text: &str, port: &[u8]) -> Option<(Phone, usize)> {
    let first = window[0]?;
    if first.gap == Gap::Tight {
        return None;
    }
    let chain = 1 + window[1..].iter().take_while(|group| group.is_some_and(|group| group.gap != Gap::Apart)).count();
    let mut digits = first.digits;
    let mut found = None;
    for used in 1..=chain.min(MOST_GROUPS) {
        let group = window[used - 1]?;
        if used > 1 {
            let Some(longer) = digits.followed_by(group.digits) else { break };
            digits = longer;
        }
        let extension = || {
            let beyond = window.get(used + 1).copied().flatten();
            window[used].is_some_and(|next| next.digits.len() <= 5)
                && beyond.is_none_or(|group| group.gap != Gap::Tight)
        };
        let ends = match window[used].map_or(Gap::Apart, |next| next.gap) {
            Gap::Apart | Gap::Loose => true,
            Gap::Tight => extension(),
        };
        let span = (first.start, group.end);
        let abroad = || Some(digits).filter(|digits| text[..first.start].ends_with('+') && digits.is_international());
        if let Some(number) = digits.as_phone(used).or_else(abroad).filter(|_| ends)
            && context::allows(&text[..span.0], &text[span.1..], number, port)
        {
            found = Some((Phone { digits: number, start: span.0, end: span.1 }, used));
        }
    }
    found
}

/// Finds the groups of digits in a text.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// Where the last group ended.
    last: usize,
}

impl Iterator for Scanner<'_> {
    type Item = Group;

    fn next(&mut self) -> Option<Group> {
        let octets = self.text.as_bytes();
        while digit(octets, self.at).is_none() {
            self.at += 1;
            self.at += first_digit(octets.get(self.at..)?)?;
        }
        let start = self.at;
        let mut digits = Digits::default();
        while let Some((digit, width)) = digit(octets, self.at) {
            digits.push(digit);
            self.at += width;
        }
        let gap = if self.last == 0 { Gap::Apart } else { gap(&self.text[self.last..start]) };
        self.last = self.at;
        Some(Group { digits, start, end: self.at, gap })
    }
}

/// Where the first octet stands that a digit may start with. Looks at many at once: most are none.
fn first_digit(octets: &[u8]) -> Option<usize> {
    const AT_ONCE: usize = 32;
    // Full-width digits start with 0xEF.
    let starts = |octet: &u8| octet.is_ascii_digit() || *octet == 0xEF;
    let none =
        octets.chunks_exact(AT_ONCE).take_while(|chunk| !chunk.iter().fold(false, |any, octet| any | starts(octet)));
    let passed = none.count() * AT_ONCE;
    octets[passed..].iter().position(starts).map(|at| passed + at)
}

/// The digit at an offset and how many octets it takes: ASCII, or full-width (U+FF10 to U+FF19).
fn digit(octets: &[u8], at: usize) -> Option<(u8, usize)> {
    match octets.get(at)? {
        digit @ b'0'..=b'9' => Some((digit - b'0', 1)),
        0xEF => match octets.get(at + 1..at + 3)? {
            [0xBC, digit @ 0x90..=0x99] => Some((digit - 0x90, 3)),
            _ => None,
        },
        _ => None,
    }
}

fn gap(between: &str) -> Gap {
    const WIDEST: usize = 12;
    if between.len() > WIDEST {
        return Gap::Apart;
    }
    let mut gap = Gap::Tight;
    for (index, c) in between.chars().enumerate() {
        match c {
            _ if index > 2 => return Gap::Apart,
            '(' | ')' | '（' | '）' => gap = Gap::Loose,
            '\n' | '\r' => return Gap::Apart,
            c if c.is_whitespace() => gap = Gap::Loose,
            '-' | '－' | '‐' | '\u{2011}' | '–' | '—' | '\u{2212}' | '·' | '.' | '．' => {}
            _ => return Gap::Apart,
        }
    }
    gap
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        phones(text, b"10690001230801").map(|phone| phone.number()).collect()
    }

    #[test]
    fn every_form_of_a_phone_is_found() {
        for (text, number) in [
            ("客服400-000-0000，拒收请回复R", "4000000000"),
            ("电话：４００－０００－００００", "4000000000"),
            ("热线 800 820 8820", "8008208820"),
            ("咨询13800138000", "13800138000"),
            ("手机+86 138-0013-8000", "13800138000"),
            ("手机0086 13800138000", "13800138000"),
            ("致电95588", "95588"),
            ("请拨打95013123。", "95013123"),
            ("客服电话96123", "96123"),
            ("举报12315", "12315"),
            ("详询10086", "10086"),
            ("详询010-00000000。", "01000000000"),
            ("电话(0571)88888888", "057188888888"),
            ("电话（0755） 8888 8888", "075588888888"),
            ("座机0571-8888888-801", "05718888888"),
            ("座机0571-88888888转801", "057188888888"),
            ("Call 400-000-0000. Reply TD", "4000000000"),
            ("Tel: 400.000.0000", "4000000000"),
            ("热线400—000—0000（9:00-21:00）", "4000000000"),
            ("客服号码4000000000", "4000000000"),
            ("2026.11.23 400-000-0000", "4000000000"),
            ("服务热线4000-000-000TD退订", "4000000000"),
            ("call +44 20 7946 0000", "442079460000"),
        ] {
            assert_eq!(found(text), [number], "{text}");
        }
    }

    #[test]
    fn other_numbers_are_no_phones() {
        for text in [
            "验证码 482913，5分钟内有效",
            "验证码958213",
            "958213（登录验证码）",
            "您的code: 95588",
            "本月水费86.40元，户号0012345",
            "金额95588元",
            "仅需95588.00元",
            "订单号13912345678已发货",
            "取件码 7-3-1873",
            "取件码96123",
            "2026-11-23至2026-12-05",
            "10690001230801",
            "举报请联系12321",
            "④⓪⓪-⓪⓪⓪-⓪⓪⓪⓪",
            "运单4000000000123",
            "https://t.example/4000000000",
            "满50减12，每日8:00-21:00",
            "尾号95588的卡",
            "卡号6222 0000 9558 8001",
            "SN13800138000",
            "价值￥96800",
            "40000",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }

    #[test]
    fn several_phones_are_all_found() {
        assert_eq!(found("客服400-000-0000或010-00000000，投诉95588"), ["4000000000", "01000000000", "95588"]);
        assert_eq!(found("400-000-0000 13800138000"), ["4000000000", "13800138000"]);
    }

    #[test]
    fn a_registered_phone_may_have_an_extension() {
        let phone = phones("详询010-00000000转8", b"").next().unwrap();
        assert!(phone.is("01000000000") && phone.is("010000000008"));
        assert!(!phone.is("01000000001") && !phone.is("0100000000"));
    }

    #[test]
    fn long_runs_of_groups_take_linear_time() {
        let text = "1 ".repeat(30_000);
        assert_eq!(phones(&text, b"").count(), 0);
    }
}
