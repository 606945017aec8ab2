//! Phones whose digits are written as Chinese numerals: 四零零零零零零零零零.
//!
//! Owns the reading of numerals as digits where a phone may stand, and nowhere else: 第一, 九五折 and
//! 满三百减五十 stay words. Refuses to say what is a phone. Driven by R06, R15 and R17, on folded text.

/// The text with Chinese numerals as digits where, with the digits and separators around them, they
/// are long enough for a phone; none where there are no such numerals.
pub(super) fn spelt(text: &str) -> Option<String> {
    const SHORTEST_PHONE: usize = 7;
    const WIDEST_GAP: usize = 6;
    let mut out = String::new();
    let mut copied = 0;
    let mut run = Run::default();
    let mut spell = |run: Run| {
        if run.digits >= SHORTEST_PHONE && (run.spelt >= 3 || run.mixed) {
            out.push_str(&text[copied..run.start]);
            out.extend(text[run.start..run.end].chars().map(|c| numeral(c).unwrap_or(c)));
            copied = run.end;
        }
    };
    for (at, c) in text.char_indices() {
        let spelt = numeral(c).is_some();
        let gap = at - run.end;
        if spelt || c.is_ascii_digit() {
            if run.digits == 0 || gap > WIDEST_GAP {
                spell(std::mem::replace(&mut run, Run { start: at, ..Run::default() }));
            }
            run.end = at + c.len_utf8();
            run.mixed |= !spelt && run.spelt > run.led;
            run.led += usize::from(spelt && run.spelt == run.digits);
            run.digits += 1;
            run.spelt += usize::from(spelt);
        } else if run.digits > 0 && !matches!(c, '-' | ' ' | '.' | '·' | '—' | '–' | '‐' | '(' | ')') {
            spell(std::mem::take(&mut run));
        }
    }
    spell(run);
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

/// Digits and numerals with separators at most between them.
#[derive(Default)]
struct Run {
    start: usize,
    end: usize,
    digits: usize,
    spelt: usize,
    /// The numerals before its first digit: "统一400" is no disguise.
    led: usize,
    /// Whether a numeral stands between digits.
    mixed: bool,
}

pub(super) const fn numeral(c: char) -> Option<char> {
    Some(match c {
        '零' | '〇' => '0',
        '一' | '壹' | '幺' => '1',
        '二' | '贰' | '两' => '2',
        '三' | '叁' => '3',
        '四' | '肆' => '4',
        '五' | '伍' => '5',
        '六' | '陆' => '6',
        '七' | '柒' => '7',
        '八' | '捌' => '8',
        '九' | '玖' => '9',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerals_become_digits_only_where_a_phone_may_be() {
        assert_eq!(spelt("电话四零零-零零零-零零零零").as_deref(), Some("电话400-000-0000"));
        assert_eq!(spelt("拨打幺三八零零一三八零零零").as_deref(), Some("拨打13800138000"));
        assert_eq!(spelt("电话四零零—零零零—零零零零转一").as_deref(), Some("电话400—000—0000转一"));
        assert_eq!(spelt("电话肆零0 000 0零00").as_deref(), Some("电话400 000 0000"));
        for text in ["第一季度满三百减五十，三月二十一日", "全国统一400-000-0000一键直达", "周一二三四五六"]
        {
            assert_eq!(spelt(text), None, "{text}");
        }
    }
}
