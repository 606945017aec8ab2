//! Text as a reader takes it, whatever characters it is spelt with.
//!
//! Owns the folding of look-alikes, enclosed digits, invisible characters and character
//! variants (rulebook §4). For prohibitions only: an obligation met in folded text alone is
//! not clearly met. Refuses to fold what reads the same to nobody.

use std::borrow::Cow;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Pairs of a traditional or variant form and its common form.
const VARIANTS: &str = include_str!("fold/variants.txt");

/// The text folded; borrowed where there is nothing to fold.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let variants = &*TABLE;
    let Some(first) = text.char_indices().find(|&(_, c)| !is_plain(c, variants)).map(|(at, _)| at) else {
        return Cow::Borrowed(text);
    };
    let (plain, rest) = text.split_at(first);
    let mut folded = String::with_capacity(text.len());
    folded.push_str(plain);
    for c in rest.chars() {
        push(c, variants, &mut folded);
    }
    if folded == text { Cow::Borrowed(text) } else { Cow::Owned(folded) }
}

/// Whether the text holds characters that reorder it or fill it with nothing.
pub(super) fn disguise(text: &str) -> Option<&'static str> {
    if text.is_ascii() {
        return None;
    }
    text.chars().find_map(|c| match c {
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => Some("reverses the reading direction"),
        '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{2800}' => {
            Some("fills the text with blanks that are letters")
        }
        _ => None,
    })
}

/// The text with Chinese numerals as digits where, with the digits and hyphens around them, they
/// are long enough for a phone; none where there are no such numerals.
pub(super) fn numerals(text: &str) -> Option<String> {
    const fn digit(c: char) -> Option<char> {
        Some(match c {
            '零' | '〇' => '0',
            '一' | '幺' => '1',
            '二' | '两' => '2',
            '三' => '3',
            '四' => '4',
            '五' => '5',
            '六' => '6',
            '七' => '7',
            '八' => '8',
            '九' => '9',
            _ => return None,
        })
    }
    // Few texts have three numerals in a row.
    let mut in_a_row = 0;
    let spelt = |c: char| {
        in_a_row = if digit(c).is_some() { in_a_row + 1 } else { 0 };
        in_a_row == 3
    };
    if text.is_ascii() || !text.chars().filter(|&c| c != '-').any(spelt) {
        return None;
    }
    let mut out = String::new();
    let mut changed = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let of_number = |c: char| c.is_ascii_digit() || c == '-' || digit(c).is_some();
        let run = &rest[..rest.find(|c| !of_number(c)).unwrap_or(rest.len())];
        let spelt = run.chars().filter(|&c| digit(c).is_some()).count();
        if spelt >= 3 && run.chars().filter(|&c| c != '-').count() >= 7 {
            out.extend(run.chars().map(|c| digit(c).unwrap_or(c)));
            changed = true;
        } else {
            out.push_str(run);
        }
        rest = &rest[run.len()..];
        if run.is_empty() {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    changed.then_some(out)
}

/// Characters that stand for themselves: ASCII, general CJK punctuation, full-width punctuation.
/// Ideographs have to be looked up, but only where they have a variant.
fn is_plain(c: char, variants: &Variants) -> bool {
    match c {
        '\0'..='\x7F' => true,
        '\u{4E00}'..='\u{9FFF}' => !variants.has(c),
        '\u{3001}'..='\u{3011}'
        | '，'
        | '！'
        | '？'
        | '：'
        | '；'
        | '（'
        | '）'
        | '“'
        | '”'
        | '‘'
        | '’'
        | '…'
        | '—' => true,
        _ => false,
    }
}

fn push(c: char, variants: &Variants, out: &mut String) {
    if is_plain(c, variants) {
        out.push(c);
    } else if is_invisible(c) {
        // Leaves no trace.
    } else if let Some(folded) = variants.common(c).or_else(|| look_alike(c)) {
        out.push(folded);
    } else if let Some(number) = enclosed(c) {
        out.push_str(number);
    } else {
        out.extend(std::iter::once(c).nfkc().filter(|&c| !is_combining_mark(c) && !is_invisible(c)));
    }
}

/// Format characters, fillers, variation selectors, the keycap's frame.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{20E3}' | '\u{2800}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// The Latin letter that a Cyrillic or Greek one is taken for, and the bracket in its upright form.
fn look_alike(c: char) -> Option<char> {
    Some(match c {
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'С' => 'C',
        'Е' | 'Ε' => 'E',
        'Н' | 'Η' => 'H',
        'І' | 'Ι' => 'I',
        'Ј' => 'J',
        'К' | 'Κ' => 'K',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'О' | 'Ο' => 'O',
        'Р' | 'Ρ' => 'P',
        'Я' => 'R',
        'Ѕ' => 'S',
        'Т' | 'Τ' => 'T',
        'Х' | 'Χ' => 'X',
        'У' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        'а' => 'a',
        'с' => 'c',
        'е' => 'e',
        'і' => 'i',
        'о' | 'ο' => 'o',
        'р' => 'p',
        'ѕ' => 's',
        'т' => 't',
        'х' => 'x',
        'у' => 'y',
        '︻' => '【',
        '︼' => '】',
        '。' | '｡' => '。',
        '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' | '．' | '／' | '－' | '＿' | '＠' => {
            return char::from_u32(u32::from(c) - 0xFEE0);
        }
        _ => return None,
    })
}

/// The digits or the letter within a circle, brackets or with a stop, which NFKC misses or dots.
fn enclosed(c: char) -> Option<&'static str> {
    const DIGITS: [&str; 21] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19",
        "20",
    ];
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let number = |first: char, least: usize| DIGITS.get(c as usize - first as usize + least).copied();
    let letter = |first: char| LETTERS.get(c as usize - first as usize..=c as usize - first as usize);
    match c {
        '①'..='⑳' => number('①', 1),
        '⑴'..='⒇' => number('⑴', 1),
        '⒈'..='⒛' => number('⒈', 1),
        '⓪' | '⓿' | '🄋' | '🄌' => Some("0"),
        '⓫'..='⓴' => number('⓫', 11),
        '⓵'..='⓾' => number('⓵', 1),
        '❶'..='❿' => number('❶', 1),
        '➀'..='➉' => number('➀', 1),
        '➊'..='➓' => number('➊', 1),
        '㈠'..='㈩' => number('㈠', 1),
        '㊀'..='㊉' => number('㊀', 1),
        '🄀' => Some("0"),
        '🄁'..='🄊' => number('🄁', 0),
        'Ⓐ'..='Ⓩ' => letter('Ⓐ'),
        'ⓐ'..='ⓩ' => letter('ⓐ'),
        '⒜'..='⒵' => letter('⒜'),
        '🄐'..='🄩' => letter('🄐'),
        '🄰'..='🅉' => letter('🄰'),
        '🅐'..='🅩' => letter('🅐'),
        '🅰'..='🆉' => letter('🅰'),
        _ => None,
    }
}

