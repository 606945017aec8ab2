//! Text as a reader takes it, whatever characters it is spelt with.
//!
//! Owns the folding of look-alikes, enclosed digits, invisible characters and character
//! variants (rulebook §4). For prohibitions only: an obligation met in folded text alone is
//! not clearly met. Refuses to fold what reads the same to nobody.

use std::borrow::Cow;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::confusable_detection::skeleton;

use super::numerals::numeral;
use super::signature::is_east_asian;

/// Pairs of a traditional or variant form and its common form.
const VARIANTS: &str = include_str!("fold/variants.txt");

/// The text folded; borrowed where there is nothing to fold.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    look(text).folded
}

/// What one look over a text finds.
pub(super) struct Look<'t> {
    /// The text folded; borrowed where there is nothing to fold.
    pub(super) folded: Cow<'t, str>,
    /// Whether Chinese numerals may be in it.
    pub(super) has_numerals: bool,
}

/// Folds a text and looks for numerals by the way.
pub(super) fn look(text: &str) -> Look<'_> {
    if text.is_ascii() && !text.bytes().fold(false, |found, octet| found | is_control(octet)) {
        return Look { folded: Cow::Borrowed(text), has_numerals: false };
    }
    let table = &*TABLE;
    let mut has_numerals = false;
    let first = text.char_indices().find(|&(_, c)| match c {
        FIRST_IDEOGRAPH..=LAST_IDEOGRAPH => {
            let marks = table.marks(c);
            has_numerals |= marks & NUMERAL != 0;
            marks & VARIANT != 0
        }
        c => {
            has_numerals |= c == '〇';
            !is_plain(c, table)
        }
    });
    let Some((first, _)) = first else {
        return Look { folded: Cow::Borrowed(text), has_numerals };
    };
    let (plain, rest) = text.split_at(first);
    let mut folded = String::with_capacity(text.len());
    folded.push_str(plain);
    for c in rest.chars() {
        push(c, table, &mut folded);
    }
    let folded = if folded == text { Cow::Borrowed(text) } else { Cow::Owned(folded) };
    Look { folded, has_numerals: true }
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

/// Characters that stand for themselves: ASCII, general CJK punctuation, full-width punctuation.
/// Ideographs have to be looked up, but only where they have a variant.
fn is_plain(c: char, variants: &Variants) -> bool {
    match c {
        ' '..='~' | '\t' | '\n' | '\x0C' | '\r' => true,
        FIRST_IDEOGRAPH..=LAST_IDEOGRAPH => variants.marks(c) & VARIANT == 0,
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
        // Without its marks ("Ŕ" reads as R), but kana keep the voice they have.
        let is_kept = |c: &char| !is_invisible(*c) && (!is_combining_mark(*c) || matches!(c, '\u{3099}' | '\u{309A}'));
        let parts = std::iter::once(c).nfkd().filter(is_kept).nfc();
        out.extend(parts.map(|c| match c {
            c if is_plain(c, variants) => c,
            c => variants.common(c).or_else(|| look_alike(c)).or_else(|| latin(c)).unwrap_or(c),
        }));
    }
}

/// Controls that a display leaves out; line ends, tabs and page ends it does not.
const fn is_control(octet: u8) -> bool {
    matches!(octet, 0..=0x08 | 0x0B | 0x0E..=0x1F | 0x7F)
}

/// Controls, format characters (Cf), fillers, variation selectors and whatever else has no form by itself, the
/// keycap's frame.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\0'..='\u{08}' | '\u{0B}' | '\u{0E}'..='\u{1F}' | '\u{7F}'..='\u{84}' | '\u{86}'..='\u{9F}'
        | '\u{00AD}' | '\u{034F}' | '\u{0600}'..='\u{0605}' | '\u{061C}' | '\u{06DD}' | '\u{070F}' | '\u{0890}' | '\u{0891}'
        | '\u{08E2}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{20DD}'..='\u{20E4}' | '\u{2800}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{110BD}' | '\u{110CD}' | '\u{13430}'..='\u{1343F}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// The Latin letter or digit that a letter of any script is confused with (UTS 39).
fn latin(c: char) -> Option<char> {
    const SMALL_CAPITALS: &str = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘ\0ʀꜱᴛᴜᴠᴡ\0ʏᴢ";
    if let Some(at) = SMALL_CAPITALS.chars().position(|small| small == c) {
        return char::from_u32(u32::from('A') + u32::try_from(at).ok()?);
    }
    if !c.is_alphabetic() || is_east_asian(c) {
        return None;
    }
    let mut octets = [0; 4];
    let mut prototype = skeleton(c.encode_utf8(&mut octets));
    let first = prototype.next().filter(char::is_ascii_alphanumeric)?;
    prototype.next().is_none().then_some(first)
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
        '｡' => '。',
        '➕' => '+',
        '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' | '．' | '／' | '－' | '＿' | '＠' => {
            return char::from_u32(u32::from(c) - 0xFEE0);
        }
        '\u{1F1E6}'..='\u{1F1FF}' => return char::from_u32(u32::from(c) - 0x1F1E6 + u32::from('A')),
        '\u{0660}'..='\u{0669}' | '\u{06F0}'..='\u{06F9}' => return char::from_digit(u32::from(c) % 16, 10),
        '\u{0966}'..='\u{096F}' => return char::from_digit(u32::from(c) - 0x966, 10),
        _ => return None,
    })
}

