//! What may be shown of subscribers' numbers: masked, or whole with a flag that is itself on record.
//!
//! Owns the flag, the record of the reading it belongs to, and the hiding of numbers in what a command prints.
//! Refuses masked numbers as input. Driven by every command that shows records or consents.

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
