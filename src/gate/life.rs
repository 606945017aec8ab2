//! The gate's own life on record: start and stop, the configuration it runs by, its register.
//!
//! Owns what is written of them. Refuses to hinder anything: what cannot be recorded is said in the log. Driven by
//! the proxy.

use jiff::Timestamp;

use super::Gate;
use super::changes::{GATE, note};
use super::record::{Change, Record, change_key};
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
        let mut told: Vec<String> = faults.iter().take(FAULTS).map(ToString::to_string).collect();
        if faults.len() > FAULTS {
            told.push(format!("and {} more", faults.len() - FAULTS));
        }
        let change = Change::new(now.as_millisecond(), what, GATE, file)
            .ending("refused: the last good state holds")
            .with("faults", told.join("\n"));
        note(&self.journal, change);
    }

    /// The digests of the configuration and of the profile as they were last recorded.
    fn last_configuration(&self) -> Result<Option<(String, String)>, StoreError> {
        let key = Some((Index::Source, change_key("configuration")));
        let last = Query { key, newest_first: true, limit: 1, ..Query::default() };
        for entry in self.journal.find(last)? {
            let (_, payload) = entry?;
            if let Ok(Record::Change(change)) = Record::decode(&payload) {
                let value = |name: &str| {
                    let named = change.details.iter().find(|(own, _)| own == name);
                    named.map(|(_, value)| value.to_string()).unwrap_or_default()
                };
                return Ok(Some((value("sha256"), value("profile"))));
            }
        }
        Ok(None)
    }
}
