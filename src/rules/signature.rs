//! The signature: the name label 【…】 on a text.
//!
//! Owns finding it in the raw text. NFKC would turn ︻A︼ into 【A】, so nothing is folded here;
//! text of an alphabet without 【 may use [ ] (rulebook §3, R05).

/// The signatures of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signatures<'t> {
    /// The one at the head, or else at the tail.
    pub label: Option<Signature<'t>>,
    /// Whether there is a further one anywhere.
    pub several: bool,
}

/// One signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'t> {
    /// The name without its brackets.
    pub name: &'t str,
    /// Whether it stands at the tail.
    pub at_tail: bool,
    /// The text without it.
    pub rest: &'t str,
}

/// Finds the signatures of a text.
pub fn signatures(text: &str) -> Signatures<'_> {
    let text = text.trim();
    if text.is_ascii() || !text.chars().any(is_east_asian) { latin(text) } else { east_asian(text) }
}

fn east_asian(text: &str) -> Signatures<'_> {
    let several = text.matches('【').count() > 1;
    Signatures { label: head(text, '【', '】').or_else(|| tail(text, '【', '】')), several }
}

/// In Latin text [ ] has other uses as well: only a second one beside the first or at the tail is a signature.
fn latin(text: &str) -> Signatures<'_> {
    let Some(label) = head(text, '[', ']') else {
        return Signatures { label: tail(text, '[', ']'), several: false };
    };
    let several = head(label.rest.trim_start(), '[', ']').or_else(|| tail(label.rest, '[', ']')).is_some();
    Signatures { label: Some(label), several }
}

fn head(text: &str, open: char, close: char) -> Option<Signature<'_>> {
    let (name, rest) = text.strip_prefix(open)?.split_once(close)?;
    Some(Signature { name, at_tail: false, rest })
}

fn tail(text: &str, open: char, close: char) -> Option<Signature<'_>> {
    let (rest, name) = text.strip_suffix(close)?.rsplit_once(open)?;
    Some(Signature { name, at_tail: true, rest })
}

/// CJK symbols, kana, ideographs, full-width forms.
pub(super) const fn is_east_asian(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE4F}' | '\u{FF00}'..='\u{FFEF}' | '\u{20000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<(&str, bool)> {
        signatures(text).label.map(|label| (label.name, label.at_tail))
    }

    #[test]
    fn a_label_stands_at_the_head_or_the_tail() {
        assert_eq!(name("【青禾鲜生】特惠"), Some(("青禾鲜生", false)));
        assert_eq!(name(" 【青禾鲜生】特惠"), Some(("青禾鲜生", false)));
        assert_eq!(name("\u{3000}【青禾鲜生】特惠"), Some(("青禾鲜生", false)));
        assert_eq!(name("特惠【青禾鲜生】"), Some(("青禾鲜生", true)));
        assert_eq!(name("特惠【青禾鲜生】拒收请回复R"), None);
        assert_eq!(name("[QingheFresh] Hello"), Some(("QingheFresh", false)));
        assert_eq!(name("[青禾鲜生]特惠"), None);
        assert_eq!(name("︻青禾鲜生︼特惠"), None);
        assert_eq!(name("【青禾鲜生 特惠"), None);
    }

    #[test]
    fn a_second_one_is_noticed() {
        assert!(signatures("【青禾鲜生】【满意贷】可借").several);
        assert!(signatures("【青禾鲜生】可借【满意贷】").several);
        assert!(signatures("[A Shop][B Loans] cash").several);
        assert!(signatures("[A Shop] cash [B Loans]").several);
        assert!(!signatures("[A Shop] your order [12] is ready").several);
        assert!(!signatures("【青禾鲜生】特惠[限今日]").several);
    }
}
