//! The form in which texts and terms are compared.

/// What every end of a sentence becomes.
pub(super) const SENTENCE_END: char = '\n';

/// What ends a clause, or a sentence.
pub(super) const fn is_clause_end(c: char) -> bool {
    matches!(c, SENTENCE_END | '，' | ',' | '；' | ';')
}

/// Numbers become `#`, ends of sentences a line's end; blanks and ornaments between ideographs go.
pub(super) fn form(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut last = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let kept = match c {
            '#' => '#',
            '0'..='9' => {
                while let Some(&next) = chars.peek() {
                    let mut beyond = chars.clone();
                    beyond.next();
                    let within = matches!(next, '.' | ',') && beyond.next().is_some_and(|c| c.is_ascii_digit());
                    if !next.is_ascii_digit() && !within {
                        break;
                    }
                    chars.next();
                }
                '#'
            }
            '。' | '！' | '？' | '!' | '?' | '\n' | '\r' => SENTENCE_END,
            '.' if chars.peek().is_none_or(|next| next.is_whitespace()) => SENTENCE_END,
            '％' => '%',
            '’' => '\'',
            '\u{3000}' | '\t' | '\u{A0}' => ' ',
            c => c,
        };
        if is_ornament(kept) && (is_ideograph(last) || last == '#') {
            let mut beyond = chars.clone();
            while beyond.next_if(|&c| is_ornament(c)).is_some() {}
            if beyond.peek().is_some_and(|&next| is_within_word(last, next)) {
                chars = beyond;
                continue;
            }
        }
        if kept == ' ' && last == ' ' {
            continue;
        }
        out.push(kept);
        last = kept;
    }
    out
}

const fn is_ornament(c: char) -> bool {
    matches!(c, ' ' | '*' | '·' | '-' | '_' | '|' | '~' | '^' | '丨' | '、' | '/' | '+')
}

const fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}')
}

/// Whether what stands between these two only breaks up a word: between two numbers it does not.
const fn is_within_word(last: char, next: char) -> bool {
    is_ideograph(last) && (is_ideograph(next) || next.is_ascii_digit()) || last == '#' && is_ideograph(next)
}
