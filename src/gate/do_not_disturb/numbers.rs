//! Very many subscriber numbers in four octets each, and prefixes.
//!
//! Owns the reading of a list's lines and the search in it. Numbers are kept by their upper and lower
//! halves: those of one country share a handful of upper halves. Driven by the lists.

use std::io::{BufRead, Read};

use crate::rules::Msisdn;

/// The longest line that is read.
const LONGEST_LINE: u64 = 64 * 1024;

/// Faulty lines told, of one file.
const TOLD: usize = 20;

/// The fewest digits of a prefix without its country code: fewer would be a slip of the pen.
const SHORTEST_PREFIX: usize = 3;

/// A line, from 1, and what is wrong there; no line where it is the file.
pub(super) type Wrong = (Option<usize>, String);

/// Numbers and prefixes, searched and compared.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Numbers {
    /// Upper halves in order, each with the place where its numbers begin.
    groups: Vec<(u32, usize)>,
    lower: Vec<u32>,
    /// Prefixes in order, by their number of digits.
    prefixes: Vec<(u32, Vec<u64>)>,
}

/// One line of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entry {
    Number(u64),
    /// Digits and how many.
    Prefix(u64, u32),
}

impl Numbers {
    /// Reads a list: a number or a prefix (`1380013*`) in the first column of each line, `#` comments, one header.
    pub(super) fn read(mut input: impl BufRead) -> Result<Self, Vec<Wrong>> {
        let (mut numbers, mut prefixes, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        let (mut line, mut is_first) = (Vec::new(), true);
        for at in 1.. {
            line.clear();
            match Read::take(&mut input, LONGEST_LINE).read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(vec![(Some(at), format!("cannot be read: {error}"))]),
            }
            let Some(field) = field(&line) else { continue };
            match entry(field) {
                Some(Entry::Number(number)) => numbers.push(number),
                Some(Entry::Prefix(digits, length)) => prefixes.push((length, digits)),
                None if is_first && !field.bytes().any(|octet| octet.is_ascii_digit()) => {}
                None => wrong.push((Some(at), told(field))),
            }
            is_first = false;
            if wrong.len() >= TOLD {
                wrong.push((None, "has more lines that are neither".to_owned()));
                break;
            }
        }
        if wrong.is_empty() && numbers.is_empty() && prefixes.is_empty() {
            // As a download that failed leaves it: to take it at its word would forget everybody.
            wrong.push((None, "has no number in it".to_owned()));
        }
        if wrong.is_empty() { Ok(Self::of(numbers, prefixes)) } else { Err(wrong) }
    }

    fn of(mut numbers: Vec<u64>, mut prefixes: Vec<(u32, u64)>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        prefixes.sort_unstable();
        prefixes.dedup();
        let mut groups: Vec<(u32, usize)> = Vec::new();
        let mut lower = Vec::with_capacity(numbers.len());
        for number in numbers {
            let (high, low) = halves(number);
            if groups.last().is_none_or(|(last, _)| *last != high) {
                groups.push((high, lower.len()));
            }
            lower.push(low);
        }
        let by_length = prefixes.chunk_by(|a, b| a.0 == b.0);
        let prefixes = by_length
            .filter_map(|same| Some((same.first()?.0, same.iter().map(|(_, digits)| *digits).collect())))
            .collect();
        Self { groups, lower, prefixes }
    }

    /// Whether it has the number, or a prefix of it.
    pub(super) fn has(&self, msisdn: u64) -> bool {
        let (high, low) = halves(msisdn);
        let numbers = self.groups.binary_search_by_key(&high, |(high, _)| *high).ok().map(|at| self.group(at));
        if numbers.is_some_and(|(_, numbers)| numbers.binary_search(&low).is_ok()) {
            return true;
        }
        let length = msisdn.checked_ilog10().unwrap_or(0) + 1;
        self.prefixes.iter().take_while(|(digits, _)| *digits <= length).any(|(digits, prefixes)| {
            let head = msisdn / 10_u64.pow(length - digits);
            prefixes.binary_search(&head).is_ok()
        })
    }

