//! Words in Latin letters, which a search in running text must find whole.

/// Whether a span does not go on as a word before or behind; ideographs have no such borders.
pub(super) fn is_word(text: &str, start: usize, end: usize) -> bool {
    let letter = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_alphabetic);
    let glued = |first: Option<usize>, second: usize| first.is_some_and(&letter) && letter(second);
    !glued(start.checked_sub(1), start) && !glued(end.checked_sub(1), end)
}

/// Whether the text ends with one of these words, in any case, as a word of its own.
pub(super) fn ends_with_word(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        let at = text.len().checked_sub(word.len());
        at.is_some_and(|at| {
            text.as_bytes()[at..].eq_ignore_ascii_case(word.as_bytes()) && is_word(text, at, text.len())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_no_letters_beside_it() {
        assert!(is_word("a sale now", 2, 6) && is_word("大sale啦", 3, 7) && is_word("sale", 0, 4));
        assert!(!is_word("wholesale", 5, 9) && !is_word("sales", 0, 4));
        assert!(ends_with_word("Your CODE", &["code"]) && !ends_with_word("barcode", &["code"]));
    }
}