/// The ideographs that have a common form: a bit each, to pass over the others fast, and the pairs in order.
struct Variants {
    bits: Box<[u64]>,
    pairs: Vec<(char, char)>,
}

const FIRST_IDEOGRAPH: usize = 0x4E00;
const IDEOGRAPHS: usize = 0xA000 - FIRST_IDEOGRAPH;

static TABLE: LazyLock<Variants> = LazyLock::new(|| {
    let letters: Vec<char> = VARIANTS.lines().filter(|line| !line.starts_with('#')).flat_map(str::chars).collect();
    let mut pairs: Vec<(char, char)> = letters.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    pairs.sort_unstable();
    let mut bits = vec![0; IDEOGRAPHS / 64].into_boxed_slice();
    for (written, _) in &pairs {
        let index = (*written as usize).wrapping_sub(FIRST_IDEOGRAPH);
        if let Some(word) = bits.get_mut(index / 64) {
            *word |= 1_u64 << (index % 64);
        }
    }
    Variants { bits, pairs }
});

impl Variants {
    fn has(&self, c: char) -> bool {
        let index = (c as usize).wrapping_sub(FIRST_IDEOGRAPH);
        self.bits.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    fn common(&self, c: char) -> Option<char> {
        let index = self.pairs.binary_search_by_key(&c, |pair| pair.0).ok()?;
        Some(self.pairs[index].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_the_same_folds_to_the_same() {
        for (written, read) in [
            ("④⓪⓪-⓪⓪⓪-⓪⓪⓪⓪", "400-000-0000"),
            ("➃⓿❹4️⃣４⑷⒋", "4044444"),
            ("退\u{200B}订回\u{200B}Т", "退订回T"),
            ("退訂囬Τ", "退订回T"),
            ("拒收请回复Я", "拒收请回复R"),
            ("︻青禾鲜生︼", "【青禾鲜生】"),
            ("优\u{3164}惠\u{2800}券", "优惠券"),
            ("ＶＸ：ａｂｃ", "VX：abc"),
            ("Ⓥⓧ🅰", "VXA"),
            ("𝟜𝟘𝟘", "400"),
        ] {
            assert_eq!(fold(written), read, "{written}");
        }
    }

    #[test]
    fn ordinary_text_is_borrowed() {
        for text in ["【青禾鲜生】老会员专享：本周六，客服400-000-0000。", "Reply STOP to opt out!", "价格￥"]
        {
            let folded = fold(text);
            assert!(text == "价格￥" || matches!(folded, Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn direction_overrides_and_fillers_are_disguise() {
        assert!(disguise("T\u{202E}回订退").is_some());
        assert!(disguise("a\u{3164}b").is_some());
        assert_eq!(disguise("【青禾鲜生】🎉\u{FE0F} 👨\u{200D}👩\u{200D}👧"), None);
    }

    #[test]
    fn numerals_become_digits_only_where_a_phone_may_be() {
        assert_eq!(numerals("电话四零零-零零零-零零零零").as_deref(), Some("电话400-000-0000"));
        assert_eq!(numerals("拨打幺三八零零一三八零零零").as_deref(), Some("拨打13800138000"));
        assert_eq!(numerals("第一季度满三百减五十，三月二十一日"), None);
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for text in ["④⓪⓪", "退\u{200B}訂囬Т", "ﬁ㎏Ⅳ½", "é\u{301}"] {
            let once = fold(text).into_owned();
            assert_eq!(fold(&once), once, "{text}");
        }
    }
}