    /// How many numbers and prefixes it has.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.lower.len(), self.prefixes.iter().map(|(_, prefixes)| prefixes.len()).sum())
    }

    /// What another state has more, and less.
    pub(super) fn difference(&self, new: &Self) -> super::Difference {
        let (added, removed) = differing(self.all(), new.all());
        super::Difference { added, removed }
    }

    /// The upper half of a group and the lower halves of its numbers.
    fn group(&self, at: usize) -> (u32, &[u32]) {
        let (high, from) = self.groups[at];
        let until = self.groups.get(at + 1).map_or(self.lower.len(), |(_, from)| *from);
        (high, &self.lower[from..until])
    }

    /// Numbers in order, then prefixes in order.
    fn all(&self) -> impl Iterator<Item = (u32, u64)> {
        let numbers = (0..self.groups.len()).flat_map(|at| {
            let (high, lower) = self.group(at);
            lower.iter().map(move |low| (0, u64::from(high) << 32 | u64::from(*low)))
        });
        numbers.chain(self.prefixes.iter().flat_map(|(digits, all)| all.iter().map(|prefix| (*digits, *prefix))))
    }
}

fn halves(number: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

/// How many entries only the second has, and only the first; both in order.
fn differing(old: impl Iterator<Item = (u32, u64)>, new: impl Iterator<Item = (u32, u64)>) -> (usize, usize) {
    let (mut old, mut new) = (old.peekable(), new.peekable());
    let (mut added, mut removed) = (0, 0);
    loop {
        match (old.peek(), new.peek()) {
            (None, None) => return (added, removed),
            (Some(before), Some(after)) if before == after => {
                old.next();
                new.next();
            }
            (before, Some(after)) if before.is_none_or(|before| after < before) => {
                added += 1;
                new.next();
            }
            _ => {
                removed += 1;
                old.next();
            }
        }
    }
}

/// The first column of a line, without quotes; none of an empty line or a comment.
fn field(line: &[u8]) -> Option<&str> {
    let text = str::from_utf8(line).unwrap_or("\u{fffd}").trim_start_matches('\u{feff}');
    let text = text.split(['#', ',', ';', '\t']).next().unwrap_or_default();
    let text = text.trim().trim_matches('"').trim();
    let is_comment = line.trim_ascii().is_empty() || line.trim_ascii().starts_with(b"#");
    (!is_comment).then_some(text)
}

fn entry(field: &str) -> Option<Entry> {
    match field.strip_suffix('*') {
        None => Msisdn::parse(field).map(|msisdn| Entry::Number(msisdn.0)),
        Some(prefix) => prefix_of(prefix),
    }
}

/// The beginning of numbers: of Chinese mobile ones where no country code stands before it.
fn prefix_of(text: &str) -> Option<Entry> {
    let text: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let abroad = text.strip_prefix('+').or_else(|| text.strip_prefix("00"));
    let (code, digits) = match abroad {
        Some(digits) => digits.strip_prefix("86").map_or(("", digits), |rest| ("86", rest)),
        None => ("86", text.strip_prefix("86").unwrap_or(&text)),
    };
    let is_mobile = matches!(digits.as_bytes(), [b'1', b'3'..=b'9', ..]);
    let fits = digits.bytes().all(|octet| octet.is_ascii_digit())
        && digits.len() >= SHORTEST_PREFIX
        && code.len() + digits.len() <= 15
        && !digits.starts_with('0')
        && (code.is_empty() || (is_mobile && digits.len() <= 11));
    let whole = format!("{code}{digits}");
    let length = u32::try_from(whole.len()).ok()?;
    fits.then(|| whole.parse().ok()).flatten().map(|digits| Entry::Prefix(digits, length))
}

fn told(field: &str) -> String {
    let shown: String = field.chars().take(40).collect();
    format!("{shown:?} is neither a number (13800138000, 86…, +86…, E.164) nor a prefix (1380013*)")
}

/// A list from text, for tests.
#[cfg(test)]
fn of_text(text: &str) -> Result<Numbers, Vec<Wrong>> {
    Numbers::read(std::io::Cursor::new(text))
}

#[cfg(test)]
mod tests;
