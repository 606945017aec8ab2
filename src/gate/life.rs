//! The gate's own life on record: start and stop, the configuration it runs by, its register.
//!
//! Owns what is written of them. Refuses to hinder anything: what cannot be recorded is said in the log. Driven by
//! the proxy.

use std::path::Path;

use jiff::Timestamp;

use super::changes::{ChangeError, GATE, note, record};
use super::record::{Change, Record, change_key};
use super::{Gate, open_journal, open_keys};
use crate::config::{Config, Fault};
use crate::store::{Index, Query, StoreError};

/// Faults of a file that are kept with its refusal.
const FAULTS: usize = 10;

impl Gate {
    /// That it runs now, and by what: a configuration other than the last one is a change of its own.
    pub fn record_start(&self, config: &Config, now: Timestamp) {
        let at_ms = now.as_millisecond();
        let (file, data) = (config.file.display().to_string(), config.data.display().to_string());
        let profile = format!("{} {:016x}", self.profile.name, u64::from_be_bytes(self.profile.digest()));
        let register = self.register.load().version().to_owned();
        match self.last_configuration() {
            Ok(before) if before.as_ref().is_none_or(|(sum, by)| *sum != config.sha256 || *by != profile) => {
                let (sum, by) = before.unwrap_or_default();
                let change = Change::new(at_ms, "configuration", GATE, &file)
                    .with("sha256", config.sha256.as_str())
                    .with("sha256-before", sum)
                    .with("profile", profile.as_str())
                    .with("profile-before", by);
                note(&self.journal, change);
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "it cannot be told whether the configuration is another one"),
        }
        for incident in self.journal.incidents() {
            let kept = incident.aside.display().to_string();
            let change = Change::new(at_ms, "journal-incident", GATE, &kept)
                .with("day", incident.day.to_string())
                .with("why", incident.why);
            note(&self.journal, change);
        }
        let change = Change::new(at_ms, "start", GATE, &data)
            .with("version", env!("CARGO_PKG_VERSION"))
            .with("process", std::process::id().to_string())
            .with("configuration", config.sha256.as_str())
            .with("profile", profile.as_str())
            .with("register", register);
        note(&self.journal, change);
    }

    /// That it ends; what is appended later is of what it was still waiting for.
    pub fn record_stop(&self, config_data: &str, in_time: bool, now: Timestamp) {
        let totals = self.counters.totals();
        let counted = format!("{} forwarded, {} rejected, {} held", totals.forwarded, totals.rejected, totals.held);
        let outcome = if in_time { "drained" } else { "drained, sessions cut off" };
        let change = Change::new(now.as_millisecond(), "stop", GATE, config_data)
            .ending(outcome)
            .with("process", std::process::id().to_string())
            .with("messages", counted);
        note(&self.journal, change);
    }

    /// That another register is in force.
    pub fn record_register(&self, file: &str, before: &str, after: &str, now: Timestamp) {
        let change = Change::new(now.as_millisecond(), "register", GATE, file)
            .with("version", after.to_owned())
            .with("version-before", before.to_owned());
        note(&self.journal, change);
    }

    /// That a file was not taken, and why: the last good state holds.
    pub fn record_refused(&self, what: &str, file: &str, faults: &[Fault], now: Timestamp) {
        let change = Change::new(now.as_millisecond(), what, GATE, file)
            .ending("refused: the last good state holds")
            .with("faults", told(faults));
        note(&self.journal, change);
    }

    /// The digests of the configuration and of the profile as they were last recorded.
    fn last_configuration(&self) -> Result<Option<(String, String)>, StoreError> {
        let key = Some((Index::Source, change_key("configuration")));
        let last = Query { key, newest_first: true, ..Query::default() };
        for entry in self.journal.find(last)? {
            let (_, payload) = entry?;
            if let Ok(Record::Change(change)) = Record::decode(&payload) {
                let value = |name: &str| {
                    let named = change.details.iter().find(|(own, _)| own == name);
                    named.map(|(_, value)| value.to_string()).unwrap_or_default()
                };
                // One that was refused was never in force.
                if !value("sha256").is_empty() {
                    return Ok(Some((value("sha256"), value("profile"))));
                }
            }
        }
        Ok(None)
    }
}

/// What keeps records whose place depends on it out of the journal.
const PLACES: [&str; 3] = ["data", "keys", "time_zone"];

/// That a gate did not start, since a file of its has faults; `false` where the configuration does not say for certain
/// which journal that is, or there is none. An error where that is open elsewhere, or cannot be written.
pub fn record_refused_start(
    config: &Config,
    (what, file): (&str, &Path),
    faults: &[Fault],
    now: Timestamp,
) -> Result<bool, RefusedError> {
    let places = |fault: &Fault| {
        let top = fault.key.split(['.', '[']).next().unwrap_or_default();
        fault.file == config.file && (top.is_empty() || PLACES.contains(&top))
    };
    if faults.iter().any(places) || !["journal", "keys"].iter().all(|part| config.data.join(part).is_dir()) {
        return Ok(false);
    }
    let journal = open_journal(config, &open_keys(config)?)?;
    let file = file.display().to_string();
    let change = Change::new(now.as_millisecond(), what, GATE, &file)
        .ending("refused: the gate did not start")
        .with("sha256-refused", config.sha256.as_str())
        .with("faults", told(faults));
    record(&journal, change)?;
    Ok(true)
}

/// Why it is not on record.
#[derive(Debug, thiserror::Error)]
pub enum RefusedError {
    /// The journal does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It takes no record.
    #[error(transparent)]
    Unrecorded(#[from] ChangeError),
}

fn told(faults: &[Fault]) -> String {
    let mut told: Vec<String> = faults.iter().take(FAULTS).map(ToString::to_string).collect();
    if faults.len() > FAULTS {
        told.push(format!("and {} more", faults.len() - FAULTS));
    }
    told.join("\n")
}
