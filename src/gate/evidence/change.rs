//! A change beside messages, as it is shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::time;
use crate::gate::record;
use crate::store::EntryId;

/// Something changed, or was refused to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundChange {
    /// The record's name.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// Its kind.
    pub what: String,
    /// `gate`, or the user who gave the command.
    pub who: String,
    /// What it happened to.
    pub about: String,
    /// `done`, or what is in its way.
    pub outcome: String,
    /// The subscriber it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriber: Option<String>,
    /// What else is to be known of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

impl FoundChange {
    /// From its record.
    pub fn new(id: EntryId, record: &record::Change<'_>) -> Self {
        let details = record.details.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Self {
            id: id.to_string(),
            at: time(record.at_ms),
            what: record.what.to_string(),
            who: record.who.to_string(),
            about: record.about.to_string(),
            outcome: record.outcome.to_string(),
            subscriber: Some(record.subscriber.to_string()).filter(|subscriber| !subscriber.is_empty()),
            details: details.collect(),
        }
    }
}
