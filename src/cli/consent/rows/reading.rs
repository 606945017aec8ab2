//! From the columns of a row to an event that the store takes.
//!
//! Owns what may stand in each column. Refuses what lies in the future, and senders the register does
//! not know. Driven by imports, and by `grant` and `refuse` for what they have in common with a row.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::papers::Papers;
use super::Column;
use crate::gate::masking;
use crate::register::Register;
use crate::rules::{Frequency, Msisdn};
use crate::store::Sha256;
use crate::store::consents::{
    ALL_SENDERS_OF, EVIDENCE_OCTETS, Held, NAME_OCTETS, Status, WORDING_OCTETS, all_senders_of,
};

/// How far a clock may be ahead of this one.
pub(in crate::cli::consent) const AHEAD_MS: i64 = 5 * 60 * 1_000;

/// The words for each status.
const WORDS: [(&str, Status); 9] = [
    ("consent", Status::Consent),
    ("active", Status::Consent),
    ("granted", Status::Consent),
    ("refusal", Status::Refusal),
    ("refused", Status::Refusal),
    ("withdrawn", Status::Refusal),
    ("revoked", Status::Refusal),
    ("holder-change", Status::HolderChange),
    ("recycled", Status::HolderChange),
];

/// What a row is read with.
pub(in crate::cli::consent) struct Reading<'a> {
    pub(in crate::cli::consent) register: &'a Register,
    pub(in crate::cli::consent) zone: &'a TimeZone,
    pub(in crate::cli::consent) now: Timestamp,
    /// Whether it comes from an export, and keeps its arrival and whatever sender it names.
    pub(in crate::cli::consent) restore: bool,
    /// Whether every row is a change of holder.
    pub(in crate::cli::consent) recycle: bool,
    /// Who records a row that does not say.
    pub(in crate::cli::consent) recorder: &'a str,
    /// Where the evidence's files are, if they are to be taken in.
    pub(in crate::cli::consent) papers: Option<&'a Papers>,
}

