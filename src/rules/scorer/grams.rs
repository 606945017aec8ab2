//! What a text is made of, for the learned weights: runs of up to three tokens of a sentence.
//!
//! An ideograph is a token, and so is a Latin word, a number, a mark between clauses. A link is none: a
//! bill has one as a promotion has, and R17 knows whose it is. Nor do marks make a run by themselves.

use super::normal::{SENTENCE_END, is_clause_end};

/// The longest run.
const LONGEST: usize = 3;
/// What stands for a mark between clauses.
const MARK: char = '，';
const MARK_ALONE: &str = "，";

/// The normal form with nothing in it but tokens: sentences are lines, a blank stands between Latin words.
pub(super) fn canonical(form: &str) -> String {
    let mut out = String::with_capacity(form.len());
    let mut rest = form;
    while let Some(c) = rest.chars().next() {
        let run = &rest[..rest.find(|c| !is_of_run(c)).unwrap_or(rest.len())];
        rest = &rest[run.len().max(c.len_utf8())..];
        if !run.is_empty() {
            push_run(run, &mut out);
        } else if is_ideograph(c) || c == '%' || c == '￥' {
            out.push(c);
        } else if is_clause_end(c) || matches!(c, '：' | ':' | '、' | '(' | ')' | '（' | '）') {
            push_once(if c == SENTENCE_END { c } else { MARK }, &mut out);
        }
    }
    out
}

/// Latin letters, numbers and what holds a link together.
fn push_run(run: &str, out: &mut String) {
    let inner = run.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '#');
    if is_link(inner) {
        return;
    }
    for word in run.split(|c: char| !c.is_ascii_alphabetic() && c != '#' && c != '\'') {
        for piece in word.split_inclusive('#') {
            let letters = piece.trim_end_matches('#');
            if !letters.is_empty() {
                if out.ends_with(|c: char| c.is_ascii_lowercase() || c == '\'') {
                    out.push(' ');
                }
                out.extend(letters.chars().map(|c| c.to_ascii_lowercase()));
            }
            if piece.ends_with('#') {
                push_once('#', out);
            }
        }
    }
}

/// A scheme, or a host whose last label is a word.
fn is_link(run: &str) -> bool {
    let host = run.split(['/', '?', ':']).next().unwrap_or_default();
    let (before, last) = host.rsplit_once('.').unwrap_or_default();
    run.contains("://") || !before.is_empty() && last.len() > 1 && last.bytes().all(|octet| octet.is_ascii_alphabetic())
}

fn push_once(c: char, out: &mut String) {
    if !out.ends_with(c) {
        out.push(c);
    }
}

const fn is_of_run(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '#' | '\'' | '.' | '/' | ':' | '_' | '?' | '=' | '&' | '-')
}

const fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9FFF}')
}

/// Calls `take` with every run of a sentence in canonical form, and its hash.
pub(super) fn for_each<'t>(sentence: &'t str, mut take: impl FnMut(&'t str, u64)) {
    let ends: Vec<usize> = ends(sentence).collect();
    let mut start = 0;
    for (index, &first) in ends.iter().enumerate() {
        let begin = start + usize::from(sentence[start..].starts_with(' '));
        let mut hash = FIRST;
        let mut from = begin;
        for &end in ends[index..].iter().take(LONGEST) {
            hash = sentence.as_bytes()[from..end].iter().fold(hash, |hash, octet| step(hash, *octet));
            from = end;
            if &sentence[begin..end] != MARK_ALONE {
                take(&sentence[begin..end], hash);
            }
        }
        start = first;
    }
}

/// Where each token ends; a blank belongs to the word behind it.
fn ends(sentence: &str) -> impl Iterator<Item = usize> {
    let letter = |c: char| c.is_ascii_lowercase() || c == '\'';
    sentence.char_indices().filter_map(move |(at, c)| {
        let end = at + c.len_utf8();
        let goes_on = letter(c) && sentence[end..].starts_with(letter) || c == ' ';
        (!goes_on).then_some(end)
    })
}

/// FNV-1a: stable over builds, and as quick as it gets for few octets.
pub(super) fn hash(gram: &str) -> u64 {
    gram.bytes().fold(FIRST, step)
}

const FIRST: u64 = 0xCBF2_9CE4_8422_2325;

const fn step(hash: u64, octet: u8) -> u64 {
    (hash ^ octet as u64).wrapping_mul(0x0000_0100_0000_01B3)
}

#[cfg(test)]
mod tests {
    use super::super::normal;
    use super::*;

    #[test]
    fn tokens_are_what_a_reader_sees() {
        for (text, tokens) in [
            ("您的验证码123456，5分钟内有效。戳 https://t.example/a8K", "您的验证码#，#分钟内有效\n戳"),
            ("Get 20% off, visit m.shop.example/p/77 now!", "get#%off，visit now\n"),
            ("Don't call 400-000-0000: it's closed", "don't call#it's closed"),
        ] {
            assert_eq!(canonical(&normal::form(text)), tokens, "{text}");
        }
    }

    #[test]
    fn runs_have_one_to_three_tokens() {
        let mut runs = Vec::new();
        for_each("满#get it now", |run, known| {
            assert_eq!(hash(run), known);
            runs.push(run);
        });
        let expected =
            ["满", "满#", "满#get", "#", "#get", "#get it", "get", "get it", "get it now", "it", "it now", "now"];
        assert_eq!(runs, expected);
    }
}
