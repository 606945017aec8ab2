//! The sample messages of testdata/rulebook/samples.jsonl, and what each is answered.
//!
//! Owns the reading of them and the rulebook's status for each. Refuses to send. Driven by the tests.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use portcullis_protocol::CommandStatus;
use serde::Deserialize;

/// The register behind them.
pub(crate) const REGISTER: &str = include_str!("../../testdata/rulebook/register.toml");
/// One a line.
pub(crate) const SAMPLES: &str = include_str!("../../testdata/rulebook/samples.jsonl");

/// Every sample comes from this provider: one of them has a source that is nobody's.
pub(crate) const PROVIDER: &str = "agg1";

#[derive(Deserialize)]
pub(crate) struct Sample {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) at: Timestamp,
    pub(crate) consent: String,
    pub(crate) text: String,
    pub(crate) expect: String,
    pub(crate) rules: Vec<String>,
}

pub(crate) fn samples() -> Vec<Sample> {
    SAMPLES.lines().map(|line| serde_json::from_str(line).expect("a sample")).collect()
}

impl Sample {
    /// The rulebook's answer: that of the first rule that failed.
    pub(crate) fn status(&self) -> CommandStatus {
        let first = self.rules.first().map_or("", String::as_str);
        CommandStatus(match (self.expect.as_str(), first) {
            ("forward", _) => 0,
            ("hold", _) => 0x58,
            (_, "R01" | "R02") => 0x0A,
            (_, "R03") => 0x0487,
            (_, "R05") if self.text.matches('【').count() > 1 => 0x0488,
            (_, "R05") => 0x0483,
            (_, "R06") => 0x0484,
            (_, "R07") => 0x0485,
            (_, "R09") => 0x0481,
            (_, "R11") => 0x0482,
            (_, "R12") => 0x048C,
            other => panic!("{}: no status is known for {other:?}", self.id),
        })
    }

    /// Whether it is sent while commercial messages may be delivered.
    pub(crate) fn is_by_day(&self) -> bool {
        (8..21).contains(&self.at.to_zoned_datetime(china()).hour())
    }

    /// The recipient on the wire, one for each sample: each has a standing of its own.
    pub(crate) fn recipient(&self) -> String {
        let number: u64 = self.id.trim_start_matches('S').parse().expect("S and a number");
        (8_613_800_138_000 + number).to_string()
    }

    /// What the recipient has said to every sender before, if anything: status, day and end.
    pub(crate) fn said(&self) -> Option<(&'static str, &'static str, &'static str)> {
        match self.consent.as_str() {
            "none" => None,
            "active" => Some(("consent", "2025-01-01", "")),
            "expired" => Some(("consent", "2025-01-01", "2025-12-31")),
            "refused" => Some(("refusal", "2025-01-01", "")),
            other => panic!("{}: what is consent {other:?}?", self.id),
        }
    }
}

pub(crate) fn china() -> TimeZone {
    TimeZone::fixed(Offset::constant(8))
}