impl Reading<'_> {
    /// The columns a file cannot do without.
    pub(in crate::cli::consent) fn required(&self) -> &'static [Column] {
        match self.recycle {
            true => &[Column::Msisdn],
            false => &[Column::Msisdn, Column::Status, Column::At],
        }
    }

    /// Reads a row, column by column.
    pub(in crate::cli::consent) fn read<'t, T: AsRef<str> + 't>(
        &self,
        field: impl Fn(Column) -> Result<T, String>,
    ) -> Result<Held, String> {
        let msisdn = field(Column::Msisdn)?;
        let msisdn = Msisdn::parse(msisdn.as_ref()).ok_or_else(|| match msisdn.as_ref() {
            hidden if masking::is_masked(hidden) => format!("msisdn {}", masking::refusal(hidden)),
            other => format!("msisdn {other:?} is no subscriber's number"),
        })?;
        let status = self.status(field(Column::Status)?.as_ref())?;
        let sender = self.sender(field(Column::Sender)?.as_ref(), status)?;
        let at_ms = self.at(field(Column::At)?.as_ref())?;
        let expires_at_ms = self.moment(field(Column::ExpiresAt)?.as_ref(), "expires_at")?;
        if expires_at_ms.is_some_and(|end| end <= at_ms) {
            return Err("expires_at is not after at".to_owned());
        }
        let short = |column: Column, most: usize| match field(column)? {
            text if text.as_ref().len() <= most => Ok(text.as_ref().to_owned()),
            text => {
                let (name, length) = (column.name(), text.as_ref().len());
                Err(format!("{name} has {length} octets: at most {most} (is a quote not closed?)"))
            }
        };
        let evidence = short(Column::Evidence, EVIDENCE_OCTETS)?;
        let sha256 = sha256(field(Column::Sha256)?.as_ref())?;
        let sha256 = match self.papers {
            Some(papers) => self.filed(papers, status, &evidence, sha256)?,
            None => sha256,
        };
        let recorded_by = short(Column::RecordedBy, NAME_OCTETS)?;
        Ok(Held {
            msisdn: msisdn.0,
            sender,
            category: short(Column::Category, NAME_OCTETS)?,
            status,
            at_ms,
            method: short(Column::Method, NAME_OCTETS)?,
            evidence,
            expires_at_ms,
            frequency: frequency(field(Column::Frequency)?.as_ref())?,
            wording: short(Column::Wording, WORDING_OCTETS)?,
            sha256,
            recorded_by: if recorded_by.is_empty() { self.recorder.to_owned() } else { recorded_by },
            recorded_at_ms: match self.restore {
                true => self.moment(field(Column::RecordedAt)?.as_ref(), "recorded_at")?,
                false => None,
            },
        })
    }

    /// The hash of the row's file, once it is stored. A refusal and a restored event count without it all the same.
    fn filed(
        &self,
        papers: &Papers,
        status: Status,
        name: &str,
        sha256: Option<Sha256>,
    ) -> Result<Option<Sha256>, String> {
        // The names in an export are those of files elsewhere: it has its files by their hashes.
        let name = if self.restore { "" } else { name };
        match papers.take(name, sha256) {
            Err(_) if self.restore || status != Status::Consent => Ok(sha256),
            taken => taken,
        }
    }

    fn status(&self, word: &str) -> Result<Status, String> {
        if self.recycle && word.is_empty() {
            return Ok(Status::HolderChange);
        }
        let known = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, status)| *status);
        match known {
            Some(status) if self.recycle && status != Status::HolderChange => {
                Err(format!("status {word:?} is no change of holder"))
            }
            Some(status) => Ok(status),
            None => Err(format!("status {word:?} is unknown: expected consent, refusal or holder-change")),
        }
    }

    fn sender(&self, name: &str, status: Status) -> Result<String, String> {
        if status == Status::HolderChange {
            return match name {
                "" => Ok(String::new()),
                _ => Err(format!("sender {name:?}: a change of holder is no sender's")),
            };
        }
        if self.restore && !name.is_empty() {
            // Evidence outlives the register's entry.
            return Ok(name.to_owned());
        }
        sender(self.register, name, status)
    }

    fn at(&self, text: &str) -> Result<i64, String> {
        let now = self.now.as_millisecond();
        let at_ms = match self.moment(text, "at")? {
            Some(at_ms) => at_ms,
            None if self.recycle => now,
            None => return Err("at is missing: when it was said".to_owned()),
        };
        if at_ms > now + AHEAD_MS {
            return Err(format!("at {text:?} is in the future: nobody can have said it yet"));
        }
        Ok(at_ms)
    }

    fn moment(&self, text: &str, name: &str) -> Result<Option<i64>, String> {
        match text {
            "" => Ok(None),
            text => moment(text, self.zone).map(Some).map_err(|error| format!("{name} {error}")),
        }
    }
}

/// The sender a name stands for: one of the register by its present id, or all of a provider's.
pub(in crate::cli::consent) fn sender(register: &Register, name: &str, status: Status) -> Result<String, String> {
    if let Some(sender) = register.sender(name) {
        return Ok(sender.id.clone());
    }
    match name.strip_prefix(ALL_SENDERS_OF).map(|account| register.provider(account)) {
        None => Err(format!("sender {name:?} is not in the register")),
        Some(None) => Err(format!("sender {name:?}: the provider is not in the register")),
        Some(Some(_)) if status == Status::Consent => {
            Err(format!("sender {name:?}: a consent is given to one sender, not to all of a provider's"))
        }
        Some(Some(provider)) => Ok(all_senders_of(&provider.system_id)),
    }
}

/// A frequency in the spelling that is kept.
pub(in crate::cli::consent) fn frequency(text: &str) -> Result<String, String> {
    match text {
        "" => Ok(String::new()),
        text => Frequency::parse(text)
            .map(|frequency| frequency.to_string())
            .ok_or_else(|| format!("frequency {text:?} is none: expected 4/month, 1/week, 1/day and the like")),
    }
}

fn sha256(text: &str) -> Result<Option<Sha256>, String> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error| format!("sha256 {text:?} {error}")),
    }
}

/// A time with its offset, or a day.
pub(in crate::cli::consent) fn moment(text: &str, zone: &TimeZone) -> Result<i64, String> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    text.parse::<Date>()
        .and_then(|day| day.to_zoned_datetime(zone.clone()))
        .map(|day| day.timestamp().as_millisecond())
        .map_err(|_| format!("{text:?} is no time: expected 2026-11-23T10:15:00+08:00 or 2026-11-23"))
}