/// The digits or the letter within a circle, brackets or with a stop, which NFKC misses or dots.
fn enclosed(c: char) -> Option<&'static str> {
    const DIGITS: [&str; 21] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19",
        "20",
    ];
    const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const SMALL: &str = "abcdefghijklmnopqrstuvwxyz";
    let number = |first: char, least: usize| DIGITS.get(c as usize - first as usize + least).copied();
    let of =
        |letters: &'static str, first: char| letters.get(c as usize - first as usize..=c as usize - first as usize);
    let letter = |first: char| of(CAPITALS, first);
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
        '🔟' => Some("10"),
        '🄀' => Some("0"),
        '🄁'..='🄊' => number('🄁', 0),
        'Ⓐ'..='Ⓩ' => letter('Ⓐ'),
        'ⓐ'..='ⓩ' => of(SMALL, 'ⓐ'),
        '⒜'..='⒵' => of(SMALL, '⒜'),
        '🄐'..='🄩' => letter('🄐'),
        '🄰'..='🅉' => letter('🄰'),
        '🅐'..='🅩' => letter('🅐'),
        '🅰'..='🆉' => letter('🅰'),
        _ => None,
    }
}

/// The ideographs that have a common form, in order; two bits for each of all of them, to pass over the others fast.
struct Variants {
    marks: Box<[u64]>,
    pairs: Vec<(char, char)>,
}

const FIRST_IDEOGRAPH: char = '\u{4E00}';
const LAST_IDEOGRAPH: char = '\u{9FFF}';
/// How many of them a word has the marks of.
const MARKED: usize = 32;

/// It has a common form.
const VARIANT: u64 = 1;
/// It is a numeral.
const NUMERAL: u64 = 2;

static TABLE: LazyLock<Variants> = LazyLock::new(|| {
    let letters: Vec<char> = VARIANTS.lines().filter(|line| !line.starts_with('#')).flat_map(str::chars).collect();
    let mut pairs: Vec<(char, char)> = letters.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    pairs.sort_unstable();
    let ideographs = LAST_IDEOGRAPH as usize - FIRST_IDEOGRAPH as usize + 1;
    let mut marks = vec![0; ideographs / MARKED].into_boxed_slice();
    let variants = pairs.iter().map(|(written, _)| (*written, VARIANT));
    let numerals = (FIRST_IDEOGRAPH..=LAST_IDEOGRAPH).filter(|c| numeral(*c).is_some()).map(|c| (c, NUMERAL));
    for (c, mark) in variants.chain(numerals) {
        let index = (c as usize).wrapping_sub(FIRST_IDEOGRAPH as usize);
        if let Some(word) = marks.get_mut(index / MARKED) {
            *word |= mark << (2 * (index % MARKED));
        }
    }
    Variants { marks, pairs }
});

impl Variants {
    fn marks(&self, c: char) -> u64 {
        let index = (c as usize).wrapping_sub(FIRST_IDEOGRAPH as usize);
        self.marks.get(index / MARKED).map_or(0, |word| word >> (2 * (index % MARKED)) & 3)
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
            ("Ⓥⓧ🅰", "VxA"),
            ("𝟜𝟘𝟘", "400"),
            ("拒收请回复Ŕ", "拒收请回复R"),
            ("拒収请回複\u{1F1F7}", "拒收请回复R"),
            ("退订回ᴛᎠ", "退订回TD"),
            ("T\u{8}D\u{85}\u{1B}", "TD\u{85}"),
            ("退\u{110BD}订\u{FFF3}回\u{2061}T\u{332}", "退订回T"),
            ("٤٠٠🔟", "40010"),
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
    fn folding_twice_changes_nothing() {
        for c in ('\0'..'\u{20000}').chain('\u{2F800}'..'\u{2FA20}').chain('\u{E0000}'..'\u{E1000}') {
            let text = c.to_string();
            let once = fold(&text).into_owned();
            assert_eq!(fold(&once), once, "{c:?}");
        }
    }

    /// Registered names, and what the rules look for, must survive.
    #[test]
    fn what_is_written_plainly_stays() {
        for text in ["ガス料金のお知らせ", "서울", "Straße", "【临湖区】", "订单#123", "一二三"] {
            assert_eq!(fold(text).replace("ss", "ß"), text, "{text}");
        }
    }
}
