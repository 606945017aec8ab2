//! The notation of templates.
//!
//! ```text
//! template = { fixed text | variable }         "$${" stands for "${" in fixed text
//! variable = "${" [ name ":" ] type [ "," length ] "}"
//! type     = digits letters code chinese any   with a length
//!          | money number date time phone link as long as its form
//! length   = most | least "-" most             in characters; most alone: exactly so many
//! ```

use super::shape::Shape;
use super::{Piece, Variable};
use crate::document::unknown_word;

/// The longest text of a template, in characters.
pub const LONGEST_TEXT: usize = 1_000;
/// How many variables it may have.
pub const MOST_VARIABLES: usize = 40;
/// The longest content of a variable.
const LONGEST_VARIABLE: usize = 500;
/// How much fixed text there must be in one piece, for a template to say anything.
const LEAST_FIXED: usize = 2;

/// Reads a template's text.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let length = text.chars().count();
    if length > LONGEST_TEXT {
        return Err(format!("has {length} characters; {LONGEST_TEXT} are the most"));
    }
    let mut pieces = Vec::new();
    let mut fixed = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            fixed.push_str(before);
            fixed.push_str("${");
            rest = after;
            continue;
        }
        fixed.push_str(before);
        let Some((inside, behind)) = after.split_once('}') else {
            return Err(format!("the variable at character {} has no closing }}", place(text, before, rest)));
        };
        let variable = variable(inside).map_err(|why| format!("the variable ${{{inside}}} {why}"))?;
        push_fixed(&mut pieces, &mut fixed);
        pieces.push(Piece::Variable(variable));
        rest = behind;
    }
    fixed.push_str(rest);
    push_fixed(&mut pieces, &mut fixed);
    check(&pieces)?;
    Ok(pieces)
}

fn push_fixed(pieces: &mut Vec<Piece>, fixed: &mut String) {
    if !fixed.is_empty() {
        let text = std::mem::take(fixed);
        pieces.push(Piece::Fixed { characters: text.chars().count(), text });
    }
}

fn place(text: &str, before: &str, rest: &str) -> usize {
    let at = text.len() - rest.len() + before.len();
    text[..at].chars().count() + 1
}

fn variable(inside: &str) -> Result<Variable, String> {
    let spec = inside.split_once(':').map_or(inside, |(_, spec)| spec);
    let (word, length) = match spec.split_once(',') {
        Some((word, length)) => (word.trim(), Some(length.trim())),
        None => (spec.trim(), None),
    };
    let Some(&(_, shape)) = Shape::WORDS.iter().find(|(known, _)| *known == word) else {
        return Err(format!("has an unknown type: {}", unknown_word(word, Shape::WORDS.iter().map(|row| row.0))));
    };
    match (shape.has_length(), length) {
        (false, None) => Ok(Variable { shape, least: 0, most: 0 }),
        (false, Some(_)) => Err(format!("must not have a length: {word} is as long as its form")),
        (true, None) => Err(format!("must have a length, as in ${{{word},1-8}}")),
        (true, Some(length)) => {
            let (least, most) = bounds(length).ok_or_else(|| {
                format!("has the length {length:?}; expected one from 1 to {LONGEST_VARIABLE}, as 6 or 4-6")
            })?;
            Ok(Variable { shape, least, most })
        }
    }
}

fn bounds(length: &str) -> Option<(usize, usize)> {
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let (least, most) = match length.split_once('-') {
        Some((least, most)) => (number(least)?, number(most)?),
        None => (number(length)?, number(length)?),
    };
    (least <= most && (1..=LONGEST_VARIABLE).contains(&most)).then_some((least, most))
}

fn check(pieces: &[Piece]) -> Result<(), String> {
    let variables = pieces.iter().filter(|piece| matches!(piece, Piece::Variable(_))).count();
    if variables > MOST_VARIABLES {
        return Err(format!("has {variables} variables; {MOST_VARIABLES} are the most"));
    }
    let enough = |piece: &Piece| matches!(piece, Piece::Fixed { characters, .. } if *characters >= LEAST_FIXED);
    if !pieces.iter().any(enough) {
        return Err(format!("has no {LEAST_FIXED} fixed characters in a row, so nearly everything would keep to it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_text_and_variables_take_turns() {
        let fixed = |text: &str| Piece::Fixed { text: text.to_owned(), characters: text.chars().count() };
        let variable = |shape, least, most| Piece::Variable(Variable { shape, least, most });
        assert_eq!(
            pieces("${name:chinese,1-8}您好，验证码${code:digits,6}，$5与$${x}，${date}").unwrap(),
            [
                variable(Shape::Chinese, 1, 8),
                fixed("您好，验证码"),
                variable(Shape::Digits, 6, 6),
                fixed("，$5与${x}，"),
                variable(Shape::Date, 0, 0),
            ]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (text, complaint) in [
            ("验证码${code:digits}", "must have a length"),
            ("验证码${code:digit,4-6}", "did you mean \"digits\"?"),
            ("验证码${code:digits,6-4}", "expected one from 1 to 500"),
            ("验证码${code:digits,0}", "expected one from 1 to 500"),
            ("验证码${code:digits,4-900}", "expected one from 1 to 500"),
            ("于${when:date,8}到期", "must not have a length"),
            ("您好${name:chinese,1-4", "at character 3 has no closing"),
            ("${any,0-200}", "no 2 fixed characters"),
            ("${code:digits,6}：${any,0-200}", "no 2 fixed characters"),
        ] {
            let error = pieces(text).unwrap_err();
            assert!(error.contains(complaint), "{text}: {error}");
        }
        assert!(pieces(&"好".repeat(LONGEST_TEXT + 1)).is_err());
        assert!(pieces(&"好好${any,1}".repeat(MOST_VARIABLES + 1)).is_err());
    }
}
