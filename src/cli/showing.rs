//! What may be shown of subscribers' numbers: masked, or whole with a flag that is itself on record.
//!
//! Owns the flag, the record of the reading it belongs to, and the hiding of numbers in what a command prints.
//! Refuses masked numbers as input. Driven by every command that shows records or consents.

use std::borrow::Cow;
use std::io::{self, Write};

use clap::Args;
use serde::Serialize;

use super::Failure;
use crate::admin::client::Access;
use crate::gate::masking::{self, Masking};
use crate::gate::readings::Reading;

/// How subscribers' numbers are shown.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Showing {
    /// Show numbers whole, and not as 138****8001; that you did is recorded
    #[arg(long)]
    pub(super) whole: bool,
}

impl Showing {
    /// The record of what a command is about to read.
    pub(super) fn reading(self, what: &str) -> Reading {
        Reading::new(what, self.whole)
    }

    /// What hides these subscribers' numbers; nothing, where they are shown whole.
    pub(super) fn of<S: AsRef<str>>(self, subscribers: impl IntoIterator<Item = S>) -> Masking {
        if self.whole { Masking::default() } else { Masking::of(subscribers) }
    }

    /// Prints a JSON line, the numbers of these subscribers hidden.
    pub(super) fn json<S: AsRef<str>>(
        self,
        out: &mut impl Write,
        value: &impl Serialize,
        subscribers: impl IntoIterator<Item = S>,
    ) -> io::Result<()> {
        if self.whole {
            serde_json::to_writer(&mut *out, value)?;
            return writeln!(out);
        }
        let mut value = serde_json::to_value(value)?;
        self.of(subscribers).value(&mut value);
        writeln!(out, "{value}")
    }

    /// Prints what `print` writes, the numbers of these subscribers hidden.
    pub(super) fn text<S: AsRef<str>>(
        self,
        out: &mut impl Write,
        subscribers: impl IntoIterator<Item = S>,
        print: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut text = Vec::new();
        print(&mut text)?;
        if self.whole {
            return out.write_all(&text);
        }
        out.write_all(self.of(subscribers).text(&String::from_utf8_lossy(&text)).as_bytes())
    }
}

/// A text from elsewhere on one line: it neither moves a terminal's cursor nor turns its reading direction.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if is_plain(c) { String::from(c) } else { c.escape_default().to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Puts a reading on record; where that cannot be, says so, and masked numbers are shown all the same.
pub(super) fn begin(access: &mut Access, reading: Reading) -> Result<(), Failure> {
    if let Some(why) = access.begin(reading)? {
        eprintln!("warning: that you read this is not on record: {why}");
    }
    Ok(())
}

/// A subscriber's number as it was given: not one that was copied from masked output.
pub(super) fn given(number: &str) -> Result<&str, Failure> {
    if masking::is_masked(number) { Err(Failure::Usage(masking::refusal(number))) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_on_its_line() {
        assert!(matches!(plain("【青禾】您好 ✓"), Cow::Borrowed(_)));
        assert_eq!(plain("a\r\n\u{1b}[2Jb\u{202e}c"), "a\\r\\n\\u{1b}[2Jb\\u{202e}c");
    }
}
